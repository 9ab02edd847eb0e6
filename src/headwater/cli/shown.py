"""Cells of records as people read them: names for values, everything from the wire made safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headwater.cli.screen import safe
from headwater.model.enumerations import describe
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.sinks.cells import as_json

if TYPE_CHECKING:
    from headwater.batch import Column

NOTHING = "-"
"""What is shown for a null."""


_DURATION = "flowDuration"
_LONG_TIME = 23


def shown(column: Column, values: list[Any], *, with_numbers: bool = False, is_short: bool = False) -> list[str]:
    """The texts of a column's cells (as `sinks.cells.chunks` gives them). with_numbers: `6 (tcp)` instead of `tcp`.

    is_short: times that were worked out end with milliseconds.
    """
    type = column.type
    is_added = column.length is None
    if is_added and column.name == _DURATION:
        return [NOTHING if value is None else _duration(value, with_numbers=with_numbers) for value in values]
    if is_added and is_short and type is DataType.NANOSECONDS:
        return [NOTHING if value is None else value[:_LONG_TIME] for value in values]
    if is_added and type.is_float:  # rates: 100, and not 1.0E+2
        return [NOTHING if value is None else f"{value:.10g}" for value in values]
    if type.is_integer:
        return _integers(column, values, with_numbers=with_numbers)
    if type.is_time or type.is_address:
        return [NOTHING if value is None else value for value in values]
    if type is DataType.STRING:  # exporters fill fields of fixed length with U+0000
        return [NOTHING if value is None else safe(value.rstrip("\0")) for value in values]
    if type is DataType.OCTET_ARRAY:
        return [NOTHING if value is None else value.hex() for value in values]
    if type.is_list:
        texts = (msgspec.json.encode(value).decode() for value in as_json(type, values))
        return [NOTHING if text == "null" else safe(text) for text in texts]
    return [NOTHING if value is None else to_text(type, value) for value in values]


def _integers(column: Column, values: list[Any], *, with_numbers: bool) -> list[str]:
    element = column.element
    known: dict[int | None, str] = {None: NOTHING}
    for value in set(values) - {None}:
        name = describe(element, value) if element is not None else None
        known[value] = str(value) if name is None else f"{value} ({safe(name)})" if with_numbers else safe(name)
    return [known[value] for value in values]


def _duration(nanoseconds: int, *, with_numbers: bool) -> str:
    """Nanoseconds as seconds with three decimals."""
    text = f"{nanoseconds / 1e9:.3f} s"
    return f"{nanoseconds} ({text})" if with_numbers else text
