"""Outbox: what waits for one collector, what is on its way, and an account of all of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from headwater.errors import TransportError
from headwater.process.exporting_pieces import Piece, Pieces, amount_of
from headwater.process.exporting_report import Amount

if TYPE_CHECKING:
    from headwater.transport.outgoing import Collector

QUEUE: Final = 64 << 20
RESEND: Final = 8 << 20
"""Octets: more than a Linux host keeps for a program that does not read, unless somebody has raised tcp_rmem."""
_LARGE: Final = 1 << 20


class Outbox:
    """Pieces go through three places: the queue; the window, sent and not acknowledged; and the tail.

    The tail is the last that was acknowledged: it counts as sent, and is kept for the case that a connection ends in
    such a way that nobody knows what the collector has read. What comes back from there counts as waiting again.
    Everything is done under `lock`, by any thread. At any time given = sent + waiting + dropped.
    """

    def __init__(self, collector: Collector) -> None:
        options = collector.options
        self.lock = threading.RLock()
        self.is_closing = False
        self.given = self.sent = self.resent = self.moved = Amount()
        self.dropped: dict[str, Amount] = {}
        self._is_over = False
        self._collector = collector
        self._limit = options.get("queue", QUEUE)
        self._overflow = options.get("overflow", "block")
        self._resend = 0 if collector.transport.is_unreliable else options.get("resend", RESEND)
        self._queue, self._tail, self._window = Pieces(), Pieces(), deque[Piece]()
        self._space: list[Future[None]] = []
        self._drained: list[Future[None]] = []

    @property
    def has_waiting(self) -> bool:
        """Whether something is in the queue or the window."""
        return bool(self._queue or self._window)

    @property
    def has_queued(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._queue)

    @property
    def is_on_its_way(self) -> bool:
        """Whether something was sent and is not acknowledged."""
        return bool(self._window)

    @property
    def waiting(self) -> Amount:
        """What is in the queue or the window."""
        with self.lock:
            return amount_of(chain(self._queue, self._window))

    # --- in ---

    def offer(self, piece: Piece) -> Piece | None:
        """Take Messages; what is returned has to wait for `space`.

        Raises TransportError if the queue is full and that is to be an error.
        """
        with self.lock:
            self.given += piece.amount
            return self.accept(piece)

    def accept(self, piece: Piece) -> Piece | None:
        """`offer` for what has been offered before."""
        with self.lock:
            if self.is_closing:
                self.drop("closed", piece)
                return None
            if self._overflow == "drop-oldest":
                self._queue.add(piece)
                while self._queue.octets > self._limit:
                    self.drop("drop-oldest", self._queue.take(octets=self._queue.octets - self._limit))
                return None
            rest = self._rest(piece)
            if rest is not None and self._overflow == "drop-newest":
                self.drop("drop-newest", rest)
                return None
            return rest

    def take_over(self, piece: Piece) -> None:
        """Take what another collector was to get; however full the queue is, for it has been taken already."""
        with self.lock:
            self.given += piece.amount
            if self._is_over:
                self.drop("closed", piece)
            else:
                self._queue.add(piece)

    def give_up(self) -> list[Piece]:
        """All that waits, for another collector to get it."""
        with self.lock:
            pieces = [*self._window, *self._queue.take_all()]
            self._window.clear()
            amount = amount_of(pieces)
            self.given -= amount
            self.moved += amount
            self._tell()
            return pieces

    def _rest(self, piece: Piece) -> Piece | None:
        """Queue as much as there is room for; a Message that is larger than the whole queue fits an empty one."""
        free = self._limit - self._queue.octets
        if piece.octets <= free:
            self._queue.add(piece)
            return None
        if self._overflow == "error":
            self.drop("error", piece)
            raise TransportError(f"{self._collector.name}: the queue is full", url=self._collector.url)
        if free < piece.encoded.begin[1] - piece.encoded.begin[0] and self._queue:
            return piece
        taken, rest = piece.cut(piece.first_of(octets=free))
        self._queue.add(taken)
        return rest if len(rest) else None

    # --- out ---

    def take(self, *, octets: float, records: float) -> Piece:
        """What is to be sent next; it is in the window from here on."""
        self.given -= Amount(0, self._queue.merge_first())
        piece = self._queue.take(octets=octets, records=records)
        if piece.is_again:
            self.resent += piece.amount
        piece.is_again = True
        self._window.append(piece)
        return piece

    def confirm(self, acknowledged: float) -> None:
        """The collector's host has so many octets of the transport session."""
        with self.lock:
            while self._window and self._window[0].end <= acknowledged:
                piece = self._window.popleft()
                self.sent += piece.amount
                if self._resend:
                    self._tail.add(_by_itself(piece))
            while self._tail.octets > self._resend:
                self._tail.take(octets=self._tail.octets - self._resend)
            self._tell()

    def session_lost(self, acknowledged: float | None) -> None:
        """What was not acknowledged is to be sent again. acknowledged: octets; None = nobody knows what was read."""
        with self.lock:
            if acknowledged is not None:
                self.confirm(acknowledged)
            tail = self._tail.take_all()
            again = [] if acknowledged is not None else tail
            self.sent -= amount_of(again)
            again += self._window
            self._window.clear()
            for piece in again:
                piece.end = float("inf")
            self._queue.add_first(again)

    def drop(self, cause: str, piece: Piece) -> None:
        """Count what is not sent."""
        self._count(cause, piece.amount)

    def failed(self, cause: str, amount: Amount) -> None:
        """Count what was sent and is known not to have arrived."""
        with self.lock:
            self.sent -= amount
            self._count(cause, amount)

    def finish(self) -> None:
        """Nothing more is sent."""
        with self.lock:
            self.is_closing = self._is_over = True
            for piece in [*self._window, *self._queue.take_all()]:
                self.drop("closed", piece)
            self._window.clear()
            self._tail.take_all()
            self._tell()

    def _count(self, cause: str, amount: Amount) -> None:
        with self.lock:
            self.dropped[cause] = self.dropped.get(cause, Amount()) + amount

    # --- waiting ---

    def space(self) -> Future[None]:
        """Done when it is worth while to try again."""
        return self._future(self._space, self._has_space)

    def drained(self) -> Future[None]:
        """Done when nothing waits: all was sent and, where the transport tells, acknowledged, or dropped."""
        return self._future(self._drained, lambda: not self.has_waiting)

    def _has_space(self) -> bool:
        return self.is_closing or self._queue.octets <= self._limit // 2

    def _future(self, waiting: list[Future[None]], is_done: Callable[[], bool]) -> Future[None]:
        future: Future[None] = Future()
        with self.lock:
            if is_done():
                future.set_result(None)
            else:
                waiting.append(future)
        return future

    def _tell(self) -> None:
        if self._space and self._has_space():
            _resolve(self._space)
        if self._drained and not self.has_waiting:
            _resolve(self._drained)


def _by_itself(piece: Piece) -> Piece:
    """The piece without the rest of what it was cut from, if that is much more."""
    whole = piece.encoded.buffer.base
    if whole is not None and getattr(whole, "nbytes", 0) > _LARGE:
        piece.encoded = replace(piece.encoded, buffer=piece.encoded.buffer.copy())
    return piece


def _resolve(futures: list[Future[None]]) -> None:
    waiting = futures[:]
    futures.clear()
    for future in waiting:
        with suppress(InvalidStateError):  # who waited for it has given up
            future.set_result(None)
