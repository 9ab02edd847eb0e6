"""Columns as Arrow, through the C data interface: nanoarrow makes the structures, the buffers are the columns' own.

The only file of this layer that imports an Arrow library, and only when somebody asks for Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import nanoarrow as na
import numpy as np
import numpy.typing as npt

from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.schema import Column
from headwater.batch.strings import Bool, Strings
from headwater.model.element import InformationElement
from headwater.model.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.batch.batch import Batch
    from headwater.batch.lists import Values
    from headwater.batch.schema import Schema

_UNITS = {"tss:": "s", "tsm:": "ms", "tsu:": "us", "tsn:": "ns"}
_SIMPLE = {
    "C": na.uint8, "S": na.uint16, "I": na.uint32, "L": na.uint64, "c": na.int8, "s": na.int16, "i": na.int32,
    "l": na.int64, "f": na.float32, "g": na.float64, "b": na.bool_, "u": na.string, "z": na.binary,
}  # fmt: skip


def record_batch(batch: Batch) -> pa.RecordBatch:
    """The batch for pyarrow, sharing its buffers."""
    import pyarrow as pa

    return pa.record_batch(batch)


def c_schema(schema: Schema, columns: Sequence[Values] | None = None) -> na.Schema:
    """The Arrow schema of a batch; without its columns lists are of null type, for only data tells what is inside."""
    return na.struct(_fields(schema, columns))


def c_array(schema: Schema, columns: Sequence[Values], count: int) -> Any:
    """A struct array of the columns."""
    return _struct(schema, columns, count)


def c_stream(schema: Schema, columns: Sequence[Values], count: int) -> Any:
    """A stream of one such array."""
    return na.c_array_stream(c_array(schema, columns, count))


# ---------------------------------------------------------------- types


def flat_fields(schema: Schema) -> list[na.Schema | None]:
    """The Arrow fields of the columns; None for lists, whose type comes with the data."""
    return [None if column.type.is_list else flat_field(column) for column in schema]


@lru_cache(maxsize=4096)
def flat_field(column: Column) -> na.Schema:
    """The Arrow field of a column that has no lists; made once for all Templates, for it costs 50 us."""
    return _field(column, _flat_type(column.type))


def _fields(schema: Schema, columns: Sequence[Values] | None) -> list[na.Schema]:
    fields = list(schema.arrow_fields)
    for index, field in enumerate(fields):
        if field is None:
            column = schema.columns[index]
            values = columns[index] if columns is not None else Lists.nulls(column.type, 0)
            fields[index] = _field(column, _type(column.type, values))
    return fields


def _field(column: Column, type: na.Schema) -> na.Schema:
    return na.Schema(type, name=column.name, metadata=column.metadata)


def _flat_type(type: DataType) -> na.Schema:
    format = type.arrow
    if format in _UNITS:
        return na.timestamp(_UNITS[format])
    if format.startswith("w:"):
        return na.fixed_size_binary(int(format[2:]))
    return _SIMPLE[format]()


def _type(type: DataType | None, values: Values | Structs) -> na.Schema:
    """list<T> or list<struct>; where there are several elements or Templates, a struct with such a list for each."""
    if isinstance(values, Structs):
        return na.struct(_fields(values.schema, values.columns))
    if not isinstance(values, Lists):
        assert type is not None
        return _flat_type(type)
    if isinstance(values, MultiLists) and not values.groups:
        return na.null()
    lists = [na.list_(_item_type(group)) for group in values.groups] or [na.list_(na.null())]
    if len(lists) == 1 and not isinstance(values, MultiLists):
        return lists[0]
    return na.struct([na.Schema(list, name=name) for name, list in zip(_labels(values.groups), lists, strict=True)])


def _item_type(group: ListGroup) -> na.Schema:
    type = _type(group.type, group.items)
    if group.type is None or not isinstance(group.of, InformationElement):
        return type
    length = group.length if isinstance(group.length, int) else None
    return _field(Column("item", group.type, group.of, length), type)


def _labels(groups: Iterable[ListGroup]) -> list[str]:
    """Element names or Template ids; one that comes again (in an illegal length, so as octets) gets a #2."""
    names: list[str] = []
    for group in groups:
        name = label = str(group.label)
        number = 1
        while name in names:
            number += 1
            name = f"{label}#{number}"
        names.append(name)
    return names


# ---------------------------------------------------------------- arrays


def _struct(schema: Schema, columns: Sequence[Values], count: int) -> Any:
    fields = _fields(schema, columns)
    children = [_array(f, c.type, v) for f, c, v in zip(fields, schema, columns, strict=True)]
    return _build(na.struct(fields), count, [None], 0, children)


def _array(field: na.Schema, type: DataType | None, values: Values | Structs) -> Any:
    if isinstance(values, Structs):
        return _struct(values.schema, values.columns, values.count)
    if isinstance(values, Lists):
        return _lists(field, values)
    if isinstance(values, Strings):
        return _strings(field, values)
    count, validity, nulls = len(values), None, 0
    if isinstance(values, np.ma.MaskedArray):
        validity, nulls = _bitmap(~np.ma.getmaskarray(values))
        values = np.ma.getdata(values)
    if values.dtype == np.bool_:
        values = np.packbits(values, bitorder="little")
    elif values.dtype.kind == "M":
        values = values.view(np.int64)
    return _build(field, count, [validity, values], nulls)


def _strings(field: na.Schema, values: Strings) -> Any:
    if values.validity is None:
        return _build(field, len(values), [None, values.offsets, values.data], 0)
    # nothing that is not text may reach a reader of text, not even under a null
    size = np.diff(values.offsets)
    kept = np.repeat(values.validity, size)
    size[~values.validity] = 0
    offsets = np.zeros(len(values) + 1, np.int32)
    np.add.accumulate(size, dtype=np.int32, out=offsets[1:])
    validity, nulls = _bitmap(values.validity)
    return _build(field, len(values), [validity, offsets, values.data[kept]], nulls)


def _lists(field: na.Schema, values: Lists) -> Any:
    count = len(values)
    is_multi = isinstance(values, MultiLists)
    if is_multi and not values.groups:
        return _build(field, count, [], count)
    valid = values.validity
    if not values.groups:
        validity, nulls = (None, 0) if valid is None else _bitmap(valid)
        nothing = _build(na.null(), 0, [], 0)
        return _build(field, count, [validity, np.zeros(count + 1, np.int32)], nulls, [nothing])
    if len(values.groups) == 1 and not is_multi:
        return _list(field, values.groups[0], valid)
    children = []
    for number, group in enumerate(values.groups):
        children.append(_list(field.field(number), group, values.rows_of(number)))
    validity, nulls = (None, 0) if valid is None else _bitmap(valid)
    return _build(field, count, [validity], nulls, children)


def _list(field: na.Schema, group: ListGroup, valid: Bool | None) -> Any:
    validity, nulls = (None, 0) if valid is None else _bitmap(valid)
    items = _array(field.field(0), group.type, group.items)
    return _build(field, len(group.offsets) - 1, [validity, group.offsets], nulls, [items])


def _bitmap(valid: Bool) -> tuple[npt.NDArray[np.uint8] | None, int]:
    """(validity bitmap, how many are null); no bitmap if none is."""
    nulls = int(len(valid) - np.count_nonzero(valid))
    return (np.packbits(valid, bitorder="little") if nulls else None), nulls


def _build(field: na.Schema, count: int, buffers: list[Any], nulls: int, children: Sequence[Any] = ()) -> Any:
    return na.c_array_from_buffers(field, count, buffers, null_count=nulls, children=children, move=True)
