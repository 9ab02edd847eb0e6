"""Batches as one Arrow C stream: a consumer pulls them one at a time, so any number takes the memory of one.

https://arrow.apache.org/docs/format/CStreamInterface.html. The stream is nanoarrow's, with its `release` in C, for
consumers release streams while a Python exception is on its way; only what gives the next array is ours.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from typing import Protocol
from weakref import WeakValueDictionary

import nanoarrow as na
from nanoarrow.c_array_stream import CArrayStream

from headwater.errors import HeadwaterError


class ArrowSchema(Protocol):
    """A schema by PyCapsule."""

    def __arrow_c_schema__(self) -> object: ...


class ArrowArray(Protocol):
    """An array with its schema by PyCapsule."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...


def arrow_stream(schema: ArrowSchema, arrays: Iterator[ArrowArray]) -> object:
    """A PyCapsule "arrow_array_stream" that pulls from `arrays`, all of which have `schema`.

    What `arrays` raises the consumer reports as its own kind of error, with our words.
    """
    state = _State(1)
    state.arrays = arrays
    # an array that nobody gets to see: its buffer keeps the state alive until the stream is released
    keeper = na.c_array_from_buffers(na.uint8(), 1, [None, state])
    stream = CArrayStream.from_c_arrays([keeper], na.c_schema(schema), move=True, validate=False)
    struct = _Stream.from_address(stream._addr())
    struct.get_next, struct.get_last_error = _CALLBACKS
    _states[struct.private_data] = state
    return stream.__arrow_c_stream__()


class _State(bytearray):
    """Where the arrays come from, and words for what went wrong; in the shape of a buffer, for the keeper's sake."""

    arrays: Iterator[ArrowArray]
    error: ctypes.Array[ctypes.c_char]


_states: WeakValueDictionary[int, _State] = WeakValueDictionary()
"""By private_data, which a stream keeps wherever it is moved to."""

_GET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_GET_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class _Stream(ctypes.Structure):
    """struct ArrowArrayStream."""

    _fields_ = [  # ctypes wants it so
        ("get_schema", ctypes.c_void_p),
        ("get_next", _GET),
        ("get_last_error", _GET_ERROR),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    ]


class _Array(ctypes.Structure):
    """struct ArrowArray."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        *((name, ctypes.c_void_p) for name in ("buffers", "children", "dictionary", "release", "private_data")),
    ]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _get_next(stream: int, out: int) -> int:
    state = _state(stream)
    try:
        array = next(state.arrays, None)
        if array is None:
            ctypes.memset(out, 0, ctypes.sizeof(_Array))
        else:
            _move(array.__arrow_c_array__()[1], out)
    except BaseException as bad:  # nothing can be raised through C
        words = str(bad) if isinstance(bad, HeadwaterError) else f"{type(bad).__name__}: {bad}"
        state.error = ctypes.create_string_buffer(words.encode(errors="replace"))
        return errno.EIO
    return 0


def _move(capsule: object, out: int) -> None:
    """Move the array of a capsule: it is copied, and marked as released where it was."""
    source = _Array.from_address(_pointer(capsule, b"arrow_array"))
    ctypes.memmove(out, ctypes.addressof(source), ctypes.sizeof(_Array))
    source.release = None


def _get_last_error(stream: int) -> int | None:
    error = getattr(_state(stream), "error", None)
    return None if error is None else ctypes.addressof(error)


def _state(stream: int) -> _State:
    return _states[_Stream.from_address(stream).private_data]


_CALLBACKS = _GET(_get_next), _GET_ERROR(_get_last_error)
