"""Session: octets of transport sessions in, events out. No I/O, no clock: `now` is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater.errors import DecodeError, Fault, FaultKind, HeadwaterError
from headwater.model import registry as registries
from headwater.session.datagram_framing import frame_datagrams
from headwater.session.framing import Frames, Loss, Trouble, frame_stream
from headwater.session.headers import Arrivals
from headwater.session.held import HeldSets
from headwater.session.key import KeyPolicy, SessionKey, Transport
from headwater.session.limits import Limits
from headwater.session.run import Run
from headwater.session.saved import SavedTemplate
from headwater.session.state import FATAL, MALFORMED, State
from headwater.session.templates import TemplateTable
from headwater.wire.dialect import DIALECTS
from headwater.wire.templates import TemplateRecord

if TYPE_CHECKING:
    from collections import Counter

    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.datagrams import Datagrams
    from headwater.session.events import Event
    from headwater.session.peers import Peer
    from headwater.session.sequence import DomainLedger

Buffer = bytes | bytearray | memoryview | npt.NDArray[np.uint8]

_WINDOW = 64 << 20  # positions are int32, and tables grow with the octets of one pass

CHECKSUM_POLICIES = ("warn", "drop", "ignore")


class Session:
    """A Collecting Process's side of a transport session (RFC 7011 §8, §9), or of all there are of one transport.

    Datagrams may be IPFIX or NetFlow v1, v5, v7, v8 or v9, in any mixture; streams and files are IPFIX.
    A Message is taken whole or not at all: a malformed one changes nothing but counters. With `salvage` its whole
    Sets and records before the fault are kept. Faults are events; with `strict` the first that costs octets is
    raised as DecodeError instead. Nothing else is ever raised for the sake of what a peer sends.

    registry: names and types (default: IANA). transport: "udp", "dtls", "sctp", "tcp", "tls" or "file"; decides
    framing and Template rules. limits: bounds on memory. key: who the session is with; copied into events.
    policy: what tells the exporters of `receive_datagrams` apart.
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
        key: SessionKey | None = None,
        policy: KeyPolicy | None = None,
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
        table = TemplateTable(registries.IANA if registry is None else registry, limits, policy or KeyPolicy())
        self._state = State(table, limits, self.transport, salvage, checksum, HeldSets(limits))
        self._keys = (key,)
        self._pending = b""
        self._offset = 0
        self._loss: Loss | None = None
        self._is_lost = False
        self._next_expiry = 0.0

    @property
    def registry(self) -> Registry:
        """Names and types in force, with what type information records have taught (RFC 5610)."""
        registry = self._state.table.peers.registry
        taught = [peer.registry for peer in self._state.table.peers.all.values() if peer.learned]
        if len(taught) == 1:
            return taught[0]
        return registry.extend(e for one in taught[::-1] for e in one if e.key not in registry) if taught else registry

    @property
    def counters(self) -> Counter[str]:
        """Counts by name: messages, records, templates, … and every FaultKind seen."""
        return self._state.counters

    @property
    def ledgers(self) -> list[DomainLedger]:
        """The loss ledger of each Observation Domain of each exporter."""
        return [ledger for domain in self._state.table.by_index.values() for ledger in domain.ledgers]

    @property
    def ledger(self) -> Mapping[int, DomainLedger]:
        """The loss ledger of each Observation Domain, where all Messages are of one exporter and protocol."""
        found: dict[int, DomainLedger] = {}
        for ledger in self.ledgers:
            found.setdefault(ledger.domain, ledger)
        return found

    @property
    def details(self) -> Mapping[str, Any]:
        """What option records told of the whole session: time window, exporter, … (RFC 5655 §8.1.2-3)."""
        return self._state.details

    @property
    def offset(self) -> int:
        """Octets consumed so far: absolute offset of what comes next."""
        return self._offset

    def templates(self, domain: int, key: SessionKey | None = None, version: int = 10) -> Mapping[int, Template]:
        """Templates in force in an Observation Domain, by id. key: of the exporter, None = that of this Session."""
        peer = self._state.table.peers.of(DIALECTS[version], self._keys[0] if key is None else key)
        found = peer.domains.get(domain) if peer is not None else None
        return {id: known.template for id, known in found.known.items()} if found else {}

    def registry_of(self, key: SessionKey | None = None, version: int = 10) -> Registry:
        """Names and types in force for one exporter, with what it taught (RFC 5610). key, version: as for templates."""
        peer = self._state.table.peers.find(DIALECTS[version], self._keys[0] if key is None else key)
        return self._state.table.peers.registry if peer is None else peer.registry

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
        starts = np.zeros_like(stops)
        starts[1:] = stops[:-1]
        received = np.full(len(stops), round(now * 1e9)) if now else None
        return self._take(buf, starts, stops, now, self._keys, None, starts + np.int64(self._offset), received)

    def receive_datagrams(self, datagrams: Datagrams, *, now: float = 0.0) -> Iterator[Event]:
        """Events of datagrams of any number of exporters, which are taken in before this returns.

        Over TCP and TLS a datagram is a run of whole Messages of one connection, which whoever received them has cut.
        now: seconds, any epoch; ages Templates.
        """
        if self.transport is Transport.FILE:
            raise HeadwaterError("a file has no datagrams")
        given = datagrams
        return self._take(
            given.buffer,
            given.start,
            given.end,
            now,
            given.keys,
            given.peer,
            given.offset,
            given.received,
            given.stream,
        )

    def _take(
        self,
        buf: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int32],
        ends: npt.NDArray[np.int32],
        now: float,
        keys: Sequence[SessionKey | None],
        peer: npt.NDArray[np.int32] | None,
        offset: npt.NDArray[np.int64],
        received: npt.NDArray[np.int64] | None,
        stream: npt.NDArray[np.int32] | None = None,
    ) -> Iterator[Event]:
        if not len(starts):
            return iter(())
        self._state.counters["datagrams"] += len(starts)
        events = self._begin(now)
        frames = frame_datagrams(buf, starts, ends, peer, salvage=self._state.salvage)
        self._consume(int((ends - starts).sum()))
        at = frames.datagram
        assert at is not None
        arrivals = Arrivals(
            offset[at] + (frames.start - starts[at]),
            keys,
            None if peer is None else peer[at],
            None if received is None else received[at],
            None if stream is None else stream[at],
        )
        events += self._run(buf, frames, arrivals, now)
        troubles = []
        for trouble in sorted(frames.troubles, key=attrgetter("datagram", "at")):
            i = trouble.datagram
            where = int(offset[i]) + trouble.at - int(starts[i])
            troubles.append(self._trouble(where, trouble, keys[0 if peer is None else int(peer[i])]))
        return self._answer(_merge(events, troubles))

    def read(self, data: Buffer, *, final: bool = False, now: float = 0.0) -> tuple[Iterator[Event], int]:
        """Like receive for streams, but keeps nothing back: (events, octets consumed).

        The caller presents the rest again, with what follows it. So a file can be read through a memory map
        without a copy. final: nothing will follow; a torn tail is then a fault.
        """
        events, consumed = self._read(_octets(data), final=final, now=now)
        return self._answer(events), consumed

    def snapshot(self) -> list[SavedTemplate]:
        """The Templates in force, for a Collecting Process that starts again."""
        return [
            SavedTemplate(
                domain.peer.dialect.version,
                domain.peer.key,
                domain.id,
                id,
                known.record.scope_count,
                known.record.specifiers,
                domain.seen[id],
            )
            for domain in self._state.table.by_index.values()
            for id, known in domain.known.items()
            if id in domain.seen
        ]

    def restore(self, templates: Iterable[SavedTemplate]) -> int:
        """Take over Templates of a snapshot, as far as the limits allow; returns how many.

        They are what would be known had their Messages been received. What is known already stays.
        """
        table, count = self._state.table, 0
        for saved in templates:
            dialect = DIALECTS.get(saved.version)
            peer = None if dialect is None or not dialect.has_sets else table.peers.of(dialect, saved.key)
            if peer is None:
                continue
            domain = table.domain(peer, saved.domain)
            peer.heard = max(peer.heard, saved.seen)
            known = table.intern(peer, TemplateRecord(saved.id, saved.scope_count, saved.specifiers, 0))
            if saved.id not in domain.known and table.put(domain, known, saved.seen):
                count += 1
                if known.teaches_types:
                    self._state.teachers.add((domain.index, saved.id))
        return count

    @property
    def num_exporters(self) -> int:
        """Exporters it has something in mind of; `Limits.sessions` bounds it."""
        return len(self._state.table.peers.all)

    def count_anew(self, octets: int) -> None:
        """Another source follows, in which offsets begin at 0 again; the one that has ended had so many octets.

        What waits for its Template has offsets below 0 then.
        """
        self._state.held.move(octets)

    def forget(self, keys: Collection[SessionKey]) -> tuple[list[DomainLedger], Iterator[Event]]:
        """Transport sessions have ended: their Templates are forgotten (RFC 7011 §8).

        Returns their ledgers, in which nothing will be counted any more, and what there is to tell.
        """
        peers = self._state.table.peers
        found = dict.fromkeys(peers.find(dialect, key) for dialect in DIALECTS.values() for key in keys)
        return self._forget(one for one in found if one is not None and one.key in keys)

    def forget_idle(self, before: float, keep: int | None = None) -> tuple[list[DomainLedger], Iterator[Event]]:
        """Forget exporters that were not heard of since `before`, by the clock of `now`; as `forget`.

        keep: of the rest, at most so many, those heard of last.
        """
        ranked = sorted(self._state.table.peers.all.values(), key=attrgetter("heard"), reverse=True)
        return self._forget(p for i, p in enumerate(ranked) if p.heard < before or (keep is not None and i >= keep))

    def _forget(self, peers: Iterable[Peer]) -> tuple[list[DomainLedger], Iterator[Event]]:
        gone, state = list(peers), self._state
        if not gone:
            return [], iter(())
        if any(peer.learned for peer in gone):
            state.taught.clear()  # it is by the peer's index, which another one will get
        domains = state.table.forget(gone)
        indices = {domain.index for domain in domains}
        state.teachers = {teacher for teacher in state.teachers if teacher[0] not in indices}
        at = state.held.oldest_at if len(state.held) else 0
        dropped = state.held.drop(indices)
        events: list[Event] = []
        if dropped:
            events.append(self._fault(FaultKind.HELD_DROPPED, at, dropped, "their transport session has ended"))
        return [ledger for domain in domains for ledger in domain.ledgers], self._answer(events)

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
        """Events of Messages of a stream."""
        events = self._begin(now)
        base = self._offset
        self._consume(frames.consumed)
        events += self._run(buf, frames, Arrivals(frames.start + np.int64(base), self._keys), now)
        return _merge(events, [self._trouble(base + trouble.at, trouble, self._keys[0]) for trouble in frames.troubles])

    def _begin(self, now: float) -> list[Event]:
        """Things that time brings."""
        if now < self._next_expiry:
            return []
        self._next_expiry = now + 1.0
        return self._expire(now)

    def _run(self, buf: npt.NDArray[np.uint8], frames: Frames, arrivals: Arrivals, now: float) -> list[Event]:
        return Run(self._state, buf, frames, arrivals, now).events() if len(frames.start) else []

    def _trouble(self, offset: int, trouble: Trouble, key: SessionKey | None) -> Fault:
        if trouble.kind in MALFORMED and trouble.is_message:
            self._state.counters["messages_malformed"] += 1
        return self._fault(trouble.kind, offset, trouble.number, trouble.detail, trouble.domain, key)

    def _expire(self, now: float) -> list[Event]:
        state = self._state
        events: list[Event] = []
        if self.transport.is_unreliable:
            for domain, known in state.table.expire(now):
                state.teachers.discard((domain.index, known.template.id))
                detail = f"Template {known.template.id} was not sent again in time"
                kind = FaultKind.TEMPLATE_EXPIRED
                events.append(self._fault(kind, self._offset, 1, detail, domain.id, domain.peer.key))
        at = state.held.oldest_at if len(state.held) else 0
        dropped = state.held.expire(now)
        if dropped:
            detail = "Data Sets waited too long for their Template"
            events.append(self._fault(FaultKind.HELD_DROPPED, at, dropped, detail))
        return events

    def _fault(
        self,
        kind: FaultKind,
        offset: int,
        count: int,
        detail: str,
        domain: int | None = None,
        key: SessionKey | None = None,
    ) -> Fault:
        self._state.counters[kind] += count
        return Fault(kind, offset, domain, detail, count, self._keys[0] if key is None else key)

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

    if isinstance(event, DataSets):
        return event.messages.absolute(int(event.message[0]), int(event.start[0]))
    return event.offset


def _octets(data: Buffer) -> npt.NDArray[np.uint8]:
    """Any contiguous buffer as uint8[n], without a copy."""
    return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
