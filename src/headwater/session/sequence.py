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
_OTHER_FITS = 2
_COUNTED = (
    "messages", "records", "lost", "late", "duplicates", "resets", "unknown_gaps", "undecodable_sets", "malformed",
)  # fmt: skip


@dataclass(slots=True)
class _Unclear:
    """A Message with Data Sets that wait for their Template.

    sets: so many. records: in those that have been decoded since. expected: what its number and other Sets lead to.
    gap: (expected, units) between it and the Message behind it, None = there is none yet, or no gap.
    """

    sets: int = 0
    records: int = 0
    expected: int = 0
    gap: tuple[int, int] | None = None


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
    _recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _gaps: list[tuple[int, int]] = field(default_factory=list)
    _last: tuple[int, int] | None = None  # number as it was sent, and records, of a last Message that can be counted on
    _other_fits: int = 0  # Messages in a row that are explained by the other rule of what is counted, and only so
    _other_lost: int = 0
    _taken_back: int = 0  # losses of before that the rule explains
    _unclear: dict[int, _Unclear] = field(default_factory=dict)  # by offset of the Message
    _latest: int = 0  # offset of the Message that `expected` is counted from

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
        if not certain and offset in self._unclear:
            self._unclear[offset].expected = after
        ahead = 0 if self.expected is None else (sequence - self.expected) % _WRAP
        if self._fits_other(sequence, records, ahead, certain=certain):
            return self._change_rule(sequence, records, ahead, offset)
        if ahead == 0:
            self._accept(sequence, after, certain, stamp, records, offset)
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
        self._last = (expected if self.counts_own else (expected - count) % _WRAP), count
        if self._other_fits and any(other != count for _, other, _ in self._recent):
            self._other_fits = self._other_lost = 0

    def skip_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Take gaps between Messages that can be counted on into account, each as (expected, units missing)."""
        self.lost += sum(missing for _, missing in gaps)
        self._gaps.extend(gaps[-_MOST_GAPS:])
        del self._gaps[:-_MOST_GAPS]

    def hold(self, offset: int) -> None:
        """A Data Set of the Message at that offset waits for its Template."""
        if self.unit == "records" and not self.counts_own:
            self._unclear.setdefault(offset, _Unclear()).sets += 1

    def give_up(self, offset: int) -> None:
        """It waits no more: how many records the Message has stays unknown."""
        self._unclear.pop(offset, None)

    def decode_late(self, offset: int, records: int) -> None:
        """It was decoded. With the last one of a Message it is known what is missing behind it."""
        self.undecodable_sets -= 1
        self.records += records
        found = self._unclear.get(offset)
        if found is None:
            return
        found.sets -= 1
        found.records += records
        if found.sets:
            return
        del self._unclear[offset]
        after = (found.expected + found.records) % _WRAP
        if found.gap is not None:
            self.unknown_gaps -= 1
            _, ahead = found.gap
            if ahead > found.records:
                self._miss(after, ahead - found.records)
        elif offset == self._latest and not self._certain:
            self.expected, self._certain = after, True
        elif found.records and self._fill(found.expected, found.records):
            self.late += 1

    def count_anew(self, octets: int) -> None:
        """Offsets are counted anew from `octets` on."""
        self._unclear = {offset - octets: unclear for offset, unclear in self._unclear.items()}
        self._latest -= octets

    def absorb(self, other: DomainLedger) -> None:
        """Add what another one, of which no more will come, has counted."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def since(self, before: DomainLedger) -> DomainLedger:
        """What was counted since it was as `before`."""
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
        elif records:
            self._other_fits = self._other_lost = 0
        return self._other_fits == _OTHER_FITS

    def _change_rule(self, sequence: int, records: int, ahead: int, offset: int) -> Fault:
        """Go by the other rule from here on; what seemed to be lost is not."""
        self.lost += self._taken_back - self._other_lost + (ahead if ahead <= SUSPECT else 0)  # not counted yet
        self._taken_back = 0 if self.counts_own else self._other_lost
        self._other_fits = self._other_lost = 0
        self._gaps.clear()
        self._recent.clear()
        self._unclear.clear()
        self.expected = (sequence + 2 * records) % _WRAP if self.counts_own else sequence
        self._certain, self._candidate = True, None
        self.counts_own = not self.counts_own
        whose = "their own Message" if self.counts_own else "the Messages before their own, after all"
        return self._fault(FaultKind.SEQUENCE_RULE, offset, f"sequence numbers count the records of {whose}")

    def _accept(self, sequence: int, after: int, certain: bool, stamp: int, records: int, offset: int) -> None:
        self.expected, self._certain, self._candidate = after, certain, None
        self._latest = offset
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
        self._accept(sequence, after, certain, stamp, records, offset)
        return self._fault(FaultKind.SEQUENCE_RESET, offset, f"restarted at {start}, was {was}")

    def _gap(
        self, sequence: int, after: int, certain: bool, stamp: int, records: int, ahead: int, offset: int
    ) -> SequenceGap:
        expected = self.expected or 0
        known = self._certain
        if known:
            self._miss(expected, ahead)
        else:
            self.unknown_gaps += 1
            if self._latest in self._unclear:
                self._unclear[self._latest].gap = expected, ahead
        self._accept(sequence, after, certain, stamp, records, offset)
        return SequenceGap(self.domain, offset, expected, sequence, ahead if known else None, self.unit, self.key)

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
        for unclear in self._unclear.values():
            if unclear.gap is not None:
                first, units = unclear.gap
                if (sequence - first) % _WRAP + records <= units:
                    unclear.records += records
                    return True
        return False
