"""What reading found besides records: in total and per source, live while reading goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.process.findings import findings_to_dict

if TYPE_CHECKING:
    from headwater.errors import FaultKind
    from headwater.process.source_report import SourceReport


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that a search in a directory came upon and did not read.

    is_foreign: it holds something else than IPFIX; otherwise it could not be read.
    """

    name: str
    reason: str
    is_foreign: bool


@dataclass(slots=True)
class Report:
    """What reading found, live while it goes on: `sources` in the order they were read, and sums; see Findings.

    warnings: sentences about things beside the sources, such as a state file that is damaged.
    """

    sources: list[SourceReport] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for people."""
        parts = [f"{self.records:,} records", f"{self.messages:,} messages", f"{self.octets:,} octets"]
        if self.options_records:
            parts.insert(1, f"{self.options_records:,} options records")
        if len(self.sources) != 1:
            parts.append(f"{len(self.sources)} sources")
        if self.lost:
            parts.append(f"{self.lost:,} records lost before")
        if self.lost_messages:
            parts.append(f"{self.lost_messages:,} messages lost before")
        parts += [f"{kind}: {count:,}" for kind, count in self.faults.items()]
        if self.skipped:
            parts.append(f"{len(self.skipped)} files skipped")
        return ", ".join(parts)

    @property
    def octets(self) -> int:
        """Octets read, decompressed."""
        return sum(source.octets for source in self.sources)

    @property
    def messages(self) -> int:
        """Messages, malformed ones included."""
        return sum(source.messages for source in self.sources)

    @property
    def records(self) -> int:
        """Data records that are not options."""
        return sum(source.records for source in self.sources)

    @property
    def options_records(self) -> int:
        """Options records."""
        return sum(source.options_records for source in self.sources)

    @property
    def lost(self) -> int:
        """Data Records that sequence numbers say are missing."""
        return sum(source.lost for source in self.sources)

    @property
    def lost_messages(self) -> int:
        """Messages that sequence numbers say are missing, where these count Messages (NetFlow v9)."""
        return sum(source.lost_messages for source in self.sources)

    @property
    def gaps(self) -> int:
        """Gaps in sequence numbers."""
        return sum(source.gaps for source in self.sources)

    @property
    def checksums_ok(self) -> int:
        """Messages whose MD5 matches."""
        return sum(source.checksums_ok for source in self.sources)

    @property
    def checksums_bad(self) -> int:
        """Messages whose MD5 does not match."""
        return sum(source.checksums_bad for source in self.sources)

    @property
    def faults(self) -> Counter[FaultKind]:
        """How many faults of each kind."""
        return sum((source.faults for source in self.sources), Counter())

    @property
    def first_export(self) -> int | None:
        """The first Export Time."""
        return min((s.first_export for s in self.sources if s.first_export is not None), default=None)

    @property
    def last_export(self) -> int | None:
        """The last Export Time."""
        return max((s.last_export for s in self.sources if s.last_export is not None), default=None)

    @property
    def is_complete(self) -> bool:
        """Whether nothing that was written is missing or damaged, and every file with IPFIX could be read."""
        return all(s.is_complete for s in self.sources) and all(skipped.is_foreign for skipped in self.skipped)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **findings_to_dict(self),
            "sources": [source.to_dict() for source in self.sources],
            "warnings": self.warnings,
            "skipped": [{"name": s.name, "reason": s.reason, "is_foreign": s.is_foreign} for s in self.skipped],
        }
