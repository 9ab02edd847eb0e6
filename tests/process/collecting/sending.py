"""What tests send to a collector, and how they wait for what becomes of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from headwater.process.collecting.collector import Collector
from tests import build as b

DEADLINE_S = 10.0
"""Longest wait for anything; everything here takes far less."""
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

    def __del__(self) -> None:
        self._socket.close()
