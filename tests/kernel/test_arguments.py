"""Arguments that are not what a function takes are refused before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.kernel.cases import i32

WRONG_OCTETS = [
    memoryview(b"abcdef")[::2],
    np.zeros(6, np.uint8)[::2],
    np.zeros(4, np.int8),
    np.zeros(4, np.uint16),
    np.zeros((2, 2), np.uint8),
    np.array(["2020-01-01"], "M8[D]"),
]
WRONG_NUMBERS = [
    np.zeros(2, np.int64),
    np.zeros(2, np.uint32),
    np.zeros(2, np.float32),
    np.zeros(2, ">i4"),
    np.zeros(4, np.int32)[::2],
    np.zeros(2, np.int32)[::-1],
    np.zeros((2, 1), np.int32),
    np.array(0, np.int32),
    np.zeros(9, np.uint8)[1:].view(np.int32),
    memoryview(bytes(9))[1:].cast("i"),
    b"12345678",
]
NUMBERS = i32([0, 1])
TABLE = np.zeros((1, 2), np.int32)
PLAN = np.array([(0, 0, 1, 0)], np.int32)

TAKES_OCTETS: list[Callable[[ModuleType, Any], Any]] = [
    lambda k, x: k.chain(x, NUMBERS, NUMBERS, 4),
    lambda k, x: k.scan(x, NUMBERS, NUMBERS, i32([1])),
    lambda k, x: k.columns(x, TABLE, PLAN, ["u1"]),
    lambda k, x: k.runs(x, NUMBERS, NUMBERS, 1, PLAN, ["u1"]),
    lambda k, x: k.strings(x, NUMBERS, NUMBERS),
    lambda k, x: k.utf8(NUMBERS, x),
    lambda k, x: k.scatter(x, TABLE, PLAN, [np.zeros(2, "u1")]),
    lambda k, x: k.scatter_strings(x, NUMBERS, i32([0, 0, 0]), b""),
    lambda k, x: k.scatter_strings(bytearray(9), NUMBERS, i32([0, 0, 0]), x),
]
TAKES_NUMBERS: list[Callable[[ModuleType, Any], Any]] = [
    lambda k, x: k.chain(bytes(9), x, NUMBERS, 4),
    lambda k, x: k.chain(bytes(9), NUMBERS, x, 4),
    lambda k, x: k.scan(bytes(9), x, NUMBERS, i32([1])),
    lambda k, x: k.scan(bytes(9), NUMBERS, x, i32([1])),
    lambda k, x: k.scan(bytes(9), NUMBERS, NUMBERS, x),
    lambda k, x: k.runs(bytes(9), x, NUMBERS, 1, PLAN, ["u1"]),
    lambda k, x: k.runs(bytes(9), NUMBERS, x, 1, PLAN, ["u1"]),
    lambda k, x: k.strings(bytes(9), x, NUMBERS),
    lambda k, x: k.strings(bytes(9), NUMBERS, x),
    lambda k, x: k.utf8(x, bytes(9)),
    lambda k, x: k.pack(x, 10, 0),
    lambda k, x: k.scatter_strings(bytearray(9), x, i32([0, 0, 0]), b""),
    lambda k, x: k.scatter_strings(bytearray(9), NUMBERS, x, b""),
]
TAKES_TABLE: list[Callable[[ModuleType, Any], Any]] = [
    lambda k, x: k.columns(bytes(9), x, PLAN, ["u1"]),
    lambda k, x: k.columns(bytes(9), TABLE, x, ["u1"]),
    lambda k, x: k.runs(bytes(9), NUMBERS, NUMBERS, 1, x, ["u1"]),
    lambda k, x: k.scatter(bytearray(9), x, PLAN, [np.zeros(2, "u1")]),
    lambda k, x: k.scatter(bytearray(9), TABLE, x, [np.zeros(2, "u1")]),
]


@pytest.mark.parametrize("call", TAKES_OCTETS)
def test_octets_must_be_contiguous_octets(kernel: ModuleType, call: Callable[[ModuleType, Any], Any]) -> None:
    for wrong in WRONG_OCTETS:
        with pytest.raises(ValueError):  # noqa: PT011  # the words are numpy's, Cython's or ours
            call(kernel, wrong)


@pytest.mark.parametrize("call", TAKES_NUMBERS)
def test_positions_must_be_aligned_contiguous_int32(kernel: ModuleType, call: Callable[[ModuleType, Any], Any]) -> None:
    for wrong in WRONG_NUMBERS:
        with pytest.raises(ValueError):  # noqa: PT011
            call(kernel, wrong)


@pytest.mark.parametrize("call", TAKES_TABLE)
def test_tables_must_be_int32_of_contiguous_rows(kernel: ModuleType, call: Callable[[ModuleType, Any], Any]) -> None:
    for wrong in (
        NUMBERS,
        np.zeros((1, 4), np.int64),
        np.zeros((1, 8), np.int32)[:, ::2],
        np.zeros((2, 4), np.int32, order="F"),
        np.zeros(17, np.uint8)[1:].view(np.int32)[None],
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            call(kernel, wrong)


@pytest.mark.parametrize("call", [*TAKES_OCTETS, *TAKES_NUMBERS, *TAKES_TABLE])
def test_what_is_no_buffer_is_a_type_error(kernel: ModuleType, call: Callable[[ModuleType, Any], Any]) -> None:
    for wrong in (None, [0, 1], "text", 3, object()):
        with pytest.raises(TypeError):
            call(kernel, wrong)


def test_keywords_are_the_names_of_the_contract(kernel: ModuleType) -> None:
    kernel.chain(buf=b"", start=i32([]), end=i32([]), header=4)
    kernel.scan(buf=b"", start=i32([]), end=i32([]), gaps=i32([1]))
    kernel.columns(buf=b"", at=TABLE[:, :0], plan=PLAN, dtypes=["u1"])
    kernel.runs(buf=b"", start=i32([]), count=i32([]), stride=1, plan=PLAN, dtypes=["u1"])
    kernel.strings(buf=b"", end=i32([]), size=i32([]))
    kernel.utf8(offsets=i32([0]), data=b"")
    kernel.pack(sizes=i32([]), budget=1, header=0, align=1, most=0)
    kernel.scatter(buf=bytearray(), at=TABLE[:, :0], plan=PLAN, columns=[np.zeros(0, "u1")])
    kernel.scatter_strings(buf=bytearray(), end=i32([]), offsets=i32([0]), data=b"", shortest=255)
    kernel.gather_rows(rows=[], keys=None, dtypes=[])
