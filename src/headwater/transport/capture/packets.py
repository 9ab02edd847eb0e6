"""What the kernel finds in the packets of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]


class PacketKind(IntEnum):
    """What a packet is, as `kernel.dissect` numbers it."""

    NO_IP = 0
    UDP = 1
    TCP = 2
    FRAGMENT = 3
    OTHER_IP = 4
    DAMAGED = 5
    TRUNCATED = 6
    FOREIGN_LINK = 7


@dataclass(frozen=True, slots=True)
class Rows:
    """UDP datagrams in the order of their packets.

    start, end: int32[d], payloads in `buffer`. peer: int32[d], rows of a table of keys. head: uint32[d], the first four
    octets. place: int32[d], where the payload, or the fragment that completed it, is in the window. index: int[d], of
    which packet; None: of each the one.
    """

    buffer: npt.NDArray[np.uint8]
    start: Ints
    end: Ints
    peer: Ints
    head: npt.NDArray[np.uint32]
    place: Ints
    index: npt.NDArray[np.intp] | None

    def at(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Rows:
        """Some of them."""
        index = np.arange(len(self.start)) if self.index is None else self.index
        start, end, place = self.start[which], self.end[which], self.place[which]
        return Rows(self.buffer, start, end, self.peer[which], self.head[which], place, index[which])

    def joined(self, buffer: npt.NDArray[np.uint8], table: Sequence[tuple[int, ...]]) -> Rows:
        """These and more, which are (index, start, end, peer, head, place), in a buffer that begins with this one."""
        assert self.index is not None
        index, start, end, peer, head, place = np.array(table, np.int64).T
        order = np.argsort(np.concatenate([self.index, index]), kind="stable")
        return Rows(
            buffer,
            np.concatenate([self.start, start]).astype(np.int32)[order],
            np.concatenate([self.end, end]).astype(np.int32)[order],
            np.concatenate([self.peer, peer]).astype(np.int32)[order],
            np.concatenate([self.head.astype(np.int64), head]).astype(np.uint32)[order],
            np.concatenate([self.place, place]).astype(np.int32)[order],
            np.concatenate([self.index, index])[order],
        )


@dataclass(frozen=True, slots=True)
class Dissected:
    """The columns of `kernel.dissect`, which tells what they are."""

    kind: npt.NDArray[np.uint8]
    header: Ints
    start: Ints
    end: Ints
    peer: Ints
    head: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.uint8]

    def rows(self, buffer: npt.NDArray[np.uint8], which: npt.NDArray[np.intp] | None) -> Rows:
        """The datagrams of some packets, or of all."""
        rows = Rows(buffer, self.start, self.end, self.peer, self.head, self.start, None)
        return rows if which is None else rows.at(which)
