"""`headwater collect`."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket as sockets
import struct
import subprocess
import sys
import termios
import threading
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.cli.collect import collect
from headwater.process.collecting import control
from headwater.process.collecting.control import ask, control_path
from headwater.process.collecting.settings import CollectingSettings
from tests import build
from tests.cli.conftest import Run, Spawn
from tests.process.collectors import DEADLINE_S, until

URL = "udp://127.0.0.1:0"


class Collecting:
    """`headwater collect` as a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
        self.ended.set()

    def told(self, pattern: str) -> re.Match[str]:
        """The first line that has it; waits for it."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            is_all = self.ended.is_set()
            found.extend(one for line in self.lines if (one := re.search(pattern, line)))
            return bool(found) or is_all

        until(look)
        assert found, self.lines
        return found[0]

    @property
    def port(self) -> int:
        return int(self.told(r"listening on udp://127\.0\.0\.1:(\d+)")[1])

    def send(self, *messages: bytes) -> None:
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as socket:
            for message in messages:
                socket.sendto(message, ("127.0.0.1", self.port))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> tuple[int, str, str]:
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        code = self.process.wait(DEADLINE_S)
        assert self.ended.wait(DEADLINE_S)
        return code, out, "\n".join(self.lines)


@pytest.fixture
def collecting(spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(control, "_own_folders", lambda: [tmp_path / "run" / "headwater"])
    (tmp_path / "run").mkdir()
    started: list[Collecting] = []

    def collecting(*arguments: object, **environment: str) -> Collecting:
        environment = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "RUNTIME_DIRECTORY": ""} | environment
        started.append(Collecting(spawn("collect", *arguments, **environment)))
        return started[-1]

    yield collecting
    for one in started:
        one.process.kill()
        one.process.wait()
        for stream in (one.process.stdin, one.process.stdout, one.process.stderr):
            if stream is not None:
                one.ended.wait(DEADLINE_S)
                stream.close()


def records(path: str, count: int) -> None:
    """Wait until a collector has decoded so many records."""
    until(lambda: ask(path, "status")["totals"].get("records", 0) >= count)


# ---------------------------------------------------------------- the whole way


def test_what_is_sent_is_stored_and_summed_up(collecting: Any, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    collector = collecting(URL, "--to", f"{flows}/")
    collector.send(*build.flows(100))
    collector.told("listening on")
    path = control_path(str(flows))
    records(path, 100)
    code, out, err = collector.end()
    assert code == 0
    assert out == ""
    assert "headwater: listening on udp://127.0.0.1:" in err
    assert f"headwater: writing to parquet:{flows}/" in err
    assert re.search(r"collector \d+ \(stopped\), 0:00:\d\d: 100 records in \d+ messages from 1 exporter", err)
    assert re.search(r"parquet:\S+ +100 +100 +0 +0 +1 .* ok", err)
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(str(flows), format="parquet").to_table()
    assert table.num_rows == 100
    assert not (flows / ".headwater").exists()
    assert not list((tmp_path / "run" / "headwater").iterdir())


def test_records_on_stdout_are_all_that_is_there(collecting: Any) -> None:
    collector = collecting(URL, "--to", "-", "--records", 100, "-s", "sourceIPv4Address,octetDeltaCount")
    collector.send(*build.flows(100))
    code, out, _ = collector.finish()
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    expected = list(hw.records(build.file(*build.flows(100)), select=["sourceIPv4Address", "octetDeltaCount"]))
    assert sorted(map(str, rows)) == sorted(map(str, expected))


def test_loss_is_told_with_its_cause_and_in_the_exit_code(collecting: Any, tmp_path: Path) -> None:
    messages = list(build.flows(100))
    session = hw.Session()
    del messages[1]
    for message in messages:
        list(session.receive(message))
    count = session.counters["records"]
    collector = collecting(URL, "--to", f"{tmp_path}/flows/", "--json", "--records", count, "-q")
    until(lambda: control.read_pointers(tmp_path / "flows"))
    address = ask(control_path(str(tmp_path / "flows")), "status")["listeners"][0]["url"]
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as socket:
        for message in messages:
            socket.sendto(message, ("127.0.0.1", int(address.rpartition(":")[2])))
    code, out, err = collector.finish()
    report = json.loads(out)
    assert code == 1
    assert report["totals"]["records"] == count
    assert report["losses"]["lost"] == 100 - count > 0
    assert f"{report['losses']['lost']} records lost on the way: gaps in sequence numbers" in err


def test_files_are_read_to_their_end(run: Run, flows: Path, tmp_path: Path) -> None:
    result = run("collect", f"file:{flows}", "--to", f"{tmp_path}/stored/", "--control", "")
    assert result.exit_code == 0
    assert f"headwater: reading file:{flows}\n" in result.stderr
    assert " 100 records in " in result.stderr


def test_time_is_a_bound(run: Run, tmp_path: Path) -> None:
    result = run("collect", URL, "--to", f"{tmp_path}/flows/", "--seconds", 0.1, "--control", "")
    assert result.exit_code == 0
    assert "no exporter was heard yet" in result.stderr


@pytest.mark.slow
def test_ctrl_c_ends_it_in_order(collecting: Any, tmp_path: Path) -> None:
    collector = collecting(URL, "--to", f"{tmp_path}/flows/")
    collector.send(*build.flows(100))
    records(control_path(str(tmp_path / "flows")), 100)
    code, _, err = collector.end(signal.SIGINT)
    assert code == 0
    assert re.search(r"parquet:\S+ +100 +100 +0 +0 ", err)
    assert "Traceback" not in err


@pytest.mark.slow
def test_the_service_manager_is_told(collecting: Any, tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_S)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        collector = collecting(URL, "--to", f"{tmp_path}/flows/", **environment)
        lines: list[str] = []
        while "WATCHDOG=1" not in lines:
            lines += manager.recv(4096).decode().split("\n")
        assert lines[0] == "READY=1"
        assert lines[1].startswith("STATUS=listening on udp://127.0.0.1:")
        collector.process.send_signal(signal.SIGHUP)
        while "RELOADING=1" not in lines:
            lines += manager.recv(4096).decode().split("\n")
        collector.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in lines:
            lines += manager.recv(4096).decode().split("\n")
        collector.finish()


@pytest.mark.slow
def test_metrics_are_served(collecting: Any, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    collector = collecting(URL, "--to", f"{tmp_path}/flows/", "--metrics", "127.0.0.1:0", "--log-json")
    url = collector.told(r"metrics at (http://[^\"]+)")[1]
    collector.send(*build.flows(100))
    records(control_path(str(tmp_path / "flows")), 100)
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        assert b"\nheadwater_records_total 100.0\n" in answer.read()
    collector.end()
    assert {json.loads(line)["level"] for line in collector.lines} == {"info"}


@pytest.mark.slow
def test_sockets_of_the_service_manager_are_used(tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as socket, sockets.socket() as other:
        for one in (socket, other):
            one.bind(("127.0.0.1", 0))
        port, unused = (one.getsockname()[1] for one in (socket, other))
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as exporter:
            for message in build.flows(100):  # before there is a collector
                exporter.sendto(message, ("127.0.0.1", port))

        def place() -> None:
            high = [os.dup2(one.fileno(), 100 + i) for i, one in enumerate((socket, other))]
            for i, one in enumerate(high):
                os.dup2(one, 3 + i, inheritable=True)

        verb = "from headwater.cli import main; main(prog_name='headwater')"
        arguments = ["collect", f"udp://127.0.0.1:{port}", "--to", f"{tmp_path}/flows/", "--records", "100"]
        done = subprocess.run(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", sys.executable, "-c", verb, *arguments],
            env=os.environ | {"LISTEN_FDS": "2", "XDG_RUNTIME_DIR": str(tmp_path)},
            close_fds=False,
            preexec_fn=place,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert " 100 records in " in done.stderr
    assert f"the service manager has opened port {unused}, but nothing listens on it here" in done.stderr


@pytest.mark.slow
def test_a_terminal_has_a_line_of_status_that_goes_again(tmp_path: Path) -> None:
    near, far = pty.openpty()
    verb = "from headwater.cli import main; main(prog_name='headwater')"
    arguments = ["collect", URL, "--to", f"{tmp_path}/flows/"]
    line = rb"\r(\x1b\[\S+)?0 records/s  0bit/s  0 records  none lost  0 exporters  queue 0%  0:00:\d\d"
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", verb, *arguments], stderr=far, env=environment)
    os.close(far)
    shown = b""
    is_ending = False
    try:
        while True:
            shown += os.read(near, 4096)
            if not is_ending and re.search(line, shown):
                is_ending = True
                process.send_signal(signal.SIGINT)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(near)
        if not is_ending:
            process.kill()
        code = process.wait(DEADLINE_S)
    assert code == 0
    text = shown.decode()
    assert "look at it with 'headwater status' or 'headwater top'; Ctrl-C ends it" in text
    assert "\r\x1b[Kheadwater: collector" in text


# ---------------------------------------------------------------- reload


@pytest.mark.slow
def test_sighup_reads_the_file_again_and_a_bad_one_changes_nothing(collecting: Any, tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    text = f'listen = ["{URL}"]\nsinks = ["{tmp_path}/flows/"]\n'
    file.write_text(text)
    collector = collecting("--config", file, "--drain", "5s")
    port = collector.port
    collector.told("writing to")
    until(lambda: control.read_pointers(tmp_path / "flows"))
    file.write_text(text + 'latency = "50ms"\nworkers = 2\nallow = ["192.0.2.0/24"]\n')
    collector.process.send_signal(signal.SIGHUP)
    collector.told("settings and certificates were read again")
    collector.told("workers has changed, which needs a restart")
    file.write_text("latency = 'soon'\n" + text)
    collector.process.send_signal(signal.SIGHUP)
    collector.told(r"the old ones stay: .*collector.toml: at `latency`: 'soon' is no number")
    with pytest.raises(control.ControlError, match="at `latency`: 'soon'"):
        ask(control_path(str(tmp_path / "flows")), "reload")
    file.write_text(text)
    assert ask(control_path(str(tmp_path / "flows")), "reload") == {"ok": True, "restart": []}
    collector.send(*build.flows(100))
    records(control_path(str(tmp_path / "flows")), 100)
    assert collector.port == port
    assert collector.end()[0] == 0


# ---------------------------------------------------------------- settings


def test_settings_are_checked_and_printed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text('listen = ["udp://127.0.0.1:4739"]\nlatency = "1s"\nbuffer = "1G"\n')
    asked = ("--config", file, "--check", "--latency", "100ms", "--to", f"{tmp_path}/flows/?rotate=1h", "--allow",
             "192.0.2.0/24", "--limit", "held_s=2m", "--limit", "templates=7", "--log-json", "--key-rule", "rfc",
             "--add", "exportTime,samplingRate", "-s", "octetDeltaCount, exportTime", "--resolve-time")  # fmt: skip
    result = run("collect", *asked)
    assert result.exit_code == 0
    said = tomllib.loads(result.stdout)
    assert said == json.loads(run("collect", *asked, "--json").stdout)
    assert (said["latency"], said["buffer"], said["key_policy"]) == ("100ms", "1G", "rfc")
    assert (said["limits"]["held_s"], said["limits"]["templates"]) == ("2m", 7)
    assert said["log"] == {"level": "info", "json": True}
    assert said["sinks"] == [{"to": f"{tmp_path}/flows/?rotate=1h"}]
    assert said["select"] == ["octetDeltaCount", "exportTime"]
    assert said["derived"] == ["samplingRate"]
    assert said["provenance"][-1] == "exportTime"
    file.write_text(result.stdout)
    assert run("collect", "-c", file, "--check").stdout == result.stdout
    assert not (tmp_path / "flows").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say where to listen: 'headwater collect udp://0.0.0.0:4739 --to flows/'"),
        ((URL,), "say where records go: --to flows/ (Parquet files in a folder) or --to - (JSON lines on stdout)"),
        (("127.0.0.1:4739", "--to", "flows/"), "'127.0.0.1:4739'"),
        ((URL, "--to", "flows.parquet"), "--to: flows.parquet: segments go to a folder"),
        ((URL, "--to", "-", "--to", "csv:-"), "--to: standard output is written by `sinks[0]` already"),
        ((URL, "--to", "-", "--json"), "--json and a sink both want stdout"),
        ((URL, "--to", "-", "--latency", "soon"), "--latency: 'soon' is no number with a unit"),
        ((URL, "--to", "-", "--idle-exporter", "0"), "--idle-exporter: is 0s; it must be more"),
        ((URL, "--to", "-", "--workers", "0"), "--workers: Expected a whole number >= 1, got 0"),
        (
            (URL, "--to", "-", "--limit", "sesions=3"),
            "--limit: no setting is called 'sesions'; did you mean `sessions`?",
        ),
        ((URL, "--to", "-", "--limit", "3"), "'3' is not of the form NAME=VALUE"),
        ((URL, "--to", "-", "--add", "nonsense"), "--add: 'nonsense' is none of exporterIPv4Address, "),
        ((URL, "--to", "-", "-s", ","), "--select: no column is named"),
        (
            (URL, URL, "udp://127.0.0.1:1", "udp://127.0.0.1:1", "--to", "-"),
            "udp://127.0.0.1:1 is taken by `listen[2]`",
        ),
        (("--config", "missing.toml"), "missing.toml: cannot be read: No such file or directory"),
        ((URL, "--to", "-", "--control", "/does/not/exist/c.sock"), "which does not exist"),
    ],
)
def test_wrong_usage_is_one_sentence(
    run: Run, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("collect", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_taken_is_one_sentence(run: Run, tmp_path: Path) -> None:
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        result = run("collect", url, "--to", f"{tmp_path}/flows/")
    assert result.exit_code == 2
    assert url in result.stderr
    assert "Traceback" not in result.stderr


def test_it_leaves_signals_and_logs_as_they_were(run: Run, tmp_path: Path) -> None:
    import logging

    before = signal.getsignal(signal.SIGTERM), logging.getLogger("headwater").handlers[:]
    result = run("collect", URL, "--to", f"{tmp_path}/flows/", "--seconds", 0.1, "--control", "")
    assert result.exit_code == 0
    assert (signal.getsignal(signal.SIGTERM), logging.getLogger("headwater").handlers) == before


def test_every_setting_can_be_given_as_an_option() -> None:
    named = {"limits": "limit", "key_policy": "key_rule", "derived": "add", "log": "log_level"}
    options = {option.name for option in collect.params}
    assert {named.get(name, name) for name in CollectingSettings.__struct_fields__} <= options


def test_the_example_is_valid(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.conftest import ROOT

    result = run("collect", "--config", ROOT / "examples" / "collector.toml", "--check")
    assert result.exit_code == 0, result.stderr


@pytest.mark.slow
def test_the_second_ctrl_c_ends_at_once(collecting: Any, tmp_path: Path) -> None:
    """A pipe that nobody reads is a sink that hangs."""
    message, *_ = build.flows(100)
    with (
        sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as socket,
        sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        collector = collecting(URL, "--to", "-", NOTIFY_SOCKET=str(tmp_path / "notify"))
        pipe, port = collector.process.stdout.fileno(), collector.port
        octets = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1)  # a page

        def is_full() -> bool:
            for _ in range(100):
                socket.sendto(message, ("127.0.0.1", port))
            (waiting,) = struct.unpack("=i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
            return bool(waiting == octets)

        until(is_full)
        is_full()  # there is more that has no room
        manager.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                manager.recv(4096)
        manager.settimeout(DEADLINE_S)
        collector.process.send_signal(signal.SIGINT)
        while b"STOPPING=1" not in manager.recv(4096):
            pass
        collector.process.send_signal(signal.SIGINT)
        assert collector.process.wait(DEADLINE_S) == 130
