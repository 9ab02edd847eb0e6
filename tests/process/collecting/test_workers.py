"""Several processes share the load: each exporter has one of them, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import headwater as hw
from headwater.errors import HeadwaterError
from headwater.process.collecting.ledger import CollectorReport
from headwater.process.collecting.settings import settings_of
from headwater.process.collecting.workers import Workers, _Worker
from tests.process.collecting.sending import DEADLINE_S, UdpSender, message, port_of, until

TWO = "udp://127.0.0.1:0?workers=2"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stands still for a while is not ended for that."""
    monkeypatch.setattr("headwater.process.collecting.workers._ASK_S", DEADLINE_S)
    monkeypatch.setattr("headwater.process.collecting.workers._START_S", DEADLINE_S)


def _rows(folder: Path) -> Counter[int]:
    files = sorted(folder.glob("*.parquet"))
    return Counter(port for file in files for port in pq.read_table(file)["sourceTransportPort"].to_pylist())


def test_each_exporter_has_one_worker_and_all_is_stored_once(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        senders = [UdpSender(port_of(collector), f"127.0.0.{number}") for number in range(1, 17)]
        for sequence in range(5):
            for number, sender in enumerate(senders):
                # Templates come once: data that reach another worker could not be decoded
                sender.send(message(sequence * 1000, template=not sequence, domain=number))
        until(lambda: collector.report().totals.get("messages") == 80, "that all is received")
    report = collector.report()
    workers = {one["worker"] for one in report.listeners if one["datagrams"]}
    assert workers == {0, 1}
    assert (report.totals["messages"], report.totals["undecodable_sets"]) == (80, 0)
    assert sum(_rows(tmp_path / "flows").values()) == 80
    assert len({file.name.split("-")[1] for file in (tmp_path / "flows").glob("*.parquet")}) == 2


def test_a_worker_that_is_killed_is_replaced_and_the_rest_goes_on(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the first Message")
        assert collector.flush()
        mine = next(one["pid"] for one in collector.report().workers if one["records"])
        os.kill(mine, signal.SIGKILL)
        until(lambda: any("has died" in warning for warning in collector.report().warnings), "the warning")
        until(lambda: all(one["pid"] != mine for one in collector.report().workers), "the replacement")
        sender.send(message(1))
        until(lambda: collector.report().totals.get("messages") == 2, "the second Message")
    assert _rows(tmp_path / "flows") == {0: 1, 1: 1}


def test_functions_cannot_be_given_to_several_workers() -> None:
    with pytest.raises(HeadwaterError, match="no functions"):
        hw.Collector(TWO, sinks=[print]).start()


def test_standard_output_cannot_be_shared() -> None:
    with pytest.raises(HeadwaterError, match="standard output"):
        hw.Collector(TWO, sinks=["-"]).start()


def test_what_is_wrong_in_a_worker_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HeadwaterError, match="file"):
        hw.Collector(TWO, sinks=[tmp_path / "file"]).start()


def test_a_worker_may_be_stopped_twice(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        UdpSender(port_of(collector)).send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the Message")
        collector.stop()
    assert collector.is_whole
    assert collector.flush()
    assert collector.report().is_clean


def test_what_a_worker_that_is_killed_had_not_stored_is_counted_as_lost(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[f"{tmp_path}/flows/?rotate=0"]) as collector:  # which stores nothing before the end
        UdpSender(port_of(collector)).send(message(0, records=3))
        until(lambda: collector.report().totals.get("records") == 3, "the records")
        mine = next(one["pid"] for one in collector.report().workers if one["records"])
        os.kill(mine, signal.SIGKILL)
        until(lambda: all(one["pid"] != mine for one in collector.report().workers), "the replacement")
        until(lambda: len(collector.report().workers) == 2, "its report")
    report = collector.report()
    assert report.losses == {"records_lost": 3, "workers_died": 1}
    assert report.totals["records"] == 3


def test_workers_that_die_again_and_again_leave_one_report(tmp_path: Path) -> None:
    workers = Workers(settings_of(TWO, [tmp_path / "flows"]), [], lambda text: None)
    worker = _Worker(0, {}, [])
    worker._process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    worker._process.wait()
    workers._workers.append(worker)
    for number in range(50):
        workers._last[0] = _said(number)
        workers._bury(worker)
    report = workers.report()
    assert len(report.exporters) == len(report.sinks) == len(report.listeners) == 1
    assert report.totals["records"] == report.totals["records_written"] == sum(range(50))
    assert report.exporters[0]["faults"] == {"version": 50}
    assert len(report.warnings) < 5


def test_an_ipv6_address_with_port_0_is_shared(tmp_path: Path) -> None:
    try:
        with hw.Collector("udp://[::0]:0?workers=2", sinks=[tmp_path / "flows"]) as collector:
            UdpSender(port_of(collector)).send(message(0))
            until(lambda: collector.report().totals.get("messages") == 1, "the Message")
    except hw.TransportError as error:
        pytest.skip(str(error))


def test_a_flush_does_not_wait_for_what_records_wait_for(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"], latency=60) as collector:
        UdpSender(port_of(collector)).send(message(0))
        assert collector.flush(DEADLINE_S)
        assert sum(sink["records_written"] for sink in collector.report().sinks) == 1


def _said(number: int) -> CollectorReport:
    exporter = {"exporter": "192.0.2.1:5", "transport": "udp", "listener": TWO, "records": number, "versions": [10]}
    sink = {"name": "parquet:flows", "records": number, "records_written": number, "records_lost": 0}
    times = {"first_seen": 1.0 + number, "last_seen": 2.0 + number}
    return CollectorReport(
        "running",
        1.0,
        2.0,
        7,
        listeners=[{"url": TWO, "transport": "udp", "worker": 0, "datagrams": number}],
        exporters=[{**exporter, **times, "faults": {"version": 1}}],
        sinks=[{**sink, "is_blocked": False, "last_error": ""}],
    )


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_the_kernel_drops_while_no_worker_is_there_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    may_restart = threading.Event()
    monkeypatch.setattr(_Worker, "may_restart", property(lambda self: may_restart.is_set()))
    with hw.Collector(f"{TWO}&receive_buffer=4K", sinks=[tmp_path / "flows"]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the Message")
        mine = next(one["pid"] for one in collector.report().workers if one["records"])
        os.kill(mine, signal.SIGKILL)
        until(lambda: any("has died" in warning for warning in collector.report().warnings), "its death")
        sender.send(*[message(1 + i) for i in range(500)])
        if comes_back:
            may_restart.set()
            until(lambda: collector.report().totals.get("kernel_drops"), "the drops")
    totals = collector.report().totals
    if comes_back:
        assert totals["datagrams"] + totals["kernel_drops"] == 501
    else:
        assert 0 < totals["kernel_drops"] <= 500  # what its socket still held is in no number


def test_a_worker_whose_parent_is_gone_stores_what_it_has_and_ends(tmp_path: Path) -> None:
    settings = settings_of("udp://127.0.0.1:0", [tmp_path / "flows"], control="")
    worker = _Worker(0, settings.to_dict(), [])
    worker.start()
    answer = worker.ask({"do": "report"}, DEADLINE_S)
    assert answer is not None
    UdpSender(int(answer["addresses"][0].rpartition(":")[2])).send(message(0))
    assert worker._process is not None
    assert worker._socket is not None
    worker._lines.close()
    worker._socket.close()
    assert worker._process.wait(DEADLINE_S) == 0
    assert _rows(tmp_path / "flows") == {0: 1}


def test_an_interrupt_while_workers_drain_ends_them_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.process.collecting.workers._LOOK_S", 3600)  # nobody else asks them anything
    stopping: list[_Worker] = []
    stop = _Worker.stop

    def begin_to_stop(self: _Worker, drain_s: float) -> dict[str, Any] | None:
        stopping.append(self)
        return stop(self, drain_s)

    def interrupt() -> None:
        until(lambda: len(stopping) == 2 and all(worker.is_busy for worker in stopping), "that they drain")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    monkeypatch.setattr(_Worker, "stop", begin_to_stop)
    collector = hw.Collector(TWO, sinks=[tmp_path / "flows"])
    collector.start()
    pids = [one["pid"] for one in collector.report().workers]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so that none comes to its end
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            collector.stop(drain=100)
    finally:
        thread.join()
        signal.signal(signal.SIGALRM, before)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_import_nothing_from_the_folder_they_are_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        assert len(collector.report().workers) == 2


def test_a_socket_that_was_passed_has_one_worker_and_no_other_is_started(tmp_path: Path) -> None:
    passed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    passed.bind(("127.0.0.1", 0))
    where = f"udp://127.0.0.1:{passed.getsockname()[1]}"
    with hw.Collector(where, workers=3, sinks=[tmp_path / "flows"], sockets=[passed]) as collector:
        UdpSender(port_of(collector)).send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the Message")
        assert len(collector.report().workers) == 1
    assert _rows(tmp_path / "flows") == {0: 1}
    assert "3 workers were asked for, and there is something to do for 1" in collector.report().warnings
