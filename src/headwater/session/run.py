"""One pass over the Messages of one buffer: Sets, Templates in order, data grouped by Template, sequence numbers."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import Fault, FaultKind
from headwater.session.data import DataPass
from headwater.session.events import Event, SequenceGap
from headwater.session.headers import Arrivals, read_messages
from headwater.session.learning import Learning
from headwater.session.sequence import RECENT, SUSPECT
from headwater.session.sets import HAS_SETS, frame_sets
from headwater.session.state import MALFORMED
from headwater.wire.dialect import DIALECTS, FIRST_DATA_SET, IPFIX, NETFLOW9, SET_HEADER

if TYPE_CHECKING:
    from headwater.session.framing import Frames
    from headwater.session.sequence import DomainLedger
    from headwater.session.state import State
    from headwater.session.templates import Domain

Indices = npt.NDArray[np.intp]
U32 = npt.NDArray[np.uint32]

_COUNT_PLAN = np.array([(0, 2, 2, 0)], np.int32)
_COUNT_TYPE = [np.dtype("u2")]
_LAST_SECOND = (1 << 32) - 1
_SECOND_NS = 1_000_000_000

_MANY_BREAKS = 128
"""Of a domain in one buffer: when there are more, gaps are not told one by one."""
_GAPS_TOLD = 100
_WRAP = 1 << 32

BEFORE_SETS = -1
"""Ordinal of events about a Message as a whole: before its first Set."""


class Run:
    """Tables of one buffer, shared by the steps of the pass; arrays over m Messages or s Sets.

    message: int32[s], Message of each Set. tag: uint16[s], Set ID, that of IPFIX where NetFlow has another for the
    same; the id of the Template for records without Sets. start, end: int32[s], Set bodies.
    low: intp[n], the Sets that are no Data Sets.
    bad: bool[m], Messages that are discarded. domains: per distinct domain; domain_of: [m], index into it.
    records: int32[s], Data Records counted in a Set; undecodable: bool[s]. defined: int32[s], template records in it.
    """

    def __init__(
        self, state: State, buf: npt.NDArray[np.uint8], frames: Frames, arrivals: Arrivals, now: float
    ) -> None:
        self.state, self.buf, self.now = state, buf, now
        self.frames = frames
        self.messages = read_messages(buf, frames, arrivals)
        self._stream = arrivals.stream
        self.is_ipfix = frames.version is None
        self.bad = np.zeros(len(frames.start), np.bool_)
        self._is_counted = np.zeros(len(frames.start), np.bool_)
        self._events: list[tuple[int, int, Event]] = []
        self._find_domains()
        for at in frames.torn:
            message = int(np.flatnonzero(frames.start == at)[0])
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
        if not self.is_ipfix:
            self._check_counts()
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
        self.report(kind, message, ordinal, self.messages.absolute(message, at), detail, count=count)

    def report(self, kind: FaultKind, message: int, ordinal: int, offset: int, detail: str, *, count: int = 1) -> None:
        """Add and count a fault at an absolute offset, whatever it means for the Message."""
        self.state.counters[kind] += count
        domain, key = int(self.messages.domain[message]), self.messages.key(message)
        self.tell(message, ordinal, Fault(kind, offset, domain, detail, count, key))

    def data_sets(self) -> npt.NDArray[np.intp]:
        """The Data Sets, ascending."""
        if not len(self.low):
            return np.arange(len(self.tag))
        is_data = np.ones(len(self.tag), np.bool_)
        is_data[self.low] = False
        return np.flatnonzero(is_data)

    def written_ids(self, sets: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        """The Set IDs as they stand on the wire."""
        at = self.start[sets] - SET_HEADER
        ids: npt.NDArray[np.int64] = self.buf[at].astype(np.int64) << 8 | self.buf[at + 1]
        return ids

    def domain_at(self, message: int) -> Domain:
        """The Observation Domain of a Message."""
        return self.domains[int(self.domain_of[message])]

    def body(self, ordinal: int) -> bytes:
        """Octets of a Set's body."""
        return self.buf[self.start[ordinal] : self.end[ordinal]].tobytes()

    def _find_domains(self) -> None:
        """The (exporter, Observation Domain) of each Message; both are few, and mostly the same for a whole buffer."""
        exporter = self._find_peers()
        ids = self.messages.domain
        if (ids == ids[0]).all() and (exporter == exporter[0]).all():
            self.domains = [self._domain(int(exporter[0]), int(ids[0]), 0)]
            self.domain_of = np.zeros(len(ids), np.uint16)
            return
        pair = exporter.astype(np.int64) << 32 | ids
        unique, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
        self.domain_of = inverse.astype(np.uint16 if len(unique) < 1 << 16 else np.intp)
        found: list[Domain | None] = [None] * len(unique)
        for number in np.argsort(first).tolist():  # those that come first are within the limit of domains
            m = int(first[number])
            found[number] = self._domain(int(exporter[m]), int(ids[m]), m)
        self.domains = [domain for domain in found if domain is not None]

    def _find_peers(self) -> npt.NDArray[np.int32]:
        """Index of each Message's exporter, -1 - version where there are too many."""
        table, messages = self.state.table, self.messages
        count = len(messages)
        if messages.peer is None:
            if self.is_ipfix or (messages.version == messages.version[0]).all():
                peer = table.peers.of(DIALECTS[int(messages.version[0])], messages.keys[0])
                return np.full(count, -1 if peer is None else peer.index, np.int32)
            peers = np.zeros(count, np.int32)
        else:
            peers = messages.peer
        found = np.empty(count, np.int32)
        versions = [IPFIX.version] if self.is_ipfix else np.unique(messages.version).tolist()
        for version in versions:
            mine = slice(None) if len(versions) == 1 else np.flatnonzero(messages.version == version)
            index = table.peers.of_messages(DIALECTS[version], peers[mine], messages.keys)
            found[mine] = np.where(index < 0, -1 - version, index)
        over = np.flatnonzero(found < 0)
        if len(over):
            m = int(over[0])
            detail = f"more exporters than the limit of {self.state.limits.sessions}"
            self.fault(FaultKind.SESSION_LIMIT, m, BEFORE_SETS, int(self.frames.start[m]), detail, count=len(over))
        return found

    def _domain(self, exporter: int, id: int, message: int) -> Domain:
        table = self.state.table
        if exporter < 0:
            return table.overflow(DIALECTS[int(self.messages.version[message])])
        peer = table.peers.all[exporter]
        peer.heard = self.now
        return table.domain(peer, id)

    def _frame_sets(self) -> None:
        sets, torn = frame_sets(self.buf, self.frames, self.messages.version)
        self.message, self.tag, self.start, self.end = sets
        for message, at, end in torn:
            if not self._is_counted[message]:  # torn Messages are told already
                self._tell_rest(message, at, end)
        is_low = self.tag < FIRST_DATA_SET
        if not self.is_ipfix:
            is_low &= HAS_SETS[self.messages.version[self.message]]
        self.low = np.flatnonzero(is_low)
        self.records = np.zeros(len(self.tag), np.int32)
        self.defined = np.zeros(len(self.tag), np.int32)
        self.undecodable = np.zeros(len(self.tag), np.bool_)

    def _tell_rest(self, m: int, at: int, end: int) -> None:
        """What follows the last Set that could be walked."""
        left = end - at
        last = int(np.searchsorted(self.message, self.message.dtype.type(m), "right"))
        if self.messages.version[m] == NETFLOW9.version and not self.buf[at:end].any():
            # there is no length of the Message, and exporters pad as they like (RFC 3954 §5.3)
            if left >= SET_HEADER:
                self.fault(FaultKind.TRAILING_OCTETS, m, last, at, f"{left} zero octets after the last FlowSet")
            return
        if left < SET_HEADER:
            self.fault(FaultKind.TRAILING_SET_HEADER, m, last, at, f"{left} octets after the last Set")
            return
        length = int(self.buf[at + 2]) << 8 | int(self.buf[at + 3])
        kind = FaultKind.SET_LENGTH if length < SET_HEADER else FaultKind.SET_OVERRUN
        self.fault(kind, m, last, at, f"Set length {length}, {left} octets left in the Message")

    def _check_counts(self) -> None:
        """The count in a header of NetFlow v9 is of all records; many exporters mean something else (RFC 3954 §5.1)."""
        mine = np.flatnonzero((self.messages.version == NETFLOW9.version) & ~self.bad & ~self._is_counted)
        if not len(mine):
            return
        (claimed,) = kernel.columns(self.buf, self.frames.start[mine][None], _COUNT_PLAN, _COUNT_TYPE)
        found = np.bincount(self.message, self.records + self.defined, len(self.bad))[mine]
        unsure = np.zeros(len(self.bad), np.bool_)
        unsure[self.message[self.undecodable]] = True
        wrong = mine[(claimed != found) & ~unsure[mine]]
        if len(wrong):
            m = int(wrong[0])
            first = int(np.searchsorted(mine, m))
            detail = f"count {int(claimed[first])} in the header, {int(found[first])} records and Templates found"
            self.fault(FaultKind.COUNT_MISMATCH, m, BEFORE_SETS, int(self.frames.start[m]), detail, count=len(wrong))

    def _check_times(self) -> None:
        nanoseconds, times = self.messages.nanoseconds, self.messages.export_time
        if nanoseconds is not None and nanoseconds.max() >= _SECOND_NS:
            odd = np.flatnonzero(nanoseconds >= _SECOND_NS)
            m = int(odd[0])
            detail = f"{int(nanoseconds[m])} nanoseconds of a second"
            self.fault(FaultKind.TIME_SUSPECT, m, BEFORE_SETS, int(self.frames.start[m]), detail, count=len(odd))
        if times.min() == 0 or times.max() == _LAST_SECOND:
            odd = np.flatnonzero((times == 0) | (times == _LAST_SECOND))
            m = int(odd[0])
            detail = f"Export Time {int(times[m])}"
            self.fault(FaultKind.TIME_SUSPECT, m, BEFORE_SETS, int(self.frames.start[m]), detail, count=len(odd))

    def _check_sequences(self) -> None:
        decoded = np.bincount(self.message, self.records, len(self.bad)).astype(np.uint32)
        unsure = np.zeros(len(self.bad), np.bool_)
        if self.undecodable.any():
            unsure[self.message[self.undecodable]] = True
        count = decoded
        if not self.is_ipfix:
            in_messages = self.messages.version == NETFLOW9.version
            count = np.where(in_messages, np.uint32(1), decoded)
            unsure &= ~in_messages
        good = np.flatnonzero(~self.bad) if self.bad.any() else np.arange(len(self.bad))
        whose: npt.NDArray[Any] = self.domain_of
        if self._stream is not None and self._stream.any():
            whose = whose.astype(np.int64) << 32 | self._stream
        elif len(self.domains) == 1:
            self._observe(good, None, count, unsure, decoded)
            return
        self._observe(good[np.argsort(whose[good], kind="stable")], whose, count, unsure, decoded)

    def _observe(
        self,
        mine: Indices,
        whose: npt.NDArray[Any] | None,
        count: U32,
        unsure: npt.NDArray[np.bool_],
        decoded: U32,
    ) -> None:
        """Take Messages into account, those of a domain, and of a stream in it, together.

        whose: int[m], what tells these apart; None = all are of one.
        One by one where numbers break or cannot be counted on, and the clean runs between at once; so are runs with
        very many gaps, or else heavy loss would make a collector slow, and lose more.
        """
        if not len(mine):
            return
        messages = self.messages
        if whose is None and len(mine) == len(messages):
            sequence, stamp = messages.sequence, messages.export_time
            cuts = [0, len(mine)]
        else:
            sequence, stamp = messages.sequence[mine], messages.export_time[mine]
            count, unsure, decoded = count[mine], unsure[mine], decoded[mine]
            marks = np.zeros(len(mine), np.int8) if whose is None else whose[mine]
            cuts = [0, *(np.flatnonzero(marks[1:] != marks[:-1]) + 1).tolist(), len(mine)]
        self.state.counters["records"] += int(decoded.sum())
        sequence = self._by_the_rule(mine, sequence, count)
        after = sequence + count  # wraps at 2^32, as sequence numbers do
        is_break = np.zeros(len(mine), np.bool_)
        is_break[1:] = (sequence[1:] != after[:-1]) | unsure[1:] | unsure[:-1]
        is_break[cuts[:-1]] = False
        broken = np.flatnonzero(is_break).tolist()
        is_gap = np.zeros(0, np.bool_)
        if len(broken) > _MANY_BREAKS:
            is_gap = is_break.copy()
            is_gap[1:] &= (sequence[1:] - after[:-1] <= SUSPECT) & ~unsure[1:] & ~unsure[:-1]
        at = 0
        for first, stop in pairwise(cuts):
            domain = self.domain_at(int(mine[first]))
            end = at
            while end < len(broken) and broken[end] < stop:
                end += 1
            breaks, at = broken[at:end], end
            ledger = domain.ledger if self._stream is None else domain.ledger_of(int(self._stream[mine[first]]))
            if domain.index < 0:  # those beyond the limit of domains are not accounted for
                continue
            if domain.peer.dialect.sequence is None:
                ledger.messages += stop - first
                ledger.records += int(decoded[first:stop].sum())
                continue
            most_ahead, counted_own = 0, ledger.counts_own
            if len(breaks) > _MANY_BREAKS:
                breaks, most_ahead = [at for at in breaks if not is_gap[at]], SUSPECT
            for begin, until in pairwise([first, *breaks, stop]):
                clean = begin
                while clean < until and (
                    unsure[clean]
                    or ledger.counts_own is not counted_own
                    or not ledger.is_ahead_by(int(sequence[clean]), most_ahead)
                ):
                    number = int(sequence[clean])
                    if ledger.counts_own is not counted_own:  # that became clear within this buffer
                        number = (number - int(count[clean])) % _WRAP
                    event = ledger.observe(
                        number,
                        int(count[clean]),
                        certain=not unsure[clean],
                        stamp=int(stamp[clean]),
                        offset=int(messages.offset[mine[clean]]),
                        decoded=int(decoded[clean]),
                    )
                    if event is not None:
                        kind = event.kind if isinstance(event, Fault) else FaultKind.SEQUENCE_GAP
                        self.state.counters[kind] += 1
                        self.tell(int(mine[clean]), BEFORE_SETS, event)
                    clean += 1
                if clean < until:
                    if most_ahead:
                        self._tell_gaps(ledger, mine[clean:until], sequence[clean:until], after[clean:until])
                    last = slice(max(clean, until - RECENT), until)
                    recent = zip(sequence[last].tolist(), count[last].tolist(), stamp[last].tolist(), strict=True)
                    records = int(decoded[clean:until].sum())
                    ledger.skip_to(int(after[until - 1]), messages=until - clean, records=records, recent=recent)

    def _by_the_rule(self, mine: Indices, sequence: U32, count: U32) -> U32:
        """Sequence numbers as RFC 7011 §3.1 has them, also of exporters that count a Message's own records."""
        odd = [i for i, domain in enumerate(self.domains) if domain.ledger.counts_own]
        if not odd:
            return sequence
        return np.where(np.isin(self.domain_of[mine], odd), sequence - count, sequence)

    def _tell_gaps(self, ledger: DomainLedger, mine: Indices, sequence: U32, after: U32) -> None:
        """Take the gaps in a run of Messages into account whose numbers only go on; the first few come one by one."""
        before = np.empty(len(sequence), np.uint32)
        before[0], before[1:] = ledger.expected or 0, after[:-1]
        missing = sequence - before
        at = np.flatnonzero(missing)
        if not len(at):
            return
        gaps = list(zip(before[at].tolist(), missing[at].tolist(), strict=True))
        ledger.skip_gaps(gaps)
        self.state.counters[FaultKind.SEQUENCE_GAP] += len(gaps)
        cuts = [*range(min(_GAPS_TOLD, len(gaps))), len(gaps)]
        for first, stop in pairwise(cuts):
            last = int(at[stop - 1])
            message = int(mine[last])
            offset, lost = int(self.messages.offset[message]), sum(lost for _, lost in gaps[first:stop])
            facts = (ledger.domain, offset, gaps[first][0], int(sequence[last]), lost, ledger.unit, ledger.key)
            self.tell(message, BEFORE_SETS, SequenceGap(*facts, count=stop - first))
