"""Derived columns: worked out from fields of a record, facts of its Message and what option records said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Final

from headwater.batch.schema import Column
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.records import Job
    from headwater.model.template import Template

Sources = Callable[["Template"], "tuple[int, ...] | None"]
Make = Callable[["Job", int, "Template", "list[Values]"], "Values"]


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that is no field: worked out from fields of the record, facts of its Message and option records.

    sources: indices of the Template's fields it is made of, () if it needs none; None = this Template has nothing for
        it, so all is null. Asked once per Template content.
    make: (job, number of records, Template, those fields as columns in the same order) -> the column. The columns
        belong to the batch too: do not write into them. `job.memo` is for what several columns need.
    """

    name: str
    type: DataType
    sources: Sources
    make: Make

    def column(self, name: str) -> Column:
        """Its description under a name."""
        return Column(name, self.type)


class _Derivations(Mapping[str, Derived]):
    """The derived columns by name; their modules are loaded when somebody asks, for they need this one."""

    _MODULES: Final = ("times", "sampling", "joins")

    @cached_property
    def _by_name(self) -> dict[str, Derived]:
        modules = [import_module(f"headwater.batch.{name}") for name in self._MODULES]
        return {name: derived for module in modules for name, derived in module.DERIVED.items()}

    def __getitem__(self, name: str) -> Derived:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


DERIVED: Final[Mapping[str, Derived]] = _Derivations()
"""All derived columns by name."""


def field_of(template: Template, id: int, pen: int = 0) -> int | None:
    """Index of the Template's first field of an element whose length is legal for its type, None without one."""
    key = (pen, id)
    for index, field in enumerate(template.fields):
        if field.element.key == key and field.is_legal:
            return index
    return None
