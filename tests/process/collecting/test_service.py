"""What a service manager is told, and what it hands over."""

from __future__ import annotations

import os
import socket as sockets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.process.collecting.service import Service, inherited_sockets
from tests.conftest import ROOT


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sockets.socket]:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as socket:
        socket.bind(str(tmp_path / "notify"))
        socket.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield socket


def told(socket: sockets.socket) -> list[str]:
    """All lines that wait."""
    lines = []
    socket.setblocking(False)
    while True:
        try:
            lines += socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


def test_the_manager_is_told_how_it_goes(manager: sockets.socket) -> None:
    service = Service()
    service.ready("listening on udp://127.0.0.1:4739")
    service.reloading()
    service.ready()
    service.tick("1,000 records\n5 lost")
    service.stopping(30)
    lines = told(manager)
    assert lines[:3] == ["READY=1", "STATUS=listening on udp://127.0.0.1:4739", "RELOADING=1"]
    assert lines[3].startswith("MONOTONIC_USEC=")
    assert lines[4:] == ["READY=1", "STATUS=1,000 records 5 lost", "STOPPING=1", "EXTEND_TIMEOUT_USEC=35000000"]


def test_the_watchdog_is_told_only_while_there_is_progress(
    manager: sockets.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    now = [1.0]
    service = Service(lambda: now[0])
    service.tick()
    assert told(manager) == ["WATCHDOG=1"]
    for _ in range(5):
        service.tick()
    assert told(manager) == []
    now[0] = 2.0
    service.tick()
    assert told(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(("usec", "pid"), [("", ""), ("soon", ""), ("3", "1")])
def test_without_a_watchdog_none_is_told(
    manager: sockets.socket, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    Service().tick()
    assert told(manager) == []


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "strange", "@headwater-nobody", "/"])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    service = Service()
    service.ready()
    service.tick("all is well")
    service.stopping()


def test_sockets_of_others_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert inherited_sockets() == []
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "some")
    assert inherited_sockets() == []


_CHILD = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from headwater.process.collecting.service import inherited_sockets
try:
    found = inherited_sockets()
    print(*[(one.family.name, one.type.name, one.getsockname()[1]) for one in found], "LISTEN_FDS" in os.environ)
except Exception as error:
    print(error)
sys.stdout.flush()
os._exit(0)
"""


def child(*descriptors: int, names: str = "") -> str:
    """What a process says that gets these descriptors from 3 on."""

    def place() -> None:
        high = [os.dup2(one, 100 + i) for i, one in enumerate(descriptors)]
        for i, one in enumerate(high):
            os.dup2(one, 3 + i, inheritable=True)

    environment = os.environ | {
        "LISTEN_FDS": str(len(descriptors)), "LISTEN_FDNAMES": names, "PYTHONPATH": str(ROOT / "src")
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        env=environment,
        close_fds=False,
        preexec_fn=place,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_sockets_that_the_manager_opened_are_taken() -> None:
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as udp, sockets.socket(sockets.AF_INET6) as tcp:
        udp.bind(("127.0.0.1", 0))
        tcp.bind(("::1", 0))
        expected = f"('AF_INET', 'SOCK_DGRAM', {udp.getsockname()[1]}) "
        expected += f"('AF_INET6', 'SOCK_STREAM', {tcp.getsockname()[1]}) False"
        assert child(udp.fileno(), tcp.fileno()) == expected


def test_what_is_no_socket_is_told(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert child(file.fileno(), names="ipfix") == "descriptor 'ipfix' of the service manager is no socket"
    with sockets.socket(sockets.AF_UNIX) as unix:
        assert child(unix.fileno()) == "socket '0' of the service manager is of neither IPv4 nor IPv6"
