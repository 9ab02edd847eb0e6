"""Records in the words of ipfixDump (libfixbuf), an independent reader of structured data."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.wire.lists import BasicList, SubTemplateList, SubTemplateMultiList, semantic_name


def dumped_records(text: str) -> list[list[str]]:
    """Lines of each data record of a dump, blanks made single."""
    records: list[list[str]] = []
    for line in text.splitlines():
        if not line or line.startswith(("---", "***", "export", "message")):
            records.append([])
        if records:
            records[-1].append(" ".join(line.split()))
    return [lines for lines in records if lines[0].startswith("--- data record")]


def dump(number: int, template: Template, values: Sequence[Any]) -> Iterator[str]:
    """Lines of one record."""
    yield f"--- data record {number} ---"
    yield "header:"
    yield f"count: {len(template.fields)} {_tid(template.id)}"
    yield "fields:"
    for index, (field, value) in enumerate(zip(template.fields, values, strict=True)):
        scope = "(S) " if index < template.scope_count else ""
        shown = "" if field.type.is_list else _value(field, value)
        yield f"{_number(field)} {scope}{_name(field)} : {shown}".rstrip()
        yield from _list(value)


def _list(value: Any) -> Iterator[str]:
    match value:
        case BasicList():
            yield "+++ basicList +++"
            ie = f"ie: {_number(value.field)} {_name(value.field)}"
            yield f"count: {len(value.items)} {_semantic(value.semantic)} {ie}"
            for number, item in enumerate(value.items, 1):
                yield f"{number} : {_value(value.field, item)}"
        case SubTemplateList():
            yield "+++ subTemplateList +++"
            yield f"count: {len(value.items)} {_semantic(value.semantic)} {_tid(value.template_id)}"
            yield from _records(value.template, value.items)
        case SubTemplateMultiList():
            yield "+++ subTemplateMultiList +++"
            yield f"count: {len(value.groups)} {_semantic(value.semantic)}"
            for number, (id, template, items) in enumerate(value.groups, 1):
                yield f"+++ subTemplateMultiListEntry {number} +++"
                yield f"count: {len(items)} {_tid(id)}"
                yield from _records(template, items)


def _records(template: Template, items: Sequence[Sequence[Any]]) -> Iterator[str]:
    for number, item in enumerate(items, 1):
        yield from dump(number, template, item)


def _tid(id: int) -> str:
    return f"tid: {id} ({id:#x})"


def _semantic(semantic: int) -> str:
    return f"semantic: {semantic}-{semantic_name(semantic)}"


def _number(field: Field) -> str:
    element = field.element
    return f"({element.pen}/{element.id})" if element.pen else f"({element.id})"


def _name(field: Field) -> str:
    return field.name if field.element.is_known else "_alienInformationElement"


def _value(field: Field, value: Any) -> str:
    type = field.type
    if isinstance(value, bool):
        return "1" if value else "2"
    if type is DataType.STRING:
        return f"(len: {len(value.encode())}) {value}"
    if type is DataType.OCTET_ARRAY:
        # what libfixbuf does not know and fits a machine word, it shows as a number in its own octet order
        is_word = not field.element.is_known and not field.is_variable and len(value) in (1, 2, 4, 8)
        return str(struct.unpack(f"<{'BHxIxxxQ'[len(value) - 1]}", value)[0]) if is_word else f"len: {len(value)}"
    if type is DataType.MAC_ADDRESS:
        return str(value.hex(":"))
    if type is DataType.IPV4:
        return str(ipaddress.IPv4Address(value))
    if type is DataType.IPV6:
        return str(ipaddress.IPv6Address(value))
    if type is DataType.MILLISECONDS:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{value:g}" if type.is_float else str(value)
