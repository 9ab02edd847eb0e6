"""Exporters for the tests of options: messages in, tables and columns out."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from headwater.batch import Batch, Decoder
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.session import DataSets, Session, SessionKey
from tests import build
from tests.batch.source import field

FLOWS, OPTIONS = 256, 300


class Exporters:
    """What some exporters sent: option records go into `tables`, flows are kept until somebody wants columns."""

    def __init__(self, **limits: int) -> None:
        self.tables = OptionsTables(**limits)
        self.flows: list[DataSets] = []
        self._sessions: dict[SessionKey | None, Session] = {}
        self._decoder = Decoder(None, provenance=OPTIONS_FACTS)

    def send(self, *messages: bytes, address: str | None = None, port: int = 4739) -> None:
        """Messages of one transport session, each a datagram; without an address those of a file."""
        key = None if address is None else SessionKey(address, port)
        session = self._sessions.setdefault(key, Session(transport="udp", key=key))
        for message in messages:
            for event in session.receive(message):
                if isinstance(event, DataSets):
                    self._take(event)

    def _take(self, sets: DataSets) -> None:
        if sets.template.scope_count:
            self.tables.learn(self._decoder.decode(sets))
        else:
            self.flows.append(sets)

    def batches(self, *derived: str) -> list[Batch]:
        """The flows with these derived columns and nothing else."""
        decoder = Decoder(derived, options=self.tables)
        return [decoder.decode(sets) for sets in self.flows]

    def column(self, name: str) -> list[Any]:
        """One derived column of all flows."""
        return [row[name] for batch in self.batches(name) for row in batch.rows()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return list(self.tables.tables()[table])


def options(scope: Iterable[str], values: Iterable[str], *records: bytes, id: int = OPTIONS, **header: Any) -> bytes:
    """A message with an Options Template and its records; names may be `name[length]`."""
    scopes = [specifier(name) for name in scope]
    fields = [*scopes, *[specifier(name) for name in values]]
    head = build.options_template_set(build.options_template(id, *fields, scope=len(scopes)))
    return build.message(head, build.data_set(id, *records), **header)


def flows(fields: Iterable[str], *records: bytes, id: int = FLOWS, **header: Any) -> bytes:
    """A message with a Template and its records."""
    head = build.template_set(build.template(id, *[specifier(name) for name in fields]))
    return build.message(head, build.data_set(id, *records), **header)


def specifier(name: str) -> build.FieldSpec:
    base, _, length = name.partition("[")
    return field(base, int(length[:-1]) if length else None)


def interface(number: int, name: str) -> bytes:
    """A record of (ingressInterface, interfaceName[16])."""
    return build.uint(number) + name.encode().ljust(16, b"\0")


def interfaces(*names: tuple[int, str], **header: Any) -> bytes:
    """A message that names interfaces."""
    records = [interface(*one) for one in names]
    return options(["ingressInterface"], ["interfaceName[16]"], *records, **header)


def on_interfaces(*numbers: int, **header: Any) -> bytes:
    """A message with a flow for each ingress interface."""
    return flows(["ingressInterface"], *map(build.uint, numbers), **header)


_ANY = (
    "ingressInterface", "egressInterface", "samplerId", "selectorId", "selectionSequenceId", "applicationId",
    "ingressVRFID", "egressVRFID", "VRFname", "interfaceName", "samplingPacketInterval", "samplingPacketSpace",
    "samplingProbability", "selectorAlgorithm", "observationDomainId", "templateId", "basicList",
    "systemInitTimeMilliseconds", "flowStartMicroseconds", "exporterIPv4Address", "paddingOctets",
    "ipv6ExtensionHeadersFull",
)  # fmt: skip


def any_exporters(rng: random.Random) -> Exporters:
    """Exporters whose Templates and records are as random as can be."""
    exporters = Exporters(rows=100, octets=200_000)
    for _ in range(10):
        names = rng.choices(_ANY, k=rng.choice((1, 2, 3, 5, 8, 100)))
        fields = [f"{name}[{rng.choice((0, 1, 3, 4, 8, 9, 20))}]" for name in names]
        scope = rng.randrange(1, len(fields) + 1)
        header = {"domain": rng.randrange(3), "export_time": rng.randrange(2**32)}
        exporters.send(options(fields[:scope], fields[scope:], rng.randbytes(rng.randrange(2000)), **header))
        exporters.send(flows(rng.choices(_ANY[:8], k=4), rng.randbytes(100)))
    return exporters
