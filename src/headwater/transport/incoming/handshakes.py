"""Handshakes that are under way: bounded, so that those which never end keep nobody away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


class Handshakes(Generic[_T]):
    """By address, in the order in which they began."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._of: dict[str, dict[_T, None]] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_T]:
        return iter([one for ones in list(self._of.values()) for one in list(ones)])

    def add(self, address: str, one: _T) -> _T | None:
        """Begin one -> what to give up for it, if there are too many: the oldest of the address with most of them."""
        self._of.setdefault(address, {})[one] = None
        self._count += 1
        if self._count <= self._most:
            return None
        greediest = max(self._of, key=lambda each: len(self._of[each]))
        return next(iter(self._of[greediest]))

    def discard(self, address: str, one: _T) -> None:
        """It has come to its end, one way or the other."""
        ones = self._of.get(address, {})
        if one in ones:
            del ones[one]
            self._count -= 1
            if not ones:
                del self._of[address]


def count_failure(counters: Counter[str], reason: str) -> None:
    """Count a handshake that failed, by a reason of OpenSSL or of the kernel: there are not many of them."""
    counters["handshakes_failed"] += 1
    counters[f"handshakes_failed_{_NO_WORD.sub('_', reason.lower()).strip('_')}"] += 1
