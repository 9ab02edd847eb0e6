"""numpy arrays of any dtype that can mean what a column is to be."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.fields import masked
from headwater.batch.incoming_scalars import NO_DURATION, ROUNDED, seconds_per_count
from headwater.batch.incoming_target import TICKS, Target, Unfit
from headwater.batch.strings import Bool, Strings
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values

Flat = npt.NDArray[Any]
_OUT_OF_RANGE = "it is out of range"


def from_array(target: Target, data: Flat, null: Bool | None) -> Values | None:
    """The column; None if the values must be looked at one by one. null: bool[n], True = null; None = no nulls."""
    type, kind = target.type, data.dtype.kind
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if kind == "M":
        is_nat = np.isnat(data)
        if is_nat.any():
            null = is_nat if null is None else is_nat | null
    if type in (DataType.STRING, DataType.OCTET_ARRAY):
        return _octets(target, data, null) if kind == "V" else None
    column = _flat(target, data, null)
    if column is None:
        return None
    column = np.ascontiguousarray(column)
    if null is None or not null.any():
        return column
    return masked(column.copy() if np.may_share_memory(column, data) else column, null)


def _flat(target: Target, data: Flat, null: Bool | None) -> Flat | None:
    type, kind = target.type, data.dtype.kind
    width = type.width
    if type.is_time:
        return _times(target, data, null)
    if data.dtype == np.dtype(type.numpy):
        return data
    if type is DataType.IPV4 and kind in "VS" and data.dtype.itemsize == width:
        return np.ascontiguousarray(data).view(">u4").astype("u4")
    if type in (DataType.IPV6, DataType.MAC_ADDRESS, DataType.UNSIGNED256):
        return np.ascontiguousarray(data).view(type.numpy) if kind in "VS" and data.dtype.itemsize == width else None
    if type.is_float:
        return _floats(target, data, null) if kind in "fiu" else None
    if kind == "m" and type.is_integer:
        return _durations(target, data, null)
    if kind in "iu" or (kind == "f" and type.is_integer):
        return None if type is DataType.BOOLEAN else _integers(target, data, null)
    return None


def _refuse(target: Target, data: Flat, bad: Bool, null: Bool | None, why: str = "") -> None:
    """Raise EncodeError for the first of the bad values that is not null."""
    if null is not None:
        bad = bad & ~null
    if np.count_nonzero(bad):
        row = int(np.argmax(bad))
        raise target.refusal(row, data[row].item() if data.dtype.kind in "iufb" else data[row], why)


def _integers(target: Target, data: Flat, null: Bool | None, given: Flat | None = None) -> Flat:
    """Whole numbers, in the type's dtype. given: what they were made of, for errors."""
    low, high = target.limits
    given = data if given is None else given
    if data.dtype.kind == "f":
        data = data.astype("f8", copy=False)  # of a shorter one the bounds are no values
        with np.errstate(invalid="ignore"):
            _refuse(target, given, ~(data == np.floor(data)) | np.isinf(data), null)
            # the powers of two are floats, high itself may not be
            _refuse(target, given, (data < float(low)) | (data >= float(high + 1)), null, _OUT_OF_RANGE)
            kept = data if null is None else np.where(null, 0, data)
            return kept.astype(target.type.numpy)
    bounds = np.iinfo(data.dtype)
    if len(data) and (bounds.min < low or bounds.max > high):
        least, most = data.min(), data.max()
        if int(least) < low or int(most) > high:
            bad = np.zeros(len(data), np.bool_)
            if bounds.min < low:
                bad |= data < low
            if bounds.max > high:
                bad |= data > high
            _refuse(target, given, bad, null, _OUT_OF_RANGE)
    return data.astype("i8" if target.type.is_time else target.type.numpy, copy=False)


def _floats(target: Target, data: Flat, null: Bool | None) -> Flat:
    with np.errstate(over="ignore", invalid="ignore"):
        column: Flat = data.astype(target.type.numpy)
    if data.dtype.kind == "f":
        _refuse(target, data, np.isinf(column) & ~np.isinf(data), null, _OUT_OF_RANGE)
    return column


def _times(target: Target, data: Flat, null: Bool | None) -> Flat | None:
    type = target.type
    if data.dtype == np.dtype(type.numpy):
        return data
    if data.dtype.kind in "iu":
        return _integers(target, data, null).view(type.numpy)
    if data.dtype.kind != "M":
        return None
    return _scaled(target, data, null, type.ticks).view(type.numpy)


def _durations(target: Target, data: Flat, null: Bool | None) -> Flat:
    ticks = TICKS.get(target.units)  # type: ignore[call-overload]  # a number equals its IntEnum member
    is_nat = np.isnat(data)
    if ticks is None and len(data):
        _refuse(target, data, np.ones(len(data), np.bool_), null, NO_DURATION)
    _refuse(target, data, is_nat, null)
    return _integers(target, _scaled(target, data, null, ticks or 1), null, data)


def _scaled(target: Target, data: Flat, null: Bool | None, ticks: int) -> Flat:
    """int64 counts of `ticks` a second."""
    if data.dtype.kind == "M" and np.datetime_data(data.dtype)[0] in ("Y", "M"):
        data = data.astype("M8[D]")
    counts = data.view(np.int64)
    if null is not None:
        counts = np.where(null, 0, counts)
    try:
        factor: Fraction = seconds_per_count(data.dtype) * ticks
    except Unfit as unfit:
        _refuse(target, data, np.ones(len(data), np.bool_), null, str(unfit))
        return counts
    if factor == 1:
        return counts
    limit = ((1 << 63) - 1) // factor.numerator
    _refuse(target, data, (counts > limit) | (counts < -limit), null, _OUT_OF_RANGE)
    counts = counts * factor.numerator
    if factor.denominator == 1:
        return counts
    whole, rest = np.divmod(counts, factor.denominator)
    if not target.allow_rounding:
        _refuse(target, data, rest != 0, null, ROUNDED)
    return whole


def _octets(target: Target, data: Flat, null: Bool | None) -> Strings:
    """Octets of one length."""
    width, count = data.dtype.itemsize, len(data)
    check_size(target, width * count)
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return text_or_octets(target, offsets, np.ascontiguousarray(data).view(np.uint8), null)


def check_size(target: Target, octets: int) -> None:
    """Raise EncodeError for more octets or items than the offsets of a column can count."""
    if octets > np.iinfo(np.int32).max:
        raise target.refusal_of_all(f"{octets} octets or items at once; hand over fewer rows at a time")


def text_or_octets(target: Target, offsets: Flat, data: npt.NDArray[np.uint8], null: Bool | None) -> Strings:
    """Strings of any offsets, which must be UTF-8 where text is wanted."""
    check_size(target, int(offsets[-1]))
    offsets = offsets.astype(np.int32, copy=False)
    validity = None if null is None or not null.any() else ~null
    is_text = target.type is DataType.STRING
    if is_text:
        well_formed = kernel.utf8(offsets, data)
        if well_formed is not None:
            bad = ~well_formed if validity is None else ~well_formed & validity
            if bad.any():
                row = int(np.argmax(bad))
                raise target.refusal(row, data[offsets[row] : offsets[row + 1]].tobytes(), "it is not UTF-8")
    return Strings(offsets, data, validity, is_text)
