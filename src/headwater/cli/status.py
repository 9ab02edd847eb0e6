"""`headwater status`: how a running collector does."""

from __future__ import annotations

import click

from headwater.cli import FAILED, PARTIAL
from headwater.cli.options import examples


@click.command(
    epilog=examples(
        "headwater status                 the collector that is running, or a list of them",
        "headwater status flows/          the one that writes to flows/",
        "headwater status 4242            the one with this process id",
        "headwater status --json | jq .totals",
        "headwater status --do flush flows/    all that has arrived is in files when this returns",
    )
)
@click.argument("target", metavar="[TARGET]", required=False)
@click.option("--json", "is_json", is_flag=True, help="The whole report as JSON.")
@click.option("-n", "most", type=click.IntRange(0), default=20, metavar="N", help="Exporters to show (20).")
@click.option(
    "--do",
    "action",
    type=click.Choice(["flush", "reload", "stop"]),
    help="Let the collector store what it has, read its settings again, or end.",
)
@click.pass_context
def status(ctx: click.Context, target: str | None, is_json: bool, most: int, action: str | None) -> None:
    """Tell how a running collector does: its exporters, what was lost and why, its sinks.

    TARGET is a folder that it writes to, its process id or the path of its control socket.

    The exit code is 0 if nothing is lost, 1 if something is, 2 if no collector is found.
    """
    from headwater.cli.screen import Painter, echo_json, safe, terminal_width
    from headwater.cli.status_text import blocked, headline, losses, report_lines
    from headwater.process.collecting.control import ControlError, ask, control_path, running

    if action is not None:
        answer = ask(control_path(target), action, timeout=60.0)
        for text in answer.get("restart", ()):
            click.echo(f"headwater: {safe(str(text))}", err=True)
        return
    found = running() if target is None else {}
    paths = list(found.values()) if len(found) > 1 else [control_path(target)]
    reports = []
    for path in paths:
        try:
            reports.append(ask(path, "status"))
        except ControlError:
            if len(paths) == 1:
                raise
    if is_json:
        echo_json(reports[0] if len(paths) == 1 else reports)
    elif len(paths) == 1:
        for line in report_lines(reports[0], terminal_width(), Painter(), most=most):
            click.echo(line)
    else:
        for report in reports:
            click.echo(headline(report))
            for text in blocked(report) + losses(report):
                click.echo(f"  {text}")
        click.echo("'headwater status PROCESS-ID' tells more of one")
    if not reports:
        ctx.exit(FAILED)
    if any(report.get("losses") for report in reports):
        ctx.exit(PARTIAL)
