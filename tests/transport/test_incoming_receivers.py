"""Receivers of datagrams, both of them: what waits, and what was counted of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest

from headwater.transport.incoming.block import Arena
from headwater.transport.incoming.datagrams import LARGEST, PEERS_FULL, TALLY, PythonReceiver, Receiver
from tests.process.collectors import until

CompiledReceiver = pytest.importorskip("headwater.transport.incoming._datagrams").CompiledReceiver


class Place:
    """A receiver and its socket, with an arena of three rows and numbers for two peers."""

    def __init__(self, kind: type[Receiver], stack: ExitStack) -> None:
        self.stack = stack
        self.socket = self.open()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.receiver = stack.enter_context(closing(kind(self.socket.fileno(), -1)))  # type: ignore[call-arg]
        self.arena, self.refused, self.tally = Arena(LARGEST, 3), np.zeros(2, np.uint8), np.zeros(len(TALLY), np.int64)

    def open(self) -> socket.socket:
        return self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def send(self, count: int) -> None:
        """Datagrams of a new sender."""
        sender = self.open()
        for number in range(count):
            sender.sendto(b"\0\x0a" + bytes(number), self.socket.getsockname())

    def receive(self) -> int:
        return self.receiver.receive(self.arena, self.refused, self.tally, 20, 0.001)


@pytest.fixture(params=[CompiledReceiver, PythonReceiver])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(request.param, stack)


def test_a_datagram_is_counted_when_it_is_in_the_arena(place: Place) -> None:
    place.send(4)

    def is_full() -> bool:
        place.receive()
        assert place.tally[0] == place.arena.count
        return place.arena.count == 3

    until(is_full)
    place.receive()  # has no room for the fourth
    assert place.tally[:2].tolist() == [3, 2 + 3 + 4]
    place.arena.clear()
    until(lambda: place.receive() + place.arena.count)
    assert place.tally[:2].tolist() == [4, 2 + 3 + 4 + 5]


def test_a_datagram_of_a_peer_too_many_is_counted_when_its_sender_has_a_number(place: Place) -> None:
    for _ in range(3):
        place.send(1)
    until(lambda: place.receive() == PEERS_FULL)
    assert place.tally[0] == place.arena.count == place.receiver.num_peers == 2
    place.receiver.forget()
    place.receive()
    assert place.tally[0] == place.arena.count == 3
