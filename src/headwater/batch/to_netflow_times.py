"""When flows started and ended, in milliseconds of the uptime of the device that NetFlow takes us for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.batch.strings import Bool
from headwater.batch.times import instants
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_source import DERIVED, Overflow, Source, count_values, missing
from headwater.errors import EncodeError

I64 = npt.NDArray[np.int64]

_MS: Final = 1_000_000
_WRAP: Final = 1 << 32
_ABSOLUTE: Final = ((156, 154, 152, 150), (157, 155, 153, 151))
_UPTIMES: Final = (22, 21)
_DURATIONS: Final = ((161, 1_000_000), (162, 1_000))
_INIT: Final = 160
_RELATIVE: Final = (22, 21, 158, 159)
"""Times that need to know what the header of their Message said; _ENDS: those of ends."""
_ENDS: Final = (21, 159)

RESERVED: Final = "element 0 is reserved"
ILLEGAL_LENGTH: Final = "octets in a length that its type cannot have"

FLOW_TIMES: Final = frozenset((*_ABSOLUTE[0], *_ABSOLUTE[1], *_RELATIVE))
"""Elements that say when a flow started or ended: they become one pair of columns."""


@dataclass(frozen=True, slots=True)
class FlowTimes:
    """ms: int64[n] since 1970 of the start and of the end; unknown: bool[n], where nobody says."""

    ms: tuple[I64, I64]
    unknown: tuple[Bool, Bool]


def has_flow_times(source: Source) -> bool:
    """Whether the records say when their flows were."""
    return not FLOW_TIMES.isdisjoint(source.by_id) or any(name in source.others for name in DERIVED)


def flow_times(source: Source, report: NetflowReport) -> FlowTimes:
    """The start and the end of each flow, as far as its record tells.

    Derived columns come first, then absolute times from the finest unit to the coarsest, uptimes with
    systemInitTimeMilliseconds in the same record, then the other end and the duration.
    Raises EncodeError if a time is left that only the header of its Message can explain, and nobody asked for that.
    """
    ns, unknown = [], []
    for end in (0, 1):
        one_ns, one_unknown = _absolute(source, end)
        ns.append(one_ns)
        unknown.append(one_unknown)
    _with_durations(source, ns, unknown)
    for id in _RELATIVE:
        _check_explained(source, id, unknown[id in _ENDS], report)
    for end, name in enumerate(DERIVED):
        report.value(name, "cut to milliseconds", int(np.count_nonzero((ns[end] % _MS != 0) & ~unknown[end])))
    return FlowTimes((ns[0] // _MS, ns[1] // _MS), (unknown[0], unknown[1]))


def _check_explained(source: Source, id: int, unknown: Bool, report: NetflowReport) -> None:
    """Times that mean something only together with the header of their Message, or with what options say."""
    values = source.values(id)
    if values is None:
        return
    left = unknown & ~missing(values) & (np.ma.getdata(values) != 0)
    if not left.any():
        return
    if DERIVED[id in _ENDS] not in source.others and not source.incoming.scope_count:
        why = "only the header of its Message says when that was: read it with derived=('flowStart', 'flowEnd')"
        raise source.misfit(source.name(id), int(left.argmax()), why)
    report.column(source.name(id), "nobody has told when its exporter was booted", int(np.count_nonzero(left)))


def _absolute(source: Source, end: int) -> tuple[I64, Bool]:
    ns, unknown = np.zeros(source.count, np.int64), np.ones(source.count, np.bool_)
    offers = [source.others.get(DERIVED[end]), *(source.values(id) for id in _ABSOLUTE[end])]
    for column in offers:
        if isinstance(column, np.ndarray) and column.dtype.kind == "M" and unknown.any():
            _offer(ns, unknown, *instants(column))
    init, uptime = source.values(_INIT), source.values(_UPTIMES[end])
    if init is not None and uptime is not None:
        boot_ns, bad = instants(init)
        unfit = missing(uptime) if bad is None else missing(uptime) | bad
        _offer(ns, unknown, boot_ns + np.ma.getdata(uptime).astype(np.int64) * _MS, unfit)
    return ns, unknown


def _offer(ns: I64, unknown: Bool, values: I64, bad: Bool | None) -> None:
    take = unknown if bad is None else unknown & ~bad
    ns[take] = values[take]
    unknown &= ~take


def _with_durations(source: Source, ns: list[I64], unknown: list[Bool]) -> None:
    for id, unit_ns in _DURATIONS:
        column = source.values(id)
        if column is None:
            continue
        length = np.ma.getdata(column).astype(np.int64) * unit_ns
        for end, sign in ((0, -1), (1, 1)):
            take = unknown[end] & ~unknown[1 - end] & ~missing(column)
            ns[end][take] = ns[1 - end][take] + sign * length[take]
            unknown[end] = unknown[end] & ~take


def to_uptimes(
    times: FlowTimes, booted_ms: int, source: Source, overflow: Overflow, report: NetflowReport
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The sysUpTime at the start and at the end, modulo 2^32 as in any router; 0 where it is unknown.

    Raises EncodeError for a flow from before the boot, unless `overflow` says to move it there.
    """
    out = []
    for name, ms, unknown in zip(DERIVED, times.ms, times.unknown, strict=True):
        uptime = np.where(unknown, 0, ms - booted_ms)
        early = uptime < 0
        if early.any():
            if overflow == "error":
                row = int(early.argmax())
                why = f"{-int(uptime[row])} ms before the boot, which NetFlow counts from: give an earlier `booted`"
                raise source.misfit(name, row, why)
            report.value(name, "before the boot, moved to it", int(np.count_nonzero(early)))
            uptime[early] = 0
        out.append((uptime % _WRAP).astype(np.uint32))
    return out[0], out[1]


def boot_ms(booted: float) -> int:
    """Milliseconds since 1970. Raises EncodeError."""
    if not 0 <= booted < 1 << 33:
        raise EncodeError(f"booted is {booted!r}; it is seconds since 1970")
    return round(booted * 1000)


def report_unused(source: Source, used: set[str], why: str, report: NetflowReport) -> None:
    """Tell of the columns that nothing was made of."""
    for index, name in enumerate(source.incoming.names):
        if name not in used:
            is_legal = source.incoming.types[index] is source.incoming.elements[index].type
            report.column(name, why if is_legal else ILLEGAL_LENGTH, source.filled(index))
    for name, values in source.others.items():
        if name not in used:
            report.column(name, "no Information Element", count_values(values))
