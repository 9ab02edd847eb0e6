"""What reading found besides records: per source and in total, live while reading goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from headwater.errors import Fault, FaultKind, UnknownElement
from headwater.model import registry as registries
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.session.state import MALFORMED
from headwater.transport.content import Content

if TYPE_CHECKING:
    from headwater.batch.options_tables import OptionsTables
    from headwater.model.template import Template
    from headwater.session.events import DataSets, Messages, SequenceGap, TemplateLearned
    from headwater.session.key import SessionKey
    from headwater.session.sequence import DomainLedger

COSTLY = MALFORMED | {
    FaultKind.FRAMING_LOST,
    FaultKind.TRUNCATED_TAIL,
    FaultKind.RESYNC,
    FaultKind.TEMPLATE_LIMIT,
    FaultKind.ZERO_LENGTH_RECORD,
    FaultKind.HELD_DROPPED,
    FaultKind.CHECKSUM,
}
"""Faults after which what was read is not all, or not just, what was written."""

FAULTS_KEPT = 100
"""Faults, and gaps, of one source that are kept with their offsets; all of them are counted."""
TEMPLATES_KEPT = 4096


@dataclass(slots=True)
class TemplateUse:
    """One definition of a Template in one Observation Domain and what came under it.

    key, version: of the exporter, and the version of its protocol.
    first_export, last_export: Export Times (Unix seconds) of the Messages with its records.
    """

    domain: int
    template: Template
    key: SessionKey | None = None
    version: int = 10
    records: int = 0
    first_export: int | None = None
    last_export: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        template = self.template
        fields = [
            {"name": name, "pen": f.element.pen, "id": f.element.id, "type": f.type.label, "length": f.length}
            for name, f in zip(template.column_names, template.fields, strict=True)
        ]
        return {
            "exporter": None if self.key is None else str(self.key),
            "version": self.version,
            "domain": self.domain,
            "id": template.id,
            "scope_count": template.scope_count,
            "records": self.records,
            "first_export": self.first_export,
            "last_export": self.last_export,
            "fields": fields,
        }


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """What was counted of the packets of a capture.

    packets: by name, as `Capture` describes them. ignored_ports: ignored UDP datagrams by destination port.
    links: packets of link types that are not known, by type.
    """

    packets: Mapping[str, int]
    ignored_ports: Mapping[int, int]
    links: Mapping[int, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        ports, links = ({str(n): count for n, count in m.items()} for m in (self.ignored_ports, self.links))
        return {**self.packets, "ignored_ports": ports, "unknown_links": links}


class Findings(Protocol):
    """What a report on one source and the report on all of them have in common.

    octets: decompressed ones read. records: of data; options_records: of options. lost: Data Records that sequence
    numbers say are missing; lost_messages: Messages, where these are numbered. faults: how many of each kind (for
    resync and trailing_garbage: octets).
    first_export, last_export: Export Times (Unix seconds) of the Messages with records.
    is_complete: whether every Message was there, whole and undamaged; gaps in sequence numbers do not count.
    """

    @property
    def octets(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def options_records(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def lost_messages(self) -> int: ...
    @property
    def gaps(self) -> int: ...
    @property
    def checksums_ok(self) -> int: ...
    @property
    def checksums_bad(self) -> int: ...
    @property
    def faults(self) -> Counter[FaultKind]: ...
    @property
    def first_export(self) -> int | None: ...
    @property
    def last_export(self) -> int | None: ...
    @property
    def is_complete(self) -> bool: ...


@dataclass(slots=True)
class SourceReport:
    """What one source held; see Findings.

    name: as users know it. compression: "gzip", … or "". content: what it is.
    templates: in the order of their definition. ledgers: the loss ledger of each Observation Domain of each exporter.
    capture: what was counted of the packets of a capture, None for files. options: what option records said, where
    that was asked for. fault_list, gap_list: the first FAULTS_KEPT of them.
    details: what option records said about the whole file, by element name (RFC 5655 §8.1.2-3).
    elements_learned: Information Elements that the file defines itself (RFC 5610).
    """

    name: str
    compression: str = ""
    content: Content = Content.IPFIX
    octets: int = 0
    messages: int = 0
    records: int = 0
    options_records: int = 0
    gaps: int = 0
    checksums_ok: int = 0
    elements_learned: int = 0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    fault_list: list[Fault] = field(default_factory=list)
    gap_list: list[SequenceGap] = field(default_factory=list)
    ledgers: list[DomainLedger] = field(default_factory=list)
    capture: CaptureCounts | None = None
    options: OptionsTables | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    first_export: int | None = None
    last_export: int | None = None
    _uses: dict[tuple[SessionKey | None, int, int, int, Template], TemplateUse] = field(default_factory=dict)
    _single: tuple[Messages | None, bool] = (None, False)

    @property
    def templates(self) -> list[TemplateUse]:
        """Definitions of Templates, the first TEMPLATES_KEPT of them."""
        return list(self._uses.values())

    @property
    def lost(self) -> int:
        """Data Records that sequence numbers say are missing."""
        return sum(ledger.lost for ledger in self.ledgers if ledger.unit == "records")

    @property
    def lost_messages(self) -> int:
        """Messages that sequence numbers say are missing, where these count Messages (NetFlow v9)."""
        return sum(ledger.lost for ledger in self.ledgers if ledger.unit == "messages")

    @property
    def checksums_bad(self) -> int:
        """Messages whose MD5 does not match (RFC 5655 §8.1.1)."""
        return self.faults[FaultKind.CHECKSUM]

    @property
    def is_complete(self) -> bool:
        """Whether nothing that was written is missing or damaged."""
        return COSTLY.isdisjoint(self.faults)

    def add_fault(self, fault: Fault) -> None:
        """Count a fault."""
        self.faults[fault.kind] += fault.count
        if len(self.fault_list) < FAULTS_KEPT:
            self.fault_list.append(fault)

    def add_gap(self, gap: SequenceGap) -> None:
        """Count a gap in sequence numbers."""
        self.gaps += 1
        if len(self.gap_list) < FAULTS_KEPT:
            self.gap_list.append(gap)

    def add_template(self, learned: TemplateLearned) -> None:
        """List a definition, or what type information has made of one that is listed (RFC 5610)."""
        use = self._use(learned.key, learned.version, learned.domain, learned.template)
        if use is not None:
            use.template = learned.template

    def add_sets(self, sets: DataSets) -> None:
        """Count the records of a run of Data Sets."""
        count = sets.num_records
        if sets.template.scope_count:
            self.options_records += count
        else:
            self.records += count
        messages = sets.messages
        # three times as fast as an index of int32[s], and this is most of what a window costs here
        times = messages.export_time.take(sets.message.astype(np.intp), mode="clip")
        if self._is_of_one(messages):
            whose = messages.key(0), int(messages.version[0]), int(messages.domain[0])
            self._count(*whose, sets.template, count, int(times.min()), int(times.max()))
            return
        peer = np.zeros(len(messages), np.int64) if messages.peer is None else messages.peer.astype(np.int64)
        # a version has 4 bits
        marks = (peer << 36 | messages.domain.astype(np.int64) << 4 | messages.version)[sets.message]
        order = np.argsort(marks, kind="stable")
        cuts = np.concatenate([[0], np.flatnonzero(np.diff(marks[order])) + 1])
        firsts = sets.message[order[cuts]].tolist()
        records = np.add.reduceat(sets.count[order], cuts).tolist()
        earliest = np.minimum.reduceat(times[order], cuts).tolist()
        latest = np.maximum.reduceat(times[order], cuts).tolist()
        for m, *facts in zip(firsts, records, earliest, latest, strict=True):
            whose = messages.key(m), int(messages.version[m]), int(messages.domain[m])
            self._count(*whose, sets.template, *facts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "compression": self.compression,
            "content": str(self.content),
            **_findings(self),
            "elements_learned": self.elements_learned,
            "details": {name: _as_json(name, value) for name, value in self.details.items()},
            "capture": None if self.capture is None else self.capture.to_dict(),
            "options": None
            if self.options is None
            else {name: table.to_dicts() for name, table in self.options.tables().items()},
            "domains": [_ledger(ledger) for ledger in self.ledgers],
            "templates": [use.to_dict() for use in self.templates],
            "fault_list": [_fault(fault) for fault in self.fault_list],
            "gap_list": [
                {
                    "exporter": None if g.key is None else str(g.key),
                    "domain": g.domain,
                    "offset": g.offset,
                    "expected": g.expected,
                    "got": g.got,
                    "lost": g.lost,
                    "unit": g.unit,
                }
                for g in self.gap_list
            ],
        }

    def _is_of_one(self, messages: Messages) -> bool:
        """Whether all these Messages are of one exporter, version and domain; worked out once per window."""
        if self._single[0] is not messages:
            columns = (messages.domain, messages.version, messages.peer)
            self._single = messages, all(c is None or bool((c == c[0]).all()) for c in columns)
        return self._single[1]

    def _use(self, key: SessionKey | None, version: int, domain: int, template: Template) -> TemplateUse | None:
        """The entry of a definition; None if there is no room for another."""
        mark = key, version, domain, template.id, template
        use = self._uses.get(mark)
        if use is None and len(self._uses) < TEMPLATES_KEPT:
            use = self._uses[mark] = TemplateUse(domain, template, key, version)
        return use

    def _count(
        self,
        key: SessionKey | None,
        version: int,
        domain: int,
        template: Template,
        records: int,
        first: int,
        last: int,
    ) -> None:
        use = self._use(key, version, domain, template)
        for span in (self, use):
            if span is not None:
                span.first_export = first if span.first_export is None else min(first, span.first_export)
                span.last_export = last if span.last_export is None else max(last, span.last_export)
        if use is not None:
            use.records += records


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
            **_findings(self),
            "sources": [source.to_dict() for source in self.sources],
            "warnings": self.warnings,
            "skipped": [{"name": s.name, "reason": s.reason, "is_foreign": s.is_foreign} for s in self.skipped],
        }


def _findings(found: Findings) -> dict[str, Any]:
    return {
        "is_complete": found.is_complete,
        "octets": found.octets,
        "messages": found.messages,
        "records": found.records,
        "options_records": found.options_records,
        "first_export": found.first_export,
        "last_export": found.last_export,
        "lost": found.lost,
        "lost_messages": found.lost_messages,
        "gaps": found.gaps,
        "checksums_ok": found.checksums_ok,
        "checksums_bad": found.checksums_bad,
        "faults": {str(kind): count for kind, count in found.faults.items()},
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": str(fault.kind),
        "exporter": None if fault.key is None else str(fault.key),
        "offset": fault.offset,
        "domain": fault.domain,
        "count": fault.count,
        "detail": fault.detail,
    }


def _ledger(ledger: DomainLedger) -> dict[str, Any]:
    return {
        "exporter": None if ledger.key is None else str(ledger.key),
        "version": ledger.version,
        "id": ledger.domain,
        "messages": ledger.messages,
        "records": ledger.records,
        "lost": ledger.lost,
        "unit": ledger.unit,
        "late": ledger.late,
        "duplicates": ledger.duplicates,
        "resets": ledger.resets,
        "unknown_gaps": ledger.unknown_gaps,
        "undecodable_sets": ledger.undecodable_sets,
        "malformed": ledger.malformed,
    }


def _as_json(name: str, value: Any) -> Any:
    """A session detail: addresses and octets as text, numbers as they are."""
    try:
        type = registries.IANA.named(name).type
    except UnknownElement:
        type = DataType.OCTET_ARRAY
    if value is not None and (type.is_address or isinstance(value, bytes)):
        return to_text(type if type.is_address else DataType.OCTET_ARRAY, value)
    return value if isinstance(value, int | float | str | None) else str(value)
