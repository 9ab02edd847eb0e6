"""`headwater info`: what is in files, without their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli import PARTIAL
from headwater.cli.options import examples, reading_options, sources_argument
from headwater.cli.screen import Painter, echo_json, safe, terminal_width
from headwater.cli.table import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.process import Report, SourceReport
    from headwater.process.report import TemplateUse

_LISTED = 10
"""Faults and gaps that are listed one by one; --json has a hundred of each."""


@click.command(
    epilog=examples(
        "headwater info flows.ipfix",
        "headwater info --short captures/",
        "headwater info --json flows.ipfix | jq '.sources[0].domains'",
    )
)
@sources_argument
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--short", is_flag=True, help="Leave out the fields of templates.")
@reading_options
@click.pass_context
def info(
    ctx: click.Context,
    sources: tuple[str, ...],
    as_json: bool,
    short: bool,
    salvage: bool,
    resync: bool,
    strict: bool,
    registry: str | None,
) -> None:
    """Tell what is in SOURCE: files, directories, patterns, or - for stdin.

    Messages, records, Observation Domains with what sequence numbers say about loss, templates with their fields and
    record counts, the time span, checksums, session details (RFC 5655), faults with their offsets. The exit code is 1
    if records are missing or damaged.
    """
    from headwater.cli.query import Query

    query = Query(
        list(sources), registry_path=registry, with_options=True, strict=strict, salvage=salvage, resync=resync
    )
    for _ in query.windows():
        pass  # decoded to the end, so that faults of values are found too
    report = query.report
    assert report is not None
    if as_json:
        echo_json(report.to_dict())
    else:
        for line in _lines(report, Painter(), short=short):
            click.echo(line)
    if not report.is_complete:
        ctx.exit(PARTIAL)


def _lines(report: Report, paint: Painter, *, short: bool) -> Iterator[str]:
    for number, source in enumerate(report.sources):
        if number:
            yield ""
        yield from _source(source, paint, short=short)
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


def _source(source: SourceReport, paint: Painter, *, short: bool) -> Iterator[str]:
    yield paint("title", safe(source.name))
    rows = list(_totals(source))
    if source.compression:
        rows.insert(0, ("compression", source.compression))
    if source.elements_learned:
        rows.append(("elements", f"{source.elements_learned} that the file defines itself (RFC 5610)"))
    yield from aligned(rows, indent="  ", paint=paint)
    if source.details:
        yield f"\n  {paint('name', 'session details')}"
        rows = [(safe(name), safe(_detail(name, value))) for name, value in source.details.items()]
        yield from aligned(rows, indent="    ", paint=paint)
    yield from _domains(source, paint)
    yield from _templates(source, paint, short=short)
    yield from _faults(source, paint)


def _totals(found: Any) -> Iterator[tuple[str, str]]:
    """Rows that a source and all sources together have in common."""
    yield "octets", f"{found.octets:,}"
    yield "messages", f"{found.messages:,}"
    yield "records", f"{found.records:,}"
    if found.options_records:
        yield "options records", f"{found.options_records:,}"
    if found.first_export is not None:
        yield "exported", f"{_time(found.first_export)} to {_time(found.last_export)}"
    if found.lost or found.gaps:
        gaps = f"{found.gaps:,} {'gap' if found.gaps == 1 else 'gaps'} in the sequence numbers"
        yield "lost", f"{found.lost:,} records before they came here, {gaps}"
    if found.checksums_ok or found.checksums_bad:
        yield "checksums", f"{found.checksums_ok:,} right, {found.checksums_bad:,} wrong"
    yield "complete", "yes" if found.is_complete else "no: records are missing or damaged"


def _domains(source: SourceReport, paint: Painter) -> Iterator[str]:
    if not source.domains:
        return
    ledgers = list(source.domains.values())
    # other counts are zero as a rule
    others = ("late", "duplicates", "resets", "undecodable_sets", "malformed")
    names = ["messages", "records", "lost", *(n for n in others if any(getattr(one, n) for one in ledgers))]
    rows = [(str(one.domain), *(f"{getattr(one, name):,}" for name in names)) for one in ledgers]
    yield ""
    headings = ("domain", *(name.replace("_", " ") for name in names))
    yield from aligned(rows, headings, right=range(len(headings)), indent="  ", paint=paint)


def _templates(source: SourceReport, paint: Painter, *, short: bool) -> Iterator[str]:
    uses = source.templates
    if not uses:
        return
    yield ""
    if short:
        rows = [
            (str(use.domain), str(use.template.id), f"{use.records:,}", str(len(use.template.fields)), _names(use))
            for use in uses
        ]
        headings = ("domain", "template", "records", "fields", "")
        width = terminal_width()
        yield from aligned(rows, headings, right=range(4), indent="  ", width=width, paint=paint)
        return
    for use in uses:
        kind = "Options Template" if use.template.scope_count else "Template"
        count = f"{use.records:,} {'record' if use.records == 1 else 'records'}"
        yield f"  {paint('name', f'{kind} {use.template.id}')} of domain {use.domain}, {count}"
        for line in str(use.template).splitlines():
            yield f"    {paint('specifier', safe(line))}"


def _names(use: TemplateUse) -> str:
    return safe(", ".join(use.template.column_names))


def _faults(source: SourceReport, paint: Painter) -> Iterator[str]:
    if source.faults:
        yield f"\n  {paint('name' if source.is_complete else 'fault', 'faults')}"
        yield from aligned(
            [(kind, f"{n:,}") for kind, n in source.faults.items()], right={1}, indent="    ", paint=paint
        )
        listed = source.fault_list[:_LISTED]
        yield f"\n  {paint('name', 'the first faults' if len(listed) < len(source.fault_list) else 'where they are')}"
        for fault in listed:
            yield f"    {safe(str(fault))}"
        if listed:
            hint = f"headwater explain {source.name} --offset {listed[0].offset}"
            yield paint("faint", f"  '{safe(hint)}' shows the octets")
    if source.gap_list:
        listed_gaps = source.gap_list[:_LISTED]
        yield f"\n  {paint('name', 'gaps' if len(listed_gaps) == source.gaps else 'the first gaps')}"
        for gap in listed_gaps:
            lost = "an unknown number of records" if gap.lost is None else f"{gap.lost:,} records"
            yield f"    at octet {gap.offset} in domain {gap.domain}: {lost}, {gap.expected} to {gap.got}"


def _time(export_s: int) -> str:
    from headwater.model.text import to_text
    from headwater.model.types import DataType

    return to_text(DataType.SECONDS, export_s)


def _detail(name: str, value: Any) -> str:
    """A session detail as RFC 7373 writes it."""
    from headwater.model.enumerations import describe
    from headwater.model.registry import IANA
    from headwater.model.text import to_text

    if value is None:
        return "no value"
    element = IANA.find(name)
    if element is None:
        return value.hex() if isinstance(value, bytes) else str(value)
    named = describe(element, value)
    if isinstance(value, bytes) and not element.type.accepts(len(value)):
        return value.hex()
    return to_text(element.type, value) + (f" ({named})" if named else "")
