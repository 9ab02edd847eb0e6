"""Elements from files of the user's own: a table (CSV), or the XML in which IANA and CERT publish theirs."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import Final

from headwater.errors import DecodeError, SourceError
from headwater.model.element import SEMANTICS_NAMES, UNITS_NAMES, InformationElement, clean_name
from headwater.model.types import DataType

_RANGE: Final = re.compile(r"\s*(0[xX][0-9A-Fa-f]+|[0-9]+)\s*-\s*(0[xX][0-9A-Fa-f]+|[0-9]+)\s*")
_TYPES: Final = {t.label.lower(): t for t in DataType}
_SEMANTICS: Final = {name.lower(): int(number) for number, name in SEMANTICS_NAMES.items()}
_UNITS: Final = {name: int(number) for number, name in UNITS_NAMES.items()}


def load_elements(path: str | PathLike[str], *, pen: int = 0) -> tuple[InformationElement, ...]:
    """The elements a file describes, to be given to `Registry.extend`. What the file is shows in its first octets.

    pen: the enterprise of elements for which the file names none.
    Raises SourceError if the file cannot be read, DecodeError (with file and line) if it makes no sense.
    """
    from headwater.model.registry_csv import elements_from_csv
    from headwater.model.registry_xml import elements_from_xml

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", source=str(path)) from error
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        return elements_from_xml(data, pen=pen, source=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecodeError(f"{path} is not UTF-8 text", offset=error.start) from error
    return elements_from_csv(text, pen=pen, source=str(path))


def element_from_words(where: str, pen: str, id: str, name: str, words: dict[str, str]) -> InformationElement:
    """An element from the words of a registry: `words` may have type, semantics, units, range, status.

    The name is made an identifier. Unknown words for semantics and units count as none: new ones get registered.
    Raises DecodeError, which begins with `where`, for a number out of range, no usable name, or an unknown type.
    """
    if not (_is_number(pen, 0xFFFFFFFF) and _is_number(id, 0x7FFF)):
        raise DecodeError(f"{where}: {pen}/{id} is not the number of an element (0 to 32767, enterprise 32 bits)")
    usable = clean_name(name)
    if not usable:
        raise DecodeError(f"{where}: {name!r} cannot name an element; use letters, digits and underscores")
    label = words.get("type", "").strip()
    data_type = _TYPES.get(label.lower())
    if data_type is None:
        raise DecodeError(f"{where}: {label!r} is not an abstract data type, such as {', '.join(list(_TYPES)[:5])}")
    bounds = _RANGE.fullmatch(words.get("range", ""))
    return InformationElement(
        int(pen),
        int(id),
        usable,
        data_type,
        _number_of(_SEMANTICS, words.get("semantics", "")),
        _number_of(_UNITS, words.get("units", "")),
        (int(bounds[1], 0), int(bounds[2], 0)) if bounds else None,
        words.get("status", "").strip() or "current",
    )


def _is_number(text: str, limit: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= limit


def _number_of(names: dict[str, int], word: str) -> int:
    word = word.strip().lower()
    return int(word) if _is_number(word, 255) else names.get(word, 0)
