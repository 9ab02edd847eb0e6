"""Where the records of one Template are in a buffer, and what is shared while one DataSets is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.batch.strings import I32
from headwater.errors import Fault, FaultKind
from headwater.model.types import VARIABLE

if TYPE_CHECKING:
    from headwater.batch.options_tables import OptionsTables
    from headwater.batch.plan import Plans
    from headwater.session.events import DataSets

COST_LIMIT = 1 << 14
LIST_COST = 8
ROWS_COST = 512
"""What structured data may cost in one DataSets.

A list column, and each kind of content (element, inner Template) in it, takes about 50 us however few octets it has,
and four octets for each row: LIST_COST, and 1 for ROWS_COST rows. A column inside takes 3 us: 1. One Message can name
thousands of inner Templates; the limit bounds that at 0.1 s and 32 MiB, far above what real exporters need.
"""

_FAULTS_TOLD = 256  # of one DataSets


class Cell(NamedTuple):
    """Where a field is in a record: `delta` octets after an anchor, or ending at it if its length is VARIABLE."""

    name: str
    anchor: int
    delta: int
    length: int


@dataclass(slots=True)
class Records:
    """Positions of n records: either anchors, or runs of records `stride` octets apart.

    at: int32[v+1, n], start of the record, then the end of each variable-length field; size: int32[v, n].
    start, counts: int32[m], runs of fixed-size records; at is None then.
    """

    count: int
    at: I32 | None = None
    size: I32 | None = None
    start: I32 | None = None
    counts: I32 | None = None
    stride: int = 1

    def anchors(self) -> I32:
        """int32[v+1, n], made on demand for runs."""
        if self.at is not None:
            return self.at
        start, counts = self.runs()
        before = np.cumsum(counts) - counts
        at = np.repeat(start - before * self.stride, counts) + np.arange(self.count) * self.stride
        return at.astype(np.int32)[None]

    def runs(self) -> tuple[I32, I32]:
        """(start, counts) of records that have no anchors."""
        assert self.start is not None
        assert self.counts is not None
        return self.start, self.counts

    def ends(self, cell: Cell) -> tuple[I32, I32]:
        """(end, size) of a field's content in each record, both int32[n] and contiguous."""
        if cell.length != VARIABLE:
            end = self.anchors()[cell.anchor] + np.int32(cell.delta + cell.length)
            return end, np.full(self.count, cell.length, np.int32)
        assert self.at is not None
        assert self.size is not None
        return self.at[cell.anchor], self.size[cell.anchor - 1]

    def position(self, cell: Cell, row: int) -> int:
        """Buffer position of a field's content in one record."""
        end, size = self.ends(cell)
        return int(end[row] - size[row])


@dataclass(slots=True)
class Job:
    """What all columns of one DataSets share: the octets, where faults go, and how much structured data may still cost.

    options: what option records said, for derived columns. memo: what derived columns of these DataSets share.
    shared: what all DataSets of the same Messages share; sessions: what all of them share about transport sessions.
    depth: levels of lists above what is being decoded. cost: see COST_LIMIT.
    """

    sets: DataSets
    inner: Plans
    options: OptionsTables | None = None
    memo: dict[Any, Any] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)
    sessions: dict[Any, Any] = field(default_factory=dict)
    depth: int = 0
    cost: int = COST_LIMIT
    _found: dict[tuple[FaultKind, str], tuple[int, int]] = field(default_factory=dict)
    _times: tuple[int, int] | None = None
    _message: I32 | None = None

    def fault(self, kind: FaultKind, name: str, position: int, count: int = 1, detail: str = "") -> None:
        """Note that `count` values of a column are bad, the first of them at a buffer position.

        Of very many columns the last are counted together.
        """
        key = kind, f"{name}: {detail}" if detail else name
        if key not in self._found and len(self._found) >= _FAULTS_TOLD:
            key = kind, "other columns"
        first, before = self._found.get(key, (position, 0))
        self._found[key] = first, before + count

    def faults(self) -> tuple[Fault, ...]:
        """What was noted."""
        if not self._found:
            return ()
        messages = self.sets.messages
        where = self.messages_at(np.array([at for at, _ in self._found.values()])).tolist()
        return tuple(
            [
                Fault(kind, messages.absolute(one, at), int(messages.domain[one]), text, count, messages.key(one))
                for ((kind, text), (at, count)), one in zip(self._found.items(), where, strict=True)
            ]
        )

    def bad_values(self, kind: FaultKind, records: Records, cell: Cell, bad: npt.NDArray[np.bool_]) -> None:
        """Note that a field is bad in the records where `bad` says so."""
        rows = np.flatnonzero(bad)
        self.fault(kind, cell.name, records.position(cell, int(rows[0])), len(rows))

    def messages_at(self, positions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The Message (index) that each buffer position is in."""
        order = np.argsort(self.sets.start, kind="stable")
        found = np.searchsorted(self.sets.start[order], positions, "right") - 1
        return self.sets.message[order[found]]

    def message_of_records(self) -> I32:
        """The Message (index) of each record."""
        if self._message is None:
            self._message = self.sets.message.repeat(self.sets.count)
        return self._message

    def export_times(self) -> tuple[int, int]:
        """The least and the greatest Export Time of the Messages."""
        if self._times is None:
            times = self.sets.messages.export_time[self.sets.message]
            self._times = (int(times.min()), int(times.max())) if len(times) else (0, 0)
        return self._times
