"""Batches of NetFlow as what IPFIX can say, so that they can be sent on (RFC 5655 Appendix B.2).

    for part in from_netflow(batch, report=report):
        template = session.template(part.template, domain)

The sequence numbers of NetFlow v9 count packets, and its headers tell an uptime: an ExportSession of IPFIX counts the
records it sends, and times become absolute ones. Of types above 32767 only those go on that are an enterprise's
elements; the others would be taken for elements of whatever enterprise the next octets name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from headwater.batch.to_netflow_fields import Fields
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_source import DERIVED, Converted, Flat, Source, count_values, missing
from headwater.batch.to_netflow_text import report_ill_formed
from headwater.batch.to_netflow_times import FLOW_TIMES, ILLEGAL_LENGTH, RESERVED, flow_times, has_flow_times
from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, InformationElement
from headwater.model.template import Field

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.lists import Values
    from headwater.model.registry import Registry

_SYSTEM: Final = 1
_SCOPES: Final = {_SYSTEM: 149, 2: 10, 3: 141, 4: 143, 5: 145}
"""Elements of IPFIX by scope type: observationDomainId for the whole device, meteringProcessId for a cache."""
_INIT: Final = 160
_MILLISECONDS: Final = (152, 153)
_HEADER: Final = ("exportTime", "sysUpTime")
"""Provenance columns that tell when the device was booted."""


def from_netflow(
    batch: Batch,
    *,
    times: Literal["absolute", "uptime"] = "absolute",
    domain: int | None = None,
    elements: Mapping[int, InformationElement] | None = None,
    registry: Registry | None = None,
    report: NetflowReport | None = None,
) -> list[Converted]:
    """Records with Templates that IPFIX can say, one for each set of columns that have values together.

    times: of flows, "absolute" = in milliseconds; "uptime" = as they were, with systemInitTimeMilliseconds in each
    record, for which the batch has to have the provenance columns exportTime and sysUpTime.
    domain: what the scope System is about; None = the domain of the batch. elements: of IPFIX, by types above 32767.
    report: gets what could not be told. Raises EncodeError: times that only their own header explains, no domain.
    """
    if times not in ("uptime", "absolute"):
        raise EncodeError(f"times={times!r}: it is 'absolute' or 'uptime'")
    told = NetflowReport() if report is None else report
    told.given += batch.num_rows
    known = registries.IANA if registry is None else registry
    fields = fields_of(batch, times, batch.domain if domain is None else domain, elements or {}, known, told)
    return fields.parts(batch.num_rows, "IPFIX", told)


def fields_of(
    batch: Batch,
    times: Literal["absolute", "uptime", "given"],
    domain: int | None,
    elements: Mapping[int, InformationElement],
    registry: Registry,
    report: NetflowReport,
) -> Fields:
    """What `from_netflow` makes, with nulls in it. times: "given" = as they are, and nothing is told of a boot."""
    source = Source.of(batch)
    report_ill_formed(source, report)
    making = _Making(source, registry, elements, domain, report)
    making.all(times)
    return making.fields


@dataclass(slots=True)
class _Making:
    """Makes one field after the other."""

    source: Source
    registry: Registry
    elements: Mapping[int, InformationElement]
    domain: int | None
    report: NetflowReport
    fields: Fields = field(default_factory=Fields)

    def all(self, times: Literal["absolute", "uptime", "given"]) -> None:
        """All fields, scope first; the times of flows where the first column of them is."""
        incoming = self.source.incoming
        times_done = not has_flow_times(self.source)
        for index, element in enumerate(incoming.elements):
            is_time = element.pen == 0 and element.id in FLOW_TIMES and incoming.types[index] is element.type
            if not (is_time and times == "absolute"):
                self._column(index)
            elif not times_done:
                self._times()
                times_done = True
        if times == "uptime" and has_flow_times(self.source):
            self._boot()
        for name, values in self.source.others.items():
            if name not in DERIVED and (times == "given" or name not in _HEADER):
                self.report.column(name, "no Information Element", count_values(values))
        if incoming.scope_count and not self.fields.scope:
            self._system()

    def _times(self) -> None:
        times = flow_times(self.source, self.report)
        for id, ms, unknown in zip(_MILLISECONDS, times.ms, times.unknown, strict=True):
            if not unknown.all() or not len(unknown):
                element = self.registry.get(0, id)
                values: Flat = ms.view(element.type.numpy)
                column = np.ma.MaskedArray(values, unknown) if unknown.any() else values
                self.fields.others.append((Field(element, element.type.width), column))

    def _boot(self) -> None:
        """The time of the boot, from the Export Time and the uptime of each record's Message."""
        export, uptime = (self.source.others.get(name) for name in _HEADER)
        if not isinstance(export, np.ndarray) or not isinstance(uptime, np.ndarray) or missing(uptime).any():
            why = "the batch has to have the provenance columns exportTime and sysUpTime, which tell what uptimes mean"
            raise EncodeError(why, column="sysUpTime")
        booted = np.ma.getdata(export).view(np.int64) * 1000 - np.ma.getdata(uptime).astype(np.int64)
        element = self.registry.get(0, _INIT)
        self.fields.others.append((Field(element, element.type.width), booted.view(element.type.numpy)))

    def _column(self, index: int) -> None:
        incoming = self.source.incoming
        element, values, length = incoming.elements[index], incoming.values[index], incoming.lengths[index]
        made: tuple[Field, Values] | None
        if element.pen == NETFLOW_SCOPE_PEN:
            if element.id == _SYSTEM:
                self._system()
                return
            made = self._narrowed(index, self.registry.get(0, _SCOPES.get(element.id, 0)))
        elif element.pen == NETFLOW_PEN:
            own = self.elements.get(element.id)
            if own is None:
                self._left_out(index, f"{element.number} has no element of IPFIX; elements={{…}} can name one")
                return
            made = self._narrowed(index, own)
        elif not element.id:
            self._left_out(index, RESERVED)
            return
        elif length is None:
            made = Field(element, element.type.default_length), values
        else:
            made = self._narrowed(index, self._as_long_as_native(element))
        if made is None:
            self._left_out(index, ILLEGAL_LENGTH if length else "no octets, so no value")
        elif index < incoming.scope_count:
            self.fields.scope.append(made)
        else:
            self.fields.others.append(made)

    def _as_long_as_native(self, element: InformationElement) -> InformationElement:
        """The element as IPFIX has it, where NetFlow has a longer integer; as it is if only its reader knows it."""
        native = self.registry.get(*element.key)
        return native if native.type.is_integer and element.type.is_integer else element

    def _narrowed(self, index: int, element: InformationElement) -> tuple[Field, Values] | None:
        """The column as one of an element; None if values of that length cannot be it.

        NetFlow v9 has integers longer than native; those that do not fit are left out, and told.
        """
        incoming = self.source.incoming
        values, type, length = incoming.values[index], incoming.types[index], incoming.lengths[index]
        if length is not None and type is element.type and element.type.accepts(length):
            return (Field(element, length), values) if length else None
        if not (type.is_integer and element.type.is_integer) or not length or not isinstance(values, np.ndarray):
            return None
        plain = np.ma.getdata(values)
        cast = plain.astype(element.type.numpy)
        over = (cast.astype(plain.dtype) != plain) & ~missing(values)
        self.report.column(incoming.names[index], f"more than {element.type} holds", int(np.count_nonzero(over)))
        unknown = over | missing(values)
        column = np.ma.MaskedArray(cast, unknown) if unknown.any() else cast
        return Field(element, min(length, element.type.width)), column

    def _system(self) -> None:
        """The scope that is the device as a whole: what it sends as one Observation Domain."""
        if self.domain is None:
            detail = "options about the System are of several domains: give one, or decode each by itself"
            raise EncodeError(detail, column="v9System")
        element = self.registry.get(0, _SCOPES[_SYSTEM])
        column = np.full(self.source.count, self.domain, element.type.numpy)
        self.fields.scope.append((Field(element, element.type.width), column))

    def _left_out(self, index: int, why: str) -> None:
        self.report.column(self.source.incoming.names[index], why, self.source.filled(index))
