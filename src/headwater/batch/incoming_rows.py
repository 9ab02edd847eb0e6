"""Rows to columns: dicts, tuples and mapped objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater import kernel
from headwater.batch.incoming_target import shown
from headwater.errors import EncodeError

if TYPE_CHECKING:
    from headwater.model.types import DataType

_CHUNK = 512
"""Rows turned at a time: few enough to stay in the cache."""
_USUAL = frozenset({dict, tuple, list})
_NO_RECORDS = (str, bytes, bytearray, memoryview, int, float, complex, np.generic, np.ndarray, type)


def names_of(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """All keys of dicts, in the order in which they come first."""
    first = tuple(rows[0])
    if len(set(first).union(*rows)) == len(first):
        return first
    return tuple(dict.fromkeys(chain.from_iterable(rows)))


def gathered(rows: Sequence[Any], keys: Sequence[str] | Sequence[int], types: Sequence[DataType]) -> list[Any]:
    """One column for each key of the rows, which are dicts (a missing key is None) or tuples.

    types: what the columns are to be. A column is an array where all its values are numbers of the type, or counts of
    the unit of a time; else a list.
    """
    if not keys:
        return []
    if rows and type(rows) is list and isinstance(rows[0], dict | tuple):
        dtypes = [_number(type) for type in types]
        try:
            return _by_kernel(rows, keys, dtypes, types)
        except TypeError:  # rows of several kinds, keys that are no text
            pass
    check_kinds(rows)
    columns: list[list[Any]] = [[] for _ in keys]
    take = itemgetter(*keys, keys[0])  # of at least two, for of one it would not give tuples
    for start in range(0, len(rows), _CHUNK):
        some = rows[start : start + _CHUNK]
        turned: Iterable[Sequence[Any]]
        try:
            turned = list(zip(*map(take, some), strict=True))
        except KeyError:
            turned = [[row.get(key) for row in some] for key in keys]
        for column, values in zip(columns, turned, strict=False):
            column += values
    return columns


def _number(type: DataType) -> str | None:
    """The dtype in which the numbers of a type are gathered, None if it has no numbers."""
    if type.is_time:
        return "i8"
    return type.numpy if type.numpy[:1] in ("u", "i", "f") else None


def _by_kernel(rows: list[Any], keys: Sequence[Any], dtypes: list[str | None], types: Sequence[DataType]) -> list[Any]:
    if isinstance(rows[0], dict):
        columns = kernel.gather_rows(rows, tuple(keys), dtypes)
    else:
        wanted = dict(zip(keys, dtypes, strict=True))
        everything = kernel.gather_rows(rows, None, [wanted.get(number) for number in range(len(rows[0]))])
        columns = [everything[key] for key in keys]
    return [
        column.view(type.numpy) if type.is_time and isinstance(column, np.ndarray) else column
        for column, type in zip(columns, types, strict=True)
    ]


def check_kinds(rows: Sequence[Any]) -> None:
    """Raise EncodeError for the first row that is of another kind than the first one, or of none that a record has."""
    kinds = set(map(type, rows))
    if len(kinds) == 1 and kinds <= _USUAL:
        return
    wanted = _kind(rows[0]) if rows else ""
    for number, row in enumerate(rows):
        kind = _kind(row)
        if not kind:
            detail = "a record is a dict, a tuple, or an instance of a mapped class"
            raise EncodeError(f"row {number}: {shown(row)} is no record; {detail}", row=number)
        if kind != wanted:
            raise EncodeError(f"row {number} is {kind} and row 0 is {wanted}: hand them over apart", row=number)


def _kind(row: Any) -> str:
    """What a row is, "" if it is nothing that can be one."""
    if isinstance(row, Mapping):
        return "a dict"
    if isinstance(row, tuple | list):
        return "a tuple or list"
    return "" if row is None or isinstance(row, _NO_RECORDS) else "an object"


def widths_of(rows: Sequence[Any]) -> set[int]:
    """How many values rows have. Raises EncodeError for what is no row."""
    try:
        return set(map(len, rows))
    except TypeError:
        check_kinds(rows)
        raise


def check_widths(rows: Iterable[Sequence[Any]], width: int) -> None:
    """Raise EncodeError for the first tuple that is longer or shorter."""
    for number, row in enumerate(rows):
        if len(row) != width:
            raise EncodeError(f"row {number} has {len(row)} values where {width} are needed", row=number)
