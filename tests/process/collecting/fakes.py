"""A Collecting Process that only says what it is told to say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from headwater.batch import Batch
from headwater.process.collecting import control

EXPORTER: dict[str, Any] = {
    "exporter": "192.0.2.1:5000",
    "transport": "udp",
    "listener": "udp://127.0.0.1:4739",
    "domains": 1,
    "versions": [10],
    "templates": 2,
    "first_seen": 1_700_000_000.0,
    "last_seen": 1_700_000_060.0,
    "datagrams": 100,
    "octets": 140_000,
    "messages": 100,
    "records": 2_000,
    "options_records": 2,
    "lost": 0,
    "lost_messages": 0,
    "late": 0,
    "duplicates": 0,
    "resets": 0,
    "unknown_gaps": 0,
    "undecodable_sets": 0,
    "malformed": 0,
    "dropped_datagrams": 0,
    "faults": {},
}
LISTENER: dict[str, Any] = {
    "url": "udp://127.0.0.1:4739",
    "transport": "udp",
    "worker": 0,
    "sessions": 1,
    "datagrams": 100,
    "octets": 140_000,
    "kernel_drops": 0,
    "dropped_datagrams": 0,
    "dropped_octets": 0,
    "refused": 0,
    "receive_buffer": 1 << 24,
}
SINK: dict[str, Any] = {
    "name": "parquet flows/",
    "records": 2_000,
    "records_written": 1_500,
    "records_lost": 0,
    "segments": 3,
    "octets": 60_000,
    "errors": 0,
    "torn": 0,
    "is_blocked": False,
    "last_error": "",
}


def report_of(*exporters: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A report with these exporters; what is not said of one is as in EXPORTER."""
    rows = [{**EXPORTER, **exporter} for exporter in exporters or ({},)]
    numbers = ("datagrams", "octets", "messages", "records", "lost", "dropped_datagrams", "malformed")
    report = {
        "format": "headwater.collector",
        "version": 1,
        "pid": 4242,
        "started": 1_700_000_000.0,
        "now": 1_700_000_060.0,
        "state": "running",
        "is_stale": False,
        "worker": 0,
        "listeners": [dict(LISTENER)],
        "queue": {"octets": 1 << 20, "limit": 64 << 20},
        "exporters": rows,
        "sinks": [dict(SINK)],
        "totals": {name: sum(row[name] for row in rows) for name in numbers} | {"kernel_drops": 0, "records_lost": 0},
        "pipeline": {"decoded_records": sum(row["records"] for row in rows)},
        "losses": {},
        "faults": {},
        "warnings": [],
    }
    return {**report, **others}


class FakeReport:
    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def to_dict(self) -> dict[str, Any]:
        return self._said


class FakeCollector:
    """said: its report. flushes: how often it was flushed. taps: who sees batches."""

    def __init__(self, **others: Any) -> None:
        self.said = report_of(**others)
        self.flushes = 0
        self.taps: list[Callable[[Batch], object]] = []
        self.stopped = threading.Event()
        self.may_flush = threading.Event()
        self.may_flush.set()

    def report(self) -> FakeReport:
        return FakeReport(self.said)

    def flush(self, timeout: float = 30.0) -> bool:
        if not self.may_flush.wait(timeout):
            return False
        self.flushes += 1
        return True

    def request_stop(self) -> None:
        self.stopped.set()

    def tap(self, see: Callable[[Batch], object]) -> Callable[[], None]:
        self.taps.append(see)
        return lambda: self.taps.remove(see)


def ask(path: str, request: str | dict[str, Any]) -> dict[str, Any]:
    """As control.ask, but with patience for a machine that does other things as well."""
    return control.ask(path, request, 60.0)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for a condition. Raises AssertionError when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


@contextmanager
def served(collector: FakeCollector, path: Any, **options: Any) -> Iterator[str]:
    """The control socket of a collector, for the time of a test."""
    from headwater.process.collecting.control_server import ControlServer

    server = ControlServer(collector, str(path), **options)
    server.start()
    try:
        yield server.path
    finally:
        server.close()
