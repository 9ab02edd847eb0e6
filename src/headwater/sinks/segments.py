"""Segments: files of records that get their names when they are whole, one after the other, by time and by size."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headwater.sinks.collecting import SinkCounters, SinkError
from headwater.sinks.finisher import Finisher
from headwater.sinks.segment_file import SegmentFile, set_aside
from headwater.sinks.segment_format import CannotHoldError
from headwater.sinks.segment_names import SegmentNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.segment_format import SegmentFormat

ROTATE: Final = 300.0
ROTATE_SIZE: Final = 256 << 20
SHORTEST: Final = 1.0
"""Seconds between two rotations by time."""
_BETWEEN: Final = 1.0
"""Seconds between two segments that end because columns have changed, as long as memory allows."""


class Segments:
    """A sink (BatchSink) of segments in a folder.

    rotate: a segment ends where a multiple of so many seconds since 1970 does; 0 = not for that reason. rotate_size:
    a segment ends when it has so many octets; 0 likewise. partition, worker: SegmentNames tells. now: seconds since
    1970. A segment ends also where columns come up that it does not have. Nothing is made before `open`.
    Raises SinkError for values that make no sense.
    """

    def __init__(
        self,
        folder: Path | str,
        format: SegmentFormat,
        *,
        rotate: float = ROTATE,
        rotate_size: int = ROTATE_SIZE,
        partition: str = "",
        worker: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        if rotate and not rotate >= SHORTEST:
            raise SinkError(
                f"rotate={rotate:g} is too short: a segment is to last {SHORTEST:g} s or longer, 0 = no bound"
            )
        self.name = f"{format.name}:{folder}"
        self.counters = SinkCounters()
        self._folder, self._format, self._now = Path(folder), format, now
        self._rotate, self._rotate_size = rotate, rotate_size
        self._names = SegmentNames(self._folder, format.suffix, worker=worker, partition=partition)
        self._finisher = Finisher(self._done, self._gone)
        self._file: SegmentFile | None = None
        self._began: float | None = None
        self._changed_at = -_BETWEEN
        self._is_held_up = False

    @property
    def records_waiting(self) -> int:
        """Records whose segment has not got its name yet."""
        return self._format.rows + (self._file.records if self._file else 0) + self._finisher.records

    def open(self) -> list[str]:
        """Make the folder, set torn files aside; what there is to tell of it. Raises SinkError."""
        make_folder(self._folder)
        torn = set_aside(self._folder, self._format.suffix)
        self.counters.torn += len(torn)
        return [str(found) for found in torn]

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Take the records where the mask is True; how many there were. Raises OSError, and has taken them then too."""
        now = self._now()
        if self._is_due(now):
            self._end(now)
        count = self._format.take(batch, mask)
        self.counters.records += count
        if count and self._began is None:
            self._began = now
        if self._format.is_full:
            self._put(now)
        self._settle()
        return count

    def tick(self, now: float) -> None:
        """End the segment if it is time. now: seconds since 1970. Raises OSError."""
        if self._is_due(now):
            self._end(now)
        elif self._format.is_full:
            self._put(now)
        self._settle()

    def retry(self) -> None:
        """After an OSError: put down what waits. Raises OSError."""
        self._settle(is_again=True)

    def flush(self) -> None:
        """End the segment, and see all of them on the disk under their names. Raises OSError."""
        self._end(self._now())
        self._settle(is_again=True)

    close = flush

    def abandon(self) -> None:
        """Give up what has no name yet."""
        lost = self._format.rows + sum(file.records for file in self._finisher.give_up())
        self._format.drop()
        if self._file is not None:
            lost += self._file.records
            if not self._finisher.is_hanging:
                self._file.give_up()
            self._file = None
        self.counters.records_lost += lost
        self._began = None

    def _is_due(self, now: float) -> bool:
        """A clock that is set back by less than `rotate` ends nothing: it will come here again."""
        if self._began is None or not self._rotate:
            return False
        return now // self._rotate > self._began // self._rotate or now < self._began - self._rotate

    def _put(self, now: float, *, is_last: bool = False) -> None:
        """Put what waits into a file, unless it must wait for a new one."""
        if not self._format.rows and not self._format.is_full:
            return
        if self._file is not None and not self._format.fits:
            at = time.monotonic()
            if at - self._changed_at < _BETWEEN and not is_last and not self._format.is_over:
                return
            self._changed_at = at
            self._end_file()
            self._began = now
        if self._file is None:
            self._began = now if self._began is None else self._began
            self._file = SegmentFile(self._names.paths(self._began))
            self._format.begin(self._file)
        try:
            self._file.records += self._format.put()
        except Exception as bad:  # whatever is wrong with these records, others must get through
            self._lose(bad)
            return
        finally:
            self.counters.others.update(self._format.others)
        if self._rotate_size and self._file.position >= self._rotate_size:
            self._end_file()

    def _end(self, now: float) -> None:
        self._put(now, is_last=True)
        if self._file is not None:
            self._end_file()

    def _end_file(self) -> None:
        """Nothing more comes into the file."""
        assert self._file is not None
        try:
            self._format.end()
        except Exception as bad:
            self._lose(bad)
            return
        file, self._file, self._began = self._file, None, None
        try:
            file.put_down()
        except OSError:  # the finisher tries again, and what it says to it is waited for
            self._is_held_up = True
        self._finisher.add(file)

    def _lose(self, bad: Exception) -> None:
        """Give up the segment, for its writer may be in the middle of something."""
        self.counters.errors += 1
        self.counters.last_error = str(bad) if isinstance(bad, CannotHoldError) else f"{type(bad).__name__}: {bad}"
        lost = self._format.rows
        self._format.drop()
        if self._file is not None:
            lost += self._file.records
            self._file.give_up()
        self.counters.records_lost += lost
        self._file = self._began = None

    def _settle(self, *, is_again: bool = False) -> None:
        """Raise what the system had against it."""
        try:
            if is_again or self._is_held_up:
                self._is_held_up = False
                self._finisher.finish()
            if self._file is not None:
                self._file.put_down()
            self._finisher.check()
        except OSError as bad:
            self.counters.errors += 1
            self.counters.last_error = str(bad)
            raise

    def _done(self, file: SegmentFile) -> None:
        self.counters.records_written += file.records
        self.counters.octets += file.position
        self.counters.segments += 1

    def _gone(self, file: SegmentFile, bad: OSError) -> None:
        self.counters.records_lost += file.records
        self.counters.last_error = str(bad)


def make_folder(folder: Path) -> None:
    """Make the folder of a sink. Raises SinkError, in one sentence, if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise SinkError(f"{folder} is a file; segments go to a folder") from None
    except OSError as bad:
        raise SinkError(f"the folder {folder} cannot be made: {(bad.strerror or str(bad)).lower()}") from bad
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"nothing can be written to the folder {folder}: it lets nobody like us")
