"""The columns of segments: one schema over the batches of many Templates, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from headwater.sinks.arrow import merged, second_name
from headwater.sinks.left_out import MOST_COLUMNS, LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTHING: Final = pa.field("nothing", pa.bool_())
"""A column of nulls: without any, a file could not say how many records it has."""
_KEPT: Final = 8
"""Segments for which a column is kept that no record has."""
_MOST_PLACED: Final = 8192


class SegmentColumns:
    """What columns the segments have: all that were there lately, in the order of their arrival.

    A column, or a part of one, is there as soon as there is a value, for what is null throughout has no type: readers
    that take several files for one table would make one up, which does not go together with that of other files.
    version: goes up whenever the schema changes. segment: goes up with each. row_octets: of a record in memory, about.
    left_out: columns without room.
    """

    def __init__(self, most: int = MOST_COLUMNS) -> None:
        self.version = self.segment = self.row_octets = 0
        self.left_out = LeftOut(f"a segment has at most {most} columns")
        self._most = most
        self._fields: dict[str, pa.Field] = {}
        self._sizes: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._placed: dict[int, pa.Field] = {}
        self._schema: pa.Schema | None = None
        self._total = 0

    @property
    def schema(self) -> pa.Schema:
        """The schema so far."""
        if self._schema is None:
            self._schema = pa.schema(list(self._fields.values()) or [_NOTHING])
        return self._schema

    def add(self, fields: Iterable[pa.Field]) -> None:
        """Take the columns of a batch into account; those of a segment once are enough, but for lists.

        Of a thousand Templates most fields are the same objects, and need no second look.
        """
        for field in fields:
            if id(field) not in self._placed:
                self._place(field)
                if len(self._placed) >= _MOST_PLACED:
                    self._placed.clear()
                self._placed[id(field)] = field  # which keeps its id its own

    def fix(self, why: str) -> None:
        """Take no column any more that is not there yet. why: for people."""
        self._most, self.left_out.why = 0, why

    def begin_segment(self) -> None:
        """Forget columns that no segment has had for long."""
        self.segment += 1
        self._placed.clear()
        old = [name for name, seen in self._seen.items() if seen + _KEPT < self.segment - 1]
        for name in old:
            self.row_octets -= octets_of(self._fields.pop(name).type)
            self._total -= self._sizes.pop(name)
            del self._seen[name]
        if old:
            self._changed()

    def _place(self, field: pa.Field) -> None:
        field = typed(field)
        if pa.types.is_null(field.type):
            return
        for name in (field.name, second_name(field)):
            old = self._fields.get(name)
            type = field.type if old is None else merged(old.type, field.type)
            if type is None:
                continue
            self._seen[name] = self.segment
            if old is None or type != old.type:
                self._grow(name, field.with_name(name).with_type(type))
            return

    def _grow(self, name: str, field: pa.Field) -> None:
        size = _size(field.type)
        total = self._total + size - self._sizes.get(name, 0)
        if total > self._most:
            self.left_out.add(name)
            if name not in self._fields:
                del self._seen[name]
            return
        old = self._fields.get(name)
        self.row_octets += octets_of(field.type) - (0 if old is None else octets_of(old.type))
        self._fields[name], self._sizes[name], self._total = field, size, total
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._schema = None


def typed(field: pa.Field) -> pa.Field:
    """The field without parts whose type is null; of null type itself if nothing else is left."""
    return field.with_type(_typed(field.type)) if pa.types.is_nested(field.type) else field


def _typed(type: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type):
        item = typed(type.value_field)
        return pa.null() if pa.types.is_null(item.type) else pa.list_(item)
    if pa.types.is_struct(type):
        fields = [typed(field) for field in type]
        kept = [field for field in fields if not pa.types.is_null(field.type)]
        return pa.struct(kept) if kept else pa.null()
    return type


def octets_of(type: pa.DataType) -> int:
    """Octets of a value in memory, roughly."""
    try:
        return max(int(type.bit_width) // 8, 1)
    except ValueError:  # it has no fixed size
        return 8


def _size(type: pa.DataType) -> int:
    """Columns that a type has in a file."""
    if pa.types.is_list(type):
        return _size(type.value_type)
    if pa.types.is_struct(type):
        return max(sum(_size(field.type) for field in type), 1)
    return 1
