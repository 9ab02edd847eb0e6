"""What an exporter says about its own Information Elements in type information option records (RFC 5610 §3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from headwater.model.element import REVERSE_PEN, InformationElement, Semantics, clean_name, unknown_name
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.model.registry import Registry

_NUMBERS: Final = (
    ("informationElementId", None),
    ("informationElementDataType", None),
    ("privateEnterpriseNumber", 0),
    ("informationElementSemantics", 0),
)
"""What makes an element, and what stands where a record does not have the column at all."""
_COUNTERS: Final = (Semantics.TOTAL_COUNTER, Semantics.DELTA_COUNTER, Semantics.SNMP_COUNTER, Semantics.SNMP_GAUGE)


def type_information(record: Mapping[str, Any], registry: Registry) -> InformationElement | str | None:
    """The element that a type information record describes; a sentence if it is refused; None if it is known already.

    record: the values by the names of the IANA elements; None for a value whose octets had no meaning.
    registry: what is known so far. It is never overridden: a record that contradicts it is refused.

    Of the number "the Enterprise bit MUST be ignored" (§3.3); no enterprise number means IANA. The name is made fit
    for a column, at most NAME_LIMIT characters of it are kept; an element with no name, or with that of an IANA
    element, is called `_<pen>_<id>`, so that no exporter can put its values where another's are looked for.
    """
    numbers: list[Any] = [record.get(name, default) for name, default in _NUMBERS]
    if not all(isinstance(n, int) for n in numbers):  # a field of an illegal length has octets for a value
        return "type information without a number, type, enterprise or semantics that can be read"
    number, code, pen, semantics = numbers
    id = number & 0x7FFF
    if id == 0:
        return f"type information for the reserved number {pen}/0"
    name = _name(record)
    if name is None:
        return f"type information for {pen}/{id} with a name or description that is not text"
    data_type = DataType.from_code(code)
    if code == data_type.code and not is_pair(data_type, semantics):
        return f"type information for {pen}/{id}: semantics {semantics} cannot be said of {data_type}"
    known = registry.get(pen, id)
    if known.is_known:
        if known.type is data_type:
            return None
        return f"type information for {pen}/{id} says {data_type}, but {known.name} is {known.type}"
    owner = registry.find(name)
    if not name or (owner is not None and owner.name == name and owner.pen in (0, REVERSE_PEN)):
        name = unknown_name(pen, id)
    units = record.get("informationElementUnits")
    units = units if isinstance(units, int) else 0
    return InformationElement(pen, id, name, data_type, semantics, units, _range(record))


def is_pair(data_type: DataType, semantics: int) -> bool:
    """Whether such semantics can be said of the type (RFC 5610 §3.10); numbers nobody knows can be said of all."""
    if semantics == Semantics.DEFAULT or semantics > max(Semantics):
        return True
    if data_type.is_list or semantics == Semantics.LIST:
        return data_type.is_list and semantics == Semantics.LIST
    if semantics == Semantics.FLAGS or semantics in _COUNTERS:
        return data_type.is_unsigned
    if semantics == Semantics.IDENTIFIER:
        return data_type.is_integer
    return data_type.is_numeric


def _name(record: Mapping[str, Any]) -> str | None:
    """The usable name, "" if there is none, None if what was sent is not text."""
    for column in ("informationElementName", "informationElementDescription"):
        text = record.get(column, "")
        if not isinstance(text, str) or "\0" in text:  # None = ill-formed UTF-8; U+0000 is forbidden (§3.1-2)
            return None
    return clean_name(str(record.get("informationElementName", "")))


def _range(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """The inclusive range, if both ends were sent and say something."""
    low, high = record.get("informationElementRangeBegin"), record.get("informationElementRangeEnd")
    return (low, high) if isinstance(low, int) and isinstance(high, int) and low < high else None
