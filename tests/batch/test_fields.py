"""Values of every type, as RFC 7011 §6 has them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headwater.batch import Strings
from headwater.model.types import DataType
from tests import build
from tests.batch.source import column, field, kinds, message, one


@pytest.mark.parametrize("width", range(1, 9))
def test_a_reduced_unsigned_integer_widens(width: int) -> None:
    values, _ = column("octetDeltaCount", build.uint(2 ** (8 * width) - 1, width), build.uint(1, width), length=width)
    assert values.dtype == np.uint64
    assert values.tolist() == [2 ** (8 * width) - 1, 1]


@pytest.mark.parametrize("width", range(1, 5))
def test_a_reduced_signed_integer_keeps_its_sign(width: int) -> None:
    values, _ = column("mibObjectValueInteger", build.sint(-2, width), build.sint(3, width), length=width)
    assert values.dtype == np.int32
    assert values.tolist() == [-2, 3]


@pytest.mark.parametrize(("width", "encode"), [(8, build.float64), (4, build.float32)])
def test_a_float64_may_be_sent_in_four_octets(width: int, encode: object) -> None:
    numbers = [0.0, -0.0, 1.5, math.inf, -math.inf]
    values, _ = column("absoluteError", *(encode(n) for n in numbers), encode(math.nan), length=width)  # type: ignore[operator]
    assert values.dtype == np.float64
    assert list(map(repr, values.tolist())) == [*map(repr, numbers), "nan"]


def test_an_undefined_boolean_is_null_and_counted() -> None:
    values, batch = column("dataRecordsReliability", b"\x01", b"\x02", b"\x00", b"\x03", b"\xff")
    assert values.tolist() == [True, False, None, None, None]
    assert values.dtype == np.bool_
    assert kinds(batch) == {"boolean": 3}


def test_booleans_without_faults_have_no_mask() -> None:
    values, batch = column("dataRecordsReliability", b"\x01", b"\x02")
    assert not isinstance(values, np.ma.MaskedArray)
    assert batch.faults == ()


def test_addresses_are_numbers_and_octets() -> None:
    batch = one(
        message(
            [field("sourceMacAddress"), field("sourceIPv4Address"), field("sourceIPv6Address")],
            build.mac("00:00:5e:00:53:af") + build.ipv4("255.255.255.255") + build.ipv6("2001:db8::1"),
        )
    )
    mac, ipv4, ipv6 = batch.columns.values()
    assert (mac.dtype, ipv4.dtype, ipv6.dtype) == (np.dtype("V6"), np.dtype("u4"), np.dtype("V16"))  # type: ignore[union-attr]
    assert list(batch.tuples()) == [(build.mac("00:00:5e:00:53:af"), 2**32 - 1, build.ipv6("2001:db8::1"))]


@pytest.mark.parametrize("width", [1, 2, 8, 31, 32])
def test_an_unsigned256_widens_to_32_octets(width: int) -> None:
    name = "ipv6ExtensionHeadersFull"
    values, batch = column(name, build.uint(2 ** (8 * width) - 2, width), length=width)
    assert batch.schema.columns[0].type is DataType.UNSIGNED256
    assert values.dtype == np.dtype("V32")
    assert list(batch.tuples()) == [(2 ** (8 * width) - 2,)]


def test_octets_may_have_any_length_and_none() -> None:
    values, _ = column("paddingOctets", build.var(b""), build.var(b"\x00\xff"), build.var(bytes(300)), length=65535)
    assert values.tolist() == [b"", b"\x00\xff", bytes(300)]
    assert isinstance(values, Strings)
    assert not values.is_text


@pytest.mark.parametrize("length", [1, 3, 4, 8, 9, 300])
def test_octets_of_a_fixed_length_are_octets_whatever_the_length(length: int) -> None:
    rows = [bytes([n % 256] * length) for n in range(5)]
    values, batch = column("paddingOctets", *rows, length=length)
    assert values.tolist() == rows
    assert batch.schema.columns[0].type is DataType.OCTET_ARRAY


def test_a_fixed_string_keeps_its_trailing_zeros() -> None:
    values, _ = column("interfaceName", b"Z\xc3\xbc\x00\x00", length=5)
    assert values.tolist() == ["Zü\0\0"]


def test_control_characters_are_kept() -> None:
    text = "a\0\x1b[31m\n\u202eb"
    values, _ = column("interfaceName", build.var(text.encode()), length=65535)
    assert values.tolist() == [text]


ILL_FORMED = [b"\xc0\xaf", b"\xed\xa0\x80", b"a\xe2\x82", b"\xf5\x80\x80\x80", b"\xff"]


def test_ill_formed_text_is_null_counted_and_reachable() -> None:
    rows = [b"eth0", *ILL_FORMED, "é".encode()]
    start = 16 + 4 + 4 + 4  # headers, and the template
    values, batch = column("interfaceName", *map(build.var, rows), length=65535)
    assert values.tolist() == ["eth0", None, None, None, None, None, "é"]
    assert [values.raw(k) for k in range(7)] == rows
    assert values.null_count == 5
    (fault,) = batch.faults
    assert (fault.kind.value, fault.count, fault.detail, fault.domain) == ("utf8", 5, "interfaceName", 1)
    assert fault.offset == start + 4 + 5 + 1


def test_ill_formed_text_of_a_fixed_length_is_null_too() -> None:
    values, batch = column("interfaceName", b"ab", b"\xff\xff", length=2)
    assert values.tolist() == ["ab", None]
    assert batch.faults[0].offset == 16 + 12 + 4 + 2


def test_the_offset_of_a_fault_counts_from_the_start_of_the_source() -> None:
    good = message([field("interfaceName", 2)], b"ab")
    bad = build.message(build.data_set(256, b"cd", b"\xff\xff"), sequence=1)
    batch = one(good, bad)
    assert [fault.offset for fault in batch.faults] == [len(good) + 16 + 4 + 2]


def test_a_bad_value_among_several_sets_is_found_in_its_own() -> None:
    one_set = build.data_set(256, b"\x01\x01", b"\x01\x01")
    bad = build.data_set(256, b"\x01\x02", b"\x01\x09")
    head = build.template_set(build.template(256, (276, 1), (276, 1)))
    first = build.message(head, one_set, domain=7)
    second = build.message(head, bad, domain=8)
    batch = one(first, second)
    (fault,) = batch.faults
    assert (fault.domain, fault.offset, fault.detail) == (8, len(first) + len(second) - 1, "dataRecordsReliability#2")


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("flowStartMilliseconds", 4),
        ("dataRecordsReliability", 2),
        ("sourceMacAddress", 8),
        ("ingressInterface", 5),
        ("absoluteError", 2),
        ("flowStartMicroseconds", 4),
        ("sourceIPv4Address", 50),
    ],
)
def test_a_field_of_illegal_length_is_raw_octets(name: str, length: int) -> None:
    octets = bytes(range(1, length + 1))
    batch = one(message([field(name, length), field("protocolIdentifier")], octets + b"\x06"))
    assert list(batch.tuples()) == [(octets, 6)]
    assert batch.schema[name].type is DataType.OCTET_ARRAY
    assert batch.faults == ()  # the session has told it, with the template


@pytest.mark.parametrize("name", ["octetDeltaCount", "flowStartSeconds", "sourceIPv6Address", "dataRecordsReliability"])
def test_a_number_of_no_octets_is_null(name: str) -> None:
    batch = one(message([field(name, 0), field("protocolIdentifier")], b"\x06", b"\x07"))
    assert list(batch.tuples()) == [(None, 6), (None, 7)]
    assert batch.columns[name].dtype == np.dtype(batch.schema[name].type.numpy)  # type: ignore[union-attr]


def test_text_and_octets_of_no_octets_are_empty() -> None:
    fields = [field("interfaceName", 0), field("paddingOctets", 0), field("protocolIdentifier")]
    assert list(one(message(fields, b"\x06", b"\x07")).tuples()) == [("", b"", 6), ("", b"", 7)]


def test_an_unknown_element_is_octets_under_a_stable_name() -> None:
    batch = one(message([(999, 3, 32473), (30000, 65535)], b"abc" + build.var(b"d")))
    assert list(batch.rows()) == [{"_32473_999": b"abc", "_0_30000": b"d"}]


def test_a_repeated_element_is_numbered() -> None:
    batch = one(message([field("selectorId", 1)] * 3, b"\x01\x02\x03"))
    assert list(batch.rows()) == [{"selectorId": 1, "selectorId#2": 2, "selectorId#3": 3}]


def test_fields_after_variable_ones_are_found() -> None:
    fields = [field("protocolIdentifier"), field("interfaceName"), field("sourceIPv4Address"), field("vlanId")]
    fields.insert(3, field("interfaceDescription"))
    rows = [(6, "eth0", 1, "", 7), (17, "x" * 300, 2, "é", 8)]
    octets = [
        build.uint(a, 1) + build.var(b.encode()) + build.uint(c, 4) + build.var(d.encode()) + build.uint(e, 2)
        for a, b, c, d, e in rows
    ]
    assert list(one(message(fields, *octets)).tuples()) == rows


def test_a_template_of_16370_fields_is_decoded() -> None:
    fields = [(1, 4)] * 16_000
    batch = one(
        build.message(build.template_set(build.template(256, *fields))),
        build.message(build.data_set(256, bytes(64_000)), sequence=0),
    )
    assert len(batch.columns) == 16_000
    assert next(batch.tuples()) == (0,) * 16_000
    assert next(batch.rows())["octetDeltaCount#16000"] == 0


def test_a_batch_of_one_domain_has_it_and_one_of_several_has_none() -> None:
    head = build.template_set(build.template(256, (1, 4)))
    messages = [build.message(head, build.data_set(256, bytes(4)), domain=domain) for domain in (3, 4)]
    assert one(messages[0]).domain == 3
    assert one(*messages).domain is None
