"""When flows started and ended, in one unit from whatever a record says: flowStart, flowEnd, flowDuration, timeSource.

The one place that decides. Of each end of a flow the first of these that a record has counts; a value that is null or
zero is none, and none of the fields is changed:

1. nanoseconds (156, 157), 2. microseconds (154, 155), 3. milliseconds (152, 153), 4. seconds (150, 151);
5. microseconds before the Export Time (158, 159);
6. milliseconds of uptime (22, 21), with what the header of a NetFlow message says, or with systemInitTimeMilliseconds
   (160) of the record or of an option record of the exporter;
7. the other end and the duration (161, 162);
8. the observation time (325 to 322): the end of what has no other; start and end of what has no flow times at all.

What cannot be decided, and what int64 nanoseconds do not reach (before 1677, after 2262), is null.

timeSource is one of

    flowStartNanoseconds, flowStartMicroseconds, flowStartMilliseconds, flowStartSeconds,
    flowStartDeltaMicroseconds+exportTime, flowStartSysUpTime+header, flowStartSysUpTime+systemInitTimeMilliseconds,
    flowDurationMilliseconds, flowDurationMicroseconds, and observationTime… with the same four units,

with flowEnd for flowStart where only the end is known. Where the ends come from different fields it is the source of
the start and that of the end with `; ` between. ` (suspect)` follows an uptime that gives a time later than its
Message, before the boot or 20 years after it, and one with an Export Time of 0. Null: neither end is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.derived import Derived
from headwater.batch.fields import masked
from headwater.batch.strings import Bool, Strings
from headwater.batch.uptime import UPTIME_MOST_MS, Uptimes
from headwater.model.types import DataType
from headwater.wire.values import NTP_EPOCH

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.records import Job
    from headwater.model.template import Template

I64 = npt.NDArray[np.int64]

_NS: Final = 1_000_000_000
_FURTHEST: Final = (1 << 63) - 1
_U32_MOST: Final = (1 << 32) - 1
_ERA_STARTS: Final = tuple([(era * (1 << 32) - NTP_EPOCH) * _NS for era in range(3)])
"""What an NTP timestamp of zero octets means, by era: nobody filled it in."""

SUSPECT: Final = " (suspect)"
"""What timeSource says of a time that there is reason to doubt."""

UNITS: Final = ("Nanoseconds", "Microseconds", "Milliseconds", "Seconds")
_UPTIMES: Final = ("SysUpTime+header", "SysUpTime+systemInitTimeMilliseconds")
_DURATIONS: Final = ("flowDurationMilliseconds", "flowDurationMicroseconds")
_OBSERVED: Final = tuple([f"observationTime{unit}" for unit in UNITS])
_NAMES: Final = (
    ("", ""),
    *[(f"flowStart{unit}", f"flowEnd{unit}") for unit in UNITS],
    ("flowStartDeltaMicroseconds+exportTime", "flowEndDeltaMicroseconds+exportTime"),
    *[(f"flowStart{base}{mark}", f"flowEnd{base}{mark}") for base in _UPTIMES for mark in ("", SUSPECT)],
    *[(name, name) for name in (*_DURATIONS, *_OBSERVED)],
)
"""(what timeSource says of a start, of an end) by code; 0 = unknown."""
_CODE: Final = {start: code for code, (start, _) in enumerate(_NAMES)}

_ABSOLUTE: Final = tuple([(156 - 2 * k, 157 - 2 * k, _CODE[f"flowStart{unit}"]) for k, unit in enumerate(UNITS)])
_EVENTS: Final = tuple([(325 - k, _CODE[name]) for k, name in enumerate(_OBSERVED)])
_LENGTHS: Final = ((161, 1_000_000, _CODE[_DURATIONS[0]]), (162, 1_000, _CODE[_DURATIONS[1]]))
_IDS: Final = frozenset((21, 22, *range(150, 163), *range(322, 326)))


@dataclass(slots=True)
class _End:
    """One end of n flows as it becomes known.

    ns: int64[n] since 1970. missing: where it is unknown, True = everywhere, False = nowhere.
    code: of the source, one for all or uint8[n]; 0 where it is unknown.
    """

    ns: I64
    missing: Bool | bool = True
    code: int | npt.NDArray[np.uint8] = 0

    def offer(self, ns: I64, bad: Bool | None, code: int | npt.NDArray[np.uint8]) -> None:
        """Take these values where there is none yet, except bad ones."""
        if self.missing is True and bad is None:
            self.ns, self.missing, self.code = ns, False, code
            return
        if self.missing is False:
            return
        take = np.ones(len(ns), np.bool_) if self.missing is True else self.missing
        if bad is not None:
            take = take & ~bad
        self.ns = np.where(take, ns, self.ns)
        self.code = np.where(take, code, self.code).astype(np.uint8)
        left = (np.ones(len(ns), np.bool_) if self.missing is True else self.missing) & ~take
        self.missing = left if left.any() else False

    def mask(self) -> Bool | None:
        """Where it is unknown; None = nowhere."""
        if isinstance(self.missing, bool):
            return np.ones(len(self.ns), np.bool_) if self.missing else None
        return self.missing


@dataclass(slots=True)
class _Flows:
    """The records of one DataSets while their times are being found. by_id: their time fields, by IANA element."""

    job: Job
    count: int
    by_id: dict[int, npt.NDArray[Any]]
    start: _End = field(init=False)
    end: _End = field(init=False)

    def __post_init__(self) -> None:
        nothing = np.zeros(self.count, np.int64)
        self.start, self.end = _End(nothing), _End(nothing)

    def resolve(self) -> None:
        """Find them."""
        for start, end, code in _ABSOLUTE:
            self._absolute(self.start, start, code)
            self._absolute(self.end, end, code)
        uptimes = Uptimes(self.job, self.count)
        self._before_export(uptimes)
        for base, name in enumerate(_UPTIMES):
            self._uptime(uptimes, base, _CODE[f"flowStart{name}"])
        self._durations()
        is_event = _both(self.start.missing, self.end.missing)
        for id, code in _EVENTS:
            if id in self.by_id:
                ns, bad = instants(self.by_id[id])
                self.end.offer(ns, bad, code)
                if is_event is not False:
                    unfit = None if is_event is True else ~is_event
                    self.start.offer(ns, _either(bad, unfit), code)

    def _absolute(self, end: _End, id: int, code: int) -> None:
        if end.missing is not False and id in self.by_id:
            end.offer(*instants(self.by_id[id]), code)

    def _before_export(self, uptimes: Uptimes) -> None:
        for end, id in ((self.start, 158), (self.end, 159)):
            if end.missing is not False and id in self.by_id:
                delta, bad = _counts(self.by_id[id], _U32_MOST)
                end.offer(uptimes.export_ns() - delta.astype(np.int64) * 1000, bad, _CODE[_NAMES[5][0]])

    def _uptime(self, uptimes: Uptimes, base: int, code: int) -> None:
        wanted = [(end, self.by_id[id]) for end, id in ((self.start, 22), (self.end, 21)) if id in self.by_id]
        if all(end.missing is False for end, _ in wanted):
            return
        columns = [_counts(column, UPTIME_MOST_MS) for _, column in wanted]
        found = uptimes.from_header if base == 0 else partial(uptimes.from_init, record=self.by_id.get(160))
        for (end, _), (_, bad), instant in zip(wanted, columns, found([ms for ms, _ in columns]), strict=True):
            if instant is not None:
                suspect = instant.suspect
                codes = code if suspect is None else (code + suspect).astype(np.uint8)
                end.offer(instant.ns, _either(instant.bad, bad), codes)

    def _durations(self) -> None:
        for id, ns_per_unit, code in _LENGTHS:
            if id not in self.by_id or (self.start.missing is False and self.end.missing is False):
                continue
            units, bad = _counts(self.by_id[id], _U32_MOST)
            length = units.astype(np.int64) * ns_per_unit
            start, end = self.start, self.end
            no_start, no_end = start.mask(), end.mask()
            later, earlier = start.ns + length, end.ns - length  # wrapped around where int64 is too short
            if no_end is not None:
                end.offer(later, _either(_either(bad, no_start), later < start.ns), code)
            if no_start is not None:
                start.offer(earlier, _either(_either(bad, no_end), earlier > end.ns), code)


def instants(column: npt.NDArray[Any]) -> tuple[I64, Bool | None]:
    """(ns since 1970, where there is none) of a column of times: null, zero, or beyond int64."""
    counts = np.ma.getdata(column).view(np.int64)
    per_unit = _NS // _ticks(column)
    bad = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    if len(counts) and (counts.min() <= 0 or counts.max() > _FURTHEST // per_unit):
        bad = _either(bad, (counts == 0) | (counts > _FURTHEST // per_unit) | (counts < -(_FURTHEST // per_unit)))
    if column.dtype in ("M8[us]", "M8[ns]"):
        for unset in _ERA_STARTS:
            empty = counts == unset // per_unit
            if empty.any():
                bad = _either(bad, empty)
    if bad is not None and per_unit > 1:
        counts = np.where(bad, 0, counts)
    return (counts * per_unit if per_unit > 1 else counts), bad


def _ticks(column: npt.NDArray[Any]) -> int:
    unit = np.datetime_data(column.dtype)[0]
    return {"s": 1, "ms": 1000, "us": 1_000_000, "ns": _NS}[unit]


def _counts(column: npt.NDArray[Any], most: int) -> tuple[npt.NDArray[np.uint32], Bool | None]:
    """(values modulo 2^32, where there is none: null, or more than `most`); NetFlow v9 can have them in 8 octets."""
    values = np.ma.getdata(column)
    bad = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    if values.dtype.itemsize > 4 and len(values) and values.max() > most:
        bad = _either(bad, values > most)
    return values.astype(np.uint32, copy=False), bad


def _either(a: Bool | None, b: Bool | None) -> Bool | None:
    if a is None or b is None:
        return b if a is None else a
    return a | b


def _both(a: Bool | bool, b: Bool | bool) -> Bool | bool:
    if a is False or b is False:
        return False
    if a is True:
        return b
    return a if b is True else np.logical_and(a, b)


# ---------------------------------------------------------------- columns


@lru_cache(maxsize=64)
def _time_fields(template: Template) -> tuple[tuple[int, int], ...]:
    """(element id, index) of the fields that tell times; of an element that comes again, the first."""
    found: dict[int, int] = {}
    for index, one in enumerate(template.fields):
        if one.element.pen == 0 and one.element.id in _IDS and one.is_legal:
            found.setdefault(one.element.id, index)
    return tuple(found.items())


def _sources(template: Template) -> tuple[int, ...] | None:
    found = _time_fields(template)
    # a time of the boot or a duration alone tells nothing
    return tuple([index for _, index in found]) if {id for id, _ in found} - {160, 161, 162} else None


def _resolved(job: Job, count: int, template: Template, values: list[Values]) -> _Flows:
    flows = job.memo.get("times")
    if flows is None:
        ids = [id for id, _ in _time_fields(template)]
        flows = job.memo["times"] = _Flows(job, count, dict(zip(ids, values, strict=True)))  # type: ignore[arg-type]
        flows.resolve()
    assert isinstance(flows, _Flows)
    return flows


def _flow_start(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    return _column(_resolved(job, count, template, values).start)


def _flow_end(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    return _column(_resolved(job, count, template, values).end)


def _column(end: _End) -> Values:
    mask = end.mask()
    times: npt.NDArray[Any] = end.ns.view("M8[ns]")
    return times if mask is None else masked(times.copy(), mask)


def _flow_duration(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    flows = _resolved(job, count, template, values)
    start, end = flows.start.ns, flows.end.ns
    duration = end - start
    mask = _either(flows.start.mask(), flows.end.mask())
    if count and start.min() < 0:  # only then can int64 be too short
        mask = _either(mask, ((end ^ start) & (end ^ duration)) < 0)
    return duration if mask is None or not mask.any() else masked(duration, mask)


def _time_source(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    flows = _resolved(job, count, template, values)
    start, end = flows.start.code, flows.end.code
    if isinstance(start, int) and isinstance(end, int):
        text = np.frombuffer(_text(start, end).encode(), np.uint8)
        validity = None if len(text) else np.zeros(count, np.bool_)
        return Strings(np.arange(count + 1, dtype=np.int32) * len(text), np.tile(text, count), validity)
    pairs = np.zeros(count, np.intp) + start * np.intp(len(_NAMES)) + end
    used = np.flatnonzero(np.bincount(pairs, minlength=len(_NAMES) ** 2)).tolist()
    texts = [_text(*divmod(pair, len(_NAMES))).encode() for pair in used]
    sizes, ends = np.zeros((2, len(_NAMES) ** 2), np.int32)
    sizes[used] = [len(text) for text in texts]
    ends[used] = np.cumsum(sizes[used])
    octets = np.frombuffer(b"".join(texts), np.uint8)
    return Strings(*kernel.strings(octets, ends[pairs], sizes[pairs]), None if pairs.all() else pairs != 0)


def _text(start: int, end: int) -> str:
    """What timeSource says: both sources, or one if it gave both ends or the other end is unknown."""
    names = _NAMES[start][0], _NAMES[end][1]
    if start == end or not end:
        return names[0]
    return f"{names[0]}; {names[1]}" if start else names[1]


DERIVED: Final = {
    derived.name: derived
    for derived in (
        Derived("flowStart", DataType.NANOSECONDS, _sources, _flow_start),
        Derived("flowEnd", DataType.NANOSECONDS, _sources, _flow_end),
        Derived("flowDuration", DataType.SIGNED64, _sources, _flow_duration),
        Derived("timeSource", DataType.STRING, _sources, _time_source),
    )
}
"""The columns of this file by name."""
