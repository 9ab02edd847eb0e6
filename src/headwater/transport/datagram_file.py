"""Files of NetFlow datagrams one after the other, without anything that tells where one ends: what `nc -u` leaves.

The records of NetFlow v1, v5, v7 and v8 are counted in the header, and IPFIX has a length. A packet of v9 ends where a
FlowSet should begin and the version of the next one stands, which is no FlowSet ID that means anything (RFC 3954 §5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.errors import Fault
from headwater.session.datagrams import Datagrams
from headwater.wire.dialect import DIALECTS, IPFIX, NETFLOW9, SET_HEADER
from headwater.wire.legacy import AGGREGATION_AT, record_sizes, template_id

if TYPE_CHECKING:
    from headwater.session.key import SessionKey
    from headwater.transport.windows import Windows

_LONGEST: Final = 65507
"""Octets of the longest UDP datagram over IPv4."""
_NEXT: Final = frozenset((5, 7, 8, 9, 10))
"""Versions that are no FlowSet ID of NetFlow v9."""


class DatagramFile:
    """Yields the datagrams of `windows`; what cannot be told apart comes as one, and the session says what is wrong.

    offset: of what comes next, decompressed.
    """

    def __init__(self, windows: Windows) -> None:
        self.offset = 0
        self._windows = windows
        self._keys: list[SessionKey | None] = [None]

    def __iter__(self) -> Iterator[Datagrams | Fault]:
        consumed, is_last = 0, False
        while not is_last:
            window, is_last = self._windows.next(consumed)
            cuts = _cuts(window, is_last=is_last)
            consumed = cuts[-1]
            if len(cuts) > 1:
                yield self._datagrams(window, cuts)
            self.offset += consumed

    def _datagrams(self, window: memoryview, cuts: list[int]) -> Datagrams:
        start, end = np.array(cuts[:-1], np.int32), np.array(cuts[1:], np.int32)
        return Datagrams(
            np.frombuffer(window, np.uint8),
            start,
            end,
            np.zeros(len(start), np.int32),
            self._keys,
            start + np.int64(self.offset),
            np.zeros(len(start), np.int64),
        )


def _cuts(window: memoryview, *, is_last: bool) -> list[int]:
    """Where datagrams begin, and where the last whole one ends."""
    cuts, at, size = [0], 0, len(window)
    while at < size:
        end = _end(window, at)
        if end is None:
            if not is_last and size - at <= _LONGEST:
                break
            end = min(size, at + _LONGEST)
        elif end == size and not is_last and _u16(window, at) == NETFLOW9.version:
            break  # more FlowSets may follow
        cuts.append(end)
        at = end
    return cuts


def _end(window: memoryview, at: int) -> int | None:
    """Where the datagram at `at` ends, None if that is beyond the window or cannot be told."""
    size = len(window)
    version = _u16(window, at)
    dialect = DIALECTS.get(version)
    if dialect is None or size - at < dialect.header:
        return None
    if dialect is IPFIX:
        end = at + max(_u16(window, at + 2), IPFIX.header)
    elif dialect is NETFLOW9:
        return _end_of_flowsets(window, at + NETFLOW9.header, at + _LONGEST)
    else:
        aggregation = window[at + AGGREGATION_AT] if version == 8 else 0
        record = int(record_sizes()[min(template_id(version, aggregation), 255)])
        if not record:
            return None
        end = at + dialect.header + _u16(window, at + 2) * record
    return end if end <= size else None


def _end_of_flowsets(window: memoryview, at: int, limit: int) -> int | None:
    size = len(window)
    while at + SET_HEADER <= size and at <= limit:
        length = _u16(window, at + 2)
        if _u16(window, at) in _NEXT:
            return at
        if length < SET_HEADER:  # padding, or damage: up to where another packet begins
            return next((i for i in range(at, min(at + 64, size - 1)) if _u16(window, i) in _NEXT), None)
        at += length
    return at if at == size else None


def _u16(window: memoryview, at: int) -> int:
    return int.from_bytes(window[at : at + 2], "big")
