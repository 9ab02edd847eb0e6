"""One source through one session: Data Sets a window at a time, and everything else into the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from headwater.errors import DecodeError, Fault, FaultKind, LimitExceeded
from headwater.process.time_window import TimeWindow
from headwater.session.events import DataSets, SequenceGap, TemplateLearned
from headwater.session.state import FATAL

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.decode import Decoder
    from headwater.process.report import SourceReport
    from headwater.session.collecting import Session
    from headwater.session.events import Event
    from headwater.transport import Windows


class SourceReading:
    """Reads `windows` to their end, or to where they cannot be made sense of any more.

    max_octets: decompressed octets after which LimitExceeded is raised.
    tell: called after each window with the octets done, before decompression.
    """

    def __init__(
        self,
        windows: Windows,
        session: Session,
        report: SourceReport,
        *,
        max_octets: int | None,
        tell: Callable[[int], object],
    ) -> None:
        self._windows, self._session, self._report = windows, session, report
        self._max_octets, self._tell = max_octets, tell
        self._time_window = TimeWindow()
        self._lost_at: int | None = None
        self._error: DecodeError | None = None
        report.details = session.details

    def runs(self) -> Iterator[list[DataSets]]:
        """Data Sets, window by window.

        Raises LimitExceeded; in strict sessions DecodeError at the first fault that costs octets; SourceError if the
        source stops to be readable.
        """
        consumed, is_last, is_over = 0, False, False
        while not is_last and self._lost_at is None:
            window, is_last = self._windows.next(consumed)
            if self._max_octets is not None and self._session.offset + len(window) > self._max_octets:
                window, is_last, is_over = window[: self._max_octets - self._session.offset], False, True
            events, consumed = self._session.read(window, final=is_last)
            yield self._take(events)
            if self._error is not None:
                raise self._error
            if is_over:
                raise LimitExceeded(f"{self._report.name}: max_octets", self._max_octets or 0)
            self._tell(self._windows.done)
        self._take(self._session.close())
        for fault in [*self._windows.faults, *self._time_window.faults()]:
            self._report.add_fault(fault)
            if self._session.strict and fault.kind in FATAL:
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
                        if event.kind is FaultKind.FRAMING_LOST:
                            self._lost_at = event.offset
                    case SequenceGap():
                        report.add_gap(event)
                    case TemplateLearned():
                        report.add_template(event.domain, event.template)
        except DecodeError as bad:
            if bad.kind is not None:
                report.add_fault(Fault(bad.kind, bad.offset, detail=str(bad)))
            self._fail(bad)
        self._time_window.look(runs, report.details)
        self._update()
        return runs

    def _update(self) -> None:
        report, session = self._report, self._session
        counters = session.counters
        report.octets = session.offset if self._lost_at is None else self._lost_at
        report.messages = counters["messages"]
        report.checksums_ok = counters["checksums_ok"]
        report.elements_learned = counters["elements_learned"]
        report.domains = session.ledger

    def _fail(self, bad: DecodeError) -> None:
        """Remember the first error; what came before it is delivered first."""
        if self._error is None:
            message = f"{self._report.name}: {bad}"
            self._error = DecodeError(message, offset=bad.offset, section=bad.section, kind=bad.kind)
