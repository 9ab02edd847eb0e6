"""A value that cannot go on the wire, on its way from where it was found to the caller."""

from __future__ import annotations

from typing import Final

from headwater.errors import EncodeError

NULL: Final = (
    "null, but a field has a value in every record: send such records with another Template, as nulls='split' does "
    "where records are written, or 0 or nothing in its place with nulls='zero'"
)
"""Why a null does not fit."""

NULL_IN_LIST: Final = (
    "null, but the records of a list have a value in every field: leave the field out of all of them, put those with "
    "different fields into a subTemplateMultiList, or send 0 or nothing in its place with nulls='zero'"
)
"""The same for the records in lists, which nulls='split' does not part."""


class Misfit(Exception):
    """A value of one column, or a whole column, that does not fit its field.

    row: of the column, None = all of it. path: columns from the outside in, as far as they are known.
    """

    def __init__(self, row: int | None, why: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.row, self.why, self.path = row, why, path

    def of(self, name: str) -> Misfit:
        """The same in a column of that name."""
        return Misfit(self.row, self.why, (name, *self.path))

    def at(self, row: int | None) -> Misfit:
        """The same in a row of the column around it."""
        return Misfit(row, NULL_IN_LIST if self.why is NULL else self.why, self.path)

    def error(self) -> EncodeError:
        """What the caller is told."""
        column = ".".join(self.path)
        where = f"column {column!r}" + (f", row {self.row}" if self.row is not None else "")
        return EncodeError(f"{where}: {self.why}" if column else self.why, column=column, row=self.row)
