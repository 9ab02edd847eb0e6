"""Instances of mapped classes from the columns of a batch, and from the lists in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.batch.cells import Style, cells
from headwater.batch.incoming_target import TICKS
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.rows import CHUNK
from headwater.errors import EncodeError
from headwater.model.template import Template

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.lists import Values
    from headwater.batch.mapping import MappedClass, MappedField
    from headwater.batch.schema import Schema
    from headwater.model.types import DataType


def instances(batch: Batch, mapped: MappedClass) -> Iterator[Any]:
    """One instance per record. Raises EncodeError for the first that cannot be made."""
    columns = list(batch.columns.values())
    for start in range(0, batch.num_rows, CHUNK):
        yield from _made(mapped, batch.schema, columns, start, min(start + CHUNK, batch.num_rows))


def _made(mapped: MappedClass, schema: Schema, columns: Sequence[Values], start: int, stop: int) -> list[Any]:
    """Instances of records start..stop."""
    places = _places(mapped, schema)
    names, parts = [], []
    for field, place in zip(mapped.fields, places, strict=True):
        if place is None:
            if field.has_default:
                continue
            if not field.is_optional:
                detail = f"{mapped.cls.__name__}.{field.name}: no column is {field.meaning.element.name}"
                raise EncodeError(detail, column=field.name)
            values: list[Any] = [None] * (stop - start)
        else:
            values = _cells(field, schema.columns[place].type, columns[place], start, stop)
            if not field.is_optional and None in values:
                row = start + values.index(None)
                detail = f"{mapped.cls.__name__}.{field.name}: row {row} is null, but the field cannot be None"
                raise EncodeError(detail, column=field.name, row=row)
        names.append(field.argument)
        parts.append(values)
    if not parts:
        return [mapped.cls() for _ in range(stop - start)]
    return [mapped.cls(**dict(zip(names, row, strict=True))) for row in zip(*parts, strict=True)]


def _places(mapped: MappedClass, schema: Schema) -> list[int | None]:
    """The column of each field: the first of its element that no field has had."""
    by_element: dict[tuple[int, int], list[int]] = {}
    for index, column in enumerate(schema):
        if column.element is not None:
            by_element.setdefault(column.element.key, []).append(index)
    places: list[int | None] = []
    for field in mapped.fields:
        left = by_element.get(field.meaning.element.key, [])
        places.append(left.pop(0) if left else None)
    return places


def _cells(field: MappedField, type: DataType, values: Values, start: int, stop: int) -> list[Any]:
    """Rows start..stop as the annotation wants them."""
    if isinstance(values, Lists):
        return _lists(field, values, start, stop)
    return _values(field, type, values, start, stop)


def _values(field: MappedField, type: DataType, values: Values, start: int, stop: int) -> list[Any]:
    """Values, or items of a list, in the class that the annotation names."""
    out = cells(type, values, start, stop, _style(field.python))
    make = _maker(field)
    if make is None:
        return out
    for number, value in enumerate(out):
        if value is None:
            continue
        try:
            out[number] = make(value)
        except (ValueError, OverflowError):
            assert field.python is not None
            detail = f"{field.name}: {value!r} in row {start + number} is no {field.python.__name__}"
            raise EncodeError(detail, column=field.name, row=start + number) from None
    return out


def _style(python: type | None) -> Style:
    """How addresses and times look to fit an annotation."""
    addresses: Any = "raw" if python in (int, bytes) else "object" if python in (IPv4Address, IPv6Address) else "text"
    return Style(addresses=addresses, times={datetime: "datetime", str: "text"}.get(python, "int"))  # type: ignore[arg-type]


def _maker(field: MappedField) -> Callable[[Any], Any] | None:
    """What makes the annotated class of a value, None if it is that already."""
    if field.python is None:
        return None
    if issubclass(field.python, Enum):
        return field.python
    element = field.meaning.element if field.item is None else field.item.element
    if issubclass(field.python, str) and (element.type.is_integer or element.type.is_float):
        return field.python
    if field.python is float and element.type.is_integer:
        return float
    ticks = TICKS.get(element.units)  # type: ignore[call-overload]  # a number equals its IntEnum member
    if issubclass(field.python, timedelta) and ticks is not None:
        return lambda count: timedelta(microseconds=count * 10**6 / ticks)
    return None


# ---------------------------------------------------------------- lists


def _lists(field: MappedField, values: Lists, start: int, stop: int) -> list[Any]:
    """The list values of rows start..stop."""
    out: list[Any] = [[] for _ in range(stop - start)]
    if isinstance(values, MultiLists):
        _fill_multi(field, values, start, stop, out)
    else:
        for number, group in enumerate(values.groups):
            rows = np.flatnonzero(values.rows_of(number)[start:stop]) + start
            items = _items(field, group, start, stop)
            first = int(group.offsets[start])
            for row in rows.tolist():
                out[row - start] = items[int(group.offsets[row]) - first : int(group.offsets[row + 1]) - first]
    if values.validity is not None:
        for row in np.flatnonzero(~values.validity[start:stop]).tolist():
            out[row] = None
    return [value if value is None else tuple(value) for value in out] if field.is_tuple else out


def _fill_multi(field: MappedField, values: MultiLists, start: int, stop: int, out: list[Any]) -> None:
    """Add the records of each group to its row, in the order in which the groups came."""
    waiting = {group.label: group.sent(_items(field, group, start, stop), start, stop) for group in values.groups}
    first, last = np.searchsorted(values.parent, [start, stop]).tolist()
    for row, id in zip(values.parent[first:last].tolist(), values.ids[first:last].tolist(), strict=True):
        out[row - start] += next(waiting[id])


def _items(field: MappedField, group: ListGroup, start: int, stop: int) -> list[Any]:
    """All items of a group in rows start..stop."""
    first, last = int(group.offsets[start]), int(group.offsets[stop])
    items = group.items
    if isinstance(items, Structs):
        assert isinstance(group.of, Template)
        return _made(_class_for(field, group.of), items.schema, items.columns, first, last)
    assert group.type is not None
    if field.item is None or group.of != field.item.element:
        name = group.label
        raise EncodeError(f"{field.name}: a list of {name}, but the annotation wants other items", column=field.name)
    return _values(field, group.type, items, first, last)


def _class_for(field: MappedField, template: Template) -> MappedClass:
    """The class whose Template this is, or else the first all of whose elements it has."""
    for mapped in field.classes:
        if mapped.template == template:
            return mapped
    elements = {one.element.key for one in template.fields}
    for mapped in sorted(field.classes, key=lambda one: -len(one.fields)):
        needed = {f.meaning.element.key for f in mapped.fields if not (f.is_optional or f.has_default)}
        if needed and needed <= elements:
            return mapped
    detail = f"{field.name}: none of its classes is a list of {', '.join(template.column_names)}"
    raise EncodeError(detail, column=field.name)
