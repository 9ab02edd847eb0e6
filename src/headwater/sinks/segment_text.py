"""Segments of text: NDJSON and CSV, compressed if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.sinks.csv import CsvSink
from headwater.sinks.ipfix_compression import NO_COMPRESSION, compressor
from headwater.sinks.left_out import MOST_COLUMNS, LeftOut
from headwater.sinks.ndjson import NdjsonSink
from headwater.sinks.segment_format import WaitingFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.ipfix_compression import Compressor
    from headwater.sinks.output import Writable

SUFFIXES: Final = {NO_COMPRESSION: "", "gzip": ".gz", "zstd": ".zst"}
"""What stands behind the suffix of a format, by compression."""
_MOST_WAITING: Final = 1 << 14
"""Records that wait for a file with their columns."""
_KEPT: Final = 8
"""Segments for which a column is kept that no record has."""


class _TextFormat(WaitingFormat[tuple["Batch", "Mask | None"]]):
    """What formats of text share. compression: "none", "gzip" or "zstd"."""

    def __init__(self, suffix: str, compression: str) -> None:
        super().__init__()
        self.suffix = suffix + SUFFIXES[compression]
        self._packing = compressor(compression)
        self._packed: _Packed | None = None

    def take(self, batch: Batch, mask: Mask | None) -> int:
        count = batch.num_rows if mask is None else int(np.count_nonzero(mask))
        if count:
            self._waiting.append((batch, mask))
            self.rows += count
        return count

    def begin(self, file: Writable) -> None:
        self._file = self._packed = _Packed(file, self._packing)

    def end(self) -> None:
        if self._packed is not None:
            self._packed.end()
        super().end()


class NdjsonFormat(_TextFormat):
    """A JSON object for each record, a line each. compression: "none", "gzip" or "zstd"."""

    name = "ndjson"

    def __init__(self, *, compression: str = NO_COMPRESSION) -> None:
        super().__init__(".ndjson", compression)

    def put(self) -> int:
        assert self._file is not None
        sink = NdjsonSink(self._file)
        count = sum(sink.write(batch, mask) for batch, mask in self._waiting)
        self.forget()
        return count


class CsvFormat(_TextFormat):
    """CSV with one line of names in a file: the columns that were there lately. compression: as NdjsonFormat."""

    name = "csv"

    def __init__(self, *, compression: str = NO_COMPRESSION, most: int = MOST_COLUMNS) -> None:
        super().__init__(".csv", compression)
        self._sink: CsvSink | None = None
        self._segment = 0
        self._seen: dict[str, int] = {}
        self._in_file: set[str] = set()
        self._most, self._left_out = most, LeftOut(f"a segment has at most {most} columns")
        self.fits = True

    @property
    def others(self) -> Mapping[str, int]:
        return {"columns_left_out": len(self._left_out)}

    @property
    def is_over(self) -> bool:
        return self.rows >= _MOST_WAITING

    def take(self, batch: Batch, mask: Mask | None) -> int:
        count = super().take(batch, mask)
        for name in batch.schema.names if count else ():
            if name in self._seen or len(self._seen) < self._most:
                self._seen[name] = self._segment
                self.fits = self.fits and name in self._in_file
            else:
                self._left_out.add(name)
        return count

    def begin(self, file: Writable) -> None:
        self._segment += 1
        self._seen = {name: seen for name, seen in self._seen.items() if seen >= self._segment - _KEPT}
        self._in_file, self.fits = set(self._seen), True
        super().begin(file)
        assert self._file is not None
        self._sink = CsvSink(self._file, list(self._seen))

    def put(self) -> int:
        assert self._sink is not None
        count = sum(self._sink.write(batch, mask) for batch, mask in self._waiting)
        self.forget()
        return count

    def fix(self, why: str) -> None:
        self._most, self._left_out.why = 0, why


class _Packed:
    """A file that is compressed as one member."""

    def __init__(self, file: Writable, packing: Callable[[], Compressor] | None) -> None:
        self._file = file
        self._compressor = None if packing is None else packing()

    def write(self, octets: bytes) -> int:
        self._file.write(octets if self._compressor is None else self._compressor.compress(octets))
        return len(octets)

    def end(self) -> None:
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
