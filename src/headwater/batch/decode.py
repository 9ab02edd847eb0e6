"""Decoder: Data Sets in, a batch of columns out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.alike import Alike, Cells
from headwater.batch.batch import Batch
from headwater.batch.derived import DERIVED
from headwater.batch.facts import FACTS
from headwater.batch.plan import Plan, Plans, Target, column_type, compile_plan, field_targets
from headwater.batch.records import Job, Records
from headwater.batch.schema import Column, Schema, free_name
from headwater.errors import HeadwaterError, UnknownElement
from headwater.model import registry as registries

if TYPE_CHECKING:
    from headwater.batch.options_tables import OptionsTables
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.model.template import Field, Template
    from headwater.model.types import DataType
    from headwater.session.events import DataSets, Messages

_NUMBERED: Final = re.compile(r"(.+)#([1-9][0-9]{0,4})")


class Decoder:
    """Makes columns of Data Sets; one Decoder serves any number of sessions and is not changed by what it reads.

    select: names of the columns wanted, None = all fields of each Template. An element that comes several times in a
        Template is `name`, `name#2`, …; names of FACTS stand for facts of the Message where the Template has no such
        field, and names of DERIVED for columns that are worked out. With a selection every batch has the same schema:
        what a Template lacks, or has in an illegal length, is null. (Columns of lists are as deep as their data.)
    derived: names of DERIVED to add after the other columns; provenance: names of FACTS to add after those. A name
        that is taken gets a #2.
    registry: where selected names come from, the shipped one by default.
    options: what option records said, for the derived columns that need it.
    Raises UnknownElement for a name that means nothing.
    """

    def __init__(
        self,
        select: Iterable[str] | None = None,
        provenance: Iterable[str] = (),
        *,
        registry: Registry | None = None,
        derived: Iterable[str] = (),
        options: OptionsTables | None = None,
    ) -> None:
        self._facts = _names_of("provenance", provenance, FACTS)
        self._derived = _names_of("derived", derived, DERIVED)
        self._registry = registry
        self.options = options
        self._wanted: dict[str, tuple[Column, int]] | None = None
        if select is not None:  # by name: an element selected twice, by name and by an alias, is one column
            self._wanted = {
                column.name: (column, number) for column, number in map(self._want, _names_in("select", select))
            }
        self._plans = Plans(self._compile)
        self._inner = Plans()
        self._shared: tuple[Messages | None, dict[Any, Any]] = None, {}
        self._sessions: dict[Any, Any] = {}
        # what depends on the very Template cannot be made of the records of several
        wanted = (*self._facts, *(self._wanted or ()))
        self._joins = not self._derived and not any(name == "templateId" or name in DERIVED for name in wanted)
        self._alike = Alike(self._compile)

    @property
    def schema(self) -> Schema | None:
        """The schema of every batch, None without a selection."""
        if self._wanted is None:
            return None
        targets = [Target(column) for column, _ in self._wanted.values()]
        return Schema(tuple([target.column for target in self._with_added(targets)]))

    def decode(self, sets: DataSets) -> Batch:
        """The records of `sets` as columns. Values that mean nothing are null and counted in `faults`."""
        return self._decode(sets, self._plans.of(sets.template))

    def decode_all(self, runs: Sequence[DataSets]) -> Iterator[Batch]:
        """All records of these, in fewer batches than there are runs where many Templates have the same fields.

        The records of such Templates, whatever order their fields are in, come as those of the first.
        """
        if not self._joins:
            yield from map(self.decode, runs)
            return
        for sets, plan in self._alike.joined(runs):
            yield self.decode(sets) if plan is None else self._decode(sets, plan)

    def _decode(self, sets: DataSets, plan: Plan) -> Batch:
        if sets.at is None:
            # no octets, no records: a stride of 1 stands for nothing
            records = Records(int(np.add.reduce(sets.count)), None, None, sets.start, sets.count, plan.stride or 1)
        else:
            records = Records(sets.at.shape[1], sets.at, sets.size)
        of, shared = self._shared
        if of is not sets.messages:
            shared = {}
            self._shared = sets.messages, shared
        job = Job(sets, self._inner, self.options, shared=shared, sessions=self._sessions)
        columns = plan.read(job, records)
        return Batch(sets.template, plan.schema, columns, records.count, job.faults(), sets.messages, sets.message)

    def _want(self, name: str) -> tuple[Column, int]:
        """(column, which of the Template's fields of that element: 1 = the first) for a selected name."""
        found = _NUMBERED.fullmatch(name)
        base, number = (found[1], int(found[2])) if found else (name, 1)
        if base in FACTS and number == 1:
            return FACTS[base].column(base, self._names()), 1
        if base in DERIVED and number == 1:
            return self._want_derived(base), 1
        element = self._named(base)
        return Column(element.name if number == 1 else f"{element.name}#{number}", element.type, element), number

    def _want_derived(self, name: str) -> Column:
        """A derived column; of an element of that name and type the fields count where there are any."""
        derived, element = DERIVED[name], self._names().find(name)
        has_fields = element is not None and element.name == name and element.type is derived.type
        return Column(name, derived.type, element if has_fields else None)

    def _named(self, name: str) -> InformationElement:
        """The element. Raises UnknownElement, which also knows the names that are no elements'."""
        try:
            return self._names().named(name)
        except UnknownElement as unknown:
            near = (*_near(name, (*DERIVED, *FACTS)), *unknown.suggestions)
            raise UnknownElement(name, near[:3]) from None

    def _names(self) -> Registry:
        return registries.IANA if self._registry is None else self._registry

    def _compile(self, template: Template, cells: Cells | None = None) -> Plan:
        if self._wanted is None:
            targets = field_targets(template)
        else:
            targets = [self._target(template, column, number) for column, number in self._wanted.values()]
        # option records are no flows; with a selection all batches have one schema
        is_flow = not template.scope_count or self._wanted is not None
        return compile_plan(template, self._with_added(targets, is_flow=is_flow), cells)

    def _target(self, template: Template, column: Column, number: int) -> Target:
        """Where a selected column comes from in the records of a Template."""
        derived = DERIVED.get(column.name)
        if column.element is not None:
            index = _field_of(template, column.element, number)
            # option records can fill in what the field leaves open, if the derived column looks at the field at all
            has_more = derived is not None and self.options is not None and index in (derived.sources(template) or ())
            if index is not None and not has_more:
                return Target(column, index if _is_readable(template.fields[index], column.type) else None)
        fact = FACTS.get(column.name)
        return Target(column, None, fact.make if fact else None, derived)

    def _with_added(self, targets: list[Target], *, is_flow: bool = True) -> list[Target]:
        """The targets, and the derived columns and the provenance asked for under names that are still free."""
        if not self._facts and not self._derived:
            return targets
        taken = {target.column.name for target in targets}
        derived = [(DERIVED[name], free_name(name, taken)) for name in self._derived if is_flow]
        facts = [(FACTS[name], free_name(name, taken)) for name in self._facts]
        return [
            *targets,
            *[Target(one.column(name), derived=one) for one, name in derived],
            *[Target(one.column(name, self._names()), None, one.make) for one, name in facts],
        ]


def _is_readable(field: Field, type: DataType) -> bool:
    """Whether the octets of a field can be values of a type: in a legal length, or as integers of NetFlow v9 in any."""
    if column_type(type, field.length) is type:
        return True
    kinds = [(t.is_unsigned, t.is_signed) for t in (field.type, type)]
    return type.is_integer and field.is_legal and kinds[0] == kinds[1]


def _names_in(what: str, given: Iterable[str]) -> list[str]:
    """The names. Raises HeadwaterError for a text in place of a list, and for what is no name."""
    if isinstance(given, str):
        raise HeadwaterError(f"{what} is a list of names: write [{given!r}]")
    names = list(given)
    for name in names:
        if not isinstance(name, str):
            raise HeadwaterError(f"{what} is a list of names, and {name!r} is no name")
    return names


def _names_of(what: str, given: Iterable[str], known: Mapping[str, object]) -> tuple[str, ...]:
    """The names, each once. Raises UnknownElement for one that is not known."""
    names = tuple(dict.fromkeys(_names_in(what, given)))
    for name in names:
        if name not in known:
            raise UnknownElement(name, _near(name, known) or tuple(known))
    return names


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names most like a wrong one."""
    from difflib import get_close_matches

    return tuple(get_close_matches(name[:128], known, n=2, cutoff=0.85))


def _field_of(template: Template, element: InformationElement, number: int) -> int | None:
    """Index of the Template's `number`-th field of an element, None if it has not so many."""
    key = element.key
    indices = [index for index, field in enumerate(template.fields) if field.element.key == key]
    return indices[number - 1] if number <= len(indices) else None
