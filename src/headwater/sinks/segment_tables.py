"""What segments of Arrow tables share: records are gathered into columns, and a writer of pyarrow puts them down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headwater.sinks.arrow import Gate
from headwater.sinks.gathered import Gathered
from headwater.sinks.left_out import MOST_COLUMNS
from headwater.sinks.segment_columns import SegmentColumns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable


class TableFormat:
    """Subclasses make `_writer`, and write to `_file`."""

    def __init__(self, most_columns: int = MOST_COLUMNS) -> None:
        self._columns = SegmentColumns(most_columns)
        self._gathered = Gathered(self._columns)
        self._file: Gate | None = None
        self._writer: Any = None  # pyarrow's have no types
        self._schema, self._version = pa.schema([]), -1

    @property
    def rows(self) -> int:
        return self._gathered.rows

    @property
    def others(self) -> Mapping[str, int]:
        return {"columns_left_out": len(self._columns.left_out)}

    @property
    def fits(self) -> bool:
        return self._version == self._columns.version

    def take(self, batch: Batch, mask: Mask | None) -> int:
        return self._gathered.take(batch, mask)

    def begin(self, file: Writable) -> None:
        self._columns.begin_segment()
        self._schema, self._version = self._columns.schema, self._columns.version
        self._file = Gate(file)

    def forget(self) -> None:
        self._gathered.clear()

    def drop(self) -> None:
        if self._file is not None:
            self._file.shut()  # a writer of Parquet writes when it is dropped, too
        self._file = self._writer = None
        self._gathered.clear()

    def fix(self, why: str) -> None:
        self._columns.fix(why)
