"""Records to stdout as they come: NDJSON, CSV or an Arrow IPC stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from headwater.sinks.collecting import SinkCounters
from headwater.sinks.held_octets import HeldOctets
from headwater.sinks.segment_format import CannotHoldError

if TYPE_CHECKING:
    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.segment_format import SegmentFormat

_STDOUT: Final = 1
_WHY: Final = "stdout has the columns of the first records; --select tells which are wanted"


class StdoutSink:
    """A sink (BatchSink) that writes one stream of records to a descriptor.

    A reader that has seen enough closes its end: that comes as BrokenPipeError, from any method that raises OSError.
    Columns that come up after the first records are left out where a format names its columns once, and counted.
    """

    def __init__(self, format: SegmentFormat, descriptor: int = _STDOUT) -> None:
        self.name = f"{format.name}:-"
        self.counters = SinkCounters()
        self._format = format
        self._octets = HeldOctets(lambda pieces: os.writev(descriptor, pieces))
        self._has_begun = False
        self._waiting = 0

    @property
    def records_waiting(self) -> int:
        """Records that are not all out."""
        return self._waiting + self._format.rows

    def open(self) -> list[str]:
        """Nothing is to be made."""
        return []

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Write the records where the mask is True; how many there were. Raises OSError, and has taken them then."""
        count = self._format.take(batch, mask)
        self.counters.records += count
        if count:
            self._put()
        self._put_down()
        return count

    def tick(self, now: float) -> None:
        """Time brings nothing, but what waits is tried again. Raises OSError."""
        self._put_down()

    def retry(self) -> None:
        """After an OSError: write what waits. Raises OSError."""
        self._put_down()

    flush = retry

    def close(self) -> None:
        """Write what stands at the end; the descriptor stays open. Raises OSError."""
        if self._has_begun:
            self._has_begun = False
            self._format.end()
        self._put_down()

    def abandon(self) -> None:
        """Write nothing more."""
        self.counters.records_lost += self.records_waiting
        self._waiting = 0
        self._has_begun = False
        self._format.drop()
        self._octets.drop()

    def _put(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._format.begin(self._octets)
            self._format.fix(_WHY)
        try:
            self._waiting += self._format.put()
        except Exception as bad:  # whatever is wrong with these records, others must get through
            self.counters.errors += 1
            self.counters.last_error = str(bad) if isinstance(bad, CannotHoldError) else f"{type(bad).__name__}: {bad}"
            self.counters.records_lost += self._format.rows
            self._format.forget()
        self.counters.others.update(self._format.others)

    def _put_down(self) -> None:
        try:
            self._octets.put_down()
        except OSError as bad:
            self.counters.errors += 1
            self.counters.last_error = str(bad)
            raise
        finally:
            self.counters.octets = self._octets.given - self._octets.held
        self.counters.records_written += self._waiting
        self._waiting = 0
