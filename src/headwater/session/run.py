"""One pass over the Messages of one buffer: Sets, Templates in order, data grouped by Template, sequence numbers."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import Fault, FaultKind
from headwater.session.accounting import Accounting
from headwater.session.data import DataPass
from headwater.session.events import Event
from headwater.session.headers import Arrivals, read_messages
from headwater.session.learning import Learning
from headwater.session.sets import BEFORE_SETS, HAS_SETS, frame_sets
from headwater.session.state import MALFORMED
from headwater.wire.dialect import DIALECTS, FIRST_DATA_SET, IPFIX, NETFLOW9, SET_HEADER

if TYPE_CHECKING:
    from headwater.session.framing import Frames
    from headwater.session.held import HeldSet
    from headwater.session.sequence import DomainLedger, Waiting
    from headwater.session.state import State
    from headwater.session.templates import Domain

Indices = npt.NDArray[np.intp]
U32 = npt.NDArray[np.uint32]

_COUNT_PLAN = np.array([(0, 2, 2, 0)], np.int32)
_COUNT_TYPE = [np.dtype("u2")]
_LAST_SECOND = (1 << 32) - 1
_SECOND_NS = 1_000_000_000


class Run:
    """Tables of one buffer, shared by the steps of the pass; arrays over m Messages or s Sets.

    message: int32[s], Message of each Set. tag: uint16[s], Set ID, that of IPFIX where NetFlow has another for the
    same; the id of the Template for records without Sets. start, end: int32[s], Set bodies.
    low: intp[n], the Sets that are no Data Sets.
    bad: bool[m], Messages that are discarded. domains: per distinct domain; domain_of: [m], index into it.
    records: int32[s], Data Records counted in a Set; undecodable: bool[s]. defined: int32[s], template records in it.
    stream: int32[m], of SCTP; None = 0 for all. waiting: Messages with Sets that were kept for their Template.
    decoded_late: Message with the Template, Set that had waited, records.
    """

    def __init__(
        self, state: State, buf: npt.NDArray[np.uint8], frames: Frames, arrivals: Arrivals, now: float
    ) -> None:
        self.state, self.buf, self.now = state, buf, now
        self.frames = frames
        self.messages = read_messages(buf, frames, arrivals)
        self.stream = arrivals.stream
        self.is_ipfix = frames.version is None
        self.bad = np.zeros(len(frames.start), np.bool_)
        self._is_counted = np.zeros(len(frames.start), np.bool_)
        self.waiting: dict[int, Waiting] = {}
        self.decoded_late: list[tuple[int, HeldSet, int]] = []
        self._events: list[tuple[int, int, Event]] = []
        self._find_domains()
        for at in frames.torn:
            message = int(np.flatnonzero(frames.start == at)[0])
            self._is_counted[message] = True
            self.ledger_at(message).malformed += 1
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
        Accounting(self).observe()
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
                self.ledger_at(message).malformed += 1
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

    def ledger_at(self, message: int) -> DomainLedger:
        """The ledger in which a Message is counted."""
        domain = self.domain_at(message)
        return domain.ledger if self.stream is None else domain.ledger_of(int(self.stream[message]))

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
        order = np.argsort(first)  # those that come first are within the limit of domains
        at = first[order]
        found = map(self._domain, exporter[at].tolist(), ids[at].tolist(), at.tolist())
        by_number = dict(zip(order.tolist(), found, strict=True))
        self.domains = [by_number[number] for number in range(len(order))]

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
