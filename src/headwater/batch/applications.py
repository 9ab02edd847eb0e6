"""Application ids: which engine classified a flow, and what it calls the application (RFC 6759 §4)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.strings import Strings

PANA_L7_PEN: Final = 20
"""The engine whose selectors belong to the enterprise whose number stands before them (RFC 6759 §4.1)."""

_LONGEST: Final = 8  # octets: engine, PEN and a selector of 3, the longest default length of RFC 6759 §4.2
_NOTHING: Final = np.uint64(0)


def application_text(octets: bytes) -> str | None:
    """An applicationId as `engine..selector`, or `20..pen..selector`; None if its octets have no such parts.

    Selectors are right-aligned, so leading zero octets change nothing (RFC 6759 §4.1): 010001 is `1..1` as 0101 is.
    """
    if len(octets) < 2:
        return None
    engine, rest = octets[0], octets[1:]
    if engine != PANA_L7_PEN:
        return f"{engine}..{int.from_bytes(rest, 'big')}"
    if len(rest) < 5:  # an enterprise number and nothing else, or less
        return None
    return f"{engine}..{int.from_bytes(rest[:4], 'big')}..{int.from_bytes(rest[4:], 'big')}"


def application_key(octets: bytes) -> int | None:
    """A number that is the same for all spellings of an application; None for malformed and for over-long ids."""
    if not 2 <= len(octets) <= _LONGEST or (octets[0] == PANA_L7_PEN and len(octets) < 6):
        return None
    engine, rest = octets[0], octets[1:]
    if engine != PANA_L7_PEN:
        return engine << 56 | int.from_bytes(rest, "big")
    return engine << 56 | int.from_bytes(rest[:4], "big") << 24 | int.from_bytes(rest[4:], "big")


def application_keys(values: Strings) -> npt.NDArray[np.uint64]:
    """uint64[n]: application_key of each value, 0 where it has none."""
    offsets = values.offsets
    count = len(values)
    size = np.diff(offsets)
    if count and int(size.min()) == int(size.max()):
        return _of_one_length(values, int(size[0]), count)
    keys = np.zeros(count, np.uint64)
    for length in range(2, _LONGEST + 1):
        rows = np.flatnonzero(size == length)
        if len(rows):
            at = offsets[rows][:, None] + np.arange(length, dtype=np.int32)
            keys[rows] = _keys(values.data[at])
    return keys


def _of_one_length(values: Strings, length: int, count: int) -> npt.NDArray[np.uint64]:
    if not 2 <= length <= _LONGEST:
        return np.zeros(count, np.uint64)
    start = int(values.offsets[0])
    return _keys(values.data[start : start + count * length].reshape(count, length))


def _keys(octets: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """uint64[n] of uint8[n, length], all of one length."""
    count, length = octets.shape
    wide = np.zeros((count, 8), np.uint8)
    wide[:, 0] = octets[:, 0]
    wide[:, 9 - length :] = octets[:, 1:]
    keys: npt.NDArray[np.uint64] = wide.view(">u8")[:, 0].astype(np.uint64)
    is_pen = octets[:, 0] == PANA_L7_PEN
    if is_pen.any():
        if length < 6:
            keys[is_pen] = _NOTHING
        else:
            wide[:, 1:5] = octets[:, 1:5]
            wide[:, 5:] = 0
            wide[:, 13 - length :] = octets[:, 5:]
            keys[is_pen] = wide.view(">u8")[:, 0][is_pen]
    return keys
