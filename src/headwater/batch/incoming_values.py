"""Values of one column in whatever form they come, as a column of the type that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import accumulate, repeat
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater.batch.fields import masked
from headwater.batch.incoming_numpy import from_array, text_or_octets
from headwater.batch.incoming_scalars import scalar
from headwater.batch.incoming_target import Target, Unfit
from headwater.batch.lists import Lists
from headwater.batch.strings import Bool, Strings
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values

_OCTETS = (DataType.STRING, DataType.OCTET_ARRAY)
_WIDE = (DataType.IPV6, DataType.MAC_ADDRESS, DataType.UNSIGNED256)


def values_of(target: Target, data: Any) -> Values:
    """The column. data: numpy array, Strings, Lists, Arrow array, or any sequence of Python objects, None = null.

    Raises EncodeError for the first value that cannot be what is wanted.
    """
    if hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__"):
        from headwater.batch import incoming_arrow

        return incoming_arrow.column(target, data)
    if isinstance(data, Lists):
        if data.type is not target.type:
            raise target.refusal_of_all(f"values of type {data.type} where {target.type} is wanted")
        return data
    if target.type.is_list:
        from headwater.batch import incoming_lists

        return incoming_lists.lists(target, data if isinstance(data, Sequence) else list(data))
    if isinstance(data, Strings):
        return _from_strings(target, data)
    if isinstance(data, np.ndarray):
        return _from_numpy(target, data)
    if hasattr(data, "__array__") and not isinstance(data, Sequence):
        return _from_numpy(target, np.asarray(data))
    return _from_objects(target, data if isinstance(data, list | tuple) else list(data))


def _from_numpy(target: Target, data: npt.NDArray[Any]) -> Values:
    null: Bool | None = None
    if isinstance(data, np.ma.MaskedArray):
        null = np.ma.getmaskarray(data) if np.ma.is_masked(data) else None
        data = np.ma.getdata(data)
    if data.ndim == 2 and data.dtype == np.uint8 and data.shape[1]:  # a row of octets for each value
        data = np.ascontiguousarray(data).view(f"V{data.shape[1]}")[:, 0]
    if data.ndim != 1:
        raise target.refusal_of_all(f"an array of {data.ndim} dimensions is no column")
    column = from_array(target, data, null)
    if column is not None:
        return column
    objects: list[Any] = list(data) if data.dtype.kind in "mMV" else data.tolist()
    if null is not None:
        for row in np.flatnonzero(null).tolist():
            objects[row] = None
    return _one_by_one(target, objects)


def _from_strings(target: Target, data: Strings) -> Values:
    null = None if data.validity is None else ~data.validity
    if target.type is DataType.STRING or (target.type is DataType.OCTET_ARRAY and not data.is_text):
        return text_or_octets(target, data.offsets, data.data, null)
    if not data.is_text and null is None and target.type.width and not target.type.is_integer:
        sizes = np.diff(data.offsets)
        if len(sizes) and (sizes == target.type.width).all():
            octets = data.data[data.offsets[0] : data.offsets[-1]]
            column = from_array(target, octets.view(f"V{target.type.width}"), None)
            if column is not None:
                return column
    return _one_by_one(target, data.tolist())


def _from_objects(target: Target, data: Sequence[Any]) -> Values:
    """Numbers all at once if numpy finds them to be numbers, anything else one by one."""
    if target.type not in _OCTETS and target.type not in _WIDE:
        column = _numbers(target, data)
        if column is not None:
            return column
    return _one_by_one(target, data)


def _numbers(target: Target, data: Sequence[Any]) -> Values | None:
    """The column if all values are numbers, truth values or None; None if any is anything else."""
    array = _array(target, data)
    if array is not None:
        return from_array(target, array, None)
    null = np.array([value is None for value in data], np.bool_)
    some = _array(target, [value for value in data if value is not None]) if null.any() else None
    if some is None:
        return None
    array = np.zeros(len(data), some.dtype)
    array[~null] = some
    return from_array(target, array, null)


def _array(target: Target, data: Sequence[Any]) -> npt.NDArray[Any] | None:
    """The values as an array of numbers or truth values, None if they are not all that."""
    if len(data) and isinstance(data[0], str | bytes):
        return None
    if any(map(is_, data, repeat(np.ma.masked))):  # numpy would make it NaN
        return None
    try:
        array = np.array(data)
    except (ValueError, OverflowError, TypeError):
        return None
    is_fit = array.dtype.kind in "iub" or (array.dtype.kind == "f" and target.type.is_float)
    return array if is_fit and array.ndim == 1 else None


def _one_by_one(target: Target, data: Sequence[Any]) -> Values:
    values, null = _scalars(target, data)
    type = target.type
    if type in _OCTETS:
        offsets = np.fromiter(accumulate(map(len, values), initial=0), np.int64, len(values) + 1)
        return text_or_octets(target, offsets, np.frombuffer(b"".join(values), np.uint8), null)
    if type in _WIDE:
        column: npt.NDArray[Any] = np.frombuffer(b"".join(values), np.uint8).view(type.numpy)
    elif type.is_time:
        column = np.array(values, np.int64).view(type.numpy)
    else:
        column = np.array(values, type.numpy)
    return column if null is None else masked(column.copy(), null)


def _scalars(target: Target, data: Sequence[Any]) -> tuple[list[Any], Bool | None]:
    """(values in the form of the type, which are null)."""
    type = target.type
    nothing: Any = bytes(type.width) if type in (*_WIDE, *_OCTETS) else 0
    values: list[Any] = []
    lacking: list[int] = []
    texts: dict[str, Any] = {}  # flows have the same addresses again and again
    for row, given in enumerate(data):
        if given is None or given is np.ma.masked:
            lacking.append(row)
            values.append(nothing)
            continue
        if given.__class__ is not str:
            values.append(_value(target, row, given))
            continue
        if given not in texts:
            texts[given] = _value(target, row, given)
        values.append(texts[given])
    if not lacking:
        return values, None
    null = np.zeros(len(data), np.bool_)
    null[lacking] = True
    return values, null


def _value(target: Target, row: int, given: Any) -> Any:
    try:
        return scalar(target, given)
    except Unfit as unfit:
        if isinstance(given, Enum):
            return _value(target, row, given.value)
        raise target.refusal(row, given, str(unfit)) from None


def nulls(values: Values) -> Bool | None:
    """bool[n], which values are null; None if none is."""
    if isinstance(values, np.ndarray):
        return np.ma.getmaskarray(values) if np.ma.is_masked(values) else None
    return ~values.validity if values.validity is not None and values.null_count else None
