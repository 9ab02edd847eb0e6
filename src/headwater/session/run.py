"""One pass over the Messages of one buffer: Sets, Templates in order, data grouped by Template, sequence numbers."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import Fault, FaultKind
from headwater.session.data import DataPass, by_key
from headwater.session.events import Event, Messages
from headwater.session.learning import Learning
from headwater.session.sequence import RECENT
from headwater.session.state import MALFORMED
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX, SET_HEADER

if TYPE_CHECKING:
    from headwater.session.framing import Frames
    from headwater.session.state import State
    from headwater.session.templates import Domain

_HEADER_PLAN = np.array([(0, at, 4, 0) for at in (IPFIX.export_time, IPFIX.sequence, IPFIX.domain)], np.int32)
_HEADER_TYPES = [np.dtype("u4")] * 3

_LAST_SECOND = (1 << 32) - 1

BEFORE_SETS = -1
"""Ordinal of events about a Message as a whole: before its first Set."""


class Run:
    """Tables of one buffer, shared by the steps of the pass; arrays over m Messages or s Sets.

    message: int32[s], Message of each Set. tag: uint16[s], Set ID. start, end: int32[s], Set bodies.
    low: intp[n], the Sets that are no Data Sets.
    bad: bool[m], Messages that are discarded. domains: per distinct domain; domain_of: [m], index into it.
    records: int32[s], Data Records counted in a Set; undecodable: bool[s].
    """

    def __init__(self, state: State, buf: npt.NDArray[np.uint8], base: int, frames: Frames, now: float) -> None:
        self.state, self.buf, self.base, self.now = state, buf, base, now
        self.frames = frames
        export, sequence, domain = kernel.columns(buf, frames.start[None], _HEADER_PLAN, _HEADER_TYPES)
        self.messages = Messages(frames.start + np.int64(base), export, sequence, domain)
        self.bad = np.zeros(len(export), np.bool_)
        self._is_counted = np.zeros(len(export), np.bool_)
        self._events: list[tuple[int, int, Event]] = []
        self._find_domains()
        for message in np.searchsorted(frames.start, frames.torn).tolist():
            self._is_counted[message] = True
            self.domain_at(message).ledger.malformed += 1
        self._frame_sets()

    def events(self) -> list[Event]:
        """Do the pass; what it found, in the order of the wire."""
        counters = self.state.counters
        counters["messages"] += len(self.messages)
        self._check_times()
        learned = Learning(self).learn()
        DataPass(self, learned).group()
        self._check_sequences()
        self._events.sort(key=itemgetter(0, 1))
        return [event for _, _, event in self._events]

    def tell(self, message: int, ordinal: int, event: Event) -> None:
        """Add an event at a Set's ordinal (or BEFORE_SETS) of a Message."""
        self._events.append((message, ordinal, event))

    def fault(self, kind: FaultKind, message: int, ordinal: int, at: int, detail: str = "", *, count: int = 1) -> None:
        """Add and count a fault at buffer position `at`; one that makes the Message malformed discards it."""
        if kind in MALFORMED:
            if not self.state.salvage:
                if self.bad[message]:
                    return
                self.bad[message] = True
                ordinal = BEFORE_SETS
            if not self._is_counted[message]:  # with salvage one Message can have several such faults
                self._is_counted[message] = True
                self.state.counters["messages_malformed"] += 1
                self.domain_at(message).ledger.malformed += 1
        domain = int(self.messages.domain[message])
        self.report(kind, message, ordinal, self.base + at, domain, detail, count=count)

    def report(
        self, kind: FaultKind, message: int, ordinal: int, offset: int, domain: int, detail: str, *, count: int = 1
    ) -> None:
        """Add and count a fault at an absolute offset, whatever it means for the Message."""
        self.state.counters[kind] += count
        self.tell(message, ordinal, Fault(kind, offset, domain, detail, count, self.state.key))

    def domain_at(self, message: int) -> Domain:
        """The Observation Domain of a Message."""
        return self.domains[int(self.domain_of[message])]

    def body(self, ordinal: int) -> bytes:
        """Octets of a Set's body."""
        return self.buf[self.start[ordinal] : self.end[ordinal]].tobytes()

    def _find_domains(self) -> None:
        ids = self.messages.domain
        if len(ids) and (ids == ids[0]).all():
            self.domains = [self.state.table.domain(int(ids[0]))]
            self.domain_of = np.zeros(len(ids), np.uint16)
        else:
            unique, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
            self.domain_of = inverse.astype(np.uint16 if len(unique) < 1 << 16 else np.intp)
            for message in np.sort(first).tolist():  # those that come first are within the limit of domains
                self.state.table.domain(int(ids[message]))
            self.domains = [self.state.table.domain(id) for id in unique.tolist()]

    def _frame_sets(self) -> None:
        frames = self.frames
        self.message, self.tag, self.start, self.end, rest = kernel.chain(self.buf, frames.body, frames.end, SET_HEADER)
        for m in np.flatnonzero((rest != frames.end) & ~self._is_counted).tolist():  # torn Messages are told already
            at, left = int(rest[m]), int(frames.end[m] - rest[m])
            last = int(np.searchsorted(self.message, m, "right"))
            if left < SET_HEADER:
                self.fault(FaultKind.TRAILING_SET_HEADER, m, last, at, f"{left} octets after the last Set")
                continue
            length = int(self.buf[at + 2]) << 8 | int(self.buf[at + 3])
            kind = FaultKind.SET_LENGTH if length < SET_HEADER else FaultKind.SET_OVERRUN
            self.fault(kind, m, last, at, f"Set length {length}, {left} octets left in the Message")
        self.low = np.flatnonzero(self.tag < FIRST_DATA_SET)
        self.records = np.zeros(len(self.tag), np.int32)
        self.undecodable = np.zeros(len(self.tag), np.bool_)

    def _check_times(self) -> None:
        times = self.messages.export_time
        if times.min() == 0 or times.max() == _LAST_SECOND:
            odd = np.flatnonzero((times == 0) | (times == _LAST_SECOND))
            m = int(odd[0])
            detail = f"Export Time {int(times[m])}"
            self.fault(FaultKind.TIME_SUSPECT, m, BEFORE_SETS, int(self.frames.start[m]), detail, count=len(odd))

    def _check_sequences(self) -> None:
        count = np.bincount(self.message, self.records, len(self.bad)).astype(np.uint32)
        unsure = np.zeros(len(self.bad), np.bool_)
        if self.undecodable.any():
            unsure[self.message[self.undecodable]] = True
        if len(self.domains) == 1 and not self.bad.any():
            self._check_sequence(self.domains[0], np.arange(len(count)), count, unsure)
            return
        good = np.flatnonzero(~self.bad)
        for index, mine in by_key(self.domain_of[good], good):
            self._check_sequence(self.domains[index], mine, count[mine], unsure[mine])

    def _check_sequence(
        self, domain: Domain, mine: npt.NDArray[np.intp], count: npt.NDArray[np.uint32], unsure: npt.NDArray[np.bool_]
    ) -> None:
        """Observe one Message where numbers break or cannot be counted on, and pass over the clean runs between."""
        if domain.index < 0:  # those beyond the limit of domains are not accounted for
            return
        ledger = domain.ledger
        everything = len(mine) == len(self.messages)
        sequence = self.messages.sequence if everything else self.messages.sequence[mine]
        stamp = self.messages.export_time if everything else self.messages.export_time[mine]
        self.state.counters["records"] += int(count.sum())
        after = sequence + count  # wraps at 2^32, as sequence numbers do
        is_break = np.ones(len(mine) + 1, np.bool_)
        is_break[1:-1] = (sequence[1:] != after[:-1]) | unsure[1:] | unsure[:-1]
        breaks = np.flatnonzero(is_break).tolist()
        for first, stop in pairwise(breaks):
            self._observe(domain, mine, sequence, count, unsure, first)
            clean = first + 1
            while clean < stop and not (ledger.is_certain and ledger.expected == sequence[clean]):
                self._observe(domain, mine, sequence, count, unsure, clean)
                clean += 1
            if clean < stop:
                last = slice(max(clean, stop - RECENT), stop)
                recent = zip(sequence[last].tolist(), count[last].tolist(), stamp[last].tolist(), strict=True)
                records = int(count[clean:stop].sum())
                ledger.skip_to(int(after[stop - 1]), messages=stop - clean, records=records, recent=recent)

    def _observe(
        self,
        domain: Domain,
        mine: npt.NDArray[np.intp],
        sequence: npt.NDArray[np.uint32],
        count: npt.NDArray[np.uint32],
        unsure: npt.NDArray[np.bool_],
        i: int,
    ) -> None:
        m = int(mine[i])
        event = domain.ledger.observe(
            int(sequence[i]),
            int(count[i]),
            certain=not unsure[i],
            stamp=int(self.messages.export_time[m]),
            offset=int(self.messages.offset[m]),
        )
        if event is not None:
            kind = event.kind if isinstance(event, Fault) else FaultKind.SEQUENCE_GAP
            self.state.counters[kind] += 1
            self.tell(m, BEFORE_SETS, event)
