"""NetFlow in the words of IPFIX: what records of versions 1 to 9 say with elements that IPFIX has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.batch import Batch
from headwater.batch.from_netflow import fields_of
from headwater.batch.schema import Column, Schema
from headwater.batch.to_netflow_report import NetflowReport
from headwater.model.element import NETFLOW_PEN
from headwater.model.template import Field, Template

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry

_SAME: Final = {
    40000: 371, 40001: 225, 40002: 226, 40003: 227, 40004: 228, 40005: 233,  # ASA, before IANA had these
    56701: 96, 56702: 371,  # Palo Alto: applicationName, userName
}  # fmt: skip
_CISCO: Final = 9
_CISCO_TYPES: Final = range(33000, 34004)
_VENDORS: Final = 0x8000  # what Cisco sends as type 32768 + n is its element n in IPFIX
_NO_ELEMENT: Final = (0, 0)
_TIMES: Final = {(0, 22): ("flowStart", 152), (0, 21): ("flowEnd", 153)}
"""flowStartSysUpTime, flowEndSysUpTime: what they count from is told by headers that IPFIX has not."""
RESOLVED: Final = ("flowStart", "flowEnd", "flowDuration", "timeSource")
"""The columns that `resolve_time` adds."""
_ENDS: Final = {"flowStart": 156, "flowEnd": 157}


@dataclass(frozen=True, slots=True, eq=False)
class Translated:
    """Columns for a Template that IPFIX can say. left_out: names of columns, and why it has no word for them."""

    template: Template
    columns: Mapping[str, Any]
    left_out: tuple[tuple[str, str], ...]


def translated(batch: Any, registry: Registry, domain: int | None = None) -> Translated | None:
    """The records of a Batch as IPFIX has them; None if they are so already, as all that is no Batch.

    domain: what stands for the System that options are about; None = that of the batch.

    Times since the exporter began become milliseconds since 1970 where the batch has flowStart and flowEnd
    (`resolve_time`) for all records. These columns themselves go in only if there is no other start or end.
    """
    if not isinstance(batch, Batch):
        return None
    is_resolved = any(name in batch.schema.names for name in RESOLVED)
    if not is_resolved and not any(_is_netflow(field, registry) for field in batch.template.fields):
        return None
    report = NetflowReport()
    elements = dict(_vendors(batch.template, registry))
    system = batch.domain or 0 if domain is None else domain
    settled = _with_settled_times(batch, registry) if is_resolved else batch
    made = fields_of(settled, "given", system, elements, registry, report)
    fields = [*made.scope, *made.others]
    template = Template(batch.template.id, tuple([field for field, _ in fields]), len(made.scope))
    columns = dict(zip(template.column_names, [values for _, values in fields], strict=True))
    return Translated(template, columns, tuple(report.columns))


def _with_settled_times(batch: Batch, registry: Registry) -> Batch:
    """The batch with elements in place of the columns of `resolve_time`, each where the uptime was that it tells."""
    kept: list[tuple[Column, Values]] = []
    for column in batch.schema:
        key = (0, 0) if column.element is None else column.element.key
        resolved, id = _TIMES.get(key, ("", 0))
        if resolved in batch.schema.names and not np.ma.is_masked(batch[resolved]):
            kept.append(_time(resolved, batch[resolved], registry.get(0, id)))
        elif column.name not in RESOLVED or column.element is not None:
            kept.append((column, batch[column.name]))
        elif _is_only(column.name, batch):
            kept.append(_time(column.name, batch[column.name], registry.get(0, _ENDS[column.name])))
    schema = Schema(tuple([column for column, _ in kept]))
    return batch.with_columns(batch.template, schema, [values for _, values in kept])


def _time(name: str, values: Any, element: InformationElement) -> tuple[Column, Values]:
    """A resolved time as an element."""
    return Column(name, element.type, element, element.type.width), values.astype(element.type.numpy)


def _is_only(name: str, batch: Batch) -> bool:
    """Whether a resolved time is known, and the only start or end that there is."""
    if name not in _ENDS or any(other != name and other.startswith(name) for other in batch.schema.names):
        return False
    times = batch[name]
    return isinstance(times, np.ndarray) and not np.ma.getmaskarray(times).all()


def _is_netflow(field: Field, registry: Registry) -> bool:
    """Whether IPFIX cannot say a field: no such element, or an integer that is longer than it may be there."""
    element = field.element
    if element.pen >= NETFLOW_PEN or element.key == _NO_ELEMENT:
        return True
    return element.type.is_integer and field.length > registry.get(*element.key).type.width > 0


def _vendors(template: Template, registry: Registry) -> Iterator[tuple[int, InformationElement]]:
    """What types that vendors took for themselves are in IPFIX."""
    for field in template.fields:
        element = field.element
        if element.pen == NETFLOW_PEN and element.id in _SAME:
            yield element.id, registry.get(0, _SAME[element.id])
        elif element.pen == NETFLOW_PEN and element.id in _CISCO_TYPES:
            yield element.id, replace(element, pen=_CISCO, id=element.id - _VENDORS)
