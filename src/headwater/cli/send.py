"""`headwater send`: records of files to collectors."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import click

from headwater.cli import PARTIAL
from headwater.cli.options import examples, manner_of, reading_options, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headwater.cli.options import ReadingOptions
    from headwater.cli.progress import Progress
    from headwater.process.exporting import Exporter
    from headwater.process.reading import Reading

_SCHEMES = ("udp://", "tcp://", "tls://", "dtls://", "sctp://")
_RETRY: dict[str, Any] = {"retry": 5.0, "retry_first": 0.2, "timeout": 30.0, "queue": 1 << 20}
"""Somebody is waiting, so a collector that is not there is tried again sooner than an exporter would; and reading
keeps pace with sending."""

_FLUSH_S = 10.0


@click.command(
    epilog=examples(
        "headwater send flows.ipfix udp://192.0.2.1:4739",
        "headwater send --rate 1000 captures/ tcp://collector.example.net",
        "headwater send --speed 1 netflow.pcap udp://192.0.2.1:9995    as fast as it was sent once",
        "headwater send --speed 60 --time arrival netflow.pcap udp://192.0.2.1:9995",
        "headwater send --version 9 flows.ipfix udp://192.0.2.1:9995",
        "headwater send --loop 0 --rate 5e4 flows.ipfix udp://192.0.2.1 udp://192.0.2.2 --policy round-robin",
        "headwater send flows.ipfix 'tls://collector.example.net?ca=ca.pem&cert=me.pem&key=me.key'",
    )
)
@click.argument("arguments", metavar="SOURCE... URL...", nargs=-1, required=True)
@click.option("--rate", type=click.FloatRange(0.001), metavar="N", help="Records a second at most.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), metavar="F", help="F times as fast as once; 1 = so.")
@click.option(
    "--time",
    "by",
    type=click.Choice(["export", "arrival"]),
    default="export",
    help="For --speed: when messages were exported, or when packets of a capture arrived.",
)
@click.option("--loop", type=click.IntRange(0), default=1, metavar="N", help="Send it all N times; 0 = for ever.")
@click.option("--domain", type=click.IntRange(0, 0xFFFFFFFF), metavar="ID", help="Observation Domain of all records.")
@click.option("--mtu", metavar="N", help="Octets of a message at most, or 'discover'; over UDP 512 otherwise.")
@click.option("--version", type=click.Choice(["10", "9", "5"]), help="10 = IPFIX (default), or NetFlow 9 or 5.")
@click.option(
    "--policy",
    type=click.Choice(["all", "failover", "round-robin", "hash"]),
    default="all",
    help="Who of several collectors gets what; failover = the first that is up, as one over UDP always is, for nobody"
    " tells; hash = by addresses, ports and protocol, and waits for who is down.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=10,
    metavar="S",
    help="Seconds to wait at the end while nothing goes (10).",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@reading_options
@click.pass_context
def send(
    ctx: click.Context,
    arguments: tuple[str, ...],
    speed: float | None,
    by: Any,
    loop: int,
    domain: int | None,
    policy: Any,
    wait: float,
    quiet: bool,
    rate: float | None,
    mtu: str | None,
    version: str | None,
    **asked: Unpack[ReadingOptions],
) -> None:
    """Send the records of SOURCE to the collectors at URL: udp, tcp, tls, dtls or sctp://HOST:PORT.

    SOURCE holds IPFIX, NetFlow, or a packet capture with these in it. Records are sent as fast as the collectors take
    them, unless --rate or --speed says otherwise; option records go, too. URLs may have options such as mtu=1400
    or cert=me.pem; the documentation of hw.Exporter has them all.

    The exit code is 1 if records are known to be lost, on the way here or from here, or if a collector has ended its
    DTLS session, for nobody tells then whether it took any.
    """
    from headwater.cli.outcome import finish
    from headwater.cli.progress import Progress
    from headwater.cli.screen import safe
    from headwater.cli.sending import hear, is_all_well
    from headwater.errors import HeadwaterError
    from headwater.process.exporting import Exporter

    sources = [one for one in arguments if not one.startswith(_SCHEMES)]
    urls = [one for one in arguments if one.startswith(_SCHEMES)]
    if not urls or not sources:
        missing = "the URL of a collector" if not urls else "what to send"
        raise click.UsageError(f"{missing} is missing: 'headwater send FILE udp://HOST:PORT'", ctx)
    if "-" in sources and loop != 1:
        raise click.UsageError("- is read once; --loop needs files", ctx)
    logging.getLogger("headwater").addHandler(logging.NullHandler())  # the summary tells the same
    progress = Progress(is_on=not quiet and sys.stderr.isatty())
    reading = None
    clock = _Clock()
    if version in ("9", "5") and "-" not in sources:
        clock.at = _begin(_reading(sources, asked, None))
    exporter = Exporter(
        urls,
        policy=policy,
        domain=domain,
        rate=rate,
        mtu=mtu,
        version=version,
        clock=clock,
        **_RETRY,
    )
    exporter.open()
    is_interrupted = False
    problem = None
    try:
        rounds = 0
        while not loop or rounds < loop:
            rounds += 1
            reading = _reading(sources, asked, progress)
            _send(reading, exporter, clock, speed, by, domain)
        _wait_for_all(exporter, max(wait, 2 / rate) if rate else wait)
        hear(exporter)
    except HeadwaterError as error:
        problem = error
    except KeyboardInterrupt:  # with --loop 0 the only end
        is_interrupted = True
    finally:
        exporter.close(0)
        progress.end()
    reports = exporter.report
    if not quiet and (problem is None or any(report.given.messages for report in reports)):
        for report in reports:
            click.echo(f"headwater: {safe(str(report))} {progress.took}", err=True)
        for warning in exporter.warnings:
            click.echo(f"headwater: {safe(warning)}", err=True)
        if not exporter.netflow.is_lossless:
            for line in exporter.netflow.lines():
                click.echo(f"headwater: {safe(line)}", err=True)
    if problem is not None:
        raise problem
    if is_interrupted:
        raise click.Abort
    if exporter.netflow.records or not is_all_well(reports):
        ctx.exit(PARTIAL)
    finish(ctx, reading.report if reading is not None else None)


@dataclass(slots=True)
class _Clock:
    """Export Times: those of now; of NetFlow those of the records, whose times it counts from a boot of its own.

    at: seconds since 1970, None = now.
    """

    at: float | None = None

    def __call__(self) -> float:
        return time.time() if self.at is None else self.at


def _reading(sources: Sequence[str], asked: ReadingOptions, progress: Progress | None) -> Reading:
    from headwater.process.reading import read

    manner = manner_of(asked)
    return read(
        list(sources),
        registry=manner.registry,
        strict=manner.strict,
        salvage=manner.salvage,
        resync=manner.resync,
        ports=manner.ports,
        key_policy=manner.policy,
        state=state_of(asked, sources),
        resolve_time=True,
        progress=None if progress is None else progress.begin("sending"),
    )


def _wait_for_all(exporter: Exporter, wait: float) -> None:
    """Wait as long as something goes on."""
    sent = None
    while not exporter.flush(wait):
        before, sent = sent, [report.sent for report in exporter.report]
        if sent == before:
            return


def _begin(reading: Reading) -> float | None:
    """When the first records were sent."""
    from headwater.process.exporting_replay import timed_parts

    with reading:
        return next((part.at for part in timed_parts(reading, "export")), None)


def _send(
    reading: Reading, exporter: Exporter, clock: _Clock, speed: float | None, by: Any, wanted: int | None
) -> None:
    if speed is None and clock.at is None:
        exporter.write(reading)
        return
    from headwater.process.exporting_replay import Tempo, timed_parts

    tempo = None if speed is None else Tempo(speed)
    for batch, domain, at in timed_parts(reading, by):
        if tempo is not None:
            tempo.wait(at)
        if clock.at is not None and at > clock.at:
            exporter.flush(_FLUSH_S)  # or else what was before would get the later time
            clock.at = at
        exporter.write(batch, domain=domain if wanted is None else wanted)
