"""Decoder: Data Sets in, a batch of columns out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.batch.batch import Batch
from headwater.batch.facts import FACTS
from headwater.batch.plan import Plan, Plans, Target, column_type, compile_plan, field_targets
from headwater.batch.records import Job, Records
from headwater.batch.schema import Column, Schema
from headwater.errors import HeadwaterError, UnknownElement
from headwater.model import registry as registries

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.events import DataSets

_NUMBERED: Final = re.compile(r"(.+)#([1-9][0-9]{0,4})")


class Decoder:
    """Makes columns of Data Sets; one Decoder serves any number of sessions and is not changed by what it reads.

    select: names of the columns wanted, None = all fields of each Template. An element that comes several times in a
        Template is `name`, `name#2`, …; names of FACTS stand for facts of the Message where the Template has no such
        field. With a selection every batch has the same schema: what a Template lacks, or has in an illegal length,
        is null. (Columns of lists are as deep as their data.)
    provenance: names of FACTS to add after the other columns.
    registry: where selected names come from, the shipped one by default.
    Raises UnknownElement for a name that means nothing.
    """

    def __init__(
        self, select: Iterable[str] | None = None, provenance: Iterable[str] = (), *, registry: Registry | None = None
    ) -> None:
        self._facts = tuple(dict.fromkeys(_names_in("provenance", provenance)))
        for name in self._facts:
            if name not in FACTS:
                raise UnknownElement(name, tuple(FACTS))
        self._registry = registry
        self._wanted: dict[str, tuple[Column, int]] | None = None
        if select is not None:  # by name: an element selected twice, by name and by an alias, is one column
            self._wanted = {
                column.name: (column, number) for column, number in map(self._want, _names_in("select", select))
            }
        self._plans = Plans(self._compile)
        self._inner = Plans()

    @property
    def schema(self) -> Schema | None:
        """The schema of every batch, None without a selection."""
        if self._wanted is None:
            return None
        targets = [Target(column) for column, _ in self._wanted.values()]
        return Schema(tuple([target.column for target in self._with_facts(targets)]))

    def decode(self, sets: DataSets) -> Batch:
        """The records of `sets` as columns. Values that mean nothing are null and counted in `faults`."""
        plan = self._plans.of(sets.template)
        if sets.at is None:
            # no octets, no records: a stride of 1 stands for nothing
            records = Records(int(np.add.reduce(sets.count)), None, None, sets.start, sets.count, plan.stride or 1)
        else:
            records = Records(sets.at.shape[1], sets.at, sets.size)
        job = Job(sets, self._inner)
        columns = plan.read(job, records)
        return Batch(sets.template, plan.schema, columns, records.count, job.faults(), sets.messages, sets.message)

    def _want(self, name: str) -> tuple[Column, int]:
        """(column, which of the Template's fields of that element: 1 = the first) for a selected name."""
        found = _NUMBERED.fullmatch(name)
        base, number = (found[1], int(found[2])) if found else (name, 1)
        if base in FACTS and number == 1:
            return FACTS[base].column(base, self._names()), 1
        element = self._names().named(base)
        return Column(element.name if number == 1 else f"{element.name}#{number}", element.type, element), number

    def _names(self) -> Registry:
        return registries.IANA if self._registry is None else self._registry

    def _compile(self, template: Template) -> Plan:
        if self._wanted is None:
            targets = field_targets(template)
        else:
            targets = [self._target(template, column, number) for column, number in self._wanted.values()]
        return compile_plan(template, self._with_facts(targets))

    def _target(self, template: Template, column: Column, number: int) -> Target:
        """Where a selected column comes from in the records of a Template."""
        if column.element is not None:
            index = _field_of(template, column.element, number)
            if index is not None:
                length = template.fields[index].length
                is_readable = column_type(column.element.type, length) is column.type
                return Target(column, index if is_readable else None)
        fact = FACTS.get(column.name)
        return Target(column, None, fact.make if fact else None)

    def _with_facts(self, targets: list[Target]) -> list[Target]:
        """The targets, and those of the provenance asked for under names that are still free."""
        taken = {target.column.name for target in targets}
        added = []
        for name in self._facts:
            free, number = name, 1
            while free in taken:
                number += 1
                free = f"{name}#{number}"
            taken.add(free)
            added.append(Target(FACTS[name].column(free, self._names()), None, FACTS[name].make))
        return [*targets, *added]


def _names_in(what: str, given: Iterable[str]) -> list[str]:
    """The names. Raises HeadwaterError for a text in place of a list, and for what is no name."""
    if isinstance(given, str):
        raise HeadwaterError(f"{what} is a list of names: write [{given!r}]")
    names = list(given)
    for name in names:
        if not isinstance(name, str):
            raise HeadwaterError(f"{what} is a list of names, and {name!r} is no name")
    return names


def _field_of(template: Template, element: InformationElement, number: int) -> int | None:
    """Index of the Template's `number`-th field of an element, None if it has not so many."""
    key = element.key
    indices = [index for index, field in enumerate(template.fields) if field.element.key == key]
    return indices[number - 1] if number <= len(indices) else None
