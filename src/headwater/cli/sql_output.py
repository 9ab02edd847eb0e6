"""Answers as JSON, CSV, Arrow and Parquet."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headwater.analysis.answer import Answer

if TYPE_CHECKING:
    import duckdb

Rest = Callable[[], None]
Output = Callable[["duckdb.DuckDBPyConnection"], Rest | None]
"""Makes the answer. What it gives back writes it down: by then the files have been opened."""

_SPECIAL: Final = re.compile(r'[",\r\n]')
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class TextOutput:
    """Writes an answer to stdout as NDJSON or CSV."""

    def __init__(self, sql: str, *, as_json: bool, raw: bool, most: int | None) -> None:
        self._sql, self._as_json, self._raw, self._most = sql, as_json, raw, most or None

    def __call__(self, con: duckdb.DuckDBPyConnection) -> Rest:
        answer = Answer(con, self._sql, most=self._most)
        return lambda: self._write(answer)

    def _write(self, answer: Answer) -> None:
        from headwater.cli.screen import SafeOutput

        output = SafeOutput(sys.stdout) if sys.stdout.isatty() else sys.stdout.buffer
        names = answer.schema.names
        if not self._as_json:
            output.write((",".join(map(_quoted, names)) + "\n").encode())
        for columns in answer.chunks(raw=self._raw):
            rows = zip(*columns, strict=True)
            if self._as_json:
                output.write(_ENCODER.encode_lines([dict(zip(names, row, strict=True)) for row in rows]))
            else:
                output.write("".join(f"{','.join(map(_cell, row))}\n" for row in rows).encode())


class FileOutput:
    """Writes an answer to a file that appears when it is whole. Addresses stay what they are, as in `convert`."""

    def __init__(self, sql: str, arrow: str | None, parquet: str | None, *, force: bool, most: int | None) -> None:
        self._sql, self._is_parquet, self._force, self._most = sql, parquet is not None, force, most or None
        self._path = parquet or arrow or ""

    def __call__(self, con: duckdb.DuckDBPyConnection) -> Rest | None:
        from headwater.analysis.writing import write_arrow, write_parquet
        from headwater.sinks.output import open_output

        answer = Answer(con, self._sql, most=self._most)
        if self._path == "-":
            return lambda: write_arrow(answer, sys.stdout.buffer, is_stream=True)
        with open_output(self._path, force=self._force) as file:
            if self._is_parquet:
                write_parquet(answer, file)
            else:
                write_arrow(answer, file)
        return None


def text(value: Any) -> str:
    """A value of an answer as a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _ENCODER.encode(value).decode() if isinstance(value, list | dict) else str(value)


def _cell(value: Any) -> str:
    return "" if value is None else _quoted(text(value))


def _quoted(cell: str) -> str:
    return cell if cell and not _SPECIAL.search(cell) else f'"{cell.replace(chr(34), 2 * chr(34))}"'
