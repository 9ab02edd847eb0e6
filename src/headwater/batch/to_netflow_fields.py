"""Fields that were made for another protocol, as Templates of records that have a value in each."""

from __future__ import annotations

from dataclasses import dataclass, field
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


def _lacking(made: Made, count: int) -> Bool:
    """Which records have no value in any of these fields."""
    empty = np.ones(count, np.bool_)
    for _, values in made:
        null = nulls(values)
        empty &= False if null is None else null
    return empty
