"""Cells of option records as they are kept: short, hashable, and without what pads text in fields of fixed length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CELL_LIMIT: Final = 1024
"""Characters of a text and octets of an octetArray that are kept."""

_COLUMN: Final = 64  # octets that a column takes besides its content


def clean(cell: Any) -> Any:
    """A cell as it is kept: int, float, bool, None, text up to its first U+0000, octets; lists as text."""
    if isinstance(cell, str):
        return cell.partition("\0")[0][:CELL_LIMIT]
    if isinstance(cell, bytes):
        return cell[:CELL_LIMIT]
    if cell is None or isinstance(cell, int):
        return cell if cell is None or -(1 << 63) <= cell < 1 << 64 else str(cell)
    if isinstance(cell, float):
        return cell if cell == cell else None  # a NaN would be a new value each time
    return repr(cell)[:CELL_LIMIT]


def frozen(cells: tuple[Any, ...]) -> tuple[Any, ...]:
    """Cells with structured data among them, so that they can be hashed."""
    return tuple([repr(cell) if isinstance(cell, list | dict) else cell for cell in cells])


def octets_of(cells: Mapping[str, Any]) -> int:
    """About what it takes to keep them."""
    return sum([_COLUMN + (len(cell) if isinstance(cell, str | bytes) else 0) for cell in cells.values()]) + _COLUMN
