"""SQL over what sinks wrote: DuckDB in memory, the view `flows`, macros for addresses."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from headwater.analysis.errors import QueryError, sentence
from headwater.analysis.flushing import flush_collectors
from headwater.analysis.macros import define
from headwater.analysis.stored import find
from headwater.errors import SourceError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Path_ = str | os.PathLike[str]
Result = TypeVar("Result")

_TRIES: Final = 5
_LOG: Final = logging.getLogger("headwater.query")


def query(
    sql: str,
    *paths: Path_,
    since: float | None = None,
    until: float | None = None,
    flush: bool = True,
    warn: Callable[[str], None] = _LOG.warning,
) -> pa.Table:
    """The answer to a question in SQL about the records in files, as a pyarrow Table.

        hw.query("select ip4(sourceIPv4Address), sum(octetDeltaCount) from flows group by 1", "flows/")

    sql: DuckDB's dialect; `flows` are all records. The rest is as for `connect`.
    Raises QueryError, in a sentence; SourceError where DuckDB or pyarrow is not installed.
    """

    def answer(con: duckdb.DuckDBPyConnection) -> pa.Table:
        from headwater.analysis.answer import Answer

        return Answer(con, sql).table()

    return ask(answer, paths, since=since, until=until, flush=flush, warn=warn)


def connect(
    *paths: Path_,
    since: float | None = None,
    until: float | None = None,
    flush: bool = True,
    warn: Callable[[str], None] = _LOG.warning,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection, in memory, with the view `flows` over the records in files, and the macros (`MACROS`).

    paths: folders that collectors write to, files, patterns: Parquet, Arrow, NDJSON, CSV, IPFIX, captures.
    since, until: only what was collected in that time, seconds since 1970.
    flush: ask a collector that writes to one of the folders to put down what it has. warn: called with sentences.
    The files are those of now; segments that come later are not in the view.
    Raises QueryError, in a sentence.
    """
    return ask(lambda con: con, paths, since=since, until=until, flush=flush, warn=warn)


def ask(
    answer: Callable[[duckdb.DuckDBPyConnection], Result],
    paths: tuple[Path_, ...] | list[str],
    *,
    since: float | None = None,
    until: float | None = None,
    flush: bool = True,
    warn: Callable[[str], None] = _LOG.warning,
) -> Result:
    """What a function makes of a connection. It is called again where files went away before they were opened."""
    check_installed()
    import duckdb

    from headwater.analysis.views import define_flows

    named = [os.fspath(path) for path in paths]
    if since is not None and until is not None and since >= until:
        raise QueryError("'since' is not before 'until', so nothing can be between them")
    if flush:
        flush_collectors(named, warn)
    for left in reversed(range(_TRIES)):
        stored = find(named, since)
        try:
            con = _connection()
            define_flows(con, stored, since, until, warn)
            return answer(con)
        except (duckdb.Error, FileNotFoundError, QueryError) as bad:
            if left and not all(map(os.path.exists, stored.paths)):  # somebody has tidied up meanwhile
                continue
            if isinstance(bad, QueryError):
                raise
            if isinstance(bad, duckdb.Error):
                raise QueryError(sentence(bad)) from bad
            raise QueryError(f"{bad.filename} went away while it was read") from bad
    raise AssertionError


def check_installed() -> None:
    """Raise SourceError where DuckDB or pyarrow is not installed."""
    try:
        import duckdb  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as missing:
        hint = "pip install 'headwater[sql]'"
        raise SourceError(f"queries need {missing.name}, which is not installed: {hint}") from None


def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    # the names of a question are not those of variables here, and nothing is fetched from the network
    con = duckdb.connect(config={"python_enable_replacements": False, "autoinstall_known_extensions": False})
    con.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
    define(con)
    return con
