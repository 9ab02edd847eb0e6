"""Records in the order and at the pace in which they were sent once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.process.writing_parts import by_domain

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.process.reading import Reading
    from headwater.session.events import DataSets

By = Literal["export", "arrival"]

_NANOSECONDS = 1_000_000_000


class Timed(NamedTuple):
    """Records of one domain that went at one time, in seconds since 1970."""

    batch: Batch
    domain: int
    at: float


def timed_parts(reading: Reading, by: By) -> Iterator[Timed]:
    """What a reading gives, in parts of one time and domain each, in order within what is read at a time.

    by: Export Times, in seconds as IPFIX has them (with parts of seconds where NetFlow has them); or the times at which
    packets of a capture arrived, Export Times where none is known.
    """
    for window in reading.windows():
        parts = [part for sets, batch in window for part in _parts(batch, sets, by)]
        parts.sort(key=lambda part: part.at)
        yield from parts


@dataclass(slots=True)
class Tempo:
    """Waits until it is the time for the next records. speed: 2 = twice as fast as they were sent once."""

    speed: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _began: tuple[float, float] | None = None

    def wait(self, at: float) -> None:
        """Wait for the time of records that were sent at `at`; the first go at once, and so do those of the past."""
        now = self.clock()
        if self._began is None:
            self._began = at, now
        delay_s = (at - self._began[0]) / self.speed - (now - self._began[1])
        if delay_s > 0:
            self.sleep(delay_s)


def _parts(batch: Batch, sets: DataSets, by: By) -> Iterator[Timed]:
    times = _times(sets, by)[sets.message]
    if not len(times):
        return
    if (times == times[0]).all():
        masks: list[tuple[float, npt.NDArray[np.bool_] | None]] = [(times[0], None)]
    else:
        of_row = np.repeat(times, sets.count)
        masks = [(at, of_row == at) for at in np.unique(of_row)]
    for at, mask in masks:
        for part in by_domain(batch, sets, mask):
            yield Timed(part.data, part.domain, float(at))


def _times(sets: DataSets, by: By) -> npt.NDArray[np.float64]:
    """float64[n]: of each Message, in seconds."""
    messages = sets.messages
    times = messages.export_time.astype(np.float64)
    if messages.nanoseconds is not None:
        times += messages.nanoseconds / _NANOSECONDS
    if by == "arrival" and messages.received is not None:
        times = np.where(messages.received, messages.received / _NANOSECONDS, times)
    return times
