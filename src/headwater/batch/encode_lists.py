"""Structured data (RFC 6313) from columns, at any depth and without a loop over rows; the inverse of nested.py.

The content of a list is runs of items: one run in each basicList and subTemplateList, one for each group of a
subTemplateMultiList. Items of one element or Template are records like any others: they are measured first, and then
written where the lists that hold them have their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.misfit import NULL, Misfit
from headwater.batch.strings import I32, U8, Bool, Strings
from headwater.batch.subset import subset
from headwater.model.element import InformationElement
from headwater.model.template import VARIABLE, Field, Template
from headwater.model.types import DataType
from headwater.wire.lists import GROUP_HEADER, MULTI_HEADER

if TYPE_CHECKING:
    from headwater.batch.encode import Encoding, Measured
    from headwater.batch.lists import Values

Index = npt.NDArray[np.intp]
Wide = npt.NDArray[np.int64]
Header = tuple[int, int]  # the octets of a header as a number, and how many they are

_MOST = 65535
_PREFIX = 3  # lists have "the three-octet length encoding" (RFC 6313 §5.1)
_PREFIX_PLAN = np.array([(0, -_PREFIX, _PREFIX, 0)], np.int32)
_SEMANTIC_PLAN = np.array([(0, 0, 1, 0)], np.int32)
_SEMANTIC = 1
_UNREAD = "null, because its octets could not be read: lossless=True sends them again"


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of items of one kind, each behind a header.

    rows: row of each of k runs, ascending. begin: int64[k], where each begins in its list. header: uint64[k], of
    `width` octets. counts: int64[k], items of each.
    """

    rows: Index
    begin: Wide | int
    header: npt.NDArray[np.uint64]
    width: int
    counts: Wide
    items: Measured

    def write(self, buf: U8, start: Wide) -> None:
        """Write the runs of lists that begin at `start`."""
        at = start[self.rows] + self.begin
        plan = np.array([(0, 0, self.width, 0)], np.int32)
        kernel.scatter(buf, at.astype(np.int32)[None], plan, [self.header])
        if self.items.count:
            self.items.write(buf, self.items.positions(at + self.width, self.counts))


@dataclass(frozen=True, slots=True, eq=False)
class ListContent:
    """Lists that were measured.

    length: int64[n], octets of each. sizes: int32[n], with the length prefix where the field is of variable length.
    raw: (rows, octets) of values that go out as they came.
    """

    length: Wide
    sizes: I32
    is_variable: bool
    semantics: U8
    runs: list[Runs]
    raw: tuple[Index, Strings] | None

    def write(self, buf: U8, end: I32) -> None:
        """Write each list, and its length before it, so that it ends at `end`."""
        start = end - self.length
        if self.is_variable:
            prefix = (self.length | 0xFF << 16).astype(np.uint32)
            kernel.scatter(buf, start.astype(np.int32)[None], _PREFIX_PLAN, [prefix])
        at, semantics = start, self.semantics
        if self.raw is not None:
            rows, octets = self.raw
            at, semantics = np.delete(at, rows), np.delete(semantics, rows)
            _write_octets(buf, start[rows], octets)
        kernel.scatter(buf, at.astype(np.int32)[None], _SEMANTIC_PLAN, [semantics])
        for runs in self.runs:
            runs.write(buf, start)


def measure_lists(type: DataType, length: int, encoding: Encoding, values: Values, count: int) -> ListContent:
    """The lists of a field, ready to be written. Raises Misfit."""
    if not isinstance(values, Lists) or values.type is not type:
        kind = values.type.label if isinstance(values, Lists) else f"a {values.__class__.__name__}"
        raise Misfit(None, f"{kind} where {type.label} is needed")
    if len(values) != count:
        raise Misfit(None, f"{len(values)} values for {count} records")
    unread = _unread(encoding, values)
    if isinstance(values, MultiLists):
        octets, runs = _multi_runs(encoding, values)
    else:
        runs = list(_single_runs(encoding, values, unread))
        octets = np.zeros(count, np.int64)
        for part in runs:
            octets[part.rows] = _SEMANTIC + part.width + part.items.octets(part.counts)
    raw = None
    if unread is not None:
        assert values.null_octets is not None
        raw = np.flatnonzero(unread), values.null_octets
        octets[unread] = np.diff(values.null_octets.offsets)
    _check_lengths(octets, length)
    is_variable = length == VARIABLE
    sizes = (octets + _PREFIX if is_variable else octets).astype(np.int32)
    return ListContent(octets, sizes, is_variable, values.semantics, runs, raw)


def _unread(encoding: Encoding, values: Lists) -> Bool | None:
    """The rows that go out as the octets that came, None if there are none."""
    null = None if values.validity is None else ~values.validity
    if null is None or not np.count_nonzero(null):
        return None
    if encoding.lossless and values.null_octets is not None:
        return null
    if encoding.nulls == "error":
        raise Misfit(int(null.argmax()), NULL if values.null_octets is None else _UNREAD)
    return None


def _check_lengths(octets: Wide, length: int) -> None:
    if length != VARIABLE:
        wrong = octets != length
        if np.count_nonzero(wrong):
            row = int(wrong.argmax())
            raise Misfit(row, f"a list of {octets[row]} octets where the field has exactly {length}")
    elif np.maximum.reduce(octets, initial=0) > _MOST:
        row = int(octets.argmax())
        raise Misfit(row, f"a list of {octets[row]} octets is longer than any field ({_MOST} octets)")


# ---------------------------------------------------------------- basicList, subTemplateList


def _single_runs(encoding: Encoding, values: Lists, unread: Bool | None) -> Iterator[Runs]:
    """The one run of each list; nulls that are not `unread` are empty."""
    left = np.ones(len(values), np.bool_) if unread is None else ~unread
    for number, group in enumerate(values.groups):
        here = left if values.which is None else left & (values.which == number)
        rows = np.flatnonzero(here)
        for header, template, some in _kinds(encoding, group, rows):
            counts = (group.offsets[some + 1] - group.offsets[some]).astype(np.int64)
            if values.validity is not None:
                counts[~values.validity[some]] = 0
            which = _ranges(group.offsets[some], counts)
            items = _measured(encoding, template, group.items, some, counts, which)
            value, width = header
            yield Runs(some, _SEMANTIC, np.full(len(some), value, np.uint64), width, counts, items)
        left = left & ~here
    if np.count_nonzero(left):
        raise Misfit(int(left.argmax()), "nothing tells what it is a list of, which an empty list must tell too")


def _kinds(encoding: Encoding, group: ListGroup, rows: Index) -> Iterator[tuple[Header, Template, Index]]:
    """(header, Template of the items, rows) of a group; elements of several lengths are several kinds."""
    if not len(rows):
        return
    if not isinstance(group.of, InformationElement):
        template = encoding.inner_template(group.of)
        yield (template.id, 2), template, rows
        return
    lengths = group.length if isinstance(group.length, int) else group.length[rows]
    for length in [lengths] if isinstance(lengths, int) else np.unique(lengths).tolist():
        some = rows if isinstance(lengths, int) else rows[lengths == length]
        yield _basic_header(group.of, length), _template_of(group.of, length), some


def _basic_header(element: InformationElement, length: int) -> Header:
    if element.pen:
        return (element.id | 0x8000) << 48 | length << 32 | element.pen, 8
    return element.id << 16 | length, 4


@lru_cache(maxsize=4096)
def _template_of(element: InformationElement, length: int) -> Template:
    return Template(0, (Field(element, length),))


# ---------------------------------------------------------------- subTemplateMultiList


def _multi_runs(encoding: Encoding, values: MultiLists) -> tuple[Wide, list[Runs]]:
    """(octets of each list, the runs of its groups in the order that they are kept in)."""
    parent, ids = values.parent, values.ids
    if values.validity is not None and not values.validity[parent].all():
        raise Misfit(int(parent[values.validity[parent].argmin()]), "a null that has groups")
    sizes = np.zeros(len(parent), np.int64)
    parts = []
    for group in values.groups:
        assert isinstance(group.of, Template)
        mine = np.flatnonzero(ids == group.of.id)
        if len(mine):
            parts.append((mine, *_groups(encoding, group, parent[mine])))
            sizes[mine] = GROUP_HEADER + parts[-1][2].octets(parts[-1][3])
    if len(sizes) and not sizes.all():
        row = int(parent[sizes.argmin()])
        raise Misfit(row, f"a group of Template {ids[sizes.argmin()]}, of which there are no records")
    before = np.zeros(len(sizes) + 1, np.int64)
    np.add.accumulate(sizes, out=before[1:])
    bounds = np.zeros(len(values) + 1, np.intp)
    np.add.accumulate(np.bincount(parent, minlength=len(values)), out=bounds[1:])
    runs = [
        Runs(
            parent[mine],
            MULTI_HEADER + before[mine] - before[bounds[parent[mine]]],
            (id << 16 | sizes[mine]).astype(np.uint64),
            GROUP_HEADER,
            counts,
            items,
        )
        for mine, id, items, counts in parts
    ]
    return MULTI_HEADER + before[bounds[1:]] - before[bounds[:-1]], runs


def _groups(encoding: Encoding, group: ListGroup, rows: Index) -> tuple[int, Measured, Wide]:
    """(Template ID, all records, how many in each of the groups that are in these rows)."""
    assert isinstance(group.of, Template)
    counts = np.ones(len(rows), np.int64) if group.counts is None else group.counts.astype(np.int64)
    if len(counts) != len(rows):
        raise Misfit(None, f"{len(rows)} groups of Template {group.of.id}, and records for {len(counts)}")
    template = encoding.inner_template(group.of)
    first = int(group.offsets[0])
    which = np.arange(first, first + int(np.add.reduce(counts)))
    return template.id, _measured(encoding, template, group.items, rows, counts, which), counts


# ---------------------------------------------------------------- items


def _measured(
    encoding: Encoding, template: Template, items: Values | Structs, rows: Index, counts: Wide, which: Index
) -> Measured:
    """Items, numbers `which` of these, as records; `counts` of them are in each of `rows`."""
    columns = items.columns if isinstance(items, Structs) else (items,)
    count = items.count if isinstance(items, Structs) else len(items)
    if len(which) and which[-1] >= count:
        raise Misfit(int(rows[-1]), f"items up to number {which[-1]} are in lists, and there are {count}")
    if len(which) != count:
        columns = tuple([subset(column, which) for column in columns])
    try:
        measured = encoding.records(template, columns, len(which))
        if measured.takes_nothing:
            raise Misfit(0, "items that take no octets cannot be counted")
    except Misfit as bad:
        run = np.searchsorted(np.add.accumulate(counts), bad.row or 0, "right")
        raise bad.at(int(rows[run]) if bad.row is not None else None) from None
    return measured


def _ranges(first: I32 | Wide, counts: Wide) -> Wide:
    """The numbers from each `first` on, so many of them, one after the other."""
    steps = np.arange(int(np.add.reduce(counts)), dtype=np.int64)
    begin: Wide = first - np.cumsum(counts) + counts
    return np.repeat(begin, counts) + steps


def _write_octets(buf: U8, start: Wide, octets: Strings) -> None:
    sizes = np.diff(octets.offsets).astype(np.int64)
    buf[_ranges(start, sizes)] = octets.data[octets.offsets[0] : octets.offsets[-1]]
