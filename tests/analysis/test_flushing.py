"""Collectors that cannot put down what they have when a question asks them to."""

from __future__ import annotations

from pathlib import Path

from headwater.analysis.flushing import flush_collectors
from tests.process.collecting.fakes import SINK, FakeCollector, report_of, served


def test_a_sink_that_is_blocked_is_what_the_warning_tells_of(tmp_path: Path) -> None:
    collector = FakeCollector()
    blocked = {**SINK, "is_blocked": True, "last_error": "[Errno 28] No space left on device"}
    collector.said = report_of(sinks=[blocked, blocked, {**SINK, "name": "csv more/"}])
    collector.flush = lambda timeout=30.0: False  # type: ignore[method-assign]
    warnings: list[str] = []
    with served(collector, tmp_path / "control.sock", folders=[tmp_path]) as path:
        flush_collectors([str(tmp_path)], warnings.append, timeout=60.0)
    assert warnings == [
        f"the collector at {path}: sink parquet flows/ is blocked: No space left on device; "
        "the newest records may be missing"
    ]


def test_a_flush_that_takes_too_long_while_a_sink_is_blocked_tells_of_the_sink(tmp_path: Path) -> None:
    collector = FakeCollector(sinks=[{**SINK, "is_blocked": True, "last_error": "full"}])
    collector.may_flush.clear()
    warnings: list[str] = []
    with served(collector, tmp_path / "control.sock", folders=[tmp_path]):
        flush_collectors([str(tmp_path)], warnings.append, timeout=0.05, status_timeout=60.0)
        collector.may_flush.set()
    assert len(warnings) == 1
    assert "sink parquet flows/ is blocked: full" in warnings[0]


def test_a_flush_that_fails_with_no_sink_blocked_tells_what_the_collector_says(tmp_path: Path) -> None:
    collector = FakeCollector()
    collector.flush = lambda timeout=30.0: False  # type: ignore[method-assign]
    warnings: list[str] = []
    with served(collector, tmp_path / "control.sock", folders=[tmp_path]):
        flush_collectors([str(tmp_path)], warnings.append, timeout=60.0)
    assert len(warnings) == 1
    assert "not all that has arrived could be stored within 30 s; the newest records may be missing" in warnings[0]
