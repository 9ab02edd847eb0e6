"""Session: one transport session's octets in, events out. No I/O, no clock: `now` is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater.errors import DecodeError, Fault, FaultKind, HeadwaterError
from headwater.model import registry as registries
from headwater.session.framing import Frames, Loss, Trouble, frame_datagrams, frame_stream
from headwater.session.held import HeldSets
from headwater.session.key import Transport
from headwater.session.limits import Limits
from headwater.session.run import Run
from headwater.session.state import FATAL, MALFORMED, State
from headwater.session.templates import TemplateTable

if TYPE_CHECKING:
    from collections import Counter

    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.events import Event
    from headwater.session.sequence import DomainLedger

Buffer = bytes | bytearray | memoryview | npt.NDArray[np.uint8]

_WINDOW = 64 << 20  # positions are int32, and tables grow with the octets of one pass

CHECKSUM_POLICIES = ("warn", "drop", "ignore")


class Session:
    """A Collecting Process's side of one transport session (RFC 7011 §8, §9).

    A Message is taken whole or not at all: a malformed one changes nothing but counters. With `salvage` its whole
    Sets and records before the fault are kept. Faults are events; with `strict` the first that costs octets is
    raised as DecodeError instead. Nothing else is ever raised for the sake of what a peer sends.

    registry: names and types (default: IANA). transport: "udp", "dtls", "sctp", "tcp", "tls" or "file"; decides
    framing and Template rules. limits: bounds on memory. key: who the session is with; copied into events.
    resync: in streams, search for the next Message after a loss of framing (RFC 5655 §10.3).
    checksum: "warn", "drop" or "ignore" Messages whose MD5 does not match (RFC 5655 §8.1.1).
    """

    def __init__(
        self,
        registry: Registry | None = None,
        transport: Transport | str = Transport.UDP,
        limits: Limits | None = None,
        *,
        strict: bool = False,
        salvage: bool = False,
        key: Any = None,
        resync: bool = False,
        checksum: str = "warn",
    ) -> None:
        if checksum not in CHECKSUM_POLICIES:
            raise HeadwaterError(f"checksum must be one of {', '.join(CHECKSUM_POLICIES)}, not {checksum!r}")
        if transport not in set(Transport):
            raise HeadwaterError(f"transport must be one of {', '.join(Transport)}, not {transport!r}")
        self.transport = Transport(transport)
        self.strict = strict
        self._resync = resync
        limits = limits or Limits()
        table = TemplateTable(registries.IANA if registry is None else registry, limits)
        self._state = State(table, limits, self.transport, salvage, checksum, key, HeldSets(limits))
        self._pending = b""
        self._offset = 0
        self._loss: Loss | None = None
        self._is_lost = False
        self._next_expiry = 0.0

    @property
    def registry(self) -> Registry:
        """Names and types in force, with what type information records have taught (RFC 5610)."""
        return self._state.table.registry

    @property
    def counters(self) -> Counter[str]:
        """Counts by name: messages, records, templates, … and every FaultKind seen."""
        return self._state.counters

    @property
    def ledger(self) -> Mapping[int, DomainLedger]:
        """The loss ledger of each Observation Domain."""
        return {id: domain.ledger for id, domain in self._state.table.domains.items()}

    @property
    def details(self) -> Mapping[str, Any]:
        """What option records told of the whole session: time window, exporter, … (RFC 5655 §8.1.2-3)."""
        return self._state.details

    @property
    def offset(self) -> int:
        """Octets consumed so far: absolute offset of what comes next."""
        return self._offset

    def templates(self, domain: int) -> Mapping[int, Template]:
        """Templates in force in an Observation Domain, by id."""
        found = self._state.table.domains.get(domain)
        return {id: known.template for id, known in found.known.items()} if found else {}

    def receive(self, data: Buffer, *, now: float = 0.0, ends: Iterable[int] | None = None) -> Iterator[Event]:
        """Events of `data`, which is taken in before this returns.

        data: one datagram, or the next octets of a stream, cut anywhere. now: seconds, any epoch; ages Templates.
        ends: for datagrams that lie back to back in `data`, where each ends.
        """
        if self.transport.is_stream:
            joined = _octets(self._pending + bytes(data)) if self._pending else _octets(data)
            events, consumed = self._read(joined, final=False, now=now)
            self._pending = b"" if self._is_lost else joined[consumed:].tobytes()
            return self._answer(events)
        buf = _octets(data)
        stops = np.fromiter(ends, np.int32) if ends is not None else np.array([len(buf)], np.int32)
        if not len(stops):
            return iter(())
        self._state.counters["datagrams"] += len(stops)
        events = self._process(buf, frame_datagrams(buf, stops, salvage=self._state.salvage), now)
        return self._answer(events)

    def read(self, data: Buffer, *, final: bool = False, now: float = 0.0) -> tuple[Iterator[Event], int]:
        """Like receive for streams, but keeps nothing back: (events, octets consumed).

        The caller presents the rest again, with what follows it. So a file can be read through a memory map
        without a copy. final: nothing will follow; a torn tail is then a fault.
        """
        events, consumed = self._read(_octets(data), final=final, now=now)
        return self._answer(events), consumed

    def close(self) -> Iterator[Event]:
        """End of the transport session: what is left over is reported, Templates are forgotten (RFC 7011 §8)."""
        events: list[Event] = []
        if self.transport.is_stream:
            events, _ = self._read(_octets(self._pending), final=True, now=0.0)
            self._pending = b""
        held = self._state.held
        if len(held):
            at = held.oldest_at
            events.append(self._fault(FaultKind.HELD_DROPPED, at, held.clear(), "their Template never came"))
        self._state.table.clear()
        self._state.teachers.clear()
        return self._answer(events)

    def _read(self, buf: npt.NDArray[np.uint8], *, final: bool, now: float) -> tuple[list[Event], int]:
        events: list[Event] = []
        consumed, size = 0, len(buf)
        while not self._is_lost:
            window = buf[consumed : consumed + _WINDOW]
            is_last = consumed + len(window) == size
            frames = frame_stream(
                window,
                resync=self._resync,
                final=final and is_last,
                loss=self._loss,
                salvage=self._state.salvage,
            )
            if not len(frames.start) and not frames.consumed and not frames.troubles:
                break
            events += self._process(window, frames, now)
            consumed += frames.consumed
            self._is_lost, self._loss = frames.is_lost, frames.loss
            if self._loss is not None:
                self._loss.at -= frames.consumed
            if is_last:
                self._loss = None if final else self._loss
                break
        if self._is_lost:
            self._consume(size - consumed)
            consumed = size
        return events, consumed

    def _consume(self, octets: int) -> None:
        self._offset += octets
        self._state.counters["octets"] += octets

    def _process(self, buf: npt.NDArray[np.uint8], frames: Frames, now: float) -> list[Event]:
        events: list[Event] = []
        if now >= self._next_expiry:
            self._next_expiry = now + 1.0
            events += self._expire(now)
        base = self._offset
        self._consume(frames.consumed)
        run = Run(self._state, buf, base, frames, now)
        found = run.events() if len(frames.start) else []
        return events + _merge(found, [self._trouble(base, trouble) for trouble in frames.troubles])

    def _trouble(self, base: int, trouble: Trouble) -> Fault:
        kind, at, count, detail = trouble
        if kind in MALFORMED:
            self._state.counters["messages_malformed"] += 1
        return self._fault(kind, base + at, count, detail)

    def _expire(self, now: float) -> list[Event]:
        state = self._state
        events: list[Event] = []
        if self.transport.is_unreliable:
            for domain, known in state.table.expire(now):
                state.teachers.discard((domain.index, known.template.id))
                detail = f"Template {known.template.id} was not sent again in time"
                events.append(self._fault(FaultKind.TEMPLATE_EXPIRED, self._offset, 1, detail, domain.id))
        at = state.held.oldest_at if len(state.held) else 0
        dropped = state.held.expire(now)
        if dropped:
            detail = "Data Sets waited too long for their Template"
            events.append(self._fault(FaultKind.HELD_DROPPED, at, dropped, detail))
        return events

    def _fault(self, kind: FaultKind, offset: int, count: int, detail: str, domain: int | None = None) -> Fault:
        self._state.counters[kind] += count
        return Fault(kind, offset, domain, detail, count, self._state.key)

    def _answer(self, events: list[Event]) -> Iterator[Event]:
        if not self.strict:
            return iter(events)
        return _raising(events)


def _raising(events: list[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, Fault) and event.kind in FATAL:
            raise DecodeError(str(event), offset=event.offset, kind=event.kind)
        yield event


def _merge(events: list[Event], troubles: list[Fault]) -> list[Event]:
    """Faults about octets between Messages, put where they belong among the events."""
    if not troubles:
        return events
    merged: list[Event] = []
    rest = deque(troubles)
    for event in events:
        offset = _offset(event)
        while rest and rest[0].offset <= offset:
            merged.append(rest.popleft())
        merged.append(event)
    return merged + list(rest)


def _offset(event: Event) -> int:
    from headwater.session.events import DataSets

    return int(event.base + event.start[0]) if isinstance(event, DataSets) else event.offset


def _octets(data: Buffer) -> npt.NDArray[np.uint8]:
    """Any contiguous buffer as uint8[n], without a copy."""
    return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
