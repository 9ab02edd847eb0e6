from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from _typeshed import ReadableBuffer, WriteableBuffer

# numpy says that its arrays are buffers only from Python 3.12 on.
_Readable: TypeAlias = ReadableBuffer | npt.NDArray[np.uint8]
_Writable: TypeAlias = WriteableBuffer | npt.NDArray[np.uint8]
_Numbers: TypeAlias = ReadableBuffer | npt.NDArray[np.int32]
_Octets: TypeAlias = npt.NDArray[np.uint8]
_Ints: TypeAlias = npt.NDArray[np.int32]
_Words: TypeAlias = npt.NDArray[np.uint32]

def chain(
    buf: _Readable, start: _Numbers, end: _Numbers, header: int
) -> tuple[_Ints, npt.NDArray[np.uint16], _Ints, _Ints, _Ints]: ...
def scan(buf: _Readable, start: _Numbers, end: _Numbers, gaps: _Numbers) -> tuple[_Ints, _Ints, _Ints, _Ints]: ...
def columns(
    buf: _Readable, at: _Numbers, plan: _Numbers, dtypes: Iterable[npt.DTypeLike]
) -> list[npt.NDArray[Any]]: ...
def runs(
    buf: _Readable,
    start: _Numbers,
    count: _Numbers,
    stride: int,
    plan: _Numbers,
    dtypes: Iterable[npt.DTypeLike],
) -> list[npt.NDArray[Any]]: ...
def strings(buf: _Readable, end: _Numbers, size: _Numbers) -> tuple[_Ints, _Octets]: ...
def utf8(offsets: _Numbers, data: _Readable) -> npt.NDArray[np.bool_] | None: ...
def dicts(names: tuple[str, ...], columns: Iterable[Any], dotted: Iterable[bool]) -> Iterator[dict[str, Any]]: ...
def fresh(size: int) -> _Octets: ...
def pack(sizes: _Numbers, budget: int, header: int, *, align: int = 1, most: int = 0) -> tuple[_Ints, _Ints, _Ints]: ...
def scatter(buf: _Writable, at: _Numbers, plan: _Numbers, columns: Iterable[npt.ArrayLike]) -> None: ...
def scatter_strings(
    buf: _Writable, end: _Numbers, offsets: _Numbers, data: _Readable, *, shortest: int = 255
) -> None: ...
def gather_rows(
    rows: list[Any], keys: tuple[str, ...] | None, dtypes: Iterable[npt.DTypeLike | None]
) -> list[npt.NDArray[Any] | list[Any]]: ...
def pcap_packets(
    buf: _Readable, at: int, is_big: bool, header: int, most: int
) -> tuple[_Ints, _Ints, _Words, _Words, int]: ...
def pcapng_packets(
    buf: _Readable, at: int, is_big: bool, interfaces: int, snap: int, most: int
) -> tuple[
    tuple[_Ints, _Ints, _Ints, _Words, _Words],
    tuple[_Words, _Ints, _Ints, npt.NDArray[np.bool_]],
    int,
    tuple[bool, int, int],
]: ...
def dissect(
    buf: _Readable, start: _Numbers, end: _Numbers, link: _Numbers, known: _Readable
) -> tuple[_Octets, _Ints, _Ints, _Ints, _Ints, _Words, _Octets]: ...
