"""The ledger of a collector: what was sent is either there or told as missing."""

from __future__ import annotations

import socket
import threading
from typing import Any

import msgspec
import pytest

import headwater as hw
from headwater.process.collecting import worker
from headwater.process.collecting.ledger import CollectorReport
from headwater.process.collecting.logs import Logs
from headwater.process.collecting.metrics import ReportMetrics
from headwater.process.collecting.settings import settings_of
from headwater.process.collecting.workers import Workers
from tests import build as b
from tests.process.collecting.sending import PORTS, UdpSender, flow, message, port_of, until

HERE = "udp://127.0.0.1:0"


def records(collector: hw.Collector) -> int:
    return collector.report().totals.get("records", 0)


def messages(collector: hw.Collector) -> int:
    return collector.report().totals.get("messages", 0)


def test_data_that_came_before_their_template_are_no_loss_and_what_is_missing_between_them_is() -> None:
    with hw.Collector(HERE) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0, template=False), message(6, template=False))
        until(lambda: messages(collector) == 2, "the data")
        waiting = collector.report()
        assert (waiting.totals["undecodable_sets"], waiting.totals["unknown_gaps"]) == (2, 1)
        sender.send(b.message(PORTS, sequence=7))
        until(lambda: records(collector) == 2, "the Template")
    report = collector.report()
    assert report.losses == {"lost": 5}
    assert report.totals["records"] + report.totals["lost"] == 7
    assert (report.totals["undecodable_sets"], report.totals["unknown_gaps"]) == (0, 0)


def test_data_whose_template_never_comes_are_a_loss() -> None:
    for limits in ({}, {"held_sets": 0}):
        with hw.Collector(HERE, limits=limits) as collector:
            UdpSender(port_of(collector)).send(b.message(flow(), flow()))
            until(lambda running=collector: messages(running) == 1, "the data")  # type: ignore[misc]
        report = collector.report()
        assert report.losses == {"held_dropped": 2}
        assert report.totals["undecodable_sets"] == 2


def test_what_can_fall_is_no_counter_of_prometheus() -> None:
    pytest.importorskip("prometheus_client")
    report: dict[str, Any] = {
        "exporters": [{"exporter": "192.0.2.1:1", "undecodable_sets": 2, "unknown_gaps": 1, "records": 5}],
        "sinks": [{"name": "flows", "busy_s": 0.5, "records": 5}],
    }
    kinds = {metric.name: metric.type for metric in ReportMetrics(lambda: report).collect()}
    falling = ("exporter_undecodable_sets", "exporter_unknown_gaps", "sink_busy_s")
    assert [kinds[f"headwater_{name}"] for name in falling] == ["gauge"] * 3
    assert kinds["headwater_exporter_records"] == kinds["headwater_sink_records"] == "counter"


def test_a_small_buffer_is_enough_for_many_workers() -> None:
    with hw.Collector(f"{HERE}?workers=3", buffer="2M") as collector:
        assert collector.report().queue["limit"] == 3 << 20
        assert collector.reload(settings_of(f"{HERE}?workers=3", buffer="1M")) == []


def test_a_worker_tells_how_many_lines_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = []

    class TickingLogs(Logs):
        def tick(self, *, is_end: bool = False) -> None:
            ticks.append(is_end)
            super().tick(is_end=is_end)

    monkeypatch.setattr("headwater.process.collecting.worker.Logs", TickingLogs)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # which only the main thread may call
    mine, its = socket.socketpair()
    thread = threading.Thread(target=worker.main, args=(its.detach(),))
    thread.start()
    with mine, mine.makefile("rwb") as lines:
        for question in (
            {"settings": {"listen": HERE}, "sockets": [], "worker": 0},
            {"do": "report"},
            {"do": "stop", "drain": 5},
        ):
            lines.write(msgspec.json.encode(question) + b"\n")
            lines.flush()
            assert b"error" not in lines.readline()[:10]
    thread.join()
    assert ticks == [False, False, True]


def test_what_the_kernel_drops_between_two_workers_is_exact_at_the_end() -> None:
    class Ended:
        number, drops_before, drops_at_end, is_buried = 0, 100, 117, False

        def stop(self, drain_s: float) -> dict[str, Any]:
            return {"report": report(9).to_dict(), "is_whole": True}

    def report(drops: int) -> CollectorReport:
        return CollectorReport("stopped", 0.0, 1.0, 7, listeners=[{"url": HERE, "worker": 0, "kernel_drops": drops}])

    workers = Workers(settings_of(f"{HERE}?workers=2"), [], lambda _: None)
    workers._workers = [Ended()]  # type: ignore[list-item]
    workers._before[0] = report(3)
    workers._before[0].pipeline["kernel_drops"] = 2  # of 17 - 3 - 9; it was told too little when the worker began
    assert workers.stop(1.0)
    assert workers.report().totals["kernel_drops"] == 17


def test_a_collector_that_is_stopped_while_it_starts_does_not_run_on() -> None:
    class Sink:
        def open(self) -> None:
            collector.stop()

        def write(self, batch: hw.Batch) -> None:
            """Nothing comes."""

    collector = hw.Collector(HERE, sinks=[Sink()])
    collector.start()
    assert collector.report().state == "stopped"
