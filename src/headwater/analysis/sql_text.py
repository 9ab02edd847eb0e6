"""SQL as text: names and literals in it, and what a reading gives."""

# ruff: noqa: S608  # what is put into SQL here has been quoted, or is a reading of ours
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


def columns_of(con: duckdb.DuckDBPyConnection, what: str) -> list[tuple[str, str]]:
    """(name, SQL type) of the columns of a view or a reading."""
    return [(name, type) for name, type, *_ in con.execute(f"DESCRIBE SELECT * FROM {what}").fetchall()]


def literal(text: str) -> str:
    """As SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name of a column as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def file_list(paths: Sequence[str]) -> str:
    """Files to read; what is a pattern for DuckDB is a name here."""
    return "[" + ", ".join(literal("".join(f"[{c}]" if c in "*?[" else c for c in path)) for path in paths) + "]"


def replaced(columns: Sequence[tuple[str, str]]) -> str:
    """What stands behind `SELECT *` so that columns are something else: (name, SQL)."""
    return f"REPLACE ({', '.join(f'{sql} AS {quoted(name)}' for name, sql in columns)})" if columns else ""
