"""Collectors for tests: sockets of 127.0.0.1 that read when they are told to, and can be killed."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import headwater as hw
from headwater.session import Session
from headwater.session.events import DataSets, Event

DEADLINE_S = 15.0
"""Longest wait for anything; everything here takes far less."""


class UdpCollector:
    """A UDP socket."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", port))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self.port}"

    def datagrams(self) -> list[bytes]:
        """What has come; on the loopback all that was sent is here by then."""
        out = []
        while True:
            try:
                out.append(self._socket.recv(65535))
            except BlockingIOError:
                return out

    def receive(self) -> tuple[bytes, tuple[str, int]]:
        """One that has come, and who sent it."""
        octets, address = self._socket.recvfrom(65535)
        return octets, address

    def answer(self, octets: bytes, address: tuple[str, int]) -> None:
        self._socket.sendto(octets, address)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class TcpCollector:
    """A listening socket that accepts one connection at a time."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(DEADLINE_S)
        self._context = context
        self._connection: socket.socket | None = None
        self.port: int = self._listener.getsockname()[1]
        self._begin()

    @property
    def url(self) -> str:
        return f"{'tcp' if self._context is None else 'tls'}://127.0.0.1:{self.port}"

    def accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(DEADLINE_S)
        self._begin()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        self._connection = connection

    def read(self, records: int) -> list[dict[str, Any]]:
        """Read until there are so many records in the connection; all of them."""
        while len(self.rows) < records:
            assert self.read_once(), "the exporter has ended the connection"
        return self.rows

    def read_to_end(self) -> list[dict[str, Any]]:
        """Read until the exporter ends the connection; all records of it."""
        while self.read_once():
            pass
        return self.rows

    def read_once(self) -> bool:
        """Whether the connection goes on."""
        if self._connection is None:
            self.accept()
        assert self._connection is not None
        octets = self._connection.recv(1 << 16)
        self.octets += octets
        self.rows += _rows(self._session.receive(octets))
        return bool(octets)

    def _begin(self) -> None:
        self.octets = b""
        self.rows: list[dict[str, Any]] = []
        self._session = Session(transport="tcp")

    def close(self) -> None:
        """As a process that ends does: what is unread makes the kernel send a reset, else a FIN."""
        for one in (self._listener, self._connection):
            if one is not None:
                one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def records_of(octets: bytes) -> list[dict[str, Any]]:
    """The records of the whole Messages at the beginning of a stream."""
    return _rows(Session(transport="tcp").receive(octets))


def _rows(events: Iterator[Event]) -> list[dict[str, Any]]:
    sets = [event for event in events if isinstance(event, DataSets)]
    return [row for one in sets for row in hw.Decoder().decode(one).rows()]


@contextmanager
def free_port() -> Iterator[int]:
    """A TCP port on which nobody listens, and that nobody else gets."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def until(is_so: Callable[[], object]) -> None:
    """Wait for what another thread or program brings about."""
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, "what was waited for has not come"
        time.sleep(0.002)  # nothing announces it
