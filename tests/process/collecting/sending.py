"""What tests send to a collector, and how they wait for what becomes of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headwater.process.collecting.collector import Collector
from tests import build as b

DEADLINE_S = 60.0
"""Longest wait for anything; where nothing else runs, everything here takes far less."""
_BOUND = {"07", "0A"}
"""States of /proc/net/udp and tcp: a socket that is bound, and one that listens."""
PORTS = b.template_set(b.template(256, (7, 2), (1, 4)))


def flow(port: int = 80, octets: int = 1000) -> bytes:
    """A Data Set of one record."""
    return b.data_set(256, b.uint(port & 0xFFFF, 2) + b.uint(octets, 4))


def message(sequence: int, *, records: int = 1, template: bool = True, domain: int = 1) -> bytes:
    """A Message of so many records."""
    sets = [PORTS] if template else []
    return b.message(*sets, *[flow(sequence + i) for i in range(records)], sequence=sequence, domain=domain)


def port_of(collector: Collector, position: int = 0) -> int:
    """Where one of its listeners listens."""
    return int(collector.addresses[position].rpartition(":")[2])


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for something that happens in another thread."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"{what} has not happened within {DEADLINE_S:.0f} s"
        time.sleep(0.005)


def received(collector: Collector) -> int:
    """Datagrams that its listeners have taken from the kernel."""
    return sum(one["datagrams"] for one in collector.report().listeners)


def until_received(collector: Collector, datagrams: int) -> None:
    """Wait until its listeners have taken so many datagrams from the kernel."""
    until(lambda: received(collector) >= datagrams, f"the receipt of {datagrams} datagrams")


def has_port(port: int) -> bool:
    """Whether this process has a socket that is bound to a port; another process may get it once it is free."""
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            mine.add(str(descriptor.readlink()))
    rows = [line.split() for kind in ("udp", "tcp") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] in _BOUND and f"socket:[{row[9]}]" in mine for row in rows)


class UdpSender:
    """An exporter on UDP. address: of 127.0.0.0/8, one for each exporter."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._socket.connect(("127.0.0.1", port))
        self.name = f"{address}:{self._socket.getsockname()[1]}"

    def send(self, *messages: bytes) -> None:
        for one in messages:
            self._socket.send(one)

    def send_in_steps(self, collector: Collector, messages: Sequence[bytes], step: int = 50) -> None:
        """Send, and wait after so many until they are received: no more is on the way than any kernel holds."""
        for start in range(0, len(messages), step):
            before, part = received(collector), messages[start : start + step]
            self.send(*part)
            until_received(collector, before + len(part))

    def __del__(self) -> None:
        self._socket.close()
