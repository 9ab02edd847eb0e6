"""NDJSON and CSV: what is text there becomes what Parquet has, whatever it looks like."""

# ruff: noqa: S608  # what is put into SQL here has been quoted, or is a name of ours
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from headwater.analysis.mending import tell
from headwater.analysis.sql_text import columns_of, file_list, literal, quoted, replaced
from headwater.batch.derived import DERIVED
from headwater.model.registry import IANA
from headwater.model.types import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb

_FROM_TEXT: Final = {
    DataType.IPV4: "to_ip4",
    DataType.IPV6: "to_ip6",
    DataType.MAC_ADDRESS: "to_mac",
    DataType.OCTET_ARRAY: "unhex",
}
"""What makes of a text what Parquet has."""
_NUMBERS: Final = ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")
"""That DuckDB finds in text."""
_NOTHING: Final = '"NULL"'
"""The type of what is null in all records, in JSON."""
_NO_TIME: Final = "what is no time, or one beyond the year 290,000, is left out of"
_FILE: Final = "_file"
_CSV: Final = """header=true, skip=0, delim=',', quote='"', escape='"', comment='', allow_quoted_nulls=false"""
"""As RFC 4180 has it: what DuckDB finds out by itself, text that somebody forged can make it find out wrong."""


def ndjson(con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]) -> str:
    """The SQL that reads such files. Raises duckdb.Error."""
    reading = f"read_json({file_list(paths)}, format='newline_delimited', union_by_name=true, hive_partitioning={hive}"
    found = _found_in_json(con, f"{reading}, sample_size=-1")
    if _has_numbered(found):
        return _converted(con, f"{reading}, sample_size=-1", found, warn)
    types = {name: _read_as(name, type) for name, type in found.items()}
    return _converted(con, f"{reading}, columns={_listed(types)}", types, warn)


def _found_in_json(con: duckdb.DuckDBPyConnection, reading: str) -> dict[str, str]:
    """The columns. Where fields in lists have names that differ in case only, lists stay JSON."""
    import duckdb

    try:
        return dict(columns_of(con, f"{reading})"))
    except duckdb.Error as bad:
        if "duplicate name" not in str(bad).lower():
            raise
    found = columns_of(con, f"{reading}, ignore_errors=true)")
    return {name: "JSON" if type.endswith(("]", ")")) else type for name, type in found}


def _has_numbered(names: Iterable[str]) -> bool:
    """Whether names that differ in case only may have got a number, by which nothing is found in JSON."""
    known = {name.lower() for name in names}
    return any(found[1] in known for name in known if (found := re.fullmatch(r"(.+)_\d+", name)))


def csv(con: duckdb.DuckDBPyConnection, paths: Sequence[str], hive: bool, warn: Callable[[str], None]) -> str:
    """The SQL that reads such files. Raises duckdb.Error."""
    reading = f"read_csv({file_list(paths)}, {_CSV}, union_by_name=true, sample_size=-1, hive_partitioning={hive}"
    found = dict(columns_of(con, f"{reading})"))
    types = {name: _read_as(name, type) for name, type in found.items()}
    others = {name: type for name, type in types.items() if type != found[name]}
    return _converted(con, f"{reading}, types={_listed(others)}" if others else reading, types, warn)


def _listed(types: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: {literal(type)}" for name, type in types.items()) + "}"


def _type_of(name: str) -> DataType | None:
    element = IANA.find(name)
    if element is not None:
        return element.type
    return DERIVED[name].type if name in DERIVED else None


def _read_as(name: str, found: str) -> str:
    """The SQL type to read a column as. found: the one that DuckDB has for it."""
    type = _type_of(name)
    if found == _NOTHING:
        return "VARCHAR"
    is_octets = type is DataType.STRING or type is DataType.OCTET_ARRAY
    if is_octets or (type in _FROM_TEXT and found not in _NUMBERS):
        return "VARCHAR"
    # microseconds are all that DuckDB takes from CSV by itself
    return "VARCHAR" if type is DataType.NANOSECONDS and found == "TIMESTAMP" else found


def _converted(
    con: duckdb.DuckDBPyConnection, reading: str, types: Mapping[str, str], warn: Callable[[str], None]
) -> str:
    """reading: without the closing bracket."""
    known = {name: type for name in types if (type := _type_of(name)) is not None}
    made = {name: sql for name, type in known.items() if (sql := _from_text(type, types[name], quoted(name)))}
    # numbers and times that all fit DuckDB has taken for such already, but for nanoseconds: other texts are rare
    tried = {name: sql for name, type in known.items() if (sql := _tried(type, types[name], quoted(name)))}
    times = {name for name in tried if known[name].is_time}
    lost = _lost(con, reading, tried)
    tell({path: found for path, names in lost.items() if (found := [n for n in names if n in times])}, warn, _NO_TIME)
    texts = {name for names in lost.values() for name in names} - times
    made |= {name: sql for name, sql in tried.items() if name not in texts}
    return f"SELECT * {replaced(list(made.items()))} FROM {reading})"


def _from_text(type: DataType, found: str, name: str) -> str | None:
    """The SQL that makes what Parquet has, None if it is that already."""
    if found == "VARCHAR" and type in _FROM_TEXT:
        return f"{_FROM_TEXT[type]}({name})"
    return f"{name}::UBIGINT" if found in ("BIGINT", "HUGEINT") and type.is_unsigned else None


def _tried(type: DataType, found: str, name: str) -> str | None:
    """The SQL that makes a number or a time of a text, and null of another one; None if that is not wanted."""
    if found != "VARCHAR" or not (type.is_time or type.is_numeric):
        return None
    if type.is_time:
        to = "TIMESTAMP_NS" if type is DataType.NANOSECONDS else "TIMESTAMP"
    else:
        to = "DOUBLE" if type.is_float else "UBIGINT" if type.is_unsigned else "BIGINT"
    return f"try_cast(ltrim({name}, '+') AS {to})"  # years beyond 9999 have a sign, which DuckDB does not know


def _lost(con: duckdb.DuckDBPyConnection, reading: str, tried: Mapping[str, str]) -> dict[str, list[str]]:
    """File and the columns of which texts become null so."""
    if not tried:
        return {}
    counts = ", ".join(f"count({quoted(name)}) - count({sql})" for name, sql in tried.items())
    text = f"SELECT {_FILE}, {counts} FROM {reading}, filename={literal(_FILE)}) GROUP BY 1 ORDER BY 1"
    rows = con.execute(text).fetchall()
    found = {path: [name for name, n in zip(tried, numbers, strict=True) if n] for path, *numbers in rows}
    return {path: names for path, names in found.items() if names}
