"""Batches into one pyarrow Table in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headwater.batch.arrow import c_schema
from headwater.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.batch import Batch, Schema


def table(batches: Iterable[Batch], *, schema: Schema | None = None) -> pa.Table:
    """The records of all batches; columns are the union of theirs, null where a batch lacks them (see `Union`).

    schema: of all batches, where they have one: that of the table even if there are no batches.
    Raises SourceError without pyarrow.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise SourceError("tables need pyarrow: pip install 'headwater[arrow]'") from None
    from headwater.sinks.arrow import Union, conformed

    union = Union(None if schema is None else schema.names)
    kept = []
    for batch in batches:
        union.add(batch, batch.schema.names)
        kept.append(batch)
    if not kept and schema is not None:
        return pa.schema(c_schema(schema)).empty_table()
    return pa.Table.from_batches([conformed(batch, union.schema) for batch in kept], schema=union.schema)
