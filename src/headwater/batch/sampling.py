"""Sampling: at what rate the packets of a flow were selected, who said so, and counters scaled by it.

samplingRate: packets observed for each packet selected, at least 1; null = not known. 1.0 stands only where somebody
said that nothing was left out. samplingSource: the word for where it came from (SOURCES). The counters of the record
are never changed; scaled ones are columns beside them, null where the rate is not known.

What elements say (RATES; a value of zero, or a rate below 1, says nothing):
* 305 and 306, packets selected in a row and packets left out after them: (305 + 306) / 305 (RFC 5477 §8.2.1-2). So
  1 in 500 is 305 = 1 and 306 = 499, while the old 34 is 500 for it; exporters that send both mean the same, and the
  current pair wins (akvorado#1189). 305 without 306 says nothing: how much is left out is what 306 tells.
* 307 and 308, the same in microseconds (§8.2.3-4). * 309 and 310, n of N: 310 / 309 (§8.2.5-6).
* 311, a probability: 1 / 311 (§8.2.7). * 34 and 50: one packet of so many (IANA; RFC 3954 §8).
* Where 304 names the method (1 count, 2 time, 3 n of N, 4 probability; RFC 5477 §8.1), its elements go first.

Where it is looked for, the first that knows (OPT-10, OPT-11):
1. record: the elements above in the record itself (Huawei NetStream sends 34 there).
2. header: the sampling field of NetFlow v5, 2 bits of mode and 14 of interval; an interval of 0 or 1 means that
   nothing was left out (Cisco; nfdump reads it so). Its exporters have no option records, and what another process
   at their address says does not count.
3. sampler: the options for the record's samplerId (48) or selectorId (302).
4. selectionSequence: those for its selectionSequenceId (301). Selectors in a row multiply (RFC 5476 §6.5.1); one that
   matches properties (304 = 5) leaves out nothing of what matches; one of unknown rate makes the whole unknown.
5. ingressInterface, then egressInterface: options with that interface as their scope. What is said of an interface
   beats what is said of the exporter.
6. exporter: options about the exporter, the domain or a process as a whole, or about interface 0. A sampler that
   flows do not refer to is not taken for one of the whole exporter: there can be others.
Which version of an option record counts, and what is taken where the own domain is silent, is told in options_tables.

Scaled counters are the count times the rate, rounded to the nearest integer, half to even; exact for integer rates;
null where 64 bits do not hold the result.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.batch.derived import Derived, field_of
from headwater.batch.fields import masked, null_column
from headwater.batch.lookup import Found, looked_up, looked_up_sets, number_field, numbers, spread, text_column
from headwater.batch.option_versions import VERSIONS_KEPT
from headwater.batch.options_tables import Aspect
from headwater.batch.scopes import Kind
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.option_versions import Origin
    from headwater.batch.options_tables import OptionsTables, Timeline
    from headwater.batch.records import Job
    from headwater.model.template import Template

Flat = npt.NDArray[Any]

SOURCES: Final = (
    None, "record", "header", "sampler", "selectionSequence", "ingressInterface", "egressInterface", "exporter"
)  # fmt: skip
"""What samplingSource can be, in the order in which they are asked."""

_RECORD, _HEADER, _SAMPLER, _SEQUENCE, _INGRESS, _EGRESS, _EXPORTER = range(1, len(SOURCES))


class Rule(NamedTuple):
    """How some elements tell a rate: `rate` of their values, which work as floats and as arrays of them.

    algorithm: the selectorAlgorithm (304) whose parameters they are, 0 = of none. ids, names: the elements.
    may_be_zero: which of them may be 0.
    """

    algorithm: int
    ids: tuple[int, ...]
    names: tuple[str, ...]
    rate: Callable[..., Any]
    may_be_zero: tuple[bool, ...]


def _with_space(interval: Any, space: Any) -> Any:
    return (interval + space) / interval


RATES: Final = (
    Rule(1, (305, 306), ("samplingPacketInterval", "samplingPacketSpace"), _with_space, (False, True)),
    Rule(3, (309, 310), ("samplingSize", "samplingPopulation"), lambda size, of: of / size, (False, False)),
    Rule(4, (311,), ("samplingProbability",), lambda probability: 1 / probability, (False,)),
    Rule(2, (307, 308), ("samplingTimeInterval", "samplingTimeSpace"), _with_space, (False, True)),
    Rule(0, (34,), ("samplingInterval",), lambda interval: interval, (False,)),
    Rule(0, (50,), ("samplerRandomInterval",), lambda interval: interval, (False,)),
)
_ALGORITHM: Final = 304
_PROBABILITY: Final = 311
_PROPERTY_MATCH: Final = 5
_MOST: Final = 1e15  # a rate beyond is no rate, and what is a float64 up to here is exact
_CHAIN: Final = 16


def rate_of(values: Mapping[str, Any]) -> float | None:
    """The sampling rate that an option record tells, None if it tells none."""
    algorithm = values.get("selectorAlgorithm")
    for rule in sorted(RATES, key=lambda rule: rule.algorithm != algorithm):
        numbers = [values.get(name) for name in rule.names]
        if not all(isinstance(number, int | float) for number in numbers):
            continue
        if all(number > 0 or (zero and number == 0) for number, zero in zip(numbers, rule.may_be_zero, strict=True)):  # type: ignore[operator]
            rate = float(rule.rate(*map(float, numbers)))  # type: ignore[arg-type]
            if 1.0 <= rate <= _MOST:
                return rate
    return None


def _rate_in_chain(values: Mapping[str, Any]) -> float | None:
    rate = rate_of(values)
    return 1.0 if rate is None and values.get("selectorAlgorithm") == _PROPERTY_MATCH else rate


def _selectors(values: Mapping[str, Any]) -> tuple[int, ...] | float | None:
    """Of a selection sequence: its rate if it tells one itself, else its selectors in order."""
    rate = rate_of(values)
    if rate is not None:
        return rate
    chain = tuple([number for name, number in values.items() if name.partition("#")[0] == "selectorId"])
    return chain if 0 < len(chain) <= _CHAIN and all(isinstance(one, int) for one in chain) else None


_RATE: Final = Aspect("sampling rate", rate_of)
_LINK: Final = Aspect("sampling rate in a chain", _rate_in_chain)
_SELECTORS: Final = Aspect("selectors", _selectors)


def _timeline(kinds: tuple[Kind, ...], tables: OptionsTables, origin: Origin, number: int) -> Timeline[float]:
    return tables.timeline(origin, kinds, number, _RATE)


def _sequence_timeline(tables: OptionsTables, origin: Origin, number: int) -> Timeline[float | None]:
    """The product of the rates of a selection sequence's selectors, from each time on when one of them changes."""
    chains = tables.timeline(origin, (Kind.SEQUENCE,), number, _SELECTORS)
    links = {
        selector: tables.timeline(origin, (Kind.SELECTOR, Kind.SAMPLER), selector, _LINK)
        for _, chain in chains
        if isinstance(chain, tuple)
        for selector in chain
    }
    times = {since for timeline in (chains, *links.values()) for since, _ in timeline}
    found = []
    for time in sorted(times)[-VERSIONS_KEPT:]:
        chain = _at(chains, time)
        rate: float | None = chain if isinstance(chain, float) else 1.0
        for selector in chain if isinstance(chain, tuple) else ():
            link = _at(links[selector], time)
            rate = None if rate is None or link is None else rate * link
        found.append((time, rate if rate is not None and rate <= _MOST else None))
    return tuple(found)


def _at(timeline: Timeline[Any], time: int) -> Any:
    """The version valid at a time."""
    return timeline[max(0, bisect_right(timeline, time, key=itemgetter(0)) - 1)][1] if timeline else None


# ---------------------------------------------------------------- columns


class Rates(NamedTuple):
    """rate: float64[n], NaN = not known. source: uint8[n], index into SOURCES."""

    rate: npt.NDArray[np.float64]
    source: npt.NDArray[np.uint8]


_IDS: Final = (_ALGORITHM, *(id for rule in RATES for id in rule.ids), 48, 302, 301, 10, 14)
"""Elements of a record that a rate can come from or be found by."""


@lru_cache(maxsize=4096)
def _fields(template: Template) -> dict[int, int]:
    """Index of the field of each of these elements that a Template has."""
    found = {id: (field_of if id == _PROBABILITY else number_field)(template, id) for id in _IDS}
    return {id: index for id, index in found.items() if index is not None}


def _sources(template: Template) -> tuple[int, ...]:
    return tuple(_fields(template).values())


def rates_of(job: Job, count: int, template: Template, values: list[Values]) -> Rates:
    """The sampling rate of each record; values: the columns of _sources, others may follow."""
    known = job.memo.get("sampling")
    if known is None:
        columns = dict(zip(_fields(template), map(numbers, values), strict=False))
        known = job.memo["sampling"] = _rates(job, count, columns)
    return known


def _rates(job: Job, count: int, columns: dict[int, Flat]) -> Rates:
    rate, source = np.full(count, np.nan), np.zeros(count, np.uint8)
    found = Rates(rate, source)
    _take(found, _RECORD, _own(columns, count))
    _take(found, _HEADER, _of_headers(job))
    for code, told in _told(job, columns):
        if source.all():
            break
        _take(found, code, _as_rates(told()))
    return found


_BY_FIELD: Final = (
    (_SAMPLER, 48, (Kind.SAMPLER, Kind.SELECTOR)),
    (_SAMPLER, 302, (Kind.SELECTOR, Kind.SAMPLER)),
    (_SEQUENCE, 301, (Kind.SEQUENCE,)),
    (_INGRESS, 10, (Kind.INGRESS,)),
    (_EGRESS, 14, (Kind.EGRESS,)),
)
"""(source, element of the record, by what it is found)."""


def _told(job: Job, columns: dict[int, Flat]) -> Iterable[tuple[int, Callable[[], Found]]]:
    """The places among options that can know a rate, in order."""
    tables = job.options
    if tables is None:
        return
    for code, id, kinds in _BY_FIELD:
        if id in columns:
            told = _sequence_timeline if code == _SEQUENCE else partial(_timeline, kinds)
            yield code, partial(looked_up, job, columns[id], partial(told, tables), tables.numbers(kinds))
    resolve = partial(_timeline, (Kind.EXPORTER,), tables)
    yield _EXPORTER, lambda: spread(job, looked_up_sets(job, resolve))


def _take(found: Rates, code: int, rates: Flat | None) -> None:
    """Take these rates where none is known yet."""
    if rates is None:
        return
    is_new = ~np.isnan(rates)
    is_new &= found.source == 0
    np.copyto(found.rate, rates, where=is_new)
    found.source[is_new] = code


def _as_rates(found: Found) -> Flat | None:
    if len(found.choices) == 1:
        return None
    rates = np.array([np.nan if one is None else one for one in found.choices], np.float64)
    return rates[found.at]


def _own(columns: dict[int, Flat], count: int) -> Flat | None:
    """What the elements in each record tell."""
    rules = [rule for rule in RATES if all(id in columns for id in rule.ids)]
    if not rules:
        return None
    by_rule = [(rule, _rule_rates(rule, [columns[id] for id in rule.ids])) for rule in rules]
    rates = np.full(count, np.nan)
    algorithm = columns.get(_ALGORITHM)
    if algorithm is not None:
        method: Flat = np.ma.filled(np.ma.asarray(algorithm), 0)
        for rule, told in by_rule:
            if rule.algorithm:
                np.copyto(rates, told, where=method == rule.algorithm)
    for _, told in by_rule:
        np.copyto(rates, told, where=np.isnan(rates))
    return rates


def _rule_rates(rule: Rule, values: list[Flat]) -> Flat:
    numbers = [np.ma.filled(np.ma.asarray(one).astype(np.float64), np.nan) for one in values]
    with np.errstate(all="ignore"):
        rates: Flat = np.asarray(rule.rate(*numbers), np.float64)
        good = (rates >= 1.0) & (rates <= _MOST)
        for number, zero in zip(numbers, rule.may_be_zero, strict=True):
            good &= (number >= 0) if zero else (number > 0)
    return np.where(good, rates, np.nan)


def _of_headers(job: Job) -> Flat | None:
    """What the headers of NetFlow v5 tell, for each record."""
    messages = job.sets.messages
    if messages.sampling is None:
        return None
    interval = np.maximum(messages.sampling & 0x3FFF, 1).astype(np.float64)
    told = np.where(messages.version == 5, interval, np.nan)
    return np.repeat(told[job.sets.message], job.sets.count)


def _rate_column(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    rate = rates_of(job, count, template, values).rate
    unknown = np.isnan(rate)
    return masked(rate.copy(), unknown) if unknown.any() else rate


def _source_column(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    return text_column(Found(list(SOURCES), rates_of(job, count, template, values).source.astype(np.intp)))


def _scaled_sources(id: int, template: Template) -> tuple[int, ...] | None:
    index = field_of(template, id)
    return None if index is None else (*_sources(template), index)


def _scaled(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    rates = rates_of(job, count, template, values)
    if not rates.source.any():
        return null_column(DataType.UNSIGNED64, count)
    return scaled(values[-1], rates.rate)


def scaled(counts: Values, rate: npt.NDArray[np.float64]) -> Values:
    """Counts times rates, see the module: uint64[n], null where the count is null or the rate NaN."""
    assert isinstance(counts, np.ndarray)
    raw = np.ma.getdata(counts).astype(np.uint64)
    null = np.isnan(rate) | np.ma.getmaskarray(np.ma.asarray(counts))
    usable = np.where(null, 1.0, rate)
    whole = usable.astype(np.uint64)
    is_whole = whole == usable
    result = raw * whole
    null |= is_whole & (raw > np.iinfo(np.uint64).max // whole)
    if not is_whole.all():
        product = np.rint(raw * usable)
        null |= ~is_whole & (product >= 2.0**64)
        product[null | is_whole] = 0
        result = np.where(is_whole, result, product.astype(np.uint64))
    return masked(result, null) if null.any() else result


_ALL: Final = (
    Derived("samplingRate", DataType.FLOAT64, _sources, _rate_column),
    Derived("samplingSource", DataType.STRING, _sources, _source_column),
    Derived("scaledOctetDeltaCount", DataType.UNSIGNED64, partial(_scaled_sources, 1), _scaled),
    Derived("scaledPacketDeltaCount", DataType.UNSIGNED64, partial(_scaled_sources, 2), _scaled),
)
SCALED_COUNTERS: Final = {
    "scaledOctetDeltaCount": "octetDeltaCount",
    "scaledPacketDeltaCount": "packetDeltaCount",
}
"""Scaled counters, and which counter each scales."""
DERIVED: Final = {derived.name: derived for derived in _ALL}
"""The columns by name."""
