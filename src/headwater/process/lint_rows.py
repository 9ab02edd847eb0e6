"""The records of Data Sets as columns for lint, and how rows become places in the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.records import Cell, Records
from headwater.session.inspecting import NO_KIND, Remark
from headwater.session.rules import RULES
from headwater.wire.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.batch.batch import Batch
    from headwater.batch.lists import Values
    from headwater.errors import Fault
    from headwater.session.events import DataSets

Bool = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Rows:
    """One run of Data Sets being checked.

    first: number of the first Message of its table, None = not known. most: how many rows of one kind are told one by
    one. remarks: what was found.
    """

    sets: DataSets
    batch: Batch
    first: int | None
    most: int
    remarks: list[Remark] = field(default_factory=list)
    _records: Records | None = None
    _layout: Layout | None = None
    _ends: npt.NDArray[np.int64] | None = None

    @property
    def records(self) -> Records:
        """Where the records are."""
        if self._records is None:
            sets = self.sets
            if sets.at is None:
                count, stride = int(sets.count.sum()), sets.template.min_length or 1
                self._records = Records(count, None, None, sets.start, sets.count, stride)
            else:
                self._records = Records(sets.at.shape[1], sets.at, sets.size)
        return self._records

    @property
    def layout(self) -> Layout:
        """Where the fields are in a record."""
        if self._layout is None:
            self._layout = Layout.of(self.sets.template)
        return self._layout

    def column(self, index: int) -> Values:
        """The values of a field. Templates with padding of NetFlow have fewer columns than fields."""
        return self.batch.columns[self.sets.template.column_names[index]]

    def cell(self, index: int) -> Cell:
        """Where a field is."""
        template = self.sets.template
        return Cell(template.column_names[index], *self.layout.cells[index], template.fields[index].length)

    def words(self, index: int, offset: int) -> npt.NDArray[np.uint16]:
        """Two octets of a field of fixed length, in each record."""
        anchor, delta = self.layout.cells[index]
        plan = np.array([(anchor, delta + offset, 2, 0)], np.int32)
        found: npt.NDArray[np.uint16]
        (found,) = kernel.columns(self.sets.buffer, self.records.anchors(), plan, [np.dtype("u2")])
        return found

    def prefixes(self, index: int) -> npt.NDArray[np.int32]:
        """Octets of the length prefix of a variable-length field, in each record."""
        at, size = self.records.at, self.records.size
        assert at is not None
        assert size is not None
        anchor = self.layout.cells[index][0]
        found: npt.NDArray[np.int32] = at[anchor] - size[anchor - 1] - at[anchor - 1] - self.layout.gaps[anchor - 1]
        return found

    def per_row(self, of_messages: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A column over Messages as a column over records."""
        return np.repeat(of_messages[self.sets.message], self.sets.count)

    def add(self, rule: str, index: int, bad: Any, detail: Callable[[int], str]) -> None:
        """Add a Remark for each row where `bad` says so, at a field. detail: makes it of the row."""
        rows = np.flatnonzero(np.ma.filled(bad, False))
        if not len(rows):
            return
        cell, told = self.cell(index), rows[: self.most].tolist()
        end, size = self.records.ends(cell)
        for row in told:
            more = len(rows) - len(told) if row == told[-1] else 0
            self._add(rule, row, int(end[row] - size[row]), f"{cell.name}: {detail(row)}", 1 + more)

    def remark_of(self, fault: Fault) -> Remark:
        """The Remark of a fault of decoding."""
        offset = self.sets.messages.offset
        order = offset.argsort(kind="stable")
        place = int(offset[order].searchsorted(fault.offset, "right")) - 1
        number = None if self.first is None else self.first + int(order[max(place, 0)])
        told = fault.kind, fault.offset, fault.domain, fault.detail, fault.count, fault.key
        return Remark(*told, fault.kind.value, RULES[fault.kind.value].severity, number)

    def _add(self, rule: str, row: int, at: int, detail: str, count: int) -> None:
        if self._ends is None:
            self._ends = np.cumsum(self.sets.count)
        message = int(self.sets.message[int(self._ends.searchsorted(row, "right"))])
        messages = self.sets.messages
        where = messages.absolute(message, at), int(messages.domain[message])
        number = None if self.first is None else self.first + message
        key, severity = messages.key(message), RULES[rule].severity
        self.remarks.append(Remark(NO_KIND, *where, detail, count, key, rule, severity, number))
