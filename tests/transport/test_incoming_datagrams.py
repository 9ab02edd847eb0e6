"""Receivers of datagrams: the compiled one does what its twin in Python does."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from headwater.transport.incoming.block import Arena
from headwater.transport.incoming.datagrams import LARGEST, PEERS_FULL, READY, TALLY, WOKEN, PythonReceiver, Receiver

CompiledReceiver = pytest.importorskip("headwater.transport.incoming._datagrams").CompiledReceiver


class Bench:
    """A socket, some that send to it, and a receiver."""

    def __init__(self, kind: type[Receiver], senders: int = 8, most: int = 16) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.wake = socket.socketpair()
        self.receiver = kind(self.socket.fileno(), self.wake[0].fileno())  # type: ignore[call-arg]
        self.senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(senders)]
        for one in self.senders:
            one.connect(self.socket.getsockname())
        self.refused = np.zeros(most, np.uint8)
        self.tally = np.zeros(len(TALLY), np.int64)
        self.arena = Arena(LARGEST, 50)

    def receive(self, wait: float = 0, latency: float = 0.001) -> int:
        return self.receiver.receive(self.arena, self.refused, self.tally, wait, latency)

    def rows(self) -> list[tuple[int, bytes]]:
        """Sender and octets of each datagram in the arena, which is empty then."""
        arena = self.arena
        found = [
            (self.ports.index(self.receiver.peer(int(peer))[1]), arena.buffer[start:end].tobytes())
            for peer, start, end in zip(
                arena.peer[: arena.count], arena.start[: arena.count], arena.end[: arena.count], strict=True
            )
        ]
        arena.clear()
        return found

    @property
    def ports(self) -> list[int]:
        return [one.getsockname()[1] for one in self.senders]

    def close(self) -> None:
        self.receiver.close()
        for one in (self.socket, *self.wake, *self.senders):
            one.close()


@pytest.fixture(params=[CompiledReceiver, PythonReceiver])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(8))
def test_both_receivers_make_the_same_of_anything(seed: int) -> None:
    chance = random.Random(seed)
    sent = []
    for _ in range(300):
        size = chance.choice([0, 1, 2, 20, 1400, 9000])
        head = chance.choice(
            [b"\x00\x0a", b"\x00\x09", b"\x00\x05", b"\x00\x00", b"\x01\x0a", b"\x00\x20", b"\x00\x29"]
        )
        sent.append((chance.randrange(8), (head + chance.randbytes(size))[:size]))
    refused = [int(chance.random() < 0.2) for _ in range(16)]
    results = []
    for kind in (CompiledReceiver, PythonReceiver):
        made = Bench(kind, most=5)
        made.refused[:] = refused[:5]
        made.wake[1].send(b"!")  # so that it does not wait for more
        found: list[tuple[int, list[tuple[int, bytes]], int]] = []
        for begin in range(0, len(sent), 60):
            for number, octets in sent[begin : begin + 60]:
                made.senders[number].send(octets)
            why = READY
            while why != WOKEN:
                why = made.receive(latency=60)
                found.append((why, made.rows(), made.receiver.num_peers))
                if why == PEERS_FULL:
                    made.receiver.forget()
        results.append((found, made.tally.tolist()))
        made.close()
    assert results[0] == results[1]
    assert results[0][1][0] == len(sent)


def test_a_full_arena_keeps_the_rest_for_the_next_call(bench: Bench) -> None:
    sent = [(number % 8, bytes([0, 10]) + number.to_bytes(2, "big") + bytes(5000)) for number in range(40)]
    for number, octets in sent:
        bench.senders[number].send(octets)
    found: list[tuple[int, bytes]] = []
    bench.wake[1].send(b"!")  # so that it does not wait for more
    for why in (READY, READY, READY, WOKEN):
        assert bench.receive(latency=60) == why
        assert bench.arena.used <= LARGEST
        found += bench.rows()
    assert found == sent


def test_who_is_woken_returns_and_loses_nothing(bench: Bench) -> None:
    bench.wake[1].send(b"!")
    assert bench.receive(wait=-1) == WOKEN
    bench.senders[0].send(b"\x00\x0a")
    assert bench.receive(wait=-1, latency=60) == WOKEN
    assert bench.rows() == [(0, b"\x00\x0a")]


def test_a_flood_of_garbage_does_not_keep_the_receiver(bench: Bench) -> None:
    for _ in range(100):
        bench.senders[0].send(b"garbage")
    assert bench.receive(wait=-1, latency=0) == READY
    assert bench.tally.tolist()[4] > 0
    assert bench.receiver.num_peers == 0


def test_an_error_of_the_socket_is_raised(bench: Bench) -> None:
    with pytest.raises(OSError, match=r".*") as told:
        type(bench.receiver)(bench.wake[0].fileno() + 1000, -1).receive(  # type: ignore[call-arg]
            bench.arena, bench.refused, bench.tally, 0, 0
        )
    assert told.value.errno is not None


def test_peers_have_their_address_and_port(bench: Bench) -> None:
    bench.senders[3].send(b"\x00\x09")
    bench.receive(wait=5)
    assert bench.receiver.peer(0) == (bytes(10) + b"\xff\xff\x7f\x00\x00\x01", bench.ports[3], 0)
    with pytest.raises(IndexError):
        bench.receiver.peer(1)


def test_many_peers_keep_their_numbers() -> None:
    bench = Bench(CompiledReceiver, senders=300, most=1000)
    bench.arena = Arena(most=2000)
    for round in range(3):
        for one in bench.senders:
            one.send(b"\x00\x0a")
        while bench.tally[0] < 300 * (round + 1):
            bench.receive(wait=5)
    assert [number for number, _ in bench.rows()] == list(range(300)) * 3
    bench.close()


# ---------------------------------------------------------------- wrong arguments of our own


@pytest.mark.parametrize("change", ["octets", "rows", "used", "count", "tally", "refused", "dtype"])
def test_tables_that_do_not_fit_are_errors(change: str) -> None:
    bench = Bench(CompiledReceiver, senders=1)
    bench.senders[0].send(b"\x00\x0a")
    if change == "octets":
        bench.arena.buffer = bench.arena.buffer[:-1]
    elif change == "rows":
        bench.arena.peer = bench.arena.peer[:-1]
    elif change == "used":
        bench.arena.used = LARGEST + 1
    elif change == "count":
        bench.arena.count = 51
    elif change == "tally":
        bench.tally = bench.tally[:-1].copy()
    elif change == "refused":
        bench.refused = bench.refused[:0]
    else:
        bench.arena.start = bench.arena.start.astype(np.int64)
    with pytest.raises(ValueError, match=r".+"):
        bench.receive()
    assert bench.tally.sum() == 0
    bench.close()
