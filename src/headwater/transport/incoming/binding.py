"""Sockets of listening addresses: resolved and bound, and what is told if that fails."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from headwater.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.transport.incoming.url import ListenUrl

Address = tuple[str, int] | tuple[str, int, int, int]

_HINTS: Final = {
    errno.EADDRINUSE: "another program listens there already",
    errno.EADDRNOTAVAIL: "it is no address of this host",
    errno.EACCES: "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE)",
    errno.EPROTONOSUPPORT: "this kernel has no such transport",
    errno.ESOCKTNOSUPPORT: "this kernel has no such transport",
}


def bound(
    url: ListenUrl,
    kind: socket.SocketKind,
    protocol: int = 0,
    prepare: Callable[[socket.socket], None] = lambda one: None,
) -> socket.socket:
    """A socket that does not block, bound to the address of a URL.

    Every address of this host is IPv6 and IPv4 in one socket, or IPv4 where the kernel has no IPv6.
    prepare: sets options before it is bound. Raises TransportError.
    """
    family, address = resolved(url)
    try:
        return _bound(url, family, address, kind, protocol, prepare)
    except OSError as error:
        if not (url.is_everywhere and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)):
            raise failed(url, error) from error
    try:
        return _bound(url, socket.AF_INET, ("0.0.0.0", url.port), kind, protocol, prepare)  # noqa: S104 - it was asked for
    except OSError as error:
        raise failed(url, error) from error


def resolved(url: ListenUrl) -> tuple[socket.AddressFamily, Address]:
    """Family and address to bind to: of a name that has several the first one, of IPv4 if there is any."""
    if url.is_everywhere:
        return socket.AF_INET6, ("::", url.port)
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TransportError(f"cannot listen on {url.name}: the host is not known: {why}", url=url.url) from error
    found.sort(key=lambda one: one[0] is not socket.AF_INET)
    return socket.AddressFamily(found[0][0]), cast("Address", found[0][4])


def failed(url: ListenUrl, error: OSError) -> TransportError:
    """What to raise for an error of a socket."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    hint = _HINTS.get(error.errno or 0)
    return TransportError(f"cannot listen on {url.name}: {why}" + (f"; {hint}" if hint else ""), url=url.url)


def _bound(
    url: ListenUrl,
    family: socket.AddressFamily,
    address: Address,
    kind: socket.SocketKind,
    protocol: int,
    prepare: Callable[[socket.socket], None],
) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            is_both = address[0] == "::"
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if is_both else 1)
        if kind is not socket.SOCK_DGRAM:  # connections that linger shall not keep a restart from the port
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        prepare(made)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
