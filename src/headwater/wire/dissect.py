"""A Message taken apart octet by octet: every octet is in exactly one leaf of the tree, whatever the octets are.

For people who look at one Message. It reads on after what a session would discard, and says where the trouble is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.errors import DecodeError, Fault, FaultKind
from headwater.model.template import Field, Template
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.wire.dialect import DIALECTS, FIRST_DATA_SET, IPFIX, OPTIONS_TEMPLATE_SET, SET_HEADER, TEMPLATE_SET
from headwater.wire.dissect_records import RecordDissection, specifier
from headwater.wire.parts import Part, PartKind, PartMaker, count_octets, counted
from headwater.wire.templates import read_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from headwater.model.registry import Registry

EXPORT_TIME_AT, SEQUENCE_AT, DOMAIN_AT = 4, 8, 12
"""Where the header has them (RFC 7011 §3.1)."""
_WITHDRAW_ALL = {TEMPLATE_SET: "all Templates", OPTIONS_TEMPLATE_SET: "all Options Templates"}

_FAULTY_NUMBER = {FaultKind.TEMPLATE_ID: 0, FaultKind.TEMPLATE_OVERRUN: 1}
"""Which number of a template record is wrong: its id, its Field Count; else its Scope Field Count."""


@dataclass(slots=True)
class _Templates:
    """Templates of one Observation Domain by id; changes as the Message is read."""

    registry: Registry
    known: dict[int, Template] = field(default_factory=dict)

    def template(self, id: int) -> Template | None:
        """The Template of that id, or None."""
        return self.known.get(id)


def dissect(
    octets: bytes,
    templates: Mapping[int, Template],
    registry: Registry,
    *,
    at: int = 0,
    depth: int = 16,
    most_parts: int = 250_000,
) -> Part:
    """The Message at the start of `octets` as a tree of parts; what follows the Message is a part too.

    templates: of its Observation Domain, as earlier Messages left them. at: absolute offset of octets[0].
    depth: levels of lists. most_parts: when there are this many, what is left stays in one piece: Templates with
    thousands of fields without octets could else make a tree far larger than the Message.
    """
    return _Dissection(PartMaker(octets, at, most_parts), _Templates(registry, dict(templates)), depth).message()


@dataclass(slots=True)
class _Dissection:
    """Positions are relative to the octets here, and absolute in the parts."""

    make: PartMaker
    scope: _Templates
    depth: int
    export_s: int = 0

    def message(self) -> Part:
        """The Message (RFC 7011 §3.1)."""
        make, size = self.make, len(self.make.octets)
        version = make.integer(0, 2)
        if size >= 2 and version != IPFIX.version:
            name = DIALECTS[version].name if version in DIALECTS else "no export protocol known here"
            fault = make.fault(FaultKind.VERSION, 0, f"version {version} ({name}) where IPFIX (10) is expected")
            head = make.number(0, 2, "Version", f"{version} ({name})", [fault])
            return self._whole([head, *make.unread(2, size, "not an IPFIX Message")])
        if size < IPFIX.header:
            fault = make.fault(FaultKind.SHORT_HEADER, 0, f"{size} of {IPFIX.header} octets of a Message Header")
            return self._whole(make.unread(0, size, "Message Header, cut short", [fault]), [] if size else [fault])
        header, end = self._header()
        if not end:
            return self._whole([header, *make.unread(IPFIX.header, size, "Sets")])
        parts = [header, *self._sets(IPFIX.header, end)]
        if end < size:
            fault = make.fault(FaultKind.TRAILING_OCTETS, end, f"{count_octets(size - end)} after the Message")
            parts += make.unread(end, size, "after the Message", [fault])
        return self._whole(parts)

    def _whole(self, parts: list[Part], faults: Iterable[Fault] = ()) -> Part:
        size = len(self.make.octets)
        text = count_octets(size)
        return self.make.part(PartKind.MESSAGE, 0, size, "Message", text, faults=faults, parts=parts)

    def _header(self) -> tuple[Part, int]:
        """(the header, where the Message ends; 0 if its length is impossible)."""
        make = self.make
        size, length = len(make.octets), make.integer(2, 2)
        faults = []
        if length < IPFIX.header:
            detail = f"Message length {length}, the header alone has {IPFIX.header}"
            faults = [make.fault(FaultKind.BAD_LENGTH, 2, detail)]
        elif length > size:
            faults = [make.fault(FaultKind.TRUNCATED, 2, f"Message length {length}, {count_octets(size)} are there")]
        self.export_s = make.integer(EXPORT_TIME_AT, 4)
        make.domain = make.integer(DOMAIN_AT, 4)
        parts = [
            make.number(0, 2, "Version", f"{IPFIX.version} ({IPFIX.name})"),
            make.number(2, 2, "Length", count_octets(length), faults),
            make.number(EXPORT_TIME_AT, 4, "Export Time", to_text(DataType.SECONDS, self.export_s)),
            make.number(SEQUENCE_AT, 4, "Sequence Number"),
            make.number(DOMAIN_AT, 4, "Observation Domain ID"),
        ]
        header = make.part(PartKind.HEADER, 0, IPFIX.header, "Message Header", parts=parts)
        return header, min(length, size) if length >= IPFIX.header else 0

    def _sets(self, start: int, end: int) -> Iterator[Part]:
        """Sets (§3.3)."""
        make = self.make
        while end - start >= SET_HEADER:
            length = make.integer(start + 2, 2)
            stop = start + length
            faults = []
            if length < SET_HEADER:  # each Set must take its header at least, or the loop would not end
                detail = f"Set length {length}, the header alone has {SET_HEADER}"
                faults, stop = [make.fault(FaultKind.SET_LENGTH, start + 2, detail)], end
            elif stop > end:
                detail = f"Set length {length}, {count_octets(end - start)} left in the Message"
                faults, stop = [make.fault(FaultKind.SET_OVERRUN, start + 2, detail)], end
            size = make.number(start + 2, 2, "Length", count_octets(length), faults)
            yield self._set(start, stop, size, is_readable=length >= SET_HEADER)
            start = stop
        if start < end:
            detail = f"{count_octets(end - start)} where a Set should begin"
            fault = make.fault(FaultKind.TRAILING_SET_HEADER, start, detail)
            yield from make.unread(start, end, "after the last Set", [fault])

    def _set(self, start: int, end: int, length: Part, *, is_readable: bool) -> Part:
        make, id, body = self.make, self.make.integer(start, 2), start + SET_HEADER
        if not is_readable:
            parts = [make.number(start, 2, "Set ID"), length, *make.unread(body, end, "Set body")]
            return make.part(PartKind.SET, start, end, "Set", parts=parts)
        if id in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET):
            options = id == OPTIONS_TEMPLATE_SET
            name = "Options Template Set" if options else "Template Set"
            head = make.number(start, 2, "Set ID", f"{id} ({name})")
            records = list(self._templates(body, end, options=options))
            return make.part(PartKind.SET, start, end, name, parts=[head, length, *records])
        if id < FIRST_DATA_SET:
            fault = make.fault(FaultKind.RESERVED_SET, start, f"Set ID {id} is reserved")
            parts = [make.number(start, 2, "Set ID", f"{id} (reserved)", [fault]), length]
            return make.part(PartKind.SET, start, end, "Set", parts=[*parts, *make.unread(body, end, "Set body")])
        return self._data_set(id, start, end, length)

    def _data_set(self, id: int, start: int, end: int, length: Part) -> Part:
        make, template = self.make, self.scope.template(id)
        body = start + SET_HEADER
        if template is None or template.min_length == 0:
            if template is None:
                fault = make.fault(FaultKind.UNKNOWN_TEMPLATE, start, f"no Template {id} has come before this Set")
            else:
                fault = make.fault(FaultKind.ZERO_LENGTH_RECORD, start, f"no field of Template {id} has octets")
            head = make.number(start, 2, "Set ID", f"{id} (data of Template {id})", [fault])
            parts = [head, length, *make.unread(body, end, "records that cannot be told apart")]
            return make.part(PartKind.SET, start, end, "Data Set", parts=parts)
        kind = "Options Data Set" if template.scope_count else "Data Set"
        head = make.number(start, 2, "Set ID", f"{id} (data of Template {id})")
        records, stop = RecordDissection(make, self.scope, self.export_s, self.depth).records(template, body, end)
        text = f"{counted(sum(p.kind is PartKind.RECORD for p in records), 'record')} of Template {id}"
        if length.faults:  # the Set is cut off here, so what is left is no padding
            records += make.unread(stop, end, "record, cut short")
        elif stop < end:
            records.append(self._padding(stop, end, is_short=stop == body))
        return make.part(PartKind.SET, start, end, kind, text, value=id, parts=[head, length, *records])

    def _padding(self, start: int, end: int, *, is_short: bool = False) -> Part:
        """What is left when a record does not fit any more (§3.3.1)."""
        make, faults = self.make, []
        if is_short:
            faults.append(make.fault(FaultKind.SHORT_SET, start, "too short for a record of its Template"))
        if any(make.octets[start:end]):
            faults.append(make.fault(FaultKind.NONZERO_PADDING, start, "padding is not zero"))
        return make.part(PartKind.PADDING, start, end, "padding", count_octets(end - start), faults=faults)

    def _templates(self, start: int, end: int, *, options: bool) -> Iterator[Part]:
        """(Options) Template Records and withdrawals (§3.4, §8.1); what they say holds from here on."""
        make, body, stop = self.make, start, start
        try:
            for record in read_templates(make.octets[body:end], options=options):
                if make.left <= 0:
                    yield from make.unread(stop, end, "more Templates, not taken apart")
                    return
                part, stop = self._template(body + record.at, end, options=options)
                yield part
                fields = tuple(Field(self.scope.registry.get(pen, id), length) for pen, id, length in record.specifiers)
                self._apply(Template(record.id, fields, record.scope_count), options=options)
        except DecodeError as bad:
            at = body + bad.offset
            fault = make.fault(bad.kind or FaultKind.TEMPLATE_OVERRUN, at, str(bad))
            part, stop = self._template(at, end, options=options, fault=fault)
            yield part
            yield from make.unread(stop, end, "after the broken Template")
            return
        if stop < end:
            yield self._padding(stop, end)

    def _apply(self, template: Template, *, options: bool) -> None:
        known = self.scope.known
        if template.fields:
            known[template.id] = template
        elif template.id in _WITHDRAW_ALL:
            self.scope.known = {id: t for id, t in known.items() if (t.scope_count > 0) != options}
        else:
            known.pop(template.id, None)

    def _template(self, start: int, end: int, *, options: bool, fault: Fault | None = None) -> tuple[Part, int]:
        """(a record, as much of it as there is; where it ends). fault: what is wrong with it."""
        make = self.make
        id, count = make.integer(start, 2), make.integer(start + 2, 2)
        which = _FAULTY_NUMBER.get(fault.kind, 2) if fault else -1
        faults = [[fault] if fault and which == i else [] for i in range(3)]
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
            width = 8 if at < end and make.octets[at] & 0x80 else 4
            if end - at < width:
                break
            parts.append(specifier(make, self.scope.registry, at, width, is_scope=i < scopes))
            at += width
        if not count:
            name = f"withdrawal of {_WITHDRAW_ALL.get(id, f'Template {id}')}"
            return make.part(PartKind.TEMPLATE, start, at, name, value=id, parts=parts), at
        name = f"{'Options Template' if options else 'Template'} {id}"
        return make.part(PartKind.TEMPLATE, start, at, name, counted(count, "field"), value=id, parts=parts), at
