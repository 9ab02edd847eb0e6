"""kernel.dicts, native and numpy: one dict per row."""

from __future__ import annotations

from ipaddress import IPv4Address
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import kernel
from headwater.kernel import reference

BACKENDS = [pytest.param(kernel, id=kernel.backend), pytest.param(reference, id="twin")]
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_integers_of_every_width_keep_their_value(backend: ModuleType, dtype: str) -> None:
    info = np.iinfo(dtype)
    values = np.array([info.min, 0, 1, info.max], dtype)
    assert list(backend.dicts(("a",), [values], [False])) == [{"a": int(v)} for v in values]


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys_stand_in_the_order_of_the_columns(backend: ModuleType) -> None:
    rows = list(backend.dicts(("b", "a"), [["x", None], np.array([1, 2], "u2")], [False, False]))
    assert [list(row.items()) for row in rows] == [[("b", "x"), ("a", 1)], [("b", None), ("a", 2)]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_columns_make_no_rows(backend: ModuleType) -> None:
    assert list(backend.dicts((), [], [])) == []


@pytest.mark.parametrize("backend", BACKENDS)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_dotted_addresses_are_what_ipaddress_writes(backend: ModuleType, addresses: list[int]) -> None:
    rows = backend.dicts(("a",), [np.array(addresses, "u4")], [True])
    assert [row["a"] for row in rows] == [str(IPv4Address(a)) for a in addresses]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("names", "columns", "dotted"),
    [
        (("a", "b"), [[1]], [False]),
        (("a", "b"), [[1], [1, 2]], [False, False]),
        (("a",), [np.zeros(2, "f8")], [False]),
        (("a",), [np.zeros(2, "u2")], [True]),
        (("a",), [[1]], [False, False]),
        (("a",), [np.zeros(4, "u4")[::2]], [False]),
        (("a",), [np.zeros(9, "u1")[1:].view("u4")], [False]),
        (("a",), [np.ma.masked_array([1, 2], [True, False])], [False]),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(
    backend: ModuleType, names: tuple[str, ...], columns: list[Any], dotted: list[bool]
) -> None:
    with pytest.raises((ValueError, TypeError)):
        list(backend.dicts(names, columns, dotted))
