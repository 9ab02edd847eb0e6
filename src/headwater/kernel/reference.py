"""The numpy twin of the kernel: same functions, same results, same kinds of error.

It is the oracle of the kernel's tests and serves where no compiler was used; 10 to 60 times slower.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from operator import index
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.kernel.reference_arguments import (
    INT32_MAX,
    Ints,
    Numbers,
    Octets,
    Readable,
    Writable,
    check_offsets,
    check_spans,
    number_of,
    numbers_of,
    octets_of,
    table_of,
)
from headwater.kernel.reference_packets import dissect, pcap_packets, pcapng_packets

__all__ = [
    "chain",
    "columns",
    "dicts",
    "dissect",
    "fresh",
    "gather_rows",
    "pack",
    "pcap_packets",
    "pcapng_packets",
    "runs",
    "scan",
    "scatter",
    "scatter_strings",
    "strings",
    "utf8",
]

Column: TypeAlias = npt.NDArray[Any]


def chain(
    buf: Readable, start: Numbers, end: Numbers, header: int
) -> tuple[Ints, npt.NDArray[np.uint16], Ints, Ints, Ints]:
    """Walk spans of (tag u16, length u16 incl. header) structures -> parent, tag, body, end, rest."""
    header = number_of(header, 4, 65535)
    octets, starts, ends = octets_of(buf), numbers_of(start), numbers_of(end)
    check_spans(octets, starts, ends)
    prefix, wire = Struct(">HH").unpack_from, octets.data
    rows, rest = [], []
    for parent, (at, stop) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        while at + header <= stop:
            tag, length = prefix(wire, at)
            if length < header or at + length > stop:
                break
            rows.append((parent, tag, at + header, at + length))
            at += length
        rest.append(at)
    table = np.array(rows, np.int32).reshape(-1, 4).T
    return table[0].copy(), table[1].astype(np.uint16), table[2].copy(), table[3].copy(), np.array(rest, np.int32)


def scan(buf: Readable, start: Numbers, end: Numbers, gaps: Numbers) -> tuple[Ints, Ints, Ints, Ints]:
    """Walk the records of one template in spans -> at[v+1, r], size[v, r], count[m], rest[m]."""
    octets, starts, ends, gap = octets_of(buf), numbers_of(start), numbers_of(end), numbers_of(gaps).tolist()
    variable = len(gap) - 1
    least = sum(gap) + variable
    if variable < 0 or min(gap) < 0 or least == 0:
        raise ValueError(f"gaps {gap} describe no record")
    check_spans(octets, starts, ends)
    if variable == 0:
        count = (ends - starts) // least
        at = np.repeat(starts - least * (np.cumsum(count) - count), count) + least * np.arange(count.sum())
        rest = starts + least * count
        return (
            at.astype(np.int32)[None],
            np.empty((0, len(at)), np.int32),
            count.astype(np.int32),
            rest.astype(np.int32),
        )
    rows: list[list[int]] = []
    sizes: list[list[int]] = []
    counts, rests = [], []
    wire = octets.tobytes()
    for first, stop in zip(starts.tolist(), ends.tolist(), strict=True):
        before, position = len(rows), first
        while position + least <= stop and (record := _record(wire, position, stop, gap)) is not None:
            after, row, size = record
            rows.append(row)
            sizes.append(size)
            position = after
        counts.append(len(rows) - before)
        rests.append(position)
    return (
        np.array(rows, np.int32).reshape(-1, variable + 1).T.copy(),
        np.array(sizes, np.int32).reshape(-1, variable).T.copy(),
        np.array(counts, np.int32),
        np.array(rests, np.int32),
    )


def _record(wire: bytes, position: int, stop: int, gap: list[int]) -> tuple[int, list[int], list[int]] | None:
    """Where the record at `position` ends, its row of `at` and its sizes; None if it runs past `stop`."""
    row, sizes = [position], []
    for fixed in gap[:-1]:
        position += fixed
        if position >= stop:
            return None
        size = wire[position]
        position += 1
        if size == 255:
            if position + 2 > stop:
                return None
            size = wire[position] << 8 | wire[position + 1]
            position += 2
        position += size
        if position > stop:
            return None
        row.append(position)
        sizes.append(size)
    position += gap[-1]
    return (position, row, sizes) if position <= stop else None


def columns(buf: Readable, at: Numbers, plan: Numbers, dtypes: Iterable[npt.DTypeLike]) -> list[Column]:
    """Gather fixed-size fields of records -> one array per row of the plan, of its dtype."""
    octets, rows, table = octets_of(buf), table_of(at), table_of(plan)
    fields = _fields(table, list(dtypes))
    places = [_places(octets, rows, field) for field in fields]
    return [_gather(octets, place, field) for place, field in zip(places, fields, strict=True)]


def runs(
    buf: Readable,
    start: Numbers,
    count: Numbers,
    stride: int,
    plan: Numbers,
    dtypes: Iterable[npt.DTypeLike],
) -> list[Column]:
    """columns() of records without variable-length fields, count[i] of them from start[i] on."""
    octets, starts, counts, table = octets_of(buf), numbers_of(start), numbers_of(count), table_of(plan)
    stride = number_of(stride, 1, INT32_MAX)
    if len(starts) != len(counts):
        raise ValueError(f"{len(starts)} starts but {len(counts)} counts")
    fields = _fields(table, list(dtypes))
    begin, number = starts.astype(np.int64), counts.astype(np.int64)
    last = begin + (number - 1) * stride
    if (begin < 0).any() or (number < 0).any() or (last > INT32_MAX).any():
        raise IndexError("records that are not inside a buffer")
    begin, last, number = begin[number > 0], last[number > 0], number[number > 0]
    ends = np.stack([begin, last]).reshape(1, -1).astype(np.int32)
    for field in fields:  # before the positions of all records take memory
        _places(octets, ends, field)
    within = np.arange(number.sum() if fields else 0) - np.repeat(np.cumsum(number) - number, number if fields else 0)
    rows = (np.repeat(begin, number if fields else 0) + stride * within).astype(np.int32)[None]
    return [_gather(octets, _places(octets, rows, field), field) for field in fields]


def strings(buf: Readable, end: Numbers, size: Numbers) -> tuple[Ints, Octets]:
    """Copy the values of size[k] octets that end at end[k] -> offsets i32[r+1], data u8[*] (Arrow binary)."""
    octets, ends, sizes = octets_of(buf), numbers_of(end).astype(np.int64), numbers_of(size).astype(np.int64)
    if len(ends) != len(sizes):
        raise ValueError(f"{len(ends)} ends but {len(sizes)} sizes")
    if (sizes < 0).any() or (ends < sizes).any() or (ends > len(octets)).any():
        raise IndexError(f"values that are not inside {len(octets)} octets")
    offsets = np.zeros(len(ends) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if offsets[-1] > INT32_MAX:
        raise ValueError("more than 2 GiB of values in one column")
    return offsets.astype(np.int32), octets[np.repeat(ends - offsets[1:], sizes) + np.arange(offsets[-1])]


def utf8(offsets: Numbers, data: Readable) -> npt.NDArray[np.bool_] | None:
    """Which values are well-formed UTF-8 -> bool[n], or None if all are."""
    bounds, octets = numbers_of(offsets), octets_of(data)
    check_offsets(bounds, len(octets))
    text = octets.tobytes()
    good = np.array([_is_utf8(text[a:b]) for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)], bool)
    return None if good.all() else good


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def fresh(size: int) -> Octets:
    """uint8[size] for messages, of undefined content."""
    if not 0 <= size <= INT32_MAX:
        raise ValueError(f"{size} octets for messages")
    return np.empty(index(size), np.uint8)


def pack(sizes: Numbers, budget: int, header: int, *, align: int = 1, most: int = 0) -> tuple[Ints, Ints, Ints]:
    """Put records into messages in order, as many as fit -> at[r], first[k+1], begin[k+1]."""
    wanted = numbers_of(sizes)
    if not 1 <= budget <= INT32_MAX or not 0 <= header <= INT32_MAX:
        raise ValueError(f"a budget of {budget} octets after a header of {header}")
    if not 1 <= align <= budget or not 0 <= most <= INT32_MAX:
        raise ValueError(f"at most {most} records, aligned to {align} octets, in a budget of {budget}")
    budget, header, align, most = index(budget), index(header), index(align), index(most)
    budget -= budget % align
    at: list[int] = []
    first: list[int] = []
    begin: list[int] = []
    position, left = 0, -1
    for row, size in enumerate(wanted.tolist()):
        if not 1 <= size <= budget:
            raise ValueError(f"record {row} of {size} octets for a budget of {budget}")
        if size > left or (most and row - first[-1] == most):
            position += left % align if first else 0
            first.append(row)
            begin.append(position)
            position += header
            left = budget
        if position + size + align > INT32_MAX:
            raise ValueError("more than 2 GiB of messages")
        at.append(position)
        position += size
        left -= size
    position += left % align if first else 0
    return np.array(at, np.int32), np.array([*first, len(wanted)], np.int32), np.array([*begin, position], np.int32)


def scatter(buf: Writable, at: Numbers, plan: Numbers, columns: Iterable[npt.ArrayLike]) -> None:
    """Inverse of columns(): write the values of each array at its field of every record, cut to the field's width."""
    octets, rows, table = octets_of(buf, writable=True), table_of(at), table_of(plan)
    arrays = [np.ascontiguousarray(column) for column in columns]
    fields = _fields(table, [array.dtype for array in arrays])
    places = [_places(octets, rows, field) for field in fields]
    for array in arrays:
        if array.shape != rows.shape[1:]:
            raise ValueError(f"a column has shape {array.shape}, not ({rows.shape[1]},)")
    for array, place, field in zip(arrays, places, fields, strict=True):
        raw = array.view(np.uint8).reshape(len(place), array.itemsize)
        if field.kind.kind != "V" and sys.byteorder == "little":
            raw = raw[:, ::-1]
        for j in range(field.width):
            octets[place + j] = raw[:, j - field.width]


def scatter_strings(buf: Writable, end: Numbers, offsets: Numbers, data: Readable, *, shortest: int = 255) -> None:
    """Write each value so that it ends at end[k], behind its length in 1 octet or 3 (RFC 7011 section 7)."""
    octets, ends, bounds, source = octets_of(buf, writable=True), numbers_of(end), numbers_of(offsets), octets_of(data)
    if not 0 <= shortest <= 255:
        raise ValueError(f"a length of 3 octets from {shortest} on")
    shortest = index(shortest)
    if len(bounds) != len(ends) + 1:
        raise ValueError(f"{len(bounds)} offsets for {len(ends)} values")
    check_offsets(bounds, len(source))
    sizes = np.diff(bounds)
    if (sizes > 65535).any():
        raise ValueError("a value of more than 65535 octets")
    if ((ends - np.where(sizes < shortest, 1, 3) < sizes) | (ends > len(octets))).any():
        raise IndexError(f"values that are not inside {len(octets)} octets")
    for stop, size, at in zip(ends.tolist(), sizes.tolist(), bounds.tolist(), strict=False):
        prefix = bytes((size,)) if size < shortest else b"\xff" + size.to_bytes(2)
        octets[stop - size : stop] = source[at : at + size]
        octets[stop - size - len(prefix) : stop - size] = np.frombuffer(prefix, np.uint8)


_ROW_NUMBERS = {"u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"}


class _Field(NamedTuple):
    row: int
    delta: int
    width: int
    signed: bool
    kind: np.dtype[Any]


def _fields(table: Ints, dtypes: list[npt.DTypeLike]) -> list[_Field]:
    """The rows of a plan, each checked against the dtype of its column."""
    if table.shape != (len(dtypes), 4):
        raise ValueError(f"a plan of shape {table.shape} for {len(dtypes)} columns")
    fields = []
    for (row, delta, width, signed), dtype in zip(table.tolist(), dtypes, strict=True):
        kind = np.dtype(dtype)
        raw = kind.kind == "V" and kind.names is None and kind.subdtype is None and kind.itemsize == width
        number = kind.kind in "uifmM" and kind.itemsize in (1, 2, 4, 8) and kind.isnative and width <= kind.itemsize
        if not 1 <= width <= 65535 or not (raw or number):
            raise ValueError(f"{width} octets into {kind}")
        fields.append(_Field(row, delta, width, signed != 0, kind))
    return fields


def _places(octets: Octets, rows: Ints, field: _Field) -> npt.NDArray[np.intp]:
    """Positions of one field in every record, each checked against the buffer."""
    if not 0 <= field.row < len(rows):
        raise IndexError(f"row {field.row} of {len(rows)}")
    places: npt.NDArray[np.intp] = rows[field.row].astype(np.intp) + field.delta
    if len(places) and (places.min() < 0 or places.max() + field.width > len(octets)):
        raise IndexError(f"a field of {field.width} octets is not inside {len(octets)} octets")
    return places


def _gather(octets: Octets, places: npt.NDArray[np.intp], field: _Field) -> Column:
    if len(places) == 0:
        return np.empty(0, field.kind)
    if field.kind.kind == "V":
        return np.ndarray(len(octets) - field.width + 1, field.kind, octets.data, strides=(1,))[places]
    value = np.where(field.signed & (octets[places] > 127), np.uint64(2**64 - 1), np.uint64(0))
    for j in range(field.width):
        value = value << np.uint64(8) | octets[places + j]
    return value.astype(f"u{field.kind.itemsize}").view(field.kind)


def dicts(names: tuple[str, ...], columns: Iterable[Any], dotted: Iterable[bool]) -> Iterator[dict[str, Any]]:
    """Iterate over one dict per row of columns that are lists, or arrays of integers.

    dotted: per column, whether its uint32 are IPv4 addresses that are wanted as text.
    """
    given, as_text = list(columns), list(dotted)
    if not len(names) == len(given) == len(as_text):
        raise ValueError(f"{len(names)} names for {len(given)} columns")
    count = len(given[0]) if given else 0
    cells = []
    for column, is_text in zip(given, as_text, strict=True):
        if len(column) != count:
            raise ValueError(f"columns of {count} and of {len(column)} rows")
        cells.append(_cells(column, is_text))
    return (dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True))


def gather_rows(
    rows: list[Any], keys: tuple[str, ...] | None, dtypes: Iterable[npt.DTypeLike | None]
) -> list[npt.NDArray[Any] | list[Any]]:
    """Columns of rows, dicts or tuples -> for each dtype an array, or the objects where not all fit it as numbers."""
    wanted = list(dtypes)
    if keys is not None and len(keys) != len(wanted):
        raise ValueError(f"{len(keys)} keys for {len(wanted)} columns")
    for given in wanted:
        if given is not None:
            _row_number(given)
    for number, row in enumerate(rows):
        if not isinstance(row, tuple if keys is None else dict):
            raise TypeError(f"row {number} is no {'tuple' if keys is None else 'dict'}")
        if keys is None and len(row) != len(wanted):
            raise ValueError(f"row {number} has {len(row)} values, not {len(wanted)}")
    cells: list[list[Any]] = [
        [tuple.__getitem__(row, f) for row in rows] if keys is None else [dict.get(row, keys[f]) for row in rows]
        for f in range(len(wanted))
    ]
    return [column if dtype is None else _numbers(column, dtype) for column, dtype in zip(cells, wanted, strict=True)]


def _row_number(given: npt.DTypeLike) -> np.dtype[Any]:
    dtype = np.dtype(given)
    if f"{dtype.kind}{dtype.itemsize}" not in _ROW_NUMBERS or not dtype.isnative:
        raise ValueError(f"a column of {dtype}")
    return dtype


def _numbers(cells: list[Any], given: npt.DTypeLike) -> npt.NDArray[Any] | list[Any]:
    dtype = _row_number(given)
    if any(type(cell) is not (float if dtype.kind == "f" else int) for cell in cells):
        return cells
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            real = np.array(cells, np.float64)
            narrow = real.astype(dtype)
        return narrow if ((narrow == real) | np.isnan(real)).all() else cells
    limits = np.iinfo(dtype)
    return np.array(cells, dtype) if all(limits.min <= cell <= limits.max for cell in cells) else cells


def _cells(column: Any, is_text: bool) -> list[Any]:
    if isinstance(column, list):
        return column
    if type(column) is not np.ndarray:
        raise TypeError(f"a column that is a {type(column).__name__}")
    is_plain = column.dtype.kind in "iu" and column.dtype.isnative and column.ndim == 1
    if not is_plain or (is_text and column.dtype != np.uint32):
        raise ValueError(f"a column of {column.dtype}")
    if not column.flags.c_contiguous or not column.flags.aligned:
        raise ValueError("numbers are not contiguous and aligned")
    if not is_text:
        return column.tolist()  # type: ignore[no-any-return]
    return [f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}" for a in column.tolist()]
