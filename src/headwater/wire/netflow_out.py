"""(Options) Template records of NetFlow v9 on their way out (RFC 3954 §5.2, §6.1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from headwater.errors import EncodeError
from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN
from headwater.model.netflow import netflow_key

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.model.template import Field, Template

_PAIR: Final = struct.Struct("!HH")
_OPTIONS: Final = struct.Struct("!HHH")
_VENDOR_BASES: Final = {9: 0x8000, 35632: 57472}
"""By enterprise: where its elements of IPFIX begin among the types of NetFlow v9 (see model/netflow.py)."""
_SCOPES: Final = {149: 1, 144: 1, 10: 2, 141: 3, 143: 4, 145: 5}
"""Elements of IANA's that have a scope type of NetFlow v9 with the same meaning."""


def write_netflow_template(template: Template, registry: Registry) -> bytes:
    """One (Options) Template record of NetFlow v9.

    Raises EncodeError for what it has no way to say: enterprise elements, variable length, most scopes.
    """
    scope, others = template.fields[: template.scope_count], template.fields[template.scope_count :]
    pairs = [_PAIR.pack(_scope_type(f), _length(f)) for f in scope]
    pairs += [_PAIR.pack(_field_type(f.element, registry), _length(f)) for f in others]
    if scope:
        head = _OPTIONS.pack(template.id, _PAIR.size * len(scope), _PAIR.size * len(others))
    else:
        head = _PAIR.pack(template.id, len(others))
    return head + b"".join(pairs)


def _length(field: Field) -> int:
    if field.is_variable:
        detail = f"{field.name} has variable length, which NetFlow v9 does not have; give it a length (RFC 3954 §8)"
        raise EncodeError(detail, column=field.name)
    return field.length


def _scope_type(field: Field) -> int:
    element = field.element
    if element.pen == NETFLOW_SCOPE_PEN:
        return element.id
    if element.pen or element.id not in _SCOPES:
        detail = (
            f"{element.name} cannot be a scope in NetFlow v9, "
            "which has System, Interface, Line Card, Cache and Template (RFC 3954 §6.1)"
        )
        raise EncodeError(detail, column=element.name)
    return _SCOPES[element.id]


def _field_type(element: InformationElement, registry: Registry) -> int:
    """The NetFlow v9 field type that is read back as this element."""
    pen, id = element.key
    type = id if pen in (0, NETFLOW_PEN) else id + _VENDOR_BASES.get(pen, 1 << 16)
    if type > 0xFFFF or netflow_key(type, registry) != element.key:
        detail = f"{element.name} ({element.number}) has no field type in NetFlow v9, which has no Enterprise bit"
        raise EncodeError(f"{detail} (RFC 3954 §8)", column=element.name)
    return type
