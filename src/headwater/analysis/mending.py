"""Times that DuckDB cannot hold, as anybody can forge them: null in what it is given, which is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LATEST_MS: Final = (1 << 63) // 1000 - 1
"""DuckDB makes microseconds, in 64 bits, of milliseconds: up to the year 294,247."""
BEYOND: Final = "times beyond the year 290,000 are left out of"
_SHOWN: Final = 3


def has_beyond(path: str) -> bool:
    """Whether a Parquet file has times in milliseconds that DuckDB cannot hold, as far as the statistics in it tell."""
    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException):  # DuckDB tells what is wrong with it
        return False
    times = [i for i in range(found.num_columns) if _is_in_milliseconds(found.schema.column(i))]
    return any(
        told is not None and told.has_min_max and max(-told.min_raw, told.max_raw) > _LATEST_MS
        for group in range(found.num_row_groups if times else 0)
        for told in (found.row_group(group).column(i).statistics for i in times)
    )


def _is_in_milliseconds(column: pq.ColumnSchema) -> bool:
    if column.physical_type != "INT64":
        return False
    logical = json.loads(column.logical_type.to_json())
    return bool(logical.get("Type") == "Timestamp" and logical.get("timeUnit") == "milliseconds")


def mended(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """The table with null for such times, in lists too; the names of the columns that had some."""
    names = []
    for number, name in enumerate(table.schema.names):
        column = table.column(number)
        if any(map(_is_beyond, column.chunks)):
            names.append(name)
            chunks = [_fitting(chunk) for chunk in column.chunks]
            table = table.set_column(number, table.schema.field(number), pa.chunked_array(chunks, column.type))
    return table, names


def _is_beyond(array: pa.Array) -> bool:
    """Whether such a time is in it."""
    type = array.type
    if pa.types.is_list(type):
        return _is_beyond(array.values)
    if pa.types.is_struct(type):
        return any(_is_beyond(array.field(i)) for i in range(type.num_fields))
    if not (pa.types.is_timestamp(type) and type.unit == "ms"):
        return False
    ends = pc.min_max(array.view(pa.int64())).as_py()
    return ends["max"] is not None and max(-ends["min"], ends["max"]) > _LATEST_MS


def _fitting(array: pa.Array) -> pa.Array:
    """The array with null for such times."""
    if not _is_beyond(array):
        return array
    is_null = array.is_null() if array.null_count else None
    if pa.types.is_list(array.type):
        offsets = pa.array(array.offsets.to_numpy())  # as those of a slice cannot have a mask
        return pa.ListArray.from_arrays(offsets, _fitting(array.values), array.type, mask=is_null)
    if pa.types.is_struct(array.type):
        children = [_fitting(array.field(i)) for i in range(array.type.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(array.type), mask=is_null)
    ticks = array.view(pa.int64())
    fits = pc.and_(pc.less_equal(ticks, _LATEST_MS), pc.greater_equal(ticks, -_LATEST_MS))
    return pc.if_else(fits, array, pa.scalar(None, array.type))


def tell(found: Mapping[str, Sequence[str]], warn: Callable[[str], None], what: str = BEYOND) -> None:
    """Say it, if there is something to say. found: file and the columns that lack values now."""
    if not found:
        return
    first, *others = found
    files = first + (f" and {len(others)} more file{'s' * (len(others) > 1)}" if others else "")
    names = list(dict.fromkeys(name for names in found.values() for name in names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    warn(f"{files}: {what} {', '.join(names[:_SHOWN])}{more}")
