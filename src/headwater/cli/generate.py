"""`headwater generate`: synthetic traffic."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import PARTIAL
from headwater.cli.generating import send
from headwater.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from headwater.process.generating_messages import Container

_SUFFIXES: dict[str, Container] = {".ipfix": "ipfix", ".pcap": "pcap", ".cap": "pcap"}
_VERSIONS = {"ipfix": 10, "9": 9, "5": 5}


class _Start(click.ParamType[float]):
    """A time in ISO 8601, or seconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from datetime import UTC, datetime

        if isinstance(value, int | float):
            return float(value)
        if value == "now":
            return float(int(datetime.now(UTC).timestamp()))
        try:
            return float(value)
        except ValueError:
            pass
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it as in 2026-01-31T12:00:00, as seconds since 1970, or now")
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


@click.command(
    epilog=examples(
        "headwater generate flows.ipfix",
        "headwater generate -n 1000000 --shape flows4,flows6 --rate 20000 flows.ipfix.zst",
        "headwater generate --seconds 60 --exporters 3 --domains 2 --mtu 1400 routers.pcap",
        "headwater generate --version 9 -n 50000 netflow9.pcap",
        "headwater generate --shape dns | headwater cat -",
        "headwater generate --seconds 60 --rate 5000 udp://192.0.2.1:4739",
    )
)
@click.argument("target", metavar="[TARGET]", default="-")
@click.option("-n", "--records", type=click.IntRange(0), metavar="N", help="How many records; 10,000 by default.")
@click.option("--seconds", type=click.FloatRange(0), metavar="S", help="Or as many as come in S seconds.")
@click.option("--rate", type=float, default=1000.0, metavar="R", show_default=True, help="Records per second.")
@click.option(
    "--shape",
    default="mixed",
    metavar="NAME,...",
    show_default=True,
    help="What records: flows4, flows6, biflow, dns (with lists), nat, options, or mixed, which has all.",
)
@click.option("--domains", type=int, default=1, metavar="N", show_default=True, help="Observation Domains.")
@click.option(
    "--exporters", type=int, default=1, metavar="N", show_default=True, help="Exporters, each with all the domains."
)
@click.option("--mtu", type=int, metavar="N", help="Octets of a message at most: 512 in captures, 65535 in files.")
@click.option(
    "--version",
    type=click.Choice(list(_VERSIONS)),
    default="ipfix",
    show_default=True,
    help="IPFIX, or NetFlow v9 or v5 (in captures).",
)
@click.option(
    "--start", type=_Start(), metavar="TIME", help="When it begins (UTC), or now; 2026-01-01T00:00:00 by default."
)
@click.option("--seed", type=int, default=0, metavar="N", show_default=True, help="Another seed, other records.")
@click.option(
    "--to", "container", type=click.Choice(["ipfix", "pcap"]), help="Format; otherwise TARGET's suffix decides."
)
@click.option("-f", "--force", is_flag=True, help="Replace TARGET if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@click.pass_context
def generate(
    ctx: click.Context,
    /,
    target: str,
    records: int | None,
    seconds: float | None,
    container: Container | None,
    version: str,
    start: float | None,
    mtu: int | None,
    force: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Write synthetic traffic to TARGET: an IPFIX file (.ipfix), a capture of UDP datagrams (.pcap), or - for stdout.

    A TARGET such as udp, tcp, tls, dtls or sctp://HOST:PORT is a collector: it gets the records at their rate, and they
    begin now.

    The same arguments give the same octets. Few hosts have most of the flows, most flows are short and a few have most
    of the octets; ports, TCP flags, durations and interfaces go together. All addresses are for tests and
    documentation. A suffix .gz, .bz2, .xz, .zst or .lz4 compresses.

    With the shapes mixed and options exporters also tell names of interfaces, a sampler, and statistics of the export.
    """
    from headwater.cli.outcome import counted
    from headwater.cli.progress import Progress, size
    from headwater.cli.screen import safe
    from headwater.process.generating import START, Traffic
    from headwater.process.generating_messages import exports_of, write_exports
    from headwater.sinks.output import open_output

    is_sent = "://" in target
    if start is None:
        start = time.time() if is_sent else START
    if records is not None and seconds is not None:
        raise click.UsageError("--records and --seconds exclude each other")
    if records is None:
        records = 10_000 if seconds is None else round(seconds * asked["rate"])
    traffic = Traffic(records=records, version=_VERSIONS[version], start=start, **asked)
    if is_sent:
        if not send(target, traffic, mtu, quiet=quiet):
            ctx.exit(PARTIAL)
        return
    container = container or _container_of(target, version)
    if target == "-" and sys.stdout.isatty():
        raise click.UsageError("octets are not for a terminal: give a TARGET, or a pipe to read from")
    exports = exports_of(traffic, container, mtu)
    progress = Progress(is_on=not quiet and sys.stderr.isatty())
    tell = progress.begin("generating")
    try:
        with open_output(target, force=force) as file:
            write, finish = _writing(target, file)
            write_exports(exports, container, traffic.version, write, tell)
            finish()
    finally:
        progress.end()
    if not quiet and target != "-":
        numbers = ((records, "record"), (exports.messages, "message"), (len(exports.templates), "template"))
        counts = ", ".join(counted(number, what) for number, what in numbers)
        took = f"{size(exports.octets)} {progress.took}"
        click.echo(f"headwater: {safe(target)}: {counts}, {took}", err=True)


def _container_of(target: str, version: str) -> Container:
    """The format that a name stands for."""
    from headwater.sinks.ipfix_compression import SUFFIXES

    path = Path(target)
    if path.suffix.lower() in SUFFIXES:
        path = path.with_suffix("")
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None and target == "-":
        return "ipfix" if version == "ipfix" else "pcap"
    if found is None:
        raise click.UsageError(f"{target}: say --to, or use a suffix of {', '.join(_SUFFIXES)}")
    return found


def _writing(target: str, file: IO[bytes]) -> tuple[Callable[[bytes], object], Callable[[], object]]:
    """(what takes octets, what is done at the end): compressed where the name says so."""
    from headwater.sinks.ipfix_compression import compression_of, compressor

    make = compressor(compression_of(target, None))
    if make is None:
        return file.write, lambda: None
    member = make()
    return lambda octets: file.write(member.compress(octets)), lambda: file.write(member.flush())
