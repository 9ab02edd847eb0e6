"""Names of values: 6 is tcp, 0x12 is .A..S. For display and for conditions that people type, never for decoding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from headwater.model.element import SEMANTICS_NAMES, UNITS_NAMES, InformationElement
from headwater.model.types import DataType

_SAME: Final = {
    193: 4,  # nextHeaderIPv6
    215: 4,  # exportTransportProtocol
    98: 195,  # postIpDiffServCodePoint
    369: 368,  # egressInterfaceType
}
"""IANA elements whose values have the names of another's."""

_TCP_FLAGS: Final = frozenset([(0, 6), (6871, 14), (6871, 15)])  # tcpControlBits, initialTCPFlags, unionTCPFlags
_USUAL_FLAGS: Final = "UAPRSF"
_ALL_FLAGS: Final = "NCEUAPRSF"  # NS, CWR, ECE, then the usual six; the last one is bit 0
_NOTHING: Final[Mapping[int, str]] = {}


def names(element: InformationElement) -> Mapping[int, str]:
    """Value → name for the element, empty if its values have none. Flags are combinations: see `describe`."""
    return _tables().get(_named_id(element), (_NOTHING, {}))[0]


def describe(element: InformationElement, value: object) -> str | None:
    """The name of the value, or None if it has none; of a reverse element as of the forward one.

    TCP flags read `UAPRSF` with a dot for each one not set, after them ECE, CWR and NS if any is set: `.A..S.`,
    `.CE.A..S.`. The four bits above them are reserved and not shown.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if (element.forward_key or element.key) in _TCP_FLAGS:
        letters = _USUAL_FLAGS if value & 0x1C0 == 0 else _ALL_FLAGS
        top = len(letters) - 1
        return "".join(letter if value >> (top - i) & 1 else "." for i, letter in enumerate(letters))
    return names(element).get(value)


def value_of(element: InformationElement, text: str) -> int | None:
    """The value that has this name, in any case, or None.

    TCP flags are letters of `NCEUAPRSF` in any order; dots are ignored, so what `describe` writes is read back.
    """
    if (element.forward_key or element.key) in _TCP_FLAGS:
        letters = set(text.upper()) - {"."}
        if not text or not letters <= set(_ALL_FLAGS):
            return None
        return sum(1 << (len(_ALL_FLAGS) - 1 - _ALL_FLAGS.index(letter)) for letter in letters)
    return _tables().get(_named_id(element), ({}, {}))[1].get(text.lower())


def _named_id(element: InformationElement) -> int:
    """The number of the IANA element under which the names are listed; -1 for an enterprise's element."""
    pen, id = element.forward_key or element.key
    return _SAME.get(id, id) if pen == 0 else -1


@cache
def _tables() -> dict[int, tuple[dict[int, str], dict[str, int]]]:
    """IANA number → (value → name, lower-case name → value). The first name of a value is the one shown."""
    tables: dict[int, tuple[dict[int, str], dict[str, int]]] = {}

    def add(id: int, value: int, name: str) -> None:
        shown, values = tables.setdefault(id, ({}, {}))
        shown.setdefault(value, name)
        values.setdefault(name.lower(), value)

    path = Path(__file__).parent / "data" / "enumerations.csv"
    for line in path.read_text("utf-8").splitlines()[1:]:
        id, value, name = line.split(",")
        add(int(id), int(value), name)
    for data_type in DataType:
        add(339, data_type.code, data_type.label)  # informationElementDataType
    for semantics, name in SEMANTICS_NAMES.items():
        add(344, semantics, name)
    for unit, name in UNITS_NAMES.items():
        add(345, unit, name)
    return tables
