"""(Options) Template records and withdrawals, read and written (RFC 7011 §3.4.1, §3.4.2, §8.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.errors import DecodeError, FaultKind
from headwater.wire.dialect import FIRST_DATA_SET, OPTIONS_TEMPLATE_SET, SET_HEADER, TEMPLATE_SET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from headwater.model.template import Template

Specifier = tuple[int, int, int]
"""(pen, id, length) of one field; pen 0 = IANA."""

_PAIR = struct.Struct("!HH")
_PEN = struct.Struct("!I")
_ENTERPRISE_BIT = 0x8000


@dataclass(frozen=True, slots=True)
class TemplateRecord:
    """One template record as it stood on the wire; no fields = a withdrawal.

    at: offset of the record in the Set body. specifiers: in wire order, scope fields first.
    """

    id: int
    scope_count: int
    specifiers: tuple[Specifier, ...]
    at: int

    @property
    def is_withdrawal(self) -> bool:
        """Whether the record withdraws its Template (§8.1)."""
        return not self.specifiers


def read_templates(body: bytes, *, options: bool) -> Iterator[TemplateRecord]:
    """Records of one (Options) Template Set, in wire order.

    body: the Set without its header; up to 3 octets, or an all-zero record header, at the end are padding.
    Raises DecodeError (offset relative to `body`): ID below 256, field list cut short, scope count 0 or too large.
    """
    at, size = 0, len(body)
    while size - at >= _PAIR.size:
        id, count = _PAIR.unpack_from(body, at)
        start = at
        if id == 0 and count == 0:
            return
        at += _PAIR.size
        withdraws_all = count == 0 and id in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET)
        if id < FIRST_DATA_SET and not withdraws_all:
            raise _broken(FaultKind.TEMPLATE_ID, f"Template ID {id} is reserved", start, "§3.4.1")
        scope = 0
        if options and count:
            if size - at < 2:
                raise _broken(FaultKind.TEMPLATE_OVERRUN, f"Options Template {id} ends in its header", start, "§3.4.2")
            scope = int.from_bytes(body[at : at + 2], "big")
            at += 2
            if scope == 0:
                raise _broken(FaultKind.SCOPE_ZERO, f"Options Template {id} has Scope Field Count 0", start, "§3.4.2")
            if scope > count:
                detail = f"Options Template {id}: Scope Field Count {scope} of {count} fields"
                raise _broken(FaultKind.SCOPE_COUNT, detail, start, "§3.4.2")
        # the count is claimed, the octets are there: no more is looped over than fits
        if count * _PAIR.size > size - at:
            raise _broken(FaultKind.TEMPLATE_OVERRUN, f"Template {id} claims {count} fields", start, "§3.4.1")
        specifiers: list[Specifier] = []
        for _ in range(count):
            if size - at < _PAIR.size:
                raise _broken(FaultKind.TEMPLATE_OVERRUN, f"Template {id} is cut short", start, "§3.4.1")
            ie, length = _PAIR.unpack_from(body, at)
            at += _PAIR.size
            pen = 0
            if ie & _ENTERPRISE_BIT:
                if size - at < _PEN.size:
                    raise _broken(FaultKind.TEMPLATE_OVERRUN, f"Template {id} ends before a PEN", start, "§3.2")
                (pen,) = _PEN.unpack_from(body, at)
                at += _PEN.size
                ie &= ~_ENTERPRISE_BIT
            specifiers.append((pen, ie, length))
        yield TemplateRecord(id, scope, tuple(specifiers), start)


def write_template(template: Template) -> bytes:
    """One (Options) Template record."""
    parts = [_PAIR.pack(template.id, len(template.fields))]
    if template.scope_count:
        parts.append(struct.pack("!H", template.scope_count))
    for field in template.fields:
        pen, id = field.element.pen, field.element.id
        parts.append(_PAIR.pack(id | (_ENTERPRISE_BIT if pen else 0), field.length))
        if pen:
            parts.append(_PEN.pack(pen))
    return b"".join(parts)


def write_template_set(templates: Iterable[Template], *, options: bool) -> bytes:
    """One (Options) Template Set with its header."""
    body = b"".join(map(write_template, templates))
    set_id = OPTIONS_TEMPLATE_SET if options else TEMPLATE_SET
    return _PAIR.pack(set_id, SET_HEADER + len(body)) + body


def _broken(kind: FaultKind, message: str, at: int, section: str) -> DecodeError:
    return DecodeError(message, offset=at, section=section, kind=kind)
