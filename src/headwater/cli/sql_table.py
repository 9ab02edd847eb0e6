"""Answers as a table: on a terminal what fits, with large numbers in groups; in a pipe everything as it is."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from headwater.analysis.answer import Answer
from headwater.cli.layout import ranks
from headwater.cli.record_table import chosen
from headwater.cli.screen import Painter, display_width, safe, shortened, terminal_width
from headwater.cli.shown import NOTHING
from headwater.cli.sql_output import text
from headwater.cli.table import aligned

if TYPE_CHECKING:
    import duckdb

    from headwater.analysis.answer import AnswerColumn
    from headwater.cli.sql_output import Rest

_MOST_ON_TERMINAL: Final = 50
_WIDEST: Final = 40
_BLOCK: Final = 2000


class TableOutput:
    """Prints an answer. most: rows, 0 = all, None = as many as make sense."""

    def __init__(self, sql: str, *, raw: bool, most: int | None) -> None:
        self._sql, self._raw, self._width, self._paint = sql, raw, terminal_width(), Painter()
        self._most = most if most is not None else _MOST_ON_TERMINAL if self._width else 0

    def __call__(self, con: duckdb.DuckDBPyConnection) -> Rest:
        answer = Answer(con, self._sql, most=self._most + 1 if self._most else None)
        return lambda: self._print(answer)

    def _print(self, answer: Answer) -> None:
        """All in blocks, each aligned; what is on a terminal is mostly one."""
        count = 0
        for columns in answer.chunks(_BLOCK, raw=self._raw):
            rows = len(columns[0])
            if self._most:
                columns = [values[: self._most - count] for values in columns]
            if columns[0]:
                self._show(answer.columns, columns, with_headings=not count)
            count += rows
        if not count:
            self._show(answer.columns, [[] for _ in answer.columns], with_headings=True)
        if not count and self._width is not None:
            click.echo(self._paint("faint", "no rows"))
        if self._most and count > self._most:
            click.echo(self._paint("faint", f"there are more than {self._most:,} rows; -n 0 shows all"))

    def _show(self, columns: list[AnswerColumn], values: list[list[Any]], *, with_headings: bool) -> None:
        names = [safe(column.name) for column in columns]
        cells = [[self._cell(c, value) for value in found] for c, found in zip(columns, values, strict=True)]
        widths = [max(map(display_width, (name, *texts))) for name, texts in zip(names, cells, strict=True)]
        said = [any(one != NOTHING for one in texts) for texts in cells]
        shown = chosen(ranks(names), widths, said, self._width)
        if with_headings and len(shown) < len(names) and self._width is not None:
            hidden = [name for at, name in enumerate(names) if at not in shown]
            note = f"{len(hidden)} of {len(names)} columns do not fit (--json shows all): {', '.join(hidden)}"
            click.echo(self._paint("faint", shortened(note, self._width)))
        headings = [names[at] for at in shown]
        right = {at for at, number in enumerate(shown) if columns[number].is_numeric}
        rows = list(zip(*[cells[at] for at in shown], strict=True))
        lines = list(aligned(rows or [("",) * len(shown)], headings, right=right, width=self._width, paint=self._paint))
        for line in lines[not with_headings : len(rows) + 1]:
            click.echo(line)

    def _cell(self, column: AnswerColumn, value: Any) -> str:
        if value is None:
            return NOTHING
        if self._width is None:
            return safe(text(value))
        if isinstance(value, float):
            return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.6g}"
        if column.is_amount and isinstance(value, int | Decimal):
            return f"{value:,}"
        return shortened(safe(text(value)), _WIDEST)
