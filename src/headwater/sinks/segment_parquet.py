"""Parquet segments: encodings that the data itself asks for, and what is in a segment in its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headwater._version import __version__
from headwater.sinks.left_out import MOST_COLUMNS
from headwater.sinks.parquet_encodings import LEVEL, encodings
from headwater.sinks.segment_format import CannotHoldError
from headwater.sinks.segment_tables import TableFormat

if TYPE_CHECKING:
    from headwater.sinks.output import Writable

ROW_GROUP: Final = 1 << 18
_ROW_GROUP_OCTETS: Final = 32 << 20
_MOST_EXPORTERS: Final = 1 << 16
_ADDRESSES: Final = ("exporterIPv4Address", "exporterIPv6Address")
_ADDRESS_TYPES: Final = (pa.uint32(), pa.binary(16))


class ParquetFormat(TableFormat):
    """Parquet, compressed with zstd: row groups of ROW_GROUP records or _ROW_GROUP_OCTETS octets.

    The metadata of a file has `headwater.version`, `headwater.records`, and of records with such columns
    `headwater.first` and `headwater.last` (collectionTimeMilliseconds, milliseconds since 1970) and
    `headwater.exporters` (how many addresses); that of a column has what describes its Information Element.
    """

    name, suffix = "parquet", ".parquet"

    def __init__(self, *, level: int = LEVEL, most_columns: int = MOST_COLUMNS) -> None:
        super().__init__(most_columns)
        self._level = level
        self._facts = _Facts()

    @property
    def is_full(self) -> bool:
        return self._gathered.rows >= ROW_GROUP or self._gathered.octets >= _ROW_GROUP_OCTETS

    @property
    def is_over(self) -> bool:
        return self._gathered.rows >= 2 * ROW_GROUP or self._gathered.octets >= 2 * _ROW_GROUP_OCTETS

    def begin(self, file: Writable) -> None:
        super().begin(file)
        self._facts = _Facts()

    def put(self) -> int:
        count = self._gathered.rows
        try:
            table = self._gathered.table(self._schema)
            if self._writer is None:
                options = encodings(table, self._level)
                self._writer = pq.ParquetWriter(pa.PythonFile(self._file, mode="w"), self._schema, **options)
            self._writer.write_table(table, row_group_size=count)
            self._facts.add(table)
        except (pa.ArrowException, OSError) as bad:
            raise CannotHoldError(f"Parquet cannot hold records: {bad}") from bad
        self._gathered.clear()
        return count

    def end(self) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.add_key_value_metadata(self._facts.metadata)
                writer.close()
        except (pa.ArrowException, OSError) as bad:
            raise CannotHoldError(f"a Parquet file cannot be ended: {bad}") from bad
        self._file = None


class _Facts:
    """What a file tells of its records."""

    def __init__(self) -> None:
        self._records = 0
        self._times: list[int] = []
        self._exporters: set[object] = set()

    def add(self, table: pa.Table) -> None:
        """Take a row group into account."""
        self._records += table.num_rows
        for field in table.schema:
            if field.name == "collectionTimeMilliseconds" and pa.types.is_timestamp(field.type):
                found = pc.min_max(table[field.name].cast(pa.int64())).as_py().values()
                known = [*self._times, *(time for time in found if time is not None)]
                self._times = [min(known), max(known)] if known else []
            elif field.name in _ADDRESSES and field.type in _ADDRESS_TYPES and len(self._exporters) < _MOST_EXPORTERS:
                self._exporters.update(pc.unique(table[field.name]).drop_null().to_pylist())

    @property
    def metadata(self) -> dict[str, str]:
        """As key and value."""
        out = {"headwater.version": __version__, "headwater.records": str(self._records)}
        if self._times:
            out |= {"headwater.first": str(self._times[0]), "headwater.last": str(self._times[1])}
        if self._exporters:
            out["headwater.exporters"] = str(len(self._exporters))
        return out
