"""Arrow segments: IPC streams, cheapest to write and to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from headwater._version import __version__
from headwater.sinks.arrow import Gate
from headwater.sinks.gathered import Gathered
from headwater.sinks.segment_columns import SegmentColumns
from headwater.sinks.segment_format import CannotHoldError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable

_ENOUGH: Final = 1 << 16
_ENOUGH_OCTETS: Final = 16 << 20
_SMALL: Final = 8192


class ArrowFormat:
    """Arrow IPC streams, which can be read up to where they are cut off. compression: "lz4", "zstd" or "none".

    lz4 costs less than the system takes for the octets that it saves.
    """

    name, suffix = "arrow", ".arrows"

    def __init__(self, *, compression: str = "lz4") -> None:
        self._options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        self._columns = SegmentColumns()
        self._gathered = Gathered(self._columns)
        self._file: Gate | None = None
        self._writer: Any = None  # a pa.ipc.RecordBatchStreamWriter, which has no types
        self._schema, self._version = pa.schema([]), -1

    @property
    def rows(self) -> int:
        return self._gathered.rows

    @property
    def others(self) -> Mapping[str, int]:
        return {"columns_left_out": len(self._columns.left_out)}

    @property
    def is_full(self) -> bool:
        return self._gathered.rows >= _ENOUGH or self._octets >= _ENOUGH_OCTETS

    @property
    def is_over(self) -> bool:
        return self._gathered.rows >= 8 * _ENOUGH or self._octets >= 4 * _ENOUGH_OCTETS

    @property
    def _octets(self) -> int:
        """Of what waits, with its nulls, which Arrow writes out."""
        return max(self._gathered.octets, self._gathered.rows * self._columns.row_octets)

    @property
    def fits(self) -> bool:
        return self._version == self._columns.version

    def take(self, batch: Batch, mask: Mask | None) -> int:
        return self._gathered.take(batch, mask)

    def begin(self, file: Writable) -> None:
        self._columns.begin_segment()
        self._version = self._columns.version
        self._schema = self._columns.schema.with_metadata({"headwater.version": __version__})
        self._file = Gate(file)

    def put(self) -> int:
        count = self._gathered.rows
        try:
            if self._writer is None:
                target = pa.PythonFile(self._file, mode="w")
                self._writer = pa.ipc.new_stream(target, self._schema, options=self._options)
            table = self._gathered.table(self._schema)
            if table.num_rows < _SMALL * max(column.num_chunks for column in table.columns):
                table = table.combine_chunks()  # each chunk of any column would be a batch
            self._writer.write_table(table)
        except (pa.ArrowException, OSError) as bad:
            raise CannotHoldError(f"Arrow IPC cannot hold records: {bad}") from bad
        self._gathered.clear()
        return count

    def end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._file = None

    def forget(self) -> None:
        self._gathered.clear()

    def drop(self) -> None:
        if self._file is not None:
            self._file.shut()
        self._file = self._writer = None
        self._gathered.clear()

    def fix(self, why: str) -> None:
        self._columns.fix(why)
