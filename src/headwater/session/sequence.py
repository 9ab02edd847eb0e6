"""Sequence numbers: what was lost, late, sent twice or started anew (RFC 7011 §3.1, §10.3.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from headwater.errors import Fault, FaultKind
from headwater.session.events import SequenceGap
from headwater.session.key import SessionKey

_WRAP = 1 << 32
SUSPECT = 1 << 20  # a larger jump is believed only once the next Message confirms it (§11.6)
RECENT = 64  # Messages remembered to tell a duplicate from a late one
_MOST_GAPS = 256
_OWN_FITS = 2
_COUNTED = (
    "messages", "records", "lost", "late", "duplicates", "resets", "unknown_gaps", "undecodable_sets", "malformed",
)  # fmt: skip


@dataclass(slots=True)
class DomainLedger:
    """The loss ledger of one Observation Domain of one exporter.

    key: the transport session. version: of the protocol. unit: what is numbered, "records" or "messages".
    stream: of SCTP, each of which numbers for itself (RFC 7011 §3.1).
    records: Data Records received, options included. lost: units missing, late ones taken back.
    unknown_gaps: gaps after Messages whose records could not be counted. undecodable_sets: Data Sets without
    Template. malformed: discarded Messages. expected: sequence number the next Message should carry, None at first.
    counts_own: the exporter numbers Messages with the records up to their own end, against RFC 7011 §3.1 (softflowd
    does); who calls `observe` then takes these off first.
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
    _recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _gaps: list[tuple[int, int]] = field(default_factory=list)
    _last: int | None = None  # sequence number of the last Message that can be counted on
    _own_fits: int = 0  # Messages in a row that are explained by numbers that count their own records, and only so
    _own_lost: int = 0

    def observe(
        self, sequence: int, records: int, *, certain: bool, stamp: int, offset: int, decoded: int | None = None
    ) -> SequenceGap | Fault | None:
        """Take one Message into account.

        records: by how much it raises the sequence number: Data Records counted in it, or 1; certain: whether that
        is all. decoded: the Data Records, if they are not what is numbered.
        stamp: anything that tells Messages with equal numbers apart (Export Time).
        """
        self.messages += 1
        self.records += records if decoded is None else decoded
        after = (sequence + records) % _WRAP
        ahead = 0 if self.expected is None else (sequence - self.expected) % _WRAP
        if not self.counts_own and self._fits_own(sequence, records, ahead, certain=certain):
            return self._count_own(sequence, offset)
        if ahead == 0:
            self._accept(sequence, after, certain, stamp, records)
            return None
        if ahead <= SUSPECT:
            return self._gap(sequence, after, certain, stamp, records, ahead, offset)
        if ahead >= _WRAP // 2:
            if (sequence, records, stamp) in self._recent:
                self.duplicates += 1
                return self._fault(FaultKind.DUPLICATE, offset, f"sequence number {sequence} again")
            if records and self._fill(sequence, records):
                self.late += 1
                self._recent.append((sequence, records, stamp))
                return self._fault(FaultKind.LATE, offset, f"sequence number {sequence} after {self.expected}")
        if self._candidate is not None and sequence == self._candidate[1]:
            return self._believe(sequence, after, certain, stamp, records, offset)
        if records:  # a Message without records says nothing about the count of the next one
            self._candidate = (sequence, after) if certain else None
        detail = f"sequence number {sequence} where {self.expected} was expected"
        return self._fault(FaultKind.SEQUENCE_SUSPECT, offset, detail)

    def skip_to(self, expected: int, *, messages: int, records: int, recent: Iterable[tuple[int, int, int]]) -> None:
        """Take a run of Messages into account whose numbers were all as expected; `recent` are its last few."""
        self.messages += messages
        self.records += records
        self.expected = expected
        self._certain, self._candidate = True, None
        self._recent.extend(recent)
        count = self._recent[-1][1]
        self._last = (expected - count) % _WRAP
        if self._own_fits and any(other != count for _, other, _ in self._recent):
            self._own_fits = self._own_lost = 0

    def skip_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Take gaps between Messages that can be counted on into account, each as (expected, units missing)."""
        self.lost += sum(missing for _, missing in gaps)
        self._gaps.extend(gaps[-_MOST_GAPS:])
        del self._gaps[:-_MOST_GAPS]

    def absorb(self, other: DomainLedger) -> None:
        """Add what another one, of which no more will come, has counted."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def since(self, before: DomainLedger) -> DomainLedger:
        """What was counted since it was as `before`."""
        counts = {name: getattr(self, name) - getattr(before, name) for name in _COUNTED}
        return replace(self, **counts)

    @property
    def is_certain(self) -> bool:
        """Whether `expected` is known, not only a lower bound."""
        return self._certain and self.expected is not None

    def is_ahead_by(self, sequence: int, most: int) -> bool:
        """Whether it is certain what number comes next, and this one is that or at most so many units behind it."""
        return self._certain and self.expected is not None and (sequence - self.expected) % _WRAP <= most

    def _fits_own(self, sequence: int, records: int, ahead: int, *, certain: bool) -> bool:
        """Whether it is clear by now that numbers count the records of their own Message.

        A loss can look like that once, if as many records are missing as the Message has more than the one before.
        """
        last, self._last = self._last, sequence if certain and self.unit == "records" else None
        if last is None or self._last is None or not self._certain:
            self._own_fits = self._own_lost = 0
        elif (sequence - last) % _WRAP == records:
            if ahead and records:
                self._own_fits += 1
                self._own_lost += ahead if ahead <= SUSPECT else 0
        elif records:
            self._own_fits = self._own_lost = 0
        return self._own_fits == _OWN_FITS

    def _count_own(self, sequence: int, offset: int) -> Fault:
        """Go by that rule from here on; what seemed to be lost is not."""
        ahead = 0 if self.expected is None else (sequence - self.expected) % _WRAP
        self.lost -= self._own_lost - (ahead if ahead <= SUSPECT else 0)  # this one is not counted yet
        self.counts_own = True
        self._gaps.clear()
        self._recent.clear()
        self.expected, self._certain, self._candidate = sequence, True, None
        detail = "sequence numbers count the records of their own Message, and are taken so from here on"
        return self._fault(FaultKind.SEQUENCE_RULE, offset, detail)

    def _accept(self, sequence: int, after: int, certain: bool, stamp: int, records: int) -> None:
        self.expected, self._certain, self._candidate = after, certain, None
        self._recent.append((sequence, records, stamp))

    def _believe(
        self, sequence: int, after: int, certain: bool, stamp: int, records: int, offset: int
    ) -> SequenceGap | Fault:
        """Two Messages in a row agree: after a jump forward much was lost, otherwise the exporter has restarted."""
        was, start = self.expected or 0, self._candidate[0] if self._candidate else sequence
        ahead = (start - was) % _WRAP
        if ahead < _WRAP // 2 and start > SUSPECT:
            return self._gap(sequence, after, certain, stamp, records, ahead, offset)
        self.resets += 1
        self._gaps.clear()
        self._accept(sequence, after, certain, stamp, records)
        return self._fault(FaultKind.SEQUENCE_RESET, offset, f"restarted at {start}, was {was}")

    def _gap(
        self, sequence: int, after: int, certain: bool, stamp: int, records: int, ahead: int, offset: int
    ) -> SequenceGap:
        expected = self.expected or 0
        known = self._certain
        if known:
            self.lost += ahead
            self._gaps.append((expected, ahead))
            del self._gaps[:-_MOST_GAPS]
        else:
            self.unknown_gaps += 1
        self._accept(sequence, after, certain, stamp, records)
        return SequenceGap(self.domain, offset, expected, sequence, ahead if known else None, self.unit, self.key)

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
        return False
