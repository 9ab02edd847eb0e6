"""Arenas, and the blocks that they become."""

from __future__ import annotations

import numpy as np

from headwater.session.key import SessionKey
from headwater.transport.incoming.block import Arena, Block

KEYS = [SessionKey("192.0.2.1"), SessionKey("192.0.2.2")]


def filled(*datagrams: bytes, octets: int = 100) -> Arena:
    arena = Arena(octets, 8)
    for number, datagram in enumerate(datagrams):
        arena.add(datagram, number % 2, number, stream=number)
    return arena


def test_an_arena_becomes_the_datagrams_that_were_added() -> None:
    arena = filled(b"one", b"three")
    found = arena.take(KEYS, 1000, has_streams=True)
    assert found.buffer.tobytes() == b"onethree"
    assert list(zip(found.start, found.end, found.peer, found.received, found.offset, strict=True)) == [
        (0, 3, 0, 0, 1000),
        (3, 8, 1, 1, 1003),
    ]
    assert found.stream is not None
    assert found.stream.tolist() == [0, 1]
    assert (arena.count, arena.used) == (0, 0)
    assert Block(found).octets > 8


def test_what_was_taken_stays_as_it_is_while_the_arena_is_filled_again() -> None:
    for size in (10, 90):  # copied, and given away
        arena = filled(b"a" * size)
        found = arena.take(KEYS, 0)
        arena.add(b"b" * 100, 0, 0)
        assert found.buffer.tobytes() == b"a" * size
        assert found.stream is None


def test_room_ends_with_the_octets_or_with_the_rows() -> None:
    assert filled(b"12345").room == 95
    arena = filled(*[b"1"] * 8)
    assert arena.room == 0
    arena.clear()
    assert arena.room == 100


def test_rows_can_be_taken_out_again() -> None:
    arena = filled(b"one", b"two", b"three", b"four")
    assert arena.keep(np.array([True, False, False, True])) == 2
    found = arena.take(KEYS, 0)
    assert [found.buffer[a:b].tobytes() for a, b in zip(found.start, found.end, strict=True)] == [b"one", b"four"]
    assert (found.peer.tolist(), found.received.tolist()) == ([0, 1], [0, 3])
    arena = filled(b"one")
    assert arena.keep(np.array([False])) == 1
    assert (arena.count, arena.used) == (0, 0)
