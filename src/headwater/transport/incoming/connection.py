"""One connection of an exporter, and the Message of which only a part has come."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Any, Final

from headwater.session.key import SessionKey

_IDLE_S: Final = 60
_PROBE_S: Final = 20
_PROBES: Final = 3


class Connection:
    """A TCP connection.

    row: see gathering.Peer. tail: the beginning of a Message, until the rest of it comes. taken: octets before it, all
    of them in whole Messages. begun: since when a whole Message is waited for, by time.monotonic(), 0 = it is not.
    heard: when octets came last.
    """

    __slots__ = ("begun", "heard", "is_open", "key", "names", "row", "since", "socket", "tail", "taken")

    def __init__(self, connection: socket.socket, key: SessionKey, now: float) -> None:
        self.socket, self.key = connection, key
        self.row = -1
        self.tail = b""
        self.taken = 0
        self.begun = self.heard = self.since = now
        self.names: frozenset[str] = frozenset()
        self.is_open = True

    @property
    def heard_of(self) -> int:
        """Octets that were read."""
        return self.taken + len(self.tail)

    def receive(self, room: memoryview) -> tuple[int, str | None]:
        """Read into `room` -> how many octets, and why these were the last: None = they are not, "" = an orderly end.

        Raises BlockingIOError if there are none now.
        """
        try:
            count = self.socket.recv_into(room)
        except BlockingIOError:
            raise
        except OSError as error:
            return 0, words_of(error)
        return count, None if count else ""

    def say_goodbye(self) -> None:
        """Tell the exporter that all it has sent was read; that is what the end of a TCP connection says by itself."""

    def close(self) -> None:
        self.is_open = False
        self.socket.close()

    def describe(self) -> dict[str, Any]:
        """For people."""
        age = time.monotonic() - self.since
        told: dict[str, Any] = {"peer": str(self.key), "state": "established", "seconds": round(age, 3)}
        told["octets"] = self.heard_of
        if self.names:
            told["names"] = sorted(self.names)
        return told


def prepare(connection: socket.socket) -> None:
    """Have the kernel find out about exporters that went without a word."""
    connection.setblocking(False)
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", _IDLE_S), ("TCP_KEEPINTVL", _PROBE_S), ("TCP_KEEPCNT", _PROBES)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def words_of(error: OSError) -> str:
    """What the kernel says, in words."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
