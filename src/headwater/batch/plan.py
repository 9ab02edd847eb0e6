"""Template to plan: what the kernel gathers and what is left to do, worked out once per Template content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.fields import null_column, reading
from headwater.batch.records import Cell
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import I32
from headwater.model.element import NETFLOW_PADDING
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.wire.layout import Layout

if TYPE_CHECKING:
    from headwater.batch.derived import Derived, Make
    from headwater.batch.fields import Step
    from headwater.batch.lists import Values
    from headwater.batch.records import Job, Records
    from headwater.model.element import InformationElement

_KEPT_FIELDS = 1 << 17
"""Fields of all plans kept at a time. A peer can send any number of Templates; 0.3 kB a field is 40 MB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the records of one Template become columns.

    gaps, stride: see kernel.scan and kernel.runs; stride is the least length of a record, 0 = no octets at all.
    rows, dtypes: kernel.columns' plan. slots: the column each row of it goes to; None = row k is column k.
    steps: (column, what remains to be done).
    derived: (column, how it is made, the columns it is made of); a number beyond the schema is that of a hidden
        column, a field that is read for derived columns only. template: what the derived columns are told.
    width: number of columns, the hidden ones too.
    """

    schema: Schema
    gaps: I32
    stride: int
    rows: I32
    dtypes: list[np.dtype[Any]]
    slots: tuple[int, ...] | None
    steps: tuple[tuple[int, Step], ...]
    derived: tuple[tuple[int, Make, tuple[int, ...]], ...] = ()
    template: Template | None = None
    width: int = 0

    @property
    def is_fixed(self) -> bool:
        """Whether all records have `stride` octets."""
        return len(self.gaps) == 1

    def read(self, job: Job, records: Records) -> list[Values]:
        """The columns of the records."""
        columns: list[Any] = []
        if self.dtypes and records.at is not None:
            columns = kernel.columns(job.sets.buffer, records.at, self.rows, self.dtypes)
        elif self.dtypes:
            start, counts = records.runs()
            columns = kernel.runs(job.sets.buffer, start, counts, records.stride, self.rows, self.dtypes)
        if self.slots is not None:
            gathered, columns = columns, [None] * self.width
            for slot, column in zip(self.slots, gathered, strict=True):
                columns[slot] = column
        for slot, step in self.steps:
            columns[slot] = step(job, records, columns[slot])
        if self.derived:
            assert self.template is not None
            for slot, make, sources in self.derived:
                columns[slot] = make(job, records.count, self.template, [columns[source] for source in sources])
            del columns[len(self.schema) :]
        return columns


class Target(NamedTuple):
    """A column that is wanted: of field number `field`, or made by `fact` or by `derived`, or null throughout."""

    column: Column
    field: int | None = None
    fact: Callable[[Job, int], npt.NDArray[Any]] | None = None
    derived: Derived | None = None


def compile_plan(
    template: Template, targets: Sequence[Target] | None = None, cells: Sequence[tuple[int, int]] | None = None
) -> Plan:
    """The plan for these columns, or for all fields of the Template in order.

    cells: (anchor, delta) of each field, where it is not the Template that says it.
    """
    if targets is None:
        targets = field_targets(template)
    schema = Schema(tuple([target.column for target in targets]))
    targets, derived = _with_hidden(template, targets)
    layout = Layout.of(template)
    rows, dtypes, slots, steps = [], [], [], []
    made = {slot for slot, _, _ in derived}
    for slot, (column, field, *_) in enumerate(targets):
        if field is None:
            if slot not in made:
                steps.append((slot, partial(_made, targets[slot])))
            continue
        anchor, delta = (cells or layout.cells)[field]
        length = template.fields[field].length
        how = reading(column.type, length)
        if how.dtype is not None:
            rows.append((anchor, delta, length, how.is_signed))
            dtypes.append(how.dtype)
            slots.append(slot)
        if how.finish is not None:
            steps.append((slot, partial(how.finish, Cell(column.name, anchor, delta, length))))
    return Plan(
        schema,
        layout.gaps,
        layout.least,
        np.array(rows, np.int32).reshape(-1, 4),
        dtypes,
        None if len(slots) == len(targets) else tuple(slots),
        tuple(steps),
        tuple(derived),
        template,
        len(targets),
    )


def _with_hidden(
    template: Template, targets: Sequence[Target]
) -> tuple[Sequence[Target], list[tuple[int, Make, tuple[int, ...]]]]:
    """(the targets and after them the fields that only derived columns need, Plan.derived)."""
    wanted = [(slot, target.derived) for slot, target in enumerate(targets) if target.derived is not None]
    if not wanted:
        return targets, []
    fields = {target.field: target for target in field_targets(template)}
    everything = list(targets)
    # a selected field has the type that the decoder's registry says, so it may not be the same column
    slots = {
        target.field: slot
        for slot, target in enumerate(targets)
        if target.field in fields and target.column.type is fields[target.field].column.type
    }
    derived = []
    for slot, how in wanted:
        sources = how.sources(template)
        if sources is None:
            continue
        for source in sources:
            if source not in slots:
                slots[source] = len(everything)
                everything.append(fields[source])
        derived.append((slot, how.make, tuple([slots[source] for source in sources])))
    return everything, derived


def field_targets(template: Template) -> list[Target]:
    """A column for each field, in order; what NetFlow v1 to v8 leave unused is none."""
    return [
        Target(Column(name, column_type(field.element.type, field.length), field.element, field.length), number)
        for number, (name, field) in enumerate(zip(template.column_names, template.fields, strict=True))
        if field.element is not NETFLOW_PADDING
    ]


@lru_cache(maxsize=4096)
def column_type(type: DataType, length: int) -> DataType:
    """How a field is read: as its element's type, or as octets if its length is illegal for it (RFC 7011 §6.2)."""
    return type if length == 0 or type.accepts(length) else DataType.OCTET_ARRAY


def _made(target: Target, job: Job, records: Records, raw: None) -> Values:
    if target.fact is not None:
        return target.fact(job, records.count)
    return null_column(target.column.type, records.count)


class Plans:
    """Plans by Template; the oldest are forgotten when all have more than _KEPT_FIELDS fields.

    Found by the Template object first, for speed, then by content, for a thousand routers with the same Template.
    """

    def __init__(self, compile: Callable[[Template], Plan] = compile_plan) -> None:
        self._compile = compile
        self._by_object: dict[int, tuple[Template, Plan]] = {}
        self._by_content: dict[Template, tuple[Template, Plan]] = {}
        self._fields = 0

    def of(self, template: Template) -> Plan:
        """The plan for the records of a Template."""
        known = self._by_object.get(id(template))
        return known[1] if known is not None else self._add(template)

    def of_element(self, element: InformationElement, length: int) -> Plan:
        """The plan for the elements of a basicList."""
        return self.of(_template_of(element, length))

    def _add(self, template: Template) -> Plan:
        same = self._by_content.get(template)
        # type information (RFC 5610) can change what the same octets mean
        if same is None or _elements(same[0]) != _elements(template):
            same = self._by_content[template] = template, self._compile(template)
        # the Template is kept, or another one could get its id
        self._by_object[id(template)] = template, same[1]
        self._fields += 1 + len(template.fields)
        while self._fields > _KEPT_FIELDS:
            oldest, _ = self._by_object.pop(next(iter(self._by_object)))
            self._by_content.pop(oldest, None)
            self._fields -= 1 + len(oldest.fields)
        return same[1]


@lru_cache(maxsize=4096)
def _template_of(element: InformationElement, length: int) -> Template:
    return Template(0, (Field(element, length),))


def _elements(template: Template) -> list[InformationElement]:
    return [field.element for field in template.fields]
