"""Where records go to: a sink with what happened to it, and other things that may stand for a sink."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from headwater.sinks.collecting import SinkCounters

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.collecting import BatchSink, BlockSink

_ERROR_NUMBER: Final = re.compile(r"^\[Errno \d+\] ")


class Outflow:
    """A sink in use. is_blocked: it cannot put down what it has, and is given nothing more until it can.

    refused: records that it raised something else than an OSError for. came_late: those that came after it had failed.
    has_failed: it was given up with what it could not put down. is_over: it is given nothing more for that reason, or
    as who reads it has seen enough. is_cut_off: it did not come to its end, so what waits in it is lost.
    busy_since: by time.monotonic(), since when a call of it goes on; None = none does.
    """

    def __init__(self, sink: BatchSink | BlockSink) -> None:
        self.sink = sink
        self.takes_blocks = hasattr(sink, "write_block")
        self.is_blocked = self.is_over = self.has_failed = self.is_cut_off = False
        self.refused = self.came_late = 0
        self.busy_since: float | None = None
        self.last_error = ""

    @property
    def name(self) -> str:
        return self.sink.name

    @property
    def records_missing(self) -> int:
        """Records that it was to store and did not."""
        return self.refused + self.came_late + self.sink.counters.records_lost

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        counters = self.sink.counters
        counts: dict[str, Any] = dict(counters.to_dict())
        if self.is_cut_off:
            counts["records_lost"] = max(counters.records - counters.records_written, counters.records_lost)
        counts["records"] = counters.records + self.came_late
        counts["records_lost"] += self.came_late
        since = self.busy_since
        return {
            "name": self.name,
            "counts": "messages" if self.takes_blocks else "records",
            **counts,
            "records_refused": self.refused,
            "is_blocked": self.is_blocked,
            "is_over": self.is_over,
            "busy_s": 0.0 if since is None else round(time.monotonic() - since, 1),
            "last_error": self.last_error or counts["last_error"],
        }


class PlainSink:
    """A function, or an object with a `write`, as a sink: it takes each batch, and there is nothing to end.

    Methods `open`, `flush` and `close` are called where the object has them. After an OSError the same is called
    again, with the same batch.
    """

    def __init__(self, target: Any) -> None:
        self.name = getattr(target, "name", None) or getattr(target, "__name__", None) or type(target).__name__
        self.counters = SinkCounters()
        self._target = target
        self._write: Callable[[Batch], Any] = target.write if hasattr(target, "write") else target
        self._undone: Callable[[], object] | None = None

    def open(self) -> list[str]:
        self._call("open")
        return []

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        count = batch.num_rows
        self.counters.records += count
        try:
            self._attempt(partial(self._put, batch))
        except OSError:
            raise
        except Exception:
            self.counters.records -= count  # they are counted as refused
            raise
        return count

    def tick(self, now: float) -> None:
        """Nothing is kept back."""

    def retry(self) -> None:
        if self._undone is not None:
            self._attempt(self._undone)

    def flush(self) -> None:
        self._attempt(partial(self._call, "flush"))

    def close(self) -> None:
        self._attempt(partial(self._call, "close"))

    def abandon(self) -> None:
        self._undone = None
        self.counters.records_lost = self.counters.records - self.counters.records_written

    def _put(self, batch: Batch) -> None:
        self._write(batch)
        self.counters.records_written += batch.num_rows

    def _attempt(self, do: Callable[[], object]) -> None:
        self._undone = None
        try:
            do()
        except OSError as bad:
            self._undone = do
            self.counters.errors += 1
            self.counters.last_error = str(bad)
            raise

    def _call(self, name: str) -> None:
        method = getattr(self._target, name, None)
        if callable(method):
            method()


def blocked_sinks(report: Mapping[str, Any]) -> list[str]:
    """A sentence for each sink that a report says is blocked, with the reason."""
    found: dict[str, None] = {}
    for one in report.get("sinks", ()):
        if one.get("is_blocked"):
            found[f"sink {one.get('name')} is blocked: {plain_error(one) or 'it cannot be written'}"] = None
    return list(found)


def plain_error(sink: Mapping[str, Any]) -> str:
    """The last error of a sink of a report, without its number."""
    return _ERROR_NUMBER.sub("", str(sink.get("last_error") or ""))


def as_sink(target: Any) -> BatchSink | BlockSink:
    """A sink of what a user gives as one. Raises TypeError for what cannot be one."""
    if hasattr(target, "write_block") or (hasattr(target, "write") and hasattr(target, "counters")):
        found: BatchSink | BlockSink = target
        return found
    if callable(target) or hasattr(target, "write"):
        return PlainSink(target)
    raise TypeError(f"a sink is a target such as 'flows/', a function or an object with write(batch), not {target!r}")
