"""One Observation Domain of an exporting session: its Templates, what has been sent, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater.errors import EncodeError
from headwater.model.registry import Registry
from headwater.model.template import Template
from headwater.session.export_options import type_octets, type_template
from headwater.session.export_tally import Tally
from headwater.session.export_templates import ExportedTemplates
from headwater.session.open_message import Item, Kind, Part
from headwater.wire.dialect import IPFIX, Dialect
from headwater.wire.netflow_out import write_netflow_template
from headwater.wire.templates import write_template

if TYPE_CHECKING:
    from headwater.model.element import InformationElement

_ENTERPRISES = 1 << 32
_ELEMENTS = 1 << 15


@dataclass(slots=True)
class ExportDomain:
    """refreshed: when all Templates were sent last. since: Messages with data after that.

    described: elements whose type information has been sent here, by (pen, id).
    """

    id: int
    templates: ExportedTemplates
    tally: Tally
    refreshed: float = -math.inf
    since: int = 0
    described: dict[tuple[int, int], InformationElement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Messages back to back whose headers are empty.

    records, templates: int32[k], Data Records and Template records in each. flows: Data Records in all that are no
    options.
    """

    buffer: npt.NDArray[np.uint8]
    begin: npt.NDArray[np.int32]
    records: npt.NDArray[np.int32]
    templates: npt.NDArray[np.int32]
    flows: int = 0

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Laid:
        """The Messages of `parts`."""
        parts = list(parts)
        return cls(
            np.frombuffer(bytearray(b"".join(part.octets for part in parts)), np.uint8),
            np.array(list(accumulate((len(part.octets) for part in parts), initial=0)), np.int32),
            np.array([part.records for part in parts], np.int32),
            np.array([part.templates for part in parts], np.int32),
            sum(part.flows for part in parts),
        )

    def __len__(self) -> int:
        return len(self.records)

    def repeated(self, times: int) -> Laid:
        """The same Messages so many times."""
        size = int(self.begin[-1])
        begin = (np.arange(times, dtype=np.int32)[:, None] * size + self.begin[:-1]).ravel()
        return Laid(
            np.tile(self.buffer, times),
            np.append(begin, np.int32(times * size)),
            np.tile(self.records, times),
            np.tile(self.templates, times),
            self.flows * times,
        )


def announcement(
    domain: ExportDomain,
    templates: Iterable[Template],
    elements: Iterable[InformationElement],
    dialect: Dialect,
    registry: Registry,
) -> Iterator[Item]:
    """What is sent before data: type information first, so that the elements are known when Templates name them."""
    given = list(templates)
    describing = list(elements)
    if describing:
        types = domain.templates.put(type_template(), None, domain.refreshed)
        if types in given or types in domain.templates.pending():
            yield _template_item(types, dialect, registry)
        given = [template for template in given if template is not types]
        for element in describing:
            yield Item(types.id, type_octets(element), Kind.OPTION)
    for is_options in (False, True):
        for template in given:
            if bool(template.scope_count) is is_options:
                yield _template_item(template, dialect, registry)


def template_octets(template: Template, dialect: Dialect, registry: Registry) -> bytes:
    """One (Options) Template record. Raises EncodeError for what the protocol cannot say."""
    if not template.min_length:
        raise EncodeError("a Template needs a field with octets; records of none cannot be told apart")
    if dialect is not IPFIX:
        return write_netflow_template(template, registry)
    for field_ in template.fields:
        element = field_.element
        if not 0 <= element.pen < _ENTERPRISES or not 0 < element.id < _ELEMENTS:
            detail = f"{element.name} ({element.number}) has no number in IPFIX: it exists in NetFlow only"
            raise EncodeError(detail, column=element.name)
    return write_template(template)


def _template_item(template: Template, dialect: Dialect, registry: Registry) -> Item:
    assert dialect.template_sets is not None
    set_id = dialect.template_sets[bool(template.scope_count)]
    return Item(set_id, template_octets(template, dialect, registry), Kind.TEMPLATE)
