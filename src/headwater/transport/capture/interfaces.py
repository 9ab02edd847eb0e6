"""The interfaces that a section of a pcapng file describes: link types, and how their clocks are read."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

_NANO = 1_000_000_000
_LATEST_S = 9_000_000_000  # seconds that int64 nanoseconds can hold, nearly
_MICROSECONDS = 6
_TSRESOL, _TSOFFSET = 9, 14
_MOST = 1 << 16


class Clock(NamedTuple):
    """if_tsresol: units of a second, as the negative power of 10, or with the top bit of 2. offset_s: if_tsoffset."""

    resolution: int = _MICROSECONDS
    offset_s: int = 0

    def nanoseconds(self, high: npt.NDArray[np.uint32], low: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Times of packets; 0 for what is 0 or more than int64 can hold."""
        ticks = high.astype(np.uint64) << np.uint64(32) | low
        seconds, nanoseconds = (_binary if self.resolution & 0x80 else _decimal)(ticks, self.resolution & 0x7F)
        if abs(self.offset_s) > _LATEST_S:
            return np.zeros(len(ticks), np.int64)
        is_known = (seconds < _LATEST_S) & (ticks != 0)
        whole = np.where(is_known, seconds, 0).astype(np.int64)
        whole += self.offset_s
        is_known &= abs(whole) < _LATEST_S
        out: npt.NDArray[np.int64] = np.where(is_known, whole, 0) * _NANO
        out += np.where(is_known, nanoseconds, 0).astype(np.int64)
        return out


def _decimal(ticks: npt.NDArray[np.uint64], power: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Seconds and nanoseconds of units of 10**-power seconds."""
    if power > 19 + 9:
        return np.zeros_like(ticks), np.zeros_like(ticks)
    if power > 19:  # 2**64 units are less than two seconds
        nanoseconds = ticks // np.uint64(10 ** (power - 9))
        return nanoseconds // np.uint64(_NANO), nanoseconds % np.uint64(_NANO)
    unit = np.uint64(10**power)
    seconds = ticks // unit
    rest = ticks - seconds * unit
    return seconds, rest * np.uint64(10 ** (9 - power)) if power <= 9 else rest // np.uint64(10 ** (power - 9))


def _binary(ticks: npt.NDArray[np.uint64], power: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Seconds and nanoseconds of units of 2**-power seconds."""
    seconds = ticks >> np.uint64(power) if power < 64 else np.zeros_like(ticks)
    rest = ticks if power >= 64 else ticks - (seconds << np.uint64(power))
    cut = max(power - 34, 0)  # so that the product below stays within 64 bits
    rest = rest >> np.uint64(cut) if cut < 64 else np.zeros_like(rest)
    return seconds, rest * np.uint64(_NANO) >> np.uint64(power - cut)


class Interfaces:
    """Interfaces in the order of their description, the current section's last."""

    def __init__(self) -> None:
        self._links: list[int] = []
        self._clocks: list[Clock] = []

    def __len__(self) -> int:
        return len(self._links)

    @property
    def is_full(self) -> bool:
        """Whether there are more than any system has."""
        return len(self._links) > _MOST

    def describe(self, body: bytes, *, is_big: bool) -> None:
        """Take in the body of an Interface Description Block."""
        order: Literal["big", "little"] = "big" if is_big else "little"
        resolution, offset_s, at = _MICROSECONDS, 0, 8
        while at + 4 <= len(body):  # options, of at least 4 octets each
            code, length = (int.from_bytes(body[p : p + 2], order) for p in (at, at + 2))
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if code == _TSRESOL and len(value) == 1:
                resolution = value[0]
            elif code == _TSOFFSET and len(value) == 8:
                offset_s = int.from_bytes(value, order, signed=True)
            at += 4 + length + -length % 4
        self._links.append(int.from_bytes(body[:2], order))
        self._clocks.append(Clock(resolution, offset_s))

    def keep(self, count: int) -> None:
        """Forget all but the last `count`, which are those of the current section."""
        del self._links[: len(self._links) - count]
        del self._clocks[: len(self._clocks) - count]

    def links(self, interface: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Link types of packets, -1 for those of no interface."""
        return np.array([*self._links, -1], np.int32)[interface]

    def times(
        self, interface: npt.NDArray[np.int32], high: npt.NDArray[np.uint32], low: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """Arrival times of packets in ns since 1970, 0 where they are not known."""
        clocks = {clock: number for number, clock in enumerate(dict.fromkeys(self._clocks))}
        if len(clocks) == 1:
            (clock,) = clocks
            return clock.nanoseconds(high, low)
        which = np.array([*(clocks[clock] for clock in self._clocks), -1])[interface]
        out = np.zeros(len(interface), np.int64)
        for number in np.unique(which[which >= 0]).tolist():
            chosen = which == number
            out[chosen] = list(clocks)[number].nanoseconds(high[chosen], low[chosen])
        return out
