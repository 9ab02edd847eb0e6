"""Messages as a packet capture: UDP datagrams over IPv4 in Ethernet frames (pcap, microseconds)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing

LARGEST: Final = 65535 - 28
"""Octets of a datagram at most, by the length field of IPv4."""

_FILE: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
_RECORD: Final = struct.Struct("<IIII")
_ETHERNET: Final = bytes.fromhex("020000000002 020000000001 0800")
_IP: Final = struct.Struct("!BBHHHBBHII")
_UDP: Final = struct.Struct("!HHHH")
_UDP_PROTOCOL: Final = 17
_SPACING_US: Final = 20  # between datagrams of one burst


class Flight(NamedTuple):
    """From where to where datagrams go: addresses as numbers, and ports."""

    source: int
    source_port: int
    destination: int
    destination_port: int


class Datagram(NamedTuple):
    """What is sent when (in microseconds since 1970), from where to where."""

    time_us: int
    flight: Flight
    payload: bytes | memoryview


class PcapFile:
    """A capture that is being written. write: takes octets of the file."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._identification = 0
        write(_FILE)

    def write(self, outgoing: Outgoing, flight: Flight, now: float) -> None:
        """Add Messages, each in a datagram, one after the other from `now` on (seconds since 1970)."""
        times = count(round(now * 1_000_000), _SPACING_US)
        self.write_datagrams(
            Datagram(time, flight, message) for time, message in zip(times, outgoing.messages(), strict=False)
        )

    def write_datagrams(self, datagrams: Iterable[Datagram]) -> None:
        """Add datagrams, in the order of time."""
        parts = []
        for time_us, flight, payload in datagrams:
            packet = self._packet(bytes(payload), flight)
            length = len(_ETHERNET) + len(packet)
            parts += [_RECORD.pack(time_us // 1_000_000, time_us % 1_000_000, length, length), _ETHERNET, packet]
        self._write(b"".join(parts))

    def _packet(self, payload: bytes, flight: Flight) -> bytes:
        source, source_port, destination, destination_port = flight
        size = _UDP.size + len(payload)
        self._identification = (self._identification + 1) % (1 << 16)
        words = 0x45, 0, _IP.size + size, self._identification, 0x4000, 64, _UDP_PROTOCOL
        head = _IP.pack(*words, 0, source, destination)
        head = _IP.pack(*words, _checksum(head), source, destination)
        pseudo = struct.pack("!IIHH", source, destination, _UDP_PROTOCOL, size)
        udp = _UDP.pack(source_port, destination_port, size, 0)
        # "the UDP checksum MUST be enabled" (RFC 7011 §10.3.2); 0 would mean that there is none
        checksum = _checksum(pseudo + udp + payload)
        return head + _UDP.pack(source_port, destination_port, size, checksum) + payload


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071), never 0; sums of 16-bit words with their carries are remainders by 65535."""
    return 0xFFFF - int.from_bytes(octets + bytes(len(octets) % 2), "big") % 0xFFFF
