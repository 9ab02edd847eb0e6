"""Metrics, health and the report over HTTP."""

from __future__ import annotations

import json
import re
import socket as sockets
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest

from headwater.errors import HeadwaterError
from headwater.process.collecting import metrics
from headwater.process.collecting.metrics import MetricsServer, reasons
from tests.process.collecting.fakes import SINK, FakeCollector, report_of

pytest.importorskip("prometheus_client")


@pytest.fixture
def collector() -> FakeCollector:
    return FakeCollector()


@pytest.fixture
def server(collector: FakeCollector) -> Iterator[MetricsServer]:
    server = MetricsServer(("127.0.0.1", 0), lambda: collector.report().to_dict())
    server.start()
    yield server
    server.close()


def got(server: MetricsServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(server.url.replace("/metrics", path), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(server: MetricsServer) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    code, text = got(server, "/metrics")
    assert code == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_every_number_of_the_report_is_a_metric(server: MetricsServer, collector: FakeCollector) -> None:
    collector.said = report_of(
        {"records": 2000, "lost": 7, "faults": {"short_set": 3}}, totals={"records": 2000, "lost": 7}
    )
    found = samples(server)
    labels = "exporter=192.0.2.1:5000,listener=udp://127.0.0.1:4739,transport=udp,worker=0"
    faults = labels.replace(",listener", ",kind=short_set,listener")
    assert found[f"headwater_exporter_records_total{{{labels}}}"] == 2000
    assert found[f"headwater_exporter_lost{{{labels}}}"] == 7
    assert found[f"headwater_exporter_faults_total{{{faults}}}"] == 3
    assert found["headwater_lost{}"] == 7
    assert found["headwater_listener_datagrams_total{listener=udp://127.0.0.1:4739,transport=udp,worker=0}"] == 100
    assert found["headwater_sink_records_written_total{sink=parquet flows/,worker=0}"] == 1500
    assert found["headwater_queue_limit{}"] == 64 << 20
    assert found["headwater_up{}"] == 1
    names = " ".join(found)
    for part in ("listeners", "exporters", "sinks"):
        for row in collector.said[part]:
            for name, value in row.items():
                if isinstance(value, int | float) and name != "worker":
                    assert re.search(rf"headwater_{part[:-1]}_{name}(_total)?\{{", names), name


def test_many_exporters_make_a_bounded_number_of_metrics(server: MetricsServer, collector: FakeCollector) -> None:
    rows = [{"exporter": f"192.0.2.1:{i}", "records": i, "faults": {"late": 1}} for i in range(3000)]
    collector.said = report_of(*rows)
    found = {name: value for name, value in samples(server).items() if name.startswith("headwater_exporter_records")}
    assert len(found) == 1001
    assert sum(found.values()) == sum(range(3000))
    others = "exporter=others,listener=,transport=,worker="
    assert found[f"headwater_exporter_records_total{{{others}}}"] == sum(range(2000))


def test_labels_that_peers_chose_cannot_forge_metrics(server: MetricsServer, collector: FakeCollector) -> None:
    collector.said = report_of({"exporter": 'a"} 1\nheadwater_up 0\n\\'})
    assert samples(server)["headwater_up{}"] == 1


def test_health_tells_what_is_wrong(server: MetricsServer, collector: FakeCollector) -> None:
    assert got(server, "/healthz") == (200, "ok\n")
    blocked = {**SINK, "is_blocked": True, "last_error": "no space left on device"}
    collector.said = report_of(state="draining", sinks=[blocked], is_stale=True)
    assert got(server, "/healthz") == (
        503,
        "the collector is draining\nthe thread that decodes does not answer\n"
        "parquet flows/ cannot be written: no space left on device\n",
    )
    assert len(reasons(collector.said)) == 3


def test_the_report_is_served(server: MetricsServer, collector: FakeCollector) -> None:
    code, text = got(server, "/status")
    assert (code, json.loads(text)) == (200, collector.said)
    assert got(server, "/elsewhere?x=1")[0] == 404


@pytest.mark.parametrize(
    "octets", [b"\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n"]
)
def test_garbage_is_survived(server: MetricsServer, octets: bytes) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    with sockets.create_connection(("127.0.0.1", port), 60) as socket, suppress(ConnectionError):
        socket.sendall(octets)  # or it is refused before all of it is sent
    assert got(server, "/healthz")[0] == 200


def test_many_connections_that_say_nothing_are_refused_beyond_a_bound(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics._Handler, "timeout", 60.0)  # so that none makes room for another one meanwhile
    port = int(server.url.split(":")[2].split("/")[0])
    idle = [sockets.create_connection(("127.0.0.1", port), 60) for _ in range(50)]
    closed = 0
    for socket in idle[32:]:
        closed += socket.recv(1) == b""
    assert closed == 18
    for socket in idle:
        socket.close()


def test_what_cannot_be_served_is_one_sentence(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    with pytest.raises(HeadwaterError, match=f"metrics cannot be served at 127.0.0.1:{port}: Address already in use"):
        MetricsServer(("127.0.0.1", port), dict).start()
    with pytest.raises(HeadwaterError, match=r"at no.such.host.invalid:1: "):
        MetricsServer(("no.such.host.invalid", 1), dict).start()
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(HeadwaterError, match=r"pip install 'headwater\[metrics\]'"):
        MetricsServer(("127.0.0.1", 0), dict).start()


def test_ipv6_addresses_are_served(collector: FakeCollector) -> None:
    server = MetricsServer(("::1", 0), lambda: collector.report().to_dict())
    server.start()
    assert server.url.startswith("http://[::1]:")
    assert got(server, "/healthz")[0] == 200
    server.close()


def test_who_asks_for_the_head_alone_gets_no_body(server: MetricsServer) -> None:
    request = urllib.request.Request(server.url, method="HEAD")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0
