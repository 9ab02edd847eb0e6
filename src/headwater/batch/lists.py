"""Structured data as columns (RFC 6313): per kind of content, offsets over the rows and one child column.

A row of a basicList or subTemplateList has items of one element or Template, so it has items in one group only; a row
of a subTemplateMultiList can have items in several groups, and `MultiLists` also keeps the order they were sent in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.batch.cells import RAW, Style, cells
from headwater.batch.rows import dict_maker
from headwater.batch.strings import I32, U8, Bool, Strings
from headwater.model.element import InformationElement
from headwater.model.types import DataType
from headwater.wire.lists import semantic_name

if TYPE_CHECKING:
    from headwater.batch.schema import Schema
    from headwater.model.template import Template

Values: TypeAlias = "npt.NDArray[Any] | Strings | Lists"
"""What a column can be; numpy arrays are masked arrays where they have nulls."""


@dataclass(frozen=True, slots=True, eq=False)
class Structs:
    """Records of one inner Template as columns."""

    schema: Schema
    columns: tuple[Values, ...]
    count: int

    def cells(self, start: int, stop: int, style: Style) -> list[Any]:
        """Records start..stop as dicts."""
        parts = [
            cells(column.type, values, start, stop, style)
            for column, values in zip(self.schema, self.columns, strict=True)
        ]
        return list(dict_maker(self.schema.names)(parts)) if parts else [{} for _ in range(stop - start)]


@dataclass(frozen=True, slots=True, eq=False)
class ListGroup:
    """The items of one element, or the records of one inner Template, in all rows of a list column.

    of: the element of a basicList's items, or the Template of a list's records. type: how basicList items are read.
    offsets: int32[n+1] into `items`, per row. length: octets of a basicList's items on the wire (65535 = variable);
    an array over the rows if they differ.
    entries: int32[n+1], for a subTemplateMultiList: how many groups of this Template the rows before have.
    counts: int32[k], records of each of these; None = one each.
    """

    of: InformationElement | Template
    type: DataType | None
    offsets: I32
    items: Values | Structs
    length: int | npt.NDArray[np.uint16] = 0
    entries: I32 | None = None
    counts: I32 | None = None

    @property
    def label(self) -> str | int:
        """The element's name, or the id of the Template."""
        return self.of.name if isinstance(self.of, InformationElement) else self.of.id

    def cells(self, start: int, stop: int, style: Style) -> list[Any]:
        """Items start..stop as Python objects."""
        if isinstance(self.items, Structs):
            return self.items.cells(start, stop, style)
        assert self.type is not None
        return cells(self.type, self.items, start, stop, style)

    def sent(self, items: list[Any], start: int, stop: int) -> Iterator[list[Any]]:
        """The items of rows start..stop of a subTemplateMultiList, as they were sent together."""
        assert self.entries is not None
        counts = [1] * len(items)
        if self.counts is not None:
            counts = self.counts[int(self.entries[start]) : int(self.entries[stop])].tolist()
        end = 0
        for count in counts:
            end += count
            yield items[end - count : end]

    def spread(self, before: I32, rows: npt.NDArray[np.intp]) -> ListGroup:
        """The same items over more rows; before: rows that came before each, rows: those that were there."""
        length = self.length
        if not isinstance(length, int):
            length = np.zeros(len(before) - 1, np.uint16)
            length[rows] = self.length
        entries = None if self.entries is None else self.entries[before]
        return replace(self, offsets=self.offsets[before], entries=entries, length=length)

    def rows(self, start: int, stop: int, style: Style) -> list[list[Any]]:
        """The items of rows start..stop, a list for each."""
        bounds = self.offsets[start : stop + 1]
        first = int(bounds[0])
        items = self.cells(first, int(bounds[-1]), style)
        return [items[a:b] for a, b in pairwise((bounds - first).tolist())]

    def some_rows(self, rows: npt.NDArray[np.intp], style: Style) -> Iterator[tuple[int, list[Any]]]:
        """(row, its items) of these rows, ascending and at least one."""
        begin, end = self.offsets[rows], self.offsets[rows + 1]
        first = int(begin[0])
        items = self.cells(first, int(end[-1]), style)
        for row, a, b in zip(rows.tolist(), (begin - first).tolist(), (end - first).tolist(), strict=True):
            yield row, items[a:b]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lists:
    """n list values: basicList or subTemplateList.

    groups: one per element or inner Template seen. which: uint16[n], the group of each row; None = the first.
    semantics: uint8[n], RFC 6313 §4.4, 0 where null. validity: bool[n], False = null; None = no nulls.
    null_octets: what was sent for each null, because it is malformed or was not decoded; None = not sent at all.
    """

    type: DataType
    groups: tuple[ListGroup, ...]
    which: npt.NDArray[np.uint16] | None
    semantics: U8
    validity: Bool | None = None
    null_octets: Strings | None = None

    @staticmethod
    def nulls(type: DataType, count: int, octets: Strings | None = None) -> Lists:
        """`count` nulls; octets: what was sent for them, None = nothing."""
        of = MultiLists if type is DataType.SUB_TEMPLATE_MULTI_LIST else Lists
        return of(type, (), None, np.zeros(count, np.uint8), np.zeros(count, np.bool_), octets)

    def spread(self, nulls: Bool, octets: Strings) -> Lists:
        """These values with nulls among them where `nulls` says so; octets: what was sent for the nulls."""
        good = np.flatnonzero(~nulls)
        before = offsets_of(len(nulls), good, None)
        semantics = np.zeros(len(nulls), np.uint8)
        semantics[good] = self.semantics
        which = None
        if self.which is not None:
            which = np.zeros(len(nulls), np.uint16)
            which[good] = self.which
        groups = tuple([group.spread(before, good) for group in self.groups])
        spread = replace(self, groups=groups, which=which, semantics=semantics, validity=~nulls)
        return replace(spread, null_octets=octets)

    def __len__(self) -> int:
        return len(self.semantics)

    def __getitem__(self, index: int) -> Any:
        """The value as `tolist` gives it."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.cells(index % len(self), index % len(self) + 1, RAW)[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        seen = ", ".join(str(group.label) for group in self.groups)
        return f"<{type(self).__name__}: {len(self)} {self.type.label} of {seen or 'nothing'}, {self.null_count} null>"

    @property
    def null_count(self) -> int:
        """How many values are null."""
        return 0 if self.validity is None else int(len(self) - np.count_nonzero(self.validity))

    def rows_of(self, number: int) -> Bool:
        """bool[n], the rows that have items, or could have, in a group."""
        here = np.ones(len(self), np.bool_) if self.which is None else self.which == number
        return here if self.validity is None else here & self.validity

    def raw(self, index: int) -> bytes | None:
        """The octets of a null value as they were sent; None for a value that was decoded."""
        if self.validity is None or self.null_octets is None or self.validity[index]:
            return None
        return self.null_octets.raw(int(np.count_nonzero(~self.validity[: index % len(self)])))

    def tolist(self, start: int = 0, stop: int | None = None) -> list[Any]:
        """Values start..stop: lists of items or dicts; for a subTemplateMultiList dicts of such lists by Template."""
        return self.cells(start, len(self) if stop is None else stop, RAW)

    def cells(self, start: int, stop: int, style: Style) -> list[Any]:
        """Values start..stop in a style; "full" lists are dicts that also tell semantic and element or Template."""
        out = (self._full if style.lists == "full" else self._plain)(start, stop, style)
        if self.validity is not None:
            for row in np.flatnonzero(~self.validity[start:stop]).tolist():
                out[row] = None
        return out

    def _plain(self, start: int, stop: int, style: Style) -> list[Any]:
        if not self.groups:
            return [[] for _ in range(stop - start)]
        if self.which is None:
            return self.groups[0].rows(start, stop, style)
        out: list[Any] = [None] * (stop - start)
        which = self.which[start:stop]
        for number in np.unique(which).tolist():
            for row, items in self.groups[number].some_rows(np.flatnonzero(which == number) + start, style):
                out[row - start] = items
        return out

    def _full(self, start: int, stop: int, style: Style) -> list[Any]:
        kind = "element" if self.type is DataType.BASIC_LIST else "template"
        labels = [group.label for group in self.groups] or [0]
        which = [0] * (stop - start) if self.which is None else self.which[start:stop].tolist()
        rows = zip(self.semantics[start:stop].tolist(), which, self._plain(start, stop, style), strict=True)
        return [{"semantic": semantic_name(s), kind: labels[w], "items": items} for s, w, items in rows]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MultiLists(Lists):
    """n subTemplateMultiList values.

    parent: int[k], row of each group that was sent, in order. ids: uint16[k], its Template.
    """

    parent: npt.NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    ids: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))

    def spread(self, nulls: Bool, octets: Strings) -> Lists:
        spread = super(MultiLists, self).spread(nulls, octets)  # slots make a new class, which bare super() misses
        assert isinstance(spread, MultiLists)
        return replace(spread, parent=np.flatnonzero(~nulls)[self.parent])

    def rows_of(self, number: int) -> Bool:
        entries = self.groups[number].entries
        assert entries is not None
        return np.diff(entries) > 0

    def _plain(self, start: int, stop: int, style: Style) -> list[Any]:
        out: list[dict[int | str, list[Any]]] = [{} for _ in range(stop - start)]
        for group in self.groups:
            assert group.entries is not None
            present = np.flatnonzero(np.diff(group.entries[start : stop + 1])) + start
            if len(present):
                for row, items in group.some_rows(present, style):
                    out[row - start][group.label] = items
        return out

    def _full(self, start: int, stop: int, style: Style) -> list[Any]:
        first, last = np.searchsorted(self.parent, [start, stop]).tolist()
        waiting = {group.label: _entries(group, start, stop, style) for group in self.groups}
        groups: list[list[dict[str, Any]]] = [[] for _ in range(stop - start)]
        for row, id in zip(self.parent[first:last].tolist(), self.ids[first:last].tolist(), strict=True):
            groups[row - start].append({"template": id, "items": next(waiting[id])})
        semantics: Sequence[int] = self.semantics[start:stop].tolist()
        return [{"semantic": semantic_name(s), "groups": g} for s, g in zip(semantics, groups, strict=True)]


def _entries(group: ListGroup, start: int, stop: int, style: Style) -> Iterator[list[Any]]:
    """The records of each of a multi list's groups of one Template in rows start..stop, in order."""
    return group.sent(group.cells(int(group.offsets[start]), int(group.offsets[stop]), style), start, stop)


def offsets_of(count: int, rows: npt.NDArray[Any] | None, counts: I32 | None) -> I32:
    """int32[count+1], where the items of each row begin and end.

    rows: ascending, the row of each number in `counts`, also several times; None = one for each row.
    counts: items; None = one each.
    """
    if rows is None and counts is None:
        return np.arange(count + 1, dtype=np.int32)
    offsets = np.empty(count + 1, np.int32)
    offsets[0] = 0
    each = offsets[1:]
    if rows is None:
        assert counts is not None
        np.add.accumulate(counts, dtype=np.int32, out=each)
        return offsets
    each.fill(0)
    each[rows] = 1
    if np.count_nonzero(each) != len(rows):  # a row comes several times
        each[:] = np.bincount(rows, counts, count)
    elif counts is not None:
        each[rows] = counts
    np.add.accumulate(each, dtype=np.int32, out=each)
    return offsets
