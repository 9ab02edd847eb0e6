"""Octets of one source through sessions: of a file through one, of a capture through those of its exporters.

Of a spool each listener's go through a session of their own, as when they were received.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from headwater.errors import Fault
from headwater.model import registry as registries
from headwater.process.source_report import CaptureCounts
from headwater.process.stream_places import StreamPlaces
from headwater.session.datagrams import Datagrams
from headwater.session.events import SequenceGap, TemplateLearned
from headwater.session.key import Transport
from headwater.session.sequence import DomainLedger
from headwater.transport import Content
from headwater.transport.capture import Capture
from headwater.transport.datagram_file import DatagramFile
from headwater.transport.spool import Spool
from headwater.transport.spool_joining import joined

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.process.manner import Manner
    from headwater.session.collecting import Session
    from headwater.session.events import Event
    from headwater.session.key import SessionKey
    from headwater.session.saved import SavedTemplate
    from headwater.transport import Windows
    from headwater.transport.capture import StreamPart
    from headwater.transport.spool import SpoolBlock

Lane = tuple[bytes, Transport, tuple[str, int]]
"""A listener of a Collecting Process: which run of it, the transport, and the address and port."""
_MOST_STREAMS = 1 << 12
_MOST_LANES = 1 << 8
_LEDGERS_KEPT = 1 << 12
"""Of connections that have ended; more are added up in one, which has no key."""
_PACKETS = (
    "packets", "datagrams", "reassembled", "tcp_segments", "ignored", "other", "truncated", "damaged", "fragments",
    "fragments_dropped", "stream_octets_lost",
)  # fmt: skip


class Feed(Protocol):
    """What comes out of a source. octets: how many of it were consumed, decompressed."""

    @property
    def octets(self) -> int: ...
    @property
    def is_over(self) -> bool:
        """Whether there was more than `max_octets`."""

    def events(self) -> Iterator[Iterable[Event]]:
        """What the sessions tell, some octets at a time; the caller can stop between."""

    def close(self) -> Iterator[Event]:
        """What is told at the end."""

    @property
    def counters(self) -> Counter[str]: ...
    @property
    def ledgers(self) -> list[DomainLedger]: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def sessions(self) -> list[Session]: ...
    @property
    def elements(self) -> list[InformationElement]:
        """Elements that it describes itself and the registry lacks (RFC 5610)."""

    @property
    def capture(self) -> CaptureCounts | None:
        """What was counted of the packets of a capture."""


class FileFeed:
    """A file or stream of IPFIX: one transport session (RFC 5655 §7.1)."""

    def __init__(self, windows: Windows, manner: Manner) -> None:
        self.session = manner.session(Transport.FILE)
        self.is_over = False
        self._windows, self._manner, self._most = windows, manner, manner.max_octets

    @property
    def octets(self) -> int:
        return self.session.offset

    @property
    def counters(self) -> Counter[str]:
        return self.session.counters

    @property
    def ledgers(self) -> list[DomainLedger]:
        return self.session.ledgers

    @property
    def details(self) -> Mapping[str, Any]:
        return self.session.details

    @property
    def sessions(self) -> list[Session]:
        return [self.session]

    @property
    def elements(self) -> list[InformationElement]:
        return _learned(self.session, self._manner)

    @property
    def capture(self) -> CaptureCounts | None:
        return None

    def events(self) -> Iterator[Iterable[Event]]:
        consumed, is_last = 0, False
        while not is_last:
            window, is_last = self._windows.next(consumed)
            if self._most is not None and self.session.offset + len(window) > self._most:
                window, is_last, self.is_over = window[: self._most - self.session.offset], False, True
            events, consumed = self.session.read(window, final=is_last)
            yield events
            if self.is_over:
                return

    def close(self) -> Iterator[Event]:
        return self.session.close()


class CaptureFeed:
    """The export traffic of a capture: all datagrams through one Session, each TCP stream through its own."""

    def __init__(self, capture: Capture | DatagramFile, manner: Manner) -> None:
        self._capture = capture
        self.datagrams = manner.session(Transport.UDP)
        self.is_over = False
        self._manner = manner
        self._streams: dict[SessionKey, Session] = {}
        self._places: dict[SessionKey, StreamPlaces] = {}
        self._ended: Counter[str] = Counter()
        self._ended_ledgers = _EndedLedgers()
        self._ended_elements: dict[tuple[int, int], InformationElement] = {}

    @property
    def octets(self) -> int:
        return self._capture.offset

    @property
    def counters(self) -> Counter[str]:
        return sum((session.counters for session in self.sessions), self._ended)

    @property
    def ledgers(self) -> list[DomainLedger]:
        return [*self._ended_ledgers.all, *(ledger for session in self.sessions for ledger in session.ledgers)]

    @property
    def details(self) -> Mapping[str, Any]:
        return self.datagrams.details

    @property
    def sessions(self) -> list[Session]:
        return [self.datagrams, *self._streams.values()]

    @property
    def elements(self) -> list[InformationElement]:
        living = {element.key: element for session in self.sessions for element in _learned(session, self._manner)}
        return list((self._ended_elements | living).values())

    @property
    def capture(self) -> CaptureCounts | None:
        if isinstance(self._capture, DatagramFile):
            return None
        packets = {name: getattr(self._capture, name) for name in _PACKETS}
        return CaptureCounts(self._capture.format, packets, self._capture.ignored_ports, self._capture.links)

    def events(self) -> Iterator[Iterable[Event]]:
        most = self._manner.max_octets
        for part in self._capture:
            if isinstance(part, Datagrams):
                now = int(part.received[-1]) / 1e9 if len(part) else 0.0
                yield self.datagrams.receive_datagrams(part, now=now)
            elif isinstance(part, Fault):
                yield [part]
            else:
                yield self._take_stream(part)
            if most is not None and self._capture.offset > most:
                break
        self.is_over = most is not None and self._capture.offset > most

    def close(self) -> Iterator[Event]:
        for key in list(self._streams):
            yield from self._end(key)
        yield from self.datagrams.close()

    def _take_stream(self, part: StreamPart) -> Iterator[Event]:
        session = self._streams.get(part.key)
        known: list[SavedTemplate] = []
        if session is not None and part.lost:  # the framing is lost with these octets, but not the Templates
            known = session.snapshot()
            yield from self._end(part.key)
            session = None
        if session is None:
            if len(self._streams) >= _MOST_STREAMS:
                yield from self._end(next(iter(self._streams)))
            manner = replace(self._manner, resync=True) if part.lost else self._manner
            session = self._streams[part.key] = manner.session(Transport.TCP, part.key)
            self._places[part.key] = StreamPlaces()
            session.restore(known)
        self._places[part.key].add(part)
        yield from self._placed(part.key, session.receive(part.octets, now=part.received / 1e9))
        if part.is_end:
            yield from self._end(part.key)

    def _end(self, key: SessionKey) -> Iterator[Event]:
        session = self._streams.pop(key)
        yield from self._placed(key, session.close())
        del self._places[key]
        self._ended.update(session.counters)
        self._ended_ledgers.take(session.ledgers)
        self._ended_elements |= {element.key: element for element in _learned(session, self._manner)}

    def _placed(self, key: SessionKey, events: Iterable[Event]) -> Iterator[Event]:
        """Faults and gaps with the offset in the capture; sessions count the octets of their stream."""
        places = self._places[key]
        for event in events:
            if isinstance(event, Fault | SequenceGap | TemplateLearned):
                yield replace(event, offset=places.offset(event.offset))
            else:
                yield event


class SpoolFeed:
    """What a Collecting Process received, through the sessions that it had: one for each listener.

    sessions_by_lane: they go on in the next spool, if whoever reads it calls `go_on` with them; `is_kept` says that
    they will. What was counted before is left out of what this feed tells; of a unit that was missed in an earlier
    spool and came late in this one, `lost` is negative, and so is the offset of what waited there for a Template.
    """

    def __init__(self, spool: Spool, manner: Manner) -> None:
        self.sessions_by_lane: dict[Lane, Session] = {}
        self.is_kept = self.is_over = False
        self.details: dict[str, Any] = {}
        self._spool, self._manner = spool, manner
        self._known: list[SavedTemplate] = []
        self._ended_ledgers = _EndedLedgers()
        self._ended: Counter[str] = Counter()
        self._counted: Counter[str] = Counter()
        self._accounts: dict[int, tuple[DomainLedger, DomainLedger]] = {}

    def go_on(self, sessions: Mapping[Lane, Session]) -> None:
        """Begin with sessions of the spool before."""
        self.sessions_by_lane = dict(sessions)
        self._counted = sum((session.counters for session in self.sessions), Counter[str]())
        self._accounts = {id(one): (one, replace(one)) for session in self.sessions for one in session.ledgers}

    def restore(self, templates: Iterable[SavedTemplate]) -> None:
        """Templates that exporters sent over UDP before, as `Session.restore` takes them."""
        self._known = list(templates)

    @property
    def octets(self) -> int:
        return self._spool.offset

    @property
    def counters(self) -> Counter[str]:
        counters = sum((session.counters for session in self.sessions), self._ended.copy())
        counters.subtract(self._counted)
        return counters

    @property
    def ledgers(self) -> list[DomainLedger]:
        living = [ledger for session in self.sessions for ledger in session.ledgers]
        return [self._since(ledger) for ledger in living] + self._ended_ledgers.all

    @property
    def sessions(self) -> list[Session]:
        return list(self.sessions_by_lane.values())

    @property
    def elements(self) -> list[InformationElement]:
        found = {element.key: element for session in self.sessions for element in _learned(session, self._manner)}
        return list(found.values())

    @property
    def capture(self) -> CaptureCounts | None:
        return CaptureCounts("spool", dict(self._spool.counters), {}, {})

    def events(self) -> Iterator[Iterable[Event]]:
        most = self._manner.max_octets
        for part in joined(self._spool):
            self.is_over = most is not None and self._spool.offset > most
            yield [part] if isinstance(part, Fault) else self._take(part)
            if self.is_over:
                return

    def close(self) -> Iterator[Event]:
        if not self.is_kept:
            for session in self.sessions:
                yield from session.close()

    def _take(self, block: SpoolBlock) -> Iterator[Event]:
        lane = block.run, block.transport, block.local
        session = self.sessions_by_lane.get(lane)
        if session is None:
            if len(self.sessions_by_lane) >= _MOST_LANES:
                yield from self._end(next(iter(self.sessions_by_lane)))
            session = self._manner.session(block.transport)
            if block.transport is Transport.UDP:
                session.restore(self._known)
                for other, before in self.sessions_by_lane.items():
                    if other[1:] == lane[1:]:  # it had its state from there
                        session.restore(before.snapshot())
            self.sessions_by_lane[lane] = session
        received = block.datagrams.received
        yield from session.receive_datagrams(block.datagrams, now=int(received[0]) / 1e9 if len(received) else 0.0)
        yield from block.faults
        if block.ended:
            ledgers, events = session.forget(block.ended)
            self._ended_ledgers.take(map(self._since, ledgers))
            yield from events
        self.details.update(session.details)

    def _end(self, lane: Lane) -> Iterator[Event]:
        session = self.sessions_by_lane.pop(lane)
        yield from session.close()
        self._ended.update(session.counters)
        self._ended_ledgers.take(map(self._since, session.ledgers))

    def _since(self, ledger: DomainLedger) -> DomainLedger:
        """What was counted in this spool so far."""
        account = self._accounts.get(id(ledger))
        return replace(ledger) if account is None else ledger.since(account[1])


class _EndedLedgers:
    """Of transport sessions that have ended: the first ones, and all others added up in one, which has no key."""

    def __init__(self) -> None:
        self._first: list[DomainLedger] = []
        self._others = DomainLedger(0)

    @property
    def all(self) -> list[DomainLedger]:
        return [*self._first, self._others] if self._others.messages else list(self._first)

    def take(self, ledgers: Iterable[DomainLedger]) -> None:
        for ledger in ledgers:
            if len(self._first) < _LEDGERS_KEPT:
                self._first.append(ledger)
            else:
                self._others.absorb(ledger)


def _learned(session: Session, manner: Manner) -> list[InformationElement]:
    if not session.counters["elements_learned"]:
        return []
    known = registries.IANA if manner.registry is None else manner.registry
    return [element for element in session.registry if element.key not in known]


def feed_of(windows: Windows, manner: Manner, capture: type[CaptureFeed] = CaptureFeed) -> Feed:
    """The feed for what the source holds. capture: that of packets."""
    match windows.content:
        case Content.CAPTURE:
            return capture(Capture(windows, ports=manner.ports), manner)
        case Content.NETFLOW:
            return CaptureFeed(DatagramFile(windows), manner)
        case Content.SPOOL:
            return SpoolFeed(Spool(windows), manner)
        case _:
            return FileFeed(windows, manner)
