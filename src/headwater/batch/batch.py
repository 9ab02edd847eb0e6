"""Batch: the records of one Template as columns, and views of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from headwater.batch import biflow, rows
from headwater.batch.cells import Addresses, ListStyle, Style, Times
from headwater.batch.schema import no_column
from headwater.batch.subset import subset

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.batch.lists import Values
    from headwater.batch.schema import Schema
    from headwater.batch.strings import I32
    from headwater.errors import Fault
    from headwater.model.template import Template
    from headwater.session.events import Messages


class _Columns(dict[str, Any]):
    """Columns by name, with a sentence for those that are not there."""

    def __missing__(self, name: str) -> NoReturn:
        raise no_column(name, tuple(self))


class Batch:
    """Records of one Template, at least as many columns as were asked for, one value per record in each.

    template: what the records consist of; of a selection too, and of several domains the first one's id.
        A Collecting Process joins those of Templates that have the same fields in other orders; it is the first then.
    columns: by name, in the order of `schema`: numpy arrays (masked ones where there are nulls), Strings, Lists.
    faults: what was wrong with values. num_rows: records.
    """

    def __init__(
        self,
        template: Template,
        schema: Schema,
        columns: Sequence[Values],
        num_rows: int,
        faults: tuple[Fault, ...],
        messages: Messages,
        message: I32,
    ) -> None:
        self.template = template
        self.schema = schema
        self.num_rows = num_rows
        self.faults = faults
        self._columns = columns
        self._messages = messages
        self._message = message

    @cached_property
    def columns(self) -> Mapping[str, Values]:
        """The columns by name."""
        return MappingProxyType(_Columns(zip(self.schema.names, self._columns, strict=True)))

    @cached_property
    def domain(self) -> int | None:
        """The Observation Domain of the records, None if they are from several."""
        domains = self._messages.domain[self._message]
        return int(domains[0]) if len(domains) and (domains == domains[0]).all() else None

    @property
    def is_biflow(self) -> bool:
        """Whether the records tell of both directions (RFC 5103)."""
        return biflow.is_biflow(self.template)

    def split_biflow(self, *, keep_empty: bool = False) -> tuple[Batch, Batch]:
        """(forward uniflows, reverse uniflows), both with the same columns; headwater.batch.biflow has the rules.

        keep_empty: also reverse uniflows in which nothing was counted.
        """
        return biflow.split_biflow(self, keep_empty=keep_empty)

    def take(self, rows: npt.NDArray[np.intp]) -> Batch:
        """The records of these numbers, which ascend; `domain` and `faults` stay those of all."""
        columns = [subset(values, rows) for values in self._columns]
        return Batch(self.template, self.schema, columns, len(rows), self.faults, self._messages, self._message)

    def with_columns(self, template: Template, schema: Schema, columns: Sequence[Values]) -> Batch:
        """The same records with other columns of as many values."""
        return Batch(template, schema, columns, self.num_rows, self.faults, self._messages, self._message)

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, name: str) -> Values:
        """The column of that name; KeyError if there is none."""
        return self.columns[name]

    def __iter__(self) -> NoReturn:
        message = "a Batch is rows and columns: iterate over batch.rows(), batch.tuples() or batch.columns"
        raise TypeError(message)

    def __repr__(self) -> str:
        names = self.schema.names
        shown = ", ".join(names[:6]) + (f", … {len(names) - 6} more" if len(names) > 6 else "")
        kind = "options records" if self.template.scope_count else "records"
        where = "several domains" if self.domain is None else f"domain {self.domain}"
        faults = f", {len(self.faults)} kinds of faults" if self.faults else ""
        return f"<Batch: {self.num_rows} {kind} of Template {self.template.id}, {where}: {shown}{faults}>"

    def tuples(self) -> Iterator[tuple[Any, ...]]:
        """One tuple per record, its values as DataType describes them: addresses are int or bytes, times int."""
        if not self._columns:
            return iter([()] * self.num_rows)
        return rows.tuples(self.schema, self._columns, self.num_rows)

    def rows(
        self, *, addresses: Addresses = "text", times: Times = "int", lists: ListStyle = "plain"
    ) -> Iterator[dict[str, Any]]:
        """One dict per record; Style tells what the options mean."""
        return rows.dicts(self.schema, self._columns, self.num_rows, Style(addresses, times, lists))

    def to_arrow(self) -> pa.RecordBatch:
        """A pyarrow RecordBatch; needs pyarrow (`pip install headwater[arrow]`)."""
        from headwater.batch import arrow

        return arrow.record_batch(self)

    def __arrow_c_schema__(self) -> object:
        """The schema as an Arrow PyCapsule."""
        from headwater.batch import arrow

        return arrow.c_schema(self.schema, self._columns).__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """(schema, struct array) as Arrow PyCapsules, without copying; a requested schema is not followed."""
        from headwater.batch import arrow

        schema, array = arrow.c_array(self.schema, self._columns, self.num_rows).__arrow_c_array__()
        return schema, array

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A stream of this one batch as an Arrow PyCapsule."""
        from headwater.batch import arrow

        return arrow.c_stream(self.schema, self._columns, self.num_rows).__arrow_c_stream__()
