"""Packets and capture files, built octet by octet for tests; the inverse of tests/pcap.py."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence

SYN, FIN, RST, ACK = 2, 1, 4, 16
PEER = ("10.0.0.1", 50000, "10.0.0.2", 2055)
PEER6 = ("2001:db8::1", 50000, "2001:db8::2", 2055)
ETHERNET, NULL, LOOP, RAW, COOKED, COOKED2 = 1, 0, 108, 101, 113, 276
Endpoints = tuple[str, int, str, int]


# --- packets ---------------------------------------------------------------------------------------------------------


def udp(payload: bytes, peer: Endpoints = PEER, *, length: int | None = None) -> bytes:
    """A UDP datagram in an IP packet of the family of the addresses."""
    return ip(17, udp_datagram(payload, peer, length=length), peer)


def udp_datagram(payload: bytes, peer: Endpoints = PEER, *, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", peer[1], peer[3], 8 + len(payload) if length is None else length, 0) + payload


def tcp(payload: bytes, sequence: int, peer: Endpoints = PEER, *, flags: int = ACK, options: bytes = b"") -> bytes:
    header = struct.pack(
        "!HHIIBBHHH", peer[1], peer[3], sequence & 0xFFFFFFFF, 0, (20 + len(options)) << 2, flags, 65535, 0, 0
    )
    return ip(6, header + options + payload, peer)


def ip(protocol: int, body: bytes, peer: Endpoints = PEER) -> bytes:
    return ip6(protocol, body, peer) if ":" in peer[0] else ip4(protocol, body, peer)


def ip4(
    protocol: int,
    body: bytes,
    peer: Endpoints = PEER,
    *,
    options: bytes = b"",
    identification: int = 0,
    offset: int = 0,
    more: bool = False,
    length: int | None = None,
) -> bytes:
    """offset: of a fragment, in octets."""
    size = 20 + len(options)
    flags = offset // 8 | 0x2000 * more
    total = size + len(body) if length is None else length
    header = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, total, identification, flags, 64, protocol, 0)
    return header + socket.inet_aton(peer[0]) + socket.inet_aton(peer[2]) + options + body


def ip6(
    protocol: int,
    body: bytes,
    peer: Endpoints = PEER6,
    *,
    extensions: Sequence[tuple[int, bytes]] = (),
    length: int | None = None,
) -> bytes:
    """extensions: (protocol number, octets behind the next-header octet) of each extension header."""
    kinds = [kind for kind, _ in extensions] + [protocol]
    body = (
        b"".join(bytes((following,)) + rest for (_, rest), following in zip(extensions, kinds[1:], strict=True)) + body
    )
    header = struct.pack("!IHBB", 6 << 28, len(body) if length is None else length, kinds[0], 64)
    return header + b"".join(socket.inet_pton(socket.AF_INET6, address) for address in (peer[0], peer[2])) + body


def fragment_header(identification: int, offset: int, *, more: bool) -> tuple[int, bytes]:
    """An extension header for ip6()."""
    return 44, struct.pack("!BHI", 0, offset | more, identification)


def fragments(datagram: bytes, size: int, identification: int = 7, peer: Endpoints = PEER) -> list[bytes]:
    """The IP packets of a UDP datagram with its header, in fragments of `size` octets (a multiple of 8)."""
    out = []
    for at in range(0, len(datagram), size):
        part, more = datagram[at : at + size], at + size < len(datagram)
        if ":" in peer[0]:
            out.append(ip6(17, part, peer, extensions=[fragment_header(identification, at, more=more)]))
        else:
            out.append(ip4(17, part, peer, identification=identification, offset=at, more=more))
    return out


# --- link layers -----------------------------------------------------------------------------------------------------


def ether_type(packet: bytes) -> int:
    return 0x0800 if packet[0] >> 4 == 4 else 0x86DD


def ethernet(packet: bytes, *, tags: Sequence[int] = (), kind: int | None = None, trailer: bytes = b"") -> bytes:
    """tags: EtherTypes of VLAN tags, outermost first."""
    head = b"".join(struct.pack("!HH", tag, 5) for tag in tags)
    return bytes(12) + head + struct.pack("!H", ether_type(packet) if kind is None else kind) + packet + trailer


def mpls(packet: bytes, labels: int = 1, *, kind: int = 0x8847) -> bytes:
    stack = b"".join(struct.pack("!I", 16 << 12 | (k == labels - 1) << 8 | 64) for k in range(labels))
    return ethernet(stack + packet, kind=kind)


def pppoe(packet: bytes) -> bytes:
    protocol = 0x0021 if packet[0] >> 4 == 4 else 0x0057
    return ethernet(struct.pack("!BBHHH", 0x11, 0, 1, 2 + len(packet), protocol) + packet, kind=0x8864)


def cooked(packet: bytes) -> bytes:
    return struct.pack("!HHH8xH", 0, 1, 6, ether_type(packet)) + packet


def cooked2(packet: bytes) -> bytes:
    return struct.pack("!HHIHBB8x", ether_type(packet), 0, 1, 1, 0, 6) + packet


def loopback(packet: bytes, order: str = "<", family6: int = 30) -> bytes:
    return struct.pack(order + "I", 2 if packet[0] >> 4 == 4 else family6) + packet


# --- files -----------------------------------------------------------------------------------------------------------


def pcap(
    packets: Iterable[bytes | tuple[int, bytes]],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    link: int = ETHERNET,
    snap: int = 262144,
) -> bytes:
    """packets: octets as captured, or (ns since 1970, octets)."""
    out = bytearray(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link))
    unit = 1 if magic == 0xA1B23C4D else 1000
    for given in packets:
        time, packet = given if isinstance(given, tuple) else (0, given)
        cut = packet[:snap] if snap else packet
        second, rest = divmod(time, 10**9)
        out += struct.pack(order + "IIII", second, rest // unit, len(cut), len(packet))
        out += (bytes(8) if magic == 0xA1B2CD34 else b"") + cut
    return bytes(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link: int = ETHERNET,
    order: str = "<",
    *,
    resolution: int | None = None,
    offset_s: int | None = None,
    snap: int = 0,
) -> bytes:
    options = struct.pack(order + "HH4s", 2, 4, b"eth0")
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(order + "HHq", 14, 8, offset_s)
    return block(1, struct.pack(order + "HHI", link, 0, snap) + options + bytes(4), order)


def enhanced(packet: bytes, order: str = "<", *, number: int = 0, ticks: int = 0, cut: int | None = None) -> bytes:
    kept = packet[:cut]
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(kept), len(packet))
    return block(6, head + kept, order)


def simple(packet: bytes, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", len(packet)) + packet, order)


def obsolete(packet: bytes, order: str = "<", *, number: int = 0, ticks: int = 0) -> bytes:
    head = struct.pack(order + "HHIIII", number, 9, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(2, head + packet, order)
