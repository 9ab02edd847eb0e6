"""Octets on their way out: what cannot be put down now is kept, so that whoever makes them never sees a failure."""

from __future__ import annotations

import errno
import os
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENOUGH: Final = 1 << 18
"""Octets that are worth a call of the system."""
_AT_ONCE: Final = 64
"""Pieces of a call, far below any system's bound (IOV_MAX)."""


class HeldOctets:
    """A queue of octets in front of something that may fail.

    put: writes the start of some pieces; how many octets that were. Raises OSError.
    given: octets that were written so far; they are in the queue or out.
    """

    def __init__(self, put: Callable[[Sequence[bytes | memoryview]], int]) -> None:
        self.given = self._held = 0
        self._put = put
        self._waiting: deque[bytes | memoryview] = deque()
        self._is_stuck = False

    @property
    def held(self) -> int:
        """Octets in the queue."""
        return self._held

    def write(self, octets: bytes | memoryview) -> int:
        """Take octets; how many. Never fails: `put_down` tells. What cannot be written to is kept without a copy."""
        piece = octets if isinstance(octets, memoryview) and octets.readonly else bytes(octets)
        if piece:
            self._waiting.append(piece)
            self._held += len(piece)
            self.given += len(piece)
        if self._held >= _ENOUGH and not self._is_stuck:
            try:
                self.put_down()
            except OSError:
                self._is_stuck = True
        return len(piece)

    def put_down(self) -> None:
        """Empty the queue. Raises OSError; what is not out then stays in the queue."""
        while self._waiting:
            count = self._put(list(islice(self._waiting, _AT_ONCE)))
            if count <= 0:  # it would go on for ever
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self._held -= count
            while count:
                first = self._waiting[0]
                if count < len(first):
                    self._waiting[0] = first[count:]
                    break
                count -= len(self._waiting.popleft())
        self._is_stuck = False

    def drop(self) -> None:
        """Forget what is in the queue."""
        self._waiting.clear()
        self.given -= self._held
        self._held = 0
