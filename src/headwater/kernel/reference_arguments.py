"""Checks of arguments, for the numpy twin of the kernel."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    # numpy says that its arrays are buffers only from Python 3.12 on
    Readable: TypeAlias = ReadableBuffer | npt.NDArray[np.uint8]
    Writable: TypeAlias = WriteableBuffer | npt.NDArray[np.uint8]
    Numbers: TypeAlias = ReadableBuffer | npt.NDArray[np.int32]
else:
    Readable = Writable = Numbers = Any

Octets: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int32]

INT32_MAX = 2**31 - 1
KEY = 40
"""Octets of the key of a peer."""


def number_of(value: int, least: int, greatest: int) -> int:
    """A whole number within bounds."""
    if not least <= value <= greatest:
        raise ValueError(f"{value} is not within {least}..{greatest}")
    return index(value)


def octets_of(buf: Any, *, writable: bool = False) -> Octets:
    """Any contiguous buffer of octets."""
    view = memoryview(buf)
    if view.format not in ("B", "c", "?") or view.ndim != 1 or not view.c_contiguous or (writable and view.readonly):
        raise ValueError(f"not {'writable ' * writable}contiguous octets")
    return np.ndarray(len(view), np.uint8, view)


def _int32(values: Any, ndim: int) -> Ints:
    view = memoryview(values)
    if (view.format or "").lstrip("@=") not in ("i", "l") or view.itemsize != 4 or view.ndim != ndim:
        raise ValueError(f"not int32 of {ndim} dimensions")
    return np.asarray(view)


def numbers_of(values: Numbers) -> Ints:
    """int32[n], contiguous and aligned."""
    array = _int32(values, 1)
    if not array.flags.c_contiguous or not array.flags.aligned:
        raise ValueError("numbers are not contiguous and aligned")
    return array


def table_of(values: Numbers) -> Ints:
    """int32[rows, n] of contiguous, aligned rows."""
    array = _int32(values, 2)
    if array.size and (not array.flags.aligned or (array.shape[1] > 1 and array.strides[1] != 4)):
        raise ValueError("rows of numbers are not contiguous and aligned")
    return array


def check_spans(octets: Octets, starts: Ints, ends: Ints) -> None:
    """Raise IndexError for a span that is not inside the octets."""
    if len(starts) != len(ends):
        raise ValueError(f"{len(starts)} starts but {len(ends)} ends")
    if ((starts < 0) | (starts > ends) | (ends > len(octets))).any():
        raise IndexError(f"spans that are not inside {len(octets)} octets")


def check_offsets(bounds: Ints, total: int) -> None:
    """Raise IndexError for offsets that do not ascend inside `total` octets."""
    if len(bounds) == 0:
        raise ValueError("no offsets")
    if bounds[0] < 0 or bounds[-1] > total or (np.diff(bounds.astype(np.int64)) < 0).any():
        raise IndexError(f"offsets that are not inside {total} octets")


def keys_of(values: Readable) -> Octets:
    """Keys of peers: uint8[k, 40]."""
    view: Any = memoryview(values)
    if view.format not in ("B", "c", "?") or view.ndim != 2 or not view.c_contiguous or view.shape[1] != KEY:
        raise ValueError(f"not keys of {KEY} contiguous octets")
    return np.asarray(view)
