"""Parquet files with times that DuckDB cannot hold, as anybody can forge them: read with these times left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_LATEST_MS: Final = (1 << 63) // 1000 - 1
"""DuckDB makes microseconds, in 64 bits, of the milliseconds of a Parquet file."""


def columns_beyond(path: str) -> list[str]:
    """Columns with times in milliseconds that DuckDB cannot hold, as far as the statistics in the file tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException):  # DuckDB tells what is wrong with it
        return []
    times = [i for i in range(found.num_columns) if _is_in_milliseconds(found.schema.column(i))]
    beyond = []
    for i in times:
        for group in range(found.num_row_groups):
            told = found.row_group(group).column(i).statistics
            if told is not None and told.has_min_max and max(-told.min_raw, told.max_raw) > _LATEST_MS:
                beyond.append(found.schema.column(i).path)
                break
    return beyond


def _is_in_milliseconds(column: object) -> bool:
    if getattr(column, "physical_type", "") != "INT64" or getattr(column, "max_definition_level", 2) > 1:
        return False  # no time, or within a list
    logical = json.loads(column.logical_type.to_json())  # type: ignore[attr-defined]  # pyarrow has no types
    return bool(logical.get("Type") == "Timestamp" and logical.get("timeUnit") == "milliseconds")


def mended(con: duckdb.DuckDBPyConnection, path: str, columns: list[str], warn: Callable[[str], None]) -> str:
    """The file as a table of the connection, null where such times were; its name."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, partitioning=None)
    for name in columns:
        at = table.schema.get_field_index(name)
        values = table.column(at)
        ticks = values.cast(pa.int64())
        fits = pc.and_(pc.less_equal(ticks, _LATEST_MS), pc.greater_equal(ticks, -_LATEST_MS))
        table = table.set_column(at, table.schema.field(at), pc.if_else(fits, values, pa.scalar(None, values.type)))
    shown = ", ".join(columns[:3]) + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")
    warn(f"{path}: times beyond the year 290,000 are left out of {shown}")
    name = f"_mended_{len(con.execute('SHOW TABLES').fetchall())}"
    con.register(name, table)
    return name
