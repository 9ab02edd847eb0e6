"""Messages out over UDP (RFC 7011 §10.3): one in each datagram, and what the network says of those that got lost."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from headwater.transport.outgoing.connecting import connected, lost
from headwater.transport.outgoing.sender import HEAD, Failure
from headwater.transport.outgoing.url import DISCOVER

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

# of linux/in.h and linux/in6.h; Python's socket module has them not
_IP_MTU_DISCOVER, _IP_RECVERR, _IP_MTU = 10, 11, 14
_IPV6_MTU_DISCOVER, _IPV6_MTU, _IPV6_RECVERR = 23, 24, 25
_ALWAYS: Final = 2  # never fragment
_HEADERS: Final = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}
_LARGEST: Final = 65507  # of an IPv4 datagram; one that IPv6 has room for may not be read by collectors
_CAUSES: Final = {errno.ECONNREFUSED: "refused", errno.EMSGSIZE: "too_large"}
_TRIES: Final = 8
_WAITING: Final = (errno.EAGAIN, errno.ENOBUFS)
_ERROR: Final = struct.Struct("=IB")  # the first members of sock_extended_err: errno, origin
_LOCAL: Final = 1  # what `send` itself has told


class UdpSender:
    """A connected UDP socket, so that the kernel tells of ICMP errors.

    With IP_RECVERR (Linux) it tells of each one, and mostly which datagram it was for.
    """

    def __init__(self, collector: Collector, readiness: Readiness) -> None:
        self.sent = 0
        self._collector, self._readiness = collector, readiness
        self._socket: socket.socket | None = None
        self._failures: list[Failure] = []

    @property
    def acknowledged(self) -> int:
        return self.sent

    @property
    def mtu(self) -> int | None:
        """What the kernel knows of the path, if it was asked to find out."""
        if self._collector.options.get("mtu") != DISCOVER or self._socket is None:
            return None
        return path_mtu(self._socket)

    @property
    def is_stale(self) -> bool:
        return False

    def open(self) -> None:
        self.sent = 0
        self._socket = connected(self._collector, self._readiness, socket.SOCK_DGRAM, prepare=self._prepare)

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        for message in outgoing.messages():
            self._put(message)
        self.sent += int(outgoing.begin[-1] - outgoing.begin[0])

    def failures(self) -> list[Failure]:
        if self._socket is not None:
            self._learn(self._socket)
        found, self._failures = self._failures, []
        return found

    def wait(self, timeout: float | None) -> None:
        if self._readiness.wait(self._socket, read=True, timeout=timeout) and self._socket is not None:
            self._learn(self._socket)
            with suppress(OSError):  # nobody answers an exporter; whoever sends octets here wants to be ignored
                self._socket.recv(1)

    def close(self) -> None:
        if self._socket is not None:
            self._learn(self._socket)
            self._socket.close()
            self._socket = None

    def _prepare(self, connection: socket.socket) -> None:
        if sys.platform != "linux":
            return
        is_ipv6 = connection.family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
        connection.setsockopt(level, _IPV6_RECVERR if is_ipv6 else _IP_RECVERR, 1)
        if self._collector.options.get("mtu") == DISCOVER:
            connection.setsockopt(level, _IPV6_MTU_DISCOVER if is_ipv6 else _IP_MTU_DISCOVER, _ALWAYS)

    def _put(self, datagram: memoryview | bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(datagram)
        except OSError as error:
            self._send_again(datagram, error)

    def _send_again(self, datagram: memoryview | bytes, error: OSError) -> None:
        """An error may be of an earlier datagram, and then this one has not been sent."""
        assert self._socket is not None
        for _ in range(_TRIES):
            if sys.platform != "linux" and error.errno == errno.ECONNREFUSED:
                self._failures.append(Failure("refused", b""))  # it does not tell which
            if error.errno in _WAITING:
                self._readiness.wait(self._socket, write=True, timeout=0.1)
            elif not self._learn(self._socket) and error.errno not in _CAUSES:
                raise lost(self._collector, error)
            elif error.errno == errno.EMSGSIZE:
                break
            try:
                self._socket.send(datagram)
            except OSError as again:
                error = again
            else:
                return
        self._failures.append(Failure(_cause(error.errno), bytes(datagram[:HEAD])))

    def _learn(self, connection: socket.socket) -> bool:
        """Take all errors that have been reported; whether there was any."""
        if sys.platform != "linux":
            return True
        is_any = False
        with suppress(OSError):  # EAGAIN: no more
            while True:
                octets, ancillary, _, _ = connection.recvmsg(HEAD, 512, socket.MSG_ERRQUEUE)
                is_any = True
                self._failures += [Failure(_cause(number), octets) for number in _numbers(ancillary)]
        return is_any


def path_mtu(connection: socket.socket) -> int | None:
    """Octets of a Message at most on the path of a connected UDP socket, as far as the kernel knows; None = not."""
    is_ipv6 = connection.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
    try:
        octets = connection.getsockopt(level, _IPV6_MTU if is_ipv6 else _IP_MTU)
    except OSError:
        return None
    return min(octets - _HEADERS[socket.AddressFamily(connection.family)], _LARGEST)


def _numbers(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Errors that somebody else has reported."""
    kinds = ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR))
    errors = [_ERROR.unpack_from(data) for level, kind, data in ancillary if (level, kind) in kinds]
    return [number for number, origin in errors if origin != _LOCAL]


def _cause(number: Any) -> str:
    return _CAUSES.get(number, "unreachable")


def discover_mtu(collector: Collector, readiness: Readiness) -> int | None:
    """`path_mtu` before anything is sent. Raises SessionLost for a host that nobody knows."""
    with connected(collector, readiness, socket.SOCK_DGRAM) as connection:
        return path_mtu(connection)
