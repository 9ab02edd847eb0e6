"""Templates and options of listeners in files, kept up to date while collecting goes on."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headwater.errors import HeadwaterError
from headwater.process.state_file import StateFile

if TYPE_CHECKING:
    from headwater.batch.options_tables import SavedOption
    from headwater.process.collecting.lane import Lane
    from headwater.session.saved import SavedTemplate

_AFTER_CHANGE_S: Final = 1.0
_AT_LATEST_S: Final = 60.0
_SHARE: Final = 20
"""Saving may take one part in so many of the time: who floods us with Templates makes it long, and often due."""


@dataclass(slots=True)
class _Kept:
    file: StateFile
    learned: int = 0
    saved_at: float = 0.0
    took: float = 0.0
    going_on: Future[float] | None = None


class Saving:
    """State files of lanes, written in a thread of their own: a disk that is slow does not stop collecting.

    folder: where they are, None = nothing is kept. worker: which of several processes it is.
    """

    def __init__(self, folder: str | None, worker: int) -> None:
        self._folder = None if folder is None else Path(folder)
        self._worker = worker
        self._kept: dict[int, _Kept] = {}
        self._writer: ThreadPoolExecutor | None = None

    def load(self, lane: Lane) -> list[str]:
        """Begin with what was known the last time; what is wrong with it.

        Raises HeadwaterError if there can be no such folder.
        """
        if self._folder is None:
            return []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as bad:
            why = (bad.strerror or str(bad)).lower()
            raise HeadwaterError(f"the folder {self._folder} for the state cannot be made: {why}") from bad
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise HeadwaterError(f"the folder {self._folder} for the state cannot be written; name another one")
        name = re.sub(r"[^\w.]+", "_", lane.listener.url.name).strip("_")
        kept = self._kept[id(lane)] = _Kept(StateFile(self._folder / f"{name}.{self._worker}.state"))
        warning = lane.restore(kept.file)
        kept.saved_at = time.monotonic()
        return [] if warning is None else [warning]

    def save(self, lane: Lane, now: float) -> list[str]:
        """Save what is known if it is time to; what went wrong. now: by time.monotonic()."""
        kept = self._kept.get(id(lane))
        if kept is None:
            return []
        if kept.going_on is not None:
            if not kept.going_on.done():
                return []
            ended, kept.going_on = kept.going_on, None
            error = ended.exception()
            if error is not None:
                return [str(error)]
            kept.took += ended.result()
        has_changed = lane.num_learned != kept.learned and now >= kept.saved_at + max(
            _AFTER_CHANGE_S, _SHARE * kept.took
        )
        if has_changed or now >= kept.saved_at + _AT_LATEST_S:
            self._begin(kept, lane, now)
        return []

    def close(self, lanes: list[Lane]) -> list[str]:
        """Save all of it, and wait until that is done; what went wrong."""
        out = []
        for lane in lanes:
            kept = self._kept.get(id(lane))
            if kept is not None:
                if kept.going_on is not None:
                    kept.going_on.exception()
                self._begin(kept, lane, time.monotonic())
        for kept in self._kept.values():
            error = None if kept.going_on is None else kept.going_on.exception()
            if error is not None:
                out.append(str(error))
        if self._writer is not None:
            self._writer.shutdown()
        return out

    def _begin(self, kept: _Kept, lane: Lane, now: float) -> None:
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "headwater-state")
        began = time.monotonic()
        templates, options = lane.snapshot()
        kept.took = time.monotonic() - began
        kept.learned, kept.saved_at = lane.num_learned, now
        kept.going_on = self._writer.submit(_save, kept.file, templates, options)


def _save(file: StateFile, templates: list[SavedTemplate], options: list[SavedOption]) -> float:
    began = time.monotonic()
    file.save(templates, options, now=time.time())
    return time.monotonic() - began
