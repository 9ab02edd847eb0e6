"""Rates of exporters between one report of a collector and the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Rates:
    """records, bits: of all, a second."""

    def __init__(self) -> None:
        self.records = self.bits = 0.0
        self._rates: dict[tuple[Any, ...], tuple[float, float]] = {}
        self._counts: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._at = 0.0

    def take(self, report: Mapping[str, Any]) -> None:
        """Compare a report with the last one."""
        now = float(report.get("now", 0))
        counts = {_key(one): _counts(one) for one in report.get("exporters", ())}
        counts[()] = _counts(report.get("totals", {}))
        seconds = now - self._at
        if self._at and seconds > 0:
            self._rates = {
                key: (max(0, records - before[0]) / seconds, max(0, octets - before[1]) * 8 / seconds)
                for key, (records, octets) in counts.items()
                if (before := self._counts.get(key, (0, 0)))
            }
            self.records, self.bits = self._rates[()]
        self._counts, self._at = counts, now

    def of(self, exporter: Mapping[str, Any]) -> tuple[float, float]:
        """Records and bits a second of one exporter."""
        return self._rates.get(_key(exporter), (0.0, 0.0))


def _key(exporter: Mapping[str, Any]) -> tuple[Any, ...]:
    return exporter.get("listener"), exporter.get("exporter"), exporter.get("worker")


def _counts(row: Mapping[str, Any]) -> tuple[int, int]:
    return int(row.get("records", 0)), int(row.get("octets", 0))
