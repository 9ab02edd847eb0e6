"""What one transport session remembers between buffers, and where its faults are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.errors import FaultKind
from headwater.session.held import HeldSets
from headwater.session.key import Transport
from headwater.session.limits import Limits
from headwater.session.templates import TemplateTable

if TYPE_CHECKING:
    from collections.abc import Mapping

MALFORMED = frozenset(
    {
        FaultKind.SHORT_HEADER,
        FaultKind.VERSION,
        FaultKind.BAD_LENGTH,
        FaultKind.TRUNCATED,
        FaultKind.SET_LENGTH,
        FaultKind.SET_OVERRUN,
        FaultKind.TRAILING_SET_HEADER,
        FaultKind.TEMPLATE_OVERRUN,
        FaultKind.TEMPLATE_ID,
        FaultKind.SCOPE_ZERO,
        FaultKind.SCOPE_COUNT,
        FaultKind.OPTIONS_LENGTH,
        FaultKind.AGGREGATION,
        FaultKind.VARLEN_OVERRUN,
    }
)
"""Faults that make a Message malformed: it is discarded, or with salvage read up to the fault (RFC 7011 §9.1)."""

FATAL = MALFORMED | {FaultKind.FRAMING_LOST, FaultKind.TRUNCATED_TAIL, FaultKind.TEMPLATE_BAD_LENGTH}
"""Faults that a session with strict=True raises."""


_DETAILS_KEPT = 256


@dataclass(slots=True)
class State:
    """Everything a pass over one buffer reads and changes.

    details: what option records with a session scope said (RFC 5655 §8.1.2-3), by element name.
    teachers: (domain index, Template ID) of Templates for type information records.
    taught: hashes of Data Sets of type information already understood.
    """

    table: TemplateTable
    limits: Limits
    transport: Transport
    salvage: bool
    checksum: str
    held: HeldSets
    counters: Counter[str] = field(default_factory=Counter)
    details: dict[str, Any] = field(default_factory=dict)
    teachers: set[tuple[int, int]] = field(default_factory=set)
    taught: set[int] = field(default_factory=set)

    def add_details(self, record: Mapping[str, Any]) -> None:
        """Note what an option record said of the session; of very many names the first are kept."""
        for name, value in record.items():
            if name in self.details or len(self.details) < _DETAILS_KEPT:
                self.details[name] = value
