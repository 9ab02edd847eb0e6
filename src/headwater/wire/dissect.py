"""A Message taken apart octet by octet: every octet is in exactly one leaf of the tree, whatever the octets are.

For people who look at one Message, of IPFIX or any NetFlow. It reads on after what a session would discard, and says
where the trouble is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.errors import Fault, FaultKind
from headwater.wire.dialect import DIALECTS, FIRST_DATA_SET, IPFIX, NETFLOW9, SET_HEADER, Dialect
from headwater.wire.dissect_header import (
    COUNT_AT,
    SFLOW_MAGIC,
    Moment,
    header_name,
    header_part,
    read_domain,
    read_moment,
    sflow_parts,
)
from headwater.wire.dissect_records import RecordDissection
from headwater.wire.dissect_templates import TemplateDissection, Templates
from headwater.wire.legacy import AGGREGATION_AT, fixed_templates, template_id
from headwater.wire.parts import Part, PartKind, PartMaker, count_octets, counted, padding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from headwater.model.registry import Registry
    from headwater.model.template import Template

_HIDES_RECORDS = {
    FaultKind.UNKNOWN_TEMPLATE,
    FaultKind.ZERO_LENGTH_RECORD,
    FaultKind.SET_LENGTH,
    FaultKind.SET_OVERRUN,
    FaultKind.TRAILING_SET_HEADER,
    FaultKind.TEMPLATE_ID,
    FaultKind.TEMPLATE_OVERRUN,
    FaultKind.OPTIONS_LENGTH,
    FaultKind.VARLEN_OVERRUN,
}
"""Faults after which nobody can say how many records a Message has."""


def dissect(
    octets: bytes,
    templates: Mapping[int, Template],
    registry: Registry,
    *,
    at: int = 0,
    depth: int = 16,
    most_parts: int = 250_000,
    only: Dialect | None = None,
    has_withdrawals: bool = True,
) -> Part:
    """The Message at the start of `octets` as a tree of parts; what follows the Message is a part too.

    Its version says which protocol it is of; one of NetFlow ends where the octets do, for only a datagram's end tells.
    templates: of its Observation Domain, as earlier Messages left them. at: absolute offset of octets[0].
    depth: levels of lists. most_parts: when there are this many, what is left stays in one piece: Templates with
    thousands of fields without octets could else make a tree far larger than the Message.
    only: the one protocol that may stand here. has_withdrawals: whether those of Templates are obeyed: not over UDP.
    """
    scope = Templates(registry, dict(templates))
    return _Dissection(PartMaker(octets, at, most_parts), scope, depth, has_withdrawals).message(only)


@dataclass(slots=True)
class _Dissection:
    """Positions are relative to the octets here, and absolute in the parts."""

    make: PartMaker
    scope: Templates
    depth: int
    has_withdrawals: bool
    dialect: Dialect = IPFIX
    moment: Moment = field(default_factory=Moment)

    def message(self, only: Dialect | None) -> Part:
        """The Message (RFC 7011 §3.1, RFC 3954 §5)."""
        make, size = self.make, len(self.make.octets)
        version = make.integer(0, 2)
        dialect = DIALECTS.get(version) if size >= 2 else only or IPFIX
        if only is None and make.octets[:4] == SFLOW_MAGIC:
            return self._whole(sflow_parts(make))
        if dialect is None or (only is not None and dialect is not only):
            return self._whole(self._foreign(version, dialect, only))
        self.dialect = dialect
        if size < dialect.header:
            name = header_name(dialect)
            fault = make.fault(FaultKind.SHORT_HEADER, 0, f"{size} of {dialect.header} octets of a {name}")
            return self._whole(make.unread(0, size, f"{name}, cut short", [fault]), [] if size else [fault])
        self.moment = read_moment(make, dialect)
        make.domain = read_domain(make, dialect)
        if dialect is IPFIX:
            return self._whole(self._ipfix())
        return self._whole(self._netflow9() if dialect.has_sets else self._netflow())

    def _foreign(self, version: int, dialect: Dialect | None, only: Dialect | None) -> list[Part]:
        make = self.make
        name = "no export protocol known here" if dialect is None else dialect.name
        detail = f"version {version} ({name})"
        if only is not None:
            detail += f" where {only.name} ({only.version}) is expected"
        head = make.number(0, 2, "Version", f"{version} ({name})", [make.fault(FaultKind.VERSION, 0, detail)])
        what = "flow export" if only is None else f"an {only.name} Message"
        return [head, *make.unread(2, len(make.octets), f"not {what}")]

    def _whole(self, parts: list[Part], faults: Iterable[Fault] = ()) -> Part:
        size = len(self.make.octets)
        text = count_octets(size)
        return self.make.part(PartKind.MESSAGE, 0, size, "Message", text, faults=faults, parts=parts)

    def _header(self, *faults: Fault | None) -> Part:
        """The header. faults: of its length or count."""
        told = [fault for fault in faults if fault is not None]
        return header_part(self.make, self.dialect, self.moment, {COUNT_AT: told})

    def _ipfix(self) -> list[Part]:
        make = self.make
        size, length = len(make.octets), make.integer(COUNT_AT, 2)
        if length < IPFIX.header:
            detail = f"Message length {length}, the header alone has {IPFIX.header}"
            header = self._header(make.fault(FaultKind.BAD_LENGTH, COUNT_AT, detail))
            return [header, *make.unread(IPFIX.header, size, "Sets")]
        fault = None
        if length > size:
            detail = f"Message length {length}, {count_octets(size)} are there"
            fault = make.fault(FaultKind.TRUNCATED, COUNT_AT, detail)
        end = min(length, size)
        parts = [self._header(fault), *self._sets(IPFIX.header, end)]
        if end < size:
            fault = make.fault(FaultKind.TRAILING_OCTETS, end, f"{count_octets(size - end)} after the Message")
            parts += make.unread(end, size, "after the Message", [fault])
        return parts

    def _netflow9(self) -> list[Part]:
        """FlowSets up to the end of the datagram, and a count of all records in them (RFC 3954 §5.1)."""
        make = self.make
        sets = list(self._sets(NETFLOW9.header, len(make.octets)))
        claimed = make.integer(COUNT_AT, 2)
        told = {fault.kind for part in sets for inner in part.walk() for fault in inner.faults}
        kinds = [p.kind for part in sets for p in part.parts]
        records, templates = kinds.count(PartKind.RECORD), kinds.count(PartKind.TEMPLATE)
        fault = None
        if claimed != records + templates and not told & _HIDES_RECORDS and make.left > 0:
            found = [f"{counted(templates, 'Template')} and"] if templates else []
            detail = f"count {claimed} in the header, {' '.join([*found, counted(records, 'record')])}"
            fault = make.fault(FaultKind.COUNT_MISMATCH, COUNT_AT, detail)
        return [self._header(fault), *sets]

    def _netflow(self) -> list[Part]:
        """Records of a layout that never changes, as many as the header counts."""
        make, dialect = self.make, self.dialect
        start, size = dialect.header, len(make.octets)
        fault: Fault | None = None
        aggregation = make.octets[AGGREGATION_AT] if dialect.version == 8 else 0
        template = fixed_templates(dialect.version).get(template_id(dialect.version, aggregation))
        if template is None:
            fault = make.fault(FaultKind.AGGREGATION, AGGREGATION_AT, f"{dialect.name} aggregation {aggregation}")
            header = header_part(make, dialect, self.moment, {AGGREGATION_AT: [fault]})
            return [header, *make.unread(start, size, "records of an unknown layout")]
        claimed, room = make.integer(COUNT_AT, 2), (size - start) // template.min_length
        count = min(claimed, room) if claimed else room
        end = start + count * template.min_length
        if count != claimed or end != size:
            kind = FaultKind.TRUNCATED if claimed > room else FaultKind.COUNT_MISMATCH
            detail = f"{counted(claimed, 'record')} in the header, {count_octets(size - start)} have {room}"
            fault = make.fault(kind, COUNT_AT, detail)
        parts = [self._header(fault)]
        if count:
            records, _ = RecordDissection(make, self.scope, self.moment, self.depth).records(template, start, end)
            text = f"{counted(count, 'record')} of {dialect.name}"
            parts.append(make.part(PartKind.SET, start, end, "Records", text, value=template.id, parts=records))
        rest = "record, cut short" if claimed > room else "after the records"
        return [*parts, *make.unread(end, size, rest)]

    def _sets(self, start: int, end: int) -> Iterator[Part]:
        """Sets (RFC 7011 §3.3), FlowSets (RFC 3954 §5.2)."""
        make, name = self.make, self._set_name
        while end - start >= SET_HEADER:
            length = make.integer(start + 2, 2)
            stop = start + length
            faults = []
            if length < SET_HEADER:  # each Set must take its header at least, or the loop would not end
                if self._is_filling(start, end):
                    break
                detail = f"{name} length {length}, the header alone has {SET_HEADER}"
                faults, stop = [make.fault(FaultKind.SET_LENGTH, start + 2, detail)], end
            elif stop > end:
                detail = f"{name} length {length}, {count_octets(end - start)} left in the Message"
                faults, stop = [make.fault(FaultKind.SET_OVERRUN, start + 2, detail)], end
            size = make.number(start + 2, 2, "Length", count_octets(length), faults)
            yield self._set(start, stop, size, is_readable=length >= SET_HEADER)
            start = stop
        if start < end and self._is_filling(start, end):
            detail = f"{count_octets(end - start)}, all zero, after the last {name}"
            faults = [make.fault(FaultKind.TRAILING_OCTETS, start, detail)] if end - start >= SET_HEADER else []
            yield make.part(PartKind.PADDING, start, end, "padding", count_octets(end - start), faults=faults)
        elif start < end:
            detail = f"{count_octets(end - start)} where a {name} should begin"
            fault = make.fault(FaultKind.TRAILING_SET_HEADER, start, detail)
            yield from make.unread(start, end, f"after the last {name}", [fault])

    @property
    def _set_name(self) -> str:
        return "FlowSet" if self.dialect is NETFLOW9 else "Set"

    def _is_filling(self, start: int, end: int) -> bool:
        """Whether what should be a FlowSet is padding: NetFlow v9 has no length of the Message, and exporters pad."""
        return self.dialect is NETFLOW9 and not any(self.make.octets[start:end])

    def _set(self, start: int, end: int, length: Part, *, is_readable: bool) -> Part:
        make, id, body, word = self.make, self.make.integer(start, 2), start + SET_HEADER, self._set_name
        label = f"{word} ID"
        if not is_readable:
            parts = [make.number(start, 2, label), length, *make.unread(body, end, f"{word} body")]
            return make.part(PartKind.SET, start, end, word, parts=parts)
        template_sets = self.dialect.template_sets
        assert template_sets is not None  # or there were no Sets
        if id in template_sets:
            options = id == template_sets[1]
            name = f"{'Options ' if options else ''}Template {word}"
            head = make.number(start, 2, label, f"{id} ({name})")
            reader = TemplateDissection(make, self.scope, self.dialect, self.has_withdrawals)
            records = list(reader.records(body, end, options=options))
            return make.part(PartKind.SET, start, end, name, parts=[head, length, *records])
        if id < FIRST_DATA_SET:
            fault = make.fault(FaultKind.RESERVED_SET, start, f"{label} {id} is reserved")
            parts = [make.number(start, 2, label, f"{id} (reserved)", [fault]), length]
            return make.part(PartKind.SET, start, end, word, parts=[*parts, *make.unread(body, end, f"{word} body")])
        return self._data_set(id, start, end, length)

    def _data_set(self, id: int, start: int, end: int, length: Part) -> Part:
        make, template, word = self.make, self.scope.template(id), self._set_name
        body = start + SET_HEADER
        if template is None or template.min_length == 0:
            if template is None:
                fault = make.fault(FaultKind.UNKNOWN_TEMPLATE, start, f"no Template {id} has come before this {word}")
            else:
                fault = make.fault(FaultKind.ZERO_LENGTH_RECORD, start, f"no field of Template {id} has octets")
            head = make.number(start, 2, f"{word} ID", f"{id} (data of Template {id})", [fault])
            parts = [head, length, *make.unread(body, end, "records that cannot be told apart")]
            return make.part(PartKind.SET, start, end, f"Data {word}", value=id, parts=parts)
        kind = f"Options Data {word}" if template.scope_count else f"Data {word}"
        head = make.number(start, 2, f"{word} ID", f"{id} (data of Template {id})")
        records, stop = RecordDissection(make, self.scope, self.moment, self.depth).records(template, body, end)
        text = f"{counted(sum(p.kind is PartKind.RECORD for p in records), 'record')} of Template {id}"
        if length.faults:  # the Set is cut off here, so what is left is no padding
            records += make.unread(stop, end, "record, cut short")
        elif stop < end:
            records.append(padding(make, stop, end, is_short=stop == body))
        return make.part(PartKind.SET, start, end, kind, text, value=id, parts=[head, length, *records])
