"""A collector that spools: what is decoded later is what was decoded when it came."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import headwater as hw
from headwater.batch import Batch
from tests import build as b
from tests.process.collecting.sending import UdpSender, flow, message, port_of, until

FACTS = ["collectionTimeMilliseconds", "exporterIPv4Address", "exporterIPv6Address", "observationDomainId"]
COUNTS = ("messages", "records", "lost", "late", "duplicates", "undecodable_sets", "malformed")


def rows_of(batches: Any) -> list[str]:
    return sorted(repr(row) for batch in batches for row in batch.rows())


def test_what_is_spooled_is_decoded_later_as_it_was_then(tmp_path: Path) -> None:
    kept: list[Batch] = []
    listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
    targets = [f"spool:{tmp_path}/spool/?rotate_size=1k", f"ipfix-raw:{tmp_path}/raw/", f"ipfix:{tmp_path}/ipfix/"]
    with hw.Collector(listen, sinks=[*targets, kept.append], latency=0.05) as collector:
        first, second = UdpSender(port_of(collector)), UdpSender(port_of(collector), "127.0.0.2")
        first.send(b.message(flow(1)), *[message(i) for i in range(5)], message(9), message(7), b.message(flow(1))[:-2])
        second.send(b.netflow5(b.netflow5_record("192.0.2.3", "192.0.2.4")), *[message(i) for i in range(50)])
        with socket.create_connection(("127.0.0.1", port_of(collector, 1))) as stream:
            stream.sendall(b"".join(message(i, template=not i) for i in range(40)))
            until(lambda: sum(batch.num_rows for batch in kept) == 1 + 7 + 1 + 50 + 40)
    report = collector.report()
    assert report.totals["records_lost"] == 0
    assert len(list((tmp_path / "spool").iterdir())) >= 1

    reading = hw.read(tmp_path / "spool", provenance=FACTS)
    assert rows_of(reading) == rows_of(kept)
    ledgers = [ledger for source in reading.report.sources for ledger in source.ledgers]
    for exporter in report.exporters:
        mine = [ledger for ledger in ledgers if str(ledger.key) == exporter["exporter"] and ledger.unit == "records"]
        for name in COUNTS:
            if name != "records" or exporter["versions"] == [10]:
                assert sum(getattr(ledger, name) for ledger in mine) == exporter[name], (exporter, name)
    assert {str(kind): count for kind, count in reading.report.faults.items()} == report.faults

    raw = hw.read(tmp_path / "raw")
    assert sum(batch.num_rows for batch in raw) == 1 + 7 + 50 + 40
    encoded = hw.read(tmp_path / "ipfix")
    assert sum(batch.num_rows for batch in encoded) == len(rows_of(kept))
    assert dict(encoded.report.faults) == {}


def test_files_are_collected_as_what_comes_over_the_network(tmp_path: Path) -> None:
    follow = tmp_path / "in"
    follow.mkdir()
    (follow / "x.ipfix").write_bytes(message(0, records=3))
    kept: list[Batch] = []
    url = f"follow:{follow}?every=50ms&settle=0&after=delete"
    with hw.Collector([url], sinks=[f"ndjson:{tmp_path}/out/", kept.append]) as collector:
        until(lambda: not list(follow.iterdir()), "the file is stored and deleted")
        (stored,) = (tmp_path / "out").glob("*.ndjson")
        assert len(stored.read_text().splitlines()) == 3
        (follow / "y.ipfix").write_bytes(message(0))
        until(lambda: not list(follow.iterdir()), "the file is stored and deleted")
    assert sum(batch.num_rows for batch in kept) == 4
    report = collector.report()
    assert report.totals["files"] == 2
    assert report.totals["records_lost"] == 0
