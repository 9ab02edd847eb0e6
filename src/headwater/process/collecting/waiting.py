"""What waits to be decoded: blocks of all listeners in the order of their arrival, within a bound of octets."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from headwater.process.collecting.joining import next_joined

if TYPE_CHECKING:
    from headwater.transport.incoming.block import Block


class Work(NamedTuple):
    """Something to do. octets: memory that it stands for."""

    octets: int
    do: Callable[[], None]


class WorkQueue:
    """A queue with one reader. limit: octets that may wait; who puts more waits for room, or drops it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._urgent: deque[Work] = deque()
        self._octets = 0

    @property
    def octets(self) -> int:
        """Octets that wait, or are being worked on."""
        return self._octets

    @property
    def has_room(self) -> bool:
        """Whether it is below its bound."""
        return self._octets < self.limit

    def put(self, octets: int, do: Callable[[], None]) -> None:
        """Add work behind what waits, which stands for so many octets until it is done."""
        with self._changed:
            self._waiting.append(Work(octets, do))
            self._octets += octets
            self._changed.notify_all()

    def put_urgent(self, do: Callable[[], None]) -> None:
        """Add work that is done before all that waits, also while a sink is blocked; it must be quick."""
        with self._changed:
            self._urgent.append(Work(0, do))
            self._changed.notify_all()

    def next(self, timeout: float, *, urgent_only: bool = False) -> Work | None:
        """What to do next, None if there is nothing for `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                if self._urgent:
                    return self._urgent.popleft()
                if self._waiting and not urgent_only:
                    return self._waiting.popleft()
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def done(self, work: Work) -> None:
        """Work is done, or given up: its octets are free."""
        with self._changed:
            self._octets -= work.octets
            self._changed.notify_all()

    def wait_for_room(self, timeout: float) -> bool:
        """Whether there is room, after `timeout` seconds at the latest."""
        with self._changed:
            return self._changed.wait_for(lambda: self.has_room, timeout)


class LaneOutlet:
    """The outlet of one listener: its blocks go to the queue of all.

    take: what to do with a block, in the thread that decodes. is_allowed: whether an address may export.
    joins: whether blocks that wait are to be taken together.
    """

    def __init__(
        self,
        queue: WorkQueue,
        take: Callable[[Block], None],
        is_allowed: Callable[[str], bool],
        joins: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue, self._take, self._is_allowed, self._joins = queue, take, is_allowed, joins
        self._waiting: deque[Block] = deque()

    @property
    def has_room(self) -> bool:
        return self._queue.has_room

    def put(self, block: Block) -> None:
        self._waiting.append(block)
        self._queue.put(block.octets, self._take_next)

    def wait_for_room(self, timeout: float) -> bool:
        return self._queue.wait_for_room(timeout)

    def is_allowed(self, address: str) -> bool:
        return self._is_allowed(address)

    def _take_next(self) -> None:
        if self._waiting:  # else an earlier one has taken it, and its octets are free now
            self._take(next_joined(self._waiting) if self._joins() else self._waiting.popleft())
