"""The interfaces that a section of a pcapng file describes: link types, and how their clocks are read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

_NANO = 1_000_000_000
_LATEST_S = 9_000_000_000  # seconds that int64 nanoseconds can hold, nearly
_MICROSECONDS = 6
_TSRESOL, _TSOFFSET = 9, 14
_MOST = 1 << 16
_NO_CLOCK = -1


def _nanoseconds(
    ticks: npt.NDArray[np.uint64], resolution: int, offset_s: int | npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Times of packets since 1970; 0 for what is 0 or more than int64 can hold."""
    seconds, nanoseconds = (_binary if resolution & 0x80 else _decimal)(ticks, resolution & 0x7F)
    is_known = (seconds < _LATEST_S) & (ticks != 0)
    whole = np.where(is_known, seconds, 0).astype(np.int64)
    whole += offset_s
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
    """Interfaces in the order of their description, the current section's last.

    Of each, besides the link type: if_tsresol, units of a second as the negative power of 10, or with the top bit of 2;
    and if_tsoffset in seconds.
    """

    def __init__(self) -> None:
        self._links: list[int] = []
        self._resolutions: list[int] = []
        self._offsets: list[int] = []

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
        is_possible = abs(offset_s) <= _LATEST_S
        self._resolutions.append(resolution if is_possible else _NO_CLOCK)
        self._offsets.append(offset_s if is_possible else 0)

    def keep(self, count: int) -> None:
        """Forget all but the last `count`, which are those of the current section."""
        for column in (self._links, self._resolutions, self._offsets):
            del column[: len(column) - count]

    def links(self, interface: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Link types of packets, -1 for those of no interface."""
        return np.array([*self._links, -1], np.int32)[interface]

    def times(
        self, interface: npt.NDArray[np.int32], high: npt.NDArray[np.uint32], low: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """Arrival times of packets in ns since 1970, 0 where they are not known."""
        ticks = high.astype(np.uint64) << np.uint64(32) | low
        if self._resolutions and set(self._resolutions) == {_MICROSECONDS} and not any(self._offsets):
            return _nanoseconds(ticks, _MICROSECONDS, 0)
        resolution = np.array([*self._resolutions, _NO_CLOCK], np.int16)[interface]
        offset_s = np.array([*self._offsets, 0], np.int64)[interface]
        out = np.zeros(len(interface), np.int64)
        for each in np.flatnonzero(np.bincount(resolution + 1)).tolist():  # 256 resolutions at most, any offsets
            if each:
                chosen = resolution == each - 1
                out[chosen] = _nanoseconds(ticks[chosen], each - 1, offset_s[chosen])
        return out
