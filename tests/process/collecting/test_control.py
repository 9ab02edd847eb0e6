"""The control socket: asking, being asked, and who else may connect."""

from __future__ import annotations

import errno
import json
import os
import socket as sockets
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.errors import HeadwaterError
from headwater.process.collecting import control, control_server, control_socket
from headwater.process.collecting.control import (
    ControlError,
    control_path,
    read_pointers,
    running,
    runtime_folder,
    watch,
    write_pointer,
)
from headwater.process.collecting.control_server import ControlServer
from headwater.process.collecting.talkers import TopTalkers
from tests import build
from tests.process.collecting.fakes import FakeCollector, ask, report_of, served, until


@pytest.fixture
def collector() -> FakeCollector:
    return FakeCollector()


@pytest.fixture
def path(collector: FakeCollector, tmp_path: Path) -> Iterator[str]:
    with served(collector, tmp_path / "c.sock", reload=lambda: ["workers has changed, which needs a restart"]) as path:
        yield path


def connected(path: str) -> sockets.socket:
    socket = sockets.socket(sockets.AF_UNIX)
    socket.settimeout(60)
    socket.connect(path)
    return socket


def line_of(socket: sockets.socket) -> dict[str, Any]:
    octets = b""
    while not octets.endswith(b"\n"):
        more = socket.recv(1 << 16)
        if not more:
            raise EOFError
        octets += more
    answer = json.loads(octets)
    assert isinstance(answer, dict)
    return answer


# ---------------------------------------------------------------- asking


def test_a_collector_tells_its_report(path: str, collector: FakeCollector) -> None:
    assert ask(path, "status") == collector.said


def test_several_things_can_be_asked_in_one_conversation(path: str, collector: FakeCollector) -> None:
    with connected(path) as socket:
        for _ in range(3):
            socket.sendall(b'{"do":"status"}\n')
            assert line_of(socket) == collector.said
        socket.sendall(b'{"do":"flush"}\n{"do":"stop"}\n')
        answers = socket.makefile("rb")
        assert [json.loads(answers.readline()) for _ in range(2)] == [{"ok": True}, {"ok": True}]
    assert collector.flushes == 1
    assert collector.stopped.is_set()


def test_who_has_said_all_gets_the_answer(path: str, collector: FakeCollector) -> None:
    for request in (b'{"do":"status"}\n', b'{"do":"flush"}\n'):
        with connected(path) as socket:
            socket.sendall(request)
            socket.shutdown(sockets.SHUT_WR)
            assert line_of(socket)
            assert socket.recv(1) == b""


def test_reload_tells_what_waits_for_a_restart(path: str) -> None:
    assert ask(path, "reload") == {"ok": True, "restart": ["workers has changed, which needs a restart"]}


def test_reload_without_a_file_is_refused(collector: FakeCollector, tmp_path: Path) -> None:
    with (
        served(collector, tmp_path / "d.sock") as path,
        pytest.raises(ControlError, match="started without a file of settings"),
    ):
        ask(path, "reload")


def test_a_bad_new_file_is_told_to_who_asked(collector: FakeCollector, tmp_path: Path) -> None:
    def reload() -> list[str]:
        raise HeadwaterError("collector.toml: at `latency`: 'x' is no number")

    with (
        served(collector, tmp_path / "d.sock", reload=reload) as path,
        pytest.raises(ControlError, match="at `latency`: 'x' is no number"),
    ):
        ask(path, "reload")


def test_flushes_that_are_asked_for_meanwhile_are_done_as_one(path: str, collector: FakeCollector) -> None:
    collector.may_flush.clear()
    clients = [connected(path) for _ in range(8)]
    for client in clients:
        client.sendall(b'{"do":"flush"}\n')
    assert ask(path, "status")["pid"] == 4242  # which goes on being answered
    collector.may_flush.set()
    assert [line_of(client) for client in clients] == [{"ok": True}] * 8
    assert 1 <= collector.flushes <= 3
    for client in clients:
        client.close()


def test_a_flush_that_fails_is_told(path: str, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "_FLUSH", 0.01)
    collector.may_flush.clear()
    with pytest.raises(ControlError, match=r"could be stored within 0.01 s"):
        ask(path, "flush")


def test_an_error_of_ours_does_not_end_the_answers(
    path: str, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "report", lambda: 1 / 0)
    with pytest.raises(ControlError, match="ZeroDivisionError"):
        ask(path, "status")
    monkeypatch.undo()
    assert ask(path, "status") == collector.said


# ---------------------------------------------------------------- watching


def test_a_watcher_is_told_again_and_again_with_the_top_talkers(path: str, collector: FakeCollector) -> None:
    batch = next(iter(hw.read(build.file(*build.flows(100)))))
    told = watch(path, ("sourceIPv4Address", "protocolIdentifier"), every=0.1, timeout=60)
    first = next(told)
    assert first["report"] == collector.said
    assert first["top"] == {"sourceIPv4Address": [], "protocolIdentifier": []}
    for tap in collector.taps:
        tap(batch)
    top = next(one["top"] for one in told if one["top"]["protocolIdentifier"])
    assert sum(one["octets"] for one in top["protocolIdentifier"]) == np.asarray(batch["octetDeltaCount"]).sum()
    assert sum(one["records"] for one in top["protocolIdentifier"]) == batch.num_rows
    assert all(one["value"].startswith("192.0.2.") for one in top["sourceIPv4Address"])
    assert [one["octets"] for one in top["sourceIPv4Address"]] == sorted(
        (one["octets"] for one in top["sourceIPv4Address"]), reverse=True
    )
    told.close()


def test_nothing_is_counted_when_the_last_watcher_has_left(path: str, collector: FakeCollector) -> None:
    assert not collector.taps
    first, second = watch(path, every=0.1, timeout=60), watch(path, every=0.1, timeout=60)
    next(first), next(second)
    assert len(collector.taps) == 1
    first.close()
    next(second)
    assert len(collector.taps) == 1
    second.close()
    until(lambda: not collector.taps)


def test_a_collector_without_top_talkers_says_why(
    path: str, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tap(_: object) -> None:
        raise HeadwaterError("with several workers there is no tap")

    monkeypatch.setattr(collector, "tap", tap)
    with closing(watch(path, every=0.1, timeout=60)) as told:
        assert next(told)["note"] == "with several workers there is no tap"


def test_a_watcher_is_not_told_of_more_exporters_than_can_be_looked_at(path: str, collector: FakeCollector) -> None:
    rows = [{"exporter": f"exporter {i}", "records": i, "lost": int(i == 7)} for i in range(1500)]
    collector.said = report_of(*rows)
    told = watch(path, every=0.1, timeout=60)
    report = next(told)["report"]
    assert report["exporters_left_out"] == 500
    assert [one["exporter"] for one in report["exporters"][:2]] == ["exporter 7", "exporter 1499"]
    assert len(ask(path, "status")["exporters"]) == 1500
    told.close()


@pytest.mark.parametrize(
    "request_", [{"every": 0}, {"every": 1e9}, {"top": ["a"] * 33}, {"top": "sourceIPv4Address"}, {"every": "often"}]
)
def test_a_watcher_cannot_ask_for_too_much(path: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="answers: "):
        ask(path, {"do": "watch", **request_})


def test_top_talkers_keep_the_heavy_ones_of_very_many() -> None:
    talkers = TopTalkers(lambda: 0.0)
    talkers.want(["sourceIPv4Address", "sourceIPv6Address", "unknown", "flowStartMilliseconds"])
    for start in range(0, 30_000, 1000):
        records = [
            build.record(build.ipv4(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"), build.uint(i, 8))
            for i in range(start, start + 1000)
        ]
        template = build.template_set(build.template(256, (8, 4), (1, 8)))
        for batch in hw.read(build.message(template, build.data_set(256, *records))):
            talkers.add(batch)
    top = talkers.take(3)
    assert [one["value"] for one in top["sourceIPv4Address"]] == ["10.0.117.47", "10.0.117.46", "10.0.117.45"]
    assert top["unknown"] == top["flowStartMilliseconds"] == []
    assert talkers.take(3)["sourceIPv4Address"] == []


def test_looking_takes_a_small_share_of_the_time_and_what_is_passed_over_is_made_up_for() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.005  # each look takes as long
        return now[0]

    talkers = TopTalkers(clock)
    talkers.want(["protocolIdentifier"])
    for _ in range(100):
        for batch in hw.read(build.file(*build.flows(100))):
            talkers.add(batch)
    assert talkers._passed > 5 * talkers._seen > 0
    assert sum(one["records"] for one in talkers.take(10)["protocolIdentifier"]) == pytest.approx(10_000, rel=0.01)


def test_talkers_with_impossible_numbers_of_octets_are_told_and_bounded() -> None:
    talkers = TopTalkers(lambda: 0.0)
    talkers.want(["sourceIPv4Address"])
    records = [build.record(build.ipv4("192.0.2.1"), build.uint((1 << 64) - 1, 8))] * 10_000
    template = build.template_set(build.template(256, (8, 4), (1, 8)))
    for part in range(0, len(records), 1000):
        for batch in hw.read(build.message(template, build.data_set(256, *records[part : part + 1000]))):
            talkers.add(batch)
    assert talkers.take(3)["sourceIPv4Address"] == [{"value": "192.0.2.1", "records": 10_000, "octets": 1 << 62}]


def test_ipv6_talkers_are_text() -> None:
    talkers = TopTalkers()
    talkers.want(["sourceIPv6Address"])
    batches = [one for one in hw.read(build.file(*build.mixed_flows(50))) if "sourceIPv6Address" in one.columns]
    for batch in batches:
        talkers.add(batch)
    rows = [row["sourceIPv6Address"] for batch in batches for row in batch.rows()]
    assert {one["value"] for one in talkers.take(1000)["sourceIPv6Address"]} == set(rows)


# ---------------------------------------------------------------- hostile clients


@pytest.mark.parametrize(
    "octets",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b'{"do":5}\n',
        b'{"do":"watch","every":NaN}\n',
        b'{"do":"\xff"}\n',
        b"[" * 4000 + b"\n",
        b'{"do":"dance"}\n',
        bytes(range(256)) * 3,
    ],
)
def test_garbage_is_answered_with_an_error(path: str, collector: FakeCollector, octets: bytes) -> None:
    with connected(path) as socket:
        socket.sendall(octets)
        assert "error" in json.loads(socket.makefile("rb").readline())
    assert ask(path, "status") == collector.said


def test_a_request_without_end_ends_the_conversation(path: str, collector: FakeCollector) -> None:
    with connected(path) as socket, pytest.raises((BrokenPipeError, ConnectionResetError)):
        socket.sendall(b"x" * (1 << 22))
    assert ask(path, "status") == collector.said


def test_half_a_request_holds_nobody_up(path: str, collector: FakeCollector) -> None:
    with connected(path) as socket:
        socket.sendall(b'{"do":"sta')
        assert ask(path, "status") == collector.said
        socket.sendall(b'tus"}\n')
        assert line_of(socket) == collector.said
    with connected(path) as socket:
        socket.sendall(b'{"do":"sta')
        socket.shutdown(sockets.SHUT_WR)
        assert socket.recv(1) == b""


def test_a_thousand_clients_do_not_lock_the_owner_out(path: str, collector: FakeCollector) -> None:
    clients = []
    try:
        for _ in range(1000):
            socket = sockets.socket(sockets.AF_UNIX)
            socket.settimeout(60)
            clients.append(socket)
            until(lambda socket=socket: not socket.connect_ex(path))  # type: ignore[misc]  # bound at once
            assert len(list(Path("/proc/self/fd").iterdir())) < 1500
        assert ask(path, "status") == collector.said
    finally:
        for socket in clients:
            socket.close()
    assert ask(path, "status") == collector.said


class Exhausted:
    """A socket of a process that has no descriptors left."""

    def __init__(self, socket: sockets.socket) -> None:
        self._socket = socket
        self.fileno, self.close = socket.fileno, socket.close
        self.tried = 0
        self.is_over = False

    def accept(self) -> Any:
        self.tried += 1
        if not self.is_over:
            raise OSError(errno.EMFILE, "too many open files")
        return self._socket.accept()


def test_without_descriptors_nobody_is_let_in_until_there_are_some(
    collector: FakeCollector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket, inode = control_socket.bound(str(tmp_path / "c.sock"))
    exhausted = Exhausted(socket)
    monkeypatch.setattr(control_server, "bound", lambda path: (exhausted, inode))
    monkeypatch.setattr(control_server, "_TICK", 0.01)
    monkeypatch.setattr(control_server, "_REST", 3600.0)
    server = ControlServer(collector, str(tmp_path / "c.sock"))
    rounds: list[float] = []
    monkeypatch.setattr(server, "_tell_watchers", rounds.append)
    server.start()
    try:
        with connected(server.path) as client:
            client.sendall(b'{"do":"status"}\n')
            until(lambda: exhausted.tried)
            begin = len(rounds)
            until(lambda: len(rounds) > begin + 5)
            assert exhausted.tried == 1  # and not again before the rest is over
            exhausted.is_over = True
            server._rested = 1.0  # by a clock that began long ago
            assert line_of(client) == collector.said
    finally:
        server.close()
    assert exhausted.tried == 2


def test_who_does_not_take_answers_is_dropped(
    path: str, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.said = report_of(warnings=["x" * 1000] * 5000)
    with connected(path) as socket:
        socket.sendall(b'{"do":"status"}\n' * 100)
        assert socket.recv(1) == b"{"  # an answer has begun to come
        monkeypatch.setattr(control_server, "_SLOW", 0.05)
        until(lambda: _is_dropped(socket))
    monkeypatch.setattr(control_server, "_SLOW", 60.0)  # for who takes a while and is no such client
    assert len(ask(path, "status")["warnings"]) == 5000


def test_answers_that_nobody_takes_are_bounded_in_all(
    path: str, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_server, "_MOST_WAITING", 1 << 20)
    collector.said = report_of(warnings=["x" * 1000] * 900)
    clients = [connected(path) for _ in range(10)]
    for client in clients:
        client.sendall(b'{"do":"status"}\n')
    until(lambda: any(_is_dropped(client) for client in clients))
    for client in clients:
        client.close()
    assert len(ask(path, "status")["warnings"]) == 900


def _is_dropped(socket: sockets.socket) -> bool:
    """Whether the other end has closed; what it sent stays unread."""
    try:
        socket.send(b"\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


# ---------------------------------------------------------------- the socket, and finding it


def test_only_the_owner_can_use_the_socket(path: str) -> None:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_the_socket_goes_with_the_collector(collector: FakeCollector, tmp_path: Path) -> None:
    server = ControlServer(collector, str(tmp_path / "e.sock"))
    server.close()  # which was not begun
    server = ControlServer(collector, str(tmp_path / "e.sock"))
    server.start()
    server.close()
    server.close()
    assert not (tmp_path / "e.sock").exists()
    with pytest.raises(ControlError, match=r"e.sock cannot be asked: it does not exist"):
        ask(str(tmp_path / "e.sock"), "status")


def test_the_socket_of_a_dead_process_is_replaced(collector: FakeCollector, tmp_path: Path) -> None:
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(tmp_path / "f.sock"))
    dead.close()
    with pytest.raises(ControlError, match="nobody listens there"):
        ask(str(tmp_path / "f.sock"), "status")
    with served(collector, tmp_path / "f.sock") as path:
        assert ask(path, "status") == collector.said


def test_a_collector_that_answers_keeps_its_socket(path: str, collector: FakeCollector, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"a collector answers at .* already"):
        ControlServer(collector, path).start()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ControlError, match="it is no socket"):
        ControlServer(collector, str(tmp_path / "file")).start()
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(ControlError, match="cannot be made: No such file"):
        ControlServer(collector, str(tmp_path / "none" / "c.sock")).start()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(control, "_SYSTEM", str(tmp_path / "system"))
    return tmp_path / "headwater"


def test_collectors_are_found_by_process_folder_and_path(
    collector: FakeCollector, runtime: Path, tmp_path: Path
) -> None:
    (tmp_path / "flows").mkdir()
    with pytest.raises(ControlError, match="no collector is running"):
        control_path()
    server = ControlServer(collector, folders=[tmp_path / "flows"])
    server.start()
    try:
        assert server.path == str(runtime / f"{os.getpid()}.sock")
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
        assert running() == {os.getpid(): server.path}
        for target in (
            None,
            str(os.getpid()),
            str(tmp_path / "flows"),
            f"parquet:{tmp_path}/flows?rotate=1m",
            server.path,
        ):
            assert control_path(target) == server.path
        with served(collector, runtime / "1.sock"), pytest.raises(ControlError, match=f"give one of 1, {os.getpid()}"):
            control_path()
    finally:
        server.close()
    assert not (tmp_path / "flows" / ".headwater").exists()
    for target in (str(os.getpid()), str(tmp_path / "flows"), str(tmp_path / "nothing")):
        with pytest.raises(ControlError, match="no "):
            control_path(target)


def test_what_others_left_in_a_folder_is_no_collector(tmp_path: Path) -> None:
    (tmp_path / ".headwater").mkdir()
    for text in ("", "[]", '{"control": 5}', "\xff", '{"pid": 1}'):
        (tmp_path / ".headwater" / "1.json").write_text(text)
        assert read_pointers(tmp_path) == []
    write_pointer(tmp_path, "/elsewhere.sock")
    control.remove_pointer(tmp_path, "/mine.sock")
    assert read_pointers(tmp_path) == ["/elsewhere.sock"]


def test_several_collectors_may_write_to_one_folder(collector: FakeCollector, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    with served(collector, tmp_path / "a.sock", folders=[folder]) as first:
        with served(collector, tmp_path / "b.sock", folders=[folder]) as second:
            assert set(read_pointers(folder)) == {first, second}
            with pytest.raises(ControlError, match=r"several collectors write to .*; give one of .*a\.sock"):
                control_path(str(folder))
        assert control_path(str(folder)) == first
    assert not (folder / ".headwater").exists()


def test_all_folders_that_a_collector_writes_to_tell_where_it_is(collector: FakeCollector, tmp_path: Path) -> None:
    folders = [tmp_path / "flows", tmp_path / "raw"]
    for folder in folders:
        folder.mkdir()
    with served(collector, tmp_path / "a.sock", folders=folders) as path:
        assert [control_path(str(folder)) for folder in folders] == [path, path]


def test_what_the_dead_have_left_goes_with_the_next_collector(
    collector: FakeCollector, runtime: Path, tmp_path: Path
) -> None:
    (tmp_path / "flows").mkdir()
    runtime.mkdir(mode=0o700)
    dead = runtime / f"{(1 << 22) + 1}.sock"  # no process of Linux has such a number
    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.bind(str(dead))
    write_pointer(tmp_path / "flows", str(dead))
    assert read_pointers(tmp_path / "flows") == [str(dead)]
    with served(collector, tmp_path / "a.sock", folders=[tmp_path / "flows"]) as path:
        assert read_pointers(tmp_path / "flows") == [path]
        assert running() == {}
    assert not dead.exists()


def test_a_runtime_folder_that_others_can_write_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o777)
    with pytest.raises(ControlError, match="is not safe"):
        runtime_folder()


def test_what_is_no_collector_is_one_sentence(tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "g.sock"))
        stranger.listen()
        with pytest.raises(ControlError, match=r"does not answer within 0.05 s"):
            control.ask(str(tmp_path / "g.sock"), "status", timeout=0.05)
