"""`headwater query`: SQL over what a collector stores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headwater.cli.options import examples

if TYPE_CHECKING:
    from headwater.cli.sql_output import Output

_EPILOG = examples(
    'headwater query "select count(*) from flows" flows/',
    'headwater query "select ip(sourceIPv4Address, sourceIPv6Address) as source, sum(octetDeltaCount) as octets'
    ' from flows group by 1 order by 2 desc limit 10" flows/',
    "headwater query --since 10m \"select * from flows where in4(destinationIPv4Address, '10.0.0.0/8')\" flows/",
    "headwater query --csv -f report.sql flows/2026/11/*.parquet > report.csv",
    'headwater query --parquet day.parquet --since 1d "select * from flows order by flowStartMilliseconds" flows/',
    "headwater query --tables flows/",
)


@click.command(epilog=_EPILOG)
@click.argument("arguments", metavar="[SQL] PATH...", nargs=-1)
@click.option("-f", "--file", "sql_file", metavar="FILE", help="Read the SQL from FILE; - is stdin.")
@click.option("--tables", "with_columns", is_flag=True, help="Instead of an answer, the columns of `flows`.")
@click.option("--since", metavar="TIME", help="What was collected since: 10m, 2h, 2026-01-31T12:00:00 (UTC).")
@click.option("--until", metavar="TIME", help="What was collected before.")
@click.option("-n", "most", type=click.IntRange(0), metavar="N", help="N rows at most; 50 on a terminal, 0 = all.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object per line.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV.")
@click.option("--arrow", metavar="FILE", help="An Arrow IPC file; - is a stream to stdout.")
@click.option("--parquet", metavar="FILE", help="A Parquet file.")
@click.option("--force", is_flag=True, help="Replace FILE of --arrow or --parquet if it exists.")
@click.option("--raw", is_flag=True, help="Addresses as they are stored, as numbers and octets.")
@click.option("--no-flush", is_flag=True, help="Do not ask a running collector to put down what it has.")
@click.pass_context
def query(
    ctx: click.Context,
    arguments: tuple[str, ...],
    sql_file: str | None,
    with_columns: bool,
    since: str | None,
    until: str | None,
    most: int | None,
    as_json: bool,
    as_csv: bool,
    arrow: str | None,
    parquet: str | None,
    force: bool,
    raw: bool,
    no_flush: bool,
) -> None:
    """Answer a question in SQL about the records in PATH; the table is `flows`.

    PATH is a folder that a collector writes to, or files and patterns: Parquet, Arrow, NDJSON, CSV, IPFIX, captures. A
    collector that is running puts down what it has before the answer is made. SQL is that of DuckDB; - is stdin.

    Addresses are numbers and octets in the files. They are shown as text where a column is taken as it is or
    renamed; ip4(a), ip6(a), ip(v4, v6) and mac(a) make texts of them anywhere, to_ip4('192.0.2.1') and to_ip6(…) the
    other way. in4(a, '10.0.0.0/8') and in6(a, '2001:db8::/32') say what is in a prefix, proto(p) and flags(f) name
    protocols and TCP flags.
    """
    if as_json + as_csv + (arrow is not None) + (parquet is not None) + with_columns > 1:
        raise click.UsageError("--json, --csv, --arrow, --parquet and --tables exclude each other", ctx)
    sql, paths = _question(ctx, arguments, sql_file, with_columns=with_columns)
    from headwater.analysis.querying import ask, check_installed
    from headwater.cli.sql_time import instant

    check_installed()
    if with_columns:
        from headwater.cli.sql_columns import show_columns

        output: Output = show_columns
    else:
        output = _output(sql, as_json, as_csv, arrow, parquet, force=force, raw=raw, most=most)
    rest = ask(
        output, paths, since=instant(since, "--since"), until=instant(until, "--until"), flush=not no_flush, warn=_warn
    )
    if rest is not None:
        rest()


def _question(
    ctx: click.Context, arguments: tuple[str, ...], sql_file: str | None, *, with_columns: bool
) -> tuple[str, list[str]]:
    """The SQL and the paths."""
    if with_columns:
        sql, paths = "", list(arguments)
    elif sql_file is not None:
        sql, paths = _read(sql_file), list(arguments)
    elif not arguments:
        raise click.UsageError("there is neither SQL nor a path", ctx)
    else:
        sql, paths = arguments[0], list(arguments[1:])
        if sql == "-":
            sql = _read(sql)
        elif not paths and Path(sql).exists():
            raise click.UsageError(f"there is no SQL before {sql}", ctx)
    if not paths:
        raise click.UsageError("the folder or files to ask are missing, such as flows/", ctx)
    return sql, paths


def _read(path: str) -> str:
    try:
        return (sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()).decode()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is no text in UTF-8") from None


def _output(
    sql: str,
    as_json: bool,
    as_csv: bool,
    arrow: str | None,
    parquet: str | None,
    *,
    force: bool,
    raw: bool,
    most: int | None,
) -> Output:
    from headwater.cli import sql_output

    if parquet == "-":
        raise click.UsageError("a Parquet file cannot go to stdout; --arrow - can")
    if arrow is not None or parquet is not None:
        return sql_output.FileOutput(sql, arrow, parquet, force=force, most=most)
    if as_json or as_csv:
        return sql_output.TextOutput(sql, as_json=as_json, raw=raw, most=most)
    from headwater.cli.sql_table import TableOutput

    return TableOutput(sql, raw=raw, most=most)


def _warn(text: str) -> None:
    from headwater.cli.screen import safe

    click.echo(f"headwater: {safe(text)}", err=True)
