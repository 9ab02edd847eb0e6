"""`headwater info`: what option records said, as small tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.cli.info_exporters import LISTED
from headwater.cli.outcome import counted
from headwater.cli.screen import display_width, safe, shortened
from headwater.cli.table import GAP, aligned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headwater.batch.option_table import OptionTable
    from headwater.cli.screen import Painter

_WIDEST = 40
_SYSTEM = ("v9System", "observationDomainId", "exportingProcessId")


def options(tables: Mapping[str, OptionTable], paint: Painter, *, width: int | None, is_all: bool) -> Iterator[str]:
    """The tables with their first rows, or all. width: of the terminal; columns that do not fit are named."""
    for table in tables.values():
        rows = [row for row in table.rows() if row["is_current"]]
        yield f"\n  {paint('name', f'options: {safe(table.name)}')}, {counted(len(rows), 'row')}{_changes(table)}"
        shown = rows if is_all else rows[:LISTED]
        headings, cells = _cells(rows, shown)
        fitting = _fitting(headings, cells, width)
        right = {i for i in range(fitting) if all(row[i].isdecimal() for row in cells)}
        yield from aligned(
            [row[:fitting] for row in cells], headings[:fitting], right=right, indent="    ", paint=paint
        )
        if fitting < len(headings):
            text = f"and {', '.join(headings[fitting:])}"
            yield paint("faint", "    " + (text if width is None else shortened(text, width - 4)))
        if len(shown) < len(rows):
            yield f"    … {len(rows) - len(shown):,} more, --options shows all"


def _changes(table: OptionTable) -> str:
    """How many values were replaced by others later."""
    replaced = sum(not row["is_current"] for row in table.rows())
    return f" ({counted(replaced, 'older value')})" if replaced else ""


def _cells(rows: list[dict[str, Any]], shown: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows of cells): who said it where several did, then scope and values."""
    names: dict[str, None] = {}
    for part in ("scope", "values"):
        for row in rows:
            names.update(dict.fromkeys(row[part]))
    facts = [fact for fact in ("exporter", "domain") if len({row[fact] for row in rows}) > 1]
    # that all rows are about the one exporter is told once, in the list of exporters
    columns = [name for name in names if name not in _SYSTEM or len(names) == 1 or _varies(rows, name)]
    cells = [
        [
            *(str(row[fact]) for fact in facts),
            *(_cell(name, {**row["scope"], **row["values"]}) for name in columns),
        ]
        for row in shown
    ]
    return [*facts, *map(safe, columns)], cells


def _varies(rows: list[dict[str, Any]], name: str) -> bool:
    return len({row["scope"].get(name) for row in rows}) > 1


def _cell(name: str, cells: dict[str, Any]) -> str:
    if cells.get(name) is None:
        return "-"
    return shortened(safe(text_of(name, cells[name])), _WIDEST)


def _fitting(headings: list[str], cells: list[list[str]], width: int | None) -> int:
    """How many columns fit, at least one."""
    if width is None:
        return len(headings)
    left = width - 4
    for i, heading in enumerate(headings):
        left -= max(map(display_width, (heading, *(row[i] for row in cells)))) + (len(GAP) if i else 0)
        if left < 0:
            return max(i, 1)
    return len(headings)


def text_of(name: str, value: Any) -> str:
    """A value that option records said, as RFC 7373 writes it, with its name where it has one."""
    from headwater.model.enumerations import describe
    from headwater.model.registry import IANA
    from headwater.model.text import to_text

    if value is None:
        return "no value"
    element = IANA.find(name.partition("#")[0])
    if element is None or isinstance(value, list | dict):
        return value.hex() if isinstance(value, bytes) else str(value)
    if isinstance(value, bytes) and not element.type.accepts(len(value)):
        return value.hex()
    if isinstance(value, str):
        return value
    named = describe(element, value)
    return to_text(element.type, value) + (f" ({named})" if named else "")
