"""Message headers taken apart octet by octet, whatever the protocol: the Dialect says where their fields are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headwater.errors import FaultKind
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.wire.dialect import IPFIX, NETFLOW8, NETFLOW9, Dialect
from headwater.wire.legacy import AGGREGATION_AT
from headwater.wire.parts import Part, PartKind, PartMaker, count_octets, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headwater.errors import Fault

COUNT_AT: Final = 2
"""Where a header has the count of records, or the length (RFC 7011 §3.1, RFC 3954 §5.1)."""
SFLOW_MAGIC: Final = b"\0\0\0\5"
"""What sFlow datagrams begin with: their version, in 32 bits."""

_WRAP: Final = 1 << 32
_HOUR_MS: Final = 3_600_000
_SECOND_NS: Final = 10**9
_INTERVAL_BITS: Final = 14
_AGGREGATIONS: Final = (
    *("AS", "protocol and ports", "source prefix", "destination prefix", "prefixes", "destination"),
    *("source and destination", "full flow", "AS, ToS", "protocol and ports, ToS", "source prefix, ToS"),
    *("destination prefix, ToS", "prefixes, ToS", "prefixes and ports, ToS"),
)
"""Cisco's aggregation schemes of NetFlow v8, from 1."""
_SFLOW_HEADER: Final = ("Sub-agent ID", "Sequence Number", "System Uptime", "Number of Samples")
_AGENT_OCTETS: Final = {1: 4, 2: 16}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a Message was exported: Unix seconds and nanoseconds beside them.

    uptime_ms: sysUpTime of the exporter then, None where the header does not tell it.
    """

    export_s: int = 0
    nanoseconds: int = 0
    uptime_ms: int | None = None

    @property
    def export_ms(self) -> int:
        """Milliseconds since 1970; what is no part of a second is not added."""
        return self.export_s * 1000 + (self.nanoseconds // 1_000_000 if self.nanoseconds < _SECOND_NS else 0)

    def instant_ms(self, uptime_ms: int) -> int | None:
        """Milliseconds since 1970 of a sysUpTime; None if it tells no moment: 0, but for the first hour.

        The difference to that of the header is modulo 2^32 and signed (RFC 3954 §8).
        """
        if self.uptime_ms is None or (uptime_ms == 0 and self.uptime_ms > _HOUR_MS):
            return None
        ago = (self.uptime_ms - uptime_ms + _WRAP // 2) % _WRAP - _WRAP // 2
        return self.export_ms - ago


def header_name(dialect: Dialect) -> str:
    """What the standards call it."""
    return "Message Header" if dialect is IPFIX else "Packet Header"


def read_moment(make: PartMaker, dialect: Dialect) -> Moment:
    """When the Message was exported, which is at least as long as its header."""
    uptime = None if dialect.uptime is None else make.integer(*dialect.uptime)
    nanoseconds = 0 if dialect.nanoseconds is None else make.integer(*dialect.nanoseconds)
    return Moment(make.integer(*dialect.export_time), nanoseconds, uptime)


def read_domain(make: PartMaker, dialect: Dialect) -> int:
    """Observation Domain ID, Source ID, or engine type * 256 + engine id; 0 where there is none."""
    return 0 if dialect.domain is None else make.integer(*dialect.domain)


def header_part(make: PartMaker, dialect: Dialect, moment: Moment, faults: Mapping[int, list[Fault]]) -> Part:
    """The header; octets of no field are padding. faults: by the position of the field that they are about."""
    parts, at = [], 0
    for start, width, name, text in sorted(_fields(make, dialect, moment)):
        if at < start:
            parts.append(_reserved(make, at, start))
        parts.append(make.number(start, width, name, text, faults.get(start, ())))
        at = start + width
    if at < dialect.header:
        parts.append(_reserved(make, at, dialect.header))
    return make.part(PartKind.HEADER, 0, dialect.header, header_name(dialect), parts=parts)


def _reserved(make: PartMaker, start: int, end: int) -> Part:
    return make.part(PartKind.PADDING, start, end, "reserved", count_octets(end - start))


def _fields(make: PartMaker, dialect: Dialect, moment: Moment) -> Iterator[tuple[int, int, str, str]]:
    """(position, octets, name, text) of the fields; no text = the number."""
    yield 0, 2, "Version", f"{dialect.version} ({dialect.name})"
    if dialect.count is None:
        yield COUNT_AT, 2, "Length", count_octets(make.integer(COUNT_AT, 2))
    else:
        yield *dialect.count, "Count", counted(make.integer(*dialect.count), "record")
    if dialect.uptime is not None:
        uptime_ms = make.integer(*dialect.uptime)
        zero = to_text(DataType.MILLISECONDS, moment.export_ms - uptime_ms)
        yield *dialect.uptime, "System Uptime", f"{uptime_ms} ms (since {zero})"
    yield *dialect.export_time, "Export Time", to_text(DataType.SECONDS, moment.export_s)
    if dialect.nanoseconds is not None:
        yield *dialect.nanoseconds, "Residual Nanoseconds", ""
    if dialect.sequence is not None:
        yield *dialect.sequence, "Sequence Number", ""
    if dialect is IPFIX or dialect is NETFLOW9:
        assert dialect.domain is not None
        yield *dialect.domain, "Observation Domain ID" if dialect is IPFIX else "Source ID", ""
    elif dialect.domain is not None:
        at, _ = dialect.domain
        yield at, 1, "Engine Type", ""
        yield at + 1, 1, "Engine ID", ""
    if dialect.sampling is not None:
        mode, interval = divmod(make.integer(*dialect.sampling), 1 << _INTERVAL_BITS)
        yield *dialect.sampling, "Sampling", f"mode {mode}, interval {interval}"
    if dialect is NETFLOW8:
        number = make.octets[AGGREGATION_AT]
        name = f" ({_AGGREGATIONS[number - 1]})" if 0 < number <= len(_AGGREGATIONS) else ""
        yield AGGREGATION_AT, 1, "Aggregation", f"{number}{name}"
        yield AGGREGATION_AT + 1, 1, "Aggregation Version", ""


def sflow_parts(make: PartMaker) -> list[Part]:
    """An sFlow datagram, which is not decoded: its header as far as it is there, and the rest in one piece."""
    fault = make.fault(FaultKind.SFLOW, 0, "sFlow is not decoded")
    parts = [make.number(0, 4, "Version", "5 (sFlow)", [fault])]
    at, size = 4, len(make.octets)
    agent = _AGENT_OCTETS.get(make.integer(4, 4), 0)
    if agent and size >= 8 + agent + 4 * len(_SFLOW_HEADER):
        parts.append(make.number(4, 4, "Agent Address Type", "1 (IPv4)" if agent == 4 else "2 (IPv6)"))
        kind = DataType.IPV4 if agent == 4 else DataType.IPV6
        octets = make.octets[8 : 8 + agent]
        address = to_text(kind, int.from_bytes(octets) if agent == 4 else octets)
        parts.append(make.part(PartKind.NUMBER, 8, 8 + agent, "Agent Address", address, value=address))
        at = 8 + agent
        for name in _SFLOW_HEADER:
            parts.append(make.number(at, 4, name))
            at += 4
    header = make.part(PartKind.HEADER, 0, at, "sFlow Datagram Header", parts=parts)
    return [header, *make.unread(at, size, "samples")]
