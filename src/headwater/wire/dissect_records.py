"""Data Records, values and lists taken apart octet by octet (RFC 7011 §3.4.3, §6, §7; RFC 6313)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.errors import DecodeError, FaultKind
from headwater.model.element import NETFLOW_PADDING
from headwater.model.enumerations import describe
from headwater.model.template import VARIABLE, Field, Template
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.wire.dialect import FIRST_DATA_SET
from headwater.wire.dissect_header import Moment
from headwater.wire.lists import BASIC_HEADER, GROUP_HEADER, MULTI_HEADER, SUB_TEMPLATE_HEADER, semantic_name
from headwater.wire.parts import Part, PartKind, PartMaker, count_octets, counted, filling
from headwater.wire.records import Cell, Reader, Scope

if TYPE_CHECKING:
    from headwater.model.registry import Registry

_HEADERS = {
    DataType.BASIC_LIST: BASIC_HEADER,
    DataType.SUB_TEMPLATE_LIST: SUB_TEMPLATE_HEADER,
    DataType.SUB_TEMPLATE_MULTI_LIST: MULTI_HEADER,
}
_SHORT_SPECIFIER = 4
_UPTIMES = {(0, 21), (0, 22)}
"""flowEndSysUpTime and flowStartSysUpTime: milliseconds of the clock that NetFlow headers tell too."""
_REASONS = {FaultKind.UTF8: "not well-formed UTF-8", FaultKind.BOOLEAN: "a boolean is 1 (true) or 2 (false)"}


class _Overrun(Exception):
    """A value reaches beyond the end of what holds it."""


def specifier(
    make: PartMaker,
    registry: Registry,
    start: int,
    width: int,
    *,
    is_scope: bool = False,
    field: Field | None = None,
) -> Part:
    """A Field Specifier of 4 octets, or 8 with an enterprise number (RFC 7011 §3.2).

    field: what it means, where that is not what it means in IPFIX (RFC 3954 §8).
    """
    number, length = make.integer(start, 2), make.integer(start + 2, 2)
    if field is None:
        pen = make.integer(start + 4, 4) if width == 8 else 0
        field = Field(registry.get(pen, number & 0x7FFF), length)
    faults = []
    if not field.is_legal:
        detail = f"{field.name} ({field.type}) in {count_octets(length)}: its values stay raw octets"
        faults.append(make.fault(FaultKind.TEMPLATE_BAD_LENGTH, start + 2, detail))
    if field.element.id == 0:
        faults.append(make.fault(FaultKind.IE_RESERVED, start, "Information Element 0 is reserved"))
    size = "variable length" if length == VARIABLE else count_octets(length)
    is_disguised = width == _SHORT_SPECIFIER and field.element.id != number
    element = f"{number} ({field.element.number})" if is_disguised else field.element.number
    text = f"{element}, {field.type}, {size}{', scope' if is_scope else ''}"
    return make.part(PartKind.SPECIFIER, start, start + width, field.name, text, field=field, faults=faults)


@dataclass(slots=True)
class RecordDissection:
    """Takes records of one Set apart; positions are those of `make`. depth: list levels still allowed."""

    make: PartMaker
    scope: Scope
    moment: Moment
    depth: int
    _reader: Reader = dataclasses.field(init=False)
    _single: dict[Field, Template] = dataclasses.field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        # no depth: lists are taken apart here, not there
        self._reader = Reader(self.make.octets, self.scope, self.moment.export_s, depth=0)

    def records(self, template: Template, start: int, end: int, *, in_list: bool = False) -> tuple[list[Part], int]:
        """(records, where they end). In a list there is no padding: the octets must end with a record.

        The Template's shortest record has at least one octet.
        """
        parts: list[Part] = []
        least = 1 if in_list else template.min_length
        while end - start >= least:
            if self.make.left <= 0:
                return parts + self.make.unread(start, end, "more records, not taken apart"), end
            record, start = self._record(template, start, end, f"Record {len(parts) + 1}", in_list=in_list)
            parts.append(record)
        return parts, start

    def _record(self, template: Template, start: int, end: int, name: str, *, in_list: bool) -> tuple[Part, int]:
        make, at = self.make, start
        parts: list[Part] = []
        for column, field in zip(template.column_names, template.fields, strict=True):
            if make.left <= 0:
                parts += make.unread(at, end, "more fields, not taken apart")
                at = end
                break
            if field.element is NETFLOW_PADDING:
                parts.append(filling(make, at, at + field.length))
                at += field.length
                continue
            try:
                part, at = self._value(column, field, at, end)
                parts.append(part)
            except _Overrun:
                kind = FaultKind.BAD_LIST if in_list else FaultKind.VARLEN_OVERRUN
                fault = make.fault(kind, at, f"{column} reaches beyond its {'list' if in_list else 'Set'}")
                parts += make.unread(at, end, column, [fault]) or [
                    make.part(PartKind.UNREAD, at, end, column, "missing", faults=[fault])
                ]
                at = end
                break
        return make.part(PartKind.RECORD, start, at, name, value=template.id, parts=parts), at

    def _value(self, name: str, field: Field, at: int, end: int) -> tuple[Part, int]:
        """(a value with its length prefix, where it ends)."""
        template = self._single.get(field)
        if template is None:
            template = self._single[field] = Template(FIRST_DATA_SET, (field,))
        try:
            (cell,) = self._reader.record(template, at, end)
        except DecodeError:
            raise _Overrun from None
        start = at + cell.prefix
        stop = start + cell.length
        part = self._list(name, field, start, stop) if field.type.is_list else self._scalar(name, cell, start, stop)
        if not cell.prefix:
            return part, stop
        prefix = self.make.number(at, cell.prefix, "length", count_octets(cell.length))
        parts = [prefix, *(part.parts or [part])]
        return self.make.part(part.kind, at, stop, name, part.text, field=field, parts=parts), stop

    def _scalar(self, name: str, cell: Cell, start: int, stop: int) -> Part:
        make, field = self.make, cell.field
        faults = [] if cell.fault is None else [make.fault(cell.fault, start, _REASONS.get(cell.fault, ""))]
        text = _words(field, cell.value)
        if field.element.key in _UPTIMES and isinstance(cell.value, int):
            instant = self.moment.instant_ms(cell.value)
            text += "" if instant is None else f" ({to_text(DataType.MILLISECONDS, instant)})"
        return make.part(PartKind.FIELD, start, stop, name, text, value=cell.value, field=field, faults=faults)

    def _list(self, name: str, field: Field, start: int, end: int) -> Part:
        """The content of a list (RFC 6313 §4.5)."""
        make = self.make
        if self.depth == 0 and start < end:
            fault = make.fault(FaultKind.DEPTH_LIMIT, start, "lists are nested too deep")
            text = count_octets(end - start)
            return make.part(PartKind.LIST, start, end, name, text, field=field, faults=[fault])
        if end - start < _HEADERS[field.type]:
            fault = make.fault(FaultKind.BAD_LIST, start, "the list header is cut short")
            text = count_octets(end - start)
            return make.part(PartKind.LIST, start, end, name, text, field=field, faults=[fault])
        semantic = f"{semantic_name(make.octets[start])}"
        head = make.number(start, 1, "semantic", f"{make.octets[start]} ({semantic})")
        self.depth -= 1
        if field.type is DataType.BASIC_LIST:
            text, parts = self._basic_list(start + 1, end)
        elif field.type is DataType.SUB_TEMPLATE_LIST:
            text, parts = self._items(start + 1, start + SUB_TEMPLATE_HEADER, end)
        else:
            text, parts = self._groups(start + MULTI_HEADER, end)
        self.depth += 1
        return make.part(PartKind.LIST, start, end, name, f"{semantic}, {text}", field=field, parts=[head, *parts])

    def _basic_list(self, start: int, end: int) -> tuple[str, list[Part]]:
        make = self.make
        width = 8 if make.octets[start] & 0x80 else 4
        if end - start < width:
            fault = make.fault(FaultKind.BAD_LIST, start, "the list header is cut short")
            return "no elements", make.unread(start, end, "list header", [fault])
        head = specifier(make, self.scope.registry, start, width)
        field = head.field
        assert field is not None
        parts, at, count = [head], start + width, 0
        while at < end:
            if make.left <= 0:
                parts += make.unread(at, end, "more elements, not taken apart")
                break
            try:
                if field.length == 0:  # elements must take octets, or the loop would not end
                    raise _Overrun
                part, at = self._value(f"{field.name}[{count}]", field, at, end)
            except _Overrun:
                detail = "the last element is cut short" if field.length else "elements of length 0 cannot have octets"
                parts += make.unread(at, end, field.name, [make.fault(FaultKind.BAD_LIST, at, detail)])
                break
            parts.append(part)
            count += 1
        return f"{counted(count, 'element')} {field.name}", parts

    def _groups(self, start: int, end: int) -> tuple[str, list[Part]]:
        """Groups of a subTemplateMultiList (§4.5.3)."""
        make, count = self.make, 0
        parts: list[Part] = []
        while start < end:
            if make.left <= 0:
                parts += make.unread(start, end, "more groups, not taken apart")
                break
            length = make.integer(start + 2, 2) if end - start >= GROUP_HEADER else -1
            stop = start + length
            if length == 0 and end - start == GROUP_HEADER:  # §4.5.3 prints 0 for an empty last group
                stop = end
            elif not GROUP_HEADER <= length <= end - start:
                detail = "a group header is cut short" if length < 0 else f"group length {length}"
                parts += make.unread(start, end, "group", [make.fault(FaultKind.BAD_LIST, start, detail)])
                break
            count += 1
            size = make.number(start + 2, 2, "Length", count_octets(length))
            text, content = self._items(start, start + GROUP_HEADER, stop, size)
            parts.append(make.part(PartKind.LIST, start, stop, f"group {count}", text, parts=content))
            start = stop
        return counted(count, "group"), parts

    def _items(self, at_id: int, start: int, end: int, *head: Part) -> tuple[str, list[Part]]:
        """The Template ID at `at_id`, `head`, and the records start..end of that Template."""
        make = self.make
        id = make.integer(at_id, 2)
        template = self.scope.template(id)
        if template is None:
            fault = make.fault(FaultKind.LIST_TEMPLATE, at_id, f"no Template {id} has come before this list")
            rest = make.unread(start, end, "records that cannot be told apart")
            return f"Template {id}", [make.number(at_id, 2, "Template ID", faults=[fault]), *head, *rest]
        parts = [make.number(at_id, 2, "Template ID"), *head]
        if template.min_length == 0 and start < end:
            fault = make.fault(FaultKind.BAD_LIST, start, f"no field of Template {id} has octets")
            return f"Template {id}", [*parts, *make.unread(start, end, "records", [fault])]
        records, _ = self.records(template, start, end, in_list=True)
        return f"{counted(len(records), 'record')} of Template {id}", parts + records


def _words(field: Field, value: Any) -> str:
    """A value as RFC 7373 writes it, with the name it has, if any."""
    if value is None:
        return "no value"
    if isinstance(value, bytes) and not field.is_legal:
        return "raw octets"
    if isinstance(value, str):
        said = value.rstrip("\0")  # what many exporters fill strings of a fixed length with
        filled = len(value) - len(said)
        return f'"{said}"' + (f", filled with {counted(filled, 'zero octet')}" if filled else "")
    text = to_text(field.type, value)
    name = describe(field.element, value)
    return f"{text} ({name})" if name else text
