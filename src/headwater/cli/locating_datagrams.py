"""One message of a capture, of a spool, or of NetFlow datagrams one after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from headwater.cli.located import Found, Target, dialect_of, domain_of, faults_of, nothing_later
from headwater.cli.locating_streams import ConnectionSearch
from headwater.errors import Fault, FaultKind
from headwater.session.datagram_framing import frame_datagrams
from headwater.session.datagrams import Datagrams
from headwater.session.key import Transport
from headwater.transport.capture import StreamPart
from headwater.transport.capture.streams import MOST_STREAMS
from headwater.transport.spool import SpoolBlock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from headwater.model.template import Template
    from headwater.process.manner import Manner
    from headwater.session.collecting import Session
    from headwater.session.key import SessionKey
    from headwater.wire.dialect import Dialect

_MOST_LISTENERS = 1 << 8
"""Of a spool; each has a session."""


class Parts(Protocol):
    """Export traffic, some of it at a time, as Capture yields it. offset: of what comes next in the source."""

    @property
    def offset(self) -> int: ...
    def __iter__(self) -> Iterator[Datagrams | StreamPart | SpoolBlock | Fault]: ...


class OneDatagram:
    """Octets that are one datagram, whatever they are."""

    offset = 0

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def __iter__(self) -> Iterator[Datagrams]:
        start, nothing = np.zeros(1, np.int32), np.zeros(1, np.int64)
        octets = np.frombuffer(self._octets, np.uint8)
        yield Datagrams(octets, start, start + np.int32(len(octets)), start, [None], nothing, nothing)


class CaptureSearch:
    """Goes through export traffic, all datagrams in one session as they came, up to the message that is wanted.

    Those of a spool go through the session of the listener that received them.
    messages: how many it has gone through, in the order of `parts`. before, behind: where the datagram before the
    wanted offset ends, and the one behind it begins, if there are such.
    """

    def __init__(self, source: str, parts: Parts, manner: Manner) -> None:
        self.messages = 0
        self.before: int | None = None
        self.behind: int | None = None
        self._source, self._parts, self._manner = source, parts, manner
        self._iterator = iter(parts)
        self._session = manner.session(Transport.UDP)
        self._streams: dict[SessionKey, ConnectionSearch] = {}
        self._sessions: dict[tuple[Transport, tuple[str, int]], Session] = {}

    def find(self, target: Target) -> Found | None:
        """The wanted message, if it is there."""
        best: Found | None = None
        for given in self._iterator:
            block = given if isinstance(given, SpoolBlock) else None
            part = self._received(given) if isinstance(given, SpoolBlock) else given
            # a datagram put together of fragments may seem to reach into packets behind it: these come first
            if best is not None and self._parts.offset > target.offset:
                self._learn(part)
                return best
            found = None
            if isinstance(part, Datagrams):
                found = self._in_datagrams(part, target)
            elif isinstance(part, StreamPart):
                found = self._in_stream(part, target)
            if found is not None and (target.number is not None or isinstance(part, StreamPart)):
                return found
            best = found or best
            if block is not None:
                self._session.forget(block.ended)
        return best or self._in_the_rest(target)

    def _later(
        self, dialect: Dialect, key: SessionKey | None, domain: int, ids: Collection[int]
    ) -> dict[int, Template]:
        """Those of the Templates that come behind what was gone through, up to the last of them."""
        session = self._session
        known = session.templates(domain, key, dialect.version)
        while not known.keys() >= set(ids):
            part = next(self._iterator, None)
            if part is None:
                break
            self._learn(self._received(part) if isinstance(part, SpoolBlock) else part)
            known = session.templates(domain, key, dialect.version)
        return {id: known[id] for id in ids if id in known}

    def _received(self, block: SpoolBlock) -> Datagrams:
        """Its datagrams, which go through their listener's session from here on."""
        lane = block.transport, block.local
        found = self._sessions.get(lane)
        if found is None:
            if len(self._sessions) >= _MOST_LISTENERS:
                del self._sessions[next(iter(self._sessions))]
            found = self._sessions[lane] = self._manner.session(block.transport)
        self._session = found
        return block.datagrams

    def _in_stream(self, part: StreamPart, target: Target) -> Found | None:
        search = self._streams.get(part.key)
        if search is None:
            if len(self._streams) >= MOST_STREAMS:
                del self._streams[next(iter(self._streams))]
            search = self._streams[part.key] = ConnectionSearch(self._source, self._manner, part.key)
        found, messages = search.take(part, target, self.messages)
        self.messages += messages
        if part.is_end:
            del self._streams[part.key]
        return found

    def _in_the_rest(self, target: Target) -> Found | None:
        for search in self._streams.values():
            found, messages = search.finish(target, self.messages)
            self.messages += messages
            if found is not None:
                return found
        return None

    def _in_datagrams(self, part: Datagrams, target: Target) -> Found | None:
        """Every datagram is a message at least; of IPFIX there may be several in it."""
        if not len(part):
            return None
        framed = frame_datagrams(part.buffer, part.start, part.end, salvage=True)
        assert framed.datagram is not None
        in_each = np.maximum(np.bincount(framed.datagram, minlength=len(part)), 1)
        last = np.cumsum(in_each) + self.messages  # number of the last message of each
        which = self._datagram(part, last, target)
        if which is None:
            self._learn(part)
            self.messages = int(last[-1])
            return None
        start, end = int(part.start[which]), int(part.end[which])
        starts = [start, *framed.start[framed.datagram == which].tolist()[1:]]
        first = int(last[which]) - len(starts) + 1
        if target.number is not None:
            ordinal = target.number - first
        else:
            position = start + target.offset - int(part.offset[which])
            ordinal = sum(begin <= position for begin in starts) - 1
        self._learn(_rows(part, slice(which)))
        if ordinal:
            self._learn(_cut(part, which, start, starts[ordinal]))
        stop = starts[ordinal + 1] if ordinal + 1 < len(starts) else end
        found = self._found(_cut(part, which, starts[ordinal], stop), first + ordinal)
        if stop < end:
            self._learn(_cut(part, which, stop, end))
        self._learn(_rows(part, slice(which + 1, None)))
        self.messages = int(last[-1])
        return found

    def _datagram(self, part: Datagrams, last: npt.NDArray[np.int64], target: Target) -> int | None:
        """Which of the datagrams has the message. last: number of the last message of each."""
        if target.number is not None:
            which = int(np.searchsorted(last, target.number))
            return which if which < len(part) else None
        offset, end = target.offset, part.offset + (part.end - part.start)
        holds = np.flatnonzero((part.offset <= offset) & (offset < end))
        if len(holds):
            return int(holds[np.argmax(part.offset[holds])])
        if (end <= offset).any():
            self.before = int(end[end <= offset].max())
        if self.behind is None and (part.offset > offset).any():
            self.behind = int(part.offset[part.offset > offset].min())
        return None

    def _learn(self, part: Datagrams | StreamPart | Fault) -> None:
        if isinstance(part, Datagrams) and len(part):
            self._session.receive_datagrams(part, now=int(part.received[-1]) / 1e9)

    def _found(self, one: Datagrams, number: int) -> Found:
        session, at, key = self._session, int(one.offset[0]), one.keys[int(one.peer[0])]
        received = int(one.received[0])
        octets = one.buffer[int(one.start[0]) : int(one.end[0])].tobytes()
        dialect = dialect_of(octets)
        templates, known, later = {}, session.registry, nothing_later
        if dialect is not None:
            domain = domain_of(dialect, octets)
            templates = dict(session.templates(domain, key, dialect.version))
            known = session.registry_of(key, dialect.version)
            later = partial(self._later, dialect, key, domain)
        faults = tuple(faults_of(session.receive_datagrams(one, now=received / 1e9), dialect, at, len(octets)))
        if any(fault.kind is FaultKind.EXPORTER_RESTART for fault in faults):  # Templates do not outlive it
            templates.clear()
        return Found(
            self._source,
            number,
            at,
            octets,
            templates,
            known,
            faults,
            key=key,
            received=received,
            has_withdrawals=not session.transport.is_unreliable,
            later=later,
        )


def _rows(part: Datagrams, rows: slice) -> Datagrams:
    """Some of the datagrams."""
    names = ("start", "end", "peer", "offset", "received", *(() if part.stream is None else ("stream",)))
    return replace(part, **{name: getattr(part, name)[rows] for name in names})


def _cut(part: Datagrams, which: int, start: int, end: int) -> Datagrams:
    """The octets start..end of the buffer, which are in one of the datagrams, as a datagram."""
    one = _rows(part, slice(which, which + 1))
    moved = start - int(one.start[0])
    return replace(one, start=one.start + np.int32(moved), end=one.end * 0 + np.int32(end), offset=one.offset + moved)
