"""Where the octets of a TCP stream stand in the capture that it was found in."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headwater.transport.capture import StreamPart

_SEGMENTS_KEPT = 1 << 12


class StreamPlaces:
    """The absolute offsets of the octets of one stream, as far as its last _SEGMENTS_KEPT segments at least."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._offsets: list[int] = []
        self._size = 0

    def add(self, part: StreamPart) -> None:
        """Take in the octets that come next."""
        self._positions += [self._size + position for position in part.positions]
        self._offsets += part.offsets
        self._size += len(part.octets)
        extra = len(self._positions) - 2 * _SEGMENTS_KEPT
        if extra > 0:
            del self._positions[: extra + _SEGMENTS_KEPT]
            del self._offsets[: extra + _SEGMENTS_KEPT]

    def offset(self, position: int) -> int:
        """The absolute offset of an octet of the stream; of one that is forgotten, that of the first that is not."""
        run = bisect_right(self._positions, position) - 1
        if run < 0:
            return self._offsets[0] if self._offsets else position
        return self._offsets[run] + position - self._positions[run]
