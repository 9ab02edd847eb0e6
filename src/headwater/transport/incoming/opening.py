"""The one table of transports in."""

from __future__ import annotations

import socket as sockets
from importlib import import_module
from typing import TYPE_CHECKING, Final

from headwater.session.key import Transport
from headwater.transport.incoming.binding import resolved
from headwater.transport.incoming.udp_socket import kernel_drops
from headwater.transport.sctp_constants import SCTP
from headwater.transport.url_options import DATAGRAMS

if TYPE_CHECKING:
    from headwater.transport.incoming.block import Listener
    from headwater.transport.incoming.url import ListenUrl

_LISTENERS: Final = {
    Transport.UDP: ("udp", "UdpListener"),
    Transport.TCP: ("tcp", "TcpListener"),
    Transport.TLS: ("tls", "TlsListener"),
    Transport.DTLS: ("dtls", "DtlsListener"),
    Transport.SCTP: ("sctp", "SctpListener"),
}
"""Module and class, so that none is imported that is not used."""


def open_listener(url: ListenUrl, socket: sockets.socket | None = None) -> Listener:
    """The listener of a URL, open.

    socket: one that is bound already, of a service manager or a parent process; it is the listener's then.
    Raises TransportError.
    """
    module, name = _LISTENERS[url.transport]
    made: Listener = getattr(import_module(f"headwater.transport.incoming.{module}"), name)(url, socket=socket)
    made.open()
    return made


def take_inherited(url: ListenUrl, inherited: list[sockets.socket]) -> sockets.socket | None:
    """The first of some sockets that is for that URL, taken out of the list; None if there is none.

    A socket is for a URL if its type and port are, and it is of the address family that the host is of; of several,
    one with the address of the host is preferred.
    """
    fitting = [one for one in inherited if _fits(url, one)]
    if not fitting:
        return None
    host = resolved(url)[1][0] if len(fitting) > 1 else ""
    found = next((one for one in fitting if one.getsockname()[0] == host), fitting[0])
    inherited.remove(found)
    return found


def earlier_drops(inherited: list[sockets.socket]) -> list[str]:
    """What the kernel dropped at sockets before this process has them, which nobody counts; a sentence for each."""
    out = []
    for one in inherited:
        drops = kernel_drops(one) if one.type == sockets.SOCK_DGRAM else 0
        if drops:
            port = one.getsockname()[1]
            out.append(f"the kernel dropped {drops:,} datagrams at port {port} before this process took the socket")
    return out


def _fits(url: ListenUrl, one: sockets.socket) -> bool:
    is_sctp = url.transport is Transport.SCTP
    stream = sockets.SOCK_SEQPACKET if is_sctp else sockets.SOCK_STREAM  # one socket has all associations
    kind = sockets.SOCK_DGRAM if url.transport in DATAGRAMS else stream
    if one.type != kind or (one.proto == SCTP) is not is_sctp:
        return False
    if one.family not in (sockets.AF_INET, sockets.AF_INET6) or one.getsockname()[1] != url.port:
        return False
    return url.is_everywhere or one.family == resolved(url)[0]
