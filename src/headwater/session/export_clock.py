"""What the headers of Messages say about the time they are sent at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.session.export_arguments import seconds
from headwater.wire.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Moment:
    """now: seconds. export_ms: Export Time in milliseconds since 1970. uptime_ms: sysUpTime (NetFlow)."""

    now: float
    export_ms: int
    uptime_ms: int


class ExportClock:
    """Turns `now` into what headers say. No clock of its own.

    monotonic: Export Times never go back. booted: when sysUpTime was 0, in seconds; None = at the first `at`.
    """

    def __init__(self, dialect: Dialect, counters: Counter[str], *, monotonic: bool, booted: float | None) -> None:
        self._round: Callable[[int], int] = _whole_seconds if dialect.uptime and not dialect.nanoseconds else int
        self._counters = counters
        self._monotonic = monotonic
        self._latest_ms: int | None = None
        self.booted = booted

    @property
    def now(self) -> float:
        """The last `now`, 0 at first."""
        return (self._latest_ms or 0) / 1000

    def at(self, now: float) -> Moment:
        """That moment; with `monotonic` the latest there was, if `now` is before it.

        Raises EncodeError for what no Export Time can be.
        """
        ms = round(seconds(now, "now") * 1000)
        if self._latest_ms is not None and ms < self._latest_ms and self._monotonic:
            self._counters["clock_went_back"] += 1
            ms = self._latest_ms
        self._latest_ms = ms
        if self.booted is None:
            self.booted = ms / 1000
        export_ms = self._round(ms)
        return Moment(ms / 1000, export_ms, export_ms - round(self.booted * 1000))

    def restart(self) -> None:
        """What comes now may be earlier than all before."""
        self._latest_ms = None


def _whole_seconds(ms: int) -> int:
    """Rounded up, for no flow may be later than its Message.

    NetFlow v9 tells Export Time in seconds, sysUpTime in milliseconds, and readers subtract one from the other: if both
    are of the same whole second, the times of flows come out right to the millisecond.
    """
    return -(-ms // 1000) * 1000
