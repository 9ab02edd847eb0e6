from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.kernel.cases import i32


def column(values: list[bytes]) -> tuple[Any, bytes]:
    """Values as offsets and data."""
    return np.cumsum([0, *map(len, values)]).astype(np.int32), b"".join(values)


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    "lengths", [[0], [1], [0, 0, 0], [5, 0, 200, 3], list(range(40)), [31, 32, 33, 63, 64, 65] * 9]
)
@pytest.mark.parametrize("margin", [0, 40, 200])
def test_values_of_all_lengths_are_copied(kernel: ModuleType, lengths: list[int], margin: int) -> None:
    wire = bytes(k % 251 for k in range(sum(lengths) + 2 * margin))
    ends = margin + np.cumsum(lengths)
    offsets, data = kernel.strings(wire, ends.astype(np.int32), i32(lengths))
    assert offsets.tolist() == [0, *np.cumsum(lengths).tolist()]
    assert data.tobytes() == wire[margin : margin + sum(lengths)]
    assert (offsets.dtype, data.dtype) == (np.int32, np.uint8)


@pytest.mark.parametrize("mean", [8, 24, 40, 90, 1000])
def test_columns_of_short_and_long_values_are_copied(kernel: ModuleType, mean: int) -> None:
    wire = bytes(range(256)) * 200
    sizes = [(k * 37) % (2 * mean) for k in range(500)]
    ends = [(k * 7919) % (len(wire) - 2 * mean) + 2 * mean for k in range(500)]
    offsets, data = kernel.strings(wire, i32(ends), i32(sizes))
    values = [data.tobytes()[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    assert values == [wire[e - n : e] for e, n in zip(ends, sizes, strict=True)]


def test_no_values_are_one_offset(kernel: ModuleType) -> None:
    offsets, data = kernel.strings(b"", i32([]), i32([]))
    assert (offsets.tolist(), data.tobytes()) == ([0], b"")


@pytest.mark.parametrize(
    ("end", "size"), [(11, 1), (3, 4), (5, -1), (-1, 0), (-1, -2), (-(2**31), 1), (2**31 - 1, 2**31 - 1)]
)
def test_values_outside_the_buffer_are_refused(kernel: ModuleType, end: int, size: int) -> None:
    with pytest.raises(IndexError):
        kernel.strings(bytes(10), i32([3, end]), i32([3, size]))


def test_values_of_more_than_two_gibioctets_are_refused(kernel: ModuleType) -> None:
    n = 2**11 + 1
    with pytest.raises(ValueError, match="2 GiB"):
        kernel.strings(bytes(2**20), np.full(n, 2**20, np.int32), np.full(n, 2**20, np.int32))


def test_utf8_of_well_formed_values_is_none(kernel: ModuleType) -> None:
    values = ["", "ascii", "naïve", "\u0800\uffff", "\U00010000\U0010ffff", "\ud7ff\ue000", "\0\x7f\x80", "x" * 100]
    assert kernel.utf8(*column([v.encode() for v in values])) is None


def test_utf8_tells_which_values_are_ill_formed(kernel: ModuleType) -> None:
    ill_formed = [
        b"\x80",
        b"\xc3",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"a" * 50 + b"\xff",
        b"\xf0\x9d\x84",
    ]
    values = [part for value in ill_formed for part in (value, "gut, bueno, 好".encode())]
    good = kernel.utf8(*column(values))
    assert good.dtype == np.bool_
    assert good.tolist() == [False, True] * len(ill_formed)


def test_a_character_cut_in_two_values_is_well_formed_in_neither(kernel: ModuleType) -> None:
    assert kernel.utf8(i32([0, 2, 3]), "é€"[0].encode() + b"a") is None
    assert kernel.utf8(i32([0, 1, 2]), "é".encode()).tolist() == [False, False]
    assert kernel.utf8(i32([0, 3, 3, 4, 5]), "€é".encode()).tolist() == [True, True, False, False]


def test_only_the_octets_between_the_offsets_count(kernel: ModuleType) -> None:
    assert kernel.utf8(i32([1, 3]), b"\xffab\xff") is None
    assert kernel.utf8(i32([2]), b"\xff\xff\xff") is None


def test_utf8_agrees_with_python_on_every_sequence_of_two_octets(kernel: ModuleType) -> None:
    values = [bytes((a,)) for a in range(256)] + [bytes(pair) for pair in product(range(256), repeat=2)]
    assert kernel.utf8(*column(values)).tolist() == [is_utf8(v) for v in values]


def test_utf8_agrees_with_python_on_longer_sequences(kernel: ModuleType) -> None:
    """Every lead octet with the octets around the limits of table 3-7 of Unicode."""
    edges = (0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    leads = (0x7F, 0x80, *range(0xC0, 0x100))
    values = [bytes(v) for v in product(leads, edges, edges)] + [bytes(v) for v in product(leads, edges, edges, edges)]
    assert kernel.utf8(*column(values)).tolist() == [is_utf8(v) for v in values]


@pytest.mark.parametrize("at", range(70))
def test_an_ill_formed_octet_is_found_wherever_it_is(kernel: ModuleType, at: int) -> None:
    text = bytearray(b"a" * 70)
    text[at] = 0x80
    assert kernel.utf8(i32([0, 35, 70]), text).tolist() == [at >= 35, at < 35]


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 11], [3, 2], [0, 5, 4, 6], [2**31 - 1, -(2**31)]])
def test_offsets_that_do_not_ascend_inside_the_data_are_refused(kernel: ModuleType, offsets: list[int]) -> None:
    with pytest.raises(IndexError):
        kernel.utf8(i32(offsets), bytes(10))
    with pytest.raises(IndexError):
        kernel.scatter_strings(bytearray(50), i32([20] * (len(offsets) - 1)), i32(offsets), bytes(10))


def test_offsets_are_one_more_than_values(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="offsets"):
        kernel.utf8(i32([]), b"")
