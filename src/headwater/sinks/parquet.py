"""Parquet: columns for DuckDB, pandas, Polars, Spark and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.sinks.arrow import Gate, conformed
from headwater.sinks.parquet_encodings import encodings

if TYPE_CHECKING:
    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable

ROW_GROUP: Final = 1 << 19
"""Records of a row group: readers skip and share out work by row groups, and one is held in memory by the writer."""
_ROW_GROUP_OCTETS: Final = 64 << 20


class ParquetSink:
    """Writes a Parquet file, compressed with zstd, in row groups of ROW_GROUP records or _ROW_GROUP_OCTETS octets."""

    def __init__(self, file: Writable, schema: pa.Schema) -> None:
        self._schema, self._gate = schema, Gate(file)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._octets = 0
        self._writer: Any = None  # a pq.ParquetWriter, which has no types

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Take the records where the mask is True; how many there were."""
        records = conformed(batch, self._schema, mask)
        if records.num_rows:
            self._waiting.append(records)
            self._rows += records.num_rows
            self._octets += records.nbytes
            if self._rows >= ROW_GROUP or self._octets >= _ROW_GROUP_OCTETS:
                self._flush()
        return int(records.num_rows)

    def close(self) -> None:
        """Write the last row group and what stands at the end; the file stays open."""
        if self._waiting or self._writer is None:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more."""
        self._gate.shut()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        if self._writer is None:
            self._writer = pq.ParquetWriter(pa.PythonFile(self._gate, mode="w"), self._schema, **encodings(table))
        if self._rows:
            self._writer.write_table(table, row_group_size=self._rows)
        self._waiting.clear()
        self._rows = self._octets = 0
