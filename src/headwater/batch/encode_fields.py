"""How the values of one column become the octets of a field, type by type (RFC 7011 §6); the inverse of fields.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.encode_lists import measure_lists
from headwater.batch.misfit import NULL, Misfit
from headwater.batch.plan import column_type
from headwater.batch.strings import I32, U8, Bool, Strings
from headwater.model.types import VARIABLE, DataType
from headwater.wire.era import ERA_TYPES, limits, refusal
from headwater.wire.values import NTP_EPOCH

if TYPE_CHECKING:
    from headwater.batch.encode import Encoding
    from headwater.batch.lists import Values

Flat: TypeAlias = npt.NDArray[Any]

_MOST: Final = 65535
_SHORTEST: Final = 255  # "If the length of the Information Element is less than 255 octets" it takes 1 (RFC 7011 §7)
_US_STEP: Final = 2048  # microseconds leave the 11 low bits of the fraction zero (RFC 7011 §6.1.9)
_LIMITS: Final = {char: (int(np.iinfo(char).min), int(np.iinfo(char).max)) for char in "bhilqBHILQ"}
_NO_TIME: Final = np.iinfo(np.int64).min
_TIMES: Final = {type: np.dtype(type.numpy) for type in DataType if type.is_time}
_WIDE: Final = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8}


class Content(Protocol):
    """Values of a field that the kernel's scatter cannot write.

    sizes: int32[n], octets of each, its length prefix included where the field is of variable length.
    """

    sizes: I32

    def write(self, buf: U8, end: I32) -> None:
        """Write each value, and its prefix before it, so that it ends at `end`."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How a field of some type and length is written.

    native: dtype of a column that can be written as it is; None = none can.
    is_flat: whether `prepare` gives an array of numbers or octets for kernel.scatter, or else Content.
    prepare: (encoding, values, count) -> either, None if the field takes no octets. Raises Misfit.
    """

    native: np.dtype[Any] | None
    is_flat: bool
    prepare: Callable[[Encoding, Values, int], Any]


@lru_cache(maxsize=4096)
def writing(declared: DataType, length: int) -> Writing:
    """How a field of an element of a type is written; in a length that is illegal for it, its values are octets."""
    type = column_type(declared, length)
    if type in (DataType.STRING, DataType.OCTET_ARRAY):
        if length == VARIABLE:
            return Writing(None, False, partial(_variable, type))
        return Writing(None, True, partial(_fixed, type, length))
    if type.is_list:
        return Writing(None, False, partial(measure_lists, type, length))
    if length == 0:
        return Writing(None, True, _nothing)
    if type in ERA_TYPES:
        return Writing(None, True, partial(_ntp, type, length))
    prepare = partial(_PREPARE.get(type, _integers), type, length)
    is_native = length == type.width and not type.is_time and type is not DataType.BOOLEAN
    return Writing(np.dtype(type.numpy) if is_native else None, True, partial(_flat, prepare, length))


# ---------------------------------------------------------------- text and octets


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Values of variable length, text or octets. shortest: see kernel.scatter_strings."""

    offsets: I32
    data: U8
    sizes: I32
    shortest: int

    def write(self, buf: U8, end: I32) -> None:
        """Write each value behind its length."""
        if self.shortest == _SHORTEST:
            kernel.scatter_strings(buf, end, self.offsets, self.data)
        else:
            kernel.scatter_strings(buf, end, self.offsets, self.data, shortest=self.shortest)


def _variable(type: DataType, encoding: Encoding, values: Values, count: int) -> Text:
    strings = _strings(type, encoding, values, count)
    sizes = np.diff(strings.offsets)
    most = np.maximum.reduce(sizes, initial=0)
    if most > _MOST:
        row = int(sizes.argmax())
        raise Misfit(row, f"a value of {most} octets is longer than any field ({_MOST} octets)")
    if encoding.long:
        return Text(strings.offsets, strings.data, sizes + np.int32(3), 0)
    taken = sizes + np.int32(1)
    if most >= _SHORTEST:
        taken += np.int32(2) * (sizes >= _SHORTEST)
    return Text(strings.offsets, strings.data, taken, _SHORTEST)


def _fixed(type: DataType, length: int, encoding: Encoding, values: Values, count: int) -> Flat | None:
    strings = _strings(type, encoding, values, count)
    sizes = np.diff(strings.offsets)
    wrong = sizes != length
    if np.count_nonzero(wrong):
        row = int(wrong.argmax())
        raise Misfit(row, f"{_shown(strings, row)} has {sizes[row]} octets where the field has exactly {length}")
    if length == 0 or count == 0:
        return None if length == 0 else np.empty(0, f"V{length}")
    octets = strings.data[strings.offsets[0] : strings.offsets[-1]]
    return np.ascontiguousarray(octets).view(f"V{length}")


def _strings(type: DataType, encoding: Encoding, values: Values, count: int) -> Strings:
    """Text or octets that can be sent."""
    if not isinstance(values, Strings):
        raise Misfit(None, f"{_kind(values)} where {type.label} is needed")
    _check_count(values, count)
    null = None if values.validity is None else ~values.validity
    if null is not None and np.count_nonzero(null):
        values = _without_nulls(encoding, values, null)
    if type is DataType.STRING:
        good = kernel.utf8(values.offsets, values.data)
        if good is not None and encoding.lossless and null is not None:
            good |= null
        if good is not None and not good.all():
            row = int(good.argmin())
            raise Misfit(row, f"{_shown(values, row)} is not UTF-8, which text must be (RFC 7011 §6.1.6)")
    return values


def _without_nulls(encoding: Encoding, values: Strings, null: Bool) -> Strings:
    """The values with nothing for nulls, or what came for them if that is wanted."""
    sizes = np.diff(values.offsets)
    if encoding.lossless:
        null = null & (sizes == 0)
    if np.count_nonzero(null) and encoding.nulls == "error":
        raise Misfit(int(null.argmax()), _null_text(values, int(null.argmax())))
    if encoding.lossless:
        return values
    sizes[null] = 0
    return Strings(*kernel.strings(values.data, values.offsets[:-1] + sizes, sizes), is_text=values.is_text)


def _null_text(values: Strings, row: int) -> str:
    if not values.raw(row):
        return NULL
    return f"null, because {_shown(values, row)} is not UTF-8: lossless=True sends such octets again, nulls='zero' none"


def _shown(strings: Strings, row: int) -> str:
    octets = strings.raw(row)
    return repr(octets if len(octets) <= 32 else octets[:32]) + ("" if len(octets) <= 32 else "…")


# ---------------------------------------------------------------- values of fixed length


def _nothing(encoding: Encoding, values: Values, count: int) -> None:
    """A field of no octets has no value in any record."""
    _check_count(values, count)
    if isinstance(values, np.ndarray):
        there = ~np.ma.getmaskarray(values)
        if np.count_nonzero(there):
            raise Misfit(int(there.argmax()), "a value where the field has 0 octets")


def _flat(prepare: Callable[[Flat], Flat], length: int, encoding: Encoding, values: Values, count: int) -> Flat:
    if isinstance(values, Strings) and not values.is_text:  # what was kept undecoded goes out again
        octets = _fixed(DataType.OCTET_ARRAY, length, encoding, values, count)
        assert octets is not None
        return octets
    if not isinstance(values, np.ndarray):
        raise Misfit(None, f"{_kind(values)} where numbers or octets of fixed length are needed")
    _check_count(values, count)
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(encoding, values)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return prepare(values)


def _unmasked(encoding: Encoding, values: np.ma.MaskedArray[Any, Any]) -> Flat:
    """The values with zeros for nulls."""
    plain: Flat = np.asarray(values.data)
    mask = np.ma.getmask(values)
    if mask is np.ma.nomask or not np.count_nonzero(mask):
        return plain
    if encoding.nulls == "error":
        raise Misfit(int(mask.argmax()), NULL)
    plain = plain.copy()
    plain[mask] = np.zeros((), plain.dtype)
    return plain


def _integers(type: DataType, length: int, values: Flat) -> Flat:
    if values.dtype.kind not in "iu":
        raise Misfit(None, f"{_kind(values)} where integers are needed")
    bits = 8 * length
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if type.is_signed else (0, (1 << bits) - 1)
    return _within(values, low, high, length)


def _within(values: Flat, low: int, high: int, length: int) -> Flat:
    """Integers of at least `length` octets, none of them below `low` or above `high`."""
    least_of_all, most_of_all = _LIMITS[values.dtype.char]
    if least_of_all < low:
        least = int(np.minimum.reduce(values, initial=most_of_all))
        if least < low:
            raise Misfit(int(values.argmin()), _range(least, low, high, length))
    if most_of_all > high:
        most = int(np.maximum.reduce(values, initial=least_of_all))
        if most > high:
            raise Misfit(int(values.argmax()), _range(most, low, high, length))
    width = _WIDE[length]
    return values if values.itemsize >= length else values.astype(f"{values.dtype.kind}{width}")


def _range(value: int, low: int, high: int, length: int) -> str:
    return f"{value} does not fit {length} octet{'s' if length > 1 else ''} ({low} to {high})"


def _floats(type: DataType, length: int, values: Flat) -> Flat:
    if values.dtype.kind not in "fiu":
        raise Misfit(None, f"{_kind(values)} where floating-point numbers are needed")
    if values.dtype.kind == "f" and values.itemsize == length:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        cast: Flat = values.astype(f"f{length}")
        if length == 4 and values.dtype.kind == "f":
            bad = np.isinf(cast) & ~np.isinf(values)
            if np.count_nonzero(bad):
                row = int(bad.argmax())
                raise Misfit(row, f"{float(values[row])} does not fit 4 octets (up to {np.finfo(np.float32).max})")
    return cast


def _booleans(type: DataType, length: int, values: Flat) -> Flat:
    if values.dtype.kind != "b":
        raise Misfit(None, f"{_kind(values)} where booleans are needed")
    return np.uint8(2) - values.view(np.uint8)  # "true" is 1 and "false" is 2 (RFC 7011 §6.1.5)


def _octets(type: DataType, length: int, values: Flat) -> Flat:
    """Addresses, and 256-bit integers, as octets in network order."""
    if values.dtype.kind != "V" or values.itemsize != type.width:
        raise Misfit(None, f"{_kind(values)} where values of {type.width} octets are needed")
    if length == type.width or not len(values):
        return values if length == type.width else np.empty(0, f"V{length}")
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), type.width)
    bad = octets[:, :-length].any(axis=1)
    if np.count_nonzero(bad):
        row = int(bad.argmax())
        value = int.from_bytes(octets[row].tobytes(), "big")
        raise Misfit(row, f"{value} does not fit {length} octets (0 to 2^{8 * length}-1)")
    return np.ascontiguousarray(octets[:, -length:]).view(f"V{length}")[:, 0]


def _since_1970(type: DataType, length: int, values: Flat) -> Flat:
    """Seconds and milliseconds: unsigned counts since 1970 (RFC 7011 §6.1.7-8)."""
    counts = _counts(type, values)
    try:
        return _within(counts, 0, (1 << 8 * length) - 1, length)
    except Misfit:
        _check_no_nat(values, counts)
        raise


def _ntp(type: DataType, length: int, encoding: Encoding, values: Values, count: int) -> Flat:
    """NTP timestamps. What was read goes out again in whatever era."""
    checked = None if encoding.lossless else limits(type, encoding.export_time)

    def prepare(plain: Flat) -> Flat:
        counts = _counts(type, plain)
        if checked is not None and len(counts):
            low, high = checked
            for row in (int(counts.argmin()), int(counts.argmax())):
                if not low <= int(counts[row]) <= high:
                    _check_no_nat(plain, counts)
                    raise Misfit(row, refusal(type, int(counts[row]), encoding.export_time))
        return _since_1900(type, plain)

    return _flat(prepare, length, encoding, values, count)


def _since_1900(type: DataType, values: Flat) -> Flat:
    """NTP timestamps modulo their era, as wire.values.encode_ntp makes them one by one (RFC 7011 §6.1.9-10).

    The fraction is rounded up, so that decoders that round down and those that round to the nearest unit agree.
    """
    counts = _counts(type, values)
    ticks = type.ticks
    if counts.dtype == np.uint64:
        seconds = (counts // np.uint64(ticks)).view(np.int64)
        units = counts - seconds.view(np.uint64) * np.uint64(ticks)
    else:
        _check_no_nat(values, counts)
        counts = counts.astype(np.int64, copy=False)
        seconds = counts // ticks
        units = (counts - seconds * ticks).view(np.uint64)  # of negative times too: `//` rounds down
    units <<= np.uint64(32)
    units += np.uint64(ticks - 1)
    units //= np.uint64(ticks)
    if type is DataType.MICROSECONDS:
        units += np.uint64(_US_STEP - 1)
        units &= np.uint64(-_US_STEP & 0xFFFF_FFFF)
    seconds = (seconds + NTP_EPOCH).view(np.uint64)
    seconds <<= np.uint64(32)  # modulo 2^32: what is above leaves the 64 bits
    seconds |= units
    return seconds


def _counts(type: DataType, values: Flat) -> Flat:
    """Times as integers of the type's unit."""
    if values.dtype.kind in "iu":
        return values
    if values.dtype != _TIMES[type]:
        raise Misfit(None, f"{_kind(values)} where {_TIMES[type]} is needed")
    return values.view(np.int64)


def _check_no_nat(values: Flat, counts: Flat) -> None:
    if values.dtype.kind == "M" and np.minimum.reduce(counts, initial=0) == _NO_TIME:
        raise Misfit(int(counts.argmin()), "NaT, which is no time: mask it if it stands for a null")


_PREPARE: Final[dict[DataType, Callable[[DataType, int, Flat], Flat]]] = {
    DataType.FLOAT32: _floats,
    DataType.FLOAT64: _floats,
    DataType.BOOLEAN: _booleans,
    DataType.MAC_ADDRESS: _octets,
    DataType.IPV6: _octets,
    DataType.UNSIGNED256: _octets,
    DataType.SECONDS: _since_1970,
    DataType.MILLISECONDS: _since_1970,
}


def _check_count(values: Values, count: int) -> None:
    if len(values) != count or (isinstance(values, np.ndarray) and values.ndim != 1):
        raise Misfit(None, f"{len(values)} values for {count} records")


def _kind(values: object) -> str:
    """What a column is, in words."""
    if isinstance(values, np.ndarray):
        return f"an array of {values.dtype}"
    if isinstance(values, Strings):
        return "text" if values.is_text else "octets"
    return f"a {type(values).__name__}"
