"""What a question gives: columns that know which Information Elements they hold, and their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any, Final

import duckdb
import pyarrow as pa

from headwater.analysis.errors import QueryError, sentence
from headwater.model.element import InformationElement, Semantics
from headwater.model.registry import IANA
from headwater.model.text import to_text
from headwater.model.types import DataType

_AMOUNTS: Final = (Semantics.QUANTITY, Semantics.TOTAL_COUNTER, Semantics.DELTA_COUNTER)
_TICKS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_TIMES: Final = {
    1: DataType.SECONDS,
    10**3: DataType.MILLISECONDS,
    10**6: DataType.MICROSECONDS,
    10**9: DataType.NANOSECONDS,
}


class AnswerColumn:
    """One column. element: what its values are, None for what was worked out."""

    def __init__(self, field: pa.Field, element: InformationElement | None) -> None:
        self.name: str = field.name
        self.type: pa.DataType = field.type
        self.element = element
        type = None if element is None else element.type
        is_octets = pa.types.is_binary(self.type) or pa.types.is_fixed_size_binary(self.type)
        fits = pa.types.is_uint32(self.type) if type is DataType.IPV4 else is_octets
        self.address = type if fits and type in (DataType.IPV4, DataType.IPV6, DataType.MAC_ADDRESS) else None

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers; addresses are none."""
        types = pa.types
        return self.address is None and any(
            is_kind(self.type) for is_kind in (types.is_integer, types.is_floating, types.is_decimal)
        )

    @property
    def is_amount(self) -> bool:
        """Whether numbers count something; others name something, as ports do."""
        if not self.is_numeric:
            return False
        if self.element is not None:
            return self.element.semantics in _AMOUNTS
        return bool(pa.types.is_decimal(self.type) or self.type.bit_width == 64)

    def values(self, array: pa.Array, *, raw: bool = False) -> list[Any]:
        """The values as JSON has them, null is None: addresses as text unless `raw`, octets as hexadecimal digits."""
        if self.address is not None and not raw:
            return [_address(self.address, value) for value in array.to_pylist()]
        if pa.types.is_timestamp(self.type):
            return self._times(array)
        if pa.types.is_decimal(self.type) and not self.type.scale:  # sums are HUGEINT
            return [None if value is None else int(value) for value in array.to_pylist()]
        if pa.types.is_integer(self.type) or pa.types.is_string(self.type) or pa.types.is_floating(self.type):
            return list(array.to_pylist())
        try:
            return [_plain(value) for value in array.to_pylist()]
        except (ValueError, OverflowError):  # times in lists that Python's cannot hold
            return [str(value) for value in array]

    def _times(self, array: pa.Array) -> list[Any]:
        """RFC 7373 §4.8, in UTC, in the unit of the element: Parquet knows no seconds."""
        ticks = _TICKS[self.type.unit]
        wanted = ticks if self.element is None or not self.element.type.is_time else self.element.type.ticks
        type, coarser = _TIMES[min(wanted, ticks)], max(ticks // wanted, 1)
        return [
            None if value is None else to_text(type, value // coarser) for value in array.cast(pa.int64()).to_pylist()
        ]


class Answer:
    """The answer to a question. columns: in order; a name that comes again has a number behind it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, sql: str, *, most: int | None = None) -> None:
        """Ask. most: rows. Raises QueryError if there is no question; duckdb.Error."""
        sources = _sources(con, sql)
        relation = con.sql(sql)
        if relation is None:
            raise QueryError("there is no question in the SQL")
        self._reader = pa.RecordBatchReader.from_stream(relation if most is None else relation.limit(most))
        names = _unique(self._reader.schema.names)
        self.schema = pa.schema([f.with_name(name) for f, name in zip(self._reader.schema, names, strict=True)])
        self.columns = [
            AnswerColumn(new, IANA.find(sources.get(old.name, old.name)))
            for old, new in zip(self._reader.schema, self.schema, strict=True)
        ]
        self._first = next(self._batches(), None)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, once. Raises QueryError."""
        if self._first is not None:
            yield self._first
            self._first = None
            yield from self._batches()

    def table(self) -> pa.Table:
        """All rows, once. Raises as `batches`."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def chunks(self, size: int = 2048, *, raw: bool = False) -> Iterator[list[list[Any]]]:
        """The values of so many rows, by column, once. Raises as `batches`."""
        for batch in self.batches():
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                yield [c.values(array, raw=raw) for c, array in zip(self.columns, part.columns, strict=True)]

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = self._reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as bad:  # what DuckDB says reaches us through Arrow
                raise QueryError(sentence(bad)) from bad
            yield pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)


def _unique(names: list[str]) -> list[str]:
    out: list[str] = []
    for name in names:
        new, number = name, 1
        while new in out:
            number += 1
            new = f"{name}_{number}"
        out.append(new)
    return out


def _sources(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """New names of columns, and the names of those that were just renamed."""
    rows = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    said = json.loads(rows[0][0])
    if said.get("error", True) or not said["statements"]:
        return {}
    return {
        item["alias"]: item["column_names"][-1]
        for item in said["statements"][-1]["node"].get("select_list", ())
        if item.get("class") == "COLUMN_REF" and item.get("alias") and item.get("column_names")
    }


def _address(type: DataType, value: Any) -> Any:
    if isinstance(value, bytes) and len(value) != (16 if type is DataType.IPV6 else 6):
        return value.hex()
    return None if value is None else to_text(type, value)


_TO_JSON: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    ((bool, int, float, str, type(None)), lambda value: value),
    (Decimal, lambda value: value),
    (bytes, bytes.hex),
    (dict, lambda value: {str(_plain(key)): _plain(item) for key, item in value.items()}),
    ((list, tuple), lambda value: [_plain(item) for item in value]),
    ((date, time), lambda value: value.isoformat()),
    (object, str),
)


def _plain(value: Any) -> Any:
    """As JSON has it, also inside lists and structs."""
    return next(make(value) for kind, make in _TO_JSON if isinstance(value, kind))
