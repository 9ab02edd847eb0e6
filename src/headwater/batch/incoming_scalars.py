"""One value as people have it in Python, as the value that its abstract data type has (see DataType)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from math import isfinite
from typing import Any, Final

import numpy as np

from headwater.batch.incoming_target import TICKS, Target, Unfit
from headwater.errors import DecodeError
from headwater.model.text import from_text
from headwater.model.types import DataType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NANO = 10**9
_SHORT_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:([T ][0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?)?")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_UNIT_SECONDS: Final = {
    "W": Fraction(604_800), "D": Fraction(86_400), "h": Fraction(3600), "m": Fraction(60), "s": Fraction(1),
    "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "ns": Fraction(1, 10**9), "ps": Fraction(1, 10**12),
    "fs": Fraction(1, 10**15), "as": Fraction(1, 10**18),
}  # fmt: skip
ROUNDED = "it would have to be rounded; allow_rounding=True cuts it"
NO_DURATION = "its element counts no unit of time"


def seconds_per_count(dtype: np.dtype[Any]) -> Fraction:
    """Seconds that one count of a numpy time or duration stands for. Raises Unfit for years, months and no unit."""
    unit, step = np.datetime_data(dtype)
    if unit not in _UNIT_SECONDS:
        raise Unfit("its unit has no fixed length")
    return step * _UNIT_SECONDS[unit]


def scaled(target: Target, count: int, numerator: int, denominator: int) -> int:
    """A count in another unit. Raises Unfit if it would have to be rounded and may not."""
    whole, rest = divmod(count * numerator, denominator)
    if rest and not target.allow_rounding:
        raise Unfit(ROUNDED)
    return whole


def scalar(target: Target, value: Any) -> Any:
    """The value in the form of the target's type. Raises Unfit."""
    return _SCALARS[target.type](target, value)


def _text(target: Target, value: str) -> Any:
    """RFC 7373 text, leniently."""
    try:
        return from_text(target.type, value, lenient=True)
    except DecodeError:
        raise Unfit from None


def _in_range(target: Target, value: int) -> int:
    low, high = target.limits
    if not low <= value <= high:
        raise Unfit("it is out of range")
    return value


def _whole(value: Any) -> int:
    """Any kind of number that is whole."""
    if isinstance(value, bool | np.bool_):
        raise Unfit
    if isinstance(value, float | np.floating | Decimal):
        is_finite = value.is_finite() if isinstance(value, Decimal) else isfinite(value)
        if not is_finite or value != int(value):
            raise Unfit
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise Unfit from None


def _integer(target: Target, value: Any) -> int:
    if isinstance(value, str):
        _text(target, value)  # is it one? A number that is out of range comes back as the nearest, so read it again
        digits = value.strip()
        try:
            number = int(digits, 0 if digits[:2].lower() in ("0x", "0b") else 10)
        except ValueError:  # thousands of digits
            raise Unfit("it is out of range") from None
        return _in_range(target, number)
    if isinstance(value, timedelta | np.timedelta64):
        return _in_range(target, _duration(target, value))
    if isinstance(value, bytes) and target.type is DataType.UNSIGNED256 and len(value) == target.type.width:
        return int.from_bytes(value)
    return _in_range(target, _whole(value))


def _duration(target: Target, value: timedelta | np.timedelta64) -> int:
    ticks = TICKS.get(target.units)  # type: ignore[call-overload]  # a number equals its IntEnum member
    if ticks is None:
        raise Unfit(NO_DURATION)
    if isinstance(value, timedelta):
        return scaled(target, value // _MICROSECOND, ticks, 10**6)
    if np.isnat(value):
        raise Unfit
    return _scaled_count(target, value, ticks)


def _scaled_count(target: Target, value: np.timedelta64 | np.datetime64, ticks: int) -> int:
    factor = seconds_per_count(value.dtype) * ticks
    return scaled(target, int(value.view(np.int64)), factor.numerator, factor.denominator)


def _unsigned256(target: Target, value: Any) -> bytes:
    return _integer(target, value).to_bytes(target.type.width, "big")


def _time(target: Target, value: Any) -> int:
    ticks = target.type.ticks
    if isinstance(value, str):
        try:
            count = from_text(DataType.NANOSECONDS, _to_the_second(value.strip()), lenient=True)
        except DecodeError:
            raise Unfit from None
        return _in_range(target, scaled(target, count, ticks, _NANO))
    if hasattr(value, "to_datetime64"):  # a pandas Timestamp has nanoseconds, which datetime has not
        value = value.to_datetime64()
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            raise Unfit
        if np.datetime_data(value.dtype)[0] in ("Y", "M"):
            value = value.astype("M8[D]")
        return _in_range(target, _scaled_count(target, value, ticks))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return _in_range(target, scaled(target, (value - _EPOCH) // _MICROSECOND, ticks, 10**6))
    if isinstance(value, date):
        return _in_range(target, (value - _EPOCH.date()).days * 86_400 * ticks)
    return _in_range(target, _whole(value))


def _to_the_second(text: str) -> str:
    """A day, or a time of day without seconds, with what it leaves out."""
    found = _SHORT_TIME.fullmatch(text)
    if found is None:
        return text
    day, clock, zone = found.groups(default="")
    return f"{day}{clock or 'T00:00'}:00{zone}"


def _float(target: Target, value: Any) -> float:
    if isinstance(value, str):
        _text(target, value)
    elif isinstance(value, bool | np.bool_ | np.timedelta64 | np.datetime64):
        raise Unfit
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Unfit from None
    except OverflowError:
        raise Unfit("it is out of range") from None
    is_infinite = isinstance(value, str) and not value.strip()[-1:].isdigit()
    if not isfinite(number) and isinstance(value, str) and not is_infinite:
        raise Unfit("it is out of range")
    if target.type is DataType.FLOAT32 and isfinite(number) and abs(number) > _FLOAT32_MAX:
        raise Unfit("it is out of range")
    return number


def _boolean(target: Target, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str) and value.strip() not in ("0", "1"):
        return bool(_text(target, value))
    number = int(value) if isinstance(value, str) else _whole(value)
    if number not in (0, 1):
        raise Unfit
    return number == 1


def _octets(target: Target, value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview | np.void):
        return bytes(value)
    if isinstance(value, str):
        return bytes(_text(target, value))
    raise Unfit


def _string(target: Target, value: Any) -> bytes:
    """The UTF-8 form."""
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, bytes | bytearray):
            value.decode()
            return bytes(value)
    except UnicodeError:
        raise Unfit("it has no UTF-8 form") from None
    raise Unfit


def _ipv4(target: Target, value: Any) -> int:
    if isinstance(value, str):
        return int(_text(target, value))
    if isinstance(value, IPv4Address):
        return int(value)
    if isinstance(value, bytes | bytearray):
        if len(value) != 4:
            raise Unfit
        return int.from_bytes(value)
    if isinstance(value, float | np.floating | Decimal | IPv6Address):
        raise Unfit
    return _in_range(target, _whole(value))


def _fixed_octets(target: Target, value: Any) -> bytes:
    """An IPv6 or a MAC address."""
    if isinstance(value, IPv6Address) and value.scope_id is not None:
        raise Unfit("an address on the wire has no zone")
    octets = value.packed if isinstance(value, IPv6Address) else _octets(target, value)
    if len(octets) != target.type.width:
        raise Unfit
    return bytes(octets)


_SCALARS: Final[dict[DataType, Callable[[Target, Any], Any]]] = {
    **{type: _integer for type in DataType if type.is_integer},
    **{type: _time for type in DataType if type.is_time},
    **{type: _float for type in DataType if type.is_float},
    DataType.UNSIGNED256: _unsigned256,
    DataType.BOOLEAN: _boolean,
    DataType.OCTET_ARRAY: _octets,
    DataType.STRING: _string,
    DataType.IPV4: _ipv4,
    DataType.IPV6: _fixed_octets,
    DataType.MAC_ADDRESS: _fixed_octets,
}
