"""Flows of any kind as records of NetFlow v5: one layout, IPv4, 32 bits for everything that counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from headwater.batch.strings import Bool
from headwater.batch.subset import Rows
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_source import DERIVED, Converted, Flat, Overflow, Source, missing
from headwater.batch.to_netflow_times import FLOW_TIMES, flow_times, report_unused, to_uptimes
from headwater.errors import EncodeError
from headwater.model.element import NETFLOW_PADDING
from headwater.model.template import Template
from headwater.wire.legacy import fixed_templates

AS_TRANS: Final = 23456
"""Stands for an AS number that 16 bits do not hold (RFC 6793 §4.2.2)."""

TEMPLATE: Final[Template] = fixed_templates(5)[5]
_NO_FIELD: Final = "NetFlow v5 has no field for it"
_ICMP: Final = 1
_ICMP_TYPE_CODE: Final = 32
_IMPLIED: Final = frozenset((4, 60))
"""Elements that nothing is lost of: ipVersion is 4 in all of NetFlow v5."""

_SOURCES: Final[dict[int, tuple[int, ...]]] = {
    15: (15, 18),  # the next hop, else BGP's
    10: (10, 252),  # the interface, else the physical one
    14: (14, 253),
    2: (2, 86, 298),  # packets: delta, total, of the initiator
    1: (1, 85, 231),
    7: (7, 182, 180),  # the port, else TCP's, UDP's
    11: (11, 183, 181, 32),  # ICMP type and code stand in the destination port
}
"""IANA numbers of what a field is made of, the best one first; of all others it is the element of the same number."""
_AS: Final = frozenset((16, 17))
_INTERFACES: Final = frozenset((10, 14))
_FLAGS: Final = 6


def converted(source: Source, booted_ms: int, overflow: Overflow, report: NetflowReport) -> Converted:
    """The flows that are of IPv4, with First and Last since the boot."""
    report.given += source.count
    _refuse_options(source)
    source = source.take(_of_ipv4(source, report))
    making = _Making(source, overflow, report, {DERIVED[0], DERIVED[1]})
    making.used.update(source.name(id) for id in FLOW_TIMES | _IMPLIED if id in source.by_id)
    times = flow_times(source, report)
    last_known = ~times.unknown[1]
    for end, unknown in enumerate(times.unknown):  # a flow of which one end is known is a moment long
        fill = unknown & (last_known if end == 0 else ~times.unknown[0])
        times.ms[end][fill] = times.ms[1 - end][fill]
        report.value(DERIVED[end], "unknown, the other end stands for it", int(np.count_nonzero(fill)))
    both = times.unknown[0] & times.unknown[1]
    report.value("flowStart and flowEnd", "unknown, told as the boot", int(np.count_nonzero(both)))
    moments = type(times)(times.ms, (both, both))
    first, last = to_uptimes(moments, booted_ms, source, overflow, report)
    known = {22: first, 21: last}
    columns = []
    for field in TEMPLATE.fields:
        if field.element is not NETFLOW_PADDING:
            id = field.element.id
            columns.append(known[id] if id in known else making.column(id, field.length))
    report_unused(source, making.used, _NO_FIELD, report)
    report.written += source.count
    return Converted(TEMPLATE, list(columns), source.count)


def _refuse_options(source: Source) -> None:
    if source.incoming.scope_count:
        names = ", ".join(source.incoming.names[: source.incoming.scope_count])
        raise EncodeError(f"options records (about {names}) cannot go into NetFlow v5, which has flows only")


def _of_ipv4(source: Source, report: NetflowReport) -> Rows:
    """Which records have an IPv4 address; the others are left out."""
    has4, has6 = _has_address(source, (8, 12)), _has_address(source, (27, 28))
    version = source.values(60)
    if version is not None:
        is6 = np.ma.filled(version == 6, fill_value=False)
        has4, has6 = has4 & ~is6, has6 | is6
    neither = ~has4 & ~has6
    if 8 in source.by_id or 12 in source.by_id:  # 0.0.0.0 is an address if there is no other
        has4 |= neither & (_has_value(source, 8) | _has_value(source, 12))
    report.record("IPv6, which NetFlow v5 does not have", int(np.count_nonzero(~has4 & has6)))
    report.record("no IPv4 address, by which NetFlow v5 knows a flow", int(np.count_nonzero(~has4 & ~has6)))
    return np.flatnonzero(has4)


def _has_value(source: Source, id: int) -> Bool:
    values = source.values(id)
    return np.zeros(source.count, np.bool_) if values is None else ~missing(values)


def _has_address(source: Source, ids: tuple[int, ...]) -> Bool:
    """Where one of these columns has an address that is not zero throughout."""
    found = np.zeros(source.count, np.bool_)
    for id in ids:
        values = source.values(id)
        if values is not None:
            plain = np.ma.getdata(values)
            found |= (plain != np.zeros((), plain.dtype)) & ~missing(values)
    return found


@dataclass(slots=True)
class _Making:
    """Makes one field after the other. used: names of the columns that went into any."""

    source: Source
    overflow: Overflow
    report: NetflowReport
    used: set[str]

    def column(self, id: int, length: int) -> Flat:
        """The values of a field, 0 where there is none."""
        values: Flat = np.zeros(self.source.count, np.uint64)
        unknown = np.ones(self.source.count, np.bool_)
        name = ""
        for of in _SOURCES.get(id, (id,)):
            given = self.source.values(of)
            if given is None or given.dtype.kind not in "iu":
                continue
            plain, there = np.ma.getdata(given), ~missing(given)
            column = self.source.name(of)
            self.used.add(column)
            if not name and there.all():
                name, values = column, plain
                unknown[:] = False
                continue
            take = unknown & there
            if of == _ICMP_TYPE_CODE:
                take |= self._is_icmp() & (values == 0) & there
            if take.any():
                name = column
                values = np.where(take, plain, values).astype(np.uint64)
                unknown &= ~take
            other = there & ~take & (plain != values)
            self.report.column(column, "another column takes its field", int(np.count_nonzero(other)))
        most = (1 << 8 * length) - 1
        if values.dtype.itemsize <= length or not len(values) or values.max() <= most:
            return values
        values = values.copy()
        self._fit(id, name)(values, values > most, most, name)
        return values

    def _is_icmp(self) -> Bool:
        protocol = self.source.values(4)
        if protocol is None:
            return np.zeros(self.source.count, np.bool_)
        is_icmp: Bool = np.ma.filled(protocol == _ICMP, fill_value=False)
        return is_icmp

    def _fit(self, id: int, name: str) -> Callable[[Flat, Bool, int, str], None]:
        if id in _AS:
            return self._as_trans
        if id in _INTERFACES:
            return self._unknown_interface
        return self._low_octet if id == _FLAGS else self._too_large

    def _as_trans(self, values: Flat, over: Bool, most: int, name: str) -> None:
        values[over] = AS_TRANS
        self.report.value(name, f"an AS number of 4 octets, told as AS_TRANS ({AS_TRANS})", int(np.count_nonzero(over)))

    def _unknown_interface(self, values: Flat, over: Bool, most: int, name: str) -> None:
        values[over] = 0
        self.report.value(name, f"above {most}, told as 0 (unknown)", int(np.count_nonzero(over)))

    def _low_octet(self, values: Flat, over: Bool, most: int, name: str) -> None:
        values &= values.dtype.type(most)
        self.report.value(name, "only the 8 low bits are told", int(np.count_nonzero(over)))

    def _too_large(self, values: Flat, over: Bool, most: int, name: str) -> None:
        if self.overflow == "error":
            row = int(over.argmax())
            why = f"{int(values[row])} does not fit NetFlow v5 (0 to {most}); overflow='saturate' sends the most"
            raise self.source.misfit(name, row, why)
        values[over] = most
        self.report.value(name, f"above {most}, told as that", int(np.count_nonzero(over)))
