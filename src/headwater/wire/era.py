"""Eras of NTP timestamps on their way out (RFC 7011 §5.2): their seconds begin anew every 136 years.

Readers take the instant within 2^31 seconds (68 years) of the Export Time, so only that much can be said at all.
"""

from __future__ import annotations

from typing import Final

from headwater.model.text import to_text
from headwater.model.types import DataType

NEAREST: Final = 1 << 31
"""Seconds from the Export Time to the farthest instants that readers choose: the one after it still, the other not."""

UNKNOWN_EXPORT_TIME: Final = 2_085_978_496
"""2036-02-07T06:28:16Z, where the second era begins. Where no Export Time is known, that is in the middle: instants
from 1968-01-20 to 2104-02-26, as NTP itself reads what stands alone (RFC 4330 §3)."""

ERA_TYPES: Final = frozenset({DataType.MICROSECONDS, DataType.NANOSECONDS})


def limits(type: DataType, export_time: int | None) -> tuple[int, int]:
    """The least and the greatest count, in the type's unit, that is read as what it is."""
    middle = UNKNOWN_EXPORT_TIME if export_time is None else export_time
    return (middle - NEAREST + 1) * type.ticks, (middle + NEAREST + 1) * type.ticks - 1


def refusal(type: DataType, count: int, export_time: int | None) -> str:
    """Why it cannot be said."""
    low, high = (to_text(DataType.SECONDS, limit // type.ticks) for limit in limits(type, export_time))
    about = "" if export_time is None else f", sent at {to_text(DataType.SECONDS, export_time)},"
    shown = to_text(DataType.SECONDS, count // type.ticks)
    return f"{shown} would be read as another time: {type}{about} can say {low} to {high} (RFC 7011 §5.2)"
