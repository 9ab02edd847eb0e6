"""When to send: not faster than was asked for, and not more often to a collector that is not there. No clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_BURST_S: Final = 0.02
_LASTING_S: Final = 1.0
_LEAST_S: Final = 0.25


class Pace:
    """A rate in units a second, kept on average over a few hundredths of a second. rate: infinite = no limit."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._credit = 0.0
        self._at: float | None = None

    def allowed(self, now: float) -> float:
        """Units that may be sent now; 0 or less = none."""
        if math.isinf(self.rate):
            return math.inf
        if self._at is not None:
            self._credit = min(self._credit + (now - self._at) * self.rate, max(self.rate * _BURST_S, 1.0))
        elif self._credit == 0:
            self._credit = max(self.rate * _BURST_S, 1.0)
        self._at = now
        return self._credit

    def spend(self, units: int) -> None:
        """Note what was sent; it may be more than was allowed, and then the next has to wait longer."""
        self._credit -= units

    @property
    def delay_s(self) -> float:
        """How long after the last `allowed` one unit may be sent."""
        return 0.0 if math.isinf(self.rate) else max(1.0 - self._credit, 0.0) / self.rate


@dataclass(slots=True)
class Retry:
    """When to try to connect again: first_s after the last attempt, then twice as long each time, up to most_s.

    RFC 7011 §10.4.4 wants no more than one attempt a minute by default, so both are 60 s for TCP unless somebody says
    otherwise; a connection that was up for longer than that is tried again at once.
    """

    first_s: float
    most_s: float
    _next_s: float = 0.0
    _tries: int = 0
    _at: float = -math.inf

    def attempted(self, now: float) -> None:
        """An attempt begins."""
        self._at = now

    def delay_s(self, now: float) -> float:
        """How long to wait for the next attempt."""
        return max(self._at + self._next_s - now, 0.0)

    def failed(self, now: float) -> None:
        """The attempt came to nothing, or what it gave is lost by now.

        One that did not last counts as none: a collector may accept a connection just to refuse the certificate.
        """
        if now - self._at > 2 * self._next_s + _LASTING_S:
            self._tries = 0
        wanted = max(2 * self._next_s, _LEAST_S) if self._tries else self.first_s
        self._next_s = min(max(wanted, self.first_s), self.most_s)
        self._tries += 1
