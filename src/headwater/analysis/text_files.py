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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import duckdb

_FROM_TEXT: Final = {
    DataType.IPV4: "_ip4_or_null",
    DataType.IPV6: "_ip6_or_null",
    DataType.MAC_ADDRESS: "_mac_or_null",
    DataType.OCTET_ARRAY: "_octets_or_null",
}
"""What makes of a text what Parquet has, and null of what is none."""
_OCTET: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_GROUP: Final = "[0-9A-Fa-f]{1,4}"
_PLAIN: Final = {
    DataType.IPV4: rf"({_OCTET}\.){{3}}{_OCTET}",
    DataType.IPV6: f"{_GROUP}(:{_GROUP}){{0,2}}::({_GROUP}(:{_GROUP}){{0,3}})?|({_GROUP}:){{7}}{_GROUP}",
    DataType.MAC_ADDRESS: "([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}",
    DataType.OCTET_ARRAY: "[0-9A-Fa-f]*",
}
"""Texts that certainly are values: DuckDB sees that far faster than Python."""
_NUMBERS: Final = ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")
"""That DuckDB finds in text."""
_BEYOND_INTEGERS: Final = ("BIGNUM", "HUGEINT", "DOUBLE", "JSON")
"""That DuckDB finds where some integers are too large, or none."""
_NOTHING: Final = '"NULL"'
"""The type of what is null in all records, in JSON."""
_NO_TIME: Final = "what is no time, or one beyond the year 290,000, is left out of"
_NO_VALUE: Final = "values that the type of the element does not have are left out of"
_KEPT: Final = "what makes a column text"
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
    if found in (_NOTHING, "BIGNUM"):
        return "VARCHAR"
    if type is not None and type.is_integer and (found in _BEYOND_INTEGERS or (type.is_signed and found == "UBIGINT")):
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
    checks = [
        (name, what, check)
        for name, type in known.items()
        if types[name] == "VARCHAR"
        for what, check in _checks(type, quoted(name))
    ]
    lost = _lost(con, reading, checks)
    texts = {name for names in lost.pop(_KEPT, {}).values() for name in names}
    for what, files in lost.items():
        left = {path: [name for name in names if name not in texts] for path, names in files.items()}
        tell({path: names for path, names in left.items() if names}, warn, what)
    return f"SELECT * {replaced([(name, sql) for name, sql in made.items() if name not in texts])} FROM {reading})"


def _from_text(type: DataType, found: str, name: str) -> str | None:
    """The SQL that makes what Parquet has, and null of texts that are none; None if it is that already."""
    if found == "VARCHAR":
        if type in _FROM_TEXT:
            return f"{_FROM_TEXT[type]}({name})"
        return _time(type, name) if type.is_time else _number(type, name) if type.is_numeric else None
    return f"{name}::UBIGINT" if found in ("BIGINT", "HUGEINT") and type.is_unsigned else None


def _time(type: DataType, name: str) -> str:
    # years beyond 9999 have a sign, which DuckDB does not know
    return f"try_cast(ltrim({name}, '+') AS {'TIMESTAMP_NS' if type is DataType.NANOSECONDS else 'TIMESTAMP'})"


def _number(type: DataType, name: str) -> str:
    text = f"ltrim({name}, '+')"
    if type.is_float:
        return f"try_cast({text} AS DOUBLE)"
    number = f"try_cast({text} AS {'UBIGINT' if type.is_unsigned else 'BIGINT'})"
    return f"CASE WHEN {_is_whole(name)} IS NOT false THEN {number} END"  # DuckDB rounds fractions


def _is_whole(name: str) -> str:
    """Null of what is no number."""
    number = f"try_cast(ltrim({name}, '+') AS DOUBLE)"
    return f"({number} = trunc({number}))"


def _checks(type: DataType, name: str) -> Iterator[tuple[str, str]]:
    """What there is to say of texts that become null, and the SQL that tells whether one does."""
    sql = _from_text(type, "VARCHAR", name)
    if sql is None:
        return
    is_lost = f"{name} IS NOT NULL AND {sql} IS NULL"
    if type in _PLAIN:
        yield _NO_VALUE, f"CASE WHEN NOT regexp_full_match({name}, {literal(_PLAIN[type])}) THEN {sql} IS NULL END"
    elif type.is_time:
        yield _NO_TIME, is_lost
    elif type.is_float or type is DataType.UNSIGNED256:
        yield _KEPT, is_lost
    else:
        is_whole = f"coalesce({_is_whole(name)}, false)"
        yield _NO_VALUE, f"{is_lost} AND {is_whole}"
        yield _KEPT, f"{is_lost} AND NOT {is_whole}"


def _lost(
    con: duckdb.DuckDBPyConnection, reading: str, checks: Sequence[tuple[str, str, str]]
) -> dict[str, dict[str, list[str]]]:
    """What there is to say, of which file and which columns. checks: (column, what there is to say, SQL)."""
    if not checks:
        return {}
    found = ", ".join(f"coalesce(bool_or({sql}), false)" for _, _, sql in checks)
    text = f"SELECT {_FILE}, {found} FROM {reading}, filename={literal(_FILE)}) GROUP BY 1 ORDER BY 1"
    out: dict[str, dict[str, list[str]]] = {}
    for path, *answers in con.execute(text).fetchall():
        for (name, what, _), is_lost in zip(checks, answers, strict=True):
            if is_lost:
                out.setdefault(what, {}).setdefault(path, []).append(name)
    return out
