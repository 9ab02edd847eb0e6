"""Waiting for a socket, in such a way that another thread can end the wait."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import suppress


class Stopped(Exception):
    """The time that was left for sending is over."""


class Readiness:
    """Waits for sockets, in one thread, until it is woken up by another."""

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._end: float | None = None

    def open(self) -> None:
        """Before this nobody can be woken."""
        self._pair = socket.socketpair()
        for one in self._pair:
            one.setblocking(False)

    def wake(self) -> None:
        """End the wait that is going on, or the next one; from any thread."""
        if self._pair is not None:
            with suppress(OSError):  # full of calls that nobody has heard yet, or closed
                self._pair[1].send(b"\0")

    def stop_within(self, seconds: float) -> None:
        """From that moment on no wait is begun, and none goes on; from any thread."""
        self._end = time.monotonic() + seconds
        self.wake()

    def wait(
        self, connection: socket.socket | None, *, read: bool = False, write: bool = False, timeout: float | None = None
    ) -> bool:
        """Whether the connection is ready; False if the time is over, or somebody woke us. Raises Stopped."""
        assert self._pair is not None
        ear, left = self._pair[0], None
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise Stopped
        if left is not None or timeout is not None:
            timeout = min(one for one in (left, timeout) if one is not None)
        with selectors.DefaultSelector() as selector:
            selector.register(ear, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection, selectors.EVENT_READ * read | selectors.EVENT_WRITE * write)
            events = selector.select(timeout)
        if any(key.fileobj is ear for key, _ in events):
            with suppress(BlockingIOError):
                ear.recv(4096)
        return any(key.fileobj is connection for key, _ in events)

    def close(self) -> None:
        if self._pair is not None:
            for one in self._pair:
                one.close()
