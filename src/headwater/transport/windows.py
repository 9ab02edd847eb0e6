"""Octets of one source in windows that begin where the caller has come to; memory stays bounded for any size."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from headwater.transport.content import HEAD, Content

if TYPE_CHECKING:
    from headwater.errors import Fault
    from headwater.transport.compression import Decompressed
    from headwater.transport.raw import RawStream

WINDOW = 8 << 20  # the fixed cost of a window is about 150 µs; twice as much no longer fits the caches
_RELEASE = 16 << 20


class Windows(Protocol):
    """What a reading loop sees of a source.

    size: octets of the source where known, before decompression. done: how many of them were taken so far.
    compression: name of its format or "". content: what it is, decompressed.
    faults: of the compressed stream, complete after the last window.
    """

    size: int | None
    compression: str
    content: Content
    faults: list[Fault]

    @property
    def done(self) -> int: ...

    def next(self, consumed: int) -> tuple[memoryview, bool]:
        """(window, whether it is the last).

        It begins `consumed` octets into the one before; if that is 0, it is longer than the one before.
        """

    def close(self) -> None:
        """Let go of memory and files; windows that are still in use stay valid."""


class MappedWindows:
    """Windows over memory: of the caller, or the map of a file, whose pages are given back once they were read."""

    def __init__(self, octets: memoryview, *, window: int = WINDOW, mapping: mmap.mmap | None = None) -> None:
        self.size: int | None = len(octets)
        self.compression = ""
        self.content = Content.IPFIX
        self.faults: list[Fault] = []
        self._octets, self._mapping = octets, mapping
        self._window = self._length = window
        self._at = self._released = 0
        self._is_open = False

    @property
    def done(self) -> int:
        return self._at

    def next(self, consumed: int) -> tuple[memoryview, bool]:
        self._at += consumed
        self._length = self._window if consumed or not self._is_open else 2 * self._length
        self._is_open = True
        size = len(self._octets)
        if self._mapping is not None:
            size = self._whole(size)
        end = min(self._at + self._length, size)
        return self._octets[self._at : end], end == size

    def _whole(self, size: int) -> int:
        """Give pages behind us back; the size of the file now, for to read a map beyond it would kill the process."""
        assert self._mapping is not None
        behind = self._at - self._released
        if behind >= _RELEASE and hasattr(mmap, "MADV_DONTNEED"):
            behind -= behind % mmap.PAGESIZE
            self._mapping.madvise(mmap.MADV_DONTNEED, self._released, behind)
            self._released += behind
        return min(size, max(self._mapping.size(), self._at))

    def close(self) -> None:
        self._octets = memoryview(b"")
        if self._mapping is not None:
            with suppress(BufferError):  # batches that still look at it: unmapped when the last of them goes
                self._mapping.close()
            self._mapping = None


class StreamWindows:
    """Windows over a stream; each is memory of its own, so that batches may keep it."""

    def __init__(
        self, stream: RawStream | Decompressed, raw: RawStream, *, window: int = WINDOW, compression: str = ""
    ) -> None:
        self.size, self.compression = raw.size, compression
        self.content = Content.IPFIX
        self.faults: list[Fault] = getattr(stream, "faults", [])
        self._stream, self._raw = stream, raw
        self._window, self._room = window, 0
        self._octets = memoryview(b"")
        self._is_last = self._is_open = self._is_taken = False

    @property
    def done(self) -> int:
        return self._raw.position

    def head(self) -> bytes:
        """The first octets of the first window, which is still to be taken."""
        if not self._is_open:
            self._advance(0)
        return bytes(self._octets[:HEAD])

    def next(self, consumed: int) -> tuple[memoryview, bool]:
        if self._is_taken or not self._is_open:
            self._advance(consumed)
        self._is_taken = True
        return self._octets, self._is_last

    def close(self) -> None:
        self._octets = memoryview(b"")
        self._raw.close()

    def _advance(self, consumed: int) -> None:
        rest = self._octets[consumed:]
        if consumed or not self._is_open:
            self._room = max(self._window, len(rest))
        elif len(rest) == self._room:  # a slow stream may not have filled it yet
            self._room *= 2
        self._is_open = True
        octets = np.empty(self._room, np.uint8).data
        filled = len(rest)
        octets[:filled] = rest
        while filled < len(octets):
            count = self._stream.readinto(octets[filled:])
            filled += count
            self._is_last = not count
            if self._is_last or self._raw.is_live:
                break
        self._octets = octets[:filled]
