"""Small blocks of a spool put together: a pass through a session costs about a millisecond, however little is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.errors import Fault
from headwater.session.datagrams import Datagrams
from headwater.transport.spool import SpoolBlock

if TYPE_CHECKING:
    from headwater.session.key import SessionKey

_ENOUGH: Final = 1 << 20
_MOST_ROWS: Final = 1 << 14
_LONGEST_NS: Final = 5_000_000_000
"""Between the first and the last datagram: what waits for Templates, and for how long, is as it was."""


def joined(parts: Iterable[SpoolBlock | Fault]) -> Iterator[SpoolBlock | Fault]:
    """The same datagrams in larger blocks, those of each listener in their order."""
    waiting = _Waiting()
    for part in parts:
        if waiting.blocks and (isinstance(part, Fault) or not waiting.takes(part)):
            yield _join(waiting.blocks)
            waiting = _Waiting()
        if isinstance(part, Fault):
            yield part
        else:
            waiting.add(part)
    if waiting.blocks:
        yield _join(waiting.blocks)


class _Waiting:
    """Blocks that become one."""

    def __init__(self) -> None:
        self.blocks: list[SpoolBlock] = []
        self._octets = self._rows = 0
        self._times: list[int] = []  # of the first and the last datagram

    def takes(self, block: SpoolBlock) -> bool:
        """Whether the block belongs to them."""
        first, last, given = self.blocks[0], self.blocks[-1], block.datagrams
        if (first.transport, first.local) != (block.transport, block.local) or last.ended or last.faults:
            return False  # what ended, and faults, come behind the datagrams of their block
        if (first.datagrams.stream is None) != (given.stream is None):
            return False
        if self._octets + len(given.buffer) > _ENOUGH or self._rows + len(given) > _MOST_ROWS:
            return False
        times = [*self._times, *_ends(block)]
        return len(self.blocks) < _MOST_ROWS and (not times or max(times) - min(times) <= _LONGEST_NS)

    def add(self, block: SpoolBlock) -> None:
        """Take it."""
        self.blocks.append(block)
        self._octets += len(block.datagrams.buffer)
        self._rows += len(block.datagrams)
        times = [*self._times, *_ends(block)]
        self._times = [min(times), max(times)] if times else []


def _ends(block: SpoolBlock) -> list[int]:
    """When its first and its last datagram came."""
    received = block.datagrams.received
    return [int(received[0]), int(received[-1])] if len(received) else []


def _join(blocks: Sequence[SpoolBlock]) -> SpoolBlock:
    if len(blocks) == 1:
        return blocks[0]
    places: dict[SessionKey | None, int] = {}
    dropped: dict[SessionKey | None, int] = {}
    peers, shifts, size = [], [], 0
    for block in blocks:
        given = block.datagrams
        of_block = [places.setdefault(key, len(places)) for key in given.keys]
        peers.append(np.array(of_block, np.int32)[given.peer])
        shifts.append(size)
        size += len(given.buffer)
        for key, count in block.dropped.items():
            dropped[key] = dropped.get(key, 0) + count
    parts = [block.datagrams for block in blocks]
    streams = [part.stream for part in parts if part.stream is not None]
    datagrams = Datagrams(
        np.concatenate([part.buffer for part in parts]),
        np.concatenate([part.start + np.int32(shift) for part, shift in zip(parts, shifts, strict=True)]),
        np.concatenate([part.end + np.int32(shift) for part, shift in zip(parts, shifts, strict=True)]),
        np.concatenate(peers),
        list(places),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.received for part in parts]),
        np.concatenate(streams) if streams else None,
    )
    return replace(blocks[-1], datagrams=datagrams, dropped=dropped)
