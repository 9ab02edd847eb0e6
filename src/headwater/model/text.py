"""Text forms of values, both ways (RFC 7373 §4). Strict unless asked otherwise.

Python values are those of DataType. What the strict parser adds to the RFC: a year beyond 9999 or before 0 is
written with its sign (`+10000-01-01T00:00:00`, ISO 8601's expanded form), because values reach that far.

The lenient parser also takes: blanks around the text; `True` and `FALSE`; a `+` before an unsigned integer; any float
Python reads, such as `inf` or `.5`; MAC addresses with `-`, or as `0000.5e00.53af`; octets after `0x`; and times with a
trailing `Z` or an offset, a blank for the `T`, or up to 9 fraction digits, cut to those the type has room for.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from math import copysign, inf, isinf, isnan
from typing import Any, Final

from headwater.errors import DecodeError, EncodeError
from headwater.model.types import DataType, Value

_UNSIGNED: Final = re.compile(r"0[xX](?P<hex>[0-9A-Fa-f]+)|0[bB](?P<bin>[01]+)|(?P<dec>[0-9]+)")
_SIGNED: Final = re.compile(r"(?P<sign>[+-]?)(?P<dec>[0-9]+)")
_FLOAT: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?|NaN|[+-]inf")
_OCTETS: Final = re.compile(r"([0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*)?")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_MAC_LENIENT: Final = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2}")
_IPV4: Final = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")
_TIME: Final = re.compile(
    r"(?P<year>[0-9]{4}|\+[0-9]{5,12}|-[0-9]{4,12})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?P<t>[T ])"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DIGITS_OF_2_256: Final = 78
_FLOAT_MAX: Final = {
    DataType.FLOAT32: struct.unpack(">f", b"\x7f\x7f\xff\xff")[0],
    DataType.FLOAT64: struct.unpack(">d", b"\x7f\xef\xff\xff\xff\xff\xff\xff")[0],
}


def to_text(type: DataType, value: Value) -> str:
    """The RFC 7373 text of a value. Raises EncodeError for a list type, which has no text form (§4.11)."""
    writer = _WRITERS.get(type)
    if writer is None:
        raise EncodeError(f"{type} has no text form (RFC 7373 §4.11)")
    return writer(value)


def from_text(type: DataType, text: str, *, lenient: bool = False) -> Value:
    """The value that the text stands for; a number outside the type's range becomes the nearest one inside.

    lenient: also take what people type, see the module's docstring.
    Raises DecodeError for anything that is not the type's text form, and for every list type.
    """
    parser = _PARSERS.get(type)
    value = (
        None if parser is None else parser(type, text.strip() if lenient and type != DataType.STRING else text, lenient)
    )
    if value is None:
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        raise DecodeError(f"{shown!r} is not the text of a value of type {type}", section="RFC 7373 §4")
    return value


# Every parser below is (type, text, lenient) -> value, None = refused.


def _parse_unsigned(type: DataType, text: str, lenient: bool) -> int | None:
    found = _UNSIGNED.fullmatch(text[1:] if lenient and text.startswith("+") else text)
    if found is None:
        return None
    limit = (1 << 8 * type.width) - 1
    if found["hex"]:
        return min(int(found["hex"], 16), limit)
    if found["bin"]:
        return min(int(found["bin"], 2), limit)
    return min(_decimal(found["dec"]), limit)


def _parse_signed(type: DataType, text: str, lenient: bool) -> int | None:
    found = _SIGNED.fullmatch(text)
    if found is None:
        return None
    limit = 1 << (8 * type.width - 1)
    value = _decimal(found["dec"])
    return max(-value, -limit) if found["sign"] == "-" else min(value, limit - 1)


def _decimal(digits: str) -> int:
    """The number, or one that is certainly too large: int() refuses texts of thousands of digits."""
    digits = digits.lstrip("0")[: _DIGITS_OF_2_256 + 1]
    return int(digits or "0")


def _parse_float(type: DataType, text: str, lenient: bool) -> float | None:
    if not lenient and not _FLOAT.fullmatch(text):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    if isinf(value) and text[-1].isdigit():
        value = copysign(_FLOAT_MAX[type], value)  # a number out of range, so the nearest there is
    return _nearest(type, value)


def _nearest(type: DataType, value: float) -> float:
    """The float of the type nearest to a finite value; NaN and infinities as they are."""
    if type is DataType.FLOAT64 or isnan(value) or isinf(value):
        return value
    limit = _FLOAT_MAX[type]
    single: float = struct.unpack(">f", struct.pack(">f", max(-limit, min(limit, value))))[0]
    return single


def _parse_boolean(type: DataType, text: str, lenient: bool) -> bool | None:
    return {"true": True, "false": False}.get(text.lower() if lenient else text)


def _parse_octets(type: DataType, text: str, lenient: bool) -> bytes | None:
    if lenient:
        text = text.removeprefix("0x")
    return bytes.fromhex(text) if _OCTETS.fullmatch(text) else None


def _parse_mac(type: DataType, text: str, lenient: bool) -> bytes | None:
    if not (_MAC_LENIENT if lenient else _MAC).fullmatch(text):
        return None
    return bytes.fromhex(re.sub(r"[.:-]", "", text))


def _parse_string(type: DataType, text: str, lenient: bool) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _parse_ipv4(type: DataType, text: str, lenient: bool) -> int | None:
    found = _IPV4.fullmatch(text)
    if found is None:
        return None
    octets = [int(part) for part in found.groups()]
    return int.from_bytes(octets) if max(octets) < 256 else None


def _parse_ipv6(type: DataType, text: str, lenient: bool) -> bytes | None:
    from ipaddress import AddressValueError, IPv6Address

    if "%" in text:  # a zone is not part of an address
        return None
    try:
        return IPv6Address(text).packed
    except AddressValueError:
        return None


def _parse_time(type: DataType, text: str, lenient: bool) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    places = len(str(type.ticks)) - 1
    fraction = found["fraction"] or ""
    # "exactly 0, 3, 6 or 9" digits by the type, in UTC, and no zone designator (RFC 7373 §4.8)
    if not lenient and (found["t"] != "T" or found["zone"] or len(fraction) != places):
        return None
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    hour, minute, second = (int(found["hour"]), int(found["minute"]), int(found["second"]))
    if not (
        1 <= month <= 12 and 1 <= day <= _days_in_month(year, month) and hour < 24 and minute < 60 and second <= 60
    ):
        return None
    seconds = _days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    zone = found["zone"]
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += offset if zone[0] == "-" else -offset
    return seconds * type.ticks + int(f"{fraction:0<{places}}"[:places] or "0")


def _write_float32(value: float) -> str:
    """The shortest text that reads back as the same float32."""
    if isnan(value) or isinf(value):
        return _write_float64(value)
    value = _nearest(DataType.FLOAT32, value)
    texts = (f"{value:.{digits}g}" for digits in range(6, 10))  # 9 digits are always enough
    return next(text for text in texts if _nearest(DataType.FLOAT32, float(text)) == value)


def _write_float64(value: float) -> str:
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+inf" if value == inf else "-inf"
    return repr(float(value))


def _write_ipv4(value: int) -> str:
    return f"{value >> 24 & 255}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def _write_ipv6(value: bytes) -> str:
    """RFC 5952: lower case, no leading zeros, the first of the longest runs of two or more zero groups as `::`."""
    if value[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return f"::ffff:{_write_ipv4(int.from_bytes(value[12:]))}"  # §5: known to have an IPv4 address embedded
    groups = struct.unpack(">8H", value)
    start, length = 0, 1
    run = 0
    for index, group in enumerate((*groups, 1)):
        if group == 0:
            run += 1
            continue
        if run > length:
            start, length = index - run, run
        run = 0
    words = [f"{group:x}" for group in groups]
    if length == 1:
        return ":".join(words)
    return f"{':'.join(words[:start])}::{':'.join(words[start + length :])}"


def _time_writer(ticks: int) -> Callable[[int], str]:
    places = len(str(ticks)) - 1

    def write(value: int) -> str:
        seconds, fraction = divmod(value, ticks)
        days, second = divmod(seconds, 86400)
        year, month, day = _civil_from_days(days)
        sign = "" if 0 <= year <= 9999 else "+" if year > 0 else "-"
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        text = f"{sign}{abs(year):04}-{month:02}-{day:02}T{clock}"
        return f"{text}.{fraction:0{places}}" if places else text

    return write


# The proleptic Gregorian calendar on unbounded integers: `datetime` ends at year 9999, a millisecond count does not.
# Years begin in March here, so that the leap day is the last one.


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


def _civil_from_days(days: int) -> tuple[int, int, int]:
    """(year, month, day) of days since 1970-01-01."""
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


_PARSERS: Final[dict[DataType, Callable[[DataType, str, bool], Any]]] = {
    **{t: _parse_unsigned for t in DataType if t.is_unsigned},
    **{t: _parse_signed for t in DataType if t.is_signed},
    **{t: _parse_float for t in DataType if t.is_float},
    **{t: _parse_time for t in DataType if t.is_time},
    DataType.BOOLEAN: _parse_boolean,
    DataType.OCTET_ARRAY: _parse_octets,
    DataType.MAC_ADDRESS: _parse_mac,
    DataType.STRING: _parse_string,
    DataType.IPV4: _parse_ipv4,
    DataType.IPV6: _parse_ipv6,
}

_WRITERS: Final[dict[DataType, Callable[[Any], str]]] = {
    **{t: str for t in DataType if t.is_integer},
    **{t: _time_writer(t.ticks) for t in DataType if t.is_time},
    DataType.FLOAT32: _write_float32,
    DataType.FLOAT64: _write_float64,
    DataType.BOOLEAN: lambda value: "true" if value else "false",
    DataType.OCTET_ARRAY: lambda value: bytes(value).hex(),
    DataType.MAC_ADDRESS: lambda value: bytes(value).hex(":"),
    DataType.STRING: str,
    DataType.IPV4: _write_ipv4,
    DataType.IPV6: _write_ipv6,
}
