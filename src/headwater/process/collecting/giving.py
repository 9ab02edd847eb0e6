"""Giving records to sinks: while one of them cannot put down what it has, nothing goes on but answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from headwater.process.collecting.outflow import Outflow
    from headwater.process.collecting.waiting import WorkQueue

_RETRY_S: Final = 1.0


class Giving:
    """Calls sinks, in the thread that decodes.

    queue: of the engine; what is urgent in it is answered while a sink is blocked. tell: is told what goes on.
    failed: logs an exception of a sink that has cost the records it was given; broken: one of which nobody knows what
    it has cost. on_over: is called when who reads our output has seen enough.
    deadline: by time.monotonic(), when sinks that are still blocked are given up. progress: when there was any.
    """

    def __init__(
        self,
        outflows: Sequence[Outflow],
        queue: WorkQueue,
        *,
        tell: Callable[[str], object],
        failed: Callable[[str], None],
        broken: Callable[[str], None],
        on_over: Callable[[], None],
    ) -> None:
        self.outflows = list(outflows)
        self.deadline = float("inf")
        self.progress = time.monotonic()
        self._queue, self._tell, self._on_over = queue, tell, on_over
        self._failed, self._broken = failed, broken

    @property
    def records_missing(self) -> int:
        """Records that sinks were to store and did not."""
        return sum(outflow.records_missing for outflow in self.outflows)

    def flush(self) -> bool:
        """Have all sinks store what they were given; whether they could."""
        done = [self.give(outflow, outflow.sink.flush) for outflow in self.outflows]
        return all(done)

    def give(self, outflow: Outflow, call: Callable[[], object], records: int = 0) -> bool:
        """Call a sink, and wait until it works if it does not; whether it has done it. records: what it is given."""
        if outflow.is_over:
            outflow.came_late += records if outflow.has_failed else 0
            return not outflow.has_failed
        outflow.busy_since = time.monotonic()
        try:
            call()
        except BrokenPipeError:  # who reads our output has seen enough
            outflow.is_over = True
            outflow.sink.abandon()
            self._on_over()
        except OSError as error:
            return self._wait_for(outflow, error)
        except Exception as error:
            outflow.refused += records
            outflow.last_error = f"{type(error).__name__}: {error}"
            if records:
                self._failed(f"sink {outflow.name}: {records} records are lost")
            else:
                self._broken(f"sink {outflow.name} failed")
            return False
        finally:
            outflow.busy_since = None
        return True

    def _wait_for(self, outflow: Outflow, error: OSError) -> bool:
        """Try again until it works, or until the end; whether it works."""
        outflow.is_blocked = True
        while True:
            outflow.last_error = f"{error.strerror or error}"
            self._tell(f"sink {outflow.name}: {outflow.last_error}; nothing more is stored until that is mended")
            self._answer(min(time.monotonic() + _RETRY_S, self.deadline))
            try:
                outflow.sink.retry()
            except OSError as again:
                error = again
                if time.monotonic() >= self.deadline:
                    outflow.sink.abandon()
                    outflow.is_over = outflow.has_failed = True
                    return False
            except Exception as bad:
                outflow.is_blocked, outflow.last_error = False, f"{type(bad).__name__}: {bad}"
                self._broken(f"sink {outflow.name}: what it could not write may be lost")
                return False
            else:
                outflow.is_blocked, outflow.last_error = False, ""
                self._tell(f"sink {outflow.name}: writes again")
                return True

    def _answer(self, end: float) -> None:
        """Do what is urgent until then; the end may be moved nearer meanwhile."""
        while (left := min(end, self.deadline) - time.monotonic()) > 0:
            work = self._queue.next(min(left, _RETRY_S / 10), urgent_only=True)
            if work is not None:
                work.do()
            self.progress = time.monotonic()
