"""Single records on their way out: values with their length in front where the Template has none (RFC 7011 §7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import EncodeError
from headwater.wire.values import encode_value

if TYPE_CHECKING:
    from headwater.model.template import Field, Template

_LONGEST: Final = 65535
_LONG: Final = 255


def write_value(field: Field, value: Any) -> bytes:
    """Octets of one value of a record; a variable-length one has its length in front.

    A list is given as its octets; its length takes 3 octets even where 1 would do (RFC 6313 §5.1).
    Raises EncodeError: the value is not one of the element's type, or does not fit.
    """
    octets = encode_value(field.element, value, field.length)
    if not field.is_variable:
        return octets
    if len(octets) < _LONG and not field.type.is_list:
        return bytes((len(octets),)) + octets
    if len(octets) > _LONGEST:
        raise EncodeError(f"{field.name}: {len(octets)} octets, of at most {_LONGEST}", column=field.name)
    return b"\xff" + len(octets).to_bytes(2, "big") + octets


def write_record(template: Template, values: Mapping[str, Any]) -> bytes:
    """Octets of one record. values: by `Template.column_names`, all of them.

    Raises EncodeError: a value is missing, superfluous or does not fit.
    """
    names = template.column_names
    if values.keys() != set(names):
        missing = [name for name in names if name not in values]
        if missing:
            raise EncodeError(f"the record has no {', '.join(missing)}", column=missing[0])
        name = next(name for name in values if name not in names)
        raise EncodeError(f"the Template has no {name}; it has {', '.join(names)}", column=name)
    return b"".join([write_value(field, values[name]) for field, name in zip(template.fields, names, strict=True)])
