"""Random values with the distributions of real traffic, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_STEPS: Final = 1 << 16


class Draws:
    """The random numbers of one Observation Domain of one exporter; it does not matter what others draw.

    Only additions, products, quotients and square roots are made of them, which come out alike on every machine.
    """

    def __init__(self, seed: int, exporter: int, domain: int) -> None:
        self._random = np.random.Generator(np.random.PCG64([seed, exporter, domain]))

    def below(self, bound: int, count: int) -> Array:
        """int64[count] from 0 to bound - 1, all alike."""
        numbers: Array = self._random.integers(0, bound, count)
        return numbers

    def of(self, table: Array, count: int) -> Array:
        """Values of a `weighted` table."""
        values: Array = table[self._random.integers(0, _STEPS, count, np.uint16)]
        return values

    def popular(self, size: int, count: int) -> Array:
        """int64[count] from 0 to size - 1, the small ones by far most often: few talkers have most of the flows."""
        share = self._random.random(count)
        share *= share
        return (share * share * size).astype(np.int64)

    def heavy(self, most: int, count: int) -> Array:
        """int64[count] from 1 to most with a heavy tail (Pareto, 4/3): most are 1, and a few make up half of all."""
        root = np.sqrt(1.0 - self._random.random(count))
        return np.minimum(1.0 / (root * np.sqrt(root)), most).astype(np.int64)


def weighted(values: Sequence[int], weights: Sequence[int], dtype: npt.DTypeLike) -> Array:
    """A table for `Draws.of`: each value as often as its weight says."""
    total = sum(weights)
    bounds = [sum(weights[:n]) * _STEPS // total for n in range(len(weights) + 1)]
    return np.repeat(np.array(values, dtype), np.diff(bounds))
