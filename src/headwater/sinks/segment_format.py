"""What a format of segments does: it gathers records, and puts them into one file after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable

T = TypeVar("T")


class CannotHoldError(HeadwaterError):
    """Records that the format cannot hold: the segment in which they were to stand is lost."""


class SegmentFormat(Protocol):
    """A format of segments: it gathers records and puts them into one file after the other.

    suffix: of the files. name: of the format. rows: records that wait in memory. others: what else there is to count.
    """

    @property
    def name(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def others(self) -> Mapping[str, int]: ...
    @property
    def is_full(self) -> bool:
        """Whether enough waits to be put into the file."""

    @property
    def is_over(self) -> bool:
        """Whether so much waits that it must be."""

    @property
    def fits(self) -> bool:
        """Whether what waits can stand in the file that is open."""

    def take(self, batch: Batch, mask: Mask | None) -> int:
        """Take the records where the mask is True into memory; how many there were."""

    def begin(self, file: Writable) -> None:
        """Begin a file for what waits and more."""

    def put(self) -> int:
        """Put what waits into the file; how many records. Raises CannotHoldError."""

    def end(self) -> None:
        """Write what stands at the end of the file. Raises CannotHoldError."""

    def forget(self) -> None:
        """Forget what waits."""

    def drop(self) -> None:
        """Let go of the file, write nothing more to it, and forget what waits."""

    def fix(self, why: str) -> None:
        """Take no column any more that the file has not. why: for people."""


class WaitingFormat(Generic[T]):
    """What formats share that keep what they take as it is until it is put: in `_waiting`, `rows` records."""

    fits = True

    def __init__(self) -> None:
        self.rows = 0
        self._waiting: list[T] = []
        self._file: Writable | None = None

    @property
    def others(self) -> Mapping[str, int]:
        return {}

    @property
    def is_full(self) -> bool:
        return self.rows > 0

    @property
    def is_over(self) -> bool:
        return True

    def end(self) -> None:
        self._file = None

    def forget(self) -> None:
        self._waiting.clear()
        self.rows = 0

    def drop(self) -> None:
        self._file = None
        self.forget()

    def fix(self, why: str) -> None:
        """It has no columns."""
