"""Records of real exporters as NetFlow v5 and v9, and NetFlow as IPFIX: what is not told as left out arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.batch import Batch, Decoder
from headwater.batch.encode import Encoder
from headwater.batch.from_netflow import from_netflow
from headwater.batch.to_netflow import Converted, NetflowReport, to_netflow5, to_netflow9
from headwater.session.exporting import ExportSession
from headwater.wire.dialect import IPFIX, NETFLOW5, NETFLOW9, Dialect
from tests import build
from tests.corpus.captures import LARGE, VERSIONS, pcap
from tests.oracle import listen

pytestmark = pytest.mark.corpus

TIMES = ("flowStart", "flowEnd")
NETFLOW = {"1", "5", "7", "9"}
KINDS = sorted({name.split("_")[0] for name in VERSIONS})
FIRST_S, LAST_S = 946_684_800, 2_000_000_000
"""Times outside are those of clocks that nobody has set."""


def batches(corpus: Path, kind: str) -> Iterator[tuple[str, Batch]]:
    """(capture, batch) of all captures of a kind; those of thousands of equal records are left out."""
    for name, versions in VERSIONS.items():
        if name.split("_")[0] == kind and name not in LARGE and versions != ("sflow5",):
            for batch in hw.read(pcap(corpus, name), derived=TIMES):
                yield name, batch


def moments(batch: Batch) -> tuple[float, float] | None:
    """(a time of the boot before all flows, a time after them); None if these times mean nothing."""
    columns: list[Any] = [batch.columns[name] for name in TIMES if name in batch.schema.names]  # options have none
    known = np.concatenate([np.empty(0), *(np.ma.compressed(column).view(np.int64) / 1e9 for column in columns)])
    if not len(known):
        return build.EXPORT_TIME - 1.0, float(build.EXPORT_TIME)
    if known.min() < FIRST_S or known.max() > LAST_S or known.max() - known.min() > 1e6:
        return None
    return float(known.min()) - 1, float(np.ceil(known.max()))


def sent(parts: list[Converted], dialect: Dialect, booted: float, now: float) -> list[dict[str, Any]]:
    """What a collector reads of the parts, text without what fills it up."""
    transport = "tcp" if dialect is IPFIX else "udp"
    session = ExportSession(transport, dialect=dialect, booted=booted, mtu=65000)
    messages = []
    for part in parts:
        template = session.template(part.template)
        encoded = Encoder().encode(template, part.columns, part.count, session.room(template))
        messages += [bytes(m) for outgoing in session.send(encoded, now=now) for m in outgoing.messages()]
    told = listen(*messages, transport=transport)
    assert (told.faults, told.gaps, told.value_faults) == ([], [], [])
    decoder = Decoder(derived=TIMES)
    rows = [row for sets in told.sets for row in decoder.decode(sets).rows(addresses="raw")]
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    return value.rstrip("\0") if isinstance(value, str) else value


def assert_same(name: str, batch: Batch, report: NetflowReport, found: list[dict[str, Any]]) -> None:
    """The rows have what the batch has, except where the report says something else."""
    assert report.given == report.written + report.records.total()
    assert report.written == len(found)
    if report.given != len(found) or report.given != batch.num_rows or any("#" in key for key in batch.schema.names):
        return  # some are left out, or stand in another order
    changed = {key for key, _ in (*report.values, *report.columns)}
    wanted = batch.rows(addresses="raw")
    if len({tuple(row) for row in found}) == 1:
        for want, row in zip(wanted, found, strict=True):
            for key, value in want.items():
                if key in TIMES:
                    assert row[key] is None or value is None or row[key] // 10**6 == value // 10**6, (name, key)
                elif key in row and key not in changed and "SysUpTime" not in key:
                    assert row[key] == plain(value), (name, key)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [5, 9])
def test_flows_arrive_as_netflow_with_the_values_that_they_had(corpus: Path, kind: str, version: int) -> None:
    for name, batch in batches(corpus, kind):
        when = moments(batch)
        if when is None or (version == 5 and batch.template.scope_count):
            continue
        report = NetflowReport()
        convert, dialect = (to_netflow5, NETFLOW5) if version == 5 else (to_netflow9, NETFLOW9)
        parts = convert(batch, booted=when[0], overflow="saturate", report=report)
        assert_same(name, batch, report, sent(parts, dialect, *when))


@pytest.mark.parametrize("kind", KINDS)
def test_netflow_arrives_as_ipfix_with_the_values_that_it_had(corpus: Path, kind: str) -> None:
    for name, batch in batches(corpus, kind):
        if NETFLOW.issuperset(VERSIONS[name]):
            report = NetflowReport()
            parts = from_netflow(batch, domain=1, report=report)
            assert_same(name, batch, report, sent(parts, IPFIX, 0.0, float(build.EXPORT_TIME)))
