"""Traffic of a small network as a capture, for exporters to observe: TCP, UDP and ICMP, IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

START_S = 1_767_225_600
"""Unix seconds of the first packet (2026-01-01)."""
CONNECTIONS = 30
ETHERNET = 14
"""Octets before the IP header of a frame."""

_TCP, _UDP, _ICMP = 6, 17, 1
_SYN, _FIN, _ACK, _PUSH = 2, 1, 16, 8


def write_traffic(path: Path) -> Path:
    """Write a capture (Ethernet, microseconds) of CONNECTIONS connections that begin a tenth of a second apart."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at_us, _, packet in sorted(_packets()):
            file.write(struct.pack("<IIII", *divmod(START_S * 1_000_000 + at_us, 1_000_000), len(packet), len(packet)))
            file.write(packet)
    return path


class FlowKey(NamedTuple):
    """One direction of a connection."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: int


@dataclass(slots=True)
class Flow:
    """What was sent in one direction. packets, octets: of IP.

    first_us, last_us: its first and last packet, since START_S. start_us, end_us: those of both directions.
    """

    first_us: int
    last_us: int
    start_us: int
    end_us: int
    packets: int = 0
    octets: int = 0


def flows() -> dict[FlowKey, Flow]:
    """Every direction of every connection; of ICMP without ports."""
    out: dict[FlowKey, Flow] = {}
    for at_us, _, frame in sorted(_packets()):
        key = _flow_key(frame)
        flow = out.setdefault(key, Flow(at_us, at_us, at_us, at_us))
        back = out.get(FlowKey(key.destination, key.destination_port, key.source, key.source_port, key.protocol), flow)
        flow.packets += 1
        flow.octets += len(frame) - ETHERNET
        flow.start_us = min(flow.start_us, back.start_us)
        flow.last_us = flow.end_us = back.end_us = at_us
    return out


def _flow_key(frame: bytes) -> FlowKey:
    at = ETHERNET
    if frame[at] >> 4 == 6:
        protocol, addresses, body = frame[at + 6], (frame[at + 8 : at + 24], frame[at + 24 : at + 40]), at + 40
    else:
        protocol, addresses, body = frame[at + 9], (frame[at + 12 : at + 16], frame[at + 16 : at + 20]), at + 20
    source, destination = (str(ipaddress.ip_address(octets)) for octets in addresses)
    ports = (0, 0) if protocol == _ICMP else struct.unpack_from("!HH", frame, body)
    return FlowKey(source, ports[0], destination, ports[1], protocol)


def _packets() -> Iterator[tuple[int, int, bytes]]:
    """(microseconds since START_S, ordinal, frame)."""
    ordinal = 0
    for connection in range(CONNECTIONS):
        for number, packet in enumerate(_connection(connection)):
            yield connection * 100_000 + number * 7_919, ordinal, packet
            ordinal += 1


def _connection(number: int) -> Iterator[bytes]:
    """The packets of one connection, client first; every third is IPv6."""
    if number % 3 == 2:
        client, server = f"2001:db8::{number + 1:x}", "2001:db8:ffff::80"
    else:
        client, server = f"192.0.2.{number + 1}", f"198.51.100.{number % 7 + 1}"
    there, back = (client, server), (server, client)
    source, port = 40_000 + number, (80, 443, 53, 25)[number % 4]
    if number % 10 == 9 and ":" not in client:
        for sequence in range(3):
            yield _frame(*there, _ICMP, struct.pack("!BBHHH", 8, 0, 0, number, sequence) + bytes(48))
    elif number % 4 == 2:
        yield _frame(*there, _UDP, _udp(source, port, 30 + number))
        yield _frame(*back, _UDP, _udp(port, source, 300 + number))
    else:
        yield _frame(*there, _TCP, _tcp(source, port, _SYN, 0))
        yield _frame(*back, _TCP, _tcp(port, source, _SYN | _ACK, 0))
        for size in range(number % 5 + 1):
            yield _frame(*there, _TCP, _tcp(source, port, _PUSH | _ACK, 100 * size))
            yield _frame(*back, _TCP, _tcp(port, source, _ACK, 1000 + number))
        yield _frame(*there, _TCP, _tcp(source, port, _FIN | _ACK, 0))
        yield _frame(*back, _TCP, _tcp(port, source, _FIN | _ACK, 0))


def _tcp(source: int, destination: int, flags: int, size: int) -> bytes:
    return struct.pack("!HHIIBBHHH", source, destination, 1, 1, 0x50, flags, 8192, 0, 0) + bytes(size)


def _udp(source: int, destination: int, size: int) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + size, 0) + bytes(size)


def _frame(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if a.version == 6:
        header = struct.pack("!IHBB", 0x6000_0000, len(body), protocol, 64)
        kind = 0x86DD
    else:
        header = struct.pack("!BBHHHBBH", 0x45, 0x10, 20 + len(body), 1, 0, 64, protocol, 0)
        kind = 0x0800
    return bytes.fromhex("020000000001020000000002") + struct.pack("!H", kind) + header + a.packed + b.packed + body
