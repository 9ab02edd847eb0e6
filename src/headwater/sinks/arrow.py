"""Arrow IPC, and what Parquet shares with it: one schema over the batches of many Templates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from headwater.batch.arrow import flat_field
from headwater.errors import SourceError
from headwater.sinks.cells import columns_of

try:
    import pyarrow as pa
except ImportError:
    raise SourceError(
        "Arrow and Parquet need pyarrow, which is not installed: pip install 'headwater[arrow]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headwater.batch import Batch, Schema
    from headwater.batch.schema import Column
    from headwater.model.types import DataType
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable


@lru_cache(maxsize=4096)
def arrow_field(column: Column) -> pa.Field:
    """The Arrow field of a column that has no lists; the same object for the same column, as long as it is in use."""
    return pa.field(flat_field(column))


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of columns, none of them lists."""
    return pa.schema([arrow_field(column) for column in schema])


class Union:
    """The schema that holds all batches that were shown to it: each column that any of them has, in order of arrival.

    names: the columns in the order in which they are wanted, where that is known.
    The type of a list column grows with what is in the lists, an integer to its widest. Where types do not go together
    (a field in an illegal length is octets, a basicList has numbers here and text there), the later one has a column
    `name (type)`.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self._fields: dict[str, pa.Field] = {name: pa.field(name, pa.null()) for name in names or ()}
        self._known: set[tuple[str, DataType]] = set()

    def add(self, batch: Batch, names: Sequence[str]) -> None:
        """Take these columns of a batch into account."""
        columns = columns_of(batch, names)
        wanted = [c for c in columns if c.type.is_list or (c.name, c.type) not in self._known]
        if not wanted:
            return
        schema = pa.schema(batch)
        for column in wanted:
            self._known.add((column.name, column.type))
            self._place(schema.field(column.name))

    @property
    def schema(self) -> pa.Schema:
        """The schema so far."""
        return pa.schema(list(self._fields.values()))

    def _place(self, field: pa.Field) -> None:
        for name in (field.name, second_name(field)):
            old = self._fields.get(name)
            type = field.type if old is None else merged(old.type, field.type)
            if type is not None:
                self._fields[name] = field.with_name(name).with_type(type)
                return


def second_name(field: pa.Field) -> str:
    """What a column is called whose type does not go together with that of an earlier one."""
    return f"{field.name} ({field.type})"


def merged(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The type that holds values of both, None where there is none."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    for is_kind in (pa.types.is_unsigned_integer, pa.types.is_signed_integer):
        if is_kind(a) and is_kind(b):  # NetFlow v9 sends some integers in more octets than IPFIX grants them
            return a if a.bit_width >= b.bit_width else b
    if pa.types.is_list(a) and pa.types.is_list(b):
        inner = merged(a.value_type, b.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        fields = {field.name: field for field in a}
        for field in b:
            type = merged(fields[field.name].type, field.type) if field.name in fields else field.type
            if type is None:
                return None
            fields[field.name] = field.with_type(type)
        return pa.struct(list(fields.values()))
    return None


def conformed(batch: Batch, schema: pa.Schema, mask: Mask | None = None) -> pa.RecordBatch:
    """The batch's records where the mask is True, in that schema; what the batch lacks is null."""
    found = batch.to_arrow()
    out = fitted(found, places(found.schema, schema), schema)
    return out if mask is None else out.filter(pa.array(mask))


def places(found: Iterable[pa.Field], schema: pa.Schema) -> list[int]:
    """For each column of `schema` which column of `found` it holds, -1 = none."""
    out = [-1] * len(schema)
    for number, field in enumerate(found):
        for name in (field.name, second_name(field)):
            index = schema.get_field_index(name)
            if index >= 0 and merged(schema.field(index).type, field.type) == schema.field(index).type:
                out[index] = number
                break
    return out


def fitted(found: pa.RecordBatch, places: list[int], schema: pa.Schema) -> pa.RecordBatch:
    """The same records in another schema; places: what `places` said of the two."""
    columns = [
        pa.nulls(found.num_rows, field.type) if place < 0 else fit(found.column(place), field.type)
        for place, field in zip(places, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def fit(array: pa.Array, type: pa.DataType) -> pa.Array:
    """The array in a type that `merged` made of its own."""
    if array.type == type:
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), type)
    if pa.types.is_integer(type):
        return array.cast(type)
    is_null = array.is_null() if array.null_count else None
    if pa.types.is_list(type):
        return pa.ListArray.from_arrays(array.offsets, fit(array.values, type.value_type), type, mask=is_null)
    children = []
    for field in type:
        index = array.type.get_field_index(field.name)
        children.append(pa.nulls(len(array), field.type) if index < 0 else fit(array.field(index), field.type))
    return pa.StructArray.from_arrays(children, fields=list(type), mask=is_null)


class Gate:
    """A file for Arrow's writers, which write when they are dropped too: once it is shut nothing goes through."""

    closed = False

    def __init__(self, file: Writable) -> None:
        self._file: Writable | None = file

    def write(self, octets: bytes) -> int:
        """Let octets through."""
        if self._file is not None:
            self._file.write(octets)
        return len(octets)

    def flush(self) -> None:
        """The file is flushed by whoever opened it."""

    def close(self) -> None:
        """The file is closed by whoever opened it."""

    def shut(self) -> None:
        """Let nothing through from now on."""
        self._file = None


class ArrowSink:
    """Writes an Arrow IPC file, or a stream where the output cannot be a file."""

    def __init__(self, file: Writable, schema: pa.Schema, *, is_stream: bool) -> None:
        self._schema, self._gate = schema, Gate(file)
        target = pa.PythonFile(self._gate, mode="w")
        self._writer = pa.ipc.new_stream(target, schema) if is_stream else pa.ipc.new_file(target, schema)

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Write the records where the mask is True; how many there were."""
        records = conformed(batch, self._schema, mask)
        if records.num_rows:
            self._writer.write_batch(records)
        return int(records.num_rows)

    def close(self) -> None:
        """Write what stands at the end; the file stays open."""
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more."""
        self._gate.shut()
        self._writer.close()
