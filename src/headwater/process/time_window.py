"""Whether a file keeps to the time window that its options state (RFC 5655 §8.1.2-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault, FaultKind
from headwater.session.options import SESSION_SCOPE

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.model.template import Template
    from headwater.session.events import DataSets

_PER_SECOND = {"Seconds": 1, "Milliseconds": 10**3, "Microseconds": 10**6, "Nanoseconds": 10**9}
_MOST = (1 << 63) - 1


def describes_session(template: Template) -> bool:
    """Whether records of the Template are about the whole file."""
    return any(f.element.key == SESSION_SCOPE for f in template.fields[: template.scope_count])


class TimeWindow:
    """Compares records and Messages with what session details said before, or in the same Message.

    However many there are, each kind of violation becomes one fault, with the offset of the first Message.
    """

    def __init__(self) -> None:
        self._details: Mapping[str, Any] = {}
        self._since = -1
        self._found: dict[str, tuple[int, int]] = {}

    def look(self, runs: Iterable[DataSets], details: Mapping[str, Any]) -> None:
        """Take in one window's Data Sets, and the details of the session after it; check its Messages."""
        runs = [sets for sets in runs if len(sets.message)]
        for sets in runs:
            if describes_session(sets.template):
                self._details = details
                if self._since < 0:
                    self._since = int(sets.messages.offset[sets.message].min())
        if self._details:
            self._check_messages(runs)

    def check(self, sets: DataSets, batch: Batch) -> None:
        """Compare the start and end of flows."""
        if not self._details:
            return
        for unit, per_second in _PER_SECOND.items():
            self._check_column(sets, batch, f"flowStart{unit}", "minFlowStart", per_second)
            self._check_column(sets, batch, f"flowEnd{unit}", "maxFlowEnd", per_second)

    def faults(self) -> list[Fault]:
        """One for each kind of violation."""
        return [Fault(FaultKind.SESSION_DETAILS, at, None, what, n) for what, (n, at) in self._found.items()]

    def _check_messages(self, runs: list[DataSets]) -> None:
        low, high = self._details.get("minExportSeconds"), self._details.get("maxExportSeconds")
        if low is None and high is None:
            return
        seen: dict[int, int] = {}
        for sets in runs:
            which = np.unique(sets.message)
            seen |= dict(
                zip(sets.messages.offset[which].tolist(), sets.messages.export_time[which].tolist(), strict=True)
            )
        outside = [
            at
            for at, time in seen.items()
            if at >= self._since and ((low is not None and time < low) or (high is not None and time > high))
        ]
        self._add("Messages with an Export Time outside minExportSeconds..maxExportSeconds", outside)

    def _check_column(self, sets: DataSets, batch: Batch, name: str, bound: str, per_second: int) -> None:
        if name not in batch.schema.names:
            return
        column = batch[name]
        if not isinstance(column, np.ndarray) or column.dtype.kind != "M":
            return
        times = column.view("i8")
        for unit, scale in _PER_SECOND.items():
            limit = self._details.get(bound + unit)
            if limit is None:
                continue
            first, last = _same(limit, scale, per_second)
            outside = times < first if bound == "minFlowStart" else times > last
            self._add_rows(f"{name} outside {bound}{unit}", sets, outside)

    def _add_rows(self, what: str, sets: DataSets, outside: npt.NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(np.ma.filled(outside, False))
        which = np.searchsorted(np.cumsum(sets.count), rows, "right")
        offsets = sets.messages.offset[sets.message[which]]
        self._add(what, offsets[offsets >= self._since].tolist())

    def _add(self, what: str, offsets: list[int]) -> None:
        if offsets:
            count, first = self._found.get(what, (0, offsets[0]))
            self._found[what] = count + len(offsets), min(first, *offsets)


def _same(value: int, per_second: int, column_per_second: int) -> tuple[int, int]:
    """First and last column value that equals `value` when both are in the coarser of the two units."""
    if column_per_second >= per_second:
        finer = column_per_second // per_second
        first, last = value * finer, value * finer + finer - 1
    else:
        first = last = value // (per_second // column_per_second)
    return min(first, _MOST), min(last, _MOST)
