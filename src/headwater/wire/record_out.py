"""Single records on their way out: values with their length in front where the Template has none (RFC 7011 §7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import DecodeError, EncodeError
from headwater.model.text import from_text
from headwater.model.types import DataType
from headwater.wire.era import ERA_TYPES, limits, refusal
from headwater.wire.values import encode_value

if TYPE_CHECKING:
    from headwater.model.template import Field, Template

_LONGEST: Final = 65535
_LONG: Final = 255
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def write_value(field: Field, value: Any, export_time: int | None = None) -> bytes:
    """Octets of one value of a record; a variable-length one has its length in front.

    value: as DataType says, or text as RFC 7373 writes it, an address of `ipaddress`, a datetime (UTC without a zone);
    times are cut to the unit of the type. A list is given as its octets; its length takes 3 octets even where 1 would
    do (RFC 6313 §5.1). export_time: of the Message, None = not known; see wire.era.
    Raises EncodeError: the value is not one of the element's type, or does not fit.
    """
    plain = _plain(field, value)
    if field.type in ERA_TYPES and isinstance(plain, int):
        low, high = limits(field.type, export_time)
        if not low <= plain <= high:
            detail = f"{field.name}: {refusal(field.type, plain, export_time)}"
            raise EncodeError(detail, column=field.name)
    octets = encode_value(field.element, plain, field.length)
    if not field.is_variable:
        return octets
    if len(octets) < _LONG and not field.type.is_list:
        return bytes((len(octets),)) + octets
    if len(octets) > _LONGEST:
        raise EncodeError(f"{field.name}: {len(octets)} octets, of at most {_LONGEST}", column=field.name)
    return b"\xff" + len(octets).to_bytes(2, "big") + octets


def _plain(field: Field, value: Any) -> Any:
    """The value as DataType says; what is of no known form stays, and is refused as what it is."""
    if isinstance(value, str) and field.type is not DataType.STRING:
        try:
            return _in_full(field.type, value, from_text(field.type, value, lenient=True))
        except DecodeError:
            return value
    if isinstance(value, IPv4Address | IPv6Address):
        return value.packed
    if isinstance(value, datetime) and field.type.is_time:
        since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
        return since // timedelta(microseconds=1) * field.type.ticks // 1_000_000
    return value


def _in_full(type: DataType, text: str, value: Any) -> Any:
    """The value of a text, but a number out of range as it is: `from_text` has the nearest one in its place."""
    try:
        if type.is_integer:
            return int(text, 0 if text.strip()[:2].lower() in ("0x", "0b") else 10)
    except ValueError:  # thousands of digits
        return text
    if type.is_float and isfinite(value) and value != float(text):
        return float(text) if isfinite(float(text)) else text
    return value


def write_record(
    template: Template, values: Mapping[str, Any] | Sequence[Any], export_time: int | None = None
) -> bytes:
    """Octets of one record.

    values: by `Template.column_names`, all of them, or in their order. export_time: see `write_value`.
    Raises EncodeError: a value is missing, superfluous or does not fit.
    """
    names = template.column_names
    if not isinstance(values, Mapping):
        if not isinstance(values, tuple | list) or len(values) != len(names):
            raise EncodeError(f"a record is a dict, or a tuple of {len(names)} values, not {values!r}")
        values = dict(zip(names, values, strict=True))
    if values.keys() != set(names):
        missing = [name for name in names if name not in values]
        if missing:
            raise EncodeError(f"the record has no {', '.join(missing)}", column=missing[0])
        name = next(name for name in values if name not in names)
        raise EncodeError(f"the Template has no {name}; it has {', '.join(names)}", column=name)
    fields = zip(template.fields, names, strict=True)
    return b"".join([write_value(field, values[name], export_time) for field, name in fields])
