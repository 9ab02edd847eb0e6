"""`headwater convert`: records into files that other programs read."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from headwater.cli.options import choosing_options, examples, keep_sources, reading_options, with_registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from headwater.cli.converting import Conversion, Format
    from headwater.cli.converting_ipfix import IpfixConversion, TableConversion
    from headwater.cli.options import ChoosingOptions
    from headwater.cli.progress import Progress
    from headwater.cli.query import Query

    Messages = Literal["ipfix", "pcap"]

_IPFIX: Literal["ipfix"] = "ipfix"
_PCAP: Literal["pcap"] = "pcap"
_SUFFIXES: dict[str, Format | Messages] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".ipfix": _IPFIX,
    ".pcap": _PCAP,
}


@click.command(
    epilog=examples(
        "headwater convert flows.ipfix flows.parquet",
        "headwater convert captures/ flows.parquet -s flowStartMilliseconds,sourceIPv4Address,octetDeltaCount",
        "headwater convert -w 'protocolIdentifier == udp' flows.ipfix.zst udp.csv",
        "headwater convert --resolve-time --scale-sampling netflow.pcap flows.parquet",
        "headwater convert --state routers.state --port 2055 trace.pcapng flows.csv",
        "zcat flows.ipfix.gz | headwater convert - - --to ndjson | jq .octetDeltaCount",
        "headwater convert netflow.pcap flows.ipfix.zst",
        "headwater convert flows.parquet flows.ipfix",
        "headwater convert flows.ipfix flows.pcap",
    )
)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@click.argument("destination", metavar="DEST")
@click.option(
    "--to",
    "format",
    type=click.Choice(["ndjson", "csv", "parquet", "arrow", "ipfix", "pcap"]),
    help="Format; otherwise DEST's suffix decides.",
)
@click.option("-f", "--force", is_flag=True, help="Replace DEST if it exists.")
@click.option("-n", "most", type=click.IntRange(0), metavar="N", help="Stop after N records.")
@click.option(
    "--mtu",
    type=click.IntRange(1),
    metavar="OCTETS",
    help="Octets of an IPFIX Message at most; 512 in a capture, otherwise 65535.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@choosing_options
@reading_options
@click.pass_context
def convert(
    ctx: click.Context,
    sources: tuple[str, ...],
    destination: str,
    format: Format | Messages | None,
    force: bool,
    most: int | None,
    mtu: int | None,
    quiet: bool,
    **asked: Unpack[ChoosingOptions],
) -> None:
    """Write the records of SOURCE to DEST: Parquet, Arrow, CSV, NDJSON, IPFIX or pcap, by the suffix of DEST.

    SOURCE holds IPFIX, NetFlow, or a packet capture with these in it (pcap, pcapng), compressed or not. For IPFIX
    it may also be a table, by its suffix: Parquet, Arrow, CSV or NDJSON, whose columns go by names of elements.

    DEST appears when it is complete, or not at all. - is stdout and needs --to.

    Without --select the columns are those of all templates together, null where a record has none; for this the
    sources are read twice (stdin is kept in a temporary file meanwhile). NDJSON has one object per record with just
    the record's own fields, in the order they were sent. Addresses are numbers and octets in Parquet and Arrow, text
    in CSV and NDJSON. Where Templates disagree about the width of an integer, its column is as wide as the widest.

    An IPFIX file (.ipfix, also with .gz, .bz2, .xz, .zst or .lz4 behind it) has options records, domains and export
    times, too; times of NetFlow that count from when the exporter began become times since 1970. A capture (.pcap) has
    the same as Messages in UDP datagrams.
    """
    from headwater.cli.outcome import finish, tell_nothing
    from headwater.cli.progress import Progress
    from headwater.cli.screen import safe
    from headwater.sinks.output import open_output

    if not sources:
        raise click.UsageError(f"after {destination} DEST is missing", ctx)
    keep_sources(destination, sources)
    format = format or _format_of(destination)
    # a signal to end must not leave half a file behind
    before = signal.signal(signal.SIGTERM, _stop)
    progress = Progress(is_on=not quiet and sys.stderr.isatty())
    query, conversion = _conversion(sources, destination, format, most, mtu, asked, progress)
    try:
        with open_output(destination, force=force) as file:
            conversion.write(file, is_stream=destination == "-")
            if query is not None and query.report is not None:  # those that a directory or a pattern stands for
                keep_sources(destination, [source.name for source in query.report.sources])
    finally:
        progress.end()
        signal.signal(signal.SIGTERM, before)
    if not quiet and destination != "-":
        count = f"{conversion.records:,} {'record' if conversion.records == 1 else 'records'}"
        click.echo(f"headwater: {safe(destination)}: {count} {progress.took}", err=True)
    for warning in () if quiet else conversion.warnings:
        click.echo(f"headwater: {safe(warning)}", err=True)
    if not quiet and query is not None:
        tell_nothing(query, conversion.records)
    finish(ctx, None if query is None else query.report)


def _conversion(
    sources: Sequence[str],
    destination: str,
    format: Format | Messages,
    most: int | None,
    mtu: int | None,
    asked: ChoosingOptions,
    progress: Progress,
) -> tuple[Query | None, Conversion | IpfixConversion | TableConversion]:
    """What is asked of the sources, None if they are tables; and what does it."""
    from headwater.cli.query import Query

    if format not in (_IPFIX, _PCAP):
        if mtu is not None:
            raise click.UsageError("--mtu is about Messages of IPFIX")
        from headwater.cli.converting import Conversion

        query = Query.of(sources, asked, most=most)
        return query, Conversion(query, format, progress.begin)
    from headwater.cli.converting_ipfix import Container, IpfixConversion, TableConversion, refuse_choosing, table_kinds

    container = Container(format, destination, mtu)
    kinds = table_kinds(sources)
    if kinds:
        refuse_choosing(asked)
        return None, TableConversion(sources, kinds, container, with_registry(asked["registry"]), most)
    adds_times = not asked["select"] and not asked["resolve_time"]
    if not asked["select"]:
        asked["with_options"] = asked["resolve_time"] = True
    query = Query.of(sources, asked, most=most)
    return query, IpfixConversion(query, container, adds_times, progress.begin)


def _format_of(destination: str) -> Format | Messages:
    from headwater.sinks.ipfix_compression import SUFFIXES

    path = Path(destination)
    found = _SUFFIXES.get(path.suffix.lower())
    if path.suffix.lower() in SUFFIXES and Path(path.stem).suffix.lower() == ".ipfix":
        found = _IPFIX
    if found is None and Path(destination).is_dir():
        raise click.UsageError(f"{destination} is a directory; give the name of a file")
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise click.UsageError(
            "stdout needs --to" if destination == "-" else f"{destination}: say --to, or use a suffix of {known}"
        )
    return found


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
