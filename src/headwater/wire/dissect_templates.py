"""(Options) Template records taken apart octet by octet (RFC 7011 §3.4, RFC 3954 §5.2, §6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from headwater.errors import DecodeError, Fault, FaultKind
from headwater.model.element import NETFLOW_SCOPE_PEN
from headwater.model.netflow import netflow_key, widened
from headwater.model.template import Field, Template
from headwater.wire.dialect import IPFIX, OPTIONS_TEMPLATE_SET, TEMPLATE_SET, Dialect
from headwater.wire.dissect_records import specifier
from headwater.wire.netflow import read_netflow_templates
from headwater.wire.parts import Part, PartKind, PartMaker, counted, filling, padding
from headwater.wire.templates import Specifier, TemplateRecord, read_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.model.registry import Registry

_WITHDRAW_ALL: Final = {TEMPLATE_SET: "all Templates", OPTIONS_TEMPLATE_SET: "all Options Templates"}
_FAULTY_NUMBER: Final = {FaultKind.TEMPLATE_ID: 0, FaultKind.TEMPLATE_OVERRUN: 1, FaultKind.TEMPLATE_EMPTY: 1}
"""Which number of a template record is wrong: its id, its Field Count; else the one after it, if there is one."""
_SPECIFIER: Final = 4


@dataclass(slots=True)
class Templates:
    """Templates of one Observation Domain by id; changes as the Message is read."""

    registry: Registry
    known: dict[int, Template] = field(default_factory=dict)

    def template(self, id: int) -> Template | None:
        """The Template of that id, or None."""
        return self.known.get(id)


@dataclass(slots=True)
class TemplateDissection:
    """Takes Template Sets apart; positions are those of `make`. What the Templates say is put into `scope`.

    has_withdrawals: whether a withdrawal is obeyed (RFC 7011 §8.1); over UDP it "MUST be ignored" (§8.4).
    """

    make: PartMaker
    scope: Templates
    dialect: Dialect
    has_withdrawals: bool

    def records(self, start: int, end: int, *, options: bool) -> Iterator[Part]:
        """The body of one Set."""
        make, body, stop = self.make, start, start
        read = read_templates if self.dialect is IPFIX else read_netflow_templates
        try:
            for record in read(make.octets[body:end], options=options):
                if make.left <= 0:
                    yield from make.unread(stop, end, "more Templates, not taken apart")
                    return
                fault = self._fault_of(record, body)
                part, stop = self._record(body + record.at, end, options=options, fault=fault)
                yield part
                self._apply(record, options=options)
        except DecodeError as bad:
            at = body + bad.offset
            fault = make.fault(bad.kind or FaultKind.TEMPLATE_OVERRUN, at, str(bad))
            part, stop = self._record(at, end, options=options, fault=fault)
            yield part
            yield from make.unread(stop, end, "after the broken Template")
            return
        if stop < end:
            yield (padding if self.dialect is IPFIX else filling)(make, stop, end)

    def _fault_of(self, record: TemplateRecord, body: int) -> Fault | None:
        if self.dialect is IPFIX or record.specifiers:
            return None
        detail = f"Template {record.id} has no fields; {self.dialect.name} has no withdrawals"
        return self.make.fault(FaultKind.TEMPLATE_EMPTY, body + record.at + 2, detail)

    def _field(self, spec: Specifier) -> Field:
        pen, id, length = spec
        registry = self.scope.registry
        if self.dialect is IPFIX:
            return Field(registry.get(pen, id), length)
        element = registry.get(*((pen, id) if pen else netflow_key(id, registry)))
        return Field(widened(element, length), length)

    def _apply(self, record: TemplateRecord, *, options: bool) -> None:
        known = self.scope.known
        if record.specifiers:
            known[record.id] = Template(record.id, tuple(map(self._field, record.specifiers)), record.scope_count)
        elif self.dialect is not IPFIX or not self.has_withdrawals:
            return
        elif record.id in _WITHDRAW_ALL:
            self.scope.known = {id: t for id, t in known.items() if (t.scope_count > 0) != options}
        else:
            known.pop(record.id, None)

    def _record(self, start: int, end: int, *, options: bool, fault: Fault | None) -> tuple[Part, int]:
        """(a record, as much of it as there is; where it ends). fault: what is wrong with it."""
        if self.dialect is IPFIX:
            return self._ipfix(start, end, options=options, fault=fault)
        return self._netflow(start, end, options=options, fault=fault)

    def _ipfix(self, start: int, end: int, *, options: bool, fault: Fault | None) -> tuple[Part, int]:
        make = self.make
        id, count = make.integer(start, 2), make.integer(start + 2, 2)
        faults = _by_number(fault, 2)
        all_text = f"{id} ({_WITHDRAW_ALL[id]})" if not count and id in _WITHDRAW_ALL else ""
        parts = [
            make.number(start, 2, "Template ID", all_text, faults[0]),
            make.number(start + 2, 2, "Field Count", "" if count else "0 (withdrawal)", faults[1]),
        ]
        at, scopes = start + 4, 0
        if options and count and end - at >= 2:
            scopes = make.integer(at, 2)
            parts.append(make.number(at, 2, "Scope Field Count", faults=faults[2]))
            at += 2
        for i in range(count):
            width = 8 if at < end and make.octets[at] & 0x80 else _SPECIFIER
            if end - at < width:
                break
            parts.append(specifier(make, self.scope.registry, at, width, is_scope=i < scopes))
            at += width
        if not count:
            name = f"withdrawal of {_WITHDRAW_ALL.get(id, f'Template {id}')}"
            return make.part(PartKind.TEMPLATE, start, at, name, value=id, parts=parts), at
        return self._named(id, start, at, parts, count, options=options)

    def _netflow(self, start: int, end: int, *, options: bool, fault: Fault | None) -> tuple[Part, int]:
        """Option Scope Length and Option Length are in octets (RFC 3954 §6.1)."""
        make = self.make
        id, count, scopes, at = make.integer(start, 2), make.integer(start + 2, 2), 0, start + 4
        if not options:
            faults = _by_number(fault, 1)
            parts = [
                make.number(start, 2, "Template ID", faults=faults[0]),
                make.number(start + 2, 2, "Field Count", faults=faults[1]),
            ]
        else:
            # the length that is no multiple of 4; of two that are too long together, the second
            lengths = make.integer(start + 2, 2), make.integer(start + 4, 2)
            which = 1 if lengths[0] % _SPECIFIER else 2
            faults = _by_number(fault, which, overrun=2)
            parts = [
                make.number(start, 2, "Template ID", faults=faults[0]),
                make.number(start + 2, 2, "Option Scope Length", faults=faults[1]),
                make.number(start + 4, 2, "Option Length", faults=faults[2]),
            ]
            at += 2
            is_broken = any(length % _SPECIFIER for length in lengths)
            scopes, count = lengths[0] // _SPECIFIER, 0 if is_broken else sum(lengths) // _SPECIFIER
        for i in range(min(count, (end - at) // _SPECIFIER)):
            type, length = make.integer(at, 2), make.integer(at + 2, 2)
            field = self._field((NETFLOW_SCOPE_PEN if i < scopes else 0, type, length))
            parts.append(specifier(make, self.scope.registry, at, _SPECIFIER, is_scope=i < scopes, field=field))
            at += _SPECIFIER
        return self._named(id, start, at, parts, count, options=options)

    def _named(
        self, id: int, start: int, end: int, parts: list[Part], count: int, *, options: bool
    ) -> tuple[Part, int]:
        name = f"{'Options Template' if options else 'Template'} {id}"
        return self.make.part(PartKind.TEMPLATE, start, end, name, counted(count, "field"), value=id, parts=parts), end


def _by_number(fault: Fault | None, other: int, *, overrun: int = 1) -> list[list[Fault]]:
    """The fault at the number of the record that is wrong. other: which that is for kinds not about one of them."""
    which = -1 if fault is None else _FAULTY_NUMBER.get(fault.kind, other)
    if fault is not None and fault.kind is FaultKind.TEMPLATE_OVERRUN:
        which = overrun
    return [[fault] if fault is not None and which == i else [] for i in range(3)]
