"""What a Collector that is run from Python tells and answers: events, the control socket, metrics."""

from __future__ import annotations

import logging
import os
import socket
import stat
import struct
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

import headwater as hw
from headwater.errors import HeadwaterError
from headwater.process.collecting import control
from headwater.process.collecting.control import ControlError, read_pointers, watch
from headwater.process.collecting.logs import NAME, Note
from tests.process.collecting.fakes import ask
from tests.process.collecting.sending import DEADLINE_S, UdpSender, has_port, message, port_of, until

HERE = "udp://127.0.0.1:0"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for control sockets."""
    monkeypatch.setattr(control, "_own_folders", lambda: [tmp_path / "run"])
    return tmp_path / "run"


# ---------------------------------------------------------------- control


def test_a_collector_in_python_has_no_control_socket_unless_one_is_asked_for(runtime: Path, tmp_path: Path) -> None:
    with hw.Collector(HERE, sinks=[tmp_path / "flows"]) as collector:
        assert (collector.control, collector.metrics_url) == ("", "")
    assert not runtime.exists()
    assert not (tmp_path / "flows" / ".headwater").exists()


def test_it_answers_where_control_says_and_folders_tell_where_that_is(tmp_path: Path) -> None:
    flows, path = tmp_path / "flows", str(tmp_path / "c.sock")
    with hw.Collector(HERE, sinks=[flows], control=path, latency="10ms") as collector:
        assert collector.control == path
        assert read_pointers(flows) == [path]
        UdpSender(port_of(collector)).send(message(0))
        until(lambda: ask(path, "status")["totals"].get("records") == 1, "that the record is decoded")
        assert ask(path, "flush") == {"ok": True}
        assert len(list(flows.glob("*.parquet"))) == 1
    assert collector.control == ""
    assert not Path(path).exists()
    assert read_pointers(flows) == []


def test_auto_is_a_socket_in_the_runtime_directory(runtime: Path) -> None:
    with hw.Collector(HERE, control="auto") as collector:
        assert collector.control == str(runtime / f"{os.getpid()}.sock")
        assert control.running() == {os.getpid(): collector.control}
    assert control.running() == {}


def test_a_runtime_directory_that_cannot_be_used_is_a_warning(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with hw.Collector(HERE, control="auto") as collector:
        assert collector.control == ""
        (warning,) = collector.report().warnings
    assert warning.startswith("'headwater status' will not find this collector: ")
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o777


def test_a_control_socket_that_cannot_be_made_is_an_error_and_nothing_stays_open(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("something else")
    collector = hw.Collector(HERE, sinks=[tmp_path / "flows"], control=str(taken))
    with pytest.raises(ControlError, match="is not free for the control socket"):
        collector.start()
    assert not collector.is_running
    assert list((tmp_path / "flows").iterdir()) == []
    assert not has_port(port_of(collector))


def test_stop_over_the_control_socket_ends_a_run(tmp_path: Path) -> None:
    collector = hw.Collector(HERE, control=str(tmp_path / "c.sock"))
    collector.start()
    assert ask(collector.control, "stop") == {"ok": True}
    until(lambda: not collector.is_running, "that it is asked to stop")
    assert collector.stop().state == "stopped"


def test_reload_over_the_control_socket_does_what_it_is_told_to(tmp_path: Path) -> None:
    asked = []

    def reload() -> list[str]:
        asked.append(1)
        return ["workers needs a restart"]

    with hw.Collector(HERE, control=str(tmp_path / "c.sock"), on_reload=reload) as collector:
        assert ask(collector.control, "reload") == {"ok": True, "restart": ["workers needs a restart"]}
    assert asked == [1]
    with hw.Collector(HERE, control=str(tmp_path / "c.sock")) as collector:  # certificates only
        assert ask(collector.control, "reload") == {"ok": True, "restart": []}


def test_several_workers_answer_as_one_and_say_why_there_are_no_top_talkers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prometheus_client")
    monkeypatch.setattr("headwater.process.collecting.workers._ASK_S", DEADLINE_S)
    two = "udp://127.0.0.1:0?workers=2"
    path = str(tmp_path / "c.sock")
    with hw.Collector(two, sinks=[tmp_path / "flows"], control=path, metrics="127.0.0.1:0") as collector:
        senders = [UdpSender(port_of(collector), f"127.0.0.{number}") for number in range(1, 9)]
        for number, sender in enumerate(senders):
            sender.send(message(0, domain=number))
        until(lambda: ask(path, "status")["totals"].get("records") == 8, "that all is decoded")
        report = ask(path, "status")
        assert [one["worker"] for one in report["workers"]] == [0, 1]
        assert sum(one["records"] for one in report["workers"]) == 8
        assert [one["worker"] for one in report["sinks"]] == [0, 1]
        assert ask(path, "flush") == {"ok": True}
        with closing(watch(path, every=0.1, timeout=DEADLINE_S)) as told:
            seen = next(told)
        assert seen["report"]["totals"]["records"] == 8
        assert not any(seen["top"].values())
        assert "several workers" in seen["note"]
        with urllib.request.urlopen(collector.metrics_url, timeout=DEADLINE_S) as answer:
            assert b"\nheadwater_records_total 8.0\n" in answer.read()


# ---------------------------------------------------------------- metrics


def test_metrics_are_served_while_it_runs() -> None:
    pytest.importorskip("prometheus_client")
    with hw.Collector(HERE, metrics="127.0.0.1:0", latency="10ms") as collector:
        url = collector.metrics_url
        UdpSender(port_of(collector)).send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the Message")
        port = int(url.split(":")[2].split("/")[0])
        assert has_port(port)
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            assert b"\nheadwater_messages_total 1.0\n" in answer.read()
    assert collector.metrics_url == ""
    assert not has_port(port)


def test_metrics_that_cannot_be_served_end_the_start_and_nothing_stays_open(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = tmp_path / "c.sock"
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        collector = hw.Collector(HERE, control=str(path), metrics=where)
        with pytest.raises(HeadwaterError, match=f"metrics cannot be served at {where}"):
            collector.start()
    assert not collector.is_running
    assert not path.exists()


# ---------------------------------------------------------------- events


def test_what_costs_no_records_is_info_and_all_else_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, NAME)
    with hw.Collector(HERE, latency="10ms") as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0), message(5), b"\x00\x0a\x00\x10" + bytes(8))
        until(lambda: collector.report().totals.get("messages") == 2, "the Messages")
        collector.flush()
    told = {record.kind: record for record in caplog.records}  # type: ignore[attr-defined]
    assert told["SequenceGap"].levelno == logging.WARNING
    assert str(told["SequenceGap"].exporter) == sender.name  # type: ignore[attr-defined]


def test_what_becomes_of_connections_is_told_as_notes() -> None:
    told: list[object] = []
    with hw.Collector("tcp://127.0.0.1:0", on_event=told.append) as collector:
        with socket.create_connection(("127.0.0.1", port_of(collector))) as exporter:
            exporter.sendall(message(0))
            until(lambda: collector.report().totals.get("messages") == 1, "the Message")
            exporter.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
        until(lambda: any(isinstance(one, Note) for one in told), "the note")
    (note,) = [one for one in told if isinstance(one, Note)]
    assert note.startswith("tcp://127.0.0.1:")
    assert note.kind == "connection"


def test_who_is_told_and_fails_costs_no_records(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("of the user")

    kept: list[hw.Batch] = []
    with hw.Collector(HERE, sinks=[kept.append], on_event=fail) as collector:
        UdpSender(port_of(collector)).send(message(0), message(5), message(6))
        until(lambda: collector.report().totals.get("messages") == 3, "the Messages")
    assert sum(batch.num_rows for batch in kept) == 3
    assert "on_event has failed" in caplog.text
