from __future__ import annotations

import math
import struct
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, EncodeError
from headwater.model.text import from_text, to_text
from headwater.model.types import DataType, Value
from tests.model.vectors import cases_of_kind

CASES = cases_of_kind("text")
LISTS = [t for t in DataType if t.is_list]


def plain(value: Value) -> Value:
    """A value in the form the vectors write it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+inf" if value > 0 else "-inf"
    return value


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_vector(case: dict[str, Any]) -> None:
    expect = case["expect"]
    data_type = DataType.from_label(expect["type"])
    if expect.get("error"):
        with pytest.raises(DecodeError):
            from_text(data_type, expect["text"])
        return
    value = from_text(data_type, expect["text"])
    expected = expect["value"]
    if data_type is DataType.IPV4 and isinstance(expected, str):
        expected = int(expected, 16)
    assert plain(value) == expected
    assert plain(from_text(data_type, to_text(data_type, value))) == plain(value)


def values(data_type: DataType) -> st.SearchStrategy[Any]:
    """Every value of the type that has a text form."""
    if data_type.is_integer:
        bits = 8 * data_type.width
        low = -(1 << (bits - 1)) if data_type.is_signed else 0
        return st.integers(low, low + (1 << bits) - 1)
    if data_type.is_float:
        return st.floats(width=32 if data_type is DataType.FLOAT32 else 64)
    if data_type.is_time:
        return st.integers(-(2**63), 2**64)
    if data_type is DataType.IPV4:
        return st.integers(0, 2**32 - 1)
    if data_type is DataType.BOOLEAN:
        return st.booleans()
    if data_type is DataType.STRING:
        return st.text()
    if data_type is DataType.IPV6:
        return st.lists(st.sampled_from([0, 0, 1, 0xFFFF, 0xDB8]), min_size=8, max_size=8).map(
            lambda groups: struct.pack(">8H", *groups)
        )
    size = data_type.width
    return st.binary(min_size=size, max_size=size or 40)


@pytest.mark.parametrize("data_type", [t for t in DataType if not t.is_list])
def test_the_text_of_a_value_is_strict_and_reads_back_as_the_value(data_type: DataType) -> None:
    @given(values(data_type))
    def check(value: Value) -> None:
        text = to_text(data_type, value)
        assert plain(from_text(data_type, text)) == plain(value)
        assert plain(from_text(data_type, text, lenient=True)) == plain(value)

    check()


@pytest.mark.parametrize("data_type", list(DataType))
def test_any_text_is_a_value_or_refused(data_type: DataType) -> None:
    @given(st.text(alphabet="0123456789abcdefxT:.-+ eZNin%١\udc80", max_size=30), st.booleans())
    def check(text: str, lenient: bool) -> None:
        try:
            value = from_text(data_type, text, lenient=lenient)
        except DecodeError:
            return
        assert plain(from_text(data_type, to_text(data_type, value))) == plain(value)

    check()


@pytest.mark.parametrize("data_type", LISTS)
def test_lists_have_no_text(data_type: DataType) -> None:
    """RFC 7373 §4.11: structured data "MUST NOT" be represented as text."""
    with pytest.raises(EncodeError):
        to_text(data_type, [])
    with pytest.raises(DecodeError):
        from_text(data_type, "")


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        (DataType.UNSIGNED8, "007", 7),  # leading zeros are not octal
        (DataType.UNSIGNED16, "0X1f", 31),
        (DataType.UNSIGNED16, "0x10000", 65535),
        (DataType.UNSIGNED16, "0b" + "1" * 17, 65535),
        (DataType.UNSIGNED32, "0" * 9000 + "12", 12),
        (DataType.UNSIGNED64, "9" * 9000, 2**64 - 1),
        (DataType.UNSIGNED256, str(2**256 - 1), 2**256 - 1),
        (DataType.UNSIGNED256, str(2**256), 2**256 - 1),
        (DataType.UNSIGNED256, "0x" + "f" * 65, 2**256 - 1),
        (DataType.SIGNED16, "-0", 0),
        (DataType.SIGNED16, "-32769", -32768),
        (DataType.SIGNED64, "-" + "9" * 9000, -(2**63)),
        (DataType.FLOAT64, "1e999", 1.7976931348623157e308),
        (DataType.FLOAT64, "-1e999", -1.7976931348623157e308),
        (DataType.FLOAT32, "1e39", 3.4028234663852886e38),
        (DataType.FLOAT32, "0.1", 0.10000000149011612),
        (DataType.FLOAT64, "+1.5E-3", 0.0015),
        (DataType.OCTET_ARRAY, "", b""),
        (DataType.STRING, " spaces stay ", " spaces stay "),
        (DataType.IPV4, "255.255.255.255", 2**32 - 1),
        (DataType.SECONDS, "1969-12-31T23:59:59", -1),
        (DataType.SECONDS, "2016-12-31T23:59:60", 1483228800),  # a leap second is allowed by the grammar
        (DataType.SECONDS, "2000-02-29T00:00:00", 951782400),
        (DataType.MILLISECONDS, "2036-02-07T06:28:16.000", 2085978496000),  # NTP era 1
    ],
)
def test_values_at_the_edges(data_type: DataType, text: str, value: Value) -> None:
    assert from_text(data_type, text) == value


@pytest.mark.parametrize(
    ("data_type", "text"),
    [
        (DataType.UNSIGNED8, ""),
        (DataType.UNSIGNED8, "-1"),
        (DataType.UNSIGNED8, "+1"),
        (DataType.UNSIGNED8, " 1"),
        (DataType.UNSIGNED8, "1_0"),
        (DataType.UNSIGNED8, "١"),
        (DataType.UNSIGNED8, "0b2"),
        (DataType.SIGNED8, "0x1"),
        (DataType.SIGNED8, "--1"),
        (DataType.FLOAT64, "1."),
        (DataType.FLOAT64, "1e1000"),
        (DataType.FLOAT64, "nan"),
        (DataType.FLOAT64, "1_0"),
        (DataType.BOOLEAN, "1"),
        (DataType.OCTET_ARRAY, "abc"),
        (DataType.OCTET_ARRAY, "ab  cd"),
        (DataType.OCTET_ARRAY, "ab "),
        (DataType.MAC_ADDRESS, "00:00:5e:00:53"),
        (DataType.MAC_ADDRESS, "00:00:5e:00:53:af:00"),
        (DataType.STRING, "\ud800"),
        (DataType.IPV4, "192.0.2"),
        (DataType.IPV4, "192.0.2.256"),
        (DataType.IPV4, "0300.0.2.1"),
        (DataType.IPV6, "fe80::1%eth0"),
        (DataType.IPV6, "1:2:3:4:5:6:7:8:9"),
        (DataType.SECONDS, "2012-11-05T18:31:01.0"),
        (DataType.MILLISECONDS, "2012-11-05T18:31:01"),
        (DataType.MILLISECONDS, "2012-11-05T18:31:01.12"),
        (DataType.NANOSECONDS, "2012-11-05T18:31:01.123456"),
        (DataType.SECONDS, "2012-13-05T18:31:01"),
        (DataType.SECONDS, "2011-02-29T18:31:01"),
        (DataType.SECONDS, "1900-02-29T18:31:01"),
        (DataType.SECONDS, "2012-04-31T18:31:01"),
        (DataType.SECONDS, "2012-11-05T24:00:00"),
        (DataType.SECONDS, "2012-11-05T18:60:00"),
        (DataType.SECONDS, "2012-11-05T18:31:61"),
        (DataType.SECONDS, "12012-11-05T18:31:01"),
    ],
)
def test_what_the_strict_parser_refuses(data_type: DataType, text: str) -> None:
    with pytest.raises(DecodeError, match=f"of type {data_type.label}"):
        from_text(data_type, text)


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        (DataType.UNSIGNED8, " +7 ", 7),
        (DataType.BOOLEAN, "True", True),
        (DataType.FLOAT64, "inf", math.inf),
        (DataType.FLOAT32, ".5", 0.5),
        (DataType.FLOAT64, "-1e1000", -1.7976931348623157e308),
        (DataType.OCTET_ARRAY, "0xdead", b"\xde\xad"),
        (DataType.MAC_ADDRESS, "00-00-5E-00-53-af", bytes.fromhex("00005e0053af")),
        (DataType.MAC_ADDRESS, "0000.5e00.53af", bytes.fromhex("00005e0053af")),
        (DataType.STRING, " kept ", " kept "),
        (DataType.SECONDS, "2012-11-05T18:31:01Z", 1352140261),
        (DataType.SECONDS, "2012-11-05 18:31:01.999", 1352140261),
        (DataType.MILLISECONDS, "2012-11-05T18:31:01", 1352140261000),
        (DataType.MILLISECONDS, "2012-11-05T19:31:01.5+01:00", 1352140261500),
        (DataType.SECONDS, "2012-11-05T13:01:01-05:30", 1352140261),
    ],
)
def test_what_the_lenient_parser_takes_as_well(data_type: DataType, text: str, value: Value) -> None:
    assert from_text(data_type, text, lenient=True) == value


@pytest.mark.parametrize(
    ("data_type", "value", "text"),
    [
        (DataType.FLOAT32, struct.unpack(">f", struct.pack(">f", 0.1))[0], "0.1"),
        (DataType.FLOAT32, 16777216.0, "16777216"),
        (DataType.FLOAT32, 1e10, "1e+10"),
        (DataType.FLOAT32, math.nan, "NaN"),
        (DataType.FLOAT64, math.inf, "+inf"),
        (DataType.FLOAT64, -math.inf, "-inf"),
        (DataType.FLOAT64, 2, "2.0"),
        (DataType.MAC_ADDRESS, bytes.fromhex("00005e0053af"), "00:00:5e:00:53:af"),
        (DataType.IPV4, 0xC0000201, "192.0.2.1"),
        (DataType.IPV6, bytes(16), "::"),
        (DataType.IPV6, bytes(15) + b"\1", "::1"),
        (DataType.IPV6, b"\x20\x01" + bytes(14), "2001::"),
        (DataType.IPV6, bytes.fromhex("20010db8000000010001000100010001"), "2001:db8:0:1:1:1:1:1"),
        (DataType.IPV6, bytes.fromhex("20010db8000000000001000000000001"), "2001:db8::1:0:0:1"),
        (DataType.IPV6, bytes.fromhex("20010db8000100000000000100000000"), "2001:db8:1::1:0:0"),
        (DataType.IPV6, bytes.fromhex("00000000000000000000ffffc0000201"), "::ffff:192.0.2.1"),
        (DataType.SECONDS, 0, "1970-01-01T00:00:00"),
        (DataType.MILLISECONDS, 1352140261135, "2012-11-05T18:31:01.135"),
        (DataType.MICROSECONDS, -1, "1969-12-31T23:59:59.999999"),
        (DataType.NANOSECONDS, -(2208988800 * 10**9), "1900-01-01T00:00:00.000000000"),
        (DataType.MILLISECONDS, 2**64 - 1, "+584556019-04-03T14:25:51.615"),
        (DataType.MILLISECONDS, 253402300800000, "+10000-01-01T00:00:00.000"),
        (DataType.SECONDS, -62167219201, "-0001-12-31T23:59:59"),
    ],
)
def test_texts(data_type: DataType, value: Value, text: str) -> None:
    assert to_text(data_type, value) == text


@given(st.datetimes())
def test_the_calendar_is_that_of_datetime_where_that_has_one(moment: datetime) -> None:
    microseconds = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert to_text(DataType.MICROSECONDS, microseconds) == moment.isoformat(timespec="microseconds")


def test_a_refusal_does_not_repeat_a_text_of_megabytes() -> None:
    with pytest.raises(DecodeError) as caught:
        from_text(DataType.UNSIGNED8, "x" * 1_000_000)
    assert len(str(caught.value)) < 200
