"""What the columns of a batch are: names, types and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from headwater.model.types import VARIABLE, DataType

if TYPE_CHECKING:
    import nanoarrow as na

    from headwater.model.element import InformationElement


class Column(NamedTuple):
    """One column of a batch.

    type: how its values are to be read; OCTET_ARRAY where the Template's length is illegal for the element's type.
    element: None for the facts of a Message that no Information Element describes (exportTime, sequence).
    length: octets on the wire, 65535 = variable; None for a column that is no field of the Template.
    """

    name: str
    type: DataType
    element: InformationElement | None = None
    length: int | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """What a reader of the columns alone needs to export them again, as Arrow field metadata."""
        facts = {"ipfix.type": self.type.label}
        if self.element is not None:
            facts |= {
                "ipfix.pen": str(self.element.pen),
                "ipfix.id": str(self.element.id),
                "ipfix.name": self.element.name,
                "ipfix.semantics": self.element.semantics_name,
                "ipfix.units": self.element.units_name,
            }
        if self.length is not None:
            facts["ipfix.length"] = "variable" if self.length == VARIABLE else str(self.length)
        return facts


@dataclass(frozen=True)
class Schema:
    """The columns of a batch, in order; their names differ from each other."""

    columns: tuple[Column, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple([column.name for column in self.columns])

    @cached_property
    def arrow_fields(self) -> list[na.Schema | None]:
        """The columns as Arrow fields; None for lists, whose type comes with the data."""
        from headwater.batch import arrow

        return arrow.flat_fields(self)

    def __arrow_c_schema__(self) -> object:
        """The Arrow schema without data: lists are of null type."""
        from headwater.batch import arrow

        return arrow.c_schema(self).__arrow_c_schema__()

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        try:
            return self.columns[self.names.index(name)]
        except ValueError:
            raise no_column(name, self.names) from None


def free_name(name: str, taken: set[str]) -> str:
    """The name, with the first free number if it is taken; taken from then on."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    taken.add(free)
    return free


def no_column(name: object, names: Sequence[str]) -> KeyError:
    """The error for a column that is not there, with the nearest names."""
    from difflib import get_close_matches

    if not isinstance(name, str):
        return KeyError(f"columns go by name, not by {name!r}")
    near = get_close_matches(name[:128], names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return KeyError(f"no column is named {name!r}{hint}")
