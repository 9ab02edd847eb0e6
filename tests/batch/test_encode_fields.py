"""Values of every type become the octets that the scalar codec makes of them, one by one."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.batch.encode import Encoder
from headwater.batch.fields import null_column
from headwater.batch.strings import Strings
from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE, DataType
from headwater.session.outgoing import Room
from headwater.wire.values import decode_ntp, encode_ntp, encode_value
from tests import build

HEADER = 20
ROOM = Room(HEADER, 1 << 30)
INTEGERS = [
    (type, length) for type in DataType if type.is_integer and type.width <= 8 for length in range(1, type.width + 1)
]


def element(type: DataType) -> InformationElement:
    return InformationElement(32473, 1, "example", type)


def encoded(type: DataType, length: int, values: Any, **options: Any) -> bytes:
    """The octets of records with one field."""
    template = Template(256, (Field(element(type), length),))
    sent_at = options.pop("export_time", None)
    messages = Encoder(**options).encode(template, [values], len(values), ROOM, export_time=sent_at)
    return messages.buffer[HEADER:].tobytes()


def refusal(type: DataType, length: int, values: Any, **options: Any) -> EncodeError:
    with pytest.raises(EncodeError) as refused:
        encoded(type, length, values, **options)
    assert refused.value.column == "example"
    return refused.value


def one_by_one(type: DataType, length: int, values: Any) -> bytes:
    return b"".join(encode_value(element(type), value, length) for value in values)


def extremes(type: DataType, length: int) -> list[int]:
    pick = random.Random(length)
    low, high = (-1 << 8 * length - 1, (1 << 8 * length - 1) - 1) if type.is_signed else (0, (1 << 8 * length) - 1)
    return [low, high, 0, 1, high // 2, *(pick.randrange(low, high + 1) for _ in range(20))]


@pytest.mark.parametrize(("type", "length"), INTEGERS)
def test_integers_of_any_width(type: DataType, length: int) -> None:
    values = extremes(type, length)
    assert encoded(type, length, np.array(values, type.numpy)) == one_by_one(type, length, values)


@pytest.mark.parametrize(("type", "length"), INTEGERS)
def test_integers_that_come_in_another_width_or_byte_order(type: DataType, length: int) -> None:
    values = extremes(type, length)
    expected = one_by_one(type, length, values)
    for dtype in ("i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1"):
        limits = np.iinfo(dtype)
        if min(values) >= limits.min and max(values) <= limits.max:
            column = np.array(values, dtype)
            assert encoded(type, length, column) == expected
            assert encoded(type, length, column.astype(column.dtype.newbyteorder(">"))) == expected
            assert encoded(type, length, np.repeat(column, 2)[::2]) == expected


@pytest.mark.parametrize(("type", "length"), INTEGERS)
def test_integers_just_beyond_the_width_are_refused(type: DataType, length: int) -> None:
    low, high = min(extremes(type, length)), max(extremes(type, length))
    for wrong in (low - 1, high + 1):
        for dtype in ("i8", "u8"):
            if np.iinfo(dtype).min <= wrong <= np.iinfo(dtype).max:
                refused = refusal(type, length, np.array([0, 1, wrong], dtype))
                assert refused.row == 2
                assert f"{wrong} does not fit {length} octet" in str(refused)
                assert f"({low} to {high})" in str(refused)


def test_addresses_and_raw_octets() -> None:
    pick = random.Random(1)
    for type, dtype in ((DataType.MAC_ADDRESS, "V6"), (DataType.IPV6, "V16"), (DataType.UNSIGNED256, "V32")):
        octets = pick.randbytes(5 * type.width)
        assert encoded(type, type.width, np.frombuffer(octets, dtype)) == octets
    addresses = [0, 1, 0xC0000201, 0xFFFFFFFF]
    assert encoded(DataType.IPV4, 4, np.array(addresses, "u4")) == one_by_one(DataType.IPV4, 4, addresses)
    assert "4294967296 does not fit 4 octets" in str(refusal(DataType.IPV4, 4, np.array([1 << 32], "u8")))


@pytest.mark.parametrize("length", [1, 2, 9, 31, 32])
def test_integers_of_256_bits_in_reduced_size(length: int) -> None:
    type, values = DataType.UNSIGNED256, [0, 1, (1 << 8 * length) - 1]
    column = np.frombuffer(b"".join(v.to_bytes(32, "big") for v in values), "V32")
    assert encoded(type, length, column) == one_by_one(type, length, values)
    if length < 32:
        wide = np.frombuffer((1).to_bytes(32, "big") + (1 << 8 * length).to_bytes(32, "big"), "V32")
        refused = refusal(type, length, wide)
        assert refused.row == 1
        assert f"{1 << 8 * length} does not fit {length} octet" in str(refused)


def test_floats_in_both_sizes() -> None:
    values = [0.0, -0.0, 1.5, -2.25, 3.4028234663852886e38, float("inf"), float("-inf"), 1e-40, 0.1]
    for type, length in ((DataType.FLOAT32, 4), (DataType.FLOAT64, 8), (DataType.FLOAT64, 4)):
        assert encoded(type, length, np.array(values)) == one_by_one(type, length, values)
    singles = np.array(values, "f4")
    assert encoded(DataType.FLOAT64, 8, singles) == one_by_one(DataType.FLOAT64, 8, singles.tolist())
    assert encoded(DataType.FLOAT64, 8, np.array([3, -4])) == one_by_one(DataType.FLOAT64, 8, [3.0, -4.0])
    assert encoded(DataType.FLOAT64, 8, np.array([np.nan])) == struct.pack("!d", np.nan)


def test_a_float_that_is_too_large_for_4_octets_is_refused() -> None:
    for type in (DataType.FLOAT32, DataType.FLOAT64):
        refused = refusal(type, 4, np.array([1.0, np.inf, 1e39]))
        assert refused.row == 2
        assert "1e+39 does not fit 4 octets" in str(refused)


def test_true_is_1_and_false_is_2() -> None:
    assert encoded(DataType.BOOLEAN, 1, np.array([True, False, True])) == b"\1\2\1"


def test_seconds_and_milliseconds_are_unsigned() -> None:
    for type, limit in ((DataType.SECONDS, 1 << 32), (DataType.MILLISECONDS, 1 << 63)):
        values = [0, 1, 1_700_000_000, limit - 1]
        assert encoded(type, type.width, np.array(values, type.numpy)) == one_by_one(type, type.width, values)
        assert encoded(type, type.width, np.array(values)) == one_by_one(type, type.width, values)
        assert refusal(type, type.width, np.array([5, -1], type.numpy)).row == 1
    assert "4294967296" in str(refusal(DataType.SECONDS, 4, np.array([1 << 32], "M8[s]")))


@pytest.mark.parametrize("type", [DataType.MICROSECONDS, DataType.NANOSECONDS])
@given(st.lists(st.one_of(st.integers(-(2**62), 2**62), st.integers(-(10**10), 10**10)), min_size=1))
def test_ntp_timestamps_of_any_time_that_was_read(type: DataType, values: list[int]) -> None:
    expected = b"".join(encode_ntp(value, type.ticks) for value in values)
    assert encoded(type, 8, np.array(values, type.numpy), lossless=True) == expected
    assert encoded(type, 8, np.array(values, "i8"), lossless=True) == expected


@pytest.mark.parametrize("type", [DataType.MICROSECONDS, DataType.NANOSECONDS])
@pytest.mark.parametrize("export_time", [0, 1_700_000_000, 2**32 - 1, None])
def test_ntp_timestamps_that_readers_would_take_for_others_are_refused(type: DataType, export_time: int | None) -> None:
    reference = 2_085_978_496 if export_time is None else export_time
    low, high = (reference - 2**31 + 1) * type.ticks, (reference + 2**31 + 1) * type.ticks - 1
    for count in (low, high):
        octets = encoded(type, 8, np.array([count], type.numpy), export_time=export_time)
        assert decode_ntp(octets, type.ticks, reference) == count
    for count in (low - 1, high + 1):
        assert decode_ntp(encode_ntp(count, type.ticks), type.ticks, reference) != count
        bad = refusal(type, 8, np.array([reference * type.ticks, count], type.numpy), export_time=export_time)
        assert bad.row == 1
        assert "would be read as another time" in str(bad)


def test_a_time_of_another_era_is_named_with_what_can_be_said() -> None:
    bad = refusal(DataType.MICROSECONDS, 8, np.array(["1950-01-01"], "M8[us]"), export_time=1_780_000_000)
    assert "1950-01-01T00:00:00 would be read as another time: dateTimeMicroseconds, sent at 2026-05-28" in str(bad)
    assert "can say 1958-05-10T17:12:33 to 2094-06-15T23:40:48" in str(bad)


def test_ntp_timestamps_at_the_edges_of_eras_and_of_the_column() -> None:
    edges = [-2_208_988_800, 2_085_978_496, 0, 4_294_967_296]
    for type in (DataType.MICROSECONDS, DataType.NANOSECONDS):
        values = [edge * type.ticks + by for edge in edges for by in (-1, 0, 1)]
        values += [-(2**63) + 1, 2**63 - 1]
        expected = b"".join(encode_ntp(value, type.ticks) for value in values)
        assert encoded(type, 8, np.array(values, type.numpy), lossless=True) == expected
        large = [0, 2**63, 2**64 - 1]
        expected = b"".join(encode_ntp(value, type.ticks) for value in large)
        assert encoded(type, 8, np.array(large, "u8"), lossless=True) == expected


def test_all_microseconds_of_a_second() -> None:
    values = np.arange(-500_000, 500_000)
    octets = encoded(DataType.MICROSECONDS, 8, values)
    fractions = np.frombuffer(octets, ">u4")[1::2].astype("u8")
    assert not (fractions & 2047).any()
    assert (((fractions * 1_000_000) >> 32) == values % 1_000_000).all()  # a decoder that rounds down
    pick = random.Random(1)
    for row in (0, 1, 499_999, 500_000, *(pick.randrange(1_000_000) for _ in range(200))):
        assert octets[8 * row : 8 * row + 8] == encode_ntp(int(values[row]), 1_000_000)


def test_no_time_is_refused() -> None:
    for type in (DataType.SECONDS, DataType.MILLISECONDS, DataType.MICROSECONDS, DataType.NANOSECONDS):
        refused = refusal(type, type.width, np.array([0, "NaT"], type.numpy))
        assert refused.row == 1
        assert "NaT" in str(refused)
    assert "datetime64[us]" in str(refusal(DataType.MILLISECONDS, 8, np.array([0], "M8[us]")))


# ---------------------------------------------------------------- text and octets


def strings(*values: bytes, valid: list[bool] | None = None, is_text: bool = True) -> Strings:
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    data = np.frombuffer(b"".join(values), np.uint8)
    return Strings(offsets, data, None if valid is None else np.array(valid), is_text)


VALUES = (b"", b"a", "é".encode(), b"x" * 254, b"y" * 255, b"z" * 65535, b"end")


def test_values_of_variable_length_behind_the_shortest_length_there_is() -> None:
    for type in (DataType.STRING, DataType.OCTET_ARRAY):
        assert encoded(type, VARIABLE, strings(*VALUES)) == b"".join(map(build.var, VALUES))


def test_lengths_of_3_octets_if_they_are_wanted() -> None:
    expected = b"".join(build.var(value, long=True) for value in VALUES)
    assert encoded(DataType.STRING, VARIABLE, strings(*VALUES), prefix="long") == expected


def test_a_part_of_a_longer_column() -> None:
    whole = strings(b"no", b"one", b"two", b"six")
    part = Strings(whole.offsets[1:], whole.data)
    assert encoded(DataType.STRING, VARIABLE, part) == b"\3one\3two\3six"
    assert encoded(DataType.STRING, 3, part) == b"onetwosix"


def test_a_value_longer_than_any_field_is_refused() -> None:
    refused = refusal(DataType.STRING, VARIABLE, strings(b"a", b"x" * 65536))
    assert refused.row == 1
    assert "65536 octets" in str(refused)


def test_values_of_a_field_of_fixed_length_have_exactly_that_length() -> None:
    assert encoded(DataType.STRING, 3, strings(b"abc", "éa".encode())) == "abcéa".encode()
    refused = refusal(DataType.OCTET_ARRAY, 3, strings(b"abc", b"ab", is_text=False))
    assert refused.row == 1
    assert "b'ab' has 2 octets where the field has exactly 3" in str(refused)


def test_text_that_is_not_utf8_is_refused() -> None:
    refused = refusal(DataType.STRING, VARIABLE, strings(b"good", b"\xff\xfe"))
    assert refused.row == 1
    assert "b'\\xff\\xfe' is not UTF-8" in str(refused)
    assert encoded(DataType.OCTET_ARRAY, VARIABLE, strings(b"\xff\xfe", is_text=False)) == b"\2\xff\xfe"


def test_text_that_came_ill_formed_goes_out_again_if_that_is_wanted() -> None:
    column = strings(b"a", b"\xff\xfe", b"", valid=[True, False, True])
    assert encoded(DataType.STRING, VARIABLE, column, lossless=True) == b"\1a\2\xff\xfe\0"
    assert encoded(DataType.STRING, VARIABLE, column, nulls="zero") == b"\1a\0\0"
    refused = refusal(DataType.STRING, VARIABLE, column)
    assert refused.row == 1
    assert "lossless=True" in str(refused)
    well_formed_only = strings(b"\xff", b"\xfe", valid=[True, False])
    assert refusal(DataType.STRING, VARIABLE, well_formed_only, lossless=True).row == 0


def test_octets_stand_for_values_of_any_type() -> None:
    column = strings(b"\0\1\2\3", b"\xff\xfe\xfd\xfc", is_text=False)
    for type in (DataType.UNSIGNED32, DataType.IPV4, DataType.SECONDS, DataType.FLOAT64):
        assert encoded(type, 4, column) == b"\0\1\2\3\xff\xfe\xfd\xfc"
    assert "has 4 octets where the field has exactly 8" in str(refusal(DataType.UNSIGNED64, 8, column))


@pytest.mark.parametrize(
    ("name", "length"), [("sourceIPv4Address", 3), ("flowStartMilliseconds", 4), ("protocolIdentifier", 2)]
)
def test_a_length_that_is_illegal_for_the_type_carries_octets(name: str, length: int) -> None:
    type = registries.IANA.named(name).type
    assert (
        encoded(type, length, strings(bytes(length), b"\7" * length, is_text=False)) == bytes(length) + b"\7" * length
    )
    assert "octetArray is needed" in str(refusal(type, length, np.array([1, 2])))


def test_a_field_of_no_octets_has_no_values() -> None:
    template = Template(256, (Field(element(DataType.UNSIGNED32), 0), Field(element(DataType.BOOLEAN), 1)))
    nulls = null_column(DataType.UNSIGNED32, 2)
    messages = Encoder().encode(template, [nulls, np.array([True, False])], 2, ROOM)
    assert messages.buffer[HEADER:].tobytes() == b"\1\2"
    with pytest.raises(EncodeError, match="a value where the field has 0 octets"):
        Encoder().encode(template, [np.array([1, 2]), np.array([True, False])], 2, ROOM)


# ---------------------------------------------------------------- nulls and what is no column


@pytest.mark.parametrize(
    ("type", "length", "values", "zero"),
    [
        (DataType.UNSIGNED32, 4, np.array([7, 9], "u4"), bytes(4)),
        (DataType.SIGNED64, 3, np.array([-7, 9], "i8"), bytes(3)),
        (DataType.FLOAT64, 8, np.array([0.5, 9.0]), bytes(8)),
        (DataType.BOOLEAN, 1, np.array([True, True]), b"\2"),
        (DataType.IPV6, 16, np.frombuffer(b"\7" * 32, "V16"), bytes(16)),
        (DataType.MILLISECONDS, 8, np.array([7, 9], "M8[ms]"), bytes(8)),
        (DataType.NANOSECONDS, 8, np.array([7, 9], "M8[ns]"), build.ntp(0)),
    ],
)
def test_a_null_is_refused_or_sent_as_zero(type: DataType, length: int, values: Any, zero: bytes) -> None:
    column = np.ma.MaskedArray(values, [False, True])
    refused = refusal(type, length, column)
    assert refused.row == 1
    assert "null" in str(refused)
    assert "nulls='zero'" in str(refused)
    assert "nulls='split'" in str(refused)
    octets = encoded(type, length, column, nulls="zero")
    assert octets == encoded(type, length, values[:1]) + zero
    assert column.mask.tolist() == [False, True]
    none = np.ma.MaskedArray(values, [False, False])
    assert encoded(type, length, none) == encoded(type, length, values)


@pytest.mark.parametrize(
    ("type", "values", "words"),
    [
        (DataType.UNSIGNED32, np.array([1.0]), "an array of float64 where integers are needed"),
        (DataType.UNSIGNED32, np.array([True]), "an array of bool where integers are needed"),
        (DataType.UNSIGNED32, np.array([1], object), "an array of object where integers are needed"),
        (DataType.FLOAT64, np.array(["a"]), "where floating-point numbers are needed"),
        (DataType.BOOLEAN, np.array([1]), "an array of int64 where booleans are needed"),
        (DataType.IPV6, np.frombuffer(b"123456", "V6"), "where values of 16 octets are needed"),
        (DataType.STRING, np.array([1]), "an array of int64 where string is needed"),
        (DataType.UNSIGNED32, strings(b"text"), "text where numbers or octets"),
        (DataType.UNSIGNED32, np.array([[1]], "u4"), "values for 1 records"),
        (DataType.UNSIGNED32, [1], "a list where numbers"),
        (DataType.BASIC_LIST, strings(b"text"), "a Strings where basicList is needed"),
    ],
)
def test_what_is_no_column_of_the_type_is_refused(type: DataType, values: Any, words: str) -> None:
    refused = refusal(type, type.default_length, values)
    assert refused.row is None
    assert words in str(refused)
