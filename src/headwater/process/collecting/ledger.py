"""The loss ledger of a Collecting Process: what each exporter sent, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.process.source_report import COSTLY

FORMAT: Final = "headwater.collector"
_COSTLY: Final = frozenset(map(str, COSTLY))
_LOSSES: Final = (
    "lost", "lost_messages", "dropped_datagrams", "kernel_drops", "records_lost", "records_refused", "stage_errors",
    "internal_errors", "truncated", "abandoned_octets",
)  # fmt: skip
"""Totals that say that something is missing."""
_NOT_SUMMED: Final = frozenset({"first_seen", "last_seen", "worker", "receive_buffer", "limit", "busy_s", "domains"})


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """What a Collecting Process has counted, at one moment.

    state: "running", "draining" or "stopped". started, now: seconds since 1970.
    listeners, exporters, sinks: a mapping for each, all of its numbers counts since the start.
    queue: octets that wait to be decoded, and the limit. pipeline: counts that belong to no exporter and no sink.
    warnings: what people should know. workers: processes that share the load, where there are several.
    is_stale: the thread that decodes does not answer: these are older counts.
    """

    state: str
    started: float
    now: float
    pid: int
    worker: int = 0
    listeners: list[dict[str, Any]] = field(default_factory=list)
    exporters: list[dict[str, Any]] = field(default_factory=list)
    sinks: list[dict[str, Any]] = field(default_factory=list)
    queue: dict[str, int] = field(default_factory=dict)
    pipeline: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    is_stale: bool = False
    workers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, int]:
        """Sums over all exporters, listeners and sinks; counts of datagrams and octets are those of exporters."""
        sums: Counter[str] = Counter()
        _add(sums, self.exporters)
        of_listeners: Counter[str] = Counter()
        _add(of_listeners, self.listeners)
        for name, count in of_listeners.items():
            sums.setdefault(name, count)
        _add(sums, [{k: v for k, v in sink.items() if k.startswith("records_")} for sink in self.sinks])
        _add(sums, [self.pipeline])
        return dict(sums)

    @property
    def faults(self) -> dict[str, int]:
        """Faults of all exporters, by kind."""
        sums: Counter[str] = Counter()
        for one in self.exporters:
            sums.update(one["faults"])
        return dict(sums.most_common())

    @property
    def losses(self) -> dict[str, int]:
        """What is missing, by cause; nothing where nothing is."""
        totals = self.totals
        found = {name: totals[name] for name in _LOSSES if totals.get(name)}
        return found | {kind: count for kind, count in self.faults.items() if kind in _COSTLY}

    @property
    def is_clean(self) -> bool:
        """Whether nothing that was sent is known to be missing, damaged or not stored."""
        return not self.losses

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "format": FORMAT,
            "version": 1,
            "pid": self.pid,
            "worker": self.worker,
            "state": self.state,
            "started": self.started,
            "now": self.now,
            "is_stale": self.is_stale,
            "workers": self.workers,
            "listeners": self.listeners,
            "queue": self.queue,
            "pipeline": self.pipeline,
            "exporters": self.exporters,
            "sinks": self.sinks,
            "totals": self.totals,
            "losses": self.losses,
            "faults": self.faults,
            "warnings": self.warnings,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> CollectorReport:
        """What `to_dict` made."""
        names = ("state", "started", "now", "pid", "worker", "listeners", "exporters", "sinks", "queue", "pipeline")
        return cls(**{name: found[name] for name in (*names, "warnings", "is_stale", "workers")})

    @classmethod
    def merged(cls, reports: Iterable[CollectorReport], *, pid: int) -> CollectorReport:
        """One report of the processes that share the work."""
        parts = list(reports)
        queue, pipeline = Counter[str](), Counter[str]()
        for part in parts:
            queue.update(part.queue)
            pipeline.update(part.pipeline)
        states = [part.state for part in parts]
        return cls(
            state=next((s for s in ("running", "draining") if s in states), "stopped"),
            started=min((part.started for part in parts), default=0.0),
            now=max((part.now for part in parts), default=0.0),
            pid=pid,
            listeners=[one for part in parts for one in part.listeners],
            exporters=[one for part in parts for one in part.exporters],
            sinks=[one for part in parts for one in part.sinks],
            queue=dict(queue),
            pipeline=dict(pipeline),
            warnings=[one for part in parts for one in part.warnings],
            is_stale=any(part.is_stale for part in parts),
        )


def _add(sums: Counter[str], parts: Iterable[Mapping[str, Any]]) -> None:
    for part in parts:
        for name, value in part.items():
            if isinstance(value, int) and not isinstance(value, bool) and name not in _NOT_SUMMED:
                sums[name] += value
