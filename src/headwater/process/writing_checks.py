"""What a Writer is given that no octets can be made of, whatever the values are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from headwater.batch.mapping import is_mappable
from headwater.errors import EncodeError, HeadwaterError

if TYPE_CHECKING:
    from headwater.model.template import Template

Time = float | datetime


def check_domain(domain: int | None) -> None:
    """Raise HeadwaterError for what is no Observation Domain ID."""
    if domain is not None and not (isinstance(domain, Integral) and 0 <= domain < 1 << 32):
        raise HeadwaterError(f"domain is a number of 32 bits, not {domain!r}")


def check_record(record: Any, template: Template | None) -> None:
    """Raise EncodeError for what no record can be made of, whatever its values are."""
    if isinstance(record, Mapping) or is_mappable(type(record)):
        return
    if not isinstance(record, tuple | list):
        raise EncodeError(f"{record!r} is no record: give a dict, a tuple with a template, or a mapped object")
    if template is None:
        raise EncodeError(f"{record!r} is no record without a template, which says what its values are")


def seconds_of(time: Time | None) -> float | None:
    """An Export Time in seconds since 1970. Raises HeadwaterError."""
    seconds = time.timestamp() if isinstance(time, datetime) else time
    if seconds is not None and not (isinstance(seconds, Real) and 0 <= seconds < 1 << 32):
        raise HeadwaterError(f"export_time is a datetime, or seconds since 1970 in 32 bits, not {time!r}")
    return seconds


def behind(bad: EncodeError, rows: int) -> EncodeError:
    """The error with its row counted from the first of all, so many of which come before its own part."""
    if bad.row is None:
        return bad
    row = bad.row + rows
    return EncodeError(str(bad).replace(f"row {bad.row}", f"row {row}", 1), column=bad.column, row=row)


def without_row(bad: HeadwaterError) -> HeadwaterError:
    """The error of a record that was handed over by itself."""
    if not isinstance(bad, EncodeError) or bad.row is None:
        return bad
    return EncodeError(str(bad).replace(f", row {bad.row}:", ":", 1), column=bad.column)
