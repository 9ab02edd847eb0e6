"""Cells of a batch for text formats: a list per column, a chunk of records at a time."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.cells import Style, cells
from headwater.model.types import VARIABLE, DataType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.batch import Batch, Column
    from headwater.batch.lists import Values

Mask = npt.NDArray[np.bool_]

CHUNK: Final = 4096
"""Records made into Python objects at a time."""

TEXT: Final = Style(addresses="text", times="text")
"""Addresses and times as RFC 7373 writes them."""


def columns_of(batch: Batch, names: Sequence[str] | None) -> list[Column]:
    """The batch's columns with these names, in this order, as far as it has them; None = all."""
    if names is None:
        return list(batch.schema)
    by_name = {column.name: column for column in batch.schema}
    return [by_name[name] for name in names if name in by_name]


def chunks(
    batch: Batch, columns: Sequence[Column], mask: Mask | None = None, *, size: int = CHUNK
) -> Iterator[tuple[int, list[list[Any]]]]:
    """(records, a list of Python objects per column) for each chunk of the records where the mask is True."""
    for start in range(0, batch.num_rows, size):
        stop = min(start + size, batch.num_rows)
        part = None if mask is None else mask[start:stop]
        count = stop - start if part is None else int(np.count_nonzero(part))
        if count:
            picked = None if count == stop - start else part
            yield (
                count,
                [_shown(column, _cells(column.type, batch[column.name], start, stop, picked)) for column in columns],
            )


def _shown(column: Column, values: list[Any]) -> list[Any]:
    """Text of a fixed length without the U+0000 that fill it up: they would make a file of text a binary one."""
    if column.type is not DataType.STRING or column.length in (None, VARIABLE):
        return values
    return [None if value is None else value.rstrip("\0") for value in values]


def _cells(type: DataType, values: Values, start: int, stop: int, picked: Mask | None) -> list[Any]:
    if picked is None:
        return cells(type, values, start, stop, TEXT)
    if isinstance(values, np.ndarray):
        chosen = values[start:stop][picked]
        return cells(type, chosen, 0, len(chosen), TEXT)
    return list(compress(cells(type, values, start, stop, TEXT), picked.tolist()))


def as_json(type: DataType, values: list[Any]) -> list[Any]:
    """Cells as JSON has them: octets are hexadecimal digits, also inside lists."""
    if type is DataType.OCTET_ARRAY:
        return [None if value is None else value.hex() for value in values]
    return [_json(value) for value in values] if type.is_list else values


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return value
