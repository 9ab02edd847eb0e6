"""What segments are called: folders by time, and names that sort by it and that nothing has yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final

from headwater.sinks.collecting import SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CODES: Final = "YmdHMSjGVuyWU"
_LAST: Final = 253402300799  # the end of the year 9999, where datetime ends
_MOST_NAME: Final = 128


class SegmentNames:
    """Names `20261121T180500Z-0-000001.parquet`: when a segment began (UTC), the worker, a number that goes up.

    partition: folders within the folder, with %Y, %m, %d, %H and the like for when a segment began (UTC), such as
    `date=%Y-%m-%d/hour=%H`. suffix: with its dot.
    Raises SinkError for a partition that leads out of the folder or that strftime would not understand.
    """

    def __init__(self, folder: Path, suffix: str, *, worker: int = 0, partition: str = "") -> None:
        check_partition(partition)
        self._folder, self._suffix, self._worker, self._partition = folder, suffix, worker, partition
        self._numbers = count(1)

    def within(self, name: str) -> SegmentNames:
        """Names of their own for a folder within the folder."""
        return SegmentNames(self._folder / name, self._suffix, worker=self._worker, partition=self._partition)

    def paths(self, start: float) -> Iterator[Path]:
        """Names of a segment that began then, without end, none of them given before. start: seconds since 1970."""
        began = datetime.fromtimestamp(min(max(start, 0), _LAST), UTC)
        folder = self._folder / began.strftime(self._partition) if self._partition else self._folder
        stem = f"{began:%Y%m%dT%H%M%SZ}-{self._worker}"
        for number in self._numbers:
            yield folder / f"{stem}-{number:06}{self._suffix}"


def check_partition(partition: str) -> None:
    """Raises SinkError, in one sentence, for a pattern that cannot be folders within a folder."""
    for code in re.findall("%(.?)", partition, re.DOTALL):
        if code not in _CODES or not code:
            known = " ".join(f"%{letter}" for letter in _CODES)
            raise SinkError(f"partition={partition!r} has %{code}, which is none of {known}")
    parts = partition.split("/") if partition else []
    if "\0" in partition or "\\" in partition or len(partition) > _MOST_NAME:
        raise SinkError(f"partition={partition[:_MOST_NAME]!r} is no name of folders")
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise SinkError(
            f"partition={partition!r} must be folders within the folder, such as %Y/%m/%d or date=%Y-%m-%d/hour=%H"
        )
