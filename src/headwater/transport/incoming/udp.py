"""Messages in over UDP (RFC 7011 §10.3): all that the kernel gives, and a count of what it could not keep."""

from __future__ import annotations

import os
import socket as sockets
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.session.key import SessionKey, Transport
from headwater.transport.incoming.asked import Asked
from headwater.transport.incoming.binding import failed
from headwater.transport.incoming.block import Arena, Block
from headwater.transport.incoming.datagrams import LARGEST, PEERS_FULL, READY, TALLY, WOKEN, Receiver, receiver
from headwater.transport.incoming.udp_socket import LEAST_HELD, KernelDrops, bind, granted, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.transport.incoming.block import Outlet
    from headwater.transport.incoming.url import ListenUrl

_LATENCY: Final = 0.25
_DRAIN_S: Final = 5.0
"""For room in the queue for what the kernel holds at the end."""
_PAUSE_S: Final = 1.0
"""Before the next try after an error of the socket, and until what was dropped is told if nothing comes any more."""
_COUNTERS: Final = (
    *TALLY,
    "dropped_datagrams",
    "dropped_octets",
    "kernel_drops",
    "session_limit",
    "receive_errors",
    "receive_buffer",
)
_MOST_ERRORS: Final = 4
_REST: Final = SessionKey("")
"""Whose datagrams were dropped, once there are too many exporters to name."""
_MAPPED: Final = bytes(10) + b"\xff\xff"


class UdpListener:
    """One UDP socket, read by `run`.

    latency: seconds that a datagram waits for others, at most; may be set before `run`.
    warnings: what people should know of.
    counters: datagrams, octets: all that the kernel gave. They are handed over, or counted in dropped_datagrams (and
    dropped_octets: no room in the queue), refused (not allowed to speak), not_export (neither NetFlow nor IPFIX, of
    nobody who has ever sent any), truncated and empty. kernel_drops: what the kernel had no room for.
    session_limit: how often the table of exporters was full and was begun anew. receive_errors: of the socket.
    receive_buffer: octets that the kernel grants.
    """

    transport = Transport.UDP

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        self.url = url
        self.counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))  # names are there before others read them
        self.warnings: list[str] = []
        self.latency = _LATENCY
        self._socket = socket
        self._local = ("", 0)
        self._wake: tuple[sockets.socket, sockets.socket] | None = None
        self._receiver: Receiver | None = None
        self._is_stopping = self._is_asking_again = False
        self._keys: list[SessionKey] = []
        self._refused = np.zeros(url.options["max_sessions"], np.uint8)
        self._num_refused = 0
        self._tally = np.zeros(len(TALLY), np.int64)
        self._dropped: Counter[SessionKey] = Counter()
        self._kernel_drops: KernelDrops | None = None
        self._offset = 0
        self._asked = Asked()
        self._patient_until = 0.0

    @property
    def address(self) -> tuple[str, int]:
        return self._local

    @property
    def num_sessions(self) -> int:
        return len(self._keys) - self._num_refused

    def open(self) -> None:
        made = self._socket = self._socket or bind(self.url)
        try:
            self.warnings += prepare(made, self.url)
            self.counters["receive_buffer"] = granted(made)
            self._local = made.getsockname()[:2]
            self._kernel_drops = KernelDrops(made)
            self._wake = sockets.socketpair()
            for one in (made, *self._wake):
                one.setblocking(False)
            self._receiver = receiver(made.fileno(), self._wake[0].fileno())
        except OSError as error:
            self.close()
            raise failed(self.url, error) from error

    def run(self, outlet: Outlet) -> None:
        arena = Arena()
        while not self._is_stopping:
            self._receive(arena, outlet, -1 if not self._dropped else _PAUSE_S, self.latency)
            if arena.count or self._dropped:
                self._hand_over(arena, outlet)
            while self._asked.begin_round():  # who asks meanwhile may not wake us any more
                self._take_held(arena, outlet)
                self._asked.answer()
        self._patient_until = time.monotonic() + _DRAIN_S
        self._take_held(arena, outlet)
        if self._dropped:
            outlet.put(self._block(arena))
        self._asked.end()

    def settle(self, done: Callable[[], object]) -> None:
        self._asked.ask(done)
        self._end_waiting()

    def stop(self) -> None:
        self._is_stopping = True
        self._end_waiting()

    def reload(self) -> None:
        """Ask again who may speak."""
        self._is_asking_again = True
        self._end_waiting()

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None
        for one in (self._socket, *(self._wake or ())):
            if one is not None:
                one.close()
        self._wake = self._socket = None

    def sessions(self) -> list[dict[str, Any]]:
        return []

    def _end_waiting(self) -> None:
        if self._wake is not None:
            with suppress(OSError):  # full, or closed already: either way nobody waits
                self._wake[1].send(b"!")

    def _woken(self) -> None:
        """Forget that waiting was to end; why is known from elsewhere."""
        assert self._wake is not None
        with suppress(OSError):
            self._wake[0].recv(4096)

    def _take_held(self, arena: Arena, outlet: Outlet) -> None:
        """What the kernel holds already, and what comes meanwhile as long as it may be that."""
        left = 2 * self.counters["receive_buffer"]  # the receiver has some of it in hand
        while left > 0:
            datagrams, octets = self.counters["datagrams"], self.counters["octets"]
            why = self._receive(arena, outlet, wait=0, latency=0)
            taken = self.counters["datagrams"] - datagrams
            if why == READY and not taken:
                break
            left -= taken * LEAST_HELD + self.counters["octets"] - octets
            if why is None:
                left -= self.counters["receive_buffer"] // _MOST_ERRORS
            if arena.room < LARGEST:
                self._hand_over(arena, outlet)
        if arena.count or self._dropped:
            self._hand_over(arena, outlet)

    def _receive(self, arena: Arena, outlet: Outlet, wait: float, latency: float) -> int | None:
        """Fill the arena; what is in it is of exporters who may speak. Why that ended, None = with an error."""
        assert self._receiver is not None
        self._tally[:] = 0
        why: int | None = None
        try:
            why = self._receiver.receive(arena, self._refused, self._tally, wait, latency)
        except OSError as error:
            self._complain(error)
        if why == WOKEN:
            self._woken()
        if self._is_asking_again:
            self._is_asking_again = False
            self._refused[: len(self._keys)] = [not self._is_allowed(key, outlet) for key in self._keys]
            self._num_refused = int(self._refused.sum())
        for name, count in zip(TALLY, self._tally.tolist(), strict=True):
            self.counters[name] += count
        assert self._kernel_drops is not None
        self.counters["kernel_drops"] += self._kernel_drops.more()
        self._meet(arena, outlet)
        if why == PEERS_FULL:
            if arena.count:
                self._hand_over(arena, outlet)
            self._begin_anew()
        return why

    def _meet(self, arena: Arena, outlet: Outlet) -> None:
        """Make keys of new peers; datagrams of those that may not speak are taken out again."""
        assert self._receiver is not None
        first = len(self._keys)
        host, port = self._local
        for number in range(first, self._receiver.num_peers):
            octets, peer_port, scope = self._receiver.peer(number)
            key = SessionKey(_text(octets, scope), peer_port, host, port)
            self._keys.append(key)
            if not self._is_allowed(key, outlet):
                self._refused[number] = 1
                self._num_refused += 1
        if self._refused[first : len(self._keys)].any():
            self.counters["refused"] += arena.keep(self._refused[arena.peer[: arena.count]] == 0)

    def _is_allowed(self, key: SessionKey, outlet: Outlet) -> bool:
        return self.url.allows(key.address) and outlet.is_allowed(key.address)

    def _begin_anew(self) -> None:
        """Forget all exporters. Those that go on sending come back with the same keys, so that nothing is lost.

        So a flood of made-up addresses costs time and bounded memory, and locks nobody out.
        """
        assert self._receiver is not None
        self._receiver.forget()
        self._keys = []
        self._refused[:] = 0
        self._num_refused = 0
        self.counters["session_limit"] += 1

    def _hand_over(self, arena: Arena, outlet: Outlet) -> None:
        """Give the arena's datagrams away, or up. At the end there is nothing else to do than to wait for room."""
        patience = self._patient_until - time.monotonic()
        if outlet.has_room or (patience > 0 and outlet.wait_for_room(patience)):
            outlet.put(self._block(arena))
        elif arena.count:
            self._drop(arena)

    def _block(self, arena: Arena) -> Block:
        used = arena.used
        block = Block(arena.take(self._keys, self._offset), dropped=self._dropped)
        self._offset += used
        self._dropped = Counter()
        return block

    def _drop(self, arena: Arena) -> None:
        self.counters["dropped_datagrams"] += arena.count
        self.counters["dropped_octets"] += int((arena.end[: arena.count] - arena.start[: arena.count]).sum())
        counts = np.bincount(arena.peer[: arena.count])
        for number in np.flatnonzero(counts).tolist():
            key = self._keys[number]
            is_known = key in self._dropped or len(self._dropped) < len(self._refused)
            self._dropped[key if is_known else _REST] += int(counts[number])
        arena.clear()

    def _complain(self, error: OSError) -> None:
        """An error that is none of a peer's making: tell it once, and try again later."""
        if not self.counters["receive_errors"]:
            why = os.strerror(error.errno).lower() if error.errno else str(error)
            self.warnings.append(f"{self.url.bound_to(self._local)}: {why}; it is tried again every {_PAUSE_S:g} s")
        self.counters["receive_errors"] += 1
        if not self._is_stopping and self._wake is not None:
            self._wake[0].settimeout(_PAUSE_S)
            self._woken()


def _text(octets: bytes, scope: int) -> str:
    """An address as SessionKey has it."""
    if octets.startswith(_MAPPED):
        return sockets.inet_ntop(sockets.AF_INET, octets[len(_MAPPED) :])
    text = sockets.inet_ntop(sockets.AF_INET6, octets)
    if not scope:
        return text
    try:
        return f"{text}%{sockets.if_indextoname(scope)}"
    except OSError:
        return f"{text}%{scope}"
