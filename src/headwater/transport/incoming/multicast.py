"""Groups of hosts that a socket is a member of."""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Final

_GROUP4: Final = struct.Struct("=4s4si")  # ip_mreqn: group, address of the interface, its index
_GROUP6: Final = struct.Struct("=16sI")  # ipv6_mreq


def is_multicast(host: str) -> bool:
    """Whether that is an address of a group."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_multicast
    except ValueError:
        return False


def join(member: socket.socket, host: str, interface: str | None) -> None:
    """Become a member of a group. interface: its name or address, None = as the kernel chooses. Raises OSError."""
    group, _, scope = host.partition("%")
    interface = interface or scope or None
    if member.family == socket.AF_INET6:
        index = 0 if interface is None else socket.if_nametoindex(interface)
        request = _GROUP6.pack(socket.inet_pton(socket.AF_INET6, group), index)
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        return
    address, index = bytes(4), 0
    if interface is not None:
        try:
            address = socket.inet_aton(interface)
        except OSError:
            index = socket.if_nametoindex(interface)
    member.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _GROUP4.pack(socket.inet_aton(group), address, index)
    )
