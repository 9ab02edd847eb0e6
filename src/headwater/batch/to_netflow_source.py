"""Records on their way into another export protocol: the columns that are elements, and what was worked out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.batch.batch import Batch
from headwater.batch.incoming import columns_of, template_for
from headwater.batch.incoming_columns import Incoming
from headwater.batch.incoming_values import nulls
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Bool
from headwater.batch.subset import Rows, subset
from headwater.errors import EncodeError
from headwater.session.events import Messages

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.model.template import Template

Flat: TypeAlias = npt.NDArray[Any]
Overflow = Literal["error", "saturate"]
"""What becomes of a counter or a time that is too large: an EncodeError, or the nearest value that fits, counted."""

DERIVED: Final = ("flowStart", "flowEnd")
"""Columns that a Decoder works out: the times of a flow whatever its exporter sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Records of one kind that the protocol can say, as an Encoder takes them.

    template: without an id unless it is one of a fixed layout. columns: one for each field that is no padding.
    """

    template: Template
    columns: list[Values]
    count: int


@dataclass(frozen=True)
class Source:
    """Columns that are Information Elements, by number; those that are not stand in `others`.

    rows: which of the records that were handed over these are, for errors.
    """

    incoming: Incoming
    others: dict[str, Values]
    rows: Rows

    @staticmethod
    def of(batch: Batch) -> Source:
        """The records of a batch."""
        others = {
            column.name: batch.columns[column.name]
            for column in batch.schema
            if column.element is None or (column.name in DERIVED and column.length is None)
        }
        incoming = columns_of(batch, leave_out=tuple(others))
        return Source(incoming, others, np.arange(batch.num_rows))

    @property
    def count(self) -> int:
        """Records."""
        return self.incoming.count

    @cached_property
    def by_id(self) -> dict[int, int]:
        """IANA number → index of the first column of that element, unless its length is illegal."""
        found: dict[int, int] = {}
        for index, element in enumerate(self.incoming.elements):
            if element.pen == 0 and self.incoming.types[index] is element.type:
                found.setdefault(element.id, index)
        return found

    def values(self, id: int) -> Flat | None:
        """The numbers, addresses or times of an IANA element; None if there is no such column."""
        index = self.by_id.get(id)
        values = None if index is None else self.incoming.values[index]
        return values if isinstance(values, np.ndarray) else None

    def name(self, id: int) -> str:
        """The name of its column."""
        return self.incoming.names[self.by_id[id]]

    def filled(self, index: int) -> int:
        """How many records have a value in a column."""
        return count_values(self.incoming.values[index])

    def take(self, rows: Rows) -> Source:
        """Some of the records."""
        if len(rows) == self.count:
            return self
        values = [subset(one, rows) for one in self.incoming.values]
        others = {name: subset(one, rows) for name, one in self.others.items()}
        return Source(replace(self.incoming, values=values, count=len(rows)), others, self.rows[rows])

    def misfit(self, name: str, row: int, why: str) -> EncodeError:
        """The error for a value."""
        given = int(self.rows[row])
        return EncodeError(f"column {name!r}, row {given}: {why}", column=name, row=given)


def count_values(values: Values) -> int:
    """How many are not null."""
    null = nulls(values)
    return len(values) - (0 if null is None else int(np.count_nonzero(null)))


def missing(values: Flat) -> Bool:
    """bool[n], where there is no value."""
    return np.ma.getmaskarray(values)


def directions(data: Batch | Incoming) -> list[Batch]:
    """Records that tell of one direction each: of biflows the forward ones, then those that had packets back."""
    batch = data if isinstance(data, Batch) else _batch_of(data)
    if batch.template.scope_count or not batch.is_biflow:
        return [batch]
    return [side for side in batch.split_biflow() if side.num_rows]


def _batch_of(incoming: Incoming) -> Batch:
    template = incoming.template or template_for(incoming)
    columns = zip(incoming.names, incoming.types, incoming.elements, template.fields, strict=True)
    schema = Schema(tuple([Column(name, type, element, field.length) for name, type, element, field in columns]))
    none = np.empty(0, np.int32)
    wide = np.empty(0, np.uint32)
    messages = Messages(np.empty(0, np.int64), none, wide, wide, wide, np.empty(0, np.uint16))
    return Batch(template, schema, incoming.values, incoming.count, (), messages, none)
