"""Arrow segments: IPC streams, cheapest to write and to read."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from headwater._version import __version__
from headwater.sinks.segment_format import CannotHoldError
from headwater.sinks.segment_tables import TableFormat

_ENOUGH: Final = 1 << 16
_ENOUGH_OCTETS: Final = 16 << 20
_SMALL: Final = 8192


class ArrowFormat(TableFormat):
    """Arrow IPC streams, which can be read up to where they are cut off. compression: "lz4", "zstd" or "none".

    lz4 costs less than the system takes for the octets that it saves.
    """

    name, suffix = "arrow", ".arrows"

    def __init__(self, *, compression: str = "lz4") -> None:
        super().__init__()
        self._options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)

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

    def put(self) -> int:
        count = self._gathered.rows
        try:
            if self._writer is None:
                target = pa.PythonFile(self._file, mode="w")
                schema = self._schema.with_metadata({"headwater.version": __version__})
                self._writer = pa.ipc.new_stream(target, schema, options=self._options)
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
