"""Batches that wait for a row group, and how they become one table.

A thousand exporters with Templates of their own make batches of some ten records. To make each an Arrow table with all
the columns of a segment would cost a hundred times what the records do: so the batches of a Template are joined first,
and what all the others lack takes neither time nor memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.sinks.arrow import arrow_schema, fit, places
from headwater.sinks.segment_columns import octets_of, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headwater.batch import Batch, Schema
    from headwater.sinks.cells import Mask
    from headwater.sinks.segment_columns import SegmentColumns

_SMALL: Final = 8192
"""Records of a batch that is better copied together with others."""
_MOST_KNOWN: Final = 2048
_VARIABLE: Final = ("u", "z")
"""Arrow formats of text and octets."""


_Part = tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]
"""Values of a column, and which of them are not null; None = all."""


class Gathered:
    """Batches in memory. rows: how many records; octets: their memory."""

    def __init__(self, columns: SegmentColumns) -> None:
        self.rows = self.octets = 0
        self._columns = columns
        self._kinds: dict[int, _Kind] = {}
        self._by_schema: dict[Schema, _Kind] = {}
        self._flat: dict[_Kind, list[Batch]] = {}
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
        """What was taken, in that schema: Template by Template, each in the order of arrival."""
        columns = _Columns(schema)
        for kind, batches in self._flat.items():
            where = kind.places_in(schema)
            for number, arrays in _joined_flat(kind, batches):
                columns.append(number, where, arrays)
        for group in self._others.values():
            where = places(pa.schema([typed(field) for field in group[0].schema]), schema)
            for found in _joined(group):
                columns.append(found.num_rows, where, found.columns)
        return columns.table()

    def clear(self) -> None:
        """Forget what was taken."""
        self._flat.clear()
        self._others.clear()
        self.rows = self.octets = 0

    def _take_flat(self, kind: _Kind, batch: Batch, mask: Mask | None) -> int:
        if mask is not None and not mask.all():
            batch = batch.take(np.flatnonzero(mask))
        if batch.num_rows:
            self._show(kind, kind.arrow)
            self._flat.setdefault(kind, []).append(batch)
            self.rows += batch.num_rows
            self.octets += batch.num_rows * kind.row_octets
        return batch.num_rows

    def _show(self, kind: _Kind, schema: pa.Schema) -> None:
        """Let a schema be seen in this segment."""
        if kind.has_lists or kind.segment != self._columns.segment:
            self._columns.add(schema)
            kind.segment = self._columns.segment

    def _kind(self, schema: Schema) -> _Kind:
        """What is known of a schema. Decoders have one object for each Template, so it is found by that."""
        kind = self._kinds.get(id(schema))
        if kind is None:
            if len(self._kinds) >= _MOST_KNOWN:
                self._kinds.clear()
                self._by_schema.clear()
            kind = self._by_schema.setdefault(schema, _Kind(schema))
            kind.schemas.append(schema)  # which keeps its id its own
            self._kinds[id(schema)] = kind
        return kind


class _Kind:
    """What is known of batches of a schema. is_flat: columns of one size, so numpy arrays. segment: last seen in."""

    def __init__(self, schema: Schema) -> None:
        self.schemas: list[Schema] = []
        self.segment = -1
        self.has_lists = any(column.type.is_list for column in schema)
        self.is_flat = not self.has_lists and all(column.type.arrow not in _VARIABLE for column in schema)
        self.arrow = arrow_schema(schema) if self.is_flat else pa.schema([])
        self.row_octets = sum(octets_of(type) for type in self.arrow.types)
        self._places: list[int] = []
        self._places_in: pa.Schema | None = None

    def places_in(self, schema: pa.Schema) -> list[int]:
        """What `places` says of a segment's schema, which stays the same for long."""
        if self._places_in is not schema:
            self._places, self._places_in = places(self.arrow, schema), schema
        return self._places


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


def _joined_flat(kind: _Kind, batches: list[Batch]) -> Iterable[tuple[int, list[pa.Array]]]:
    """(records, columns) of batches of one kind."""
    types = kind.arrow.types
    rows = [batch.num_rows for batch in batches]
    parts = [[_parts(values) for values in batch.columns.values()] for batch in batches]
    if len(batches) > 1 and sum(rows) < _SMALL * len(batches):
        parts, rows = [[_concatenated(pieces) for pieces in zip(*parts, strict=True)]], [sum(rows)]
    for number, columns in zip(rows, parts, strict=True):
        yield number, [_array(type, *column) for type, column in zip(types, columns, strict=True)]


def _concatenated(pieces: Sequence[_Part]) -> _Part:
    values = np.concatenate([values for values, _ in pieces])
    if all(valid is None for _, valid in pieces):
        return values, None
    return values, np.concatenate([np.ones(len(v), np.bool_) if valid is None else valid for v, valid in pieces])


def _parts(values: Any) -> _Part:
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.getdata(values), ~np.ma.getmaskarray(values)
    return values, None


def _array(type: pa.DataType, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    count = len(values)
    nulls = 0 if valid is None else count - int(np.count_nonzero(valid))
    validity = pa.py_buffer(np.packbits(valid, bitorder="little")) if valid is not None and nulls else None
    if values.dtype == np.bool_:
        values = np.packbits(values, bitorder="little")
    octets = np.ascontiguousarray(values).view(np.uint8)
    return pa.Array.from_buffers(type, count, [validity, pa.py_buffer(octets)], nulls)
