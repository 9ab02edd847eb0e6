"""What reading found in one source besides records, live while reading goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.batch.option_versions import Origin
from headwater.errors import Fault, FaultKind, UnknownElement
from headwater.model import registry as registries
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.process.findings import findings_to_dict
from headwater.session.state import MALFORMED
from headwater.transport.content import Content

if TYPE_CHECKING:
    from headwater.batch.option_table import OptionTable
    from headwater.batch.options_tables import OptionsTables
    from headwater.model.template import Template
    from headwater.session.events import DataSets, Messages, SequenceGap, TemplateLearned
    from headwater.session.key import SessionKey
    from headwater.session.sequence import DomainLedger

CUT_SHORT = frozenset(
    {
        FaultKind.CAPTURE_DAMAGED,
        FaultKind.TRUNCATED_TAIL,
        FaultKind.PACKET_TRUNCATED,
        FaultKind.FRAGMENT_LOST,
        FaultKind.STREAM_GAP,
    }
)
"""Faults of captures that lack a part of what was to be read. Damaged packets need not be flow export."""

COSTLY = (
    MALFORMED
    | CUT_SHORT
    | {
        FaultKind.FRAMING_LOST,
        FaultKind.RESYNC,
        FaultKind.TEMPLATE_LIMIT,
        FaultKind.SESSION_LIMIT,
        FaultKind.ZERO_LENGTH_RECORD,
        FaultKind.HELD_DROPPED,
        FaultKind.CHECKSUM,
    }
)
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

    format: "pcap" or "pcapng". packets: by name, as `Capture` describes them.
    ignored_ports: ignored UDP datagrams by destination port.
    links: packets of link types that are not known, by type.
    """

    format: str
    packets: Mapping[str, int]
    ignored_ports: Mapping[int, int]
    links: Mapping[int, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        ports, links = ({str(n): count for n, count in m.items()} for m in (self.ignored_ports, self.links))
        return {"format": self.format, **self.packets, "ignored_ports": ports, "unknown_links": links}


@dataclass(slots=True)
class SourceReport:
    """What one source held; see Findings.

    name: as users know it. compression: "gzip", … or "". content: what it is.
    templates: in the order of their definition. ledgers: the loss ledger of each Observation Domain of each exporter.
    capture: what was counted of the packets of a capture, None for files.
    options: what option records said, where that was asked for; captures that are read one after the other share it
    (see option_tables). fault_list, gap_list: the first FAULTS_KEPT of them.
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
    def option_tables(self) -> dict[str, OptionTable]:
        """What option records said of the exporters of this source, by table; nothing where nobody asked."""
        if self.options is None:
            return {}
        exporters = {Origin.of(ledger.key, ledger.domain, ledger.version).address for ledger in self.ledgers}
        return self.options.tables(exporters)

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
        self.gaps += gap.count
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
            **findings_to_dict(self),
            "elements_learned": self.elements_learned,
            "details": {name: _as_json(name, value) for name, value in self.details.items()},
            "capture": None if self.capture is None else self.capture.to_dict(),
            "options": None
            if self.options is None
            else {name: table.to_dicts() for name, table in self.option_tables.items()},
            "domains": [_ledger(ledger) for ledger in self.ledgers],
            "templates": [use.to_dict() for use in self.templates],
            "fault_list": [_fault(fault) for fault in self.fault_list],
            "gap_list": [_gap(gap) for gap in self.gap_list],
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


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": str(fault.kind),
        "exporter": None if fault.key is None else str(fault.key),
        "offset": fault.offset,
        "domain": fault.domain,
        "count": fault.count,
        "detail": fault.detail,
    }


def _gap(gap: SequenceGap) -> dict[str, Any]:
    return {
        "exporter": None if gap.key is None else str(gap.key),
        "domain": gap.domain,
        "offset": gap.offset,
        "expected": gap.expected,
        "got": gap.got,
        "lost": gap.lost,
        "unit": gap.unit,
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
