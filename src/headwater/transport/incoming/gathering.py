"""What a listener has received and not handed over yet."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final, Protocol

from headwater.errors import Fault, FaultKind
from headwater.session.key import SessionKey
from headwater.transport.incoming.block import Arena, Block, Outlet

_SPARE_KEYS: Final = 8192
_MOST_EVENTS: Final = 4096
"""Ends and faults of a block, which a flood of connections makes without sending anything."""


class Peer(Protocol):
    """A transport session. row: its index among the keys of blocks, -1 = it is not among them."""

    key: SessionKey
    row: int


class Gathering:
    """An arena that becomes a block by size or age, with keys, ends and faults of transport sessions.

    Peers get a row when the first of their octets are in a block, so those that never say anything leave no trace.
    """

    def __init__(self, outlet: Outlet, latency: float, *, has_streams: bool = False) -> None:
        self.arena = Arena()
        self._outlet, self._latency, self._has_streams = outlet, latency, has_streams
        self._keys: list[SessionKey] = []
        self._live: dict[SessionKey, Peer] = {}
        self._ended: dict[SessionKey, None] = {}
        self._faults: list[Fault] = []
        self._dropped: Counter[SessionKey] = Counter()
        self._due: float | None = None
        self._offset = 0

    @property
    def due(self) -> float | None:
        """When it is old enough to be handed over, by time.monotonic(); None = there is nothing."""
        return self._due

    def reserve(self, octets: int) -> memoryview:
        """Room for so many octets at the arena's end, at least; what is there may be handed over for it."""
        if self.arena.room < octets:
            self.hand_over()
        return self.arena.buffer.data[self.arena.used :]

    def add_placed(self, peer: Peer, octets: int, received: int, stream: int = 0) -> None:
        """Take the next octets of the arena, where they lie already, as a datagram; the peer's key was settled."""
        row, begin = self._row(peer), self.arena.used
        self.arena.used = begin + octets
        self.arena.add_placed(begin, row, received, stream)
        self._age()

    def add(self, peer: Peer, octets: bytes, received: int, stream: int = 0) -> None:
        """Take a datagram."""
        self._row(peer)  # before there is room, as it may hand over
        count = len(octets)
        self.reserve(count)[:count] = octets
        self.add_placed(peer, count, received, stream)

    def settle(self, key: SessionKey) -> None:
        """Before a session begins: its key may not end and begin in one block."""
        if key in self._ended:
            self.hand_over()

    def drop(self, key: SessionKey) -> None:
        """Count a datagram that there was no room for."""
        self._dropped[key] += 1
        self._age()

    def fault(self, peer: Peer, kind: FaultKind, offset: int, detail: str) -> None:
        """Tell that something was wrong; offset: in the stream of that peer."""
        self._row(peer)
        self._faults.append(Fault(kind, offset, detail=detail, key=peer.key))
        self._happened()

    def end(self, peer: Peer) -> None:
        """A transport session is over."""
        if peer.row >= 0:
            del self._live[peer.key]
            peer.row = -1
            self._ended[peer.key] = None
            self._happened()

    def hand_over(self) -> None:
        """Give away whatever there is."""
        if self._due is None:
            return
        used = self.arena.used
        datagrams = self.arena.take(self._keys, self._offset, has_streams=self._has_streams)
        self._outlet.put(Block(datagrams, list(self._ended), self._faults, self._dropped))
        self._offset += used
        self._due = None
        self._ended, self._faults, self._dropped = {}, [], Counter()
        if len(self._keys) > 2 * len(self._live) + _SPARE_KEYS:
            self._renumber()

    def _row(self, peer: Peer) -> int:
        if peer.row < 0:
            self.settle(peer.key)
            peer.row = len(self._keys)
            self._keys.append(peer.key)
            self._live[peer.key] = peer
        return peer.row

    def _renumber(self) -> None:
        self._keys = list(self._live)
        for row, peer in enumerate(self._live.values()):
            peer.row = row

    def _age(self) -> None:
        if self._due is None:
            self._due = time.monotonic() + self._latency

    def _happened(self) -> None:
        self._age()
        if len(self._ended) + len(self._faults) >= _MOST_EVENTS:
            self.hand_over()
