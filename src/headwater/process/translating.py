"""NetFlow in the words of IPFIX: what records of versions 1 to 9 say with elements that IPFIX has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.batch import Batch
from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN
from headwater.model.template import Field, Template

if TYPE_CHECKING:
    from headwater.batch.schema import Column
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry

_SCOPES: Final = {1: 149, 2: 10, 3: 141, 4: 143, 5: 145}
"""Scope types (RFC 3954 §6.1): System is observationDomainId, Interface ingressInterface, Line Card lineCardId, Cache
meteringProcessId, Template templateId, which RFC 7011 §3.4.2.1 wants to be known as scope."""
_SYSTEM: Final = (NETFLOW_SCOPE_PEN, 1)
_SAME: Final = {
    40000: 371, 40001: 225, 40002: 226, 40003: 227, 40004: 228, 40005: 233,  # ASA, before IANA had these
    56701: 96, 56702: 371,  # Palo Alto: applicationName, userName
}  # fmt: skip
_CISCO: Final = 9
_CISCO_TYPES: Final = range(33000, 34004)
_NO_ELEMENT: Final = (0, 0)
_VENDORS: Final = 0x8000  # what Cisco sends as type 32768 + n is its element n in IPFIX
_TIMES: Final = {(0, 22): ("flowStart", 152), (0, 21): ("flowEnd", 153)}
"""flowStartSysUpTime, flowEndSysUpTime: what they count from is told by headers that IPFIX has not."""
RESOLVED: Final = ("flowStart", "flowEnd", "flowDuration", "timeSource")
"""The columns that `resolve_time` adds."""
_ENDS: Final = {"flowStart": 156, "flowEnd": 157}


@dataclass(frozen=True, slots=True, eq=False)
class Translated:
    """Columns for a Template that IPFIX can say. left_out: names of columns that it has no element for."""

    template: Template
    columns: Mapping[str, Any]
    left_out: tuple[str, ...]


def translated(batch: Any, registry: Registry, domain: int | None = None) -> Translated | None:
    """The records of a Batch as IPFIX has them; None if they are so already, as all that is no Batch.

    domain: what stands for the System that options are about; None = that of the batch.

    Times since the exporter began become milliseconds since 1970 where the batch has flowStart and flowEnd
    (`resolve_time`) for all records. These columns themselves go in only if there is no other start or end.
    """
    if not isinstance(batch, Batch):
        return None
    names = batch.schema.names
    if not any(name in names for name in RESOLVED) and not any(_is_netflow(f, registry) for f in batch.template.fields):
        return None
    scope = batch.template.column_names[: batch.template.scope_count]
    made: list[tuple[Field, Any]] = []
    left_out: list[str] = []
    count = 0
    for column in _scope_first(batch, scope):
        if column.name in RESOLVED and column.element is None and not _is_only(column.name, batch):
            continue
        said = _said(column, batch, registry, batch.domain if domain is None else domain)
        if said is None:
            left_out.append(column.name)
        else:
            made.append(said)
            count += column.name in scope
    template = Template(batch.template.id, tuple([field for field, _ in made]), count)
    values = [column_values for _, column_values in made]
    return Translated(template, dict(zip(template.column_names, values, strict=True)), tuple(left_out))


def _said(column: Column, batch: Batch, registry: Registry, domain: int | None) -> tuple[Field, Any] | None:
    """The field and the values of a column; None if IPFIX has no word for it."""
    if column.element is None:
        element = registry.get(0, _ENDS[column.name]) if column.name in _ENDS else None
    elif column.element.key == _SYSTEM:
        element = registry.get(0, _SCOPES[column.element.id])
        return Field(element, element.type.width), np.full(batch.num_rows, domain or 0, element.type.numpy)
    else:
        element = _element(column.element, registry)
    if element is None or column.length == 0:
        return None
    resolved, id = _TIMES.get(element.key, ("", 0))
    if resolved in batch.schema.names and not np.ma.is_masked(batch[resolved]):
        element = registry.get(0, id)
        return Field(element, element.type.width), batch[resolved]
    return Field(element, _length(element, column)), batch[column.name]


def _is_only(name: str, batch: Batch) -> bool:
    """Whether a resolved time is known, and the only start or end that there is."""
    if name not in _ENDS or any(other != name and other.startswith(name) for other in batch.schema.names):
        return False
    times = batch[name]
    return not (isinstance(times, np.ma.MaskedArray) and np.ma.getmaskarray(times).all())


def _scope_first(batch: Batch, scope: tuple[str, ...]) -> list[Column]:
    return sorted(batch.schema, key=lambda column: column.name not in scope)


def _is_netflow(field: Field, registry: Registry) -> bool:
    """Whether IPFIX cannot say a field: no such element, or an integer that is longer than it may be there."""
    element = field.element
    if element.pen >= NETFLOW_PEN or element.key == _NO_ELEMENT:
        return True
    return element.type.is_integer and field.length > registry.get(*element.key).type.width > 0


def _element(element: InformationElement, registry: Registry) -> InformationElement | None:
    """The element that IPFIX has for it."""
    if element.pen == NETFLOW_SCOPE_PEN:
        return registry.get(0, _SCOPES[element.id]) if element.id in _SCOPES else None
    if element.pen == NETFLOW_PEN:
        if element.id in _SAME:
            return registry.get(0, _SAME[element.id])
        return replace(element, pen=_CISCO, id=element.id - _VENDORS) if element.id in _CISCO_TYPES else None
    return None if element.key == _NO_ELEMENT else registry.get(*element.key)


def _length(element: InformationElement, column: Column) -> int:
    """Octets on the wire: those that the column came in, but of integers no more than the type has."""
    if column.length is None:
        return element.type.default_length
    return min(column.length, element.type.width) if column.type.is_integer else column.length
