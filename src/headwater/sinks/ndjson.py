"""Newline-delimited JSON: one object per record."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.batch.rows import dict_maker
from headwater.sinks.cells import CHUNK, as_json, chunks, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable


class NdjsonSink:
    """Writes records as JSON objects, a line each.

    Addresses and times are text (RFC 7373), octets hexadecimal digits, lists arrays, numbers numbers; what a record has
    no value for is null. JSON has no NaN and no infinity: they are null too.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def write(self, batch: Batch, mask: Mask | None = None, names: Sequence[str] | None = None) -> int:
        """Write the columns `names` of the records where the mask is True; how many there were."""
        total = 0
        for rows in _row_chunks(batch, mask, names):
            self._file.write(self._encoder.encode_lines(rows))
            total += len(rows)
        return total

    def write_rows(self, rows: Iterator[dict[str, Any]]) -> None:
        """Write objects that `json_rows` made."""
        while part := list(islice(rows, CHUNK)):
            self._file.write(self._encoder.encode_lines(part))

    def close(self) -> None:
        """Nothing was kept back."""

    abandon = close


def json_rows(batch: Batch, mask: Mask | None = None, names: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records as dicts of what JSON can have."""
    for rows in _row_chunks(batch, mask, names):
        yield from rows


def _row_chunks(batch: Batch, mask: Mask | None, names: Sequence[str] | None) -> Iterator[list[dict[str, Any]]]:
    columns = columns_of(batch, names)
    make = dict_maker(tuple(column.name for column in columns))
    for count, lists in chunks(batch, columns, mask):
        values = [as_json(column.type, cells) for column, cells in zip(columns, lists, strict=True)]
        yield list(make(values)) if columns else [{} for _ in range(count)]
