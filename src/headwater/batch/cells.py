"""Columns to Python objects: what a cell is in tuples, in dicts and in lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from headwater.batch.strings import Strings
from headwater.errors import HeadwaterError
from headwater.model.text import to_text
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.lists import Values

Addresses = Literal["text", "object", "raw"]
Times = Literal["int", "datetime", "text"]
ListStyle = Literal["plain", "full"]
_ALLOWED = {"addresses": get_args(Addresses), "times": get_args(Times), "lists": get_args(ListStyle)}


@dataclass(frozen=True, slots=True)
class Style:
    """How cells look.

    addresses: "text"; "object" = ipaddress objects (MAC addresses: text); "raw" = int for IPv4, bytes for the others.
    times: "int" since 1970 in the column's unit; "datetime" in UTC, None beyond the year 9999; "text" as RFC 7373 §4.
    lists: "plain" = items only; "full" = dicts that also tell semantic and element or Template.
    """

    addresses: Addresses = "text"
    times: Times = "int"
    lists: ListStyle = "plain"

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if (value := getattr(self, name)) not in allowed:
                raise HeadwaterError(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")


RAW = Style(addresses="raw")

_YEAR_10000 = 253_402_300_800  # Unix seconds
_TEXTS_KEPT = 1 << 16
_NUMBERS = [str(octet) for octet in range(256)]


def cells(type: DataType, values: Values, start: int, stop: int, style: Style) -> list[Any]:
    """Rows start..stop of a column as a list of Python objects, None for nulls."""
    if isinstance(values, Strings):
        return values.tolist(start, stop)
    if not isinstance(values, np.ndarray):
        return values.cells(start, stop, style)
    out = _flat(type, style)(np.asarray(values[start:stop]))
    if isinstance(values, np.ma.MaskedArray):
        for row in np.flatnonzero(np.ma.getmaskarray(values)[start:stop]).tolist():
            out[row] = None
    return out


def integers(type: DataType, values: Values, style: Style) -> npt.NDArray[Any] | None:
    """The column, if its cells are the integers it holds, or IPv4 addresses in place of them, and none is null."""
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        return None
    if type.is_time:
        return values.view(np.int64) if style.times == "int" else None
    is_integer = values.dtype.kind in "iu"
    return values if is_integer and not (type is DataType.IPV4 and style.addresses == "object") else None


def _flat(type: DataType, style: Style) -> Callable[[npt.NDArray[Any]], list[Any]]:
    if type.is_time:
        return _TIMES[style.times] if style.times != "text" else partial(_time_texts, type)
    if type.is_address:
        return _ADDRESSES[type, style.addresses]
    return _big_integers if type is DataType.UNSIGNED256 else _as_is


def _as_is(part: npt.NDArray[Any]) -> list[Any]:
    return part.tolist()  # type: ignore[no-any-return]


def _big_integers(part: npt.NDArray[Any]) -> list[Any]:
    return [int.from_bytes(octets, "big") for octets in part.tolist()]


def _counts(part: npt.NDArray[Any]) -> list[Any]:
    return part.view(np.int64).tolist()  # type: ignore[no-any-return]


def _datetimes(part: npt.NDArray[Any]) -> list[Any]:
    if part.dtype == "M8[ns]":
        part = part.astype("M8[us]")
    # numpy gives an int for what datetime cannot hold
    return [t.replace(tzinfo=UTC) if isinstance(t, datetime) else None for t in part.tolist()]


def _time_texts(type: DataType, part: npt.NDArray[Any]) -> list[Any]:
    counts = part.view(np.int64)
    if len(counts) and counts.min() >= 0 and int(counts.max()) < _YEAR_10000 * type.ticks:
        return np.datetime_as_string(part).tolist()  # type: ignore[no-any-return]  # numpy gives a year no sign
    return [to_text(type, count) for count in counts.tolist()]


_TIMES = {"int": _counts, "datetime": _datetimes}


class _Texts(dict[Any, str]):
    """Address texts made so far; forgotten when there are too many."""

    def __init__(self, type: DataType) -> None:
        self._type = type

    def __missing__(self, address: Any) -> str:
        if len(self) >= _TEXTS_KEPT:
            self.clear()
        text = self[address] = to_text(self._type, address)
        return text

    def of(self, part: npt.NDArray[Any]) -> list[str]:
        return list(map(self.__getitem__, part.tolist()))


def _ipv4_texts(part: npt.NDArray[Any]) -> list[str]:
    """Flow data have too many IPv4 addresses for a memory of them to pay."""
    octets = part.astype(">u4").view(np.uint8).reshape(-1, 4).T.tolist()
    return [f"{_NUMBERS[a]}.{_NUMBERS[b]}.{_NUMBERS[c]}.{_NUMBERS[d]}" for a, b, c, d in zip(*octets, strict=True)]


_ADDRESSES: dict[tuple[DataType, Addresses], Callable[[npt.NDArray[Any]], list[Any]]] = {
    (DataType.IPV4, "text"): _ipv4_texts,
    (DataType.IPV6, "text"): _Texts(DataType.IPV6).of,
    (DataType.MAC_ADDRESS, "text"): _Texts(DataType.MAC_ADDRESS).of,
    (DataType.IPV4, "object"): lambda part: list(map(IPv4Address, part.tolist())),
    (DataType.IPV6, "object"): lambda part: list(map(IPv6Address, part.tolist())),
    (DataType.MAC_ADDRESS, "object"): _Texts(DataType.MAC_ADDRESS).of,
    (DataType.IPV4, "raw"): _as_is,
    (DataType.IPV6, "raw"): _as_is,
    (DataType.MAC_ADDRESS, "raw"): _as_is,
}
