"""Random traffic for the receivers of datagrams: the compiled one makes of it what its twin in Python does.

Each has a socket of its own, and all senders send everything to both. What is compared does not depend on how the
kernel cuts the traffic into calls: the datagrams with their senders, the counts, and when no number was left.
"""

from __future__ import annotations

import os
import socket
import time
from array import array
from collections.abc import Callable
from functools import cache, partial
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.transport.incoming.block import Arena
from headwater.transport.incoming.datagrams import (
    LARGEST,
    PEERS_FULL,
    READY,
    TALLY,
    TIMESTAMPS,
    WOKEN,
    PythonReceiver,
    Receiver,
)
from headwater.transport.incoming.udp_socket import kernel_drops

FAMILIES = {
    "127.0.0.1": (socket.AF_INET, [f"127.0.0.{number}" for number in range(1, 6)]),
    "::ffff:127.0.0.1": (socket.AF_INET6, [f"127.0.0.{number}" for number in range(1, 6)]),
    "::1": (socket.AF_INET6, ["::1"]),
}
"""Where a receiver listens: its family, and the addresses of senders."""
SENDERS = 150  # more than a table of peers has room for at first, and at second
AT_ONCE = 150  # more than one system call takes; the kernel keeps as many for a socket
PATIENCE_S = 20
HEADS = (b"\0\x0a", b"\0\x09", b"\0\x05", b"\0\x01", b"\0\0", b"\0\x02", b"\0\x1f", b"\0\x20", b"\0\x29", b"\x01\x0a")
SIZES = (0, 1, 2, 3, 20, 500, 1400)
LARGE = (9000, 40_000, 65_487)  # what both versions of IP take at most
REFUSALS = (ValueError, TypeError, OverflowError, BufferError)


def receiver_tests() -> list[Callable[[Random], str | None]]:
    """Both receivers with the same traffic, and the compiled one with arguments that are wrong."""
    try:
        from headwater.transport.incoming._datagrams import CompiledReceiver
    except ImportError:  # not Linux
        return []
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # what one core sends arrives in its order
    return [partial(agree, CompiledReceiver), partial(refuse, CompiledReceiver)]


class Side:
    """A receiver with its socket, and what it has received: a sender and octets, or None where no number was left."""

    def __init__(self, kind: Callable[[int, int], Receiver], host: str, random: Random) -> None:
        self.socket = socket.socket(FAMILIES[host][0], socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if random.random() < 0.8:
            self.socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self.socket.bind((host, 0))
        self.address = (FAMILIES[host][1][0], self.socket.getsockname()[1])
        self.wake = socket.socketpair()
        self.is_woken = False
        has_wake = random.random() < 0.8
        self.receiver = kind(self.socket.fileno(), self.wake[0].fileno() if has_wake else -1)
        if has_wake and random.random() < 0.5:
            self.wake[1].send(b"!")
            self.is_woken = True
        self.arena = exact_arena(random)
        self.refused: npt.NDArray[Any] = exact("B", random.choice((1, 2, 5, 64, 65, 1000)))
        self.tally: npt.NDArray[Any] = exact("q", len(TALLY))
        self.found: list[tuple[int, bytes] | None] = []

    def receive(self, random: Random) -> int:
        """Call it once, so that it returns."""
        wait = random.choice((0, 1e-5, 1e-3, -1 if self.is_woken else 1e-4))
        latency = random.choice((0, 1e-5, 1e-3, 60 if self.is_woken else 1e-4))
        return self.receiver.receive(self.arena, self.refused, self.tally, wait, latency)

    def drain(self, random: Random, count: int, places: dict[tuple[bytes, int], int]) -> str | None:
        """Receive until so many datagrams were counted; what was wrong."""
        end = time.monotonic() + PATIENCE_S
        while self.tally[0] < count:
            before = self.arena.count
            why = self.receive(random)
            if why not in (READY, WOKEN, PEERS_FULL) or (why == WOKEN and not self.is_woken):
                return f"it returns {why}"
            if why == PEERS_FULL or self.arena.count == before or random.random() < 0.7:
                wrong = self.take(places)
                if wrong:
                    return wrong
            if why == PEERS_FULL:
                self.found.append(None)
                self.receiver.forget()
            if time.monotonic() > end:
                return f"{self.tally[0]} of {count} datagrams"
        return self.take(places)

    def take(self, places: dict[tuple[bytes, int], int]) -> str | None:
        """Empty the arena; what was wrong with it."""
        arena, at, now = self.arena, 0, time.time_ns()
        for row in range(arena.count):
            start, end, received = int(arena.start[row]), int(arena.end[row]), int(arena.received[row])
            if start != at or not start < end <= arena.used or abs(now - received) > 3600 * 10**9:
                return f"row {row} of {arena.count}: {start} to {end} behind {at}, received {received} at {now}"
            address, port, scope = self.receiver.peer(int(arena.peer[row]))
            if scope:
                return f"scope {scope}"
            self.found.append((places[address, port], arena.buffer[start:end].tobytes()))
            at = end
        if at != arena.used:
            return f"{arena.used} octets are used, {at} have a row"
        arena.clear()
        return None

    def close(self) -> None:
        self.receiver.close()
        for one in (self.socket, *self.wake):
            one.close()


def agree(compiled: Callable[[int, int], Receiver], random: Random) -> str | None:
    """The same traffic for both."""
    host = random.choice(list(FAMILIES))
    state = random.getstate()
    sides = []
    for kind in (compiled, PythonReceiver):  # with the same table of peers; all else may differ
        random.setstate(state)
        sides.append(Side(kind, host, random))
    try:
        return compare(sides, host, random)
    finally:
        for side in sides:
            side.close()


def compare(sides: list[Side], host: str, random: Random) -> str | None:
    """What is wrong with one of them, or differs."""
    senders, places = exporters(host)
    some = random.sample(senders, random.choice((1, 4, 20, len(senders))))
    count = 0
    for _ in range(random.randrange(1, 5)):
        refused = [int(random.random() < 0.1) for _ in sides[0].refused]
        sent = [(random.choice(some), datagram(random)) for _ in range(random.randrange(AT_ONCE))]
        if random.random() < 0.3:
            sent.insert(random.randrange(len(sent) + 1), (random.choice(some), datagram(random, random.choice(LARGE))))
        count += len(sent)
        for side in sides:
            side.refused[:] = refused
            for sender, octets in sent:
                sender.sendto(octets, side.address)
        problems = [side.drain(random, count, places) for side in sides]
        if any(kernel_drops(side.socket) for side in sides):
            return None  # the kernel had no room
        outcomes = [(side.found, side.tally.tolist(), side.receiver.num_peers) for side in sides]
        if any(problems) or outcomes[0] != outcomes[1]:
            return f"{host}, compiled: {problems[0]} {outcomes[0]}\ntwin: {problems[1]} {outcomes[1]}"
        for side in sides:
            try:
                side.receiver.peer(side.receiver.num_peers)
            except IndexError:
                continue
            return "it tells of a peer that it has not"
        if random.random() < 0.2:
            for side in sides:
                side.receiver.forget()
                side.found.append(None)
    return None


def refuse(compiled: Callable[[int, int], Receiver], random: Random) -> str | None:
    """Arguments of which some are wrong: an error, or nothing out of bounds."""
    host = random.choice(list(FAMILIES))
    side = Side(compiled, host, random)
    try:
        senders = random.sample(exporters(host)[0], 10)
        for _ in range(random.randrange(1, 8)):
            for sender in senders:
                sender.sendto(datagram(random), side.address)
            holder, name, value = damaged(side, random)
            whole = getattr(holder, name)
            setattr(holder, name, value)
            try:
                side.receive(random)
            except REFUSALS:
                pass
            else:
                if not 0 <= side.arena.count <= side.arena.most or not 0 <= side.arena.used <= len(side.arena.buffer):
                    return f"{side.arena.count} rows and {side.arena.used} octets are used"
            setattr(holder, name, whole)
        return None
    finally:
        side.close()


def damaged(side: Side, random: Random) -> tuple[Any, str, Any]:
    """What has one of its arguments, the name, and another value for it."""
    number = random.choice((-1, 0, 1, side.arena.most, side.arena.most + 1, LARGEST, LARGEST + 1, 2**31, 2**40, 2**63))
    holder, name = random.choice(
        [(side.arena, each) for each in ("start", "end", "peer", "received", "buffer", "count", "used", "most")]
        + [(side, "refused"), (side, "refused"), (side, "tally")]
    )
    found = getattr(holder, name)
    if not isinstance(found, np.ndarray):
        return holder, name, number
    changes: tuple[Callable[[], Any], ...] = (
        lambda: exact("B", len(found)).view(np.int8),
        lambda: found[:-1],
        lambda: found[:0],
        lambda: found[::2],
        lambda: found.reshape(-1, 1),
        lambda: found.tobytes(),
        lambda: None,
        lambda: exact({1: "B", 4: "i", 8: "q"}[found.itemsize], random.choice((1, 2, 5, 64, 2000))),
    )
    return holder, name, random.choice(changes)()


def datagram(random: Random, size: int | None = None) -> bytes:
    size = random.choice(SIZES) if size is None else size
    return (random.choice(HEADS) + random.randbytes(size))[:size]


def exact(form: str, count: int) -> npt.NDArray[Any]:
    """Zeros in memory of exactly that size, so that a sanitizer sees one octet too many."""
    return np.frombuffer(array(form, [0]) * count, np.dtype(form))


def exact_arena(random: Random) -> Arena:
    made = Arena(LARGEST + random.choice((0, 1, 5000)), random.choice((1, 2, 7, 50, 64, 200)))
    made.buffer = exact("B", len(made.buffer))
    made.start, made.end, made.peer = (exact("i", made.most) for _ in range(3))
    made.received = exact("q", made.most)
    return made


@cache
def exporters(host: str) -> tuple[list[socket.socket], dict[tuple[bytes, int], int]]:
    """Sockets that send to that address, and which of them has an address and port as receivers tell them."""
    made, places = [], {}
    hosts = FAMILIES[host][1]
    for number in range(SENDERS):
        one = socket.socket(socket.AF_INET6 if ":" in hosts[0] else socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((hosts[number % len(hosts)], 0))
        address, port = one.getsockname()[:2]
        made.append(one)
        places[socket.inet_pton(socket.AF_INET6, address if ":" in address else f"::ffff:{address}"), port] = number
    return made, places
