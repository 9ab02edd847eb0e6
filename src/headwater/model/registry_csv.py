"""Information Elements from a table: the user's own, or the CSV that IANA publishes."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

from headwater.errors import DecodeError
from headwater.model.element import InformationElement
from headwater.model.loading import element_from_words

_HEADINGS: Final = {
    "pen": "pen",
    "enterprise": "pen",
    "enterpriseid": "pen",
    "enterprisenumber": "pen",
    "privateenterprisenumber": "pen",
    "id": "id",
    "elementid": "id",
    "informationelementid": "id",
    "name": "name",
    "type": "type",
    "datatype": "type",
    "abstractdatatype": "type",
    "semantics": "semantics",
    "datatypesemantics": "semantics",
    "units": "units",
    "range": "range",
    "ranges": "range",
    "status": "status",
}
"""What a column is, by its heading in lower case without blanks and underscores."""


def elements_from_csv(text: str, *, pen: int = 0, source: str = "CSV") -> tuple[InformationElement, ...]:
    """Elements of a table with headings: id, name, type, and if wanted pen, semantics, units, range, status.

    Other columns are ignored; so are lines that start with `#` and rows that describe nothing: ranges of numbers,
    reserved or unassigned ones. pen: for a table, or a row, that has none. source: how messages call the text.
    Raises DecodeError with the line for everything else that is not an element.
    """
    # a comment keeps its line, so that messages name the right one
    lines = ("\n" if line.lstrip().startswith("#") else line for line in io.StringIO(text, newline=""))
    reader = csv.reader(lines)
    elements = []
    columns: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = [_HEADINGS.get(re.sub(r"[\s_]", "", cell).lower(), "") for cell in row]
                if missing := [c for c in ("id", "name", "type") if c not in columns]:
                    raise DecodeError(f"{source}: no column is called {' or '.join(missing)}")
                continue
            words = dict(zip(columns, (cell.strip() for cell in row), strict=False))
            if not _describes_nothing(words):
                where = f"{source} line {reader.line_num}"
                elements.append(
                    element_from_words(
                        where, words.get("pen") or str(pen), words.get("id", ""), words.get("name", ""), words
                    )
                )
    except csv.Error as error:
        raise DecodeError(f"{source} line {reader.line_num}: {error}") from error
    return tuple(elements)


def _describes_nothing(words: dict[str, str]) -> bool:
    """A row that only says that numbers are not used: no type, and a range of numbers or a word for "not used"."""
    unused = words.get("name", "").lower() in ("", "reserved", "unassigned", "assigned for netflow v9 compatibility")
    return not words.get("type") and (unused or "-" in words.get("id", ""))
