"""OptionTable: one table of what option records said, as rows or as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.fields import masked
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Strings
from headwater.model.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.batch.lists import Values
    from headwater.batch.option_versions import Option

_FACTS: Final = {
    "exporter": DataType.STRING,
    "exporterPort": DataType.UNSIGNED16,
    "domain": DataType.UNSIGNED32,
    "firstSeen": DataType.SECONDS,
    "lastSeen": DataType.SECONDS,
    "count": DataType.UNSIGNED64,
    "isCurrent": DataType.BOOLEAN,
}


class OptionTable:
    """What option records of one kind said, a row for each version of each record's values.

    name: what the records are about. An Arrow object: pyarrow, DuckDB and polars take it as it is.
    """

    def __init__(self, name: str, options: Sequence[Option]) -> None:
        self.name = name
        self._options = options

    def __len__(self) -> int:
        return sum([len(option.versions) for option in self._options])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.rows()

    def __repr__(self) -> str:
        return f"<OptionTable {self.name}: {len(self)} rows of {len(self._options)} records>"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Dicts with exporter, port, domain, scope, values, first_seen, last_seen, count and is_current.

        scope, values: dicts by column name; addresses are text, times the integers of their elements. first_seen,
        last_seen: export times in Unix seconds. is_current: False for values that others have replaced since.
        """
        for option in self._options:
            address, port, domain, _ = option.origin
            for version in option.versions:
                yield {
                    "exporter": address,
                    "port": port,
                    "domain": domain,
                    "scope": dict(option.scope),
                    "values": dict(version.values),
                    "first_seen": version.first_seen,
                    "last_seen": version.last_seen,
                    "count": version.count,
                    "is_current": version is option.versions[-1],
                }

    def flat_rows(self) -> Iterator[dict[str, Any]]:
        """The same with scope and values as columns of their own, all rows with the same columns."""
        names = self.schema.names
        for row in self.rows():
            facts = (row[key] for key in _ROW_FACTS)
            cells = row["scope"] | row["values"]
            flat = dict(zip(_FACTS, facts, strict=True))
            yield {name: flat[name] if name in _FACTS else cells.get(name.removesuffix("_")) for name in names}

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as JSON can write them: octets in hexadecimal."""
        return [row | {part: _plain(row[part]) for part in ("scope", "values")} for row in self.rows()]

    @cached_property
    def schema(self) -> Schema:
        """Columns for the facts, then for the scope, then for the values; those that mix types are text."""
        found: dict[str, DataType | None] = {}
        for part in ("scope", "values"):
            for row in self.rows():
                for name, cell in row[part].items():
                    found[name] = _common(found.get(name), _type_of(cell))
        # an element can hardly be called as one of ours, but an exporter can teach any name
        columns = {name + "_" if name in _FACTS else name: type or DataType.STRING for name, type in found.items()}
        return Schema(tuple([Column(name, type) for name, type in (_FACTS | columns).items()]))

    def to_arrow(self) -> pa.RecordBatch:
        """A pyarrow RecordBatch; needs pyarrow (`pip install headwater[arrow]`)."""
        from headwater.batch import arrow

        return arrow.record_batch(self)  # type: ignore[arg-type]  # all it needs is __arrow_c_array__

    def __arrow_c_schema__(self) -> object:
        """The schema as an Arrow PyCapsule."""
        from headwater.batch import arrow

        return arrow.c_schema(self.schema, self._columns()).__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """(schema, struct array) as Arrow PyCapsules; a requested schema is not followed."""
        from headwater.batch import arrow

        schema, array = arrow.c_array(self.schema, self._columns(), len(self)).__arrow_c_array__()
        return schema, array

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A stream of this one table as an Arrow PyCapsule."""
        from headwater.batch import arrow

        return arrow.c_stream(self.schema, self._columns(), len(self)).__arrow_c_stream__()

    def _columns(self) -> list[Values]:
        rows = list(self.flat_rows())
        return [_column(column.type, [row[column.name] for row in rows]) for column in self.schema]


_ROW_FACTS: Final = ("exporter", "port", "domain", "first_seen", "last_seen", "count", "is_current")


def _plain(cells: dict[str, Any]) -> dict[str, Any]:
    return {name: cell.hex() if isinstance(cell, bytes) else cell for name, cell in cells.items()}


def _type_of(cell: Any) -> DataType | None:
    match cell:
        case None:
            return None
        case bool():
            return DataType.BOOLEAN
        case int():
            return DataType.SIGNED64 if -(1 << 63) <= cell < 1 << 63 else DataType.FLOAT64
        case float():
            return DataType.FLOAT64
        case bytes():
            return DataType.OCTET_ARRAY
    return DataType.STRING


def _common(one: DataType | None, other: DataType | None) -> DataType | None:
    """The type of a column that holds both."""
    if one is None or other is None or one is other:
        return one or other
    numbers = {DataType.SIGNED64, DataType.FLOAT64}
    return DataType.FLOAT64 if {one, other} <= numbers else DataType.STRING


def _column(type: DataType, cells: list[Any]) -> Values:
    if type in (DataType.STRING, DataType.OCTET_ARRAY):
        return _strings(type, cells)
    mask = np.array([cell is None for cell in cells], np.bool_)
    plain = [0 if cell is None else cell for cell in cells]
    values = np.array(plain, np.int64).view(type.numpy) if type.is_time else np.array(plain, type.numpy)
    return masked(values, mask) if mask.any() else values


def _strings(type: DataType, cells: list[Any]) -> Strings:
    is_text = type is DataType.STRING
    octets = [_octets(cell, is_text) for cell in cells]
    offsets = np.zeros(len(cells) + 1, np.int32)
    np.cumsum([len(one) for one in octets], out=offsets[1:])
    valid = np.array([cell is not None for cell in cells], np.bool_)
    data = np.frombuffer(b"".join(octets), np.uint8)
    return Strings(offsets, data, None if valid.all() else valid, is_text)


def _octets(cell: Any, is_text: bool) -> bytes:
    if isinstance(cell, bytes):
        return cell.hex().encode() if is_text else cell
    return b"" if cell is None else str(cell).encode("utf-8", "replace")
