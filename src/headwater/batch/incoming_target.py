"""What values that users hand over are to become, and the error for those that cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.errors import EncodeError
from headwater.model.element import Units
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.model.template import Field, Template

TICKS: Final = {Units.SECONDS: 1, Units.MILLISECONDS: 10**3, Units.MICROSECONDS: 10**6, Units.NANOSECONDS: 10**9}
"""Units of durations → how many make a second."""

_INTEGER = "a whole number from {low} to {high}"
_TIME = "a datetime, a numpy time, text such as '2026-01-01T10:00:00Z', or a whole number of {unit} since 1970"
_WANTED: Final = {
    DataType.OCTET_ARRAY: "bytes, or text of hexadecimal digits",
    DataType.FLOAT32: "a number that a float32 can hold",
    DataType.FLOAT64: "a number that a float64 can hold",
    DataType.BOOLEAN: "True or False, or 1 or 0",
    DataType.MAC_ADDRESS: "6 octets, or text such as '00:00:5e:00:53:01'",
    DataType.STRING: "text that has a UTF-8 form",
    DataType.IPV4: "text such as '192.0.2.1', an IPv4Address, 4 octets, or a whole number of 32 bits",
    DataType.IPV6: "text such as '2001:db8::1', an IPv6Address, or 16 octets",
    DataType.BASIC_LIST: "a list of values",
    DataType.SUB_TEMPLATE_LIST: "a list of dicts",
    DataType.SUB_TEMPLATE_MULTI_LIST: "a dict of lists of dicts by Template ID",
}
_TIME_UNITS: Final = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}


def shown(value: Any) -> str:
    """A value in an error, cut if it is long."""
    try:
        text = repr(value)
    except Exception:  # it is the caller's, and some of numpy have none
        text = f"a value of {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


class Unfit(Exception):
    """One value that cannot be what is wanted. The text is why, "" if the wanted type says it all."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the values of a column are to become.

    name: the column, for errors. units: of the element; tells what a duration is counted in. content: what the items
    of a list are, None = they must say it themselves. allow_rounding: times may be cut to the element's unit.
    rows: int[n], the row that each value belongs to; None = its own number.
    """

    name: str
    type: DataType
    registry: Registry
    units: int = 0
    content: Field | Template | None = None
    allow_rounding: bool = False
    rows: npt.NDArray[np.intp] | None = None

    def inner(self, name: str, element: InformationElement, type: DataType, rows: npt.NDArray[np.intp]) -> Target:
        """The target of what lists in this column hold; rows: of this column."""
        if self.rows is not None:
            rows = self.rows[rows]
        return replace(self, name=f"{self.name}.{name}", type=type, units=element.units, content=None, rows=rows)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest integer of the type."""
        if self.type.is_time:  # of a column; numpy has the least int64 for "not a time"
            return -(1 << 63) + 1, (1 << 63) - 1
        bits = 8 * self.type.width
        if self.type.is_signed:
            return -(1 << bits - 1), (1 << bits - 1) - 1
        return 0, (1 << bits) - 1

    @property
    def wanted(self) -> str:
        """In words."""
        if self.type.is_time:
            return _TIME.format(unit=_TIME_UNITS[self.type.ticks])
        if self.type.is_integer:
            low, high = self.limits
            return _INTEGER.format(low=low, high=high)
        return _WANTED[self.type]

    def refusal(self, row: int, value: Any, why: str = "") -> EncodeError:
        """The error for the value of a row (counted as `rows` does)."""
        if self.rows is not None:
            row = int(self.rows[row])
        reason = f": {why}" if why else ""
        detail = f"column {self.name!r}, row {row}: {shown(value)} is no {self.type}{reason}; wanted is {self.wanted}"
        return EncodeError(detail, column=self.name, row=row)

    def refusal_of_all(self, why: str) -> EncodeError:
        """The error for the column as a whole."""
        return EncodeError(f"column {self.name!r}: {why}", column=self.name)
