"""Batches handed to whoever iterates over a collector, in another thread or in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from headwater.sinks.collecting import SinkCounters

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.sinks.cells import Mask

_MOST: Final = 64
"""Batches that wait for who iterates; then the collector waits, and what it receives waits in its queue."""
_LOOK_S: Final = 0.2


class Handing:
    """A sink whose batches are iterated over. It blocks while the reader is slow, and lets go when it has left."""

    name = "iteration"

    def __init__(self) -> None:
        self.counters = SinkCounters()
        self._changed = threading.Condition()
        self._batches: deque[Batch] = deque()
        self._is_ended = self._has_left = False
        self._awaited: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def open(self) -> list[str]:
        """There is nothing to open."""
        return []

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        with self._changed:
            self._changed.wait_for(lambda: len(self._batches) < _MOST or self._has_left)
            self.counters.records += batch.num_rows
            if self._has_left:
                self.counters.records_lost += batch.num_rows
            else:
                self._batches.append(batch)
            self._tell()
        return batch.num_rows

    def leave(self) -> None:
        """Nobody iterates any more; from any thread. What waits is lost, and counted."""
        with self._changed:
            self._has_left = True
            self.counters.records_lost += sum(batch.num_rows for batch in self._batches)
            self._batches.clear()
            self._tell()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._is_ended = True
            self._tell()

    abandon = close

    def tick(self, now: float) -> None:
        """Time brings nothing."""

    def retry(self) -> None:
        """Nothing is kept back."""

    def flush(self) -> None:
        """The reader has it or will have it."""

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._awaited is not None:
            loop, event = self._awaited
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(event.set)

    def _take(self) -> Batch | None:
        """With the lock."""
        if not self._batches:
            return None
        batch = self._batches.popleft()
        self.counters.records_written += batch.num_rows
        self._changed.notify_all()
        return batch

    def __iter__(self) -> Iterator[Batch]:
        while True:
            with self._changed:
                # with a timeout, so that a signal is seen
                while not self._changed.wait_for(lambda: self._batches or self._is_ended, _LOOK_S):
                    pass
                batch = self._take()
            if batch is None:
                return
            yield batch

    async def __aiter__(self) -> AsyncIterator[Batch]:
        event = asyncio.Event()
        with self._changed:
            self._awaited = asyncio.get_running_loop(), event
        while True:
            event.clear()
            with self._changed:
                batch, is_ended = self._take(), self._is_ended
            if batch is not None:
                yield batch
            elif is_ended:
                return
            else:
                await event.wait()
