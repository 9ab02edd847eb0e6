"""The command `headwater`: one small file per verb, imported when the verb is run."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from headwater._version import __version__
from headwater.errors import HeadwaterError

VERBS = {
    "cat": "Show records as a table, JSON or CSV.",
    "info": "Tell what is in files: exporters, templates, options, loss, faults.",
    "convert": "Write records to Parquet, Arrow, CSV, NDJSON, IPFIX or pcap.",
    "send": "Send records to collectors.",
    "collect": "Receive records from exporters and store them.",
    "status": "Tell how a running collector does.",
    "top": "Watch a running collector.",
    "query": "Answer questions in SQL about what a collector stores.",
    "explain": "Take one message apart, octet by octet.",
    "lint": "Tell where messages violate the standards.",
    "generate": "Write synthetic traffic.",
    "elements": "Search the registry of Information Elements.",
    "doctor": "Check this installation.",
}
"""Verb and short help, so that `--help` need not import them."""
_MODULES = {"query": "sql"}
"""Where a verb is found, if not in the module of its name."""

PARTIAL = 1
"""Exit code when there are results, but records are missing from them."""
FAILED = 2
"""Exit code when there is no result: wrong usage, or a source that cannot be read."""
_INTERRUPTED = 130
_PIPE_CLOSED = 141


class Verbs(click.Group):
    """The verbs. Whatever goes wrong is one sentence on stderr, unless HEADWATER_DEBUG is set."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the verbs, in the order in which one needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name."""
        if cmd_name not in VERBS:
            return None
        command = getattr(import_module(f"headwater.cli.{_MODULES.get(cmd_name, cmd_name)}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb of the first argument; a wrong one gets a hint."""
        name = args[0] if args else ""
        if name not in VERBS and not name.startswith("-"):
            from difflib import get_close_matches

            hint = get_close_matches(name, VERBS, n=1)
            if hint:
                raise click.UsageError(f"no such verb: {name}; did you mean {hint[0]}?", ctx)
            if os.path.exists(name):  # noqa: PTH110  # pathlib costs 5 ms more
                raise click.UsageError(f"no such verb: {name}; did you mean 'headwater cat {name}'?", ctx)
            raise click.UsageError(f"no such verb: {name}; there are {', '.join(VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs for `--help`."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and exit with the code that tells how it went."""
        try:
            code = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]  # as the base class
        except click.ClickException as error:
            code = _fail(_usage(error) if isinstance(error, click.UsageError) else error.format_message())
        except click.Abort:
            code = _INTERRUPTED
        except HeadwaterError as error:
            code = _fail(str(error))
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # the reader of our output has seen enough
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # what is left in the buffer goes there at exit
            ctx.exit(_PIPE_CLOSED)
        except ModuleNotFoundError as error:
            if (error.name or "headwater").startswith("headwater"):
                raise
            hint = "'headwater doctor' tells what this installation lacks"
            raise click.ClickException(f"{error.name} is not installed; {hint}") from error
        except OSError as error:
            if isinstance(error, HeadwaterError):
                raise
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # nor does the rest of the buffer fit at exit
            where = error.filename or "the output"
            raise click.ClickException(f"{where} cannot be used: {error.strerror or error}") from error


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "headwater"
    return f"{text[:1].lower()}{text[1:]} ('{path} --help' helps)"


def _fail(message: str) -> int:
    if os.environ.get("HEADWATER_DEBUG") and sys.exc_info()[1] is not None:
        import traceback

        traceback.print_exc()
    from headwater.cli.screen import safe

    click.echo(f"headwater: {safe(' '.join(message.split()))}", err=True)
    return FAILED


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples:\n\n\b\n"
    "  headwater cat flows.ipfix            records as a table\n"
    "  headwater info netflow.pcap          what is in the file or capture\n"
    "  headwater convert flows.ipfix flows.parquet\n"
    "\n\b\n"
    "Exit codes: 0 all is well, 1 records are missing or damaged, 2 no result.\n"
    "HEADWATER_DEBUG=1 shows tracebacks.\n"
    "\n\b\n"
    "Completion of verbs and options, for bash, zsh or fish:\n"
    '  eval "$(_HEADWATER_COMPLETE=bash_source headwater)"',
)
@click.version_option(__version__, message="headwater %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """IPFIX and NetFlow records from files and packet captures to tables, Parquet, Arrow, CSV and JSON."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
