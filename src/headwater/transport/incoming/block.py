"""What a listener received and hands over at once: datagrams or whole Messages, of any number of transport sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from headwater.kernel import fresh
from headwater.session.datagrams import Datagrams

if TYPE_CHECKING:
    from headwater.errors import Fault
    from headwater.session.key import SessionKey, Transport
    from headwater.transport.incoming.url import ListenUrl

ARENA: Final = 4 << 20
"""Octets of an arena: decoded at once, so that the fixed cost of a decoding pass is some nanoseconds a record."""
MOST_DATAGRAMS: Final = 1 << 14
"""Of a block; their tables are memory too."""
_ROW: Final = 64
"""Octets of the tables of a datagram, roughly."""
_NOTE: Final = 256
"""Octets of a key or a fault."""


@dataclass(slots=True)
class Block:
    """Datagrams in the order of their arrival, and what happened to transport sessions.

    datagrams: of TCP and TLS each is a run of whole Messages of one connection. `keys` of one listener is the same
    growing list from block to block, or a new one that has all keys that are still in use.
    ended: sessions that ended behind these datagrams. A key comes back only in a later block.
    faults: what was wrong with octets that are in no datagram, such as a loss of framing.
    dropped: datagrams that were received before this block and given up because the queue was full, by session.
    """

    datagrams: Datagrams
    ended: Sequence[SessionKey] = ()
    faults: Sequence[Fault] = ()
    dropped: Mapping[SessionKey, int] = field(default_factory=dict)

    @property
    def octets(self) -> int:
        """What it counts for in the bound of the queue: its memory."""
        others = len(self.ended) + len(self.faults) + len(self.dropped)
        return self.datagrams.buffer.nbytes + _ROW * len(self.datagrams) + _NOTE * others


class Outlet(Protocol):
    """Where a listener hands blocks over; from any thread."""

    @property
    def has_room(self) -> bool:
        """Whether the queue is below its bound."""

    def put(self, block: Block) -> None:
        """Take a block, at once and in any case: who asks `has_room` before exceeds the bound by one block at most."""

    def wait_for_room(self, timeout: float) -> bool:
        """Whether there is room, after `timeout` seconds at the latest."""

    def is_allowed(self, address: str) -> bool:
        """Whether an exporter of that address may speak at all; asked once for each session."""


class Listener(Protocol):
    """Receives on one address. Its constructor is inert; `run` is called in a thread of its own.

    url: where. counters: by name; written by its own thread only. warnings: what people should know of.
    latency: seconds that octets wait for others at most before they are handed over; to be set before `run`.
    """

    url: ListenUrl
    counters: Counter[str]
    warnings: list[str]
    latency: float

    @property
    def transport(self) -> Transport: ...
    @property
    def address(self) -> tuple[str, int]:
        """What it is bound to, once it is open: port 0 has become a port."""

    @property
    def num_sessions(self) -> int:
        """Transport sessions it knows."""

    def open(self) -> None:
        """Bind. Raises TransportError."""

    def run(self, outlet: Outlet) -> None:
        """Receive until `stop`; then take what the kernel holds already, hand it over and return.

        Raises nothing for the sake of what peers send.
        """

    def settle(self, done: Callable[[], object]) -> None:
        """Have `done` called when all that has arrived by now is handed over; from any thread, and in any.

        While the queue is full that is not so. `done` must not raise, nor take long.
        """

    def stop(self) -> None:
        """Let `run` come to its end; from any thread, and from a signal handler."""

    def reload(self) -> None:
        """Read certificates again, for sessions to come. Raises TransportError, and then the old ones stay in use."""

    def close(self) -> None:
        """Give the address free."""

    def sessions(self) -> list[dict[str, Any]]:
        """What is known of each connection, for people; nothing for UDP."""


class Arena:
    """A block that is being filled. A listener has one, and reuses its memory where it can.

    buffer: uint8[ARENA]; used: octets in use. The tables have room for MOST_DATAGRAMS rows; count: rows in use.
    """

    def __init__(self, octets: int = ARENA, most: int = MOST_DATAGRAMS) -> None:
        self.most = most
        self.start = np.empty(most, np.int32)
        self.end = np.empty(most, np.int32)
        self.peer = np.empty(most, np.int32)
        self.received = np.empty(most, np.int64)
        self.stream = np.zeros(most, np.int32)
        self.count = self.used = 0
        self._octets = octets
        self.buffer: npt.NDArray[np.uint8] = fresh(octets)

    @property
    def room(self) -> int:
        """Octets that are free, 0 if no row is."""
        return len(self.buffer) - self.used if self.count < self.most else 0

    def add(self, octets: bytes | memoryview, peer: int, received: int, stream: int = 0) -> None:
        """Append a datagram; there must be room."""
        begin = self.used
        self.used = begin + len(octets)
        self.buffer[begin : self.used] = np.frombuffer(octets, np.uint8)
        self.add_placed(begin, peer, received, stream)

    def add_placed(self, begin: int, peer: int, received: int, stream: int = 0) -> None:
        """Append the datagram that lies from `begin` to `used` already."""
        row = self.count
        self.start[row], self.end[row], self.peer[row] = begin, self.used, peer
        self.received[row], self.stream[row] = received, stream
        self.count = row + 1

    def keep(self, mask: npt.NDArray[np.bool_]) -> int:
        """Leave only the rows where the mask is True; how many are gone. mask: bool[count]."""
        before, kept = self.count, int(mask.sum())
        for column in (self.start, self.end, self.peer, self.received, self.stream):
            column[:kept] = column[:before][mask]
        self.count = kept
        if not kept:
            self.used = 0
        return before - kept

    def take(self, keys: Sequence[SessionKey | None], offset: int, *, has_streams: bool = False) -> Datagrams:
        """The datagrams so far, in memory that stays as it is; the arena is empty then.

        offset: absolute offset of the first octet of the buffer in what the listener received.
        """
        count, used = self.count, self.used
        start = self.start[:count].copy()
        if used * 2 < len(self.buffer):  # a block that waits shall not keep an arena
            buffer = self.buffer[:used].copy()
        else:
            buffer, self.buffer = self.buffer[:used], fresh(self._octets)
        datagrams = Datagrams(
            buffer,
            start,
            self.end[:count].copy(),
            self.peer[:count].copy(),
            keys,
            start + np.int64(offset),
            self.received[:count].copy(),
            self.stream[:count].copy() if has_streams else None,
        )
        self.clear()
        return datagrams

    def clear(self) -> None:
        """Forget what is in it."""
        self.count = self.used = 0
