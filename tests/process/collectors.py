"""Collectors for tests: sockets of 127.0.0.1 that read when they are told to, and can be killed."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import headwater as hw
from headwater.session import Session
from headwater.session.events import DataSets, Event

T = TypeVar("T")

DEADLINE_S = 30.0
"""Longest wait for anything; everything here takes far less."""


class UdpCollector:
    """A UDP socket. Nobody else gets its port before `with` ends, even when it is closed."""

    def __init__(self, port: int = 0) -> None:
        self._held = _held(socket.SOCK_DGRAM) if port == 0 else None
        port = port if self._held is None else self._held.getsockname()[1]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = port

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self.port}"

    def datagrams(self, *, messages: int = 0, records: int = 0) -> list[bytes]:
        """Datagrams until there are so many of them with so many records, and whatever else has come by then."""
        out: list[bytes] = []
        session = Session(transport="udp")
        self._socket.settimeout(DEADLINE_S)
        while len(out) < messages or session.counters["records"] < records:
            out.append(self._socket.recv(65535))
            list(session.receive(out[-1]))
        self._socket.setblocking(False)
        while True:
            try:
                out.append(self._socket.recv(65535))
            except BlockingIOError:
                return out

    def receive(self) -> tuple[bytes, tuple[str, int]]:
        """The next one, and who sent it."""
        self._socket.settimeout(DEADLINE_S)
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
        if self._held is not None:
            self._held.close()


class TcpCollector:
    """A listening socket that accepts one connection at a time.

    Nobody else gets its port before `with` ends, even when it is closed.
    """

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._held = _held(socket.SOCK_STREAM) if port == 0 else None
        port = port if self._held is None else self._held.getsockname()[1]
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(DEADLINE_S)
        self._context = context
        self._connection: socket.socket | None = None
        self.port: int = port
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

    def wait_for_more(self) -> None:
        """Wait until something has come in the connection that is not read."""
        assert self._connection is not None
        assert self._connection.recv(1, socket.MSG_PEEK), "the exporter has ended the connection"

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
        if self._held is not None:
            self._held.close()


def records_of(octets: bytes) -> list[dict[str, Any]]:
    """The records of the whole Messages at the beginning of a stream."""
    return _rows(Session(transport="tcp").receive(octets))


def _rows(events: Iterator[Event]) -> list[dict[str, Any]]:
    sets = [event for event in events if isinstance(event, DataSets)]
    return [row for one in sets for row in hw.Decoder().decode(one).rows()]


@contextmanager
def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[int]:
    """A port on which nobody listens, so that what is sent there is refused, and that nobody else gets."""
    with _held(kind) as held:
        yield held.getsockname()[1]


def _held(kind: socket.SocketKind) -> socket.socket:
    """Keeps a port for those who ask for it by its number; gets nothing of what is sent there."""
    held = socket.socket(socket.AF_INET, kind)
    held.bind(("127.0.0.1", 0))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # before, it might be given what is held by another
    if kind == socket.SOCK_DGRAM:
        held.connect(held.getsockname())
    return held


def until(is_so: Callable[[], T]) -> T:
    """Wait for what another thread or program brings about, and give it."""
    end = time.monotonic() + DEADLINE_S
    while not (found := is_so()):
        assert time.monotonic() < end, "what was waited for has not come"
        time.sleep(0.002)  # nothing announces it
    return found
