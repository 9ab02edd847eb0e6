"""Option records that an Exporting Process makes itself (RFC 5610 §3.9, RFC 7011 §4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from headwater.model import registry as registries
from headwater.model.element import REVERSE_PEN, InformationElement, Semantics
from headwater.model.template import Field, Template
from headwater.model.type_information import is_pair
from headwater.wire.record_out import write_record

_TYPE_INFORMATION: Final = (
    (346, 4), (303, 2), (339, 1), (344, 1), (345, 2), (342, 8), (343, 8), (341, 65535), (340, 65535),
)  # fmt: skip
"""privateEnterpriseNumber and informationElementId are the scope; type, semantics, units, range, name and description
follow. The last is always empty, but libfixbuf 2.4 learns from records that have it only."""
_STATISTICS: Final = ((149, 4), (41, 8), (42, 8), (40, 8))
"""observationDomainId is the scope; the totals of Messages, Flow Records and octets follow."""


@cache
def type_template() -> Template:
    """The Options Template of type information records."""
    return _template(_TYPE_INFORMATION, scope=2)


@cache
def statistics_template() -> Template:
    """The Metering Process Statistics Options Template (RFC 7011 §4.1)."""
    return _template(_STATISTICS, scope=1)


def to_describe(templates: Iterable[Template]) -> Iterator[InformationElement]:
    """The elements of Templates that no collector need know: enterprises' own, if we know them ourselves."""
    for template in templates:
        for field in template.fields:
            if field.element.pen not in (0, REVERSE_PEN) and field.element.is_known:
                yield field.element


def type_octets(element: InformationElement) -> bytes:
    """The type information record of an element; 0 to 0 stands for no range."""
    begin, end = element.range or (0, 0)
    # "semantics … inappropriate for the type" make collectors ignore the record (§3.10): then none is said
    semantics = element.semantics if is_pair(element.type, element.semantics) else int(Semantics.DEFAULT)
    record = {
        "privateEnterpriseNumber": element.pen,
        "informationElementId": element.id,
        "informationElementDataType": element.type.code,
        "informationElementSemantics": semantics,
        "informationElementUnits": element.units,
        "informationElementRangeBegin": max(begin, 0),
        "informationElementRangeEnd": max(end, 0),
        "informationElementName": element.name,
        "informationElementDescription": "",
    }
    return write_record(type_template(), record)


def _template(layout: tuple[tuple[int, int], ...], *, scope: int) -> Template:
    return Template(0, tuple(Field(registries.IANA.get(0, id), length) for id, length in layout), scope)
