"""How the octets of one field become a column, type by type (RFC 7011 §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.lists import Lists
from headwater.batch.nested import read_lists
from headwater.batch.records import Cell, Job, Records
from headwater.batch.strings import I32, U8, Strings
from headwater.errors import FaultKind
from headwater.model.types import VARIABLE, DataType
from headwater.wire.values import NTP_EPOCH

if TYPE_CHECKING:
    from headwater.batch.lists import Values

Flat = npt.NDArray[Any]
Step = Callable[[Job, Records, Any], "Values"]
"""(job, records, gathered octets or None) -> column."""

_US_KEPT: Final = 0xFFFF_F800  # "the 11 least significant bits … MUST be ignored" (RFC 7011 §6.1.9)
_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Reading:
    """How the kernel gathers a field of some type and length, and what is left to do.

    dtype: of the gathered column, None where nothing is gathered. finish: takes the cell, then what a Step takes.
    """

    dtype: np.dtype[Any] | None
    is_signed: bool = False
    finish: Callable[..., Values] | None = None


@lru_cache(maxsize=4096)
def reading(type: DataType, length: int) -> Reading:
    """How a field of a legal length is read; a length of 0 means no value, except for text and octets.

    An integer may be longer than native, up to 8 octets, as it may in NetFlow v9.
    """
    if type in (DataType.STRING, DataType.OCTET_ARRAY):
        if length == 0:
            return Reading(None, finish=partial(_no_octets, is_text=type is DataType.STRING))
        dtype = None if length == VARIABLE else np.dtype(f"V{length}")
        return Reading(dtype, finish=_text if type is DataType.STRING else _octets)
    if type.is_list:
        return Reading(None, finish=partial(_lists, type=type))
    if length == 0:
        return Reading(None, finish=partial(_nothing, type=type))
    if type is DataType.BOOLEAN:
        return Reading(np.dtype("u1"), finish=_booleans)
    if type is DataType.FLOAT64 and length == 4:
        return Reading(np.dtype("f4"), finish=_doubles)
    if type is DataType.UNSIGNED256 and length < type.width:
        return Reading(np.dtype(f"V{length}"), finish=_wide)
    if type is DataType.SECONDS:
        return Reading(np.dtype("u4"), finish=_seconds)
    if type in (DataType.MICROSECONDS, DataType.NANOSECONDS):
        return Reading(np.dtype("u8"), finish=partial(_instants, type=type))
    if type.is_integer and length > type.width:
        wide = np.dtype(f"{'i' if type.is_signed else 'u'}{4 if length <= 4 else 8}")
        return Reading(wide, type.is_signed, partial(_narrowed, type=type))
    finish = _milliseconds if type is DataType.MILLISECONDS else None
    return Reading(np.dtype(type.numpy), type.is_signed, finish)


def null_column(type: DataType, count: int) -> Values:
    """`count` nulls."""
    if type in (DataType.STRING, DataType.OCTET_ARRAY):
        return Strings.empty(count, is_text=type is DataType.STRING, is_null=True)
    if type.is_list:
        return Lists.nulls(type, count)
    return masked(np.zeros(count, type.numpy), np.ones(count, np.bool_))


def masked(values: Flat, mask: npt.NDArray[np.bool_]) -> np.ma.MaskedArray[Any, Any]:
    """Values with nulls where the mask is True; what stands under a null is zero."""
    values[mask] = np.zeros((), values.dtype)
    return np.ma.MaskedArray(values, mask)


def _nothing(cell: Cell, job: Job, records: Records, raw: None, *, type: DataType) -> Values:
    return null_column(type, records.count)


def _no_octets(cell: Cell, job: Job, records: Records, raw: None, *, is_text: bool) -> Values:
    return Strings.empty(records.count, is_text=is_text)


def _octets(cell: Cell, job: Job, records: Records, raw: Flat | None) -> Strings:
    return Strings(*_values(cell, job, records, raw), is_text=False)


def _text(cell: Cell, job: Job, records: Records, raw: Flat | None) -> Strings:
    """Text whose ill-formed values are null: "the Collecting Process SHOULD detect and ignore them" (§6.1.6)."""
    offsets, data = _values(cell, job, records, raw)
    well_formed = kernel.utf8(offsets, data)
    if well_formed is not None:
        job.bad_values(FaultKind.UTF8, records, cell, ~well_formed)
    return Strings(offsets, data, well_formed)


def _values(cell: Cell, job: Job, records: Records, raw: Flat | None) -> tuple[I32, U8]:
    """(offsets, data) of a field of octets; raw: the values, if they are of fixed length."""
    if raw is None:
        return kernel.strings(job.sets.buffer, *records.ends(cell))
    return np.arange(0, cell.length * (len(raw) + 1), cell.length, dtype=np.int32), raw.view(np.uint8)


def _lists(cell: Cell, job: Job, records: Records, raw: None, *, type: DataType) -> Lists:
    end, size = records.ends(cell)
    return read_lists(job, type, cell.name, end - size, end)


def _booleans(cell: Cell, job: Job, records: Records, raw: Flat) -> Flat:
    values: Flat = raw == 1
    bad = raw - np.uint8(1) > 1  # 1 is true, 2 is false, all else is undefined (§6.1.5)
    if not bad.any():
        return values
    job.bad_values(FaultKind.BOOLEAN, records, cell, bad)
    return masked(values, bad)


def _doubles(cell: Cell, job: Job, records: Records, raw: Flat) -> Flat:
    with np.errstate(invalid="ignore"):  # a signalling NaN is not worth a warning
        return raw.astype("f8")


def _narrowed(cell: Cell, job: Job, records: Records, raw: Flat, *, type: DataType) -> Flat:
    """Integers that were sent longer than their type; those that do not fit it are null (NetFlow v9)."""
    values = raw.astype(type.numpy)
    bad = values != raw
    if not bad.any():
        return values
    job.bad_values(FaultKind.VALUE_RANGE, records, cell, bad)
    return masked(values, bad)


def _wide(cell: Cell, job: Job, records: Records, raw: Flat) -> Flat:
    octets = np.zeros((len(raw), DataType.UNSIGNED256.width), np.uint8)
    octets[:, -cell.length :] = raw.view(np.uint8).reshape(len(raw), cell.length)
    wide: Flat = octets.view(DataType.UNSIGNED256.numpy)[:, 0]
    return wide


def _seconds(cell: Cell, job: Job, records: Records, raw: Flat) -> Flat:
    return raw.astype("i8").view(DataType.SECONDS.numpy)


def _milliseconds(cell: Cell, job: Job, records: Records, raw: Flat) -> Flat:
    counts = raw.view("i8")
    if not len(counts) or np.minimum.reduce(counts) >= 0:
        return raw
    bad = counts < 0  # 2^63 ms and more: no timestamp type reaches that far
    job.bad_values(FaultKind.TIME_RANGE, records, cell, bad)
    return masked(raw, bad)


def _instants(cell: Cell, job: Job, records: Records, raw: npt.NDArray[np.uint64], *, type: DataType) -> Flat:
    """NTP timestamps to the nearest unit, each in the era that brings it nearest its Message's Export Time (§5.2)."""
    ticks = type.ticks
    seconds, fraction = raw >> 32, raw & (_US_KEPT if type is DataType.MICROSECONDS else 0xFFFF_FFFF)
    first, last = job.export_times()
    instant = _nearest(seconds, first)
    if last != first and len(instant) and instant.min() <= last - _HALF:
        end, size = records.ends(cell)
        instant = _nearest(seconds, job.sets.messages.export_time[job.messages_at(end - size)].astype(np.int64))
    instant *= ticks
    fraction *= np.uint64(ticks)
    fraction += np.uint64(_HALF)
    instant += (fraction >> 32).view(np.int64)
    column: Flat = instant.view(type.numpy)
    return column


def _nearest(seconds: Flat, reference_s: int | Flat) -> Flat:
    """Unix seconds, int64, of NTP seconds modulo 2^32: more than reference - 2^31, at most reference + 2^31."""
    since = (reference_s + NTP_EPOCH - seconds.view(np.int64)).astype(np.int32)  # modulo 2^32, as wanted
    return reference_s - since.astype(np.int64)
