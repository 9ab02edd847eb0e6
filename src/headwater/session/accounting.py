"""Sequence numbers of the Messages of one buffer, in the ledgers of who sent them (RFC 7011 §3.1, RFC 3954 §5.1)."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault, FaultKind
from headwater.session.events import SequenceGap
from headwater.session.sequence import RECENT, SUSPECT
from headwater.session.sets import BEFORE_SETS
from headwater.wire.dialect import NETFLOW9

if TYPE_CHECKING:
    from headwater.session.held import HeldSet
    from headwater.session.run import Run
    from headwater.session.sequence import DomainLedger

U32 = npt.NDArray[np.uint32]
Bool = npt.NDArray[np.bool_]

_MANY_BREAKS: Final = 128
"""Of a domain in one buffer: when there are more, gaps are not told one by one."""
_GAPS_TOLD: Final = 100
_WRAP: Final = 1 << 32


class Accounting:
    """Takes the Messages of a run into account; arrays over those that count, those of one ledger together.

    mine: intp[n], which Messages these are. sequence, stamp, decoded: of each; count: by how much it raises the number,
    unsure: whether that is not all. after: the number that follows. is_break: whether it is not what the one before
    leads to, as far as one can see without the ledger.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        decoded = np.bincount(run.message, run.records, len(run.bad)).astype(np.uint32)
        count, unsure = decoded, np.zeros(len(run.bad), np.bool_)
        if run.undecodable.any():
            unsure[run.message[run.undecodable]] = True
            if run.waiting:
                self._give_up()
        if not run.is_ipfix:
            in_messages = run.messages.version == NETFLOW9.version
            count = np.where(in_messages, np.uint32(1), decoded)
            unsure &= ~in_messages
        self.mine = np.flatnonzero(~run.bad) if run.bad.any() else np.arange(len(run.bad))
        cuts = self._sort()
        mine = slice(None) if len(cuts) == 1 and len(self.mine) == len(run.bad) else self.mine
        self.sequence, self.stamp = run.messages.sequence[mine], run.messages.export_time[mine]
        self.count, self.unsure, self.decoded = count[mine], unsure[mine], decoded[mine]
        self.cuts: list[int] = [*cuts, len(self.mine)]

    def _give_up(self) -> None:
        """Of a Message with Sets that cannot be decoded and were not kept, all records will never be known."""
        run = self.run
        undecodable = np.bincount(run.message[run.undecodable], minlength=len(run.bad))
        for message, waiting in run.waiting.items():
            if waiting.sets != undecodable[message]:
                run.ledger_at(message).give_up(waiting)

    def _sort(self) -> list[int]:
        """Put those of one ledger together; where each begins."""
        run = self.run
        whose: npt.NDArray[Any] = run.domain_of
        if run.stream is not None and run.stream.any():
            whose = whose.astype(np.int64) << 32 | run.stream
        elif len(run.domains) == 1:
            return [0]
        self.mine = self.mine[np.argsort(whose[self.mine], kind="stable")]
        marks = whose[self.mine]
        return [0, *(np.flatnonzero(marks[1:] != marks[:-1]) + 1).tolist()]

    def observe(self) -> None:
        """One by one where numbers break or cannot be counted on, and the clean runs between at once."""
        late = self._late()
        if len(self.mine):
            self._observe(late)
        for found in late.values():
            for _, held, records in found:
                held.ledger.decode_late(held.waiting, records)

    def _late(self) -> dict[int, list[tuple[int, HeldSet, int]]]:
        """What had waited for its Template, by the identity of the ledger, in the order in which it is known."""
        late: dict[int, list[tuple[int, HeldSet, int]]] = {}
        for one in sorted(self.run.decoded_late, key=itemgetter(0)):
            late.setdefault(id(one[1].ledger), []).append(one)
        return late

    def _observe(self, late: dict[int, list[tuple[int, HeldSet, int]]]) -> None:
        run, cuts, first = self.run, self.cuts, self.cuts[:-1]
        run.state.counters["records"] += int(self.decoded.sum())
        messages = self.mine[first].tolist()
        ledgers = [run.ledger_at(message) for message in messages]
        self._by_the_rule(ledgers)
        self.after = self.sequence + self.count  # wraps at 2^32, as sequence numbers do
        self.is_break = self.unsure.copy()
        self.is_break[1:] |= (self.sequence[1:] != self.after[:-1]) | self.unsure[:-1]
        self.is_break[first] = self.unsure[first]
        is_odd = np.logical_or.reduceat(self.is_break, first).tolist()
        records = np.add.reduceat(self.decoded, first, dtype=np.int64).tolist()
        numbers, last = self.sequence[first].tolist(), [stop - 1 for stop in cuts[1:]]
        ends = self.after[last].tolist()
        for i, (begin, stop) in enumerate(pairwise(cuts)):
            domain, ledger = run.domain_at(messages[i]), ledgers[i]
            if domain.index < 0:  # those beyond the limit of domains are not accounted for
                continue
            if domain.peer.dialect.sequence is None:
                ledger.messages += stop - begin
                ledger.records += records[i]
            elif not is_odd[i] and ledger.is_ahead_by(numbers[i], 0):
                self._skip(ledger, begin, stop, ends[i], records[i])
            else:
                at, counted_own = begin, ledger.counts_own
                for message, held, found in late.pop(id(ledger), ()):
                    until = begin + int(np.searchsorted(self.mine[begin:stop], message, "right"))
                    self._look_at(ledger, at, until, counted_own=counted_own)
                    ledger.decode_late(held.waiting, found)
                    at = until
                self._look_at(ledger, at, stop, counted_own=counted_own)

    def _by_the_rule(self, ledgers: list[DomainLedger]) -> None:
        """Have sequence numbers as RFC 7011 §3.1 has them, also of exporters that count a Message's own records."""
        if any(ledger.counts_own for ledger in ledgers):
            self.sequence = self.sequence.copy()
            for ledger, (begin, stop) in zip(ledgers, pairwise(self.cuts), strict=True):
                if ledger.counts_own:
                    self.sequence[begin:stop] -= self.count[begin:stop]

    def _look_at(self, ledger: DomainLedger, first: int, stop: int, *, counted_own: bool) -> None:
        """Messages of a ledger that are not what is expected.

        counted_own: what was known when the numbers were made those of RFC 7011.
        Runs with very many gaps are taken at once too, or else heavy loss would make a collector slow, and lose more.
        """
        if first == stop:
            return
        breaks = np.flatnonzero(self.is_break[first + 1 : stop]) + (first + 1)
        most_ahead = 0
        if len(breaks) > _MANY_BREAKS:
            is_gap = self.sequence[breaks] - self.after[breaks - 1] <= SUSPECT
            is_gap &= ~self.unsure[breaks] & ~self.unsure[breaks - 1]
            breaks, most_ahead = breaks[~is_gap], SUSPECT
        for begin, until in pairwise([first, *breaks.tolist(), stop]):
            clean = begin
            while clean < until and (
                self.unsure[clean]
                or ledger.counts_own is not counted_own
                or not ledger.is_ahead_by(int(self.sequence[clean]), most_ahead)
            ):
                self._look_at_one(ledger, clean, int(counted_own) - int(ledger.counts_own))
                clean += 1
            if clean < until:
                if most_ahead:
                    self._tell_gaps(ledger, clean, until)
                records = int(self.decoded[clean:until].sum())
                self._skip(ledger, clean, until, int(self.after[until - 1]), records)

    def _look_at_one(self, ledger: DomainLedger, i: int, times: int) -> None:
        """times: how many times its records are to be added, as the rule of what numbers count has changed since."""
        run, message = self.run, int(self.mine[i])
        number, count = int(self.sequence[i]), int(self.count[i])
        event = ledger.observe(
            (number + times * count) % _WRAP,
            count,
            certain=not self.unsure[i],
            stamp=int(self.stamp[i]),
            offset=int(run.messages.offset[message]),
            decoded=int(self.decoded[i]),
            waiting=run.waiting.get(message),
        )
        if event is not None:
            run.state.counters[event.kind if isinstance(event, Fault) else FaultKind.SEQUENCE_GAP] += 1
            run.tell(message, BEFORE_SETS, event)

    def _skip(self, ledger: DomainLedger, begin: int, stop: int, expected: int, records: int) -> None:
        last = slice(max(begin, stop - RECENT), stop)
        columns = self.sequence[last].tolist(), self.count[last].tolist(), self.stamp[last].tolist()
        ledger.skip_to(expected, messages=stop - begin, records=records, recent=zip(*columns, strict=True))

    def _tell_gaps(self, ledger: DomainLedger, begin: int, stop: int) -> None:
        """Take the gaps in a run of Messages into account whose numbers only go on; the first few come one by one."""
        run, sequence = self.run, self.sequence[begin:stop]
        before = np.empty(len(sequence), np.uint32)
        before[0], before[1:] = ledger.expected or 0, self.after[begin : stop - 1]
        missing = sequence - before
        at = np.flatnonzero(missing)
        if not len(at):
            return
        gaps = list(zip(before[at].tolist(), missing[at].tolist(), strict=True))
        ledger.skip_gaps(gaps)
        run.state.counters[FaultKind.SEQUENCE_GAP] += len(gaps)
        for first, end in pairwise([*range(min(_GAPS_TOLD, len(gaps))), len(gaps)]):
            last = int(at[end - 1])
            message = int(self.mine[begin + last])
            offset, lost = int(run.messages.offset[message]), sum(lost for _, lost in gaps[first:end])
            facts = (ledger.domain, offset, gaps[first][0], int(sequence[last]), lost, ledger.unit, ledger.key)
            run.tell(message, BEFORE_SETS, SequenceGap(*facts, count=end - first))
