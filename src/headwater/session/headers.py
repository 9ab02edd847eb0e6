"""Message headers of every protocol to one table (RFC 7011 §3.1, RFC 3954 §5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.session.events import Messages
from headwater.wire.dialect import DIALECTS, IPFIX, Dialect

if TYPE_CHECKING:
    from headwater.session.framing import I32, Frames
    from headwater.session.key import SessionKey

_WIDTHS: Final = {
    "export_time": np.uint32,
    "sequence": np.uint32,
    "domain": np.uint32,
    "uptime": np.uint32,
    "nanoseconds": np.uint32,
    "sampling": np.uint16,
}
"""Header fields that become columns, and as what."""
_IN_ALL: Final = ("export_time", "sequence", "domain")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Where the Messages of one buffer came from; columns are over them as Messages describes them."""

    offset: npt.NDArray[np.int64]
    keys: Sequence[SessionKey | None] = (None,)
    peer: I32 | None = None
    received: npt.NDArray[np.int64] | None = None
    stream: I32 | None = None


def read_messages(buf: npt.NDArray[np.uint8], frames: Frames, arrivals: Arrivals) -> Messages:
    """The headers of the Messages of `frames`."""
    count = len(frames.start)
    if frames.version is None:
        version = np.full(count, IPFIX.version, np.uint16)
        facts = _read(IPFIX, buf, frames.start)
    else:
        version = frames.version
        numbers = version[:1] if (version == version[0]).all() else np.unique(version)
        if len(numbers) == 1:
            facts = _read(DIALECTS[int(numbers[0])], buf, frames.start)
        else:
            facts = {}
            for number in numbers.tolist():
                which = np.flatnonzero(version == number)
                for name, column in _read(DIALECTS[number], buf, frames.start[which]).items():
                    facts.setdefault(name, np.zeros(count, _WIDTHS[name]))[which] = column
    for name in _IN_ALL:
        if name not in facts:
            facts[name] = np.zeros(count, np.uint32)
    return Messages(
        arrivals.offset,
        frames.start,
        version=version,
        keys=arrivals.keys,
        peer=arrivals.peer,
        received=arrivals.received,
        **facts,
    )


def _read(dialect: Dialect, buf: npt.NDArray[np.uint8], start: I32) -> dict[str, Any]:
    """The header fields that a protocol has."""
    places = {name: getattr(dialect, name) for name in _WIDTHS}
    names = [name for name, place in places.items() if place is not None]
    plan = np.array([(0, *places[name], 0) for name in names], np.int32)
    columns = kernel.columns(buf, start[None], plan, [np.dtype(_WIDTHS[name]) for name in names])
    return dict(zip(names, columns, strict=True))
