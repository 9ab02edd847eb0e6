"""Rows of a batch: tuples and dicts, made from columns a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from headwater import kernel
from headwater.batch.cells import RAW, Style, cells, integers
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.schema import Schema

CHUNK = 2048
"""Rows made at a time: enough to forget the cost of a chunk, few enough to stay in the cache and to please the GC."""


def tuples(schema: Schema, columns: Sequence[Values], count: int) -> Iterator[tuple[Any, ...]]:
    """One tuple of raw Python values per row."""
    return chain.from_iterable(map(_transposed, _chunks(schema, columns, count, RAW)))


def dicts(schema: Schema, columns: Sequence[Values], count: int, style: Style) -> Iterator[dict[str, Any]]:
    """One dict per row, its keys in the order of the columns."""
    if not columns:
        return ({} for _ in range(count))
    return chain.from_iterable(_dict_chunks(schema, columns, count, style))


def _dict_chunks(
    schema: Schema, columns: Sequence[Values], count: int, style: Style
) -> Iterator[Iterator[dict[str, Any]]]:
    types = [column.type for column in schema]
    parts = [(type, values, integers(type, values, style)) for type, values in zip(types, columns, strict=True)]
    dotted = [numbers is not None and type is DataType.IPV4 and style.addresses == "text" for type, _, numbers in parts]
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        lists = [
            cells(type, values, start, stop, style) if numbers is None else numbers[start:stop]
            for type, values, numbers in parts
        ]
        yield kernel.dicts(schema.names, lists, dotted)


def _chunks(schema: Schema, columns: Sequence[Values], count: int, style: Style) -> Iterator[list[list[Any]]]:
    parts = [(column.type, values) for column, values in zip(schema, columns, strict=True)]
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        yield [cells(type, values, start, stop, style) for type, values in parts]


def _transposed(parts: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    return zip(*parts, strict=True)


def dict_maker(names: tuple[str, ...]) -> Callable[[list[list[Any]]], Iterator[dict[str, Any]]]:
    """A function from one list per name to one dict per row."""
    dotted = [False] * len(names)
    return lambda parts: kernel.dicts(names, parts, dotted)
