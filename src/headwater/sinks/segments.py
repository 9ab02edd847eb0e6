"""Segments: files of records that get their names when they are whole, one after the other, by time and by size."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from headwater.sinks.segment_file import SegmentFile
from headwater.sinks.segment_format import CannotHoldError
from headwater.sinks.segment_sink import SegmentSink

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Unpack

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.segment_format import SegmentFormat
    from headwater.sinks.segment_sink import SegmentOptions

_BETWEEN: Final = 1.0
"""Seconds between two segments that end because columns have changed, as long as memory allows."""


class Segments(SegmentSink):
    """A sink (BatchSink) of segments, one after the other. A segment ends also where columns come up that it has not.

    The options are those of SegmentSink.
    """

    def __init__(self, folder: Path | str, format: SegmentFormat, **options: Unpack[SegmentOptions]) -> None:
        super().__init__(folder, format.name, format.suffix, **options)
        self._format = format
        self._file: SegmentFile | None = None
        self._changed_at = -_BETWEEN
        self._is_held_up = False

    @property
    def records_waiting(self) -> int:
        """Records whose segment has not got its name yet."""
        return self._format.rows + (self._file.records if self._file else 0) + self._finisher.records

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
        self._settle(self._files())
        return count

    def tick(self, now: float) -> None:
        """End the segment if it is time. now: seconds since 1970. Raises OSError."""
        if self._format.is_full and not self._is_due(now):
            self._put(now)
        super().tick(now)

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

    def _files(self) -> Iterable[SegmentFile]:
        return () if self._file is None else (self._file,)

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

    def _settle(self, files: Iterable[SegmentFile], *, is_again: bool = False) -> None:
        is_again, self._is_held_up = is_again or self._is_held_up, False
        super()._settle(files, is_again=is_again)
