"""A message that was found in a source, and which one is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from headwater.errors import Fault, FaultKind
from headwater.session import SequenceGap
from headwater.session.key import SessionKey
from headwater.wire.dialect import DIALECTS, Dialect
from headwater.wire.dissect import dissect
from headwater.wire.dissect_header import SFLOW_MAGIC
from headwater.wire.parts import Part, PartKind, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session import Event

_FIELDS: Final = {
    FaultKind.TIME_SUSPECT: "export_time",
    FaultKind.EXPORTER_RESTART: "uptime",
    FaultKind.SEQUENCE_GAP: "sequence",
    FaultKind.SEQUENCE_SUSPECT: "sequence",
    FaultKind.SEQUENCE_RESET: "sequence",
    FaultKind.LATE: "sequence",
    FaultKind.DUPLICATE: "sequence",
}
"""Faults that a session tells of a whole message, and the field of its header that shows them (see Dialect)."""


@dataclass(frozen=True, slots=True)
class Target:
    """The message of that number, counted from 1; without one, the message in which the octet at `offset` is."""

    number: int | None = None
    offset: int = 0


def nothing_later(ids: Collection[int]) -> Mapping[int, Template]:
    """No Templates: for messages behind which nobody looks for them."""
    return {}


@dataclass(frozen=True, slots=True)
class Found:
    """A message. number: counted from 1; 0 = octets that are no message. at: absolute offset of the first octet.

    templates, registry: of its exporter and domain, as the messages before it left them. faults: what a session says
    about it. key: between whom it was sent; received: when, ns since 1970, 0 = not known.
    pieces: in how many places of the source its octets lie. only: the one protocol that may stand here.
    has_withdrawals: whether withdrawals of templates are obeyed where it stands.
    later: gives those of the templates with these ids that come behind it, for datagrams may overtake each other; to
    be called before the source is closed.
    """

    source: str
    number: int
    at: int
    octets: bytes
    templates: Mapping[int, Template]
    registry: Registry
    faults: tuple[Fault, ...]
    key: SessionKey | None = None
    received: int = 0
    pieces: int = 1
    only: Dialect | None = None
    has_withdrawals: bool = True
    later: Callable[[Collection[int]], Mapping[int, Template]] = nothing_later

    @property
    def dialect(self) -> Dialect | None:
        """The protocol of the message, if it has a whole header of one that is read."""
        return dialect_of(self.octets) if self.number else None

    @property
    def protocol(self) -> str:
        """The name of the protocol of the message, empty if it is none that is known."""
        if self.dialect is None:
            return "sFlow" if self.only is None and self.octets.startswith(SFLOW_MAGIC) else ""
        return self.dialect.name

    def dissected(self, templates: Mapping[int, Template]) -> Part:
        """Its parts, by these templates."""
        return dissect(
            self.octets, templates, self.registry, at=self.at, only=self.only, has_withdrawals=self.has_withdrawals
        )

    @property
    def collector(self) -> SessionKey | None:
        """Where it was sent to."""
        return None if self.key is None else SessionKey(self.key.local_address, self.key.local_port)


def missing_templates(message: Part) -> set[int]:
    """Ids of the Templates that its Data Sets lack."""
    return {
        part.value
        for part in message.parts
        if part.kind is PartKind.SET and any(f.kind is FaultKind.UNKNOWN_TEMPLATE for p in part.parts for f in p.faults)
    }


def dialect_of(octets: bytes) -> Dialect | None:
    """The protocol whose version the octets begin with, if they are enough for its header."""
    dialect = DIALECTS.get(int.from_bytes(octets[:2], "big"))
    return dialect if dialect is not None and len(octets) >= dialect.header else None


def domain_of(dialect: Dialect, octets: bytes) -> int:
    """Observation Domain ID, Source ID, or engine type * 256 + engine id of a message; 0 where there is none."""
    return 0 if dialect.domain is None else number_in(octets, dialect.domain)


def number_in(octets: bytes, place: tuple[int, int]) -> int:
    """The number in a header field (see Dialect)."""
    at, width = place
    return int.from_bytes(octets[at : at + width], "big")


def faults_of(
    events: Iterable[Event], dialect: Dialect | None, at: int, size: int, *, moved: int = 0
) -> Iterator[Fault]:
    """What a session tells of the message of `size` octets at the absolute offset `at`, put where it can be seen.

    moved: what to add to the offsets of the events.
    """
    for event in events:
        if isinstance(event, SequenceGap):
            lost = "" if event.lost is None else f", {counted(event.lost, event.unit.removesuffix('s'))} lost"
            detail = f"{event.got} where {event.expected} was expected{lost}"
            fault = Fault(FaultKind.SEQUENCE_GAP, event.offset, event.domain, detail)
        elif isinstance(event, Fault):
            fault = event
        else:
            continue
        offset = fault.offset + moved
        if not at <= offset < at + size:  # about messages that were waiting for this one
            continue
        place = getattr(dialect, _FIELDS[fault.kind]) if dialect is not None and fault.kind in _FIELDS else None
        yield replace(fault, offset=offset if place is None else at + place[0])
