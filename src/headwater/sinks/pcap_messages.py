"""Octets of Messages as datagrams of a packet capture, each at its Export Time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.session.outgoing import Outgoing
from headwater.sinks.pcap import Flight, PcapFile

if TYPE_CHECKING:
    from headwater.sinks.output import Writable

_FLIGHT: Final = Flight(0xC0000202, 50_000, 0xC0000201, 4739)
"""From 192.0.2.2 to 192.0.2.1 (RFC 5737): who sent the Messages first may be several, or nobody."""
_HEADER: Final = struct.Struct("!HHI")


class PcapMessages:
    """A file object that takes whole Messages, and makes a capture of them."""

    name: Final = "<capture>"

    def __init__(self, file: Writable) -> None:
        self._capture = PcapFile(file.write)

    def write(self, octets: bytes | memoryview, /) -> int:
        """Add Messages, those that follow each other with one Export Time a little later each."""
        at, begin, now = 0, [0], 0
        while at < len(octets):
            _, length, time = _HEADER.unpack_from(octets, at)
            if time != now and len(begin) > 1:
                self._put(octets, begin, now)
                begin = [at]
            at, now = at + length, time
            begin.append(at)
        self._put(octets, begin, now)
        return len(octets)

    def _put(self, octets: bytes | memoryview, begin: list[int], now: int) -> None:
        self._capture.write(Outgoing(np.frombuffer(octets, np.uint8), np.array(begin, np.int32)), _FLIGHT, now)
