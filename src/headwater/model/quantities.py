"""Durations and sizes as people write them: `250ms`, `5m`, `64M`."""

from __future__ import annotations

import math
import re
from typing import Final

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", re.ASCII)
_SECONDS: Final = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_OCTETS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LONGEST: Final = 1e10
_LARGEST: Final = 1e300
"""What is multiplied by a unit stays finite."""

DURATION: Final = "a duration such as 250ms, 30s, 5m, 1h or 1d"
SIZE: Final = "a number of octets such as 4096, 64M or 1G"


def duration(text: str | float) -> float:
    """Seconds; a number without unit is seconds. Raises ValueError for what is none, and beyond 300 years."""
    value, unit = _split(text)
    seconds = value * _SECONDS.get(unit, math.nan)
    if not seconds <= _LONGEST:
        raise ValueError(f"{text!r} is not {DURATION}")
    return seconds


def size(text: str | float) -> int:
    """Octets; k, M, G, T and the same with B or iB are powers of 1024. Raises ValueError for what is none."""
    value, unit = _split(text)
    unit = unit if unit == "b" else unit.removesuffix("b").removesuffix("i")
    octets = value * _OCTETS.get(unit, math.nan)
    if not octets < 1 << 62 or octets != int(octets):
        raise ValueError(f"{text!r} is not {SIZE}")
    return int(octets)


def _split(text: str | float) -> tuple[float, str]:
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is no quantity")
    if isinstance(text, int | float):
        if not 0 <= text < _LARGEST:
            raise ValueError(f"{text!r} is no quantity")
        return text, ""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no number with a unit, such as 5m or 64M")
    return float(found[1]), found[2].lower()
