"""(Options) Template records of NetFlow v9 (RFC 3954 §5.2, §6.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from headwater.errors import DecodeError, FaultKind
from headwater.model.element import NETFLOW_SCOPE_PEN
from headwater.wire.dialect import FIRST_DATA_SET
from headwater.wire.templates import Specifier, TemplateRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAIR: Final = struct.Struct("!HH")
_OPTIONS: Final = struct.Struct("!HHH")
_WHOLE_EXPORTER: Final[Specifier] = (NETFLOW_SCOPE_PEN, 1, 0)
"""The scope "System" without octets: what an options template with a scope of length 0 means."""


def read_netflow_templates(body: bytes, *, options: bool) -> Iterator[TemplateRecord]:
    """Records of one (Options) Template FlowSet, in wire order.

    body: the FlowSet without its header; octets at the end that are zero, or too few for a record, are padding.
    A specifier has pen 0 and all 16 bits of the type, for there is no Enterprise bit; NETFLOW_SCOPE_PEN in a scope.
    Raises DecodeError (offset relative to `body`): ID below 256, field list cut short, lengths that are no field lists.
    """
    at, size = 0, len(body)
    least = _OPTIONS.size if options else _PAIR.size
    while size - at >= least and any(body[at : at + least]):
        start = at
        if options:
            id, scope_octets, other_octets = _OPTIONS.unpack_from(body, at)
            if scope_octets % _PAIR.size or other_octets % _PAIR.size:
                detail = f"Options Template {id} has {scope_octets} octets of scope fields, {other_octets} of others"
                raise DecodeError(detail, offset=start, section="RFC 3954 §6.1", kind=FaultKind.OPTIONS_LENGTH)
            scope, count = scope_octets // _PAIR.size, (scope_octets + other_octets) // _PAIR.size
        else:
            id, count = _PAIR.unpack_from(body, at)
            scope = 0
        at += least
        if id < FIRST_DATA_SET:
            detail = f"Template ID {id} is reserved"
            raise DecodeError(detail, offset=start, section="RFC 3954 §5.2", kind=FaultKind.TEMPLATE_ID)
        # the count is claimed, the octets are there: no more is looped over than fits
        if count * _PAIR.size > size - at:
            detail = f"Template {id} claims {count} fields"
            raise DecodeError(detail, offset=start, section="RFC 3954 §5.2", kind=FaultKind.TEMPLATE_OVERRUN)
        specifiers = [
            (NETFLOW_SCOPE_PEN if index < scope else 0, *pair)
            for index, pair in enumerate(_PAIR.iter_unpack(body[at : at + count * _PAIR.size]))
        ]
        at += count * _PAIR.size
        if options and count and not scope:
            specifiers.insert(0, _WHOLE_EXPORTER)
            scope = 1
        yield TemplateRecord(id, scope, tuple(specifiers), start)
