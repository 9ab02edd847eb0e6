"""One source through one session: Data Sets a window at a time, and everything else into the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from headwater.batch.decode import Decoder
from headwater.batch.options_tables import OPTIONS_FACTS
from headwater.errors import DecodeError, Fault, FaultKind, LimitExceeded
from headwater.process.source_report import CUT_SHORT
from headwater.process.time_window import TimeWindow
from headwater.session.events import DataSets, SequenceGap, TemplateLearned
from headwater.session.state import FATAL

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.options_tables import OptionsTables
    from headwater.process.feed import Feed
    from headwater.process.manner import Manner
    from headwater.process.source_report import SourceReport
    from headwater.session.events import Event
    from headwater.transport import Windows


_COUNT_OCTETS: Final = 1 << 20
"""How far reading goes before what sessions count is summed up again: in a capture there can be thousands of them."""


class SourceReading:
    """Reads a feed to its end, or to where it cannot be made sense of any more.

    max_octets: decompressed octets after which LimitExceeded is raised. tables: what its option records say, kept if
    given. tell: called now and then with the octets done, before decompression. before_close: called when all is read
    and the sessions still know what they have learned.
    """

    def __init__(
        self,
        windows: Windows,
        feed: Feed,
        report: SourceReport,
        *,
        manner: Manner,
        tables: OptionsTables | None = None,
        tell: Callable[[int], object] = lambda _: None,
        before_close: Callable[[], object] = lambda: None,
    ) -> None:
        self._windows, self._feed, self._report = windows, feed, report
        self._manner, self._tables, self._tell, self._before_close = manner, tables, tell, before_close
        self._time_window = TimeWindow()
        self._options_decoder = Decoder(None, OPTIONS_FACTS)
        self._lost_at: int | None = None
        self._error: DecodeError | None = None
        self._counted_at: int | None = None
        report.details = feed.details

    def runs(self) -> Iterator[list[DataSets]]:
        """Data Sets, window by window.

        Raises LimitExceeded; in strict sessions DecodeError at the first fault that costs octets; SourceError if the
        source stops to be readable.
        """
        try:
            yield from self._windows_of_runs()
        finally:
            self._count()

    def _windows_of_runs(self) -> Iterator[list[DataSets]]:
        feed, report = self._feed, self._report
        for events in feed.events():
            yield self._take(events)
            if self._error is not None:
                raise self._error
            if feed.is_over:
                break
            self._tell(self._windows.done)
            if self._lost_at is not None:
                break
        if feed.is_over:
            raise LimitExceeded(f"{report.name}: max_octets", self._manner.max_octets or 0)
        self._before_close()
        self._take(feed.close())
        for fault in [*self._windows.faults, *self._time_window.faults()]:
            report.add_fault(fault)
            if self._manner.strict and fault.kind in FATAL:
                self._fail(DecodeError(str(fault), offset=fault.offset, kind=fault.kind))
        if self._error is not None:
            raise self._error

    def decode(self, decoder: Decoder, sets: DataSets) -> Batch:
        """The batch of a run."""
        batch = decoder.decode(sets)
        for fault in batch.faults:
            self._report.add_fault(fault)
        self._time_window.check(sets, batch)
        return batch

    def _take(self, events: Iterable[Event]) -> list[DataSets]:
        report, runs = self._report, []
        try:
            for event in events:
                match event:
                    case DataSets():
                        report.add_sets(event)
                        runs.append(event)
                    case Fault():
                        report.add_fault(event)
                        if self._manner.strict and event.kind in CUT_SHORT:
                            self._fail(DecodeError(str(event), offset=event.offset, kind=event.kind))
                        if event.kind is FaultKind.FRAMING_LOST and event.key is None:
                            self._lost_at = event.offset
                    case SequenceGap():
                        report.add_gap(event)
                    case TemplateLearned():
                        report.add_template(event)
        except DecodeError as bad:
            if bad.kind is not None:
                # the session says by the error what the fault would have said
                report.add_fault(Fault(bad.kind, bad.offset, detail=str(bad).partition(": ")[2]))
            self._fail(bad)
        if self._tables is not None:
            for sets in runs:
                if sets.template.scope_count:
                    self._tables.learn(self._options_decoder.decode(sets))
        self._time_window.look(runs, report.details)
        if self._counted_at is None or self._feed.octets - self._counted_at >= _COUNT_OCTETS:
            self._count()
        return runs

    def _count(self) -> None:
        """Take over what the sessions have counted so far."""
        report, feed = self._report, self._feed
        counters = feed.counters
        self._counted_at = feed.octets
        report.octets = feed.octets if self._lost_at is None else self._lost_at
        report.messages = counters["messages"]
        report.checksums_ok = counters["checksums_ok"]
        report.elements_learned = counters["elements_learned"]
        # a Template that is known from before has a domain, though nothing of it may have come
        report.ledgers = [ledger for ledger in feed.ledgers if ledger.messages or ledger.malformed]
        report.capture = feed.capture

    def _fail(self, bad: DecodeError) -> None:
        """Remember the first error; what came before it is delivered first."""
        if self._error is None:
            message = f"{self._report.name}: {bad}"
            self._error = DecodeError(message, offset=bad.offset, section=bad.section, kind=bad.kind)
