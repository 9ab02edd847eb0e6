"""How reading went, in a few words on stderr and in the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headwater.cli import PARTIAL
from headwater.cli.screen import safe

if TYPE_CHECKING:
    from headwater.process import Report, SourceReport

_SOURCES_TOLD = 3


def finish(ctx: click.Context, report: Report | None) -> None:
    """Say on stderr what is missing from the results, if anything is, and exit with the code that says so."""
    if report is None or report.is_complete:
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


def summary(source: SourceReport) -> str:
    """The faults of a source that cost something, in one line."""
    from headwater.process.report import COSTLY

    costly = [fault for fault in source.fault_list if fault.kind in COSTLY]
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in source.faults.items() if kind in COSTLY)
    first = f"; first {safe(str(costly[0]))}" if costly else ""
    return f"records may be missing or damaged: {kinds}{first}"
