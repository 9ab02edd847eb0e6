"""IPFIX over TCP in captures: the octets of each direction of a connection, in order (RFC 9293 §3.10)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.session.key import SessionKey
from headwater.transport.capture.peers import session_key
from headwater.transport.capture.recognition import is_message, is_stream_start

FIN, SYN, RST = 1, 2, 4
MOST_STREAMS = 4096
MOST_WAITING = 256 << 10
MOST_WAITING_IN_ALL = 16 << 20
GAP_NS = 60 * 10**9
_OVERHEAD = 256  # octets that a waiting segment takes besides its payload


class Segment(NamedTuple):
    """One TCP segment. offset: absolute, of its payload in the capture. received: ns since 1970, 0 = not known."""

    sequence: int
    flags: int
    payload: bytes
    offset: int
    received: int


@dataclass(frozen=True, slots=True)
class StreamPart:
    """Octets of one direction of a connection that follow those of the part before it.

    lost: octets that are missing before these, because the capture lacks them. is_end: the sender closed or reset the
    connection behind these; the next part of that key is of a new connection. offset, received: absolute offset in the
    capture and arrival (ns since 1970, 0 = not known) of the first octet. positions, offsets: of each segment, where it
    begins in `octets`, and its absolute offset.
    """

    key: SessionKey
    octets: bytes
    offset: int
    received: int
    is_end: bool = False
    lost: int = 0
    positions: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()


@dataclass(slots=True)
class _Stream:
    """One direction.

    first, next: sequence numbers of the first octet and of the one that is expected, which is counted on over 2**32.
    ready: octets in order that no part holds yet, with offset and arrival of each segment. fin: where it ends.
    """

    key: SessionKey
    first: int
    next: int
    is_decided: bool
    waiting: list[tuple[int, Segment]] = field(default_factory=list)
    waiting_octets: int = 0
    fin: int | None = None
    ready: list[tuple[bytes, int, int]] = field(default_factory=list)
    lost: int = 0
    seen: tuple[int, int] = (0, 0)


class Streams:
    """The directions of connections that carry IPFIX.

    lost: octets that captures lack, in all.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._streams: dict[bytes, _Stream] = {}
        self._ended: dict[bytes, tuple[int, int]] = {}  # where streams began and ended that their sender has closed
        self._parts: list[StreamPart] = []
        self._waiting = 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._streams

    def receive(self, key: bytes, segment: Segment, *, is_wanted: bool, is_likely: bool) -> bool:
        """Take a segment; whether it belongs to a stream of IPFIX.

        is_wanted: the caller knows it does. is_likely: it goes to a well-known port, so a connection that begins is
        looked into.
        """
        stream = self._streams.get(key)
        if segment.flags & SYN:
            if stream is not None and stream.first != segment.sequence + 1 & 0xFFFFFFFF:
                self._end(key, stream)
                stream = None
            if stream is None:
                if not (is_wanted or is_likely):
                    return False
                stream = self._open(key, segment.sequence + 1, is_decided=is_wanted)
            segment = segment._replace(sequence=segment.sequence + 1 & 0xFFFFFFFF)
        elif stream is None:
            if self._is_repeat(key, segment):
                return True
            if not segment.payload or not (is_wanted or is_message(segment.payload, segment.received)):
                return False
            stream = self._open(key, segment.sequence, is_decided=True)
        self._add(key, stream, segment)
        return key in self._streams or segment.flags & (FIN | RST) != 0

    def take(self) -> Iterator[StreamPart]:
        """The parts that have come up since the last time."""
        for stream in self._streams.values():
            self._flush(stream)
        parts, self._parts = self._parts, []
        yield from parts

    def close(self) -> Iterator[StreamPart]:
        """What still waits for octets that the capture does not have."""
        for key, stream in list(self._streams.items()):
            while stream.is_decided and stream.waiting:
                self._skip(stream)
            if stream.fin is not None and stream.next >= stream.fin:
                self._end(key, stream)
        yield from self.take()

    def _open(self, key: bytes, sequence: int, *, is_decided: bool) -> _Stream:
        if len(self._streams) >= MOST_STREAMS:
            oldest = next(iter(self._streams))
            self._end(oldest, self._streams[oldest], is_end=False)
        stream = self._streams[key] = _Stream(
            session_key(key), sequence & 0xFFFFFFFF, sequence & 0xFFFFFFFF, is_decided
        )
        return stream

    def _is_repeat(self, key: bytes, segment: Segment) -> bool:
        """Whether a segment is of a stream that has ended: sent again, or captured twice as mirror ports show it."""
        first, end = self._ended.get(key, (0, 0))
        return 0 < end - segment.sequence & 0xFFFFFFFF <= min(end - first, 1 << 31)

    def _note_end(self, key: bytes, stream: _Stream) -> None:
        self._ended.pop(key, None)
        if len(self._ended) >= MOST_STREAMS:
            del self._ended[next(iter(self._ended))]
        self._ended[key] = stream.first, stream.next

    def _add(self, key: bytes, stream: _Stream, segment: Segment) -> None:
        distance = (segment.sequence - stream.next + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        at = stream.next + distance
        stream.seen = segment.offset, segment.received
        if segment.flags & FIN and stream.fin is None:
            stream.fin = at + len(segment.payload)
        if segment.payload and distance > 0:
            insort(stream.waiting, (at, segment))
            stream.waiting_octets += len(segment.payload) + _OVERHEAD
            self._waiting += len(segment.payload) + _OVERHEAD
        elif segment.payload:
            self._advance(stream, at, segment)
        self._drain(stream)
        while stream.waiting and (
            stream.waiting_octets > MOST_WAITING
            or self._waiting > MOST_WAITING_IN_ALL
            or segment.received - stream.waiting[0][1].received > GAP_NS
        ):
            if not stream.is_decided:  # its beginning will not come any more
                break
            self._skip(stream)
        if not stream.is_decided and not self._decide(stream):
            self._forget(key, stream)
        elif segment.flags & RST or (stream.fin is not None and stream.next >= stream.fin):
            self._end(key, stream)
            self._note_end(key, stream)

    def _advance(self, stream: _Stream, at: int, segment: Segment) -> None:
        """Append what is new of a segment that does not begin behind what is expected."""
        known = stream.next - at
        new = segment.payload[known:] if known else segment.payload
        if new:
            stream.ready.append((new, segment.offset + known, segment.received))
            stream.next += len(new)

    def _drain(self, stream: _Stream) -> None:
        done = 0
        for at, segment in stream.waiting:
            if at > stream.next:
                break
            self._advance(stream, at, segment)
            stream.waiting_octets -= len(segment.payload) + _OVERHEAD
            self._waiting -= len(segment.payload) + _OVERHEAD
            done += 1
        del stream.waiting[:done]

    def _skip(self, stream: _Stream) -> None:
        """Go on behind the octets that are missing."""
        self._flush(stream)
        missing = stream.waiting[0][0] - stream.next
        stream.lost += missing
        self.lost += missing
        stream.next += missing
        self._drain(stream)

    def _decide(self, stream: _Stream) -> bool:
        """Whether a connection to a well-known port may still turn out to be IPFIX."""
        if stream.waiting_octets > MOST_WAITING or (stream.waiting and self._waiting > MOST_WAITING_IN_ALL):
            return False
        head = b"".join(octets for octets, _, _ in stream.ready[:4])[:4]
        stream.is_decided = len(head) == 4 and is_stream_start(head)
        return stream.is_decided or (len(head) < 4 and is_stream_start(head))

    def _flush(self, stream: _Stream, *, is_end: bool = False) -> None:
        """Make a part of what is in order."""
        if not stream.is_decided or not (stream.ready or is_end):
            return
        positions, position = [], 0
        for octets, _, _ in stream.ready:
            positions.append(position)
            position += len(octets)
        first = stream.ready[0] if stream.ready else (b"", *stream.seen)
        octets = b"".join(octets for octets, _, _ in stream.ready)
        offsets = tuple(offset for _, offset, _ in stream.ready)
        part = StreamPart(stream.key, octets, first[1], first[2], is_end, stream.lost, tuple(positions), offsets)
        self._parts.append(part)
        stream.ready, stream.lost = [], 0

    def _end(self, key: bytes, stream: _Stream, *, is_end: bool = True) -> None:
        while stream.is_decided and stream.waiting:
            self._skip(stream)
        self._flush(stream, is_end=is_end)
        self._forget(key, stream)

    def _forget(self, key: bytes, stream: _Stream) -> None:
        self._waiting -= stream.waiting_octets
        del self._streams[key]
