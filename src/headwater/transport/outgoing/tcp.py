"""Messages out over TCP (RFC 7011 §10.4)."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final

from headwater.transport.outgoing.connecting import connected, lost
from headwater.transport.outgoing.sender import Failure, SessionLost

try:
    import fcntl
    import termios
except ImportError:  # Windows, whose sockets cannot be asked what was acknowledged
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

_IDLE_S: Final = 30
_SILENT_MS: Final = 120_000
"""A host that acknowledges nothing, or has no room for anything, for so long is gone."""
_READ: Final = 1 << 16
_INT: Final = struct.Struct("=i")


class TcpSender:
    """A TCP connection that keeps count of what the collector's host has acknowledged.

    A collector says nothing, so reading shows one thing only, that it has gone: a FIN if it had read everything its
    host acknowledged, a reset if something was left unread in its host (Linux and the BSDs do so).
    """

    def __init__(self, collector: Collector, readiness: Readiness) -> None:
        self.sent = 0
        self._collector, self._readiness = collector, readiness
        self._socket: socket.socket | None = None

    @property
    def acknowledged(self) -> int:
        return self.sent - self._unacknowledged()

    @property
    def mtu(self) -> int | None:
        return None

    @property
    def is_stale(self) -> bool:
        return False

    def open(self) -> None:
        self.sent = 0
        self._socket = connected(self._collector, self._readiness, socket.SOCK_STREAM, prepare=_prepare)

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        self._check()
        self._put(memoryview(outgoing.buffer)[outgoing.begin[0] : outgoing.begin[-1]])

    def failures(self) -> list[Failure]:
        return []

    def wait(self, timeout: float | None) -> None:
        if self._readiness.wait(self._socket, read=True, timeout=timeout):
            self._check()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _put(self, octets: memoryview | bytes) -> None:
        assert self._socket is not None
        view = memoryview(octets)
        while view:
            try:
                taken = self._socket.send(view)
            except BlockingIOError:
                if self._readiness.wait(self._socket, read=True, write=True):
                    self._check()
                continue
            except OSError as error:
                raise self._lost(error) from error
            self.sent += taken
            view = view[taken:]

    def _check(self) -> None:
        """Read whatever has come. Raises SessionLost."""
        assert self._socket is not None
        try:
            while octets := self._socket.recv(_READ):
                self._received(octets)
        except BlockingIOError:
            return
        except SessionLost:
            raise
        except OSError as error:
            raise self._lost(error) from error
        raise self._ended()

    def _received(self, octets: bytes) -> None:
        """A collector has nothing to say (RFC 7011 §10.1)."""

    def _ended(self) -> SessionLost:
        url = self._collector.url
        return SessionLost(f"{self._collector.name}: the collector has closed the connection", url=url, is_orderly=True)

    def _lost(self, error: OSError) -> SessionLost:
        # with EPIPE it was a FIN that came first; anything else leaves open what the collector has read
        return lost(self._collector, error, is_orderly=error.errno == errno.EPIPE)

    def _unacknowledged(self) -> int:
        if self._socket is None or fcntl is None:
            return 0
        count: int = _INT.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_INT.size)))[0]
        return count


def _prepare(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_NODELAY", 1), ("TCP_KEEPIDLE", _IDLE_S), ("TCP_USER_TIMEOUT", _SILENT_MS)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
