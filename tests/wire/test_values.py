"""The scalar codec: every abstract data type, both ways, and what cannot be encoded."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, EncodeError, FaultKind
from headwater.model.element import InformationElement
from headwater.model.types import VARIABLE, DataType
from headwater.wire.values import NTP_EPOCH, Scalar, decode_ntp, decode_value, encode_ntp, encode_value
from tests import build as b

ERA = 1 << 32
US, NS = 1_000_000, 1_000_000_000
INTEGERS = [type for type in DataType if type.is_integer]


def element(type: DataType) -> InformationElement:
    return InformationElement(b.DOCUMENTATION_PEN, 1, "mine", type)


def encode(type: DataType, value: Scalar, length: int | None = None) -> bytes:
    return encode_value(element(type), value, type.default_length if length is None else length)


# --- integers and floats (RFC 7011 §6.1.1-4, §6.2) -------------------------------------------------------------------


@pytest.mark.parametrize("type", INTEGERS, ids=str)
def test_integers_round_trip_at_both_ends_of_every_legal_length(type: DataType) -> None:
    for length in filter(type.accepts, range(1, type.width + 1)):
        bits = 8 * length
        ends = (-1 << bits - 1, -1, 0, (1 << bits - 1) - 1) if type.is_signed else (0, 1, (1 << bits) - 1)
        for value in ends:
            octets = encode(type, value, length)
            assert len(octets) == length
            assert decode_value(type, octets) == value


@pytest.mark.parametrize("type", INTEGERS, ids=str)
def test_integers_that_do_not_fit_their_length_are_refused(type: DataType) -> None:
    for length in filter(type.accepts, range(1, type.width + 1)):
        bits = 8 * length - type.is_signed
        for value in (1 << bits, -1 - (type.is_signed << bits)):
            with pytest.raises(EncodeError, match=r"mine: .* does not fit"):
                encode(type, value, length)


@pytest.mark.parametrize("type", [type for type in DataType if type.width], ids=str)
def test_octets_of_an_illegal_length_come_back_as_they_are(type: DataType) -> None:
    for length in range(40):
        if not type.accepts(length):
            octets = b"\x80" * length
            assert decode_value(type, octets) == octets


@given(st.floats(width=64))
def test_float64_round_trips(value: float) -> None:
    found = decode_value(DataType.FLOAT64, encode(DataType.FLOAT64, value))
    assert struct.pack("!d", found) == struct.pack("!d", value)


@given(st.floats(width=32))
def test_float64_round_trips_in_reduced_size_what_float32_can_hold(value: float) -> None:
    octets = encode(DataType.FLOAT64, value, 4)
    assert octets == encode(DataType.FLOAT32, value)
    found = decode_value(DataType.FLOAT64, octets)
    assert found == value or (math.isnan(value) and isinstance(found, float) and math.isnan(found))


@pytest.mark.parametrize("value", [1e39, -1e39, 3.5e38, 1.7976931348623157e308])
def test_floats_beyond_float32_are_refused_rather_than_made_infinite(value: float) -> None:
    with pytest.raises(EncodeError):
        encode(DataType.FLOAT32, value)
    with pytest.raises(EncodeError):
        encode(DataType.FLOAT64, value, 4)


# --- boolean, text, octets, addresses (§6.1.5-6, §6.1.1) -------------------------------------------------------------


def test_a_boolean_is_1_or_2_and_nothing_else() -> None:
    assert [encode(DataType.BOOLEAN, value) for value in (True, False)] == [b"\1", b"\2"]
    assert [decode_value(DataType.BOOLEAN, octet) for octet in (b"\1", b"\2")] == [True, False]
    for octet in {*range(256)} - {1, 2}:
        with pytest.raises(DecodeError) as caught:
            decode_value(DataType.BOOLEAN, bytes([octet]))
        assert caught.value.kind is FaultKind.BOOLEAN


@given(st.text())
def test_strings_round_trip(text: str) -> None:
    assert decode_value(DataType.STRING, encode(DataType.STRING, text)) == text


@pytest.mark.parametrize(
    "octets",
    [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"a\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80"],
)
def test_ill_formed_utf8_is_a_fault(octets: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_value(DataType.STRING, octets)
    assert caught.value.kind is FaultKind.UTF8


@pytest.mark.parametrize("value", ["\ud800", None, 5, 1.5])
def test_what_is_no_text_is_not_sent_as_a_string(value: Scalar) -> None:
    with pytest.raises(EncodeError):
        encode(DataType.STRING, value)


def test_a_string_of_another_length_than_its_field_is_refused() -> None:
    assert encode(DataType.STRING, "eth0", 4) == b"eth0"
    with pytest.raises(EncodeError, match="5 octets where 4 are needed"):
        encode(DataType.STRING, "eth10", 4)


@pytest.mark.parametrize(
    ("type", "octets", "value"),
    [
        (DataType.IPV4, b"\xc0\0\2\1", 0xC0000201),
        (DataType.IPV6, b.ipv6("2001:db8::1"), b.ipv6("2001:db8::1")),
        (DataType.MAC_ADDRESS, b"\0\1\2\3\4\5", b"\0\1\2\3\4\5"),
        (DataType.OCTET_ARRAY, b"", b""),
        (DataType.OCTET_ARRAY, b"\0\xff", b"\0\xff"),
        (DataType.SECONDS, b"\xff\xff\xff\xff", 0xFFFF_FFFF),
        (DataType.MILLISECONDS, b"\xff" * 8, (1 << 64) - 1),
        (DataType.UNSIGNED256, b"\1" + bytes(31), 1 << 248),
    ],
)
def test_values_of_one_type_each_round_trip(type: DataType, octets: bytes, value: Scalar) -> None:
    assert decode_value(type, octets) == value
    assert encode(type, value, len(octets)) == octets


@pytest.mark.parametrize("type", list(DataType), ids=str)
def test_octets_are_always_encoded_as_they_are(type: DataType) -> None:
    octets = b"\x80" * (type.width or 5)
    assert encode(type, octets) == octets
    assert encode(type, octets, len(octets)) == octets


@pytest.mark.parametrize("type", [t for t in DataType if not t.is_list and t is not DataType.OCTET_ARRAY], ids=str)
@pytest.mark.parametrize("value", [None, object(), (1,), "text", True, 1.5, -1])
def test_a_value_of_another_python_type_is_refused_and_named(type: DataType, value: Scalar) -> None:
    fits = {
        DataType.STRING: isinstance(value, str),
        DataType.BOOLEAN: isinstance(value, bool),
    }.get(type, type.is_float and isinstance(value, int | float))
    is_time_before_1970 = type in (DataType.MICROSECONDS, DataType.NANOSECONDS) and value == -1
    if fits or is_time_before_1970 or (type.is_signed and value == -1):
        return
    with pytest.raises(EncodeError) as caught:
        encode(type, value)
    assert caught.value.column == "mine"
    assert repr(value) in str(caught.value)


# --- times (§6.1.7-10, §5.2) -----------------------------------------------------------------------------------------


def floor_ntp(octets: bytes, per_second: int) -> int:
    """What a decoder gives that rounds down and ignores no bits."""
    seconds, fraction = struct.unpack("!II", octets)
    return int((seconds - NTP_EPOCH) * per_second + (fraction * per_second >> 32))


def test_every_microsecond_of_a_second_round_trips_for_us_and_for_decoders_that_round_down() -> None:
    for value in range(US):
        octets = encode_ntp(value, US)
        fraction = octets[6] << 8 | octets[7]
        assert fraction & 0x7FF == 0
        assert decode_ntp(octets, US, 0) == floor_ntp(octets, US) == value


@given(st.integers(0, NS - 1))
def test_every_nanosecond_round_trips_for_us_and_for_decoders_that_round_down(value: int) -> None:
    octets = encode_ntp(value, NS)
    assert decode_ntp(octets, NS, 0) == floor_ntp(octets, NS) == value


@given(st.integers(0, 0x7FF), st.integers(0, US - 1))
def test_the_11_lowest_bits_of_microseconds_are_ignored(noise: int, value: int) -> None:
    octets = bytearray(encode_ntp(value, US))
    octets[6] |= noise >> 8
    octets[7] |= noise & 255
    assert decode_ntp(bytes(octets), US, 0) == value


@given(st.integers(0, 0xFFFF_FFFF), st.integers(-ERA // 2 + 1, ERA // 2), st.integers(0, NS - 1))
def test_the_era_is_the_one_nearest_the_reference(reference_s: int, away_s: int, fraction_ns: int) -> None:
    instant = (reference_s + away_s) * NS + fraction_ns
    assert decode_ntp(encode_ntp(instant, NS), NS, reference_s) == instant


@pytest.mark.parametrize(
    ("unix_s", "reference_s"),
    [
        (-1, 0),
        (-NTP_EPOCH, -NTP_EPOCH + 10),
        (ERA - NTP_EPOCH - 1, 0x7C55_8184),  # the last second of era 0, seen from era 1
        (ERA - NTP_EPOCH, 0x7C55_8184),  # the first of era 1: 2036-02-07T06:28:16
        (ERA - NTP_EPOCH, 0x7C55_8184 - 60),  # and seen from era 0
    ],
)
def test_instants_around_the_epochs_are_kept(unix_s: int, reference_s: int) -> None:
    for per_second, type in ((US, DataType.MICROSECONDS), (NS, DataType.NANOSECONDS)):
        octets = encode(type, unix_s * per_second)
        assert decode_value(type, octets, reference_s=reference_s) == unix_s * per_second


@pytest.mark.parametrize(
    ("type", "length"),
    [(DataType.MILLISECONDS, 4), (DataType.MICROSECONDS, 4), (DataType.SECONDS, 8), (DataType.IPV4, 3)],
)
def test_times_and_addresses_have_no_reduced_size(type: DataType, length: int) -> None:
    assert decode_value(type, bytes(length)) == bytes(length)


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_seconds_beyond_32_bits_are_refused(value: int) -> None:
    with pytest.raises(EncodeError):
        encode(DataType.SECONDS, value)


def test_a_length_of_65535_means_the_native_size() -> None:
    for type in DataType:
        if type.is_numeric or type.is_time:
            assert len(encode(type, 1, VARIABLE)) == type.width
