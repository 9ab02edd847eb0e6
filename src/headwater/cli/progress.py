"""How far a long reading has come, on one line of stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from headwater.cli.screen import shortened, terminal_width

if TYPE_CHECKING:
    from collections.abc import Callable

_QUIET_S = 0.3
"""Seconds without a bar at first: what is done by then needs none."""
_REDRAW_S = 0.1
_BAR = 24
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Draws a bar with octets, rate and the time that is left; nothing where it is off."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._began = self._stage_began = time.monotonic()
        self._next = self._began + _QUIET_S
        self._is_drawn = False
        self._words = ""

    def begin(self, words: str) -> Callable[[int, int | None], None] | None:
        """Begin a pass; what it gives is told octets done and octets in all (None: not known)."""
        self._words, self._stage_began = words, time.monotonic()
        return self._tell if self._is_on else None

    def end(self) -> None:
        """Clear the line."""
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return f"in {_duration(time.monotonic() - self._began)}"

    def _tell(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._is_drawn = now + _REDRAW_S, True
        spent = max(now - self._stage_began, 1e-6)
        parts = [self._words]
        if total:
            share = min(done / total, 1.0)
            full = round(_BAR * share)
            parts.append(f"{'█' * full}{'░' * (_BAR - full)} {share:4.0%} of {size(total)}")
        else:
            parts.append(size(done))
        parts.append(f"{size(done / spent)}/s")
        if total and done and spent > 1:
            parts.append(f"{_duration(spent * (total - done) / done)} left")
        line = shortened("  ".join(parts), (terminal_width(sys.stderr) or 80) - 1)
        sys.stderr.write(f"\r{line}\x1b[K")
        sys.stderr.flush()


def size(octets: float) -> str:
    """A number of octets in three digits and a decimal unit."""
    unit = 0
    while octets >= 999.5 and unit < len(_UNITS) - 1:
        octets /= 1000
        unit += 1
    return f"{octets:.0f} {_UNITS[unit]}" if unit == 0 or octets >= 99.95 else f"{octets:.1f} {_UNITS[unit]}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} h" if hours else f"{minutes}:{seconds:02} min"
