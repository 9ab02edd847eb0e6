"""Datagrams of a UDP socket into an arena: compiled, or in Python where the extension was not built."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from headwater.transport.incoming.block import Arena

TALLY: Final = ("datagrams", "octets", "empty", "refused", "not_export", "truncated")
"""What a receiver counts, by position."""
_DATAGRAMS, _OCTETS, _EMPTY, _REFUSED, _NOT_EXPORT, _TRUNCATED = range(len(TALLY))

READY, WOKEN, PEERS_FULL = 0, 1, 2
"""Why a receiver returns: the arena is full or old enough, or nothing came; it was woken; no number is left."""

LARGEST: Final = 65_535
"""Octets of a datagram at most; an arena needs as much."""
VERSIONS: Final = frozenset({1, 5, 7, 8, 9, 10})
"""First 16 bits of what is NetFlow or IPFIX."""
TIMESTAMPS: Final = 35  # SO_TIMESTAMPNS, which Python's socket module has not
_TIME: Final = struct.Struct("@ll")
_HARMLESS: Final = (BlockingIOError, ConnectionError)  # errors of datagrams that were sent
_PLACE = tuple[str, int, int]


class Receiver(Protocol):
    """Takes datagrams from a socket, many at once, and numbers their senders.

    Of peers that have no number, datagrams that cannot be NetFlow or IPFIX are counted and left out: garbage costs
    no number.
    """

    @property
    def num_peers(self) -> int:
        """Numbers given, from 0 on."""

    def receive(
        self, arena: Arena, refused: npt.NDArray[np.uint8], tally: npt.NDArray[np.int64], wait: float, latency: float
    ) -> int:
        """Fill the arena until it is full, or `latency` seconds after the first datagram of this call -> why.

        refused: uint8[most], not 0 for peers whose datagrams are left out; its length bounds the numbers.
        tally: int64[len(TALLY)], counted up. wait: seconds for the first datagram, negative = for ever.
        Raises OSError, as the socket does; what is in the arena by then stays.
        """

    def peer(self, number: int) -> tuple[bytes, int, int]:
        """Address of a peer in 16 octets (IPv4 as ::ffff:0:0/96), its port and its scope id."""

    def forget(self) -> None:
        """Give all numbers free."""

    def close(self) -> None:
        """Give what it holds free, but for the descriptors."""


class PythonReceiver:
    """One system call for each datagram."""

    def __init__(self, fd: int, wake: int) -> None:
        self._socket = socket.socket(fileno=os.dup(fd))
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ, False)
        if wake >= 0:
            self._selector.register(wake, selectors.EVENT_READ, True)
        self._octets = bytearray(LARGEST)
        self._numbers: dict[_PLACE, int] = {}
        self._places: list[_PLACE] = []
        self._pending: tuple[int, _PLACE, int] | None = None

    def close(self) -> None:
        self._selector.close()
        self._socket.close()

    @property
    def num_peers(self) -> int:
        return len(self._places)

    def receive(
        self, arena: Arena, refused: npt.NDArray[np.uint8], tally: npt.NDArray[np.int64], wait: float, latency: float
    ) -> int:
        began = None if wait < 0 else time.monotonic()
        due: float | None = None
        while True:
            if self._pending is not None or self._receive(tally):
                if due is None:
                    due = time.monotonic() + latency
                answer = self._place(arena, refused, tally)
                if answer is not None:
                    return answer
                if time.monotonic() >= due:
                    return READY
                continue
            end = due if due is not None else None if began is None else began + wait
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return READY
            if any(key.data for key, _ in self._selector.select(left)):
                return WOKEN

    def peer(self, number: int) -> tuple[bytes, int, int]:
        host, port, scope = self._places[number]
        host = host.partition("%")[0]
        is_ipv6 = ":" in host
        octets = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, host)
        return octets if is_ipv6 else bytes(10) + b"\xff\xff" + octets, port, scope

    def forget(self) -> None:
        self._numbers.clear()
        self._places.clear()

    def _receive(self, tally: npt.NDArray[np.int64]) -> bool:
        """Whether a datagram came; it is pending then."""
        try:
            length, ancillary, flags, address = self._socket.recvmsg_into([self._octets], 64)
        except _HARMLESS:
            return False
        if flags & socket.MSG_TRUNC:
            tally[_TRUNCATED] += 1
            self._leave(tally, length)
            return False
        times = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, TIMESTAMPS)]
        seconds, nanoseconds = _TIME.unpack(times[0]) if times else divmod(time.time_ns(), 1_000_000_000)
        place = (address[0], address[1], address[3] if len(address) > 2 else 0)
        self._pending = (length, place, seconds * 1_000_000_000 + nanoseconds)
        return True

    def _place(self, arena: Arena, refused: npt.NDArray[np.uint8], tally: npt.NDArray[np.int64]) -> int | None:
        """Put the pending datagram where it belongs; why not, if it has to wait."""
        assert self._pending is not None
        length, place, received = self._pending
        number = self._numbers.get(place)
        if not length:
            tally[_EMPTY] += 1
        elif number is None and (length < 2 or int.from_bytes(self._octets[:2]) not in VERSIONS):
            tally[_NOT_EXPORT] += 1
        elif number is not None and refused[number]:
            tally[_REFUSED] += 1
        elif arena.room < length:
            return READY
        elif number is None and len(self._places) == len(refused):
            return PEERS_FULL
        else:
            if number is None:
                number = self._numbers[place] = len(self._places)
                self._places.append(place)
            arena.add(memoryview(self._octets)[:length], number, received)
        self._leave(tally, length)
        return None

    def _leave(self, tally: npt.NDArray[np.int64], length: int) -> None:
        """Go on to the next datagram."""
        tally[_DATAGRAMS] += 1
        tally[_OCTETS] += length
        self._pending = None


def receiver(fd: int, wake: int) -> Receiver:
    """The best receiver there is for a socket that does not block.

    wake: a descriptor that ends waiting as long as it can be read; -1 = none.
    """
    if is_compiled:
        from headwater.transport.incoming._datagrams import CompiledReceiver

        return CompiledReceiver(fd, wake)
    return PythonReceiver(fd, wake)


is_compiled: Final = (
    os.environ.get("HEADWATER_KERNEL") != "numpy" and find_spec(f"{__package__}._datagrams") is not None
)
