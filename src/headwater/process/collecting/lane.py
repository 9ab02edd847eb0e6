"""A lane: what one listener receives, through a session of its own, to batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from headwater.batch.decode import Decoder
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.errors import Fault
from headwater.process.collecting.exporters import Exporters
from headwater.process.state_file import StateFile
from headwater.session.collecting import Session
from headwater.session.events import DataSets, SequenceGap
from headwater.session.key import Transport

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.options_tables import SavedOption
    from headwater.process.collecting.settings import CollectingSettings
    from headwater.process.wanted import Wanted
    from headwater.session.events import Event
    from headwater.session.saved import SavedTemplate
    from headwater.session.sequence import DomainLedger
    from headwater.transport.incoming.block import Block, Listener

_IDLE_EVERY_S: Final = 30.0
_MOST_USED: Final = 0.9
_FEW: Final = 64
"""Datagrams of an exporter at once."""
_KEPT: Final = 0.75
"""Of the limit of sessions: when so many are used, those heard of the longest ago are forgotten, down to this part."""


class Lane:
    """What one listener receives. All but the constructor is for the thread that decodes.

    num_records: that have come for sinks, decoded or not.
    is_scattered: the last block had few datagrams of each exporter, so that several blocks at once are cheaper.
    tell: is told faults and gaps, for the log.
    """

    def __init__(
        self,
        listener: Listener,
        settings: CollectingSettings,
        wanted: Wanted,
        tell: Callable[[Event], object],
    ) -> None:
        self.listener = listener
        self.exporters = Exporters()
        self.is_scattered = False
        self.num_records = 0
        self._tell = tell
        self._with_options = settings.with_options
        self._limits = settings.session_limits
        self._session = Session(None, listener.transport, self._limits, policy=settings.policy)
        self._tables = OptionsTables()
        self._decoder = wanted.decoder(None)
        self._decoder.options = self._tables
        self._options_decoder = Decoder(None, OPTIONS_FACTS)
        self._next_idle = 0.0
        self._needs_tables = wanted.needs_options or settings.state is not None

    @property
    def name(self) -> str:
        """The address that is listened on, as a URL."""
        return self.listener.url.bound_to(self.listener.address)

    def take(self, block: Block, now: float, *, decode: bool) -> Iterator[Batch]:
        """Batches of a block. now: by a clock that does not jump. decode: whether anybody wants them."""
        heard = self.exporters.arrived(block.datagrams)
        self.is_scattered = heard * _FEW > len(block.datagrams)
        for key, count in block.dropped.items():
            self.exporters.dropped(key, count)
        for fault in block.faults:
            self._note(fault)
        try:
            if len(block.datagrams):
                yield from self._batches(self._session.receive_datagrams(block.datagrams, now=now), decode=decode)
        finally:  # whatever became of their data, these sessions are over, and their keys may come back
            if block.ended:
                self._end(*self._session.forget(set(block.ended)))

    def tick(self, now: float, idle_s: float) -> None:
        """What time brings: exporters that fell silent are forgotten, and at once where there are too many."""
        if self.listener.transport is not Transport.UDP:  # the end of a connection is told
            return
        most = self._limits.sessions
        is_crowded = self._session.num_exporters > most * _MOST_USED
        if is_crowded or now >= self._next_idle:
            self._next_idle = now + _IDLE_EVERY_S
            self._end(*self._session.forget_idle(now - idle_s, int(most * _KEPT) if is_crowded else None))

    def close(self) -> Iterator[Batch]:
        """The end: what waited for its Template is told."""
        yield from self._batches(self._session.close(), decode=False)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Its exporters, as JSON."""
        transport = str(self.listener.transport)
        return self.exporters.to_dicts(self._session.ledgers, transport=transport, listener=self.name)

    # ---------------------------------------------------------------- what outlasts the process

    @property
    def has_state(self) -> bool:
        """Whether Templates outlast the process: those of UDP are not bound to a connection (RFC 7011 §8.4)."""
        return self.listener.transport is Transport.UDP

    @property
    def num_learned(self) -> int:
        """Counts up with every Template that is learned."""
        return self._session.counters["templates"]

    def restore(self, state: StateFile) -> str | None:
        """Begin with what a state file says; what is wrong with it."""
        found = state.load()
        self._session.restore(found.templates)
        self._tables.restore(found.options)
        return None if found.warning is None else str(found.warning)

    def snapshot(self) -> tuple[list[SavedTemplate], list[SavedOption]]:
        """What a state file is to say."""
        return self._session.snapshot(), list(self._tables.snapshot())

    # ---------------------------------------------------------------- events

    def _batches(self, events: Iterable[Event], *, decode: bool) -> Iterator[Batch]:
        runs: list[DataSets] = []
        for event in events:
            if isinstance(event, DataSets):
                runs.append(event)
                if event.template.scope_count:
                    self.exporters.options(event)
                    if self._needs_tables:
                        self._tables.learn(self._options_decoder.decode(event))
            else:
                self._note(event)
        if not self._with_options:
            runs = [sets for sets in runs if not sets.template.scope_count]
        self.num_records += sum(sets.num_records for sets in runs)
        if not decode:
            return
        for batch in self._decoder.decode_all(runs):
            for fault in batch.faults:
                self._note(fault)
            yield batch

    def _note(self, event: Event) -> None:
        if isinstance(event, Fault):
            self.exporters.fault(event)
        if isinstance(event, Fault | SequenceGap):
            self._tell(event)

    def _end(self, ledgers: list[DomainLedger], events: Iterable[Event]) -> None:
        self.exporters.ended(ledgers)
        for event in events:
            self._note(event)
