"""What another protocol could not be told of the records it was given: nothing of it is lost in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class NetflowReport:
    """Counts that add up over any number of batches.

    given, written: records; of a biflow both directions count. records: why a record was left out.
    columns: (column, why it was left out) → records that had a value in it.
    values: (column, what was done to them) → values that are other ones now.
    """

    given: int = 0
    written: int = 0
    records: Counter[str] = field(default_factory=Counter)
    columns: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_lossless(self) -> bool:
        """Whether everything was told as it was."""
        return not (self.records or self.columns or self.values)

    def record(self, why: str, count: int) -> None:
        """So many records were left out."""
        if count:
            self.records[why] += count

    def column(self, name: str, why: str, count: int) -> None:
        """A column was left out, in which so many records had a value."""
        if count:
            self.columns[name, why] += count

    def value(self, name: str, what: str, count: int) -> None:
        """So many values of a column are other ones now."""
        if count:
            self.values[name, what] += count

    def lines(self) -> Iterator[str]:
        """In words, one fact a line."""
        yield f"{self.written} of {self.given} records written"
        for why, count in self.records.items():
            yield f"{count} records left out: {why}"
        for (name, why), count in self.columns.items():
            yield f"{name} left out of {count} records: {why}"
        for (name, what), count in self.values.items():
            yield f"{count} values of {name} changed: {what}"

    def __str__(self) -> str:
        return "\n".join(self.lines())
