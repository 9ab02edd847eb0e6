"""Fields that were made for another protocol, as Templates of records that have a value in each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from headwater.batch.incoming import split_nulls, template_for
from headwater.batch.incoming_columns import of_template
from headwater.batch.incoming_values import nulls
from headwater.batch.strings import Bool
from headwater.batch.subset import subset
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_source import Converted
from headwater.model.template import Field, Template

if TYPE_CHECKING:
    from headwater.batch.lists import Values

    Made: TypeAlias = list[tuple[Field, Values]]


@dataclass(slots=True)
class Fields:
    """The fields of records with their columns: scope, and all others."""

    scope: Made = field(default_factory=list)
    others: Made = field(default_factory=list)

    def parts(self, count: int, protocol: str, report: NetflowReport) -> list[Converted]:
        """The records, those together that have a value in the same fields; the others are left out, and told."""
        if not count:
            return []
        made, scopes = _in_turn([*self.scope, *self.others], report), len(self.scope)
        self.scope, self.others = made[:scopes], made[scopes:]
        empty = _lacking(self.others, count)
        if self.scope:
            empty |= _lacking(self.scope, count)
        rows = np.flatnonzero(~empty)
        report.record(f"no value that {protocol} can say", count - len(rows))
        report.written += len(rows)
        if not len(rows):
            return []
        fields = [*self.scope, *self.others]
        values = [one if len(rows) == count else subset(one, rows) for _, one in fields]
        template = Template(0, tuple([of for of, _ in fields]), len(self.scope))
        told = of_template(template, values, len(rows))
        return [Converted(template_for(part), part.values, part.count) for _, part in split_nulls(told)]


def _in_turn(made: Made, report: NetflowReport) -> Made:
    """Fields of which none has a value in records where an earlier one of the same element has not.

    They are known by their order only, so the later one would be read as the earlier.
    """
    done: Made = []
    seen: dict[tuple[int, int], Bool] = {}
    for of, values in made:
        null, before = nulls(values), seen.get(of.element.key)
        if before is not None:
            moved = before if null is None else before & ~null
            if moved.any():
                report.value(of.element.name, "left out: an earlier one has no value", int(np.count_nonzero(moved)))
                values = _without(values, moved)
                null = before if null is None else before | null
        seen[of.element.key] = np.zeros(len(values), np.bool_) if null is None else null
        done.append((of, values))
    return done


def _without(values: Values, moved: Bool) -> Values:
    if isinstance(values, np.ndarray):
        return np.ma.MaskedArray(np.ma.getdata(values), np.ma.getmaskarray(values) | moved)
    return replace(values, validity=~moved if values.validity is None else values.validity & ~moved)


def _lacking(made: Made, count: int) -> Bool:
    """Which records have no value in any of these fields."""
    empty = np.ones(count, np.bool_)
    for _, values in made:
        null = nulls(values)
        empty &= False if null is None else null
    return empty
