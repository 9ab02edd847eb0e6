"""Where records go to: a sink with what happened to it, and other things that may stand for a sink."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headwater.sinks.collecting import SinkCounters

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.sinks.cells import Mask
    from headwater.sinks.collecting import BatchSink, BlockSink


class Outflow:
    """A sink in use. is_blocked: it cannot put down what it has, and is given nothing more until it can.

    refused: records that it raised something else than an OSError for; they are not stored.
    busy_since: by time.monotonic(), since when a call of it goes on; None = none does.
    """

    def __init__(self, sink: BatchSink | BlockSink) -> None:
        self.sink = sink
        self.takes_blocks = hasattr(sink, "write_block")
        self.is_blocked = self.is_over = False
        self.refused = 0
        self.busy_since: float | None = None
        self.last_error = ""

    @property
    def name(self) -> str:
        return self.sink.name

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        counts = dict(self.sink.counters.to_dict())
        since = self.busy_since
        return {
            "name": self.name,
            **counts,
            "records_refused": self.refused,
            "is_blocked": self.is_blocked,
            "is_over": self.is_over,
            "busy_s": 0.0 if since is None else round(time.monotonic() - since, 1),
            "last_error": self.last_error or counts["last_error"],
        }


class PlainSink:
    """A function, or an object with a `write`, as a sink: it takes each batch, and there is nothing to end.

    Methods `open`, `flush` and `close` are called where the object has them.
    """

    def __init__(self, target: Any) -> None:
        self.name = getattr(target, "name", None) or getattr(target, "__name__", None) or type(target).__name__
        self.counters = SinkCounters()
        self._target = target
        self._write: Callable[[Batch], Any] = target.write if hasattr(target, "write") else target

    def open(self) -> list[str]:
        self._call("open")
        return []

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        self._write(batch)
        self.counters.records += batch.num_rows
        self.counters.records_written += batch.num_rows
        return batch.num_rows

    def tick(self, now: float) -> None:
        """Nothing is kept back."""

    def retry(self) -> None:
        """Nothing waits."""

    def flush(self) -> None:
        self._call("flush")

    def close(self) -> None:
        self._call("close")

    def abandon(self) -> None:
        """Nothing waits."""

    def _call(self, name: str) -> None:
        method = getattr(self._target, name, None)
        if callable(method):
            method()


def as_sink(target: Any) -> BatchSink | BlockSink:
    """A sink of what a user gives as one. Raises TypeError for what cannot be one."""
    if hasattr(target, "write_block") or (hasattr(target, "write") and hasattr(target, "counters")):
        found: BatchSink | BlockSink = target
        return found
    if callable(target) or hasattr(target, "write"):
        return PlainSink(target)
    raise TypeError(f"a sink is a target such as 'flows/', a function or an object with write(batch), not {target!r}")
