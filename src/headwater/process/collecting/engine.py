"""The engine of a Collecting Process: listeners in threads of their own, and one thread that decodes and stores."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from headwater.batch.batch import Batch
from headwater.errors import TransportError
from headwater.process.collecting.giving import Giving
from headwater.process.collecting.lane import Lane
from headwater.process.collecting.ledger import CollectorReport
from headwater.process.collecting.logs import NAME, Note
from headwater.process.collecting.replay import FeedWork, Replay, StoreWork
from headwater.process.collecting.replay_lane import ReplayLane
from headwater.process.collecting.saving import Saving
from headwater.process.collecting.waiting import LaneOutlet, WorkQueue
from headwater.transport.incoming.block import Block

if TYPE_CHECKING:
    from headwater.process.collecting.outflow import Outflow
    from headwater.process.collecting.settings import CollectingSettings
    from headwater.process.wanted import Wanted
    from headwater.session.events import Event
    from headwater.transport.incoming.block import Listener

Stage = Callable[[Batch], Batch | Iterable[Batch] | None]

_TICK_S: Final = 1.0
_RETRY_S: Final = 1.0
_ANSWER_S: Final = 2.0
"""How long the thread that decodes may take to answer before older counts are shown."""
_MOST_WARNINGS: Final = 100
_GIVE_UP_S: Final = 1.0
"""What a thread gets beyond the time that was left."""


class Engine:
    """Receives, decodes and stores, until it is stopped.

    listeners: open. outflows: their sinks are open. tell: is told faults, gaps and troubles, with who is concerned.
    stages: each makes of a batch another one, several, or None.
    """

    def __init__(
        self,
        settings: CollectingSettings,
        wanted: Wanted,
        listeners: Sequence[Listener],
        outflows: Sequence[Outflow],
        *,
        stages: Sequence[Stage] = (),
        worker: int = 0,
        tell: Callable[[Event | str], object] = lambda _: None,
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.warnings: list[str] = []
        self._worker, self._stages, self._tell, self._on_over = worker, list(stages), tell, on_over
        self._queue = WorkQueue(int(settings.buffer))
        self._lanes = [_lane(one, settings, wanted, tell) for one in listeners]
        self._giving = Giving(
            outflows, self._queue, tell=tell, failed=self._failed, broken=self._broken, on_over=on_over
        )
        self._saving = Saving(settings.state, worker)
        self._pipeline: Counter[str] = Counter(decoded_records=0)
        self._taps: list[Callable[[Batch], object]] = []
        self._threads: list[threading.Thread] = []
        self._collecting: threading.Thread | None = None
        self._is_ending = self._is_over = False
        self._is_whole = True
        self._stopping = threading.Lock()
        self._flushing: set[Future[bool]] = set()
        self._missing_before = 0
        self._pid = os.getpid()
        self._started = time.time()
        self._clock = self._started - time.monotonic()
        self._last: CollectorReport | None = None
        self._final: CollectorReport | None = None
        self._next_tick = 0.0
        self._progress = time.monotonic()

    # ---------------------------------------------------------------- for everybody

    def start(self) -> None:
        """Begin: Templates of the last time are known before the first datagram is decoded."""
        for lane in self._lanes:
            if lane.has_state:
                self._warn(self._saving.load(lane))
        self._collecting = threading.Thread(target=self._collect, name="headwater-collecting", daemon=True)
        self._collecting.start()
        for lane in self._lanes:
            lane.listener.latency = float(self.settings.latency)
            joins = partial(getattr, lane, "is_scattered")
            outlet = LaneOutlet(self._queue, partial(self._take, lane), self._is_allowed, joins)
            name = f"headwater-{lane.name}"
            self._threads.append(threading.Thread(target=self._receive, args=(lane, outlet), name=name, daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, drain_s: float) -> bool:
        """Take what has come, store it, end; whether all of it was stored within `drain_s` seconds.

        Whoever asks again, or meanwhile, gets the same answer.
        """
        with self._stopping:
            if self._final is None:
                self._stop(drain_s)
                for done in list(self._flushing):  # nobody works any more on what they wait for
                    _answer(done, self._is_whole)
            return self._is_whole

    def _stop(self, drain_s: float) -> None:
        deadline = self._giving.deadline = time.monotonic() + drain_s
        self._is_ending = True
        for lane in self._lanes:
            lane.listener.stop()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) + _GIVE_UP_S)
        if self._collecting is not None:
            self._queue.put(0, self._end)
            self._collecting.join(max(0.0, deadline - time.monotonic()) + _GIVE_UP_S)
        for lane in self._lanes:
            lane.listener.close()
        self._is_whole = not any(thread.is_alive() for thread in (*self._threads, *filter(None, [self._collecting])))
        if not self._is_whole:
            self._pipeline["abandoned_octets"] += self._queue.octets
            for outflow in self._giving.outflows:
                outflow.is_cut_off = True
        self._final = self._report("stopped", is_stale=not self._is_whole)

    def report(self) -> CollectorReport:
        """Counts, at this moment if the thread that decodes answers in time."""
        if self._final is not None:
            return self._final
        state = "draining" if self._is_ending else "running"
        if time.monotonic() - self.progress > _ANSWER_S:  # it hangs, in a sink or a stage
            return self._report(state, is_stale=True)
        answer: Future[CollectorReport] = Future()

        def make() -> None:
            if answer.set_running_or_notify_cancel():
                answer.set_result(self._report(state))

        self._queue.put_urgent(make)
        try:
            self._last = answer.result(_ANSWER_S)
        except TimeoutError:
            answer.cancel()
            return self._final or self._report(state, is_stale=True)
        return self._last

    @property
    def progress(self) -> float:
        """When the thread that decodes last did something or looked for work, by time.monotonic()."""
        return max(self._progress, self._giving.progress)

    @property
    def decoded_records(self) -> int:
        """Records that were decoded so far."""
        return self._pipeline["decoded_records"]

    @property
    def received_records(self) -> int:
        """Records that have come so far, whether anybody wants them decoded or not."""
        return sum(lane.num_records for lane in self._lanes)

    def flush(self, timeout: float) -> bool:
        """Store all that has arrived by now; whether that was done in time. In a process that was forked it is not."""
        if os.getpid() != self._pid:  # threads do not come along
            return False
        if self._final is not None:
            return self._is_whole
        end = time.monotonic() + timeout
        handed = [threading.Event() for _ in self._lanes]
        for lane, event in zip(self._lanes, handed, strict=True):
            lane.listener.settle(event.set)
        if not all(event.wait(max(0.0, end - time.monotonic())) for event in handed):
            return False
        done: Future[bool] = Future()
        self._flushing.add(done)
        try:
            self._queue.put(0, lambda: _answer(done, self._giving.flush()))
            if self._final is not None:
                return self._is_whole
            return done.result(max(0.0, end - time.monotonic()))
        except TimeoutError:
            return False
        finally:
            self._flushing.discard(done)

    def tap(self, see: Callable[[Batch], object]) -> Callable[[], None]:
        """Let somebody see all batches, in the thread that decodes; what is returned ends that."""
        self._taps = [*self._taps, see]

        def remove() -> None:
            self._taps = [tap for tap in self._taps if tap is not see]

        return remove

    def change(self, settings: CollectingSettings) -> None:
        """Go on with other settings, as far as they can be changed; certificates are read again.

        Raises TransportError, with nothing changed, if a certificate cannot be used.
        """
        before, self.settings = self.settings, settings  # listeners ask again who may speak
        try:
            for lane in self._lanes:
                lane.listener.reload()
        except BaseException:
            self.settings = before
            for lane in self._lanes:
                with suppress(TransportError):
                    lane.listener.reload()
            raise
        self._queue.limit = int(settings.buffer)
        for lane in self._lanes:
            lane.listener.latency = float(settings.latency)

    # ---------------------------------------------------------------- threads

    def _receive(self, lane: Lane, outlet: LaneOutlet) -> None:
        while True:
            try:
                lane.listener.run(outlet)
            except Exception:  # of ours; what peers send raises nothing
                self._broken(f"{lane.name}: receiving failed")
                if self._is_ending:
                    return
                time.sleep(_RETRY_S)
            else:
                if all(getattr(one.listener, "is_over", False) for one in self._lanes):
                    self._queue.put(0, self._on_over)  # files only, and all of them are read
                return

    def _collect(self) -> None:
        while not self._is_over:
            now = time.monotonic()
            if now >= self._next_tick:
                self._tick(now)
            work = self._queue.next(self._next_tick - now)
            if work is not None:
                try:
                    work.do()
                except Exception:
                    self._broken("decoding failed")
                finally:
                    self._queue.done(work)
            self._progress = time.monotonic()

    def _take(self, lane: Lane, block: Block | FeedWork | StoreWork) -> None:
        if isinstance(block, StoreWork):
            block.finish(is_stored=self._giving.flush() and self._is_all_stored())
            return
        if isinstance(block, Block):
            self._store_block(lane, block)
        wants = bool(self._taps) or any(
            not one.takes_blocks and (one.has_failed or not one.is_over) for one in self._giving.outflows
        )
        take: Any = lane.take
        for batch in take(block, self._clock + time.monotonic(), decode=wants):
            self._pass_on(batch, self._stages)

    def _store_block(self, lane: Lane, block: Block) -> None:
        for outflow in self._giving.outflows:
            if outflow.takes_blocks:
                sink: Any = outflow.sink
                write = partial(sink.write_block, block, lane.listener.transport, lane.listener.address)
                self._giving.give(outflow, write, len(block.datagrams))

    def _pass_on(self, batch: Batch, stages: Sequence[Stage]) -> None:
        """Through the stages, and to all that want it."""
        if not stages:
            self._pipeline["decoded_records"] += batch.num_rows
            self._store(batch)
            return
        try:
            made = stages[0](batch)
            parts = [] if made is None else [made] if isinstance(made, Batch) else list(made)
        except Exception:
            self._pipeline["stage_errors"] += batch.num_rows
            self._failed(f"stage {getattr(stages[0], '__name__', stages[0])}: {batch.num_rows} records are lost")
            return
        for part in parts:
            self._pass_on(part, stages[1:])

    def _store(self, batch: Batch) -> None:
        for tap in self._taps:
            with suppress(Exception):  # who only looks shall not disturb
                tap(batch)
        for outflow in self._giving.outflows:
            if not outflow.takes_blocks:
                sink: Any = outflow.sink
                self._giving.give(outflow, partial(sink.write, batch), batch.num_rows)

    def _is_all_stored(self) -> bool:
        """Whether no record was lost since it was asked last."""
        before, pipeline = self._missing_before, self._pipeline
        self._missing_before = self._giving.records_missing + pipeline["stage_errors"] + pipeline["internal_errors"]
        goes_nowhere = bool(self._giving.outflows) and all(outflow.takes_blocks for outflow in self._giving.outflows)
        return self._missing_before == before and not goes_nowhere

    # ---------------------------------------------------------------- time

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK_S
        for outflow in self._giving.outflows:
            self._giving.give(outflow, partial(outflow.sink.tick, time.time()))
        for lane in self._lanes:
            try:
                self._tell_notes(lane)
                lane.tick(self._clock + now, float(self.settings.idle_exporter))
                if lane.has_state:
                    self._warn(self._saving.save(lane, now))
            except Exception:
                self._broken(f"{lane.name}: what is to be done from time to time failed")

    def _tell_notes(self, lane: Lane) -> None:
        notes: Any = getattr(lane.listener, "notes", ())
        for _ in range(len(notes)):  # and not what comes meanwhile
            self._tell(Note(notes.popleft()))

    def _end(self) -> None:
        try:
            self._warn(self._saving.close([lane for lane in self._lanes if lane.has_state]))
            for lane in self._lanes:
                self._tell_notes(lane)
                for batch in lane.close():
                    self._pass_on(batch, self._stages)
        except Exception:  # sinks are to be closed all the same
            self._broken("ending failed")
        for outflow in self._giving.outflows:
            self._giving.give(outflow, outflow.sink.close)
        self._is_over = True

    # ---------------------------------------------------------------- telling

    def _report(self, state: str, *, is_stale: bool = False) -> CollectorReport:
        last = self._last
        exporters = last.exporters if is_stale and last is not None else []
        if not is_stale:
            exporters = [one for lane in self._lanes for one in lane.to_dicts()]
        return CollectorReport(
            state=state,
            started=self._started,
            now=time.time(),
            pid=os.getpid(),
            worker=self._worker,
            listeners=[self._listener(lane) for lane in self._lanes],
            exporters=exporters,
            sinks=[outflow.to_dict() for outflow in self._giving.outflows],
            queue={"octets": self._queue.octets, "limit": self._queue.limit},
            pipeline={**self._pipeline, "received_records": self.received_records},
            warnings=[*self.warnings, *(warning for lane in self._lanes for warning in lane.listener.warnings)],
            is_stale=is_stale,
        )

    def _listener(self, lane: Lane) -> dict[str, Any]:
        listener = lane.listener
        return {
            "url": lane.name,
            "transport": str(listener.transport),
            "worker": self._worker,
            "sessions": listener.num_sessions,
            **listener.counters,
        }

    def _warn(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text not in self.warnings and len(self.warnings) < _MOST_WARNINGS:
                self.warnings.append(text)

    def _broken(self, what: str) -> None:
        """An exception of ours."""
        self._pipeline["internal_errors"] += 1
        self._failed(what)

    def _failed(self, what: str) -> None:
        """An exception, of a sink or a stage, or of ours."""
        logging.getLogger(NAME).exception("%s", what)

    def _is_allowed(self, address: str) -> bool:
        return is_in(address, self.settings)


def _answer(done: Future[bool], is_whole: bool) -> None:
    with suppress(InvalidStateError):  # it has been answered, by the end
        done.set_result(is_whole)


def _lane(
    listener: Listener, settings: CollectingSettings, wanted: Wanted, tell: Callable[[Event | str], object]
) -> Lane:
    kind = ReplayLane if isinstance(listener, Replay) else Lane
    return kind(listener, settings, wanted, tell)


def is_in(address: str, settings: CollectingSettings) -> bool:
    """Whether an address may export."""
    from headwater.batch.facts import plain_address

    networks = settings.networks
    if not networks:
        return True
    try:
        found = plain_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks if network.version == found.version)
