"""What sinks of segments share: files that end by time and by size, and get their names when they are whole."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypedDict

from headwater.sinks.collecting import SinkCounters, SinkError
from headwater.sinks.finisher import Finisher
from headwater.sinks.segment_file import set_aside
from headwater.sinks.segment_names import SegmentNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from headwater.sinks.segment_file import SegmentFile

_ROTATE: Final = 300.0
_ROTATE_SIZE: Final = 256 << 20
_SHORTEST: Final = 1.0
"""Seconds between two rotations by time."""


class SegmentOptions(TypedDict, total=False):
    """How the segments of a sink follow each other; SegmentSink tells."""

    rotate: float
    rotate_size: int
    partition: str
    worker: int
    now: Callable[[], float]


class SegmentSink:
    """A sink of segments in a folder. Subclasses say what is in them.

    rotate: a segment ends where a multiple of so many seconds since 1970 does; 0 = not for that reason. rotate_size:
    a segment ends when it has so many octets; 0 likewise. partition, worker: SegmentNames tells. now: seconds since
    1970. Nothing is made before `open`. Raises SinkError for values that make no sense.
    """

    most_unfinished: ClassVar[int] = 64
    """Files whose end the disk has not got yet, before whoever writes must wait for it."""

    def __init__(
        self,
        folder: Path | str,
        format: str,
        suffix: str,
        *,
        rotate: float = _ROTATE,
        rotate_size: int = _ROTATE_SIZE,
        partition: str = "",
        worker: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        if rotate and not rotate >= _SHORTEST:
            raise SinkError(
                f"rotate={rotate:g} is too short: a segment is to last {_SHORTEST:g} s or longer, 0 = no bound"
            )
        self.name = f"{format}:{folder}"
        self.counters = SinkCounters()
        self._folder, self._suffix, self._now = Path(folder), suffix, now
        self._rotate, self._rotate_size = rotate, rotate_size
        self._names = SegmentNames(self._folder, suffix, worker=worker, partition=partition)
        self._finisher = Finisher(self._done, self._gone, most=self.most_unfinished)
        self._began: float | None = None

    def open(self) -> list[str]:
        """Make the folder, set torn files aside; what there is to tell of it. Raises SinkError."""
        _make_folder(self._folder)
        torn = set_aside(self._folder, self._suffix)
        self.counters.torn += len(torn)
        return [str(found) for found in torn]

    def tick(self, now: float) -> None:
        """End what is open if it is time. now: seconds since 1970. Raises OSError."""
        if self._is_due(now):
            self._end(now)
        self._settle(self._files())

    def retry(self) -> None:
        """After an OSError: put down what waits. Raises OSError."""
        self._settle(self._files(), is_again=True)

    def flush(self) -> None:
        """End what is open, and see all segments on the disk under their names. Raises OSError."""
        self._end(self._now())
        self._settle(self._files(), is_again=True)

    def close(self) -> None:
        """As `flush`. Raises OSError."""
        self.flush()

    # ---------------------------------------------------------------- for subclasses

    def _files(self) -> Iterable[SegmentFile]:
        """Those that are open."""
        raise NotImplementedError

    def _end(self, now: float) -> None:
        """End what is open."""
        raise NotImplementedError

    def _is_due(self, now: float) -> bool:
        """A clock that is set back by less than `rotate` ends nothing: it will come here again."""
        if self._began is None or not self._rotate:
            return False
        return now // self._rotate > self._began // self._rotate or now < self._began - self._rotate

    def _settle(self, files: Iterable[SegmentFile], *, is_again: bool = False) -> None:
        """Raise what the system had against it. is_again: what has failed is tried again."""
        try:
            if is_again:
                self._finisher.finish()
            for file in files:
                file.put_down()
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


def _make_folder(folder: Path) -> None:
    """Raises SinkError, in one sentence, if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise SinkError(f"{folder} is a file; segments go to a folder") from None
    except OSError as bad:
        raise SinkError(f"the folder {folder} cannot be made: {(bad.strerror or str(bad)).lower()}") from bad
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"nothing can be written to the folder {folder}: it lets nobody like us")
