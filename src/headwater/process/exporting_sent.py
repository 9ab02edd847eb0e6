"""The Messages sent last, to know how many records were in one that got lost."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from headwater.process.exporting_report import Amount
from headwater.transport.outgoing.sender import HEAD

if TYPE_CHECKING:
    from headwater.session.outgoing import Encoded

_KEPT: Final = 4 << 20


class Recent:
    """The last few megaoctets that were sent as datagrams."""

    def __init__(self) -> None:
        self._sent: deque[Encoded] = deque()
        self._octets = 0
        self._records: dict[bytes, int] | None = None

    def add(self, encoded: Encoded) -> None:
        """Messages that are sent, with their headers."""
        self._sent.append(encoded)
        self._octets += len(encoded.buffer)
        self._records = None
        while self._octets > _KEPT and len(self._sent) > 1:
            self._octets -= len(self._sent.popleft().buffer)

    def amount_of(self, head: bytes) -> Amount:
        """The Message that begins so, and its records; nothing if there were Templates only in it.

        If nobody can tell which one it was, it is one Message with no records.
        """
        if self._records is None:  # losses are rare, and come many at a time
            self._records = {}
            for encoded in self._sent:
                octets, counts = memoryview(encoded.buffer), pairwise(encoded.first.tolist())
                for at, (first, end) in zip(encoded.begin.tolist(), counts, strict=False):
                    self._records[bytes(octets[at : at + HEAD])] = end - first
        if len(head) < HEAD:
            return Amount(0, 1)
        return Amount(self._records[head], 1) if head in self._records else Amount()
