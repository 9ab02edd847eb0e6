"""Batches that wait for a row group, and how they become one table.

A thousand exporters with Templates of their own make batches of some ten records. To make each an Arrow table with all
the columns of a segment would cost a hundred times what the records do: so the batches that have the same columns, in
whatever order, are joined first, and what all the others lack takes neither time nor memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.sinks.arrow import arrow_field, fit, places
from headwater.sinks.segment_columns import octets_of, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headwater.batch import Batch, Schema
    from headwater.sinks.cells import Mask
    from headwater.sinks.segment_columns import SegmentColumns

_SMALL: Final = 8192
"""Records of a batch that is better copied together with others."""
_MOST_KNOWN: Final = 8192
_VARIABLE: Final = ("u", "z")
"""Arrow formats of text and octets."""


class Gathered:
    """Batches in memory. rows: how many records; octets: their memory."""

    def __init__(self, columns: SegmentColumns) -> None:
        self.rows = self.octets = 0
        self._columns = columns
        self._kinds: dict[int, _Kind] = {}
        self._by_schema: dict[Schema, _Kind] = {}
        self._fitting = _Fitting(columns.schema)
        self._flat: list[tuple[_Kind, int, Sequence[Any]]] = []
        self._others: dict[object, list[pa.RecordBatch]] = {}

    def take(self, batch: Batch, mask: Mask | None = None) -> int:
        """Take the records where the mask is True; how many there were."""
        kind = self._kind(batch.schema)
        if kind.is_flat and all(isinstance(values, np.ndarray) for values in batch.columns.values()):
            return self._take_flat(kind, batch, mask)
        found = batch.to_arrow()
        if mask is not None:
            found = found.filter(pa.array(mask))
        count: int = found.num_rows
        if count:
            self._show(kind, found.schema)
            key = kind if not kind.has_lists else len(self._others)  # the types of lists differ from batch to batch
            self._others.setdefault(key, []).append(found)
            self.rows += count
            self.octets += found.nbytes
        return count

    def table(self, schema: pa.Schema) -> pa.Table:
        """What was taken, in that schema: those with the same columns together, each in the order of arrival."""
        columns = _Columns(schema)
        for group in self._groups(schema):
            for number, arrays in group.arrays():
                columns.append(number, group.places, arrays)
        for others in self._others.values():
            where = places([typed(field) for field in others[0].schema], schema)
            for found in _joined(others):
                columns.append(found.num_rows, where, found.columns)
        return columns.table()

    def clear(self) -> None:
        """Forget what was taken."""
        self._flat.clear()
        self._others.clear()
        self.rows = self.octets = 0

    def _groups(self, schema: pa.Schema) -> Iterable[_Group]:
        """The batches that are of one size, by what columns they have in that schema."""
        if self._fitting.schema is not schema:
            self._fitting = _Fitting(schema)
        groups: dict[tuple[int, ...], _Group] = {}
        for kind, rows, values in self._flat:
            if kind.fitting is not self._fitting:
                kind.fit(self._fitting)
            group = groups.get(kind.types)
            if group is None:
                group = groups[kind.types] = _Group(kind.types, self._fitting)
            group.rows.append(rows)
            group.parts.append([values[number] for number in kind.order])
        return groups.values()

    def _take_flat(self, kind: _Kind, batch: Batch, mask: Mask | None) -> int:
        if mask is not None and not mask.all():
            batch = batch.take(np.flatnonzero(mask))
        if batch.num_rows:
            self._show(kind, kind.fields)
            self._flat.append((kind, batch.num_rows, list(batch.columns.values())))
            self.rows += batch.num_rows
            self.octets += batch.num_rows * kind.row_octets
        return batch.num_rows

    def _show(self, kind: _Kind, fields: Iterable[pa.Field]) -> None:
        """Let columns be seen in this segment."""
        if kind.has_lists or kind.segment != self._columns.segment:
            self._columns.add(fields)
            kind.segment = self._columns.segment

    def _kind(self, schema: Schema) -> _Kind:
        """What is known of a schema. Decoders have one object for each Template, so it is found by that."""
        kind = self._kinds.get(id(schema))
        if kind is None:
            if len(self._kinds) >= _MOST_KNOWN:
                self._kinds.clear()
                self._by_schema.clear()
            kind = self._by_schema.get(schema)
            if kind is None:
                kind = self._by_schema[schema] = _Kind(schema)
            kind.schemas.append(schema)  # which keeps its id its own
            self._kinds[id(schema)] = kind
        return kind


class _Kind:
    """What is known of batches of a schema. is_flat: columns of one size, so numpy arrays. segment: last seen in.

    types: for each column of the table the number of the type that these have there, 0 = they have none. order: which
    of their columns those are.
    """

    def __init__(self, schema: Schema) -> None:
        self.schemas: list[Schema] = []
        self.segment = -1
        self.has_lists = any(column.type.is_list for column in schema)
        self.is_flat = not self.has_lists and all(column.type.arrow not in _VARIABLE for column in schema)
        self.fields = [arrow_field(column) for column in schema] if self.is_flat else []
        self.row_octets = sum(octets_of(field.type) for field in self.fields)
        self.fitting: _Fitting | None = None
        self.types: tuple[int, ...] = ()
        self.order: list[int] = []

    def fit(self, fitting: _Fitting) -> None:
        """See where its columns go."""
        self.fitting = fitting
        types, numbers = [0] * len(fitting.schema), [0] * len(fitting.schema)
        for number, field in enumerate(self.fields):
            place, type = fitting.of(field)
            if place >= 0:
                types[place], numbers[place] = type, number
        self.types = tuple(types)
        self.order = [number for number, type in zip(numbers, types, strict=True) if type]


class _Fitting:
    """Where fields go in a schema; types: those that they have, by number."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.types: list[pa.DataType] = [pa.null()]
        self._numbers: dict[pa.DataType, int] = {}
        self._known: dict[int, tuple[pa.Field, int, int]] = {}

    def of(self, field: pa.Field) -> tuple[int, int]:
        """(index of the column that it is, -1 = none, number of its type, which is never 0)."""
        found = self._known.get(id(field))
        if found is None:
            where = places([field], self.schema)
            number = self._numbers.setdefault(field.type, len(self.types))
            if number == len(self.types):
                self.types.append(field.type)
            found = field, where.index(0) if 0 in where else -1, number
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[id(field)] = found  # the field too, which keeps its id its own
        return found[1:]


class _Group:
    """Batches with the same columns in a table. parts: of each batch its columns, in the order of the table."""

    def __init__(self, types: tuple[int, ...], fitting: _Fitting) -> None:
        self.rows: list[int] = []
        self.parts: list[list[Any]] = []
        self._types = [fitting.types[number] for number in types if number]
        numbers = iter(range(len(types)))
        self.places = [next(numbers) if number else -1 for number in types]

    def arrays(self) -> Iterable[tuple[int, list[pa.Array]]]:
        """(records, columns), small batches joined."""
        total = sum(self.rows)
        if len(self.rows) > 1 and total < _SMALL * len(self.rows):
            pairs = zip(self._types, zip(*self.parts, strict=True), strict=True)
            yield total, [_array(type, *_concatenated(pieces)) for type, pieces in pairs]
            return
        for rows, values in zip(self.rows, self.parts, strict=True):
            yield rows, [_array(type, *_concatenated([one])) for type, one in zip(self._types, values, strict=True)]


class _Columns:
    """The columns of a table, that grow piece by piece."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema, self._types = schema, schema.types
        self._chunks: list[list[pa.Array]] = [[] for _ in schema]
        self._lengths = [0] * len(schema)
        self._rows = 0
        self._nothing = pa.py_buffer(b"")

    def append(self, rows: int, places: list[int], arrays: list[pa.Array]) -> None:
        """Append records. places: for each column of the table, which of the arrays it is, -1 = none."""
        for to, place in enumerate(places):
            if place >= 0:
                self._fill(to)
                self._chunks[to].append(fit(arrays[place], self._types[to]))
                self._lengths[to] += rows
        self._rows += rows

    def table(self) -> pa.Table:
        """The table."""
        for to in range(len(self._types)):
            self._fill(to)
        columns = [pa.chunked_array(chunks, type) for chunks, type in zip(self._chunks, self._types, strict=True)]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _fill(self, to: int) -> None:
        """Nulls for the records so far that have none of that column."""
        count = self._rows - self._lengths[to]
        if count:
            self._chunks[to].append(self._nulls(self._types[to], count))
            self._lengths[to] = self._rows

    def _nulls(self, type: pa.DataType, count: int) -> pa.Array:
        """They share their octets, all of which are 0."""
        if pa.types.is_nested(type) or pa.types.is_null(type):
            return pa.nulls(count, type)
        size = max(octets_of(type), 8) * (count + 1)
        if self._nothing.size < size:
            self._nothing = pa.py_buffer(bytes(2 * size))
        is_variable = pa.types.is_string(type) or pa.types.is_binary(type)
        return pa.Array.from_buffers(type, count, [self._nothing] * (3 if is_variable else 2), count)


def _joined(group: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    if len(group) == 1 or sum(found.num_rows for found in group) > len(group) * _SMALL:
        return group
    joined: list[pa.RecordBatch] = pa.Table.from_batches(group).combine_chunks().to_batches()
    return joined


def _concatenated(pieces: Sequence[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
    """(values of a column, which of them are not null; None = all)."""
    null = None
    if any(isinstance(values, np.ma.MaskedArray) for values in pieces):
        null = [np.ma.getmaskarray(values) for values in pieces]
        pieces = [np.ma.getdata(values) for values in pieces]
    if len(pieces) == 1:
        return pieces[0], None if null is None else ~null[0]
    return np.concatenate(pieces), None if null is None else ~np.concatenate(null)


def _array(type: pa.DataType, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    count = len(values)
    nulls = 0 if valid is None else count - int(np.count_nonzero(valid))
    validity = pa.py_buffer(np.packbits(valid, bitorder="little")) if valid is not None and nulls else None
    if values.dtype == np.bool_:
        values = np.packbits(values, bitorder="little")
    octets = np.ascontiguousarray(values).view(np.uint8)
    return pa.Array.from_buffers(type, count, [validity, pa.py_buffer(octets)], nulls)
