"""CSV (RFC 4180): a line of column names, then one line per record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.sinks.cells import as_json, chunks, columns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headwater.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable

_SPECIAL = re.compile(r'[",\r\n]')


class CsvSink:
    """Writes records of any Templates under one line of names; columns that a record does not have stay empty.

    Values are as RFC 7373 writes them, lists JSON. A null is empty, an empty string is `""`.
    """

    def __init__(self, file: Writable, columns: Sequence[str]) -> None:
        self._file, self._columns = file, tuple(columns)
        if self._columns:
            self._write_lines([",".join(map(_quoted, self._columns))])

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Write the records where the mask is True; how many there were."""
        present = columns_of(batch, self._columns)
        total = 0
        for count, lists in chunks(batch, present, mask):
            texts = {c.name: _texts(c.type, values) for c, values in zip(present, lists, strict=True)}
            empty = [""] * count
            cells = [texts.get(name, empty) for name in self._columns]
            self._write_lines(list(map(",".join, zip(*cells, strict=True))) if cells else empty)
            total += count
        return total

    def close(self) -> None:
        """Nothing was kept back."""

    abandon = close

    def _write_lines(self, lines: list[str]) -> None:
        self._file.write("\n".join([*lines, ""]).encode())


def _texts(type: DataType, values: list[Any]) -> list[str]:
    """The cells of a column as they stand in a line."""
    if type is DataType.STRING:
        return ["" if value is None else _quoted(value) for value in values]
    if type.is_list:
        texts = (msgspec.json.encode(value).decode() for value in as_json(type, values))
        return ["" if text == "null" else _quoted(text) for text in texts]
    if type is DataType.BOOLEAN or type.is_float:
        return ["" if value is None else to_text(type, value) for value in values]
    if type.is_integer:
        return ["" if value is None else str(value) for value in values] if None in values else list(map(str, values))
    found = as_json(type, values)
    return ["" if value is None else value for value in found] if None in found else found


def _quoted(text: str) -> str:
    if text and not _SPECIAL.search(text):
        return text
    return f'"{text.replace(chr(34), 2 * chr(34))}"'
