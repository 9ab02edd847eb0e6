"""One comparison of a field with values, on whole columns.

What a value may be, by the type of the element:
numbers        digits, 0x…, 0b…, or the name of a value (protocolIdentifier == tcp, tcpControlBits == S)
ipv4Address    an address or a prefix (192.0.2.0/24); ipv6Address the same
macAddress     02:00:5e:10:00:ff
flowDuration   30s, 1.5s, 200ms, 5min, 1h
times          2023-11-14T22:13:20, with or without a fraction; or the date alone
string         the text itself; octetArray: hexadecimal digits
all            null; with ~ and !~ a part of what `headwater cat` shows, in any case
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from functools import reduce
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from headwater.batch.cells import Style, cells
from headwater.batch.derived import DERIVED
from headwater.batch.facts import FACTS
from headwater.batch.strings import Strings
from headwater.errors import DecodeError, HeadwaterError
from headwater.model.enumerations import describe, names, value_of
from headwater.model.text import from_text
from headwater.model.types import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.batch import Batch, Column
    from headwater.batch.lists import Values
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry

Mask = npt.NDArray[np.bool_]
Test = Callable[[Any], Mask]
"""From the values of a column, nulls disregarded, to bool[n]."""

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda values, limit: values < ceil(limit),
    "<=": lambda values, limit: values <= floor(limit),
    ">": lambda values, limit: values > floor(limit),
    ">=": lambda values, limit: values >= ceil(limit),
}
_EQUALITY = ("==", "!=", "in", "not in")
_NEGATED = ("!=", "not in")
_SHORT_TIME = re.compile(r"\d{4}-\d\d-\d\d(?P<hour>[T ]\d\d:\d\d(?P<second>:\d\d.*)?)?")
_DURATION = re.compile(r"(?P<number>-?\d{1,20}(\.\d{1,20})?)(?P<unit>ns|us|ms|s|min|h)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
_SHOWN = Style(addresses="text", times="text")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name operator values`; more values than one only after `in` and `not in`.

    Raises UnknownElement for a name that is no element's, click.BadParameter for values the element cannot have.
    """

    name: str
    operator: str
    values: tuple[str, ...]
    registry: Registry
    _tests: dict[tuple[DataType, InformationElement | None], Test] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.column_name
        if name in FACTS:
            fact = FACTS[name].column(name, self.registry)
            self._test(fact.type, fact.element)
        elif name in DERIVED:
            self._test(DERIVED[name].type, None)
        else:
            element = self.registry.named(name.partition("#")[0])
            self._test(element.type, element)

    @property
    def column_name(self) -> str:
        """The name by which columns are selected: aliases and numbers are replaced by the element's name."""
        base, mark, number = self.name.partition("#")
        element = self.registry.find(base)
        is_ours = base in FACTS or base in DERIVED
        return f"{element.name}{mark}{number}" if element is not None and not is_ours else self.name

    def mask(self, batch: Batch) -> Mask:
        """bool[n]: which records fulfil it."""
        column = self._column(batch)
        is_null = np.ones(batch.num_rows, np.bool_) if column is None else _nulls(batch[column.name], batch.num_rows)
        if self.values == ("null",):
            return ~is_null if self.operator in _NEGATED else is_null
        if column is None:
            return np.zeros(batch.num_rows, np.bool_)
        values = batch[column.name]
        if self.operator in ("~", "!~"):
            found = _contains(column, values, batch.num_rows, self.values[0].lower())
            return (found if self.operator == "~" else ~found) & ~is_null
        return np.asarray(self._test(column.type, column.element)(_plain(values))) & ~is_null

    def comparisons(self) -> Iterator[Comparison]:
        """Itself."""
        yield self

    def _column(self, batch: Batch) -> Column | None:
        wanted = self.column_name
        if wanted in batch.schema.names:
            return batch.schema[wanted]
        element = self.registry.find(wanted)  # a Template can give the element another name: `_<pen>_<id>`
        if element is None:
            return None
        return next((c for c in batch.schema if c.element is not None and c.element.key == element.key), None)

    def _test(self, type: DataType, element: InformationElement | None) -> Test:
        found = self._tests.get((type, element))
        if found is None:
            found = self._tests[type, element] = self._make_test(type, element)
        return found

    def _make_test(self, type: DataType, element: InformationElement | None) -> Test:
        if self.operator in ("~", "!~") or self.values == ("null",):
            return lambda values: np.zeros(len(values), np.bool_)
        if type.is_list:
            raise self._refuse(f"{self.name} is a list; lists can only be searched with ~")
        if self.operator not in _EQUALITY and not (type.is_numeric or type.is_time or type is DataType.IPV4):
            raise self._refuse(f"values of type {type} have no order; use == != in ~")
        try:
            tests = [self._make_one(type, element, text) for text in self.values]
        except (HeadwaterError, ValueError) as bad:
            raise self._refuse(str(bad)) from None
        if self.operator in _NEGATED:
            return lambda values: ~reduce(np.logical_or, [test(values) for test in tests])
        return lambda values: reduce(np.logical_or, [test(values) for test in tests])

    def _make_one(self, type: DataType, element: InformationElement | None, text: str) -> Test:
        if type in (DataType.IPV4, DataType.IPV6) and (self.operator in _EQUALITY or "/" in text):
            if self.operator not in _EQUALITY:
                raise DecodeError("a prefix has no order; use ==, != or in")
            return _prefix_test(type, text)
        if type is DataType.STRING:
            return _text_test(text.encode())
        if type is DataType.OCTET_ARRAY:
            return _text_test(from_text(type, text, lenient=True))
        if type is DataType.MAC_ADDRESS:
            return _octets_test(from_text(type, text, lenient=True))
        if self.column_name == "flowDuration":
            return _number_test(self.operator, type, _nanoseconds(text))
        if type is DataType.BOOLEAN:
            wanted = from_text(type, text, lenient=True)
            return lambda values: values == wanted
        return _number_test(self.operator, type, _number(type, element, text))

    def _refuse(self, why: str) -> click.BadParameter:
        return click.BadParameter(f"{self.name} {self.operator} {', '.join(self.values)}: {why}", param_hint="--where")


def _plain(values: Values) -> Any:
    return np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values


def _nulls(values: Values, count: int) -> Mask:
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.getmaskarray(values)
    validity = None if isinstance(values, np.ndarray) else values.validity
    return np.zeros(count, np.bool_) if validity is None else ~validity


def _number(type: DataType, element: InformationElement | None, text: str) -> Fraction | float:
    """The number in the column's unit that the text stands for."""
    named = value_of(element, text) if element is not None else None
    if named is not None and not text.lstrip("-").isdigit():
        return Fraction(named)
    if type is DataType.IPV4:
        return Fraction(from_text(type, text))
    if type.is_time:
        typed = text
        short = _SHORT_TIME.fullmatch(text)
        if short is not None and short["second"] is None:
            text += ":00" if short["hour"] else "T00:00:00"
        try:
            nanoseconds = from_text(DataType.NANOSECONDS, text, lenient=True)
        except DecodeError:
            raise DecodeError(
                f"{typed!r} is not the text of a value of type {type}; write it as 2026-01-31T12:00:00"
            ) from None
        return Fraction(nanoseconds * type.ticks, DataType.NANOSECONDS.ticks)
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+|0[bB][01]+", text):
        return Fraction(int(text, 0))
    if type.is_float:
        return float(from_text(type, text, lenient=True))
    if re.fullmatch(r"[+-]?\d{1,80}(\.\d{1,80})?", text):
        return Fraction(text)
    name = element.name if element is not None else type.label
    known = [n.lower() for n in names(element).values()] if element is not None else []
    nearest = [n for n in known if sorted(n) == sorted(text.lower())] or get_close_matches(text.lower(), known, 1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise DecodeError(f"{text!r} is neither a number nor the name of a value of {name}{hint}")


def _nanoseconds(text: str) -> Fraction:
    """A duration: a number with its unit."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise DecodeError(f"{text!r} is no duration; write it as 30s, 1.5s, 200ms, 5min or 1h")
    return Fraction(found["number"]) * _UNITS[found["unit"]]


def _number_test(operator: str, type: DataType, limit: Fraction | float) -> Test:
    if type.is_float:
        compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}.get(operator, np.equal)
        return lambda values: np.asarray(compare(values, float(limit)), np.bool_)
    order = _ORDER.get(operator)

    def test(values: Any) -> Mask:
        if values.dtype.kind == "M":
            values = values.view(np.int64)
        elif type is DataType.UNSIGNED256:
            values = np.array([int.from_bytes(octets, "big") for octets in values.tolist()], object)
        if order is not None:
            return np.asarray(order(values, limit), np.bool_)
        if limit != int(limit):
            return np.zeros(len(values), np.bool_)
        return np.asarray(values == int(limit), np.bool_)

    return test


def _prefix_test(type: DataType, text: str) -> Test:
    """Addresses in a prefix; an address alone is a prefix of full length. Host bits may be set."""
    address, slash, length = text.partition("/")
    octets = from_text(type, address)
    most = 8 * type.width
    if slash and not (length.isdigit() and int(length) <= most):
        raise DecodeError(f"{text!r} is not a prefix: its length is 0 to {most}")
    bits = int(length) if slash else most
    mask = (1 << most) - (1 << (most - bits))
    if type is DataType.IPV4:
        return lambda values: (values & np.uint32(mask)) == np.uint32(octets & mask)
    wanted = int.from_bytes(octets, "big") & mask
    halves = [(mask >> 64, wanted >> 64), (mask & (1 << 64) - 1, wanted & (1 << 64) - 1)]

    def test(values: Any) -> Mask:
        words = np.ascontiguousarray(values).view(">u8").reshape(-1, 2)
        high, low = [(words[:, i] & np.uint64(m)) == np.uint64(w) for i, (m, w) in enumerate(halves)]
        return np.asarray(high & low)

    return test


def _octets_test(wanted: bytes) -> Test:
    octets = np.frombuffer(wanted, np.uint8)

    def test(values: Any) -> Mask:
        rows = np.ascontiguousarray(values).view(np.uint8).reshape(-1, len(octets))
        return np.asarray((rows == octets).all(axis=1))

    return test


def _text_test(wanted: bytes) -> Test:
    """Text or octets that are just these: those of the same length are compared octet by octet."""
    octets = np.frombuffer(wanted, np.uint8)

    def test(values: Strings) -> Mask:
        found = np.diff(values.offsets) == len(octets)
        for i, octet in enumerate(octets):
            rows = np.flatnonzero(found)
            if not len(rows):
                break
            found[rows] = values.data[values.offsets[rows] + i] == octet
        return np.asarray(found)

    return test


def _contains(column: Column, values: Values, count: int, part: str) -> Mask:
    """Whether the text that is shown for a value has a part, in any case."""
    return np.fromiter(
        (
            value is not None and part in _shown(column, value).lower()
            for value in cells(column.type, values, 0, count, _SHOWN)
        ),
        np.bool_,
        count,
    )


def _shown(column: Column, value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    name = describe(column.element, value) if column.element is not None else None
    return str(value) if name is None else name
