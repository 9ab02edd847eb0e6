"""Destination: one collector of an Exporter, with its session, its outbox and the thread that sends."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from headwater.errors import EncodeError, TransportError
from headwater.process.exporting_outbox import Outbox
from headwater.process.exporting_pace import Pace, Retry
from headwater.process.exporting_pieces import Piece, laid_again
from headwater.process.exporting_report import DestinationReport
from headwater.process.exporting_sent import Recent
from headwater.process.exporting_statistics import Statistics
from headwater.session.export_options import type_template
from headwater.session.exporting import ExportSession, Refresh
from headwater.session.key import Transport
from headwater.transport.outgoing import Readiness, SessionLost, Stopped, sender_of
from headwater.transport.outgoing.url import DISCOVER
from headwater.wire.dialect import DIALECTS, IPFIX

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.outgoing import Encoded, Outgoing, Room
    from headwater.transport.outgoing import Collector, Sender

_PIECE: Final = 128 << 10
_RETRY_S: Final = {Transport.UDP: 5.0}
_MINUTE_S: Final = 60.0
_WRITE_S: Final = 120.0
_SLOW_S: Final = 0.1
"""A Message has no more records than go in so long, where there is a rate."""
_ASK_S: Final = 0.05
"""How often the kernel is asked what was acknowledged, while nothing is left to send."""
_DTLS_RECORD: Final = 37  # 13 of header, 8 of nonce, 16 of tag: what AES-GCM adds to a Message

_log = logging.getLogger(__name__)


class Destination:
    """Sends to one collector. Everything but `start`, `join` and the properties may be called from any thread.

    changed: called, in the sending thread, when the collector is there or is lost.
    own_templates: of what it sends of itself. patience_s: how long writing may wait for room in the queue.
    """

    def __init__(
        self,
        collector: Collector,
        *,
        registry: Registry | None,
        describe: bool,
        clock: Callable[[], float],
        booted: float,
        changed: Callable[[Destination], None],
    ) -> None:
        options = collector.options
        self.collector = collector
        self.dialect = DIALECTS[int(options.get("version", "10"))]
        self.session = ExportSession(
            collector.transport,
            mtu=_message_mtu(collector, options.get("mtu")),
            dialect=self.dialect,
            refresh=Refresh(options.get("refresh", 600.0), options.get("refresh_messages", 20)),
            registry=registry,
            describe=describe and self.dialect is IPFIX,
            booted=booted,
        )
        self._clock, self._changed = clock, changed
        self.patience_s: float = options.get("timeout", _WRITE_S)
        self.outbox = Outbox(collector)
        self._streams = options.get("streams", 1)
        self._statistics = Statistics(options.get("statistics", 0.0) if self.dialect is IPFIX else 0.0)
        self.own_templates = self._statistics.templates + (
            [type_template()] if describe and self.dialect is IPFIX else []
        )
        self._pace = Pace(options.get("rate", math.inf)), Pace(options.get("octet_rate", math.inf))
        slowest = options.get("retry", _RETRY_S.get(collector.transport, _MINUTE_S))
        self._retry = Retry(min(options.get("retry_first", slowest), slowest), slowest)
        self._lock = self.outbox.lock
        self._readiness = Readiness()
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None
        self._recent = Recent()
        self._state, self._error = "closed", ""
        self._stream = 0
        self._connections = self._templates_lost = 0

    # --- beginning and end ---

    def start(self) -> None:
        """Begin to connect. Raises TransportError for what can be told now: a missing library, certificates."""
        self._sender = sender_of(self.collector, self._readiness)
        self._readiness.open()
        if self.collector.options.get("mtu") == DISCOVER and self.collector.transport.is_unreliable:
            from headwater.transport.outgoing.udp import discover_mtu

            self.session.mtu = _message_mtu(self.collector, discover_mtu(self.collector, self._readiness)) or 512
        self._thread = threading.Thread(target=self._run, name=f"headwater {self.collector.name}", daemon=True)
        self._state = "connecting"
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Take no more; what is still here after so many seconds is dropped."""
        with self._lock:
            self.outbox.is_closing = True
        self._readiness.stop_within(timeout)

    def join(self) -> None:
        """Wait for the end, after `stop`."""
        if self._thread is not None:
            self._thread.join()
        self._readiness.close()

    @property
    def is_up(self) -> bool:
        """Whether the collector is connected."""
        return self._state == "connected"

    @property
    def report(self) -> DestinationReport:
        """What became of everything so far."""
        with self._lock:
            counters, outbox = self.session.counters, self.outbox
            return DestinationReport(
                self.collector.name,
                self._state,
                self._error,
                self._connections,
                outbox.given,
                outbox.sent,
                outbox.waiting,
                outbox.resent,
                outbox.moved,
                dict(outbox.dropped),
                counters["octets"],
                counters["messages"],
                counters["templates"],
                self._templates_lost,
            )

    # --- what is to be sent ---

    def template(self, template: Template, domain: int) -> Template:
        """The Template with the id that it has, in the session of this collector. Raises EncodeError."""
        with self._lock:
            return self.session.template(template, domain, template.id if self.dialect.has_sets else None)

    def room(self, template: Template, domain: int) -> Room:
        """What Messages to this collector have room for. Raises EncodeError."""
        with self._lock:
            room = self.session.room(template, domain)
        rate = self._pace[0].rate
        if math.isinf(rate):
            return room
        most = max(int(rate * _SLOW_S), 1)  # many records at once are no steady pace
        return replace(room, most=min(most, room.most or most))

    def offer(self, encoded: Encoded, domain: int) -> Piece | None:
        """`Outbox.offer`, and let it be sent."""
        rest = self.outbox.offer(Piece(encoded, domain))
        self._readiness.wake()
        return rest

    def accept(self, piece: Piece) -> Piece | None:
        """`Outbox.accept`, and let it be sent."""
        rest = self.outbox.accept(piece)
        self._readiness.wake()
        return rest

    def refuse(self, piece: Piece) -> TransportError:
        """Drop what has waited too long for space; what to raise."""
        self.outbox.drop("timeout", piece)
        why = f": {self._error}" if self._error else ""
        message = f"{self.collector.name}: no room for {piece.amount} within the time that writing may take{why}"
        return TransportError(message, url=self.collector.url)

    def give_up(self) -> list[Piece]:
        """All that waits, for another collector to get it; nothing if this one is up by now, and so sends it."""
        with self._lock:
            return [] if self.is_up else self.outbox.give_up()

    def take_over(self, pieces: list[Piece], templates: Callable[[Piece], Template]) -> None:
        """Send what another collector was to get. templates: gives the Template of a piece its id here, too."""
        with self._lock:
            for piece in pieces:
                template = templates(piece)
                try:
                    room, had = self.room(template, piece.domain), piece.encoded.room
                    fits = had.header == room.header and had.budget <= room.budget
                    encoded = piece.encoded if fits else laid_again(piece.encoded, template, room)
                except EncodeError:  # a record that no Message to this collector has room for
                    self.outbox.given += piece.amount
                    self.outbox.drop("too_large", piece)
                else:
                    self.outbox.take_over(Piece(encoded, piece.domain, is_again=piece.is_again))
        self._readiness.wake()

    # --- the thread ---

    def _run(self) -> None:
        try:
            while self._goes_on():
                self._pause()
                self._serve()
        except Stopped:
            pass
        finally:
            self._finish()

    def _goes_on(self) -> bool:
        return not self.outbox.is_closing or self.outbox.has_waiting

    def _pause(self) -> None:
        while (delay_s := self._retry.delay_s(time.monotonic())) and self._goes_on():
            self._set("retrying")
            self._readiness.wait(None, timeout=delay_s)

    def _serve(self) -> None:
        """One transport session, from its beginning to its end."""
        assert self._sender is not None
        if not self._goes_on():
            return
        self._set("connecting")
        self._retry.attempted(time.monotonic())
        try:
            self._sender.open()
            self._begin(self._sender)
            while self._goes_on():
                if self._sender.is_stale:
                    self._sender.open()
                    self._begin(self._sender)
                self._step(self._sender)
        except SessionLost as lost:
            self._lose(lost)
        finally:
            self._sender.close()
            self._learn(self._sender)

    def _begin(self, sender: Sender) -> None:
        with self._lock:
            self._connections += 1
            self._error = ""
            out = self.session.reconnected(self._clock())
        for outgoing in out:
            sender.send(outgoing)
        _log.info("%s: connected", self.collector.name)
        self._set("connected")

    def _step(self, sender: Sender) -> None:
        """Send a few Messages, or wait until there are some."""
        with self._lock:
            piece = self._next()
            out = self._outgoing(piece)
        for outgoing, stream in out:
            sender.send(outgoing, stream)
        with self._lock:
            if piece is not None:
                piece.end = sender.sent
            self.outbox.confirm(sender.acknowledged)
            if sender.mtu is not None:
                self.session.mtu = _message_mtu(self.collector, sender.mtu) or self.session.mtu
            timeout = self._idle_s()
        self._learn(sender)
        if piece is None and not out and self._goes_on():
            sender.wait(timeout)

    def _next(self) -> Piece | None:
        """What is to be sent now; it is in the window from here on."""
        now = time.monotonic()
        records, octets = (pace.allowed(now) for pace in self._pace)
        if not self.outbox.has_queued or min(records, octets) <= 0:
            return None
        piece = self.outbox.take(octets=min(octets, _PIECE), records=records)
        for pace, units in zip(self._pace, (piece.amount.records, piece.octets), strict=True):
            pace.spend(units)
        return piece

    def _outgoing(self, piece: Piece | None) -> list[tuple[Outgoing, int]]:
        """(Messages, stream): Templates that are due, and the piece."""
        now = self._clock()
        out = [(outgoing, 0) for outgoing in self.session.refresh(now)]
        lost = sum(amount.records for amount in self.outbox.dropped.values())
        out += [(outgoing, 0) for outgoing in self._statistics.records(self.session, lost, now)]
        if piece is None:
            return out
        self._statistics.add(piece.domain, now)
        self._fit(piece)
        stream = 0
        if self._streams > 1:  # data in streams of their own; Templates stay where nothing overtakes them
            out += [(outgoing, 0) for outgoing in self.session.announce(piece.domain, now=now)]
            self._stream = self._stream % (self._streams - 1) + 1
            stream = self._stream
        sent = self.session.send(piece.encoded, piece.domain, now=now, stream=stream)
        if self.collector.transport.is_unreliable or "ttl" in self.collector.options:
            self._recent.add(piece.encoded)
        return out + [(outgoing, stream) for outgoing in sent]

    def _fit(self, piece: Piece) -> None:
        """Lay out anew what was laid out for larger Messages than the path carries by now."""
        encoded = piece.encoded
        if encoded.room.header + encoded.room.budget > self.session.mtu:
            try:
                piece.encoded = laid_again(encoded, encoded.template, self.room(encoded.template, piece.domain))
            except EncodeError:  # a record that no Message has room for: let it be sent, and count that it was lost
                self.session.mtu = max(self.session.mtu, encoded.room.header + encoded.room.budget)

    def _idle_s(self) -> float | None:
        delays = [min(self.session.next_refresh, self._statistics.next) - self._clock()]
        if self.outbox.has_queued:
            delays.append(max(pace.delay_s for pace in self._pace))
        if self.outbox.is_on_its_way:
            delays.append(_ASK_S)
        delay_s = max(min(delays), 0.0)
        return None if math.isinf(delay_s) else delay_s

    def _learn(self, sender: Sender) -> None:
        """Count Messages that somebody has reported as lost."""
        for failure in sender.failures():
            amount = self._recent.amount_of(failure.head)
            self._templates_lost += not amount.messages
            self.outbox.failed(failure.cause, amount)

    def _lose(self, lost: SessionLost) -> None:
        """Put back what the collector has not got, or may not have read."""
        assert self._sender is not None
        with self._lock:
            self.outbox.session_lost(self._sender.acknowledged if lost.is_orderly else None)
            self._retry.failed(time.monotonic())
            before, self._error = self._error, str(lost).removeprefix(f"{self.collector.name}: ")
        level = logging.DEBUG if self._error == before else logging.WARNING  # one line is enough
        _log.log(level, "%s; next attempt in %.1f s", lost, self._retry.delay_s(time.monotonic()))
        self._set("retrying")

    def _set(self, state: str) -> None:
        was_up, self._state = self.is_up, state
        if was_up != self.is_up and not self.outbox.is_closing:
            self._changed(self)

    def _finish(self) -> None:
        with self._lock:
            self._state = "closed"
            self.outbox.finish()
        if self.outbox.dropped:
            _log.warning("%s", self.report)


def _message_mtu(collector: Collector, mtu: int | str | None) -> int | None:
    """Octets of a Message, where `mtu` is that of the payload of a datagram; None = what the session likes."""
    is_dtls = collector.transport is Transport.DTLS
    if mtu is None or isinstance(mtu, str):
        return 512 - _DTLS_RECORD if is_dtls else None
    return mtu - _DTLS_RECORD if is_dtls else mtu
