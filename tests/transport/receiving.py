"""An outlet that keeps what it is given, and listeners that run in a thread while a test looks at them."""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from headwater.errors import Fault
from headwater.session.key import SessionKey
from headwater.transport.incoming.block import Block, Listener
from headwater.transport.incoming.listening import SelectorListener
from tests.process.collectors import DEADLINE_S, records_of


class Kept:
    """An Outlet; `is_full` says that there is no room until it is set to False."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.is_full = False
        self.forbidden: set[str] = set()
        self._changed = threading.Condition()

    # --- Outlet ---

    @property
    def has_room(self) -> bool:
        return not self.is_full

    def put(self, block: Block) -> None:
        with self._changed:
            self.blocks.append(block)
            self._changed.notify_all()

    def wait_for_room(self, timeout: float) -> bool:
        return self.has_room

    def is_allowed(self, address: str) -> bool:
        return address not in self.forbidden

    # --- for tests ---

    def wait(self, condition: Any) -> None:
        """Until the condition holds, which is asked for whenever a block has come."""
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE_S), self

    def by_key(self) -> dict[SessionKey, bytes]:
        """The octets of each session, in order."""
        found: dict[SessionKey, bytearray] = {}
        for block in self.blocks:
            datagrams = block.datagrams
            for row in range(len(datagrams)):
                key = datagrams.keys[int(datagrams.peer[row])]
                assert key is not None
                octets = datagrams.buffer[int(datagrams.start[row]) : int(datagrams.end[row])]
                found.setdefault(key, bytearray()).extend(octets.tobytes())
        return {key: bytes(octets) for key, octets in found.items()}

    @property
    def octets(self) -> bytes:
        """Of all sessions, one after the other."""
        return b"".join(self.by_key().values())

    @property
    def count(self) -> int:
        return sum(block.datagrams.buffer.nbytes for block in self.blocks)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for octets in self.by_key().values() for row in records_of(octets)]

    @property
    def ended(self) -> list[SessionKey]:
        return [key for block in self.blocks for key in block.ended]

    @property
    def faults(self) -> list[Fault]:
        return [fault for block in self.blocks for fault in block.faults]

    @property
    def dropped(self) -> Counter[SessionKey]:
        return sum((Counter(block.dropped) for block in self.blocks), Counter())

    def __repr__(self) -> str:
        return f"{self.count} octets in {len(self.blocks)} blocks, {len(self.ended)} ended, faults {self.faults}"


class Clock:
    """Time as listeners see it. It can leap, so that timeouts may be hours: who stands still is never too late then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        self.time_ns = time.time_ns
        for name, module in list(sys.modules.items()):
            if name.startswith("headwater.transport.incoming.") and getattr(module, "time", None) is time:
                monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def leap(self, listener: SelectorListener, seconds: float) -> None:
        """Be later by so many seconds, until the listener has looked at what is over by then."""
        then, has_looked, sweep = self.monotonic() + seconds, threading.Event(), listener._sweep

        def look(now: float) -> None:
            sweep(now)
            if now >= then:
                has_looked.set()

        listener._sweep = look  # type: ignore[method-assign]
        self.ahead += seconds
        assert listener._wake is not None
        listener._wake[1].send(b"\0")
        assert has_looked.wait(DEADLINE_S), "the listener does not look at the time"
        listener._sweep = sweep  # type: ignore[method-assign]


def is_taken(one: socket.socket) -> bool:
    """Whether nothing that has come to a socket is left in it."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        return not selector.select(0)


@contextmanager
def running(listener: Listener, outlet: Kept) -> Iterator[Listener]:
    """A listener at work."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            listener.run(outlet)
        except BaseException as error:
            failures.append(error)

    listener.open()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.stop()
        thread.join(DEADLINE_S)
        listener.close()
    assert not thread.is_alive(), "the listener does not stop"
    if failures:
        raise failures[0]


def url_of(listener: Listener) -> str:
    """Where it listens, as a URL."""
    return f"{listener.transport}://127.0.0.1:{listener.address[1]}"
