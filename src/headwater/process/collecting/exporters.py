"""What each exporter sent, and what became of it; bounded, whoever may turn up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.session.key import SessionKey
from headwater.session.sequence import DomainLedger

if TYPE_CHECKING:
    from headwater.errors import Fault
    from headwater.session.datagrams import Datagrams
    from headwater.session.events import DataSets

KEPT: Final = 10_000
"""Exporters of one listener that are told apart; those heard of the longest ago are added up in one."""
OTHERS: Final = "others"
NOBODY: Final = "unattributed"
"""What cannot be said of any exporter."""
_FROM_LEDGERS: Final = (
    "messages",
    "records",
    "late",
    "duplicates",
    "resets",
    "unknown_gaps",
    "undecodable_sets",
    "malformed",
)
_OWN: Final = ("datagrams", "octets", "options_records", "dropped_datagrams")
_FAULT_KINDS_KEPT: Final = 64


@dataclass(slots=True)
class Exporter:
    """Counts of one exporter. key: its transport session, None = of those that are added up, or of files.

    first_seen, last_seen: arrival in nanoseconds since 1970. ended: what ledgers of its ended sessions have counted.
    """

    key: SessionKey | None
    datagrams: int = 0
    octets: int = 0
    options_records: int = 0
    dropped_datagrams: int = 0
    first_seen: int = 0
    last_seen: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    versions: set[int] = field(default_factory=set)

    def absorb(self, other: Exporter) -> None:
        """Add what another one, of which no more is told apart, has counted."""
        for name in _OWN:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first_seen = min(filter(None, (self.first_seen, other.first_seen)), default=0)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.faults.update(other.faults)
        self.ended.update(other.ended)
        self.versions |= other.versions

    def end(self, ledger: DomainLedger) -> None:
        """A ledger of which no more will come."""
        self.versions.add(ledger.version)
        self.ended.update(_counts(ledger))


class Exporters:
    """The exporters of one listener. Used by the thread that decodes alone."""

    def __init__(self) -> None:
        self._known: dict[SessionKey | None, Exporter] = {}
        self._others = Exporter(None)

    def arrived(self, datagrams: Datagrams) -> int:
        """Count datagrams by who sent them; how many those were."""
        if not len(datagrams):
            return 0
        peer = datagrams.peer
        counts = np.bincount(peer)
        octets = np.bincount(peer, datagrams.end - datagrams.start)
        heard = np.flatnonzero(counts)
        first, last = np.zeros((2, len(counts)), np.int64)
        last[peer] = datagrams.received  # of equal indices, the last one holds
        first[peer[::-1]] = datagrams.received[::-1]
        columns = [column[heard].tolist() for column in (counts, octets, first, last)]
        for number, count, size, begin, end in zip(heard.tolist(), *columns, strict=True):
            one = self.of(datagrams.keys[number])
            one.datagrams += count
            one.octets += int(size)
            one.first_seen = one.first_seen or begin
            one.last_seen = end
        return len(heard)

    def dropped(self, key: SessionKey, datagrams: int) -> None:
        """Count datagrams that were received and given up."""
        self.of(key).dropped_datagrams += datagrams

    def options(self, sets: DataSets) -> None:
        """Count option records by who sent them."""
        messages = sets.messages
        if messages.peer is None:
            self.of(messages.keys[0]).options_records += sets.num_records
            return
        counts = np.bincount(messages.peer[sets.message], sets.count)
        for number in np.flatnonzero(counts).tolist():
            self.of(messages.keys[number]).options_records += int(counts[number])

    def fault(self, fault: Fault) -> None:
        """Count a fault by who caused it."""
        self.of(fault.key).faults[str(fault.kind)] += fault.count

    def ended(self, ledgers: Iterable[DomainLedger]) -> None:
        """Ledgers of transport sessions that have ended."""
        for ledger in ledgers:
            self.of(ledger.key).end(ledger)

    def of(self, key: SessionKey | None) -> Exporter:
        """The counts of an exporter."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= 2 * KEPT:
                self._forget_some()
            found = self._known[key] = Exporter(key)
        return found

    def _forget_some(self) -> None:
        ranked = sorted(self._known.values(), key=lambda one: one.last_seen, reverse=True)
        for one in ranked[KEPT:]:
            self._others.absorb(self._known.pop(one.key))

    def to_dicts(self, ledgers: Iterable[DomainLedger], *, transport: str, listener: str) -> list[dict[str, Any]]:
        """All of them, as JSON. ledgers: of the sessions that go on."""
        living: dict[SessionKey | None, list[DomainLedger]] = {}
        for ledger in ledgers:
            living.setdefault(ledger.key, []).append(ledger)
        found = [*self._known.values(), *(Exporter(key) for key in living if key not in self._known)]
        shown = sorted(found, key=lambda one: one.last_seen, reverse=True)
        others = Exporter(None)
        others.absorb(self._others)
        rest: list[DomainLedger] = []
        for one in shown[KEPT:]:
            others.absorb(one)
            rest += living.get(one.key, ())
        where = {"transport": transport, "listener": listener}
        out = [_to_dict(one, living.get(one.key, []), where) for one in shown[:KEPT]]
        if others != Exporter(None) or rest:
            out.append({**_to_dict(others, rest, where), "exporter": OTHERS})
        return out


def _to_dict(one: Exporter, ledgers: list[DomainLedger], where: dict[str, str]) -> dict[str, Any]:
    counts = Counter(one.ended)
    versions = set(one.versions)
    for ledger in ledgers:
        counts.update(_counts(ledger))
        versions.add(ledger.version)
    return {
        "exporter": NOBODY if one.key is None else str(one.key),
        **where,
        "domains": len({ledger.domain for ledger in ledgers}),
        "versions": sorted(versions),
        "first_seen": one.first_seen / 1e9,
        "last_seen": one.last_seen / 1e9,
        **{name: getattr(one, name) for name in _OWN},
        **{name: counts[name] for name in (*_FROM_LEDGERS, "lost", "lost_messages")},
        "faults": dict(one.faults.most_common(_FAULT_KINDS_KEPT)),
    }


def _counts(ledger: DomainLedger) -> Counter[str]:
    counts = Counter({name: getattr(ledger, name) for name in _FROM_LEDGERS})
    counts["lost" if ledger.unit == "records" else "lost_messages"] = ledger.lost
    return counts
