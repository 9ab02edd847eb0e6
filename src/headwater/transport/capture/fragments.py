"""Datagrams that came in IP fragments (RFC 791 §3.2, RFC 8200 §4.5), put together again; the rare path."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from headwater.transport.capture.peers import UDP

MOST_DATAGRAMS = 1024
MOST_OCTETS = 8 << 20
TIMEOUT_NS = 30 * 10**9
_OVERHEAD = 128  # octets that a fragment takes besides its payload
_LONGEST = 65535


@dataclass(slots=True)
class Fragment:
    """One fragment. addresses: source and destination, 16 octets each. position: in its datagram, in octets.

    more: whether more follow. at: absolute offset of the payload in the capture. received: ns since 1970.
    """

    version: int
    addresses: bytes
    protocol: int
    identification: bytes
    position: int
    more: bool
    payload: bytes
    at: int
    received: int


@dataclass(slots=True)
class _Partial:
    """A datagram of which fragments came.

    parts: by position. positions: the same, ascending, so that neighbours are found without a look at all of them.
    size: of the whole, once known. octets: of the parts. room: what they take in memory.
    """

    first: Fragment
    parts: dict[int, bytes] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    size: int | None = None
    octets: int = 0
    room: int = 0

    def end(self, index: int) -> int:
        """Where the part at an index of `positions` ends; 0 before the first."""
        return self.positions[index] + len(self.parts[self.positions[index]]) if index >= 0 else 0

    @property
    def head(self) -> bytes:
        return self.parts.get(0, b"")


@dataclass(frozen=True, slots=True)
class Loss:
    """A datagram that was given up. head: its first octets where they came, from the UDP header on."""

    version: int
    addresses: bytes
    head: bytes
    at: int
    fragments: int


def read_fragment(packet: bytes, header: int, received: int, at: int) -> Fragment:
    """The fragment of an IP packet. packet: from its IP header on; header: octets before the payload."""
    if packet[0] >> 4 == 4:
        flags = int.from_bytes(packet[6:8])
        addresses = packet[12:16].ljust(16, b"\0") + packet[16:20].ljust(16, b"\0")
        place, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
        return Fragment(4, addresses, packet[9], packet[4:6], place, more, packet[header:], at, received)
    extension = packet[header - 8 : header]
    flags = int.from_bytes(extension[2:4])
    place, more = flags & 0xFFF8, bool(flags & 1)
    return Fragment(6, packet[8:40], extension[0], extension[4:8], place, more, packet[header:], at, received)


class Fragments:
    """Datagrams of UDP that are not whole yet, bounded in number, octets and time.

    reassembled: datagrams put together. dropped: fragments of those that were given up: too old, too many, or
    overlapping, which no sender does (RFC 5722 §4). losses: these datagrams, for the owner to take away.
    """

    def __init__(self) -> None:
        self.reassembled = self.dropped = 0
        self.losses: list[Loss] = []
        self._partial: dict[bytes, _Partial] = {}
        self._octets = 0

    def add(self, fragment: Fragment) -> bytes | None:
        """The UDP datagram, from its header on, that the fragment completes."""
        if fragment.protocol != UDP:
            return None
        self._expire(fragment.received)
        key = bytes((fragment.version,)) + fragment.addresses + fragment.identification
        partial = self._partial.setdefault(key, _Partial(fragment))
        if not self._fits(partial, fragment):
            partial.parts.setdefault(fragment.position, fragment.payload)
            self._give_up(key)
            return None
        if partial.size is None or partial.octets < partial.size:
            self._bound()
            return None
        del self._partial[key]
        self._octets -= partial.room
        self.reassembled += 1
        return b"".join(partial.parts[position] for position in partial.positions)

    def close(self) -> None:
        """Give up what is not whole."""
        for key in list(self._partial):
            self._give_up(key)

    def _fits(self, partial: _Partial, fragment: Fragment) -> bool:
        """Add the fragment, unless it contradicts the others."""
        position, length = fragment.position, len(fragment.payload)
        if partial.parts.get(position) == fragment.payload and length:
            return True  # the same packet, captured twice
        end = position + length
        if not length or end > _LONGEST or (fragment.more and length % 8):
            return False
        place = bisect_right(partial.positions, position)
        if partial.end(place - 1) > position or (place < len(partial.positions) and partial.positions[place] < end):
            return False
        if not fragment.more:
            if partial.size is not None:
                return False
            partial.size = end
        if partial.size is not None and max(end, partial.end(len(partial.positions) - 1)) > partial.size:
            return False
        partial.parts[position] = fragment.payload
        partial.positions.insert(place, position)
        partial.octets += length
        partial.room += length + _OVERHEAD
        self._octets += length + _OVERHEAD
        return True

    def _expire(self, now: int) -> None:
        while self._partial:
            key, oldest = next(iter(self._partial.items()))
            if now - oldest.first.received <= TIMEOUT_NS:
                break
            self._give_up(key)

    def _bound(self) -> None:
        while len(self._partial) > MOST_DATAGRAMS or self._octets > MOST_OCTETS:
            self._give_up(next(iter(self._partial)))

    def _give_up(self, key: bytes) -> None:
        partial = self._partial.pop(key)
        self._octets -= partial.room
        self.dropped += len(partial.parts)
        first = partial.first
        self.losses.append(Loss(first.version, first.addresses, partial.head[:12], first.at, len(partial.parts)))
