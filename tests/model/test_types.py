from __future__ import annotations

import numpy as np
import pytest

from headwater.model.types import VARIABLE, DataType


def test_codes_are_those_of_the_registry_in_order() -> None:
    assert [t.code for t in DataType if t is not DataType.UNSIGNED256] == list(range(23))
    assert DataType.UNSIGNED256.code == 23


@pytest.mark.parametrize("data_type", DataType)
def test_every_type_is_found_by_its_label_and_its_code(data_type: DataType) -> None:
    assert DataType.from_label(data_type.label) is data_type
    assert DataType.from_code(data_type.code) is data_type
    assert str(data_type) == data_type.label


def test_an_unknown_label_or_code_is_octet_array() -> None:
    assert DataType.from_label("unsigned128") is DataType.OCTET_ARRAY
    assert DataType.from_code(200) is DataType.OCTET_ARRAY


@pytest.mark.parametrize("data_type", [t for t in DataType if t.numpy])
def test_a_column_is_as_wide_as_the_native_value(data_type: DataType) -> None:
    width = 8 if data_type.is_time else data_type.width  # a time column is a 64-bit count, whatever the wire has
    assert np.dtype(data_type.numpy).itemsize == width


@pytest.mark.parametrize(
    ("data_type", "legal"),
    [
        (DataType.UNSIGNED8, {1}),
        (DataType.SIGNED8, {1}),
        (DataType.UNSIGNED16, {1, 2}),
        (DataType.SIGNED32, {1, 2, 3, 4}),
        (DataType.UNSIGNED64, set(range(1, 9))),
        (DataType.UNSIGNED256, set(range(1, 33))),
        (DataType.FLOAT32, {4}),
        (DataType.FLOAT64, {4, 8}),
        (DataType.BOOLEAN, {1}),
        (DataType.MAC_ADDRESS, {6}),
        (DataType.SECONDS, {4}),
        (DataType.MILLISECONDS, {8}),
        (DataType.NANOSECONDS, {8}),
        (DataType.IPV4, {4}),
        (DataType.IPV6, {16}),
    ],
)
def test_only_integers_and_float64_may_be_sent_shorter(data_type: DataType, legal: set[int]) -> None:
    """RFC 7011 §6.2: reduced-size encoding "MUST NOT be applied to any other data type"."""
    assert {n for n in range(70) if data_type.accepts(n)} == legal
    assert not data_type.accepts(VARIABLE)


@pytest.mark.parametrize(
    "data_type", [DataType.OCTET_ARRAY, DataType.STRING, DataType.BASIC_LIST, DataType.SUB_TEMPLATE_LIST]
)
def test_octets_text_and_lists_have_any_length(data_type: DataType) -> None:
    assert all(data_type.accepts(n) for n in (0, 1, 7, 65534, VARIABLE))
    assert data_type.default_length == VARIABLE


def test_the_classes_of_types_are_disjoint() -> None:
    for t in DataType:
        assert sum([t.is_list, t.is_unsigned, t.is_signed, t.is_float, t.is_time, t.is_address]) <= 1
        assert t.is_numeric == (t.is_integer or t.is_float)
