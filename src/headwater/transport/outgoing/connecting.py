"""Sockets of a collector's address: resolved, bound and connected, and what is told if that fails."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TYPE_CHECKING, Final, cast

from headwater.transport.outgoing.sender import SessionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

Address = tuple[str, int] | tuple[str, int, int, int]

_CONNECT_S: Final = 10.0
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}


class Deadline:
    """A moment some seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, never less than 0."""
        return max(self._end - time.monotonic(), 0.0)

    @property
    def is_over(self) -> bool:
        return not self.left


def connected(
    collector: Collector,
    readiness: Readiness,
    kind: socket.SocketKind,
    protocol: int = 0,
    prepare: Callable[[socket.socket], None] = lambda one: None,
) -> socket.socket:
    """A socket that does not block, connected to the first address of the collector that can be reached.

    prepare: sets options before it is connected. Raises SessionLost.
    """
    failed: SessionLost | None = None
    for family, address in addresses(collector, kind):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            if "send_buffer" in collector.options:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, collector.options["send_buffer"])
            prepare(connection)
            if "source" in collector.options:
                connection.bind((collector.options["source"], 0))
            _connect(connection, address, collector, readiness)
        except OSError as error:
            connection.close()
            failed = error if isinstance(error, SessionLost) else lost(collector, error)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    assert failed is not None
    raise failed


def addresses(collector: Collector, kind: socket.SocketKind) -> list[tuple[socket.AddressFamily, Address]]:
    """Families and addresses of the collector, at least one. Raises SessionLost.

    Of datagrams nobody says whether they arrive, so that of several addresses only the first is used: that is one of
    IPv4, for `localhost` mostly has one of IPv6 as well, which collectors rarely listen to.
    """
    # the resolver knows no SCTP, but addresses are the same
    asked = socket.SOCK_STREAM if kind is not socket.SOCK_DGRAM else kind
    try:
        found = socket.getaddrinfo(collector.host, collector.port, type=asked)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SessionLost(f"{collector.name}: the host is not known: {why}", url=collector.url) from error
    if kind is socket.SOCK_DGRAM:
        found.sort(key=lambda one: one[0] is not socket.AF_INET)
    return [(socket.AddressFamily(family), cast("Address", address)) for family, _, _, _, address in found]


def lost(collector: Collector, error: OSError, *, is_orderly: bool = False) -> SessionLost:
    """What to raise for an error of a socket."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return SessionLost(f"{collector.name}: {why}", url=collector.url, is_orderly=is_orderly)


def _connect(connection: socket.socket, address: Address, collector: Collector, readiness: Readiness) -> None:
    code = connection.connect_ex(address)
    if code not in _UNDER_WAY:
        raise OSError(code, os.strerror(code))
    if code == 0:
        return
    deadline = Deadline(collector.options.get("connect_timeout", _CONNECT_S))
    while not readiness.wait(connection, write=True, timeout=deadline.left):
        if deadline.is_over:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
