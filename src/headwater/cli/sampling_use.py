"""The sampling rates that records came under, counted per exporter while they are read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headwater.batch.strings import Strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headwater.cli.query import Picked
    from headwater.session.key import SessionKey

SAMPLING = ("samplingRate", "samplingSource")
"""The columns that are counted."""

_MOST = 1 << 14


class SamplingUse(NamedTuple):
    """A rate that records of an exporter came under. rate, source: None where nobody said anything."""

    exporter: SessionKey | None
    rate: float | None
    source: str | None


class SamplingTally:
    """Records by SamplingUse."""

    def __init__(self) -> None:
        self.records: Counter[SamplingUse] = Counter()

    def add(self, picked: Picked, columns: Sequence[str]) -> None:
        """Count the records of a batch that has these columns for SAMPLING."""
        batch, sets = picked.batch, picked.sets
        if batch.template.scope_count or not batch.num_rows:
            return
        rates, sources = (batch[name] for name in columns)
        assert isinstance(sources, Strings)
        assert isinstance(rates, np.ndarray)
        rate = np.ma.filled(rates, np.nan)
        if sources.null_count == len(sources):
            source, words = np.zeros(len(sources), np.int64), {0: None}
        else:
            source, words = _numbered(sources)
        peer = np.zeros(1, np.int32) if sets.messages.peer is None else sets.messages.peer[sets.message]
        if _is_one(rate) and _is_one(source) and _is_one(peer):
            self._count(sets.messages.keys[int(peer[0])], rate[0], words[int(source[0])], batch.num_rows)
            return
        peers = np.broadcast_to(peer, len(rate)) if len(peer) == 1 else np.repeat(peer, sets.count)
        rows = np.stack([peers.astype(np.float64), rate, source.astype(np.float64)], axis=1)
        for (one, number, word), count in zip(*_distinct(rows), strict=True):
            self._count(sets.messages.keys[int(one)], number, words[int(word)], count)

    def to_dicts(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [
            {
                "exporter": None if use.exporter is None else str(use.exporter),
                "rate": use.rate,
                "source": use.source,
                "records": count,
            }
            for use, count in self.records.most_common()
        ]

    def _count(self, exporter: SessionKey | None, rate: float, source: str | None, count: int) -> None:
        use = SamplingUse(exporter, None if np.isnan(rate) else float(rate), source)
        if use in self.records or len(self.records) < _MOST:
            self.records[use] += count


def _numbered(sources: Strings) -> tuple[Any, dict[int, Any]]:
    """(a number for each text, the texts by number). The texts differ in length or in their first letter."""
    length = np.diff(sources.offsets)
    first = sources.data[np.minimum(sources.offsets[:-1], max(len(sources.data) - 1, 0))]
    number = np.where(length > 0, length.astype(np.int64) << 8 | first, 0)
    if sources.validity is not None:
        number[~sources.validity] = 0
    there, where = np.unique(number, return_index=True)
    return number, {int(n): sources[int(i)] for n, i in zip(there, where, strict=True)}


def _is_one(values: Any) -> bool:
    return bool((values == values[0]).all()) or bool(values.dtype.kind == "f" and np.isnan(values).all())


def _distinct(rows: Any) -> tuple[list[list[float]], list[int]]:
    there, counts = np.unique(rows, axis=0, return_counts=True, equal_nan=True)
    return there.tolist(), counts.tolist()
