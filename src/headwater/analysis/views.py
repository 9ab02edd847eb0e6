"""The view `flows`: everything that was found, columns by name over all files."""

# ruff: noqa: S608  # what is put into SQL here has been quoted, or is a name of ours
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headwater.analysis.errors import QueryError
from headwater.analysis.mending import has_beyond, mended, tell
from headwater.analysis.sql_text import columns_of, file_list, literal, quoted, replaced
from headwater.analysis.stored import hive_columns
from headwater.analysis.text_files import csv, ndjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import duckdb

    from headwater.analysis.stored import Stored

FLOWS: Final = "flows"
_TIME: Final = "collectionTimeMilliseconds"
_PROVENANCE: Final = (_TIME, "exporterIPv4Address", "exporterIPv6Address", "observationDomainId")
_TEXTS: Final = ("ndjson", "csv")
"""Kinds in which a file of no octets is a whole one without records."""
_NUMBERS: Final = ("INT32", "INT64", "FLOAT", "DOUBLE")
_SQL_NUMBERS: Final = (
    *(f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")),
    "FLOAT",
    "DOUBLE",
)


def define_flows(
    con: duckdb.DuckDBPyConnection,
    stored: Stored,
    since: float | None,
    until: float | None,
    warn: Callable[[str], None],
) -> None:
    """Make the view. since, until: seconds since 1970, of the time of collection. Raises QueryError, duckdb.Error."""
    kinds = _without_empty(stored.kinds, warn)
    parts = [_READERS.get(kind, _export)(con, paths, stored.hive, warn) for kind, paths in kinds.items()]
    everything = " UNION ALL BY NAME ".join(f"({part})" for part in parts)
    con.execute(f"CREATE OR REPLACE TEMP VIEW {FLOWS} AS {everything}")
    bounds = [
        f"{_TIME} {operator} make_timestamp({round(at * 1e6)})"
        for operator, at in ((">=", since), ("<", until))
        if at is not None
    ]
    if bounds:
        if _TIME not in (name for name, _ in columns_of(con, FLOWS)):
            raise QueryError(f"there is no column {_TIME}, so nothing tells what was collected when")
        text = f"SELECT * FROM ({everything}) WHERE {' AND '.join(bounds)}"
        con.execute(f"CREATE OR REPLACE TEMP VIEW {FLOWS} AS {text}")


def _without_empty(kinds: dict[str, list[str]], warn: Callable[[str], None]) -> dict[str, list[str]]:
    """Paths by kind without files of no octets, as full disks leave them; all of them if there are no others."""
    filled = {kind: [path for path in paths if not _is_empty(path)] for kind, paths in kinds.items()}
    if not any(filled.values()):
        return kinds
    others = {kind: set(paths) for kind, paths in filled.items()}
    empty = [path for kind, paths in kinds.items() if kind not in _TEXTS for path in paths if path not in others[kind]]
    if len(empty) == 1:
        warn(f"{empty[0]}: nothing is in it, so it is left out")
    elif empty:
        more = f"{len(empty) - 1} more file{'s' * (len(empty) > 2)}"
        warn(f"{empty[0]} and {more}: nothing is in them, so they are left out")
    return {kind: paths for kind, paths in filled.items() if paths}


def _is_empty(path: str) -> bool:
    file = Path(path)
    return file.is_file() and not file.stat().st_size


def _parquet(con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]) -> str:
    beyond = [path for path in paths if has_beyond(path)]
    groups = _alike(con, [path for path in paths if path not in beyond])
    readings = [f"read_parquet({file_list(group)}, union_by_name=true, hive_partitioning={hive})" for group in groups]
    readings += _mended(con, beyond, hive, warn)
    if len(readings) == 1:
        return f"SELECT * FROM {readings[0]}"
    types = [dict(columns_of(con, reading)) for reading in readings]
    kinds: dict[str, set[str]] = {}
    for name, type in (item for some in types for item in some.items()):
        kinds.setdefault(name, set()).add(_kind(type))
    mixed = {name for name, found in kinds.items() if len(found) > 1}
    return " UNION ALL BY NAME ".join(
        f"SELECT * {replaced([(name, _as_text(name, some[name])) for name in some if name in mixed])} FROM {reading}"
        for some, reading in zip(types, readings, strict=True)
    )


def _mended(
    con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]
) -> Iterator[str]:
    """Parquet files with times that DuckDB cannot hold, as tables of the connection."""
    import pyarrow.parquet as pq

    found = {path: mended(pq.read_table(path, partitioning=None)) for path in paths}
    tell({path: names for path, (_, names) in found.items()}, warn)
    for number, (path, (table, _)) in enumerate(found.items()):
        name = f"_mended_{number}"
        con.register(name, table)
        types = dict(columns_of(con, f"read_parquet({file_list([path])}, hive_partitioning={hive})"))
        values = dict(hive_columns(path) if hive else ())
        folders = [f"{literal(value)}::{types[key]} AS {quoted(key)}" for key, value in values.items() if key in types]
        yield f"(SELECT {', '.join(['*', *folders])} FROM {name})"


def _alike(con: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> list[list[str]]:
    """The files in groups in which columns have a common type: DuckDB finds it for numbers, but not for others."""
    if not paths:
        return []
    rows = con.execute(
        f"SELECT file_name, name, type, logical_type, num_children FROM parquet_schema({file_list(paths)})"
    ).fetchall()
    shapes: dict[str, list[tuple[Any, ...]]] = {}
    left: list[int] = []
    seen = ""
    for path, name, *rest in rows:
        if path != seen:
            left, seen = [], path
            shapes[path] = []
        children = rest[-1] or 0
        if left:
            shapes[path].append((len(left), name, *rest))
        if left:
            left[-1] -= 1
        left.append(children)
        while left and not left[-1]:
            left.pop()
    groups: list[tuple[dict[str, Any], list[str]]] = []
    for path in paths:
        columns = _by_column(shapes.get(path, []))
        for known, group in groups:
            if all(known.get(name, shape) == shape for name, shape in columns.items()):
                known.update(columns)
                group.append(path)
                break
        else:
            groups.append((columns, [path]))
    return [group for _, group in groups]


def _by_column(shape: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Of each column what tells its type from others: all that is in it; of numbers just that they are some."""
    out: dict[str, Any] = {}
    name = ""
    for depth, called, type, logical, children in shape:
        if depth == 1:
            name = str(called)
        is_number = depth == 1 and not children and type in _NUMBERS and "Time" not in str(logical)
        out.setdefault(name, []).append("number" if is_number else (depth, called, type, logical, children))
    return out


def _kind(type: str) -> str:
    """Types of one kind have a common type."""
    return "number" if type in _SQL_NUMBERS else type


def _as_text(name: str, type: str) -> str:
    if type.endswith("]") or type.startswith(("STRUCT", "MAP")):
        return f"to_json({quoted(name)})::VARCHAR"
    return f"lower(hex({quoted(name)}))" if type == "BLOB" else f"{quoted(name)}::VARCHAR"


def _arrow(con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]) -> str:
    import pyarrow as pa

    tables = []
    beyond = {}
    for path in paths:
        try:
            with pa.memory_map(path) as file:
                is_file = file.read(6) == b"ARROW1"
                file.seek(0)
                table, names = mended((pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)).read_all())
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as bad:
            raise QueryError(f"{path} cannot be read: {bad}") from bad
        tables.append(table)
        if names:
            beyond[path] = names
    tell(beyond, warn)
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as bad:
        raise QueryError(f"the columns of the Arrow files do not go together: {bad}") from bad
    con.register("_arrow_flows", table)
    return "SELECT * FROM _arrow_flows"


def _export(con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]) -> str:
    from headwater.process.reading import read
    from headwater.sinks.table import table

    with read(list(paths), provenance=_PROVENANCE, options=False) as reading:
        flows, names = mended(table(reading))
    if not reading.report.is_complete:
        warn(f"records may be missing: {reading.report}")
    if not flows.num_columns:
        raise QueryError(f"there are no flow records in {', '.join(paths[:3])}")
    tell({", ".join(paths[:3]): names} if names else {}, warn)
    con.register("_export_flows", flows)
    return "SELECT * FROM _export_flows"


_READERS: Final = {"parquet": _parquet, "arrow": _arrow, "ndjson": ndjson, "csv": csv}
