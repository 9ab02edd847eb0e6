"""Columns that users handed over, ready for the Encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headwater.batch.fields import null_column
from headwater.batch.incoming_names import Meaning, of_field, placed, repeat_of
from headwater.batch.incoming_target import Target
from headwater.batch.incoming_values import values_of
from headwater.batch.strings import Strings
from headwater.errors import EncodeError
from headwater.model.element import NETFLOW_PADDING, InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE, DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.model.registry import Registry

_PADDING = (0, 210)  # paddingOctets: "its value MUST be zero", so nobody needs to hand it over


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """Records as columns of the types their elements have; the first `scope_count` columns are scope.

    names: those that a Template's columns have (Template.column_names). types: how values are read; OCTET_ARRAY where
    a length is illegal for the element. lengths: octets on the wire, None = nobody has said. values: one per name.
    count: records. template: that they were handed over with; its fields are the columns, in order (NetFlow's
    padding has none).
    """

    names: tuple[str, ...]
    elements: tuple[InformationElement, ...]
    types: tuple[DataType, ...]
    lengths: tuple[int | None, ...]
    values: list[Values]
    count: int
    scope_count: int = 0
    template: Template | None = None

    def __repr__(self) -> str:
        return f"<Incoming: {self.count} records: {', '.join(self.names)}>"


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """One column as it was handed over. name: what errors call it. read: makes the column of the data."""

    name: str
    meaning: Meaning
    data: Any
    read: Callable[[Target, Any], Values] = values_of


def assembled(
    given: Sequence[Given], count: int, *, template: Template | None, registry: Registry, allow_rounding: bool
) -> Incoming:
    """The columns, in the order of the Template or else scope first. Raises EncodeError."""

    def read(one: Given, meant: Meaning) -> Values:
        element = meant.element
        target = Target(one.name, meant.type, registry, element.units, one.meaning.content, allow_rounding)
        values = one.read(target, one.data)
        if len(values) != count:
            raise target.refusal_of_all(f"{len(values)} values where {count} are needed")
        return values

    if template is None:
        ordered = _in_turn(sorted(given, key=lambda one: not one.meaning.is_scope))
        return of_meanings([one.meaning for one in ordered], [read(one, one.meaning) for one in ordered], count)
    by_name = {one.name: one for one in given}
    if len(by_name) != len(given):
        raise EncodeError("several columns have the same name")
    chosen = _chosen(template, by_name)
    values = []
    for index, _, field in columns_in(template):
        meant = of_field(field)
        values.append(read(chosen[index], meant) if index in chosen else _absent(field, meant, count))
    return of_template(template, values, count)


def columns_in(template: Template) -> list[tuple[int, str, Field]]:
    """(its number, column name, field) of each field that has a column: NetFlow's padding has none."""
    return [
        (index, name, field)
        for index, (name, field) in enumerate(zip(template.column_names, template.fields, strict=True))
        if field.element is not NETFLOW_PADDING
    ]


def of_template(template: Template, values: Sequence[Values], count: int) -> Incoming:
    """Columns for the fields of a Template."""
    columns = columns_in(template)
    meanings = [of_field(field) for _, _, field in columns]
    return Incoming(
        tuple([name for _, name, _ in columns]),
        tuple([one.element for one in meanings]),
        tuple([one.type for one in meanings]),
        tuple([one.length for one in meanings]),
        list(values),
        count,
        template.scope_count,
        template,
    )


def of_meanings(meanings: Sequence[Meaning], values: Sequence[Values], count: int) -> Incoming:
    """Columns without a Template, scope first."""
    return Incoming(
        Template(0, tuple([Field(one.element, VARIABLE) for one in meanings])).column_names,
        tuple([one.element for one in meanings]),
        tuple([one.type for one in meanings]),
        tuple([one.length for one in meanings]),
        list(values),
        count,
        sum([one.is_scope for one in meanings]),
    )


def _in_turn(given: list[Given]) -> list[Given]:
    """The columns, those of the same element in the order of their numbers: `name` before `name#2`."""
    if not any("#" in one.name for one in given):
        return given
    places: dict[tuple[tuple[int, int], bool], list[int]] = {}
    for index, one in enumerate(given):
        places.setdefault((one.meaning.element.key, one.meaning.is_scope), []).append(index)
    ordered = [*given]
    for same in places.values():
        for place, index in zip(same, sorted(same, key=lambda index: repeat_of(given[index].name)), strict=True):
            ordered[place] = given[index]
    return ordered


def _chosen(template: Template, by_name: dict[str, Given]) -> dict[int, Given]:
    """The column for each field; where several are for one, the others are for the next ones of the same element."""
    places = placed(tuple(by_name), template, lambda name: by_name[name].meaning.element.key)
    chosen = {index: by_name[name] for name, index in places.items()}
    if len(chosen) == len(places):
        return chosen
    chosen = {}
    for name, first in places.items():
        element = template.fields[first].element.key
        same = [i for i, field in enumerate(template.fields) if i >= first and field.element.key == element]
        free = next((i for i in same if i not in chosen), None)
        if free is None:
            raise EncodeError(f"{chosen[first].name!r} and {name!r} are the same field of the Template", column=name)
        chosen[free] = by_name[name]
    return chosen


def _absent(field: Field, meant: Meaning, count: int) -> Values:
    """What stands for a field that was not handed over: nulls, or padding."""
    if field.element.key != _PADDING:
        return null_column(meant.type, count)
    width = 0 if field.length == VARIABLE else field.length
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return Strings(offsets, np.zeros(width * count, np.uint8), None, is_text=False)
