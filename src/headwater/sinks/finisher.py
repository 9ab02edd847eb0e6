"""Files get their names in a thread of their own: an fsync takes as long as the disk likes."""

from __future__ import annotations

from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

from headwater.sinks.segment_file import SegmentFile, SegmentGone

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 64
_PATIENCE: Final = 1.0


class Finisher:
    """A queue of files to be finished. There is a thread as long as there is something to do.

    done: called, in that thread, with each file that is on the disk under its name. gone: with each that somebody
    deleted. most: files in the queue at which `add` waits for the disk. is_hanging: a file that was given up has been
    with the system for a second, and nobody should wait for the disk any more.
    """

    def __init__(
        self, done: Callable[[SegmentFile], None], gone: Callable[[SegmentFile, OSError], None], *, most: int = _MOST
    ) -> None:
        self._done, self._gone, self._most = done, gone, most
        self._waiting: deque[SegmentFile] = deque()
        self._changed = Condition()
        self._error: Exception | None = None
        self._is_running = self.is_hanging = False

    @property
    def records(self) -> int:
        """Of the files that wait."""
        with self._changed:
            return sum(file.records for file in self._waiting)

    def add(self, file: SegmentFile) -> None:
        """Take a file to which nothing will be written any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._most or not self._is_running)
            self._waiting.append(file)
            self._start()

    def check(self) -> None:
        """Raises the OSError that stops the queue, until `finish` is called."""
        with self._changed:
            if self._error is not None:
                raise self._error

    def finish(self) -> None:
        """Finish everything, what failed before too. Raises OSError when that fails again."""
        with self._changed:
            self._error = None
            self._start()
            self._changed.wait_for(lambda: not self._is_running)
        self.check()

    def give_up(self) -> list[SegmentFile]:
        """Empty the queue; the files that were in it. They are left as torn ones, unless the disk hangs."""
        with self._changed:
            files = list(self._waiting)
            self._waiting.clear()
            self.is_hanging = not self._changed.wait_for(lambda: not self._is_running, _PATIENCE)
            self._error = None
        for file in files if not self.is_hanging else ():
            file.give_up()
        return files

    def _start(self) -> None:
        if self._waiting and not self._is_running and self._error is None:
            self._is_running = True
            Thread(target=self._run, name="headwater-finisher", daemon=True).start()

    def _run(self) -> None:
        while (file := self._next()) is not None:
            error: Exception | None = None
            try:
                file.finish()
            except Exception as bad:  # whatever it is, it belongs to the thread that asks
                error = bad
            with self._changed:
                self._settle(file, error)

    def _next(self) -> SegmentFile | None:
        with self._changed:
            if self._waiting and self._error is None:
                return self._waiting[0]
            self._is_running = False
            self._changed.notify_all()
            return None

    def _settle(self, file: SegmentFile, error: Exception | None) -> None:
        if not self._waiting or self._waiting[0] is not file:  # it was given up meanwhile
            return
        if error is not None and not isinstance(error, SegmentGone):
            self._error = error
            return
        self._waiting.popleft()
        if isinstance(error, SegmentGone):
            file.give_up()
            self._gone(file, error)
        else:
            self._done(file)
        self._changed.notify_all()
