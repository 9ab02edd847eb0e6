"""The scalar codec: one value of one abstract data type (RFC 7011 §6). The oracle of the columnar decoder."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from headwater.errors import DecodeError, EncodeError, FaultKind
from headwater.model.types import VARIABLE, DataType

if TYPE_CHECKING:
    from headwater.model.element import InformationElement

Scalar = int | float | bool | str | bytes | None
"""What a value is in Python; addresses are int (IPv4) or octets, times int since the Unix epoch in the type's unit."""

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970 (RFC 7011 §6.1.9)."""

_ERA = 1 << 32
_US_IGNORED = 0x7FF  # "the 11 least significant bits … MUST be ignored" (RFC 7011 §6.1.9)
_NTP_UNITS = {DataType.MICROSECONDS: 1_000_000, DataType.NANOSECONDS: 1_000_000_000}


def decode_value(type: DataType, octets: bytes, *, reference_s: int = 0) -> Scalar:
    """The Python value of `octets`; octets of an illegal length for the type come back as they are.

    reference_s: Unix seconds that choose the NTP era, normally the Message's Export Time (§5.2).
    Raises DecodeError with .kind: ill-formed UTF-8, undefined boolean.
    """
    if not type.accepts(len(octets)) or type.is_list:
        return octets
    if type is DataType.STRING:
        try:
            return octets.decode()
        except UnicodeDecodeError as bad:
            raise DecodeError(f"string is not UTF-8: {bad.reason}", section="§6.1.6", kind=FaultKind.UTF8) from None
    if type in (DataType.OCTET_ARRAY, DataType.MAC_ADDRESS, DataType.IPV6):
        return octets
    if type is DataType.BOOLEAN:
        if octets[0] not in (1, 2):
            raise DecodeError(f"boolean is {octets[0]}", section="§6.1.5", kind=FaultKind.BOOLEAN)
        return octets[0] == 1
    if type.is_float:
        value: float = struct.unpack("!f" if len(octets) == 4 else "!d", octets)[0]
        return value
    if type in _NTP_UNITS:
        return decode_ntp(octets, _NTP_UNITS[type], reference_s)
    return int.from_bytes(octets, "big", signed=type.is_signed)


def decode_ntp(octets: bytes, per_second: int, reference_s: int) -> int:
    """An NTP timestamp as units since the Unix epoch, rounded to the nearest unit, in the era nearest the reference."""
    seconds, fraction = struct.unpack("!II", octets)
    if per_second == 1_000_000:
        fraction &= ~_US_IGNORED
    instant = seconds - NTP_EPOCH
    instant += (reference_s - instant + _ERA // 2) // _ERA * _ERA
    return int(instant * per_second + ((fraction * per_second + (1 << 31)) >> 32))


def encode_ntp(value: int, per_second: int) -> bytes:
    """Units since the Unix epoch as an NTP timestamp, modulo its era.

    The fraction is rounded up (for microseconds to a multiple of 2^11), so that decoders that round down and
    decoders that round to the nearest unit give back the same value.
    """
    seconds, units = divmod(value, per_second)
    fraction = -(-(units << 32) // per_second)
    if per_second == 1_000_000:
        fraction = -(-fraction // (_US_IGNORED + 1)) * (_US_IGNORED + 1)
    return struct.pack("!II", (seconds + NTP_EPOCH) % _ERA, fraction)


def encode_value(element: InformationElement, value: Scalar, length: int) -> bytes:
    """Octets of `value` in `length` octets (65535: as many as it has, without the length prefix).

    Raises EncodeError: wrong Python type, out of range for the length, ill-formed text, wrong number of octets.
    """
    type = element.type
    try:
        octets = _encode(type, value, length)
    except (struct.error, OverflowError, UnicodeEncodeError, TypeError, AttributeError):
        size = "variable" if length == VARIABLE else f"{length} octets"
        detail = f"{element.name}: {value!r} does not fit {type.label} ({size})"
        raise EncodeError(detail, column=element.name) from None
    if length != VARIABLE and len(octets) != length:
        raise EncodeError(f"{element.name}: {len(octets)} octets where {length} are needed", column=element.name)
    return octets


def _encode(type: DataType, value: Scalar, length: int) -> bytes:
    if isinstance(value, bytes):  # raw octets are always accepted: what was kept undecoded goes out again
        return value
    if type is DataType.STRING:
        return value.encode()  # type: ignore[union-attr]  # AttributeError is the caller's TypeError
    width = type.width if length == VARIABLE else length
    if type.is_float:
        return struct.pack("!f" if width == 4 else "!d", value)
    if not isinstance(value, int) or isinstance(value, bool) is not (type is DataType.BOOLEAN):
        raise TypeError
    if type is DataType.BOOLEAN:
        return b"\x01" if value else b"\x02"
    if type in _NTP_UNITS:
        return encode_ntp(value, _NTP_UNITS[type])
    return value.to_bytes(width, "big", signed=type.is_signed)
