"""UDP datagrams of a capture file, for tests only: pcap and pcapng, IPv4 and IPv6, the usual link types."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PCAP = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_NULL, _ETHERNET, _RAW, _LINUX, _LINUX2 = (0, 108), (1,), (12, 14, 101, 228, 229), (113,), (276,)
_VLAN = (0x8100, 0x88A8, 0x9100)
_UDP = 17


class Datagram(NamedTuple):
    """One UDP datagram. frame: number of its packet in the capture, from 1."""

    frame: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes

    @property
    def session(self) -> tuple[str, int, str, int]:
        """What a transport session over UDP is known by (RFC 7011 §8.4)."""
        return self.source, self.source_port, self.destination, self.destination_port


def read_pcap(path: Path) -> list[Datagram]:
    """All UDP datagrams that are whole in one packet, in order; fragments are put together."""
    octets = path.read_bytes()
    packets = _pcapng(octets) if octets[:4] == _PCAPNG else _pcap(octets)
    out = []
    fragments: dict[tuple[bytes, ...], dict[int, bytes]] = {}
    for frame, (link, packet) in enumerate(packets, 1):
        found = _network(link, packet)
        datagram = found and _transport(frame, found, fragments)
        if datagram:
            out.append(datagram)
    return out


def _pcap(octets: bytes) -> Iterator[tuple[int, bytes]]:
    order = _PCAP[octets[:4]]
    (link,) = struct.unpack_from(order + "I", octets, 20)
    at = 24
    while at + 16 <= len(octets):
        (length,) = struct.unpack_from(order + "I", octets, at + 8)
        yield link & 0xFFFF, octets[at + 16 : at + 16 + length]
        at += 16 + length


def _pcapng(octets: bytes) -> Iterator[tuple[int, bytes]]:
    order, links, at = "<", list[int](), 0
    while at + 12 <= len(octets):
        if octets[at : at + 4] == _PCAPNG:
            order, links = (">" if octets[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<"), []
        kind, size = struct.unpack_from(order + "II", octets, at)
        body = octets[at + 8 : at + size - 4]
        if kind == 1:
            links.append(struct.unpack_from(order + "H", body)[0])
        elif kind == 6:
            interface, _, _, length = struct.unpack_from(order + "IIII", body)
            yield links[interface], body[20 : 20 + length]
        elif kind == 3:
            yield links[0], body[4 : 4 + struct.unpack_from(order + "I", body)[0]]
        at += size


def _network(link: int, packet: bytes) -> bytes | None:
    """The IP packet of a frame."""
    if link in _RAW:
        return packet
    if link in _NULL:
        return packet[4:]
    if link in _LINUX2:
        return packet[20:] if packet[:2] in (b"\x08\x00", b"\x86\xdd") else None
    at = 12 if link in _ETHERNET else 14 if link in _LINUX else len(packet)
    while int.from_bytes(packet[at : at + 2], "big") in _VLAN:
        at += 4
    return packet[at + 2 :] if packet[at : at + 2] in (b"\x08\x00", b"\x86\xdd") else None


def _transport(frame: int, packet: bytes, fragments: dict[tuple[bytes, ...], dict[int, bytes]]) -> Datagram | None:
    if packet[0] >> 4 == 4:
        header, total, flags = (packet[0] & 15) * 4, *struct.unpack_from("!H2xH", packet, 2)
        protocol, source, destination, body = packet[9], packet[12:16], packet[16:20], packet[header:total]
        if flags & 0x3FFF:
            key = (source, destination, packet[4:6])
            parts = fragments.setdefault(key, {})
            parts[(flags & 0x1FFF) * 8] = body
            if not flags & 0x2000:
                parts[-1] = b""
            whole = b"".join(octets for _, octets in sorted(parts.items()))
            last = max(parts)
            if -1 not in parts or len(whole) != last + len(parts[last]):
                return None
            body = whole
            del fragments[key]
    else:
        protocol, source, destination = packet[6], packet[8:24], packet[24:40]
        body = packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    if protocol != _UDP or len(body) < 8:
        return None
    source_port, destination_port, length = struct.unpack_from("!HHH", body)
    addresses = str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination))
    return Datagram(frame, addresses[0], source_port, addresses[1], destination_port, body[8:length])
