"""The loss ledger of a Collecting Process: what each exporter sent, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from headwater.process.collecting.exporters import KEPT, OTHERS
from headwater.process.source_report import COSTLY

FORMAT: Final = "headwater.collector"
_COSTLY: Final = frozenset(map(str, COSTLY))
_LOSSES: Final = (
    "lost", "lost_messages", "dropped_datagrams", "kernel_drops", "records_lost", "records_refused", "stage_errors",
    "columns_left_out", "internal_errors", "truncated", "abandoned_octets", "workers_died", "not_session",
)  # fmt: skip
"""Totals that say that something is missing."""
_NOT_SUMMED: Final = frozenset({"worker", "receive_buffer", "limit", "domains"})
"""Whole numbers that are no counts."""


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
        for sink in self.sinks:
            counts = {k: v for k, v in sink.items() if k.startswith("records_") or k == "columns_left_out"}
            if sink.get("counts") == "messages":  # it knows of no records; what it has lost is told all the same
                counts.pop("records_written", None)
            _add(sums, [counts])
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

    def cut_off(self) -> CollectorReport:
        """The last word of a process that has died: what waited in it is lost."""
        waited = self.queue.get("octets", 0)
        pipeline = Counter(self.pipeline) + Counter(workers_died=1, abandoned_octets=waited)
        sinks = [
            {**one, "records_lost": max(one["records"] - one["records_written"], one["records_lost"])}
            for one in self.sinks
        ]
        listeners = [{**one, "sessions": 0} for one in self.listeners]
        return replace(self, queue={}, pipeline=dict(pipeline), sinks=sinks, listeners=listeners)

    def following(self, before: CollectorReport) -> CollectorReport:
        """What this process has counted and the one did whose place it has taken."""
        exporters = _joined([*before.exporters, *self.exporters], "exporter", "transport", "listener")
        exporters.sort(key=lambda one: float(one["last_seen"]), reverse=True)
        if len(exporters) > KEPT:
            rest = ({**one, "exporter": OTHERS} for one in exporters[KEPT:])
            exporters[KEPT:] = _joined(rest, "exporter", "transport", "listener")
        return replace(
            self,
            started=min(before.started, self.started),
            listeners=_joined([*before.listeners, *self.listeners], "url", "worker"),
            exporters=exporters,
            sinks=_joined([*before.sinks, *self.sinks], "name"),
            pipeline=dict(Counter(before.pipeline) + Counter(self.pipeline)),
            warnings=list(dict.fromkeys([*before.warnings, *self.warnings])),
        )

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
            sinks=[{"worker": part.worker, **one} for part in parts for one in part.sinks],
            queue=dict(queue),
            pipeline=dict(pipeline),
            warnings=[one for part in parts for one in part.warnings],
            is_stale=any(part.is_stale for part in parts),
        )


def _joined(parts: Iterable[Mapping[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Those that have the same names as one, with all that they have counted."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for part in parts:
        mark = tuple(part.get(name) for name in names)
        before = found.get(mark)
        found[mark] = dict(part) if before is None else {**before, **part, **_sums(before, part)}
    return list(found.values())


def _sums(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    sums: Counter[str] = Counter()
    _add(sums, [one, other])
    del sums["sessions"]  # those of a process that is no more have ended
    out: dict[str, Any] = dict(sums)
    if "faults" in one:
        out["faults"] = dict(Counter(one["faults"]) + Counter(other["faults"]))
        out["versions"] = sorted({*one["versions"], *other["versions"]})
        out["first_seen"] = min(filter(None, (one["first_seen"], other["first_seen"])), default=0.0)
        out["last_seen"] = max(one["last_seen"], other["last_seen"])
    return out


def _add(sums: Counter[str], parts: Iterable[Mapping[str, Any]]) -> None:
    for part in parts:
        for name, value in part.items():
            if isinstance(value, int) and not isinstance(value, bool) and name not in _NOT_SUMMED:
                sums[name] += value
