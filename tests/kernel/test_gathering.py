"""Rows of Python objects to columns."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest


def test_numbers_of_tuples_become_arrays(kernel: ModuleType) -> None:
    least, most, real = kernel.gather_rows([(0, 2**64 - 1, 0.5), (255, 0, -1.0)], None, ["u1", "u8", "f8"])
    assert least.dtype == np.uint8
    assert least.tolist() == [0, 255]
    assert most.tolist() == [2**64 - 1, 0]
    assert real.tolist() == [0.5, -1.0]


def test_numbers_of_dicts_are_found_by_key(kernel: ModuleType) -> None:
    port, octets = kernel.gather_rows([{"octets": 7, "port": -1, "more": 1}], ("port", "octets"), ["i2", "u4"])
    assert port.tolist() == [-1]
    assert octets.tolist() == [7]


def test_a_column_with_anything_else_comes_as_the_objects(kernel: ModuleType) -> None:
    rows = [(1, 1, 1, 1), (256, -1, None, True)]
    assert kernel.gather_rows(rows, None, ["u1"] * 4) == [[1, 256], [1, -1], [1, None], [1, True]]
    assert kernel.gather_rows([(1.5, 1)], None, [None, "f8"]) == [[1.5], [1]]
    assert kernel.gather_rows([(0.1,)], None, ["f4"]) == [[0.1]]  # it would not be the same number


def test_a_key_that_is_missing_is_none(kernel: ModuleType) -> None:
    assert kernel.gather_rows([{"a": 1}, {}], ("a",), ["u1"]) == [[1, None]]


def test_rows_that_are_none_are_refused_with_their_number(kernel: ModuleType) -> None:
    with pytest.raises(TypeError, match="row 1 is no tuple"):
        kernel.gather_rows([(1,), [1]], None, ["u1"])
    with pytest.raises(TypeError, match="row 0 is no dict"):
        kernel.gather_rows([(1,)], ("a",), ["u1"])
    with pytest.raises(ValueError, match="row 1 has 2 values, not 1"):
        kernel.gather_rows([(1,), (1, 2)], None, ["u1"])
    with pytest.raises(ValueError, match="2 keys for 1 columns"):
        kernel.gather_rows([], ("a", "b"), ["u1"])
    with pytest.raises(ValueError, match="a column of bool"):
        kernel.gather_rows([], None, ["?"])
