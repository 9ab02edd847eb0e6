"""`headwater info`: what is in files, without their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import click

from headwater.cli import PARTIAL
from headwater.cli.options import examples, reading_options, sources_argument
from headwater.cli.screen import Painter, echo_json, safe, terminal_width
from headwater.cli.table import aligned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from headwater.cli.options import ReadingOptions
    from headwater.cli.sampling_use import SamplingTally
    from headwater.errors import Fault
    from headwater.process import Report, SourceReport
    from headwater.process.source_report import CaptureCounts, TemplateUse
    from headwater.session.key import SessionKey

_LISTED = 10
"""Faults and gaps that are listed one by one; --json has a hundred of each."""
_TEMPLATES = 100
"""Definitions that are listed; --json has all."""


@click.command(
    epilog=examples(
        "headwater info flows.ipfix",
        "headwater info netflow.pcap",
        "headwater info --port 2055,9995 trace.pcapng.gz",
        "headwater info --short captures/",
        "headwater info --options netflow.pcap",
        "headwater info --json netflow.pcap | jq '.sources[0].domains'",
    )
)
@sources_argument
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; it has everything.")
@click.option("--short", is_flag=True, help="Leave out the fields of templates.")
@click.option("--options", "all_options", is_flag=True, help="Show all rows of options tables, not only the first ten.")
@reading_options
@click.pass_context
def info(
    ctx: click.Context,
    sources: tuple[str, ...],
    as_json: bool,
    short: bool,
    all_options: bool,
    **asked: Unpack[ReadingOptions],
) -> None:
    """Tell what is in SOURCE: files, directories, patterns, or - for stdin.

    SOURCE holds IPFIX, NetFlow, or a packet capture with these in it (pcap, pcapng), compressed or not.

    Messages, records, exporters and Observation Domains with what sequence numbers say about loss, templates with
    their fields and record counts, what option records said (interfaces, samplers, …), sampling rates in force, the
    time span, checksums, session details (RFC 5655), faults with their offsets. The exit code is 1 if records are
    missing or damaged.
    """
    from headwater.cli.options import manner_of, state_of
    from headwater.cli.query import Query
    from headwater.cli.sampling_use import SAMPLING, SamplingTally

    query = Query(
        list(sources),
        add=SAMPLING,
        with_options=True,
        manner=manner_of(asked),
        keeps_options=True,
        state=state_of(asked, sources),
    )
    tallies: dict[int, SamplingTally] = {}
    for window in query.windows():  # decoded to the end, so that faults of values are found too
        assert query.report is not None
        tally = tallies.setdefault(len(query.report.sources) - 1, SamplingTally())
        for picked in window:
            tally.add(picked, query.added_to(picked.batch))
    report = query.report
    assert report is not None
    if as_json:
        found = report.to_dict()
        for number, source in enumerate(found["sources"]):
            source["sampling"] = tallies[number].to_dicts() if number in tallies else []
        echo_json(found)
    else:
        for warning in report.warnings:
            click.echo(f"headwater: {safe(warning)}", err=True)
        for line in _lines(report, tallies, Painter(), short=short, all_options=all_options):
            click.echo(line)
    if not report.is_complete:
        ctx.exit(PARTIAL)


def _lines(
    report: Report, tallies: dict[int, SamplingTally], paint: Painter, *, short: bool, all_options: bool
) -> Iterator[str]:
    for number, source in enumerate(report.sources):
        if number:
            yield ""
        yield from _source(source, tallies.get(number), paint, short=short, all_options=all_options)
    if len(report.sources) > 1:
        yield ""
        yield paint("title", f"{len(report.sources)} sources")
        yield from aligned(list(_totals(report)), indent="  ", paint=paint)
    if report.skipped:
        yield ""
        yield paint("title", f"skipped: {len(report.skipped)}")
        rows = [(safe(skipped.reason),) for skipped in report.skipped[:_LISTED]]
        yield from aligned(rows, indent="  ", width=terminal_width(), paint=paint)
        if len(report.skipped) > _LISTED:
            yield f"  … and {len(report.skipped) - _LISTED} more"


def _source(
    source: SourceReport, tally: SamplingTally | None, paint: Painter, *, short: bool, all_options: bool
) -> Iterator[str]:
    from headwater.cli.info_exporters import exporters, sampling
    from headwater.cli.info_options import options, text_of

    yield paint("title", safe(source.name))
    rows = [*_content(source), *_totals(source)]
    if source.elements_learned:
        rows.append(("elements", f"{source.elements_learned} that the file defines itself (RFC 5610)"))
    yield from aligned(rows, indent="  ", paint=paint)
    if source.details:
        yield f"\n  {paint('name', 'session details')}"
        rows = [(safe(name), safe(text_of(name, value))) for name, value in source.details.items()]
        yield from aligned(rows, indent="    ", paint=paint)
    yield from exporters(source, paint)
    if tally is not None:
        yield from sampling(tally, source, paint)
    yield from _templates(source, paint, short=short)
    yield from options(source.option_tables, paint, width=terminal_width(), is_all=all_options)
    yield from _faults(source, paint)


def _content(source: SourceReport) -> Iterator[tuple[str, str]]:
    """Rows about what kind of source it is, and what of it is no flow export."""
    from headwater.cli.outcome import counted
    from headwater.errors import FaultKind
    from headwater.transport.content import Content

    if source.compression:
        yield "compression", source.compression
    if source.content is Content.NETFLOW:
        yield "content", "NetFlow datagrams one after the other"
    if source.content is Content.SPOOL and source.capture is not None:
        yield from _spool(source.capture.packets)
    elif source.capture is not None:
        yield from _capture(source.capture)
    sflow = source.faults[FaultKind.SFLOW]
    if sflow:
        yield "sFlow", f"{counted(sflow, 'datagram')}, not decoded"


_BLOCKS = {
    "ended": "transport sessions that ended",
    "dropped": "datagrams that the collector had no room for",
    "damaged_blocks": "damaged blocks",
    "damaged_datagrams": "datagrams in these",
}
"""What is told of a spool beside its datagrams."""


def _spool(counters: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    from headwater.cli.outcome import counted

    blocks, datagrams = counters.get("blocks", 0), counters.get("datagrams", 0)
    yield "content", f"spool of {counted(datagrams, 'datagram')} in {counted(blocks, 'block')}"
    found = [f"{counters[name]:,} {words}" for name, words in _BLOCKS.items() if counters.get(name)]
    if found:
        yield "collecting", ", ".join(found)


_PACKETS = {
    "fragments": "IP fragments",
    "reassembled": "datagrams put together of them",
    "fragments_dropped": "fragments that never became a datagram",
    "tcp_segments": "TCP segments",
    "stream_octets_lost": "octets of TCP streams missing",
    "other": "not IP",
    "truncated": "cut short by the snap length",
    "damaged": "damaged",
}
"""What is told of the packets of a capture beside those that are datagrams of flow export or ignored."""
_PORTS = 5


def _capture(counts: CaptureCounts) -> Iterator[tuple[str, str]]:
    from headwater.cli.outcome import counted

    packets = counts.packets
    yield (
        "content",
        f"{counts.format or 'empty'} capture of {counted(packets.get('packets', 0), 'packet')}, "
        f"{counted(packets.get('datagrams', 0), 'datagram')} of flow export",
    )
    found = [f"{packets[name]:,} {words}" for name, words in _PACKETS.items() if packets.get(name)]
    found += [f"{count:,} of unknown link type {link}" for link, count in counts.links.items()]
    if found:
        yield "packets", ", ".join(found)
    if packets.get("ignored"):
        busiest = sorted(counts.ignored_ports.items(), key=lambda pair: -pair[1])
        ports = ", ".join(f"{port} ({count:,})" for port, count in busiest[:_PORTS])
        others = f" and {len(busiest) - _PORTS:,} other ports" if len(busiest) > _PORTS else ""
        words = f"; of UDP to port {ports}{others}" if ports else ""
        yield "ignored", f"{counted(packets['ignored'], 'packet')} of other traffic{words}"


def _totals(found: Any) -> Iterator[tuple[str, str]]:
    """Rows that a source and all sources together have in common."""
    yield "octets", f"{found.octets:,}"
    yield "messages", f"{found.messages:,}"
    yield "records", f"{found.records:,}"
    if found.options_records:
        yield "options records", f"{found.options_records:,}"
    if found.first_export is not None:
        yield "exported", f"{_time(found.first_export)} to {_time(found.last_export)}"
    if found.lost or found.lost_messages or found.gaps:
        gaps = f"{found.gaps:,} {'gap' if found.gaps == 1 else 'gaps'} in the sequence numbers"
        lost = [f"{found.lost:,} records"] if found.lost or not found.lost_messages else []
        lost += [f"{found.lost_messages:,} messages"] if found.lost_messages else []
        yield "lost", f"{' and '.join(lost)} before they came here, {gaps}"
    if found.checksums_ok or found.checksums_bad:
        yield "checksums", f"{found.checksums_ok:,} right, {found.checksums_bad:,} wrong"
    yield "complete", "yes" if found.is_complete else "no: records are missing or damaged"


def _templates(source: SourceReport, paint: Painter, *, short: bool) -> Iterator[str]:
    """Definitions with their records; one that several exporters or domains have is listed once."""
    from headwater.cli.info_exporters import exporter_in, more

    exporter = exporter_in(source)
    groups: dict[Any, list[TemplateUse]] = {}
    for use in source.templates:
        groups.setdefault((use.version, use.template.id, use.template), []).append(use)
    if not groups:
        return
    has_several = len({exporter(use.key) for use in source.templates}) > 1
    listed = list(groups.values())[:_TEMPLATES]
    yield ""
    if short:
        rows = [_short_row(uses, _who(uses, exporter) if has_several else "") for uses in listed]
        headings = ("exporter", "domain", "template", "records", "fields", "")
        start = 0 if has_several else 1
        rows = [row[start:] for row in rows]
        right = range(1 - start, 5 - start)
        yield from aligned(rows, headings[start:], right=right, indent="  ", width=terminal_width(), paint=paint)
    else:
        for uses in listed:
            yield from _template(uses, paint, _who(uses, exporter) if has_several else "")
    if len(groups) > len(listed):
        yield more(len(groups) - len(listed))


def _template(uses: list[TemplateUse], paint: Painter, exporter: str) -> Iterator[str]:
    from headwater.cli.layout import HAS_TEMPLATES, format_of
    from headwater.cli.outcome import counted

    template, version = uses[0].template, uses[0].version
    domains = sorted({use.domain for use in uses})
    where = f"domain {domains[0]}" if len(domains) == 1 else f"{len(domains):,} domains"
    who = f" from {exporter}" if exporter else ""
    records = counted(sum(use.records for use in uses), "record")
    yield f"  {paint('name', format_of(template, version))} of {where}{who}, {records}"
    if version >= HAS_TEMPLATES:  # the formats before have fields that everybody knows
        for line in str(template).splitlines():
            yield f"    {paint('specifier', safe(line))}"


def _short_row(uses: list[TemplateUse], exporter: str) -> tuple[str, ...]:
    from headwater.cli.layout import HAS_TEMPLATES

    template, version = uses[0].template, uses[0].version
    domains = {use.domain for use in uses}
    return (
        exporter,
        str(uses[0].domain) if len(domains) == 1 else f"{len(domains):,} domains",
        str(template.id) if version >= HAS_TEMPLATES else f"v{version}",
        f"{sum(use.records for use in uses):,}",
        str(len(template.fields)),
        safe(", ".join(name for name in template.column_names if not name.startswith("netflowPadding"))),
    )


def _who(uses: list[TemplateUse], exporter: Callable[[SessionKey | None], SessionKey | None]) -> str:
    keys = {exporter(use.key) for use in uses}
    return str(next(iter(keys))) if len(keys) == 1 else f"{len(keys):,} exporters"


def _faults(source: SourceReport, paint: Painter) -> Iterator[str]:
    from headwater.cli.outcome import counted
    from headwater.errors import FaultKind

    counts = {kind: n for kind, n in source.faults.items() if kind is not FaultKind.SFLOW}
    if counts:
        yield f"\n  {paint('name' if source.is_complete else 'fault', 'faults')}"
        yield from aligned([(kind, f"{n:,}") for kind, n in counts.items()], right={1}, indent="    ", paint=paint)
        found = [fault for fault in source.fault_list if fault.kind is not FaultKind.SFLOW]
        listed = found[:_LISTED]
        yield f"\n  {paint('name', 'the first faults' if len(listed) < len(found) else 'where they are')}"
        for fault in listed:
            yield f"    {safe(str(fault))}"
        first = next((fault for fault in found if _is_in_message(fault, source)), None)
        if first is not None:
            hint = f"headwater explain {source.name} --offset {first.offset}"
            yield paint("faint", f"  '{safe(hint)}' shows the octets")
    if source.gap_list:
        listed_gaps = source.gap_list[:_LISTED]
        yield f"\n  {paint('name', 'gaps' if len(listed_gaps) == source.gaps else 'the first gaps')}"
        for gap in listed_gaps:
            unit = gap.unit.removesuffix("s")
            lost = f"an unknown number of {gap.unit}" if gap.lost is None else counted(gap.lost, unit)
            who = "" if gap.key is None else f" of {gap.key}"
            yield f"    at octet {gap.offset} in domain {gap.domain}{who}: {lost}, {gap.expected} to {gap.got}"


def _is_in_message(fault: Fault, source: SourceReport) -> bool:
    """Whether the octets of a fault are those of a message that was read."""
    from headwater.errors import FaultKind
    from headwater.process.source_report import CUT_SHORT

    if source.capture is None:
        return True
    return fault.kind not in CUT_SHORT | {FaultKind.PACKET_DAMAGED, FaultKind.SESSION_LIMIT}


def _time(export_s: int) -> str:
    from headwater.model.text import to_text
    from headwater.model.types import DataType

    return to_text(DataType.SECONDS, export_s)
