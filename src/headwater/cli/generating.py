"""Synthetic traffic to collectors."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from headwater.wire.dialect import IPFIX

if TYPE_CHECKING:
    from headwater.process.generating import Traffic

_WAIT_S = 10.0
_RETRY_S: dict[str, Any] = {"retry": 5.0, "retry_first": 0.2, "timeout": 30.0}
"""Somebody is waiting, so a collector that is not there is tried again sooner than an exporter would."""
_DTLS_MTU = 549
"""Octets of datagrams whose Messages have 512, as over UDP: all that is generated fits these."""


def send(url: str, traffic: Traffic, mtu: int | None, *, quiet: bool) -> bool:
    """Send the records at their rate; whether nothing is known to be lost. Raises HeadwaterError."""
    from headwater.cli.progress import Progress
    from headwater.cli.screen import safe
    from headwater.cli.sending import hear, is_all_well
    from headwater.errors import HeadwaterError
    from headwater.process.exporting import Exporter

    if traffic.exporters > 1:
        raise click.UsageError("whoever sends is one exporter; --exporters is for captures")
    logging.getLogger("headwater").addHandler(logging.NullHandler())  # the summary tells the same
    progress = Progress(is_on=not quiet and sys.stderr.isatty())
    tell = progress.begin("sending")
    exporter = Exporter(
        url,
        rate=traffic.rate,
        mtu=_DTLS_MTU if mtu is None and url.startswith("dtls:") else mtu,
        version=None if traffic.version == IPFIX.version else str(traffic.version),
        booted=traffic.booted,
        **_RETRY_S,
    )
    exporter.open()
    problem = None
    try:
        if traffic.version != IPFIX.version:  # the exporter makes NetFlow of it
            traffic = replace(traffic, version=IPFIX.version, shape=",".join(traffic.names()))
        for part in traffic:
            exporter.write(part.batch)
            if tell is not None:
                tell(sum(report.octets for report in exporter.report), None)
        exporter.flush(_WAIT_S + traffic.records / traffic.rate)
        hear(exporter)
    except HeadwaterError as error:
        problem = error
    finally:
        exporter.close(0)
        progress.end()
    reports = exporter.report
    if not quiet and (problem is None or any(report.given.messages for report in reports)):
        for report in reports:
            click.echo(f"headwater: {safe(str(report))} {progress.took}", err=True)
    if problem is not None:
        raise problem
    return is_all_well(reports)
