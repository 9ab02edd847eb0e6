"""Records of any kind with Templates of NetFlow v9: types of 16 bits, lengths that are fixed, five scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.batch.strings import Strings
from headwater.batch.to_netflow_fields import Fields
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_samplers import as_samplers
from headwater.batch.to_netflow_source import DERIVED, Converted, Flat, Overflow, Source, count_values
from headwater.batch.to_netflow_text import TEXT_OCTETS, common_size, fixed_size, report_ill_formed
from headwater.batch.to_netflow_times import (
    FLOW_TIMES,
    ILLEGAL_LENGTH,
    RESERVED,
    flow_times,
    has_flow_times,
    to_uptimes,
)
from headwater.errors import EncodeError
from headwater.model.element import NETFLOW_SCOPE_PEN
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE
from headwater.wire.dialect import FIRST_DATA_SET
from headwater.wire.netflow_out import write_netflow_template

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.model.registry import Registry

_INIT: Final = 160
_UPTIME: Final = (22, 21)
_MILLISECONDS: Final = (152, 153)
_WHOLE_LENGTHS: Final = {3: 4, 5: 8, 6: 8, 7: 8}
"""Octets that integers of these lengths get: collectors of NetFlow read 1, 2, 4 and 8."""
_SYSTEM: Final = (NETFLOW_SCOPE_PEN, 1)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of to_netflow9; uses_uptime: times="uptime"."""

    booted_ms: int
    uses_uptime: bool
    overflow: Overflow
    text_octets: int | Mapping[str, int]
    registry: Registry

    def octets(self, name: str, *, is_text: bool) -> int | None:
        """What a column of variable length gets; None = nobody has said."""
        if isinstance(self.text_octets, Mapping):
            return self.text_octets.get(name, TEXT_OCTETS if is_text else None)
        return self.text_octets if is_text else None


def converted(source: Source, wishes: Wishes, report: NetflowReport) -> list[Converted]:
    """The records that have any value NetFlow v9 can say."""
    report.given += source.count
    report_ill_formed(source, report)
    source = as_samplers(source)
    making = _Making(source, wishes, report)
    making.all()
    return making.fields.parts(source.count, "NetFlow v9", report)


@dataclass(slots=True)
class _Making:
    """Makes one field after the other."""

    source: Source
    wishes: Wishes
    report: NetflowReport
    fields: Fields = field(default_factory=Fields)

    def all(self) -> None:
        """All fields, scope first; the times of flows where the first column of them is."""
        incoming = self.source.incoming
        times_done = not has_flow_times(self.source)
        for index, element in enumerate(incoming.elements):
            is_time = element.pen == 0 and element.id in FLOW_TIMES and incoming.types[index] is element.type
            if is_time and not times_done:
                times_done = True
                self._times()
            elif not is_time:
                self._column(index)
        if not times_done:  # derived ones only
            self._times()
        for name, values in self.source.others.items():
            if name not in DERIVED:
                self.report.column(name, "no Information Element", count_values(values))
        if incoming.scope_count and not self.fields.scope:
            system = self.wishes.registry.get(*_SYSTEM)
            self.fields.scope.append((Field(system, system.type.width), np.zeros(self.source.count, np.uint32)))

    def _times(self) -> None:
        times, booted = flow_times(self.source, self.report), self.wishes.booted_ms
        known = np.concatenate([ms[~unknown] for ms, unknown in zip(times.ms, times.unknown, strict=True)])
        # what would have to be moved keeps its time in the other elements, unless they cannot say it either
        is_early = self.wishes.overflow == "saturate" and (known < booted).any() and not (known < 0).any()
        uses_uptime = self.wishes.uses_uptime and not is_early
        ids = _UPTIME if uses_uptime else _MILLISECONDS
        columns: tuple[Flat, Flat] = times.ms[0].view("M8[ms]"), times.ms[1].view("M8[ms]")
        if uses_uptime:
            columns = to_uptimes(times, self.wishes.booted_ms, self.source, self.wishes.overflow, self.report)
        for id, values, unknown in zip(ids, columns, times.unknown, strict=True):
            if not unknown.all() or not len(unknown):
                element = self.wishes.registry.get(0, id)
                column = np.ma.MaskedArray(values, unknown) if unknown.any() else values
                self.fields.others.append((Field(element, element.type.width), column))

    def _column(self, index: int) -> None:
        incoming = self.source.incoming
        element, name, values = incoming.elements[index], incoming.names[index], incoming.values[index]
        length = incoming.lengths[index]
        if incoming.types[index].is_list:
            self._left_out(index, "a list, which NetFlow v9 does not have")
            return
        if incoming.types[index] is not element.type or not element.id:
            self._left_out(index, ILLEGAL_LENGTH if element.id else RESERVED)
            return
        if length is None:
            length = element.type.default_length
        if length == VARIABLE:
            made = self._fixed(values, name) if isinstance(values, Strings) else None
            if made is None:
                self._left_out(index, "variable length, which NetFlow v9 does not have; text_octets can give it one")
                return
            values, length = made, (len(made.data) // len(made) if len(made) else 1)
        if element.key == (0, _INIT) and self.wishes.uses_uptime:
            self.report.value(name, "the boot that the header tells stands for it", self.source.filled(index))
            values = np.full(len(values), self.wishes.booted_ms, "M8[ms]")
        if element.type.is_integer:
            length = _WHOLE_LENGTHS.get(length, length)
        self._put(index, Field(element, length), values)

    def _fixed(self, values: Strings, name: str) -> Strings | None:
        octets = self.wishes.octets(name, is_text=values.is_text)
        if octets is None:
            octets = common_size(values)
        return fixed_size(values, octets, name, self.report) if octets else None

    def _put(self, index: int, of: Field, values: Values) -> None:
        """As scope, as an ordinary field, or not at all."""
        name = self.source.incoming.names[index]
        is_scope = index < self.source.incoming.scope_count
        if is_scope and not _refusal(Template(FIRST_DATA_SET, (of,), 1), self.wishes.registry):
            self.fields.scope.append((of, values))
            return
        why = _refusal(Template(FIRST_DATA_SET, (of,)), self.wishes.registry)
        if why:
            self._left_out(index, why)
            return
        if is_scope:
            self.report.value(name, "no scope of NetFlow v9, told as a field", self.source.filled(index))
        self.fields.others.append((of, values))

    def _left_out(self, index: int, why: str) -> None:
        self.report.column(self.source.incoming.names[index], why, self.source.filled(index))


def _refusal(template: Template, registry: Registry) -> str:
    """Why NetFlow v9 cannot say it, "" if it can."""
    try:
        write_netflow_template(template, registry)
    except EncodeError as no:
        return str(no)
    return ""
