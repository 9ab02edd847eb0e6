"""What option records say of each record of some flows: worked out once per distinct value, then spread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.fields import null_column
from headwater.batch.option_versions import Origin
from headwater.batch.scopes import Kind
from headwater.batch.strings import Strings
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.options_tables import Aspect, OptionsTables, Timeline
    from headwater.batch.records import Job
    from headwater.model.template import Template
    from headwater.session.events import Messages

Flat = npt.NDArray[Any]
Numbers = npt.NDArray[np.intp]
Resolve = Callable[[Origin, int], "Timeline[Any]"]

_NUMBER_OCTETS: Final = 8
_NEVER: Final = 1 << 32  # later than any Export Time
_VERSION_BITS: Final = 4  # as many as versions 1 to 10 need
_FEW: Final = 512
_SLOTS: Final = 1 << 16
_TOP_BITS: Final = np.uint64(48)
_MIX: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
_TEXT_OCTETS: Final = 1 << 30
"""Octets of one column of joined names; where there would be more, which only very long names bring about, the names
are cut short."""


class Found(NamedTuple):
    """For each of n records or Messages one of a few things: choices[at[i]]. choices[0] is None, for nothing."""

    choices: list[Any]
    at: Numbers


def number_field(template: Template, id: int) -> int | None:
    """Index of the Template's first field of an IANA element, an unsigned integer; also in too many octets, up to 8.

    Samplers' ids are sent in 2 or 4 octets (Cisco, Huawei) where one is all that IANA grants.
    """
    for index, field in enumerate(template.fields):
        if field.element.key == (0, id) and (field.is_legal or 0 < field.length <= _NUMBER_OCTETS):
            return index
    return None


def numbers(values: Values) -> Flat:
    """A column of number_field as numbers."""
    if not isinstance(values, Strings):
        assert isinstance(values, np.ndarray)
        return values
    wide = np.zeros((len(values), _NUMBER_OCTETS), np.uint8)
    octets = values.data.reshape(len(values), -1) if len(values) else wide
    wide[:, _NUMBER_OCTETS - octets.shape[1] :] = octets
    return wide.view(">u8")[:, 0].astype(np.uint64)


def looked_up(job: Job, values: Values, resolve: Resolve, among: Collection[int]) -> Found:
    """What `resolve(origin, value)` gives for each record, in the version valid at its Message's Export Time.

    values: a value for each record, see `numbers`; a null finds nothing. among: the values that can find something.
    """
    values = numbers(values)
    sets = job.sets
    origins, of_message = _origins(job)
    mask = np.ma.getmask(values) if isinstance(values, np.ma.MaskedArray) else np.ma.nomask
    known, at = _known(*distinct(np.ma.getdata(values)), among)
    who = np.zeros(len(known), np.intp)
    if len(origins) > 1:
        pairs, at = distinct(at * len(origins) + np.repeat(of_message[sets.message], sets.count))
        who, known = pairs % len(origins), known[pairs // len(origins)]
    timelines = [
        resolve(origins[one], number) if number in among else ()
        for one, number in zip(who.tolist(), known.tolist(), strict=True)
    ]
    found = _in_time(timelines, at, sets.messages.export_time[sets.message], sets.count)
    if mask is not np.ma.nomask:
        found.at[mask] = 0
    return found


def looked_up_sets(job: Job, resolve: Resolve) -> Found:
    """The same for each Set of a DataSets, of what does not depend on the record: resolve gets 0 for the value."""
    sets = job.sets
    origins, of_message = _origins(job)
    timelines = [resolve(origin, 0) for origin in origins]
    return _in_time(timelines, of_message[sets.message], sets.messages.export_time[sets.message])


def looked_up_messages(tables: OptionsTables, messages: Messages, aspect: Aspect) -> Found:
    """What is said of the exporter of each Message."""
    origins, of_message = _origins_of(messages)
    timelines = [tables.timeline(origin, (Kind.EXPORTER,), 0, aspect) for origin in origins]
    return _in_time(timelines, of_message, messages.export_time)


def spread(job: Job, found: Found) -> Found:
    """What was found for each Set, for each record."""
    return Found(found.choices, np.repeat(found.at, job.sets.count))


def text_column(found: Found) -> Values:
    """The texts as a column; what is no text, or empty, is null."""
    octets = [one.encode("utf-8", "replace") if isinstance(one, str) else b"" for one in found.choices]
    at, count = found.at, len(found.at)
    if not any(octets) or not count:
        return null_column(DataType.STRING, count)
    longest = max(16, _TEXT_OCTETS // count)
    if max(map(len, octets)) > longest:
        octets = [one[:longest].decode("utf-8", "ignore").encode() for one in octets]
    size = np.array([len(one) for one in octets], np.int32)
    end = np.cumsum(size, dtype=np.int32)
    offsets, data = kernel.strings(np.frombuffer(b"".join(octets), np.uint8), end[at], size[at])
    valid = (size > 0)[at]
    return Strings(offsets, data, None if valid.all() else valid)


def distinct(values: Flat) -> tuple[Flat, Numbers]:
    """(the unsigned values that there are, in any order, and for each of n the index of its value)."""
    count = len(values)
    if count < _FEW:
        return _sorted(values)
    low = values.min()
    span = int(values.max()) - int(low)
    if span < max(_SLOTS, count):
        from_low = values - low if low else values
        seen = np.zeros(span + 1, np.bool_)
        seen[from_low] = True
        there = np.flatnonzero(seen)
        index = np.zeros(span + 1, np.intp)
        index[there] = np.arange(len(there))
        return there.astype(values.dtype) + low, index[from_low]
    return _hashed(values)


def _known(values: Flat, at: Numbers, among: Collection[int]) -> tuple[Flat, Numbers]:
    """Of many distinct values those that are among some; the others become one of them."""
    if len(values) < _FEW:
        return values, at
    is_known = np.isin(values.astype(np.uint64), np.fromiter(among, np.uint64, len(among)))
    others = np.flatnonzero(~is_known)
    if len(others) < 2:
        return values, at
    is_known[others[0]] = True
    index = np.cumsum(is_known) - 1
    index[others] = index[others[0]]
    return values[is_known], index[at]


def _hashed(values: Flat) -> tuple[Flat, Numbers]:
    """As `distinct`, without a sort of all: slots by hash remember who came last, and so share a value or do not."""
    count = len(values)
    slots = (values.astype(np.uint64) * _MIX >> _TOP_BITS).astype(np.intp)
    order = np.arange(count)
    last = np.zeros(_SLOTS, np.intp)
    last[slots] = order
    leader = last[slots]
    found = np.flatnonzero(leader == order)
    number = np.zeros(count, np.intp)
    number[found] = np.arange(len(found))
    at = number[leader]
    rest = np.flatnonzero(values[leader] != values)
    if not len(rest):
        return values[found], at
    others, where = _sorted(values[rest])
    at[rest] = where + len(found)
    return np.concatenate([values[found], others]), at


def _sorted(values: Flat) -> tuple[Flat, Numbers]:
    unique, at = np.unique(values, return_inverse=True)
    return unique, at.reshape(-1)


def _in_time(timelines: Sequence[Timeline[Any]], at: Numbers, times: Flat, counts: Flat | None = None) -> Found:
    """For each of n its timeline's version at its time.

    at: intp[n], index of the timeline. times: the Export Times of the n, or of the Sets that have `counts` of them.
    """
    choices: list[Any] = [None]
    first = np.zeros(len(timelines), np.intp)
    since_by_rank: list[npt.NDArray[np.int64]] = []
    earliest, latest = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    for number, timeline in enumerate(timelines):
        if not timeline:
            continue
        first[number] = len(choices)
        versions = timeline
        if timeline[-1][0] <= earliest:  # as a rule nothing changes in the time of a batch
            versions = timeline[-1:]
        elif len(timeline) > 1 and timeline[1][0] > latest:
            versions = timeline[:1]
        choices += [told for _, told in versions]
        for rank in range(1, len(versions)):
            if rank > len(since_by_rank):
                since_by_rank.append(np.full(len(timelines), _NEVER, np.int64))
            since_by_rank[rank - 1][number] = versions[rank][0]
    found = first[at]
    if since_by_rank and counts is not None:
        times = np.repeat(times, counts)
    for since in since_by_rank:  # ascending, so as many as have begun are behind the first
        found += times >= since[at]
    return Found(choices, found)


def _origins(job: Job) -> tuple[list[Origin], Numbers]:
    known = job.memo.get("origins")
    if known is None:
        known = job.memo["origins"] = _origins_of(job.sets.messages)
    return known


def _origins_of(messages: Messages) -> tuple[list[Origin], Numbers]:
    """(the origins of some Messages, the index of each Message's)."""
    codes = messages.domain.astype(np.int64) << _VERSION_BITS | messages.version
    if messages.peer is not None:
        codes |= messages.peer.astype(np.int64) << _VERSION_BITS + 32
    found, at = distinct(codes)
    origins = []
    for code in found.tolist():
        whose, version = code >> _VERSION_BITS, code & (1 << _VERSION_BITS) - 1
        origins.append(Origin.of(messages.keys[whose >> 32], whose & 0xFFFF_FFFF, version))
    return origins, at
