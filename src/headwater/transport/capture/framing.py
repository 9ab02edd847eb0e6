"""The framing of capture files: windows of octets to packets with a link type and a time.

pcap: draft-ietf-opsawg-pcap. pcapng: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.kernel import pcap_packets, pcapng_packets
from headwater.transport.capture.interfaces import Interfaces

Octets: TypeAlias = npt.NDArray[np.uint8]

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
_PCAP = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
"""Magic number: nanoseconds of a unit of the fraction of a second, octets of a record header."""
_MAGICS = {magic.to_bytes(4, "big"): (True, *facts) for magic, facts in _PCAP.items()} | {
    magic.to_bytes(4, "little"): (False, *facts) for magic, facts in _PCAP.items()
}
_PACKET = 262_144  # what libpcap takes for the longest packet there can be, unless the file says more
_LONGEST_PACKET = 16 << 20
_LONGEST_BLOCK = 16 << 20
_SECTION_KIND, _BIG = 0x0A0D0D0A, b"\x1a\x2b\x3c\x4d"

PCAP_HEADER = 24
"""Octets of the header of a pcap file."""


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets that lie in a window. start, end: int32[n]. link: int32[n], LINKTYPE_…, -1 = of no interface.

    received: int64[n], ns since 1970 (UTC), 0 = not known.
    """

    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    link: npt.NDArray[np.int32]
    received: npt.NDArray[np.int64]


class Framing(Protocol):
    """One kind of capture file. name: of its format. header: octets before the first record."""

    name: str
    header: int

    def read(self, window: Octets, at: int) -> tuple[Packets, int, str]:
        """Packets from `at` on, where they stop, and what is impossible there; "" if it is only not whole."""


def is_capture(head: bytes) -> bool:
    """Whether content that begins so is a packet capture."""
    return head[:4] == SECTION_HEADER or head[:4] in _MAGICS


def framing_of(head: bytes) -> Framing | None:
    """How to read a file that begins so; None if it is no capture. head: PCAP_HEADER octets where there are as many."""
    if head[:4] == SECTION_HEADER:
        return PcapngFraming()
    if head[:4] in _MAGICS and len(head) >= PCAP_HEADER:
        return PcapFraming(head)
    return None


class PcapFraming:
    """Records behind one header: all of one link type and one resolution of time."""

    name = "pcap"
    header = PCAP_HEADER

    def __init__(self, head: bytes) -> None:
        self._is_big, self._scale, self._record = _MAGICS[head[:4]]
        snap = self._number(head, 16)
        self._link = self._number(head, 20) & 0xFFFF  # above that: whether and how long frame check sequences are
        self._most = min(max(snap, _PACKET), _LONGEST_PACKET)

    def read(self, window: Octets, at: int) -> tuple[Packets, int, str]:
        start, end, seconds, fraction, rest = pcap_packets(window, at, self._is_big, self._record, self._most)
        received = seconds.astype(np.int64)
        received *= 1_000_000_000
        received += fraction if self._scale == 1 else fraction * np.int64(self._scale)
        link = np.full(len(start), self._link, np.int32)
        return Packets(start, end, link, received), rest, self._problem(window[rest : rest + 16].tobytes())

    def _problem(self, record: bytes) -> str:
        if len(record) < 16:
            return ""
        length, original = self._number(record, 8), self._number(record, 12)
        if length > self._most:
            return f"a packet of {length} octets"
        return "a packet of no octets" if length == original == 0 else ""

    def _number(self, octets: bytes, at: int) -> int:
        return int.from_bytes(octets[at : at + 4], "big" if self._is_big else "little")


class PcapngFraming:
    """Blocks in sections, each with a byte order and interfaces of its own."""

    name = "pcapng"
    header = 0

    def __init__(self) -> None:
        self._is_big, self._snap = False, 0
        self._interfaces = Interfaces()

    def read(self, window: Octets, at: int) -> tuple[Packets, int, str]:
        interfaces = self._interfaces
        packets, others, rest, (self._is_big, count, self._snap) = pcapng_packets(
            window, at, self._is_big, len(interfaces), self._snap, _LONGEST_BLOCK
        )
        start, end, interface, high, low = packets
        for kind, body, stop, is_big in zip(*(column.tolist() for column in others), strict=True):
            if kind != _SECTION_KIND:
                interfaces.describe(window[body:stop].tobytes(), is_big=is_big)
        found = Packets(start, end, interfaces.links(interface), interfaces.times(interface, high, low))
        interfaces.keep(count)
        if interfaces.is_full:
            return found, rest, "a section of too many interfaces"
        return found, rest, self._problem(window[rest:])

    def _problem(self, octets: Octets) -> str:
        if len(octets) < 12:
            return ""
        head = octets[:12].tobytes()
        order: Literal["big", "little"] = "big" if self._is_big else "little"
        if head[:4] == SECTION_HEADER:
            orders: dict[bytes, Literal["big", "little"]] = {_BIG: "big", _BIG[::-1]: "little"}
            if head[8:] not in orders:
                return "a section of no byte order"
            order = orders[head[8:]]
        size = int.from_bytes(head[4:8], order)
        if size < 12 or size % 4 or size > _LONGEST_BLOCK:
            return f"a block of {size} octets"
        if size > len(octets):
            return ""
        return f"a block of {size} octets whose end says otherwise"
