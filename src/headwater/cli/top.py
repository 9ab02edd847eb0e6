"""`headwater top`: a running collector, watched."""

from __future__ import annotations

import sys

import click

from headwater.cli.options import examples


@click.command(
    epilog=examples(
        "headwater top                 the collector that is running",
        "headwater top flows/          the one that writes to flows/",
        "headwater top --once          what it would show, as text",
    )
    + "\n\nKeys: q ends, s sorts, p pauses, / filters exporters."
)
@click.argument("target", metavar="[TARGET]", required=False)
@click.option("--every", type=click.FloatRange(0.1, 60), default=1.0, metavar="S", help="Seconds between looks (1).")
@click.option("--once", is_flag=True, help="Print one look as text and end.")
def top(target: str | None, every: float, once: bool) -> None:
    """Watch a running collector: exporters, rates, loss, top talkers, queue and sinks.

    TARGET is a folder that it writes to, its process id or the path of its control socket. Needs textual, unless
    --once is given or the output is no terminal.
    """
    from headwater.process.collecting.control import control_path

    path = control_path(target)
    if once or not _is_terminal():
        from headwater.cli.top_once import show_once

        show_once(path, every)
        return
    try:
        from headwater.cli.top_app import TopApp
    except ModuleNotFoundError as error:
        if (error.name or "headwater").startswith("headwater"):
            raise
        raise click.ClickException(
            f"{(error.name or '').partition('.')[0]} is not installed: pip install 'headwater[tui]', or give --once"
        ) from None
    ended = TopApp(path, every).run()
    if ended:
        raise click.ClickException(ended)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and sys.stdin.isatty()
