"""DataSets made by hand: records with any header facts, of any version, without a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.model import registry as registries
from headwater.model.template import Template
from headwater.session.events import DataSets, Messages, Scope
from headwater.session.key import SessionKey
from headwater.session.limits import Limits


@dataclass(frozen=True)
class Made:
    """One Message with records of fixed size. received: ns since 1970."""

    records: tuple[bytes, ...]
    export_time: int = 1_700_000_000
    uptime: int = 0
    version: int = 9
    nanoseconds: int = 0
    domain: int = 0
    sequence: int = 0
    peer: int = 0
    received: int = 0


def data_sets(template: Template, *made: Made, keys: tuple[SessionKey | None, ...] = (None,)) -> DataSets:
    """Records of the Messages, one Set in each, after a header of 20 octets; the buffer begins at octet 1000."""
    octets = bytearray()
    start, end = [], []
    for one in made:
        octets += bytes(20)
        start.append(len(octets))
        octets += b"".join(one.records)
        end.append(len(octets))

    def column(name: str, dtype: str) -> Any:
        return np.array([getattr(one, name) for one in made], dtype)

    versions = {one.version for one in made}
    starts = np.array(start, np.int32)
    messages = Messages(
        offset=starts.astype(np.int64) - 20 + 1000,
        start=starts - 20,
        export_time=column("export_time", "u4"),
        sequence=column("sequence", "u4"),
        domain=column("domain", "u4"),
        version=column("version", "u2"),
        keys=keys,
        peer=column("peer", "i4") if len(keys) > 1 else None,
        received=column("received", "i8") if any(one.received for one in made) else None,
        uptime=column("uptime", "u4") if versions - {10} else None,
        nanoseconds=column("nanoseconds", "u4") if versions - {9, 10} else None,
    )
    order = np.arange(len(made), dtype=np.int32)
    return DataSets(
        template,
        np.frombuffer(bytes(octets), np.uint8),
        starts,
        np.array(end, np.int32),
        np.array([len(one.records) for one in made], np.int32),
        None,
        None,
        order,
        order,
        messages,
        Scope({}, registries.IANA),
        Limits(),
    )
