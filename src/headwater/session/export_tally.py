"""What has been sent in an Observation Domain: its sequence numbers, and counts (RFC 7011 §3.1, §4.1)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

_WRAP = 1 << 32


@dataclass(slots=True)
class Tally:
    """Sequence numbers and counts of one Observation Domain.

    total: the same counts for all domains together.
    sequences: the next sequence number of each SCTP stream; all else is sent in stream 0.
    """

    total: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    sequences: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def advance(self, stream: int, units: int) -> int:
        """The sequence number of the next Message; `units` is by how much what is sent now raises it."""
        sequence = self.sequences[stream]
        self.sequences[stream] = (sequence + units) % _WRAP
        return sequence

    def count(self, **counts: int) -> None:
        """Add to the counters."""
        for name, number in counts.items():
            self.counters[name] += number
            self.total[name] += number
