"""Columns for which there was no room: counted, and told once."""

from __future__ import annotations

import logging
from typing import Final

MOST_COLUMNS: Final = 2000
"""Columns of a segment, those inside lists counted; what a flood of Templates would have beyond is left out."""
_MOST_NAMES: Final = 10_000
_MOST_TOLD: Final = 20

_log = logging.getLogger("headwater.collector")


class LeftOut:
    """Names of columns that were left out, and how many. why: for people."""

    def __init__(self, why: str) -> None:
        self.why = why
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        """Count a column."""
        if name in self._names or len(self._names) >= _MOST_NAMES:
            return
        self._names.add(name)
        if len(self._names) <= _MOST_TOLD:
            more = "; others that will be too are only counted" if len(self._names) == _MOST_TOLD else ""
            _log.warning("column %s is left out: %s%s", name[:128], self.why, more)
