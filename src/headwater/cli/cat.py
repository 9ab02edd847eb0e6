"""`headwater cat`: records on the screen or into a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Unpack

import click

from headwater.cli.options import choosing_options, examples, reading_options, sources_argument

if TYPE_CHECKING:
    from headwater.cli.options import ChoosingOptions
    from headwater.cli.query import Query


@click.command(
    epilog=examples(
        "headwater cat flows.ipfix",
        "headwater cat -n 20 -s flowStartMilliseconds,sourceIPv4Address,octetDeltaCount flows.ipfix",
        "headwater cat -w 'protocolIdentifier == tcp and destinationTransportPort in (80, 443)' flows.ipfix.gz",
        "headwater cat -w 'sourceIPv4Address in 192.0.2.0/24' -w 'octetDeltaCount > 1000000' captures/",
        "headwater cat -w 'flowStartMilliseconds >= 2026-01-31T12:00:00' flows.ipfix",
        "headwater cat --json flows.ipfix | jq .",
        "headwater cat --long -n 1 flows.ipfix",
        "headwater cat --resolve-time --join-options netflow.pcap",
        "headwater cat -s flowStart,flowDuration,samplingRate,octetDeltaCount -w 'flowDuration > 30s' netflow.pcap",
        "headwater cat --port 2055,9995 --add exporterIPv4Address trace.pcapng.gz",
    )
)
@sources_argument
@click.option("-n", "most", type=click.IntRange(0), metavar="N", help="Stop after N records.")
@click.option("-l", "--long", "is_long", is_flag=True, help="One field per line, nothing left out.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one object per line.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, one line of names for all templates.")
@choosing_options
@reading_options
@click.pass_context
def cat(
    ctx: click.Context,
    sources: tuple[str, ...],
    most: int | None,
    is_long: bool,
    as_json: bool,
    as_csv: bool,
    **asked: Unpack[ChoosingOptions],
) -> None:
    """Show the records of SOURCE: files, directories, patterns, or - for stdin.

    SOURCE holds IPFIX, NetFlow (v1, v5, v7, v8, v9), or a packet capture with these in it (pcap, pcapng), compressed or
    not; what it is is seen by content. On a terminal the table has the columns that fit; protocols, flags and
    reasons are shown by name. In a pipe it has all columns. JSON and CSV have the exact values.

    EXPR of --where compares: NAME == VALUE, with == != < <= > >=, ~ for "contains", and "in" for prefixes and lists;
    "and", "or", "not" and brackets combine. Names are those of the elements ('headwater elements' finds them).
    A field that a record lacks, or that is null, fulfils no comparison, != included, but "== null"; "not" turns the
    outcome around, so "not NAME == VALUE" holds there.

    Columns that are worked out can be selected, compared and added by name too, with or without their flag: flowStart,
    flowEnd, flowDuration, timeSource; samplingRate, scaledOctetDeltaCount, …; ingressInterfaceName, applicationName, ….
    They never replace what was sent. In the table those without any value are left out.
    """
    from headwater.cli.outcome import finish, tell_nothing
    from headwater.cli.query import Query

    if as_json + as_csv + is_long > 1:
        raise click.UsageError("--json, --csv and --long exclude each other", ctx)
    query = Query.of(sources, asked, most=most)
    if as_json or as_csv:
        from headwater.cli.converting import Conversion
        from headwater.cli.screen import SafeOutput

        output = SafeOutput(sys.stdout) if sys.stdout.isatty() else sys.stdout.buffer
        conversion = Conversion(query, "ndjson" if as_json else "csv")
        conversion.write(output, is_stream=True)
        count = conversion.records
    else:
        count = _show(query, is_long=is_long)
    tell_nothing(query, count)
    finish(ctx, query.report)


def _show(query: Query, *, is_long: bool) -> int:
    """How many records were shown."""
    from headwater.cli.record_table import RecordList, RecordTable
    from headwater.cli.screen import Painter, terminal_width

    paint = Painter()
    table = RecordList(paint=paint) if is_long else RecordTable(width=terminal_width(), paint=paint, kept=query.named)
    count = 0
    for window in query.windows():
        for picked in window:
            names, added = query.columns_of(picked.batch), query.added_to(picked.batch)
            table.show(picked, names, is_selection=query.columns is not None, added=added)
            count += picked.count
    return count
