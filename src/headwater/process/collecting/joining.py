"""Blocks that wait are decoded together, where what a pass over a block costs is more than what its records do.

A block has some 3,000 datagrams. If they are from a thousand exporters with Templates of their own, that makes a
thousand runs of 75 records, and a run costs 100 us however few it has. So a collector that falls behind becomes faster.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.transport.incoming.block import Block

if TYPE_CHECKING:
    from headwater.session.datagrams import Datagrams

MOST_OCTETS: Final = 16 << 20
"""Of blocks that are joined: what is there twice for a moment."""


def next_joined(waiting: deque[Any]) -> Any:
    """Take the first of what waits, and with it the blocks behind it that can be joined to it."""
    first = waiting.popleft()
    if not isinstance(first, Block):
        return first
    blocks, octets = [first], first.octets
    while waiting and _goes_with(blocks[-1], waiting[0]):
        octets += waiting[0].octets
        if octets > MOST_OCTETS:
            break
        blocks.append(waiting.popleft())
    return first if len(blocks) == 1 else joined(blocks)


def _goes_with(block: Block, other: Any) -> bool:
    """Sessions end behind the datagrams of a block, and keys are numbers in its list."""
    return (
        isinstance(other, Block)
        and not block.ended
        and other.datagrams.keys is block.datagrams.keys
        and (other.datagrams.stream is None) is (block.datagrams.stream is None)
    )


def joined(blocks: Sequence[Block]) -> Block:
    """One block of several that follow each other; only the last may tell of sessions that ended."""
    dropped: Counter[Any] = Counter()
    for block in blocks:
        dropped.update(block.dropped)
    faults = [fault for block in blocks for fault in block.faults]
    return Block(_joined([block.datagrams for block in blocks]), blocks[-1].ended, faults, dropped)


def _joined(parts: Sequence[Datagrams]) -> Datagrams:
    sizes = [len(part.buffer) for part in parts]
    moved = [np.int32(sum(sizes[:number])) for number in range(len(parts))]
    streams = [part.stream for part in parts if part.stream is not None]
    return replace(
        parts[0],
        buffer=np.concatenate([part.buffer for part in parts]),
        start=np.concatenate([part.start + by for part, by in zip(parts, moved, strict=True)]),
        end=np.concatenate([part.end + by for part, by in zip(parts, moved, strict=True)]),
        peer=np.concatenate([part.peer for part in parts]),
        offset=np.concatenate([part.offset for part in parts]),
        received=np.concatenate([part.received for part in parts]),
        stream=np.concatenate(streams) if streams else None,
    )
