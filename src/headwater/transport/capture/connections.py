"""Which TCP segments of a window belong to connections that carry IPFIX; few do, so the others are sorted out first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault, FaultKind
from headwater.transport.capture.framing import Packets
from headwater.transport.capture.packets import Dissected, PacketKind
from headwater.transport.capture.peers import TCP, destination_ports, port_table
from headwater.transport.capture.recognition import WELL_KNOWN_PORTS
from headwater.transport.capture.streams import Segment, StreamPart, Streams

_IPFIX = 10


class Connections:
    """The TCP side of a capture. ports: bool[65536], those that are asked for; None: recognise by content."""

    def __init__(self, ports: npt.NDArray[np.bool_] | None) -> None:
        self._is_exact = ports is not None
        self._ports = port_table(WELL_KNOWN_PORTS) if ports is None else ports
        self._streams = Streams()

    @property
    def lost(self) -> int:
        """Octets that the capture lacks."""
        return self._streams.lost

    def read(
        self, buffer: npt.NDArray[np.uint8], base: int, found: Dissected, packets: Packets, known: int
    ) -> tuple[Iterator[StreamPart | Fault], int]:
        """Parts of streams, and how many segments were taken.

        base: absolute offset of the window. known: how many peers were numbered before it, all of UDP.
        """
        rows = np.flatnonzero(found.kind == PacketKind.TCP)
        number = found.peer[rows] - known
        by_port = self._ports[destination_ports(found.keys)]
        texts = {int(u): found.keys[u].tobytes() for u in np.flatnonzero(found.keys[:, 0] == TCP)}
        wanted = by_port.copy()
        wanted[[u for u, key in texts.items() if key in self._streams]] = True
        chosen = wanted[number]
        if not self._is_exact:
            begins = np.flatnonzero(found.head[rows] >> np.uint32(16) == _IPFIX)
            first = np.full(len(found.keys), len(rows))
            first[number[begins][::-1]] = begins[::-1]
            chosen |= np.arange(len(rows)) >= first[number]
        number, rows = number[chosen], rows[chosen]
        header = found.header[rows]
        sequence = buffer[header[:, None] + np.arange(4, 8)].view(">u4").ravel()
        flags = buffer[header + 13]
        columns = (rows, number, sequence, flags, found.start[rows], found.end[rows], packets.received[rows])
        taken = 0
        for _, u, seq, flag, start, end, received in zip(*(column.tolist() for column in columns), strict=True):
            segment = Segment(seq, flag, buffer[start:end].tobytes(), base + start, received)
            is_ours = bool(by_port[u])
            taken += self._streams.receive(texts[u], segment, is_wanted=self._is_exact and is_ours, is_likely=is_ours)
        return self._parts(), taken

    def close(self) -> Iterator[StreamPart | Fault]:
        """What is left at the end of the capture."""
        yield from _with_faults(self._streams.close())

    def _parts(self) -> Iterator[StreamPart | Fault]:
        yield from _with_faults(self._streams.take())


def _with_faults(parts: Iterator[StreamPart]) -> Iterator[StreamPart | Fault]:
    for part in parts:
        if part.lost:
            detail = f"{part.lost} octets of a TCP stream are missing before here"
            yield Fault(FaultKind.STREAM_GAP, part.offset, detail=detail, key=part.key)
        yield part
