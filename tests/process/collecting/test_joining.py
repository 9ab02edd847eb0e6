"""Blocks that wait are taken together, and come out as what they were one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from headwater.errors import Fault, FaultKind
from headwater.process.collecting import joining
from headwater.process.collecting.joining import joined, next_joined
from headwater.process.collecting.waiting import LaneOutlet, WorkQueue
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey
from headwater.transport.incoming.block import Arena, Block

KEYS = [SessionKey(f"192.0.2.{number}", 5000) for number in range(1, 4)]


def block(
    *octets: bytes, peer: int = 0, offset: int = 0, keys: Any = KEYS, streams: bool = False, **more: Any
) -> Block:
    arena = Arena(1 << 12)
    for number, one in enumerate(octets):
        arena.add(one, peer, 100 + number, number)
    return Block(arena.take(keys, offset, has_streams=streams), **more)


def payloads(datagrams: Datagrams) -> list[tuple[bytes, int, int, int]]:
    columns = (datagrams.start, datagrams.end, datagrams.peer, datagrams.offset, datagrams.received)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [(datagrams.buffer[a:z].tobytes(), peer, offset, at) for a, z, peer, offset, at in rows]


def test_a_joined_block_has_all_datagrams_and_all_that_was_told() -> None:
    fault = Fault(FaultKind.SHORT_HEADER, 7)
    first = block(b"one", b"three", offset=1000, dropped={KEYS[0]: 2})
    second = block(peer=1, dropped={KEYS[0]: 1, KEYS[2]: 5}, faults=[fault])
    third = block(b"four", peer=2, offset=2000, ended=[KEYS[1]])
    whole = joined([first, second, third])
    assert payloads(whole.datagrams) == payloads(first.datagrams) + payloads(third.datagrams)
    assert whole.datagrams.keys is KEYS
    assert (list(whole.ended), list(whole.faults), dict(whole.dropped)) == (
        [KEYS[1]],
        [fault],
        {KEYS[0]: 3, KEYS[2]: 5},
    )
    assert whole.datagrams.start.dtype == whole.datagrams.end.dtype == np.int32


def test_streams_are_joined_too() -> None:
    whole = joined([block(b"a", b"b", streams=True), block(b"c", streams=True)])
    assert whole.datagrams.stream is not None
    assert whole.datagrams.stream.tolist() == [0, 1, 0]


def sizes(*blocks: Any) -> list[int]:
    """Datagrams of what is taken, one after the other."""
    waiting, found = deque(blocks), []
    while waiting:
        found.append(len(next_joined(waiting).datagrams))
    return found


def test_what_does_not_go_together_stays_apart() -> None:
    assert sizes(block(b"a"), block(b"b"), block(b"c")) == [3]
    assert sizes(block(b"a"), block(b"b", ended=[KEYS[0]]), block(b"c")) == [2, 1]  # a key may come back in the third
    assert sizes(block(b"a"), block(b"b", keys=list(KEYS))) == [1, 1]
    assert sizes(block(b"a"), block(b"b", streams=True)) == [1, 1]


def test_not_too_much_is_joined(monkeypatch: Any) -> None:
    monkeypatch.setattr(joining, "MOST_OCTETS", 2 * block(b"a").octets)
    assert sizes(*[block(b"a") for _ in range(5)]) == [2, 2, 1]


def test_other_work_is_not_joined() -> None:
    work = object()
    waiting: deque[Any] = deque([work, block(b"a")])
    assert next_joined(waiting) is work
    waiting = deque([block(b"a"), work])
    assert len(next_joined(waiting).datagrams) == 1
    assert list(waiting) == [work]


def outlet(joins: Callable[[], bool]) -> tuple[WorkQueue, LaneOutlet, list[Block]]:
    queue, taken = WorkQueue(1 << 20), list[Block]()
    return queue, LaneOutlet(queue, taken.append, lambda _: True, joins), taken


def do_all(queue: WorkQueue) -> None:
    while (work := queue.next(0)) is not None:
        work.do()
        queue.done(work)


def test_a_queue_is_empty_when_all_of_it_was_taken_at_once() -> None:
    for is_scattered, count in ((True, 1), (False, 3)):
        queue, out, taken = outlet(lambda is_scattered=is_scattered: is_scattered)  # type: ignore[misc]
        for octets in (b"a", b"b", b"c"):
            out.put(block(octets))
        assert queue.octets > 0
        do_all(queue)
        assert queue.octets == 0
        assert len(taken) == count
        assert [payload[0] for one in taken for payload in payloads(one.datagrams)] == [b"a", b"b", b"c"]
