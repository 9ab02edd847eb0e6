"""Sequence numbers: what was lost, late, sent twice or started anew (RFC 7011 §3.1, §10.3.2)."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

from headwater.errors import Fault, FaultKind
from headwater.session.events import SequenceGap
from headwater.session.key import SessionKey

_WRAP = 1 << 32
SUSPECT = 1 << 20  # a larger jump is believed only once the next Message confirms it (§11.6)
RECENT = 64  # Messages remembered to tell a duplicate from a late one
_MOST_GAPS = 256
_OTHER_FITS = 2
_COUNTED = (
    "messages", "records", "lost", "late", "duplicates", "resets", "unknown_gaps", "undecodable_sets", "malformed",
)  # fmt: skip

_Message: TypeAlias = tuple[int, int, int]
"""Its sequence number, by how much it raises it (or ~ of what is known of that, if that is not all), stamp."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A Message with Data Sets that wait for their Template.

    sets: so many of them. records: in those decoded since. is_given_up: its records will never be known.
    sequence, known, stamp: its number, the records in its other Sets, its stamp. era: of the ledger when it came.
    units: between it and the Message behind it, 0 = there is none yet, or no gap. late: (sequence, records) of Messages
    that belong in there.
    """

    sets: int = 0
    records: int = 0
    is_given_up: bool = False
    sequence: int = 0
    known: int = 0
    stamp: int = 0
    era: int = -1
    units: int = 0
    late: list[tuple[int, int]] = field(default_factory=list)

    @property
    def expected(self) -> int:
        """What its number and its other Sets lead to."""
        return (self.sequence + self.known) % _WRAP


@dataclass(slots=True)
class DomainLedger:
    """The loss ledger of one Observation Domain of one exporter.

    key: the transport session. version: of the protocol. unit: what is numbered, "records" or "messages".
    stream: of SCTP, each of which numbers for itself (RFC 7011 §3.1).
    records: Data Records received, options included. lost: units missing, late ones taken back.
    undecodable_sets: Data Sets without Template, taken back when they are decoded late. unknown_gaps: gaps after
    Messages whose records could not be counted, taken back when all of these are known: what is missing then is lost.
    malformed: discarded Messages. expected: sequence number the next Message should carry, None at first.
    counts_own: the exporter numbers Messages with the records up to their own end, against RFC 7011 §3.1 (softflowd
    does); who calls `observe` then takes these off first. Losses can look so for a while: then it changes back.
    """

    domain: int
    key: SessionKey | None = None
    version: int = 10
    unit: str = "records"
    stream: int = 0
    messages: int = 0
    records: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    resets: int = 0
    unknown_gaps: int = 0
    undecodable_sets: int = 0
    malformed: int = 0
    expected: int | None = None
    counts_own: bool = False
    _certain: bool = True
    _candidate: tuple[int, int] | None = None  # of a Message under suspicion: its sequence number, the one after it
    _recent: deque[_Message] = field(default_factory=lambda: deque(maxlen=RECENT))
    _gaps: list[tuple[int, int]] = field(default_factory=list)
    _last: tuple[int, int] | None = None  # number as it was sent, and records, of a last Message that can be counted on
    _other_fits: int = 0  # Messages in a row that are explained by the other rule of what is counted, and only so
    _other_lost: int = 0
    _taken_back: int = 0  # losses of before that the rule explains
    _latest: Waiting | None = field(default=None, compare=False)  # the Message that `expected` is counted from
    _unclear: list[Waiting] = field(default_factory=list, compare=False)  # with a gap behind them, ascending
    _era: int = 0  # what waits from before a reset or another rule says nothing about numbers of today

    def observe(
        self,
        sequence: int,
        records: int,
        *,
        certain: bool,
        stamp: int,
        offset: int,
        decoded: int | None = None,
        waiting: Waiting | None = None,
    ) -> SequenceGap | Fault | None:
        """Take one Message into account.

        records: by how much it raises the sequence number: Data Records counted in it, or 1; certain: whether that
        is all. decoded: the Data Records, if they are not what is numbered.
        stamp: anything that tells Messages with equal numbers apart (Export Time).
        waiting: for `decode_late`, if the Message is not certain because Data Sets wait for their Template.
        """
        self.messages += 1
        self.records += records if decoded is None else decoded
        after = (sequence + records) % _WRAP
        if waiting is not None and (certain or waiting.is_given_up or self.counts_own):
            waiting = None
        if waiting is not None:
            waiting.sequence, waiting.known, waiting.stamp, waiting.era = sequence, records, stamp, self._era
        message = sequence, records if certain else ~records, stamp
        ahead = 0 if self.expected is None else (sequence - self.expected) % _WRAP
        if self._fits_other(sequence, records, ahead, certain=certain):
            return self._change_rule(sequence, records, ahead, offset)
        if ahead == 0:
            (self._accept if self._certain else self._stay)(message, after, certain, waiting)
            return None
        if ahead <= SUSPECT:
            return self._gap(message, after, certain, waiting, ahead, offset)
        if ahead >= _WRAP // 2:
            if message in self._recent:
                self.duplicates += 1
                if waiting is not None:
                    waiting.is_given_up = True
                return self._fault(FaultKind.DUPLICATE, offset, f"sequence number {sequence} again")
            if records and self._fill(sequence, records):
                self.late += 1
                self._recent.append(message)
                return self._fault(FaultKind.LATE, offset, f"sequence number {sequence} after {self.expected}")
        if self._candidate is not None and sequence == self._candidate[1]:
            return self._believe(message, after, certain, waiting, offset)
        if records:  # a Message without records says nothing about the count of the next one
            self._candidate = (sequence, after) if certain else None
        detail = f"sequence number {sequence} where {self.expected} was expected"
        return self._fault(FaultKind.SEQUENCE_SUSPECT, offset, detail)

    def skip_to(self, expected: int, *, messages: int, records: int, recent: Iterable[_Message]) -> None:
        """Take a run of Messages into account whose numbers were all as expected; `recent` are its last few."""
        self.messages += messages
        self.records += records
        self.expected = expected
        self._certain, self._candidate = True, None
        self._recent.extend(recent)
        count = self._recent[-1][1]
        last, self._last = self._last, ((expected if self.counts_own else (expected - count) % _WRAP), count)
        if self._other_fits:
            counts = [-1 if last is None else last[1], *(count for _, count, _ in list(self._recent)[-messages:])]
            if last is None or any(records != before for before, records in pairwise(counts)):
                self._other_fits = self._other_lost = 0

    def skip_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Take gaps between Messages that can be counted on into account, each as (expected, units missing)."""
        self.lost += sum(missing for _, missing in gaps)
        self._gaps.extend(gaps[-_MOST_GAPS:])
        del self._gaps[:-_MOST_GAPS]

    def give_up(self, waiting: Waiting) -> None:
        """One of its Data Sets waits no more: how many records it has, and what is missing behind it, stays unknown."""
        waiting.is_given_up = True
        if waiting is self._latest:
            self._latest = None
        elif waiting.units and waiting.era == self._era:
            self._unclear.remove(waiting)
            waiting.units = 0

    def decode_late(self, waiting: Waiting, records: int) -> None:
        """One of its Data Sets was decoded. With the last one it is known what is missing behind the Message."""
        self.undecodable_sets -= 1
        self.records += records
        waiting.sets -= 1
        waiting.records += records
        if waiting.sets or waiting.is_given_up or waiting.era != self._era:
            return
        missing, after = waiting.units - waiting.records, (waiting.expected + waiting.records) % _WRAP
        self._recent.append((waiting.sequence, waiting.known + waiting.records, waiting.stamp))
        if waiting is self._latest:
            self.expected, self._certain, self._latest = after, True, None
        elif waiting.units:
            self._unclear.remove(waiting)
            waiting.units = 0
            if missing < 0:  # its number or that behind it is wrong
                return
            self.unknown_gaps -= 1
            if missing:
                self._miss(after, missing)
            for late in waiting.late:
                self._fill(*late)
        elif waiting.records and self._fill(waiting.expected, waiting.records) and not waiting.known:
            self.late += 1  # otherwise it was when its other Sets came

    def absorb(self, other: DomainLedger) -> None:
        """Add what another one, of which no more will come, has counted."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def since(self, before: DomainLedger) -> DomainLedger:
        """What was counted since it was as `before`; less than 0 where more was taken back of what was counted then."""
        counts = {name: getattr(self, name) - getattr(before, name) for name in _COUNTED}
        return replace(self, **counts)

    def is_ahead_by(self, sequence: int, most: int) -> bool:
        """Whether it is certain what number comes next, and this one is that or at most so many units behind it."""
        return self._certain and self.expected is not None and (sequence - self.expected) % _WRAP <= most

    def _fits_other(self, sequence: int, records: int, ahead: int, *, certain: bool) -> bool:
        """Whether it is clear by now that numbers count the records of their own Message, or that they do not.

        A loss can look like that once, if as many records are missing as the Message has more than the one before.
        """
        number = (sequence + records) % _WRAP if self.counts_own else sequence
        last, self._last = self._last, (number, records) if certain and self.unit == "records" else None
        if last is None or self._last is None or not self._certain:
            self._other_fits = self._other_lost = 0
        elif (number - last[0]) % _WRAP == (last[1] if self.counts_own else records):
            if ahead and records:
                self._other_fits += 1
                self._other_lost += ahead if ahead <= SUSPECT else 0
        elif records or not ahead:
            self._other_fits = self._other_lost = 0
        return self._other_fits == _OTHER_FITS

    def _change_rule(self, sequence: int, records: int, ahead: int, offset: int) -> Fault:
        """Go by the other rule from here on; what seemed to be lost is not."""
        self.lost += self._taken_back - self._other_lost + (ahead if ahead <= SUSPECT else 0)  # not counted yet
        self._taken_back = 0 if self.counts_own else self._other_lost
        self._other_fits = self._other_lost = 0
        self._gaps.clear()
        self._recent.clear()
        self._forget_waiting()
        self.expected = (sequence + 2 * records) % _WRAP if self.counts_own else sequence
        self._certain, self._candidate = True, None
        self.counts_own = not self.counts_own
        whose = "their own Message" if self.counts_own else "the Messages before their own, after all"
        return self._fault(FaultKind.SEQUENCE_RULE, offset, f"sequence numbers count the records of {whose}")

    def _stay(self, message: _Message, after: int, certain: bool, waiting: Waiting | None) -> None:
        """A Message that stands where one began whose records are not all known."""
        if certain and not message[1]:  # it came before that one, or does not have its records behind it
            self._candidate = None
            self._recent.append(message)
        elif self._latest is None:
            self._accept(message, after, certain, waiting)
        else:  # the same again, or one of them is wrong, as the one before has records
            self._latest.is_given_up = True
            self._accept(message, after, False, None)

    def _accept(self, message: _Message, after: int, certain: bool, waiting: Waiting | None) -> None:
        self.expected, self._certain, self._candidate, self._latest = after, certain, None, waiting
        self._recent.append(message)

    def _believe(
        self, message: _Message, after: int, certain: bool, waiting: Waiting | None, offset: int
    ) -> SequenceGap | Fault:
        """Two Messages in a row agree: after a jump forward much was lost, otherwise the exporter has restarted."""
        was, start = self.expected or 0, self._candidate[0] if self._candidate else message[0]
        ahead = (start - was) % _WRAP
        if ahead < _WRAP // 2 and start > SUSPECT:
            return self._gap(message, after, certain, waiting, ahead, offset)
        self.resets += 1
        self._gaps.clear()
        self._forget_waiting()
        if waiting is not None:
            waiting.era = self._era
        self._accept(message, after, certain, waiting)
        return self._fault(FaultKind.SEQUENCE_RESET, offset, f"restarted at {start}, was {was}")

    def _gap(
        self, message: _Message, after: int, certain: bool, waiting: Waiting | None, ahead: int, offset: int
    ) -> SequenceGap:
        expected = self.expected or 0
        known = self._certain
        if known:
            self._miss(expected, ahead)
        else:
            self.unknown_gaps += 1
            if self._latest is not None:
                self._latest.units = ahead
                self._unclear.append(self._latest)
        self._accept(message, after, certain, waiting)
        return SequenceGap(self.domain, offset, expected, message[0], ahead if known else None, self.unit, self.key)

    def _forget_waiting(self) -> None:
        """The gaps behind Messages that wait stay unknown."""
        self._era += 1
        self._latest = None
        self._unclear.clear()

    def _miss(self, expected: int, ahead: int) -> None:
        self.lost += ahead
        self._gaps.append((expected, ahead))
        del self._gaps[:-_MOST_GAPS]

    def _fault(self, kind: FaultKind, offset: int, detail: str) -> Fault:
        return Fault(kind, offset, self.domain, detail, key=self.key)

    def _fill(self, sequence: int, records: int) -> bool:
        """Take a late Message out of the gap it belongs to."""
        for i in range(len(self._gaps) - 1, -1, -1):  # what is late is late by little
            first, missing = self._gaps[i]
            into = (sequence - first) % _WRAP
            if into + records <= missing:
                rest = [(first, into), ((sequence + records) % _WRAP, missing - into - records)]
                self._gaps[i : i + 1] = [gap for gap in rest if gap[1]]
                self.lost -= records
                return True
        return self._fill_unclear(sequence, records)

    def _fill_unclear(self, sequence: int, records: int) -> bool:
        """Note it for a gap whose beginning is not known yet."""
        if not self._unclear:
            return False
        oldest = self._unclear[0].expected
        after = bisect_right(
            self._unclear, (sequence - oldest) % _WRAP, key=lambda waiting: (waiting.expected - oldest) % _WRAP
        )
        waiting = self._unclear[after - 1]
        if (sequence - waiting.expected) % _WRAP + records > waiting.units:
            return False
        if len(waiting.late) < RECENT:
            waiting.late.append((sequence, records))
        else:
            self.give_up(waiting)
        return True
