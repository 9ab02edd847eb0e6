"""Sources: what there is to read, one source after the other, as batches or rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.batch.options_tables import OptionsTables
from headwater.errors import Fault, SourceError
from headwater.process.ahead import read_ahead
from headwater.process.feed import feed_of
from headwater.process.memory import Memory
from headwater.process.report import Report, Skipped
from headwater.process.source import SourceReading
from headwater.process.source_report import SourceReport
from headwater.transport import WINDOW, Content, ForeignContent, Source, Windows, find_sources, open_source

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.decode import Decoder
    from headwater.process.manner import Manner
    from headwater.process.wanted import Wanted
    from headwater.session.events import DataSets


@dataclass(slots=True)
class Sources:
    """What to read, and how. Sources are opened one after the other.

    What captures taught of Templates and options is known in the captures that follow; the sessions of spools go on
    from one to the next; each file of IPFIX is a session.
    state: see `read`. is_last: whether nobody will read them again with this state, which is then written.
    """

    source: Any
    decoder: Decoder
    manner: Manner
    wanted: Wanted
    with_options: bool
    state: str | os.PathLike[str] | None = None
    is_last: bool = True
    report: Report = field(default_factory=Report)
    window: int = WINDOW
    _memory: Memory = field(default_factory=Memory)
    _done: int = 0
    _total: int | None = None

    def batches(self) -> Generator[Batch]:
        """All batches, in the order in which their first Sets stand in each window."""
        for reading, runs in self._runs():
            for sets in runs:
                yield reading.decode(self.decoder, sets)

    def records(self, **style: Any) -> Generator[dict[str, Any]]:
        """All records, in the order of the wire."""
        for window in self.windows():
            rows = [batch.rows(**style) for _, batch in window]
            if len(rows) == 1:
                yield from rows[0]
            else:
                yield from _interleaved([sets for sets, _ in window], rows)

    def windows(self) -> Generator[list[tuple[DataSets, Batch]]]:
        """All batches with the Data Sets that they were made of, a window at a time: their `order` is comparable."""
        for reading, runs in self._runs():
            yield [(sets, reading.decode(self.decoder, sets)) for sets in runs]

    def _runs(self) -> Generator[tuple[SourceReading, list[DataSets]]]:
        found = list(find_sources(self.source))
        sizes = [source.size for source in found]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        before = 0
        if self.state is not None:
            self.report.warnings += self._memory.load(self.state)
        for source in found:
            yield from self._read(source, before)
            before = before + source.size if source.size is not None else self._done
            self._tell(before)
        if not self.report.sources:
            raise SourceError(self._nothing())
        for event in self._memory.close():
            if isinstance(event, Fault):
                self._last_spool().add_fault(event)
        if self.state is not None and self.is_last:
            self._memory.save()

    def _read(self, source: Source, before: int) -> Generator[tuple[SourceReading, list[DataSets]]]:
        try:
            windows = open_source(source, window=self.window, trust=self.manner.resync)
        except SourceError as bad:
            if not source.is_optional:
                raise
            self.report.skipped.append(Skipped(source.name, str(bad), isinstance(bad, ForeignContent)))
            return
        try:
            report = SourceReport(source.name, windows.compression, windows.content)
            self.report.sources.append(report)
            report.options = self.decoder.options = self._tables(windows)
            is_known = self.wanted.needs_options and source.can_be_read_twice
            if is_known and report.options is not None:
                read_ahead(source, self.manner, tables=report.options, memory=self._memory)

            def tell(done: int) -> None:
                self._tell(before + done)

            feed = feed_of(windows, self.manner)
            self._memory.recall(feed, windows.content)
            reading = SourceReading(
                windows,
                feed,
                report,
                manner=self.manner,
                tables=None if is_known else report.options,  # or each record would count twice
                tell=tell,
                before_close=lambda: self._memory.keep(feed, windows.content),
            )
            for runs in reading.runs():
                yield reading, [sets for sets in runs if self.with_options or not sets.template.scope_count]
        finally:
            windows.close()

    def _tables(self, windows: Windows) -> OptionsTables | None:
        """What is known of options before a source is read, None if nobody asks."""
        if not self.wanted.needs_options and self.state is None and not self.wanted.keeps_options:
            return None
        return OptionsTables() if windows.content is Content.IPFIX else self._memory.tables

    def _last_spool(self) -> SourceReport:
        return next(source for source in reversed(self.report.sources) if source.content is Content.SPOOL)

    def _tell(self, done: int) -> None:
        self._done = done
        if self.manner.progress is not None:
            self.manner.progress(done, self._total)

    def _nothing(self) -> str:
        skipped = self.report.skipped
        if not skipped:
            return "there is nothing to read: the list of sources is empty"
        more = f"; and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        where = f" of {self.source}" if isinstance(self.source, str | os.PathLike) else ""
        return f"no flow export among {len(skipped)} files{where}: {skipped[0].reason}{more}"


def _interleaved(runs: list[DataSets], rows: list[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Rows of several runs of one window, set by set as they stood."""
    if not runs:
        return
    order = np.argsort(np.concatenate([sets.order for sets in runs]), kind="stable")
    run = np.repeat(np.arange(len(runs)), [len(sets.order) for sets in runs])[order]
    count = np.concatenate([sets.count for sets in runs])[order]
    for number, records in zip(run.tolist(), count.tolist(), strict=True):
        yield from islice(rows[number], records)
