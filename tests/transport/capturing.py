"""Running a Capture in tests."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from headwater.errors import Fault, FaultKind
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey
from headwater.transport.capture import Capture, StreamPart
from headwater.transport.windows import WINDOW, MappedWindows
from tests import packets

KEY = SessionKey(packets.PEER[0], packets.PEER[1], packets.PEER[2], packets.PEER[3])


class Got(NamedTuple):
    """One datagram."""

    key: SessionKey | None
    payload: bytes
    offset: int
    received: int


class Result(NamedTuple):
    capture: Capture
    datagrams: list[Got]
    parts: list[StreamPart]
    faults: list[Fault]

    @property
    def payloads(self) -> list[bytes]:
        return [datagram.payload for datagram in self.datagrams]

    @property
    def kinds(self) -> list[FaultKind]:
        return [fault.kind for fault in self.faults]

    @property
    def streams(self) -> dict[SessionKey, bytes]:
        out: dict[SessionKey, bytes] = {}
        for part in self.parts:
            out[part.key] = out.get(part.key, b"") + part.octets
        return out

    def counters(self) -> dict[str, int]:
        """The counters that are not 0."""
        names = (
            *("packets", "datagrams", "ignored", "other", "fragments", "reassembled", "fragments_dropped"),
            *("tcp_segments", "truncated", "damaged", "stream_octets_lost"),
        )
        return {name: count for name in names if (count := getattr(self.capture, name))}


def run(data: bytes, *, window: int = WINDOW, ports: Collection[int] = (), most_peers: int = 1 << 16) -> Result:
    capture = Capture(MappedWindows(memoryview(data), window=window), ports=ports, most_peers=most_peers)
    result = Result(capture, [], [], [])
    for event in capture:
        match event:
            case Datagrams():
                result.datagrams.extend(unpacked(event))
            case StreamPart():
                result.parts.append(event)
            case Fault():
                result.faults.append(event)
    check_counters(result)
    return result


def unpacked(event: Datagrams) -> list[Got]:
    columns = (event.start, event.end, event.peer, event.offset, event.received)
    return [
        Got(event.keys[peer], event.buffer[start:end].tobytes(), offset, received)
        for start, end, peer, offset, received in zip(*(column.tolist() for column in columns), strict=True)
    ]


def check_counters(result: Result) -> None:
    """Every packet is counted once."""
    c = result.capture
    assert c.datagrams == len(result.datagrams)
    if not c.fragments:
        assert c.packets == sum((c.datagrams, c.ignored, c.other, c.tcp_segments, c.truncated, c.damaged)), (
            result.counters()
        )
