"""What callers hand over, checked where it comes in, so that the mistake is told in their words."""

from __future__ import annotations

import operator
from typing import Any

from headwater.errors import EncodeError

_DOMAINS = 1 << 32


def whole(value: Any, name: str) -> int:
    """The whole number that it is. name: of the argument. Raises EncodeError."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise EncodeError(f"{name} is a whole number, not {value!r}")


def sixteen_bits(value: Any, name: str) -> int:
    """The number of 16 bits that it is. Raises EncodeError."""
    number = whole(value, name)
    if not 0 <= number <= 0xFFFF:
        raise EncodeError(f"{name} is {number}, which has not 16 bits")
    return number


def alignment(value: Any) -> int:
    """What Sets are padded to a multiple of. Raises EncodeError."""
    number = whole(value, "align")
    if number < 1:
        raise EncodeError(f"align is {number}; Sets are padded to a multiple of 1 or more octets")
    return number


def domain_of(value: Any) -> int:
    """The Observation Domain ID that it is. Raises EncodeError."""
    number = whole(value, "domain")
    if not 0 <= number < _DOMAINS:
        raise EncodeError(f"domain is {number}; Observation Domain IDs have 32 bits (RFC 7011 §3.1)")
    return number


def seconds(value: Any, name: str) -> float:
    """Seconds since 1970, as many as Export Times can be. Raises EncodeError."""
    try:
        if 0 <= value < 1 << 32:
            return float(value)
    except TypeError:
        pass
    raise EncodeError(f"{name} is in seconds since 1970, 32 bits, not {value!r}")
