"""Top talkers: which values of some columns have the most octets, in bounded time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch import Batch

_OCTETS: Final = ("octetDeltaCount", "octetTotalCount")
_SAMPLE: Final = 1 << 12
"""Records of a batch that are looked at."""
_SHARE: Final = 0.03
_AT_ONCE_S: Final = 0.01
"""What watching may cost of the time of the thread that decodes; batches beyond are not looked at, and made up for."""
_MOST: Final = 1 << 13
"""Values of a column that are counted between two answers; when there are more, the least are forgotten."""

_LARGEST: Final = 1 << 62
"""Octets of a value, whatever exporters say: JSON has integers of 64 bits."""

Flat = npt.NDArray[Any]


class TopTalkers:
    """Counts records and octets by value. `add` is called where records are decoded, `take` where somebody asks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._counts: dict[str, dict[Any, list[int]]] = {}
        self._since, self._spent_s = clock(), 0.0
        self._seen = self._passed = 0

    def want(self, names: Iterable[str]) -> None:
        """Count these columns from now on."""
        with self._lock:
            self._counts = {name: self._counts.get(name, {}) for name in names}

    def add(self, batch: Batch) -> None:
        """Count the records of a batch, every n-th of a large one n times, while that costs little."""
        began = self._clock()
        if self._spent_s > (began - self._since) * _SHARE + _AT_ONCE_S:
            self._passed += batch.num_rows
            return
        if batch.num_rows:
            self._seen += batch.num_rows
            self._look(batch, -(-batch.num_rows // _SAMPLE))
        self._spent_s += self._clock() - began

    def _look(self, batch: Batch, step: int) -> None:
        columns = batch.columns
        weights = next((_plain(columns[name], step) for name in _OCTETS if name in columns), None)
        octets = None if weights is None else weights.astype(np.float64)
        found = []
        for name in tuple(self._counts):
            if name in columns:
                values = columns[name]
                flat = values[::step] if isinstance(values, np.ndarray) else None
                if flat is not None and flat.dtype.kind in "uiV":
                    found.append((name, *_summed(flat, octets)))
        with self._lock:
            for name, values, records, sums in found:
                counts = self._counts.get(name)
                if counts is not None:
                    _count(counts, values.tolist(), (records * step).tolist(), [one * step for one in sums.tolist()])

    def take(self, most: int) -> dict[str, list[dict[str, Any]]]:
        """The values with the most octets, as text, since it was asked last."""
        with self._lock:
            taken, self._counts = self._counts, {name: {} for name in self._counts}
            times = 1 + self._passed / max(1, self._seen)
            self._since, self._spent_s = self._clock(), 0.0
            self._seen = self._passed = 0
        return {
            name: [
                {"value": _text(name, value), "records": round(records * times), "octets": _bounded(octets * times)}
                for value, (records, octets) in sorted(counts.items(), key=_rank, reverse=True)[:most]
            ]
            for name, counts in taken.items()
        }


def _plain(values: Any, step: int) -> Flat:
    """Every n-th value, 0 for nulls."""
    part = values[::step]
    return part.filled(0) if isinstance(part, np.ma.MaskedArray) else part


def _summed(values: Flat, octets: npt.NDArray[np.float64] | None) -> tuple[Flat, Flat, Flat]:
    """Each value once, its records and octets; nulls left out."""
    if isinstance(values, np.ma.MaskedArray):
        is_there = ~np.ma.getmaskarray(values)
        values, octets = values.data[is_there], None if octets is None else octets[is_there]
    if values.dtype.kind == "V":  # as text they can be sorted; its zeros at the end come back in _text
        values = np.ascontiguousarray(values).view(f"S{values.dtype.itemsize}")
    unique, inverse, records = np.unique(values, return_inverse=True, return_counts=True)
    sums = np.zeros(len(unique)) if octets is None else np.bincount(inverse, octets, len(unique))
    return unique, records, np.minimum(sums, _LARGEST).astype(np.int64)


def _count(counts: dict[Any, list[int]], values: list[Any], records: list[int], octets: list[int]) -> None:
    for value, more, heavier in zip(values, records, octets, strict=True):
        count = counts.get(value)
        if count is None:
            counts[value] = [more, heavier]
        else:
            count[0] += more
            count[1] += heavier
    if len(counts) > _MOST:
        kept = sorted(counts.items(), key=_rank, reverse=True)[: _MOST // 2]
        counts.clear()
        counts.update(kept)


def _bounded(octets: float) -> int:
    return min(round(octets), _LARGEST)


def _rank(item: tuple[Any, list[int]]) -> tuple[int, int]:
    records, octets = item[1]
    return octets, records


def _text(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        octets = value.ljust(16, b"\0")
        return str(IPv6Address(octets)) if len(octets) == 16 else octets.hex()
    return str(IPv4Address(value)) if _is_ipv4(name) and 0 <= value < 1 << 32 else str(value)


def _is_ipv4(name: str) -> bool:
    from headwater.model.registry import IANA

    element = IANA.find(name)
    return element is not None and element.type is DataType.IPV4
