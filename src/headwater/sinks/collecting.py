"""What a sink of a Collecting Process does: it takes what comes day and night, and says what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headwater.batch import Batch
    from headwater.session.key import Transport
    from headwater.sinks.cells import Mask
    from headwater.transport.incoming.block import Block


class SinkError(HeadwaterError, OSError):
    """A sink that can never work: where it is to write is no folder, a library is missing."""


@dataclass(slots=True)
class SinkCounters:
    """What became of records. records = records_written + records_lost + those that wait for their segment's end.

    Of sinks of blocks, Messages or datagrams stand for records. segments: files that got their name. octets: of these.
    errors: failed attempts to write. torn: files of a process that was cut off, set aside at the start.
    """

    records: int = 0
    records_written: int = 0
    records_lost: int = 0
    segments: int = 0
    octets: int = 0
    errors: int = 0
    torn: int = 0
    last_error: str = ""
    others: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> Mapping[str, int | str]:
        """As JSON."""
        return {
            "records": self.records,
            "records_written": self.records_written,
            "records_lost": self.records_lost,
            "segments": self.segments,
            "octets": self.octets,
            "errors": self.errors,
            "torn": self.torn,
            "last_error": self.last_error,
            **self.others,
        }


class Ending(Protocol):
    """What all sinks of a Collecting Process share. All of it is called by one thread.

    name: for people. counters: current at any time, read by other threads.
    """

    name: str
    counters: SinkCounters

    def open(self) -> list[str]:
        """Make folders, set files aside that an earlier process left torn; what people should know of it.

        Raises SinkError if this can never work.
        """

    def tick(self, now: float) -> None:
        """Do what time brings, such as rotation. now: seconds since 1970. Raises OSError, as `write` does."""

    def retry(self) -> None:
        """After an OSError: put down what waits. Raises OSError again if that fails again."""

    def flush(self) -> None:
        """Everything that was written gets its final name and is on the disk when this returns. Raises OSError."""

    def close(self) -> None:
        """Flush, and give everything free. Raises OSError; then it can be tried again."""

    def abandon(self) -> None:
        """Give up what cannot be put down, count it in `records_lost`, give everything free. Raises nothing."""


class BatchSink(Ending, Protocol):
    """Takes decoded records."""

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Take the records where the mask is True; how many there were.

        They are taken in any case, in bounded memory; an OSError says that octets could not be put down now, and then
        `retry` must succeed before anything more is given.
        """


class BlockSink(Ending, Protocol):
    """Takes what was received as it is."""

    def write_block(self, block: Block, transport: Transport, local: tuple[str, int]) -> int:
        """Take the datagrams of a block; how many there were. local: address that was listened on. As `write` else."""
