"""Raw spools: what is received is kept undecoded, to be decoded later as if it came then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from headwater.sinks.ipfix_compression import NO_COMPRESSION, compressor
from headwater.sinks.segment_format import WaitingFormat
from headwater.sinks.segment_text import SUFFIXES
from headwater.sinks.segments import Segments
from headwater.sinks.spool_blocks import encoded, new_mark
from headwater.wire.spool import FileHeader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Unpack

    from headwater.session.key import Transport
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable
    from headwater.sinks.segment_sink import SegmentOptions
    from headwater.transport.incoming.block import Block

SUFFIX: Final = ".hwspool"
_MOST_TOLD: Final = 64
"""Blocks without datagrams that wait for one with some; each may tell of thousands of connections."""


class SpoolSink(Segments):
    """A sink (BlockSink) of raw spools in a folder; datagrams stand for records in its counters.

    compression: "none", "gzip" or "zstd". The other options are those of SegmentSink.
    """

    def __init__(
        self, folder: Path | str, *, compression: str = NO_COMPRESSION, **options: Unpack[SegmentOptions]
    ) -> None:
        format = SpoolFormat(compression=compression, now=options.get("now", time.time))
        super().__init__(folder, format, **options)

    def write_block(self, block: Block, transport: Transport, local: tuple[str, int]) -> int:
        """Take the datagrams of a block; how many there were. Raises OSError, and has taken them then too."""
        return self.write(_Received(block, transport, local))  # type: ignore[arg-type]  # its format takes these


class _Received(NamedTuple):
    block: Block
    transport: Transport
    local: tuple[str, int]


class SpoolFormat(WaitingFormat[_Received]):
    """Blocks of raw spools, in the shape that `Segments` wants. compression: each block is a member of its own."""

    name = "spool"

    def __init__(self, *, compression: str = NO_COMPRESSION, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.suffix = SUFFIX + SUFFIXES[compression]
        self._packing, self._now = compressor(compression), now
        self._mark, self._run = b"", new_mark()

    @property
    def is_full(self) -> bool:
        return self.rows > 0 or len(self._waiting) >= _MOST_TOLD

    def take(self, batch: Any, mask: Mask | None) -> int:
        """batch: what was received. A block that only tells of sessions waits for one with datagrams."""
        block = batch.block
        count = len(block.datagrams)
        if count or block.ended or block.dropped or block.faults:
            self._waiting.append(batch)
            self.rows += count
        return count

    def begin(self, file: Writable) -> None:
        self._file, self._mark = file, new_mark()
        self._write([FileHeader(self._mark, self._run, int(self._now() * 1e9)).pack()])

    def put(self) -> int:
        count = self.rows
        for received in self._waiting:
            self._write(list(encoded(*received, self._mark)))
        self.forget()
        return count

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        assert self._file is not None
        if self._packing is None:
            for piece in pieces:
                self._file.write(piece)  # type: ignore[arg-type]  # files of segments take any octets
            return
        member = self._packing()
        self._file.write(b"".join(map(member.compress, pieces)) + member.flush())
