"""Arrow arrays of any library, through the C data interface: to columns, or their values as numpy and Strings.

Sharing buffers where the layouts are the same. A timestamp without a zone is UTC, as all others are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import nanoarrow as na
import numpy as np
import numpy.typing as npt
from nanoarrow.c_array import CArrayView

from headwater import kernel
from headwater.batch.incoming_join import joined
from headwater.batch.incoming_numpy import check_size
from headwater.batch.incoming_target import Target
from headwater.batch.incoming_values import values_of
from headwater.batch.strings import Bool, Strings
from headwater.batch.subset import subset

if TYPE_CHECKING:
    from headwater.batch.lists import Values

Flat = npt.NDArray[Any]
_NUMBERS: Final = {
    "c": "i1", "C": "u1", "s": "i2", "S": "u2", "i": "i4", "I": "u4", "l": "i8", "L": "u8", "e": "f2", "f": "f4",
    "g": "f8", "tdD": "i4", "tdm": "i8",
}  # fmt: skip
_DATES: Final = {"tdD": "M8[D]", "tdm": "M8[ms]"}
_UNITS: Final = {"s": "s", "m": "ms", "u": "us", "n": "ns"}
_NESTED: Final = {"+l": "of lists", "+L": "of lists", "+w": "of lists", "+v": "of lists", "+s": "of structs",
    "+m": "of maps", "+u": "of unions"}  # fmt: skip
_INLINE = 12  # octets of a view that need no other buffer
_VIEW = 16


class _Kept:
    """Memory that numpy may use as long as it holds this object, which holds the memory's owner.

    A buffer as nanoarrow hands it over does not keep the array alive that it is of.
    """

    def __init__(self, octets: npt.NDArray[np.uint8], owner: Any) -> None:
        self.__array_interface__ = octets.__array_interface__
        self.owner = owner


class Arrow:
    """One Arrow array: values start..start+count of one that nanoarrow sees, whose memory belongs to `owner`."""

    __slots__ = ("count", "owner", "schema", "start", "view")

    def __init__(self, owner: Any, schema: Any, view: Any, start: int, count: int) -> None:
        self.owner, self.schema, self.view, self.start, self.count = owner, schema, view, start, count

    @property
    def format(self) -> str:
        """The format of the Arrow C data interface."""
        return str(self.schema.format)

    @property
    def name(self) -> str:
        """The name of the field."""
        return self.schema.name or ""

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the field."""
        found = self.schema.metadata
        if found is None:
            return {}
        return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}

    def children(self) -> list[Arrow]:
        """The fields of a struct."""
        return [
            Arrow(self.owner, self.schema.child(i), view := self.view.child(i), view.offset + self.start, self.count)
            for i in range(self.schema.n_children)
        ]

    def items(self, first: int, stop: int) -> Arrow:
        """Items first..stop of a list, by their numbers in its child."""
        view = self.view.child(0)
        return Arrow(self.owner, self.schema.child(0), view, view.offset + first, stop - first)

    def dictionary(self) -> Arrow | None:
        """The values that a dictionary's indices mean."""
        if self.schema.dictionary is None:
            return None
        view = self.view.dictionary
        return Arrow(self.owner, self.schema.dictionary, view, view.offset, view.length)

    def null(self) -> Bool | None:
        """bool[n], True = null; None = no nulls."""
        if self.format == "n":
            return np.ones(self.count, np.bool_)
        if self.view.n_buffers == 0 or self.view.buffer_type(0) != "validity" or not self.view.buffer(0).size_bytes:
            return None
        null = ~self._bits(0)
        return null if null.any() else None

    def offsets(self) -> npt.NDArray[np.int64]:
        """int64[n+1] of text, octets or lists."""
        format = self.format
        if format.startswith("+w:"):
            return np.arange(self.start, self.start + self.count + 1, dtype=np.int64) * int(format[3:])
        found = self._numbers(1, "i8" if format in ("U", "Z", "+L") else "i4", self.count + 1)
        return found.astype(np.int64) if len(found) else np.zeros(1, np.int64)  # an empty array may have none at all

    def numbers(self, dtype: str) -> Flat:
        """The values of a buffer of numbers, or of octets of one length."""
        return self._numbers(1, dtype, self.count)

    def bits(self) -> Bool:
        """The values of a boolean array."""
        return self._bits(1)

    def octets(self, number: int) -> npt.NDArray[np.uint8]:
        """All of one buffer."""
        buffer = self.view.buffer(number)
        if not buffer.size_bytes:
            return np.empty(0, np.uint8)
        return np.asarray(_Kept(np.frombuffer(buffer, np.uint8), self.owner))

    def _numbers(self, number: int, dtype: str, count: int) -> Flat:
        size = np.dtype(dtype).itemsize
        found: Flat = self.octets(number)[self.start * size : (self.start + count) * size].view(dtype)
        return found

    def _bits(self, number: int) -> Bool:
        first, end = self.start >> 3, (self.start + self.count + 7) >> 3
        bits = np.unpackbits(self.octets(number)[first:end], bitorder="little")
        return bits[self.start & 7 :][: self.count].view(np.bool_)


def arrays(data: Any) -> Iterator[Arrow]:
    """The arrays of anything that hands over Arrow, one after the other; an empty one if there are none."""
    if not hasattr(data, "__arrow_c_stream__"):
        array = na.c_array(data)
        yield Arrow(array, array.schema, array.view(), array.offset, array.length)
        return
    with na.c_array_stream(data) as stream:
        schema = stream.get_schema()
        is_empty = True
        for array in stream:
            is_empty = False
            yield Arrow((schema, array), schema, array.view(), array.offset, array.length)
    if is_empty:
        yield Arrow(None, schema, CArrayView.from_schema(schema), 0, 0)


def column(target: Target, data: Any) -> Values:
    """The column of anything that hands over Arrow."""
    return column_of(target, list(arrays(data)))


def column_of(target: Target, chunks: Sequence[Arrow]) -> Values:
    """The column of arrays of the same type, one after the other. Raises EncodeError."""
    parts = []
    done = 0
    for chunk in chunks:
        rows = np.arange(done, done + chunk.count)
        parts.append(values(target if len(chunks) == 1 else replace(target, rows=rows), chunk))
        done += chunk.count
    try:
        return joined(parts)
    except OverflowError as size:
        raise target.refusal_of_all(f"{size} octets or items at once; hand over fewer rows at a time") from None


def values(target: Target, array: Arrow) -> Values:
    """The column of one array. Raises EncodeError."""
    indexed = array.dictionary()
    if indexed is not None:
        if target.type.is_list:
            raise target.refusal_of_all("dictionary-encoded lists; decode them first")
        return _looked_up(target, array, indexed)
    if array.format == "n" and not target.type.is_list:
        return values_of(target, [None] * array.count)
    if target.type.is_list:
        from headwater.batch import incoming_arrow_lists

        return incoming_arrow_lists.lists(target, array)
    return values_of(target, _plain(target, array))


def _looked_up(target: Target, array: Arrow, indexed: Arrow) -> Values:
    """Indices into values: those that are used are converted, each once."""
    numbers, null = array.numbers(_NUMBERS[array.format]), array.null()
    rows = np.arange(array.count) if null is None else np.flatnonzero(~null)
    used, first, number = np.unique(numbers[rows], return_index=True, return_inverse=True)
    plain = _plain(target, indexed)
    some: Any = subset(plain, used.astype(np.intp)) if isinstance(plain, Strings) else np.asarray(plain)[used.tolist()]
    at = rows[first] if target.rows is None else target.rows[rows[first]]
    column = values_of(replace(target, rows=at), some)
    if null is None:
        return _taken(column, number, None)
    index = np.zeros(array.count, np.intp)
    index[rows] = number
    return _taken(column, index, null) if len(used) else values_of(target, [None] * array.count)


def _taken(column: Values, index: Flat, null: Bool | None) -> Values:
    """Values in any order, also several times, and null where that says so."""
    if isinstance(column, Strings):
        size = np.diff(column.offsets)[index]
        validity = None if column.validity is None else column.validity[index]
        if null is not None:
            size[null] = 0
            validity = ~null if validity is None else validity & ~null
        offsets, data = kernel.strings(column.data, column.offsets[index] + size, size)
        return Strings(offsets, data, validity, column.is_text)
    assert isinstance(column, np.ndarray)
    taken: Flat = column[index]
    if null is None:
        return taken
    mask = np.ma.getmaskarray(taken) | null
    data = np.ma.getdata(taken)
    data[null] = np.zeros((), data.dtype)
    return np.ma.MaskedArray(data, mask)


def _plain(target: Target, array: Arrow) -> Flat | Strings | list[Any]:
    """The values as they are, in numpy arrays or Strings."""
    format, null = array.format, array.null()
    if format in ("u", "z", "U", "Z"):
        return _strings(target, array.offsets(), array.octets(2), null, is_text=format in "uU")
    if format in ("vu", "vz"):
        return _from_views(array, null)
    if format.startswith("d:"):
        return _decimals(array, null)
    if format == "+r":
        raise target.refusal_of_all("run-end encoded; decode it first")
    if format == "b":
        plain: Flat = array.bits()
    elif format in _NUMBERS:
        plain = array.numbers(_NUMBERS[format])
        plain = plain.astype("i8").view(_DATES[format]) if format in _DATES else plain
    elif format.startswith(("ts", "tD")):
        plain = array.numbers(f"{'M' if format[1] == 's' else 'm'}8[{_UNITS[format[2]]}]")
    elif format.startswith("w:"):
        plain = array.numbers(f"V{format[2:]}")
    else:
        kind = _NESTED.get(format[:2], f"of format {format!r}")
        raise target.refusal_of_all(f"an Arrow array {kind} cannot be {target.type}")
    return plain if null is None else np.ma.MaskedArray(plain, null)


def _strings(target: Target, offsets: Flat, data: Flat, null: Bool | None, *, is_text: bool) -> Strings:
    first, last = int(offsets[0]), int(offsets[-1])
    check_size(target, last - first)
    return Strings(
        (offsets - first).astype(np.int32), data[first:last], None if null is None else ~null, is_text=is_text
    )


def _from_views(array: Arrow, null: Bool | None) -> Strings:
    """Text or octets of which each value says where it is: in itself, or in one of several buffers."""
    count = array.count
    views = array.octets(1)[array.start * _VIEW : (array.start + count) * _VIEW]
    parts = [views]
    begins = [len(views)]
    for number in range(2, array.view.n_buffers - 1):  # the last one has their sizes
        parts.append(array.octets(number))
        begins.append(begins[-1] + len(parts[-1]))
    words = views.view("<i4").reshape(count, 4)
    size = words[:, 0].astype(np.int32)
    if null is not None:
        size[null] = 0
    begin = np.arange(4, _VIEW * count + 4, _VIEW, dtype=np.int64)
    far = size > _INLINE
    begin[far] = np.array(begins, np.int64)[words[far, 2]] + words[far, 3]
    end = (begin + size).astype(np.int32)
    offsets, data = kernel.strings(np.concatenate(parts), end, size)
    return Strings(offsets, data, None if null is None else ~null, array.format == "vu")


def _decimals(array: Arrow, null: Bool | None) -> list[Any]:
    """Decimals of any width, as databases sum integers in."""
    from decimal import Context, Decimal

    _, scale, *bits = (int(part) for part in array.format[2:].split(","))
    width = (bits[0] if bits else 128) // 8
    exact = Context(prec=100)
    octets = array.numbers(f"V{width}").tolist()
    numbers = [int.from_bytes(value, "little", signed=True) for value in octets]
    out: list[Any] = [exact.scaleb(Decimal(number), -scale) for number in numbers] if scale else numbers
    for row in [] if null is None else np.flatnonzero(null).tolist():
        out[row] = None
    return out
