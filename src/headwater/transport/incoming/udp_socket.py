"""Sockets that take datagrams, of UDP and DTLS."""

from __future__ import annotations

import socket as sockets
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from headwater.transport.incoming.binding import bound, failed
from headwater.transport.incoming.datagrams import TIMESTAMPS
from headwater.transport.incoming.multicast import is_multicast, join

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.transport.incoming.url import ListenUrl

# of asm-generic/socket.h; Python's socket module has them not
_RECEIVE_BUFFER_FORCE, _MEMINFO = 33, 55
_MEMORY: Final = struct.Struct("=9I")  # SK_MEMINFO_VARS; the last one counts datagrams that found no room
_ROUND: Final = 1 << 32
LEAST_HELD: Final = 256
"""Octets of a receive buffer that it takes to hold a datagram, at least."""


def bind(url: ListenUrl, share: Callable[[sockets.socket], None] = lambda one: None) -> sockets.socket:
    """A UDP socket bound to the address of a URL, member of the group if that is one.

    share: sets options before that, by which several sockets may be bound to the address. Raises TransportError.
    """
    if not is_multicast(url.host):
        return bound(url, sockets.SOCK_DGRAM, prepare=share)
    made = bound(url, sockets.SOCK_DGRAM, prepare=_share_group)
    try:
        join(made, url.host, url.options.get("interface"))
    except OSError as error:
        made.close()
        raise failed(url, error) from error
    return made


def _share_group(socket: sockets.socket) -> None:
    """Every program of a host may be a member of a group."""
    socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)


def prepare(socket: sockets.socket, url: ListenUrl) -> list[str]:
    """Ask for the receive buffer of the URL, and for times; what people should know of it."""
    asked = url.options["receive_buffer"]
    try:
        socket.setsockopt(sockets.SOL_SOCKET, _RECEIVE_BUFFER_FORCE if sys.platform == "linux" else -1, asked)
    except OSError:  # needs CAP_NET_ADMIN
        with suppress(OSError):
            socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, asked)
    if sys.platform == "linux":
        with suppress(OSError):
            socket.setsockopt(sockets.SOL_SOCKET, TIMESTAMPS, 1)
    got = granted(socket)
    if got >= asked:
        return []
    hint = "; let it have more with sysctl net.core.rmem_max" if sys.platform == "linux" else ""
    return [f"{url.name}: the kernel grants a receive buffer of {got:,} octets, not {asked:,}{hint}"]


def granted(socket: sockets.socket) -> int:
    """Octets of the receive buffer. Linux reserves as much again for its own use, and tells the sum."""
    octets = socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF)
    return octets // 2 if sys.platform == "linux" else octets


def kernel_drops(socket: sockets.socket) -> int | None:
    """How many datagrams a socket had no room for, modulo 2**32; None = this kernel does not tell.

    SO_RXQ_OVFL would tell the same with the next datagram, of which there may be none.
    """
    if sys.platform != "linux":
        return None
    try:
        octets = socket.getsockopt(sockets.SOL_SOCKET, _MEMINFO, _MEMORY.size)
    except OSError:  # before Linux 4.12
        return None
    return int(_MEMORY.unpack(octets)[-1]) if len(octets) == _MEMORY.size else None


class KernelDrops:
    """Datagrams that a socket had no room for, from now on."""

    def __init__(self, socket: sockets.socket) -> None:
        self._socket = socket
        self._before = kernel_drops(socket)

    def more(self) -> int:
        """Since it was asked last; 0 where the kernel does not tell."""
        before, now = self._before, kernel_drops(self._socket)
        if before is None or now is None:
            return 0
        self._before = now
        return (now - before) % _ROUND
