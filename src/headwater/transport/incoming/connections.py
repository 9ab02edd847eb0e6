"""The listener of connections: what TCP and TLS share."""

from __future__ import annotations

import selectors
import socket as sockets
import time
from collections import Counter, deque
from contextlib import suppress
from typing import Final

from headwater.errors import FaultKind, TransportError
from headwater.session.key import SessionKey
from headwater.transport.incoming.connection import Connection, prepare
from headwater.transport.incoming.descriptors import EXHAUSTED, highest_for_connections
from headwater.transport.incoming.framing import LONGEST, framing
from headwater.transport.incoming.listening import MOST_ROUNDS, plain_address
from headwater.transport.incoming.sessions import SessionListener
from headwater.transport.incoming.url import ListenUrl

_TURN: Final = 1 << 20
"""Octets of a connection, before it is another one's turn."""
_TURNS: Final = 64
"""Before anything else is looked at: connections that begin or end, and time."""
_LEAST: Final = 2 * (LONGEST + 1)
"""Room that a turn needs: for the beginning of a Message, and for its end."""
_ACCEPTS: Final = 64
_REST_S: Final = 1.0
_MOST_HELD: Final = 8 << 20
"""What the kernel holds of a connection, and what is on its way. Who sends more does not keep us from stopping."""


class ConnectionListener(SessionListener[Connection]):
    """Accepts connections, and gathers runs of whole Messages of each.

    Two selectors: one for connections that have something to say, and one for everything else; the first is an entry
    of the second, and is taken out of it while the queue is full. What begins and ends connections goes on then.

    There are as many connections as max_sessions, and as descriptors allow: some of these are left to others.
    Memory is bounded by max_sessions: an idle connection costs about a kilobyte beside what the kernel has for it, one
    within a Message that Message, 65,535 octets at most, and message_timeout bounds how long.
    """

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        super().__init__(url, socket)
        self._holders: Counter[str] = Counter()
        self._turns: deque[Connection] = deque()
        self._is_accepting = False
        self._highest = 0
        self._rested = 0.0

    def open(self) -> None:
        if not hasattr(selectors.DefaultSelector, "fileno"):
            message = f"cannot listen on {self.url.name}: this system has neither epoll nor kqueue"
            raise TransportError(message, url=self.url.url)
        super().open()
        options = self.url.options
        self._highest = highest_for_connections(options["max_sessions"] + options.get("max_handshakes", 0))

    def _begin(self) -> None:
        self._data = selectors.DefaultSelector()
        self._turns.clear()
        self._is_accepting = False  # whatever a `run` that failed has left
        self._set_accepting(on=True)
        self._set_reading(on=True)

    def _set_reading(self, *, on: bool) -> None:
        # a selector can be waited for as if it was a socket, but typeshed does not say so of every system
        number: int = self._data.fileno()  # type: ignore[attr-defined, unused-ignore]
        if on:
            self._control.register(number, selectors.EVENT_READ, self._take_turns)
        else:
            self._control.unregister(number)

    # --- connections begin ---

    def _set_accepting(self, *, on: bool) -> None:
        assert self._socket is not None
        if on is not self._is_accepting:
            self._is_accepting = on
            if on:
                self._control.register(self._socket, selectors.EVENT_READ, self._accept)
            else:
                self._control.unregister(self._socket)

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTS):
            try:
                connection, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.counters["accept_errors"] += 1
                if error.errno in EXHAUSTED:  # the connection stays where it is, so the socket stays ready
                    self._set_accepting(on=False)
                    self._rested = time.monotonic() + _REST_S
                return
            self.counters["connections"] += 1
            peer = plain_address(address[0])
            if not self._is_allowed(peer):
                connection.close()
                continue
            if connection.fileno() >= self._highest and not self._make_room(peer):
                self.counters["connection_limit"] += 1
                connection.close()
                continue
            try:
                prepare(connection)
                local = connection.getsockname()
            except OSError:  # it is over already
                connection.close()
                continue
            key = SessionKey(peer, address[1], plain_address(local[0]), local[1])
            self._welcome(Connection(connection, key, time.monotonic()))

    def _welcome(self, connection: Connection) -> None:
        """Take in a connection that may speak, if there is room for it."""
        holders, address = self._holders, connection.key.address
        if len(self._sessions) >= self.url.options["max_sessions"] and not self._make_room(address):
            self.counters["connection_limit"] += 1
            connection.close()
            return
        before = self._sessions.get(connection.key)
        if before is not None:  # the kernel knows that it is over; we have not read so yet
            self._read_to_end(before)
        self._gathering.settle(connection.key)
        holders[address] += 1
        self._sessions[connection.key] = connection
        connection.begun = connection.heard = time.monotonic()
        self._data.register(connection.socket, selectors.EVENT_READ, connection)

    def _make_room(self, address: str) -> bool:
        """End a connection that has sent no Message yet, of the address that has most of them, for one that has less.

        So nobody can keep others away by opening connections.
        """
        greediest, most = self._holders.most_common(1)[0] if self._holders else ("", 0)
        if most <= self._holders[address] + 1:
            return False
        for one in reversed(list(self._sessions.values())):
            if one.key.address == greediest and not one.taken:
                self.counters["displaced"] += 1
                self._finish(one, "there are too many connections")
                return True
        return False

    # --- data ---

    def _take_turns(self) -> None:
        """Read from each connection that has something, a bounded amount; stop when the queue is full."""
        if not self._turns:  # or else those that had to wait come first
            self._turns.extend(key.data for key, _ in self._data.select(0))
        for _ in range(min(_TURNS, len(self._turns))):
            if not self._outlet.has_room:
                self._pause()
                return
            connection = self._turns.popleft()
            if connection.is_open:
                self._read(connection)

    @property
    def _most_rounds(self) -> int:
        return MOST_ROUNDS * (1 + len(self._sessions) // _TURNS)

    def _read(self, connection: Connection) -> bool:
        """Read once; False if there was nothing."""
        gathering, tail = self._gathering, connection.tail
        room = gathering.reserve(_LEAST)
        kept = len(tail)
        room[:kept] = tail
        try:
            count, end = connection.receive(room[kept : kept + _TURN])
        except BlockingIOError:
            return False
        if count:
            received, now = time.time_ns(), time.monotonic()
            connection.heard = now
            whole, messages, problem = framing(room, 0, kept + count)
            if whole:
                gathering.add_placed(connection, whole, received)
                self.counters["datagrams"] += 1
                self.counters["octets"] += whole
                self.counters["messages"] += messages
                connection.taken += whole
                connection.begun = 0.0
            connection.tail = b"" if problem else bytes(room[whole : kept + count])
            if problem:
                self.counters["framing_lost"] += 1
                gathering.fault(connection, FaultKind.FRAMING_LOST, connection.taken, problem)
                self._finish(connection, problem)
                return False
            if connection.tail and not connection.begun:
                connection.begun = now
        if end is not None:
            if end:
                self.counters["session_errors"] += 1
                self._note(connection.key, f"ended, {end}")
            else:
                connection.say_goodbye()
            self._finish(connection, end or "the exporter has closed the connection")
        return connection.is_open

    def _read_to_end(self, connection: Connection) -> None:
        while connection.is_open and self._read(connection):
            pass
        if connection.is_open:
            self._finish(connection, "the exporter has opened it anew")

    def _finish(self, connection: Connection, why: str) -> None:
        if connection.tail:
            self.counters["truncated"] += 1
            detail = f"{len(connection.tail)} octets of a Message, then {why}"
            self._gathering.fault(connection, FaultKind.TRUNCATED_TAIL, connection.taken, detail)
            connection.tail = b""
        with suppress(KeyError, ValueError):
            self._data.unregister(connection.socket)
        connection.close()
        self._gathering.end(connection)
        del self._sessions[connection.key]
        address = connection.key.address
        self._holders[address] -= 1
        if not self._holders[address]:
            del self._holders[address]
        self.counters["connections_ended"] += 1

    # --- time ---

    def _sweep(self, now: float) -> None:
        if not self._is_accepting and now >= self._rested:
            self._set_accepting(on=True)
        super()._sweep(now)

    # --- the end ---

    def _drain(self, end: float) -> None:
        if self._is_accepting:
            for _ in range(0, self.url.options["backlog"], _ACCEPTS):
                self._accept()
        left = deque((one, one.heard_of + _MOST_HELD) for one in self._sessions.values())
        while left and time.monotonic() < end:
            if not self._outlet.wait_for_room(max(end - time.monotonic(), 0.0)):
                return
            connection, most = left.popleft()
            if connection.is_open and self._read(connection) and connection.heard_of < most:
                left.append((connection, most))

    def _end(self) -> None:
        for one in self._sessions.values():
            one.say_goodbye()
        super()._end()
        self._data.close()
