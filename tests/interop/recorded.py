"""What an exporter sends to 127.0.0.1: taken from a socket and written as a capture, or captured on the loopback."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from tests.pcap import read_pcap
from tests.peers import require_program

DEADLINE_S = 60.0
"""Longest wait for anything; everything here takes far less."""
_POLL_S = 0.05
_LOOPBACK = b"\x7f\0\0\1"


class Sent(NamedTuple):
    """One datagram. received: nanoseconds since 1970. port: of the exporter."""

    received: int
    port: int
    payload: bytes


class Listener:
    """A UDP socket of 127.0.0.1 on a free port."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(_POLL_S)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def export(self, *commands: Sequence[str]) -> list[Sent]:
        """Let an exporter run to its end; everything it sent. "{port}" in a command stands for the port."""
        out = []
        for command in commands:
            with running([part.replace("{port}", str(self.port)) for part in command]) as process:
                out += self.collect(process)
        return out

    def collect(self, process: subprocess.Popen[bytes]) -> list[Sent]:
        """Datagrams until the process has ended and none is left: on the loopback all are there by then."""
        out: list[Sent] = []
        end = time.monotonic() + DEADLINE_S
        while True:
            is_over = process.poll() is not None
            try:
                while True:
                    payload, (_, port) = self._socket.recvfrom(65535)
                    out.append(Sent(time.time_ns(), port, payload))
            except TimeoutError:
                if is_over:
                    return out
            assert time.monotonic() < end, f"{process.args!r} has not ended within {DEADLINE_S:.0f} s"


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program, with whatever it starts; both have ended when the block has."""
    process = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_capture(path: Path, sent: Sequence[Sent], port: int) -> Path:
    """Write datagrams to a port as a capture: Ethernet, nanoseconds, UDP over IPv4."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1))
        for number, datagram in enumerate(sent):
            frame = _frame(datagram, port, number)
            file.write(struct.pack("<IIII", *divmod(datagram.received, 1_000_000_000), len(frame), len(frame)))
            file.write(frame)
    return path


def _frame(datagram: Sent, port: int, number: int) -> bytes:
    udp = struct.pack("!HHHH", datagram.port, port, 8 + len(datagram.payload), 0) + datagram.payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number & 0xFFFF, 0, 64, 17, 0) + _LOOPBACK + _LOOPBACK
    return bytes(12) + b"\x08\x00" + ip + udp


CAPTURERS = {
    "tcpdump": (("-n", "--immediate-mode", "-U", "-i", "lo", "-w", "{path}", "udp dst port {port}"), rb"listening on "),
    "dumpcap": (("-i", "any", "-w", "{path}", "-f", "udp dst port {port}"), rb"File: "),
}
"""Programs that capture: their arguments, and what they say when they have begun."""


@contextmanager
def captured(program: str, path: Path, port: int) -> Iterator[Callable[[int], None]]:
    """Capture what is sent to a port of the loopback; what this yields waits until so many datagrams are in the file.

    Skips the test where nobody may capture.
    """
    arguments, begun = CAPTURERS[program]
    command = [require_program(program), *(a.format(path=path, port=port) for a in arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        said = b""
        while not re.search(begun, said):
            line = process.stderr.readline()
            if not line:
                pytest.skip(f"{program} may not capture here: {said.decode(errors='replace').strip()}")
            said += line

        def wait_for(count: int) -> None:
            end = time.monotonic() + DEADLINE_S
            while len(read_pcap(path) if path.exists() and path.stat().st_size else ()) < count:
                assert time.monotonic() < end, f"{program} has not captured {count} datagrams in {DEADLINE_S:.0f} s"
                time.sleep(_POLL_S)  # what is waited for is a file that grows, which nothing announces

        yield wait_for
    finally:
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        process.wait(DEADLINE_S)
        process.stderr.close()
