"""How reading went, in a few words on stderr and in the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headwater.cli import PARTIAL
from headwater.cli.screen import safe
from headwater.errors import FaultKind

if TYPE_CHECKING:
    from headwater.cli.query import Query
    from headwater.process import Report, SourceReport

_SOURCES_TOLD = 3


def finish(ctx: click.Context, report: Report | None) -> None:
    """Say on stderr what is missing from the results, if anything is, and exit with the code that says so."""
    if report is None:
        return
    for warning in report.warnings:
        click.echo(f"headwater: {safe(warning)}", err=True)
    sflow = report.faults[FaultKind.SFLOW]
    if sflow:
        click.echo(f"headwater: {counted(sflow, 'sFlow datagram')} left out: sFlow is not decoded", err=True)
    if report.is_complete:
        return
    broken = [source for source in report.sources if not source.is_complete]
    for source in broken[:_SOURCES_TOLD]:
        click.echo(f"headwater: {safe(source.name)}: {summary(source)}", err=True)
    if len(broken) > _SOURCES_TOLD:
        click.echo(f"headwater: and {len(broken) - _SOURCES_TOLD} more sources with faults", err=True)
    for skipped in report.skipped:
        if not skipped.is_foreign:
            click.echo(f"headwater: {safe(skipped.reason)}; left out", err=True)
    ctx.exit(PARTIAL)


def tell_nothing(query: Query, records: int) -> None:
    """Say on stderr why a reading gave no record, if it gave none."""
    if query.report is not None and not records and query.most != 0:
        click.echo(f"headwater: {_why_nothing(query, query.report)}", err=True)


def _why_nothing(query: Query, report: Report) -> str:
    if query.where and report.records:
        text = "no record fulfils the condition"
    else:
        captures = [source.capture for source in report.sources if source.capture is not None]
        packets = sum(capture.packets.get("packets", 0) for capture in captures)
        is_none = packets and report.is_complete and not report.messages
        ports = query.manner.ports
        if is_none and ports:
            text = f"none of {counted(packets, 'packet')} is sent to port {' or '.join(map(str, sorted(ports)))}"
        elif is_none:
            text = f"no flow export is among {counted(packets, 'packet')}; --port takes what is sent to a port"
        else:
            text = "there are no data records"
    if report.options_records and not query.with_options:
        are = "is" if report.options_records == 1 else "are"
        text += f"; {counted(report.options_records, 'options record')} {are} there, --options shows them"
    return text


def counted(count: int, what: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def summary(source: SourceReport) -> str:
    """The faults of a source that cost something, in one line."""
    from headwater.process.source_report import COSTLY

    costly = [fault for fault in source.fault_list if fault.kind in COSTLY]
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in source.faults.items() if kind in COSTLY)
    # of records without their Template, what was looked for and who has it helps more than that they were dropped
    causes = [fault for fault in source.fault_list if fault.kind is FaultKind.UNKNOWN_TEMPLATE]
    told = causes if causes and costly and costly[0].kind is FaultKind.HELD_DROPPED else costly
    first = f"; first {safe(str(told[0]))}" if told else ""
    return f"records may be missing or damaged: {kinds}{first}"
