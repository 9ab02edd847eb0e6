"""The loop that listeners of connections, of associations and of DTLS sessions share."""

from __future__ import annotations

import selectors
import socket as sockets
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final

from headwater.session.key import SessionKey, Transport
from headwater.transport.incoming.asked import Asked
from headwater.transport.incoming.binding import bound, failed
from headwater.transport.incoming.block import Outlet
from headwater.transport.incoming.gathering import Gathering
from headwater.transport.incoming.url import ListenUrl

LATENCY_S: Final = 0.25
_SWEEP_S: Final = 1.0
_SHORTEST_SWEEP_S: Final = 0.01
_FULL_S: Final = 0.05
"""How often a full queue is asked whether it has room."""
_DRAIN_S: Final = 5.0
_NOTES: Final = 100
MOST_ROUNDS: Final = 64
"""Of reading, until what the kernel held of some peers is taken, however fast more comes: 100 kB a round at least."""
_MAPPED: Final = "::ffff:"


class SelectorListener:
    """A Listener that waits in a selector, in the thread that calls `run`.

    latency: seconds that octets wait for others at most before they are handed over; set it before `run`.
    warnings: what people should know of it, complete once it is open.
    notes: sentences for people about single sessions, the latest; anybody may take them out.
    Subclasses say what is done when their socket is ready, what time brings, and what is left to take at the end.
    """

    kind: ClassVar[sockets.SocketKind] = sockets.SOCK_STREAM
    protocol: ClassVar[int] = 0
    has_streams: ClassVar[bool] = False

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        self.url = url
        self.counters: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.notes: deque[str] = deque(maxlen=_NOTES)
        self.latency = LATENCY_S
        self._socket = socket
        self._local: tuple[Any, ...] = ("", 0)
        self._wake: tuple[sockets.socket, sockets.socket] | None = None
        self._is_stopping = self._is_paused = self._is_full = False
        self._paused_at = 0.0
        self._sweep_s = _SWEEP_S
        self._asked = Asked()

    # --- Listener ---

    @property
    def transport(self) -> Transport:
        return self.url.transport

    @property
    def address(self) -> tuple[str, int]:
        return self._local[0], self._local[1]

    @property
    def num_sessions(self) -> int:
        return 0

    def open(self) -> None:
        is_inherited = self._socket is not None
        one = self._socket = self._socket or bound(self.url, self.kind, self.protocol, self._prepare)
        try:
            if is_inherited:
                self._prepare(one)
            self._listen(one)
            self._local = one.getsockname()
            self._wake = sockets.socketpair()
            for each in (one, *self._wake):
                each.setblocking(False)
        except OSError as error:
            self.close()
            raise failed(self.url, error) from error

    def run(self, outlet: Outlet) -> None:
        assert self._wake is not None
        self._outlet, self._gathering = outlet, Gathering(outlet, self.latency, has_streams=self.has_streams)
        self._is_paused = self._is_full = False
        self._control = selectors.DefaultSelector()
        self._control.register(self._wake[0], selectors.EVENT_READ, self._woken)
        try:
            self._begin()
            sweep = time.monotonic()
            while not self._is_stopping:
                is_asked = self._asked.begin_round()
                ready = self._control.select(self._patience(sweep, is_asked=is_asked))
                for key, _ in ready:
                    key.data()
                now = time.monotonic()
                if now >= sweep:
                    self._sweep(now)
                    sweep = now + self._sweep_s
                self._pass_on(now, has_all=is_asked and self._has_all(is_quiet=not ready))
            self._resume(time.monotonic())
            self._drain(time.monotonic() + _DRAIN_S)
        finally:
            self._end()
            self._gathering.hand_over()
            self._control.close()
        self._asked.end()

    def settle(self, done: Callable[[], object]) -> None:
        self._asked.ask(done)
        self._end_waiting()

    def stop(self) -> None:
        self._is_stopping = True
        self._end_waiting()

    def reload(self) -> None:
        """There is nothing to read again."""

    def close(self) -> None:
        for one in (self._socket, *(self._wake or ())):
            if one is not None:
                one.close()

    def sessions(self) -> list[dict[str, Any]]:
        return []

    # --- for subclasses ---

    def _is_allowed(self, address: str) -> bool:
        if self.url.allows(address) and self._outlet.is_allowed(address):
            return True
        self.counters["refused"] += 1
        return False

    def _note(self, key: SessionKey, what: str) -> None:
        self.notes.append(f"{self.url.transport}://{key}: {what}")

    def _prepare(self, one: sockets.socket) -> None:
        """Set options of the socket; before it is bound, unless somebody else has done that."""

    def _listen(self, one: sockets.socket) -> None:
        """Have a bound socket take what comes."""

    def _watch(self, *timeouts: float) -> None:
        """Look after timeouts as often as they need it; 0 = never over."""
        soonest = min((one / 4 for one in timeouts if one), default=_SWEEP_S)
        self._sweep_s = max(min(self._sweep_s, soonest), _SHORTEST_SWEEP_S)

    def _begin(self) -> None:
        """Register what is to be waited for; with `data` that is called without arguments."""
        raise NotImplementedError

    def _set_reading(self, *, on: bool) -> None:
        """Wait for data, or do not."""

    def _sweep(self, now: float) -> None:
        """Do what is due, about every `_sweep_s` seconds."""

    def _delay(self, seconds: float) -> None:
        """Nothing was read for so long, for which no peer is to blame."""

    def _drain(self, end: float) -> None:
        """Take what the kernel holds, until that time at the latest."""

    def _end(self) -> None:
        """End all sessions."""

    # --- the queue ---

    def _pause(self) -> None:
        """Read no data until the queue has room."""
        if not self._is_paused:
            self._is_paused = self._is_full = True
            self._paused_at = time.monotonic()
            self.counters["pauses"] += 1
            self._set_reading(on=False)

    def _resume(self, now: float) -> None:
        if self._is_paused:
            self._is_paused = False
            self._delay(now - self._paused_at)
            self._set_reading(on=True)

    def _pass_on(self, now: float, *, has_all: bool) -> None:
        """has_all: all is there that somebody waits for."""
        due = self._gathering.due
        is_due = due is not None and (has_all or now >= due)
        self._is_full = (self._is_paused or is_due) and not self._outlet.has_room
        if not self._is_full:
            self._resume(now)
            if is_due:
                self._gathering.hand_over()
            if has_all:
                self._asked.answer()

    def _has_all(self, *, is_quiet: bool) -> bool:
        """Whether this round and those before it have taken all that there was for who waits."""
        if self._is_paused:
            return False
        self._asked.rounds += 1
        return is_quiet or self._asked.rounds > self._most_rounds

    @property
    def _most_rounds(self) -> int:
        """After which all that the kernel held is taken, though more comes."""
        return MOST_ROUNDS

    def _patience(self, sweep: float, *, is_asked: bool) -> float:
        if self._is_full:
            return _FULL_S
        if is_asked:
            return 0.0
        due = self._gathering.due
        return max((sweep if due is None else min(sweep, due)) - time.monotonic(), 0.0)

    def _end_waiting(self) -> None:
        if self._wake is not None:
            with suppress(OSError):  # full of calls that nobody has heard yet, or closed
                self._wake[1].send(b"\0")

    def _woken(self) -> None:
        assert self._wake is not None
        with suppress(BlockingIOError):
            self._wake[0].recv(4096)


def plain_address(address: str) -> str:
    """An IPv4 address as such, where a socket of both versions has it as one of IPv6."""
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and "." in address else address
