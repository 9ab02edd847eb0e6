"""Option records about the exporting itself (RFC 7011 §4.1, §4.3), every so many seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from headwater.model.template import Template
from headwater.session.export_options import statistics_template

if TYPE_CHECKING:
    from headwater.session.exporting import ExportSession
    from headwater.session.outgoing import Outgoing

_PROCESS: Final = 1
"""The exportingProcessId of an exporter that is one."""


@cache
def reliability_template() -> Template:
    """The Exporting Process Reliability Statistics Options Template (RFC 7011 §4.3), for what we count: records.

    They are those between the two times.
    """
    times = ["observationTimeMilliseconds"] * 2
    return Template.of(0, "exportingProcessId{scope}", "notSentFlowTotalCount", *times)


@dataclass(slots=True)
class Statistics:
    """When they are due. interval_s: 0 = never."""

    interval_s: float
    _began: float | None = None
    _next: float = 0.0
    _domains: dict[int, None] = field(default_factory=dict)

    @property
    def templates(self) -> list[Template]:
        """What they consist of."""
        return [statistics_template(), reliability_template()] if self.interval_s else []

    @property
    def next(self) -> float:
        """When they are due, in seconds since 1970; infinity = never."""
        return self._next if self.interval_s and self._domains else float("inf")

    def add(self, domain: int, now: float) -> None:
        """Records are sent in a domain."""
        self._domains[domain] = None
        if self._began is None:
            self._began, self._next = now, now + self.interval_s

    def records(self, session: ExportSession, lost: int, now: float) -> list[Outgoing]:
        """What is due. lost: records that were dropped."""
        if now < self.next or self._began is None:
            return []
        self._next = now + self.interval_s
        out = []
        for domain in self._domains:
            out += session.statistics(now, domain)
            record = {
                "exportingProcessId": _PROCESS,
                "notSentFlowTotalCount": lost,
                "observationTimeMilliseconds": round(self._began * 1000),
                "observationTimeMilliseconds#2": round(now * 1000),
            }
            out += session.send_records(session.template(reliability_template(), domain), [record], domain, now=now)
        return out
