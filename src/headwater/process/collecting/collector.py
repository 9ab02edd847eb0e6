"""Collector: a Collecting Process (RFC 7011 §2) as an object."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import structs

from headwater.errors import HeadwaterError
from headwater.process.collecting.endpoints import Endpoints
from headwater.process.collecting.engine import Engine, Stage
from headwater.process.collecting.handing import Handing
from headwater.process.collecting.ledger import CollectorReport
from headwater.process.collecting.logs import NAME, log_event
from headwater.process.collecting.outflow import Outflow, as_sink
from headwater.process.collecting.settings import PROVENANCE, CollectingSettings, SinkSettings, settings_of
from headwater.process.collecting.workers import Workers, num_workers
from headwater.process.wanted import Wanted

if TYPE_CHECKING:
    import os
    import socket
    from collections.abc import Mapping

    from headwater.batch.batch import Batch
    from headwater.process.collecting.replay_url import ReplayUrl
    from headwater.session.events import Event
    from headwater.transport.incoming.block import Listener
    from headwater.transport.incoming.url import ListenUrl

_LOOK_S: Final = 0.1
_FLUSH_S: Final = 30.0


class Collector:
    """Receives flow export on any number of addresses, decodes it and hands it to sinks.

    listen: URLs such as "udp://0.0.0.0:4739", of udp, tcp, tls, dtls and sctp; all versions of NetFlow and IPFIX.
    sinks: where records go: targets such as "flows/" (Parquet), "ndjson:flows/", "spool:raw/" or "-", functions that
        take a batch, objects with `write(batch)`. None is needed by who iterates.
    stages: functions that make of each batch another one, several, or None.
    options: what CollectingSettings has, such as select=, state=, buffer= or allow=; settings: all of it in one.
    control="auto" lets `headwater status`, `top` and `query` find it, metrics="127.0.0.1:9739" serves /metrics there.
    on_event: is told faults, gaps and sentences; without it they go to the logger "headwater.collector".
    on_reload: what a request to reload does, and gives what needs a restart; without it certificates are read again.

    Nothing is opened before it runs. It can be run once: by `run`, by iterating, with `async for`, or by
    `start` and `stop`, which `with` calls.

        with hw.Collector("udp://127.0.0.1:4739", sinks=["flows/"]) as collector:
            time.sleep(60)
        print(collector.report().totals["records"])
    """

    def __init__(
        self,
        listen: str | Iterable[str] = (),
        *,
        sinks: Any = (),
        stages: Iterable[Stage] = (),
        settings: CollectingSettings | None = None,
        sockets: Sequence[socket.socket] = (),
        worker: int = 0,
        on_event: Callable[[Event | str], object] = log_event,
        on_reload: Callable[[], list[str]] | None = None,
        **options: Any,
    ) -> None:
        targets, objects = _sorted_sinks(sinks)
        if settings is None:
            settings = settings_of(listen, targets, **options)
        elif listen or options or targets:
            raise HeadwaterError("give settings, or listen, sinks and options, not both")
        self.settings = settings
        self._objects = [as_sink(one) for one in objects]
        self._stages = list(stages)
        self._wanted = _wanted(settings)
        self._wanted.decoder(None)  # a name that means nothing is told at once
        self._inherited, self._worker = list(sockets), worker
        self._on_event = on_event
        self._listeners: list[Listener] = []
        self._engine: Engine | Workers | None = None
        self._handing: Handing | None = None
        self._reader: int | None = None
        self._endpoints = Endpoints(self, on_reload or self._reread)
        self._asked_to_stop = threading.Event()
        self._was_whole = True

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<Collector {', '.join(self.addresses or self.settings.listen)}: {state}>"

    # ---------------------------------------------------------------- running

    def start(self) -> None:
        """Open sinks and addresses, and begin. Raises HeadwaterError, and then nothing is left open."""
        if self._engine is not None:
            raise HeadwaterError("a Collector runs once; make another one")
        engine = self._started_workers() if num_workers(self.settings) > 1 else self._started_engine()
        self._engine = engine
        try:
            engine.warnings += self._endpoints.start()
        except BaseException:
            self.stop()
            raise
        if self._asked_to_stop.is_set():  # meanwhile, when there was nothing to stop yet
            self.stop()

    def _started_engine(self) -> Engine:
        from headwater.transport.incoming.opening import earlier_drops

        outflows: list[Outflow] = []
        warnings: list[str] = earlier_drops(self._inherited)
        try:
            for sink in [*self._made_sinks(), *self._objects, *filter(None, [self._handing])]:
                warnings += sink.open()
                outflows.append(Outflow(sink))
            for url in self.settings.urls:
                self._listeners.append(self._opened(url))
            for files in self.settings.replays:
                self._listeners.append(self._replay(files))
            engine = Engine(
                self.settings,
                self._wanted,
                self._listeners,
                outflows,
                stages=self._stages,
                worker=self._worker,
                tell=self._tell,
                on_over=self.request_stop,
            )
            engine.warnings += warnings
            engine.start()
        except BaseException:
            for listener in self._listeners:
                listener.close()
            for outflow in outflows:
                outflow.sink.abandon()
            raise
        return engine

    def stop(self, drain: float | None = None) -> CollectorReport:
        """Take what has come, store it, and end; the counts of all.

        drain: seconds that this may take (default: of the settings); what could not be stored by then is counted.
        Who iterates only asks for it by this: the iteration goes on to the last batch, or is left.
        """
        self._asked_to_stop.set()
        if self._engine is not None and self._reader != threading.get_ident():
            seconds = float(self.settings.drain) if drain is None else drain
            try:
                self._was_whole = self._engine.stop(seconds)
            finally:
                self._endpoints.close()
            if self._handing is not None:
                self._handing.close()
        return self.report()

    def request_stop(self) -> None:
        """Let `run` or an iteration come to its end; from any thread, or a signal handler."""
        self._asked_to_stop.set()

    def run(self, seconds: float | None = None, records: int | None = None) -> CollectorReport:
        """Collect until `request_stop`, so many seconds, or so many records that have come."""
        with self:
            end = None if seconds is None else time.monotonic() + seconds
            while not self._asked_to_stop.wait(_LOOK_S if end is None else min(_LOOK_S, end - time.monotonic())):
                if end is not None and time.monotonic() >= end:
                    break
                if records is not None and self._engine is not None and self._engine.received_records >= records:
                    break
        return self.report()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Batch]:
        handing = self._begin_handing()
        ender = threading.Thread(target=self._end_when_asked, daemon=True, name="headwater-ending")
        ender.start()
        try:
            yield from handing
        finally:
            handing.leave()
            self.request_stop()
            ender.join()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        handing = self._begin_handing()
        ender = threading.Thread(target=self._end_when_asked, daemon=True, name="headwater-ending")
        ender.start()
        try:
            async for batch in handing:
                yield batch
        finally:
            handing.leave()
            self.request_stop()
            await asyncio.to_thread(ender.join)

    # ---------------------------------------------------------------- looking

    @property
    def is_running(self) -> bool:
        """Whether it has begun and was not asked to end."""
        return self._engine is not None and not self._asked_to_stop.is_set()

    @property
    def is_whole(self) -> bool:
        """Whether all that had come when it was stopped was stored in time."""
        return self._was_whole

    @property
    def addresses(self) -> list[str]:
        """What it listens on, as URLs; a port that was 0 is the one that it got."""
        if isinstance(self._engine, Workers):
            return self._engine.addresses
        return [listener.url.bound_to(listener.address) for listener in self._listeners]

    @property
    def control(self) -> str:
        """The path of its control socket, "" = there is none."""
        return self._endpoints.control

    @property
    def metrics_url(self) -> str:
        """Where it serves metrics, "" = nowhere."""
        return self._endpoints.metrics_url

    @property
    def decoded_records(self) -> int:
        """Records that were decoded so far."""
        return 0 if self._engine is None else self._engine.decoded_records

    @property
    def progress(self) -> float:
        """When the thread that decodes last did something or looked for work, by time.monotonic()."""
        return 0.0 if self._engine is None else self._engine.progress

    def report(self) -> CollectorReport:
        """All counts at this moment; from any thread."""
        if self._engine is None:
            return CollectorReport("stopped", 0.0, time.time(), 0)
        return self._engine.report()

    def flush(self, timeout: float = _FLUSH_S) -> bool:
        """Give all that has arrived by now its place in the sinks, durable; whether that was done in time."""
        return self._engine is not None and self._engine.flush(timeout)

    def tap(self, see: Callable[[Batch], object]) -> Callable[[], None]:
        """Let a function see all batches, in the thread that decodes; what is returned ends that."""
        if self._engine is None:
            raise HeadwaterError("the collector does not run")
        return self._engine.tap(see)

    def reload(self, settings: CollectingSettings) -> list[str]:
        """Go on with other settings and with the certificates as they are now; what needs a restart.

        Raises HeadwaterError, and then all is as it was.
        """
        if self._engine is None:
            raise HeadwaterError("the collector does not run")
        changes = self.settings.changes(settings)
        merged = structs.replace(self.settings, **changes.live)
        self._engine.change(merged)
        self.settings = merged
        return changes.restart

    # ---------------------------------------------------------------- parts

    def _started_workers(self) -> Workers:
        if self._objects or self._stages or self._handing is not None:
            message = "several workers are processes of their own: give sinks as targets, no functions and no stages"
            raise HeadwaterError(message)
        if any(one.to in ("-", "stdout") or one.to.endswith(":-") for one in self.settings.sinks):
            raise HeadwaterError("several workers cannot share standard output: give a folder, or workers=1")
        engine = Workers(self.settings, self._inherited, self._tell)
        engine.start()
        return engine

    def _made_sinks(self) -> list[Any]:
        from headwater.sinks.targets import sink_of

        return [sink_of(one.target, worker=self._worker, select=self._wanted.select) for one in self.settings.sinks]

    def _opened(self, url: ListenUrl) -> Listener:
        from headwater.transport.incoming.opening import open_listener, take_inherited

        return open_listener(url, take_inherited(url, self._inherited))

    def _replay(self, url: ReplayUrl) -> Any:
        from pathlib import Path

        from headwater.process.collecting.replay import Replay

        settings = self.settings
        state = None if settings.state is None else Path(settings.state)
        replay = Replay(url, limits=settings.session_limits, policy=settings.policy, state=state)
        replay.open()
        return replay

    def _begin_handing(self) -> Handing:
        self._handing, self._reader = Handing(), threading.get_ident()
        self.start()
        return self._handing

    def _tell(self, event: Event | str) -> None:
        try:
            self._on_event(event)
        except Exception:  # who is told shall not end the thread that tells
            logging.getLogger(NAME).exception("on_event has failed", extra={"kind": "on_event"})

    def _reread(self) -> list[str]:
        return self.reload(self.settings)

    def _end_when_asked(self) -> None:
        self._asked_to_stop.wait()
        self.stop()


def _sorted_sinks(
    sinks: Any,
) -> tuple[list[str | os.PathLike[str] | Mapping[str, Any] | SinkSettings], list[object]]:
    """Targets, and objects that are sinks themselves."""
    import os
    from collections.abc import Mapping

    given = [sinks] if isinstance(sinks, str | os.PathLike | Mapping | SinkSettings) or callable(sinks) else list(sinks)
    targets = [one for one in given if isinstance(one, str | os.PathLike | Mapping | SinkSettings)]
    return targets, [one for one in given if not isinstance(one, str | os.PathLike | Mapping | SinkSettings)]


def _wanted(settings: CollectingSettings) -> Wanted:
    select = None if settings.select is None else tuple(settings.select)
    is_default = tuple(settings.provenance) == PROVENANCE
    return Wanted.of(
        select,
        () if select is not None and is_default else tuple(settings.provenance),  # who selects gets just that
        settings.derived,
        resolve_time=settings.resolve_time,
        scale_sampling=settings.scale_sampling,
        join_options=settings.join_options,
    )
