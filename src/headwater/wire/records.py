"""One record at a time, in plain Python: what `explain` shows, and the oracle of the columnar decoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from headwater.errors import DecodeError, FaultKind
from headwater.model.template import VARIABLE, Field, Template
from headwater.model.types import DataType
from headwater.wire.lists import (
    BASIC_HEADER,
    GROUP_HEADER,
    MULTI_HEADER,
    SUB_TEMPLATE_HEADER,
    BasicList,
    SubTemplateList,
    SubTemplateMultiList,
)
from headwater.wire.values import decode_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.model.registry import Registry


class Scope(Protocol):
    """Where lists look up what they refer to."""

    @property
    def registry(self) -> Registry: ...

    def template(self, id: int) -> Template | None:
        """The Template of that id, in the Observation Domain and at the moment of the Message that holds the list."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of one record.

    at: offset of its first octet, a length prefix included; prefix: octets of that prefix (0, 1 or 3);
    length: octets of the content. value: None where `fault` says why.
    """

    field: Field
    at: int
    prefix: int
    length: int
    value: Any
    fault: FaultKind | None = None


class ValueFault(NamedTuple):
    """One value that is not what it should be, at any depth of lists. at: offset of its first octet."""

    kind: FaultKind
    field: Field
    at: int


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads records of a buffer. depth: list levels still allowed; elements: most items of one list.

    faults: of all values read so far. What is wrong inside a list that is malformed as a whole is not told.
    """

    buf: bytes
    scope: Scope
    reference_s: int = 0
    depth: int = 16
    elements: int = 1 << 20
    salvage: bool = False
    faults: list[ValueFault] = field(default_factory=list)

    def records(self, template: Template, start: int, end: int) -> Iterator[tuple[Cell, ...]]:
        """Records of a Data Set body start..end; what remains after the last whole one is padding.

        Raises DecodeError VARLEN_OVERRUN when octets enough for a record remain but its lengths point outside.
        """
        least = template.min_length
        if least == 0:  # each record must take at least one octet, or the loop would not end
            return
        while end - start >= least:
            record = self.record(template, start, end)
            start = record[-1].at + record[-1].prefix + record[-1].length
            yield record

    def record(self, template: Template, start: int, end: int) -> tuple[Cell, ...]:
        """The record at `start`. Raises DecodeError VARLEN_OVERRUN if it does not end by `end`."""
        cells = []
        told = len(self.faults)
        try:
            for field in template.fields:
                cell = self._cell(field, start, end)
                start = cell.at + cell.prefix + cell.length
                cells.append(cell)
        except DecodeError:
            del self.faults[told:]  # a record is read whole or not at all
            raise
        return tuple(cells)

    def _cell(self, field: Field, at: int, end: int) -> Cell:
        prefix, length = 0, field.length
        if length == VARIABLE:
            prefix, length = self._prefix(at, end)
        if at + prefix + length > end:
            raise _overrun(field, at)
        value, fault = self.value(field, at + prefix, at + prefix + length)
        return Cell(field, at, prefix, length, value, fault)

    def _prefix(self, at: int, end: int) -> tuple[int, int]:
        """(octets of the length prefix, length it tells) (RFC 7011 §7)."""
        if at >= end:
            raise _overrun(None, at)
        if self.buf[at] < 255:
            return 1, self.buf[at]
        if at + 3 > end:
            raise _overrun(None, at)
        return 3, int.from_bytes(self.buf[at + 1 : at + 3], "big")

    def value(self, field: Field, start: int, end: int) -> tuple[Any, FaultKind | None]:
        """(value, fault) of content start..end; octets as they are if the field's length is illegal for its type."""
        type = field.type if field.is_legal or field.length == 0 else DataType.OCTET_ARRAY
        told = len(self.faults)
        try:
            if type.is_list:
                return self._list(field, start, end), None
            if start == end and type not in (DataType.STRING, DataType.OCTET_ARRAY):
                return None, None
            return decode_value(type, self.buf[start:end], reference_s=self.reference_s), None
        except DecodeError as bad:
            if bad.kind is None:
                raise
            self.faults[told:] = [ValueFault(bad.kind, field, start)]
            return None, bad.kind

    def _list(self, field: Field, start: int, end: int) -> Any:
        if self.depth == 0:
            raise DecodeError("lists are nested too deep", offset=start, kind=FaultKind.DEPTH_LIMIT)
        depth = self.depth - 1
        inner = Reader(self.buf, self.scope, self.reference_s, depth, self.elements, self.salvage, self.faults)
        if field.type is DataType.BASIC_LIST:
            return inner._basic(field, start, end)
        if field.type is DataType.SUB_TEMPLATE_LIST:
            return inner._sub_template(field, start, end)
        return inner._multi(field, start, end)

    def _basic(self, field: Field, start: int, end: int) -> BasicList:
        if end - start < BASIC_HEADER:
            raise _bad_list("the header is cut short", start)
        semantic, ie, length = self.buf[start], self._u16(start + 1), self._u16(start + 3)
        at, pen = start + BASIC_HEADER, 0
        if ie & 0x8000:
            if end - at < 4:
                raise _bad_list("the header is cut short", start)
            pen = int.from_bytes(self.buf[at : at + 4], "big")
            ie, at = ie & 0x7FFF, at + 4
        of = Field(self.scope.registry.get(pen, ie), length)
        items = self._items(field, Template(0, (of,)), at, end)
        return BasicList(semantic, of, tuple(item for (item,) in items))

    def _sub_template(self, field: Field, start: int, end: int) -> SubTemplateList:
        if end - start < SUB_TEMPLATE_HEADER:
            raise _bad_list("the header is cut short", start)
        id = self._u16(start + 1)
        template = self._template(id, start)
        items = self._items(field, template, start + SUB_TEMPLATE_HEADER, end)
        return SubTemplateList(self.buf[start], id, template, items)

    def _multi(self, field: Field, start: int, end: int) -> SubTemplateMultiList:
        if end - start < MULTI_HEADER:
            raise _bad_list("the header is cut short", start)
        spans = list(self._groups(start + MULTI_HEADER, end))
        templates = [self._template(id, at) for id, at, _ in spans]
        groups = [
            (id, template, self._items(field, template, at, stop))
            for (id, at, stop), template in zip(spans, templates, strict=True)
        ]
        return SubTemplateMultiList(self.buf[start], tuple(groups))

    def _groups(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(Template ID, start, end) of the records of each group."""
        while at < end:
            if end - at < GROUP_HEADER:
                raise _bad_list("a group header is cut short", at)
            id, length = self._u16(at), self._u16(at + 2)
            if length == 0 and end - at == GROUP_HEADER:  # RFC 6313 §4.5.3 prints 0 for an empty last group
                length = GROUP_HEADER
            if not GROUP_HEADER <= length <= end - at:
                raise _bad_list(f"group length {length}", at)
            yield id, at + GROUP_HEADER, at + length
            at += length

    def _template(self, id: int, at: int) -> Template:
        template = self.scope.template(id)
        if template is None:
            raise DecodeError(f"Template {id} is unknown", offset=at, kind=FaultKind.LIST_TEMPLATE)
        return template

    def _items(self, field: Field, template: Template, start: int, end: int) -> tuple[tuple[Any, ...], ...]:
        """Records of a list, to its end; with salvage as many as are whole."""
        if template.min_length == 0 and start < end:  # each must take octets, or the loop would not end
            raise _bad_list("octets that no item takes", start)
        items: list[tuple[Any, ...]] = []
        at = start
        while at < end:
            try:
                record = self.record(template, at, end)
            except DecodeError:
                if not self.salvage:
                    raise _bad_list("it does not end with a whole item", at) from None
                self.faults.append(ValueFault(FaultKind.BAD_LIST, field, start))
                break
            if len(items) >= self.elements:
                raise DecodeError(f"more than {self.elements} items", offset=at, kind=FaultKind.ELEMENT_LIMIT)
            items.append(tuple(cell.value for cell in record))
            at = record[-1].at + record[-1].prefix + record[-1].length
        return tuple(items)

    def _u16(self, at: int) -> int:
        return int.from_bytes(self.buf[at : at + 2], "big")


def _overrun(field: Field | None, at: int) -> DecodeError:
    name = field.element.name if field else "a variable-length field"
    return DecodeError(f"{name} reaches beyond its Set", offset=at, section="§7", kind=FaultKind.VARLEN_OVERRUN)


def _bad_list(message: str, at: int) -> DecodeError:
    return DecodeError(message, offset=at, section="RFC 6313 §4.5", kind=FaultKind.BAD_LIST)
