"""Single records on their way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address
from typing import Any

import pytest

from headwater.errors import EncodeError
from headwater.model.template import Field, Template
from headwater.wire.record_out import write_record, write_value
from tests import build as b

NAME, LIST, PORT = Template.of(256, "interfaceName", "basicList", "sourceTransportPort").fields


@pytest.mark.parametrize("size", [0, 254, 255, 65535])
def test_variable_lengths_take_one_octet_as_long_as_they_fit(size: int) -> None:
    assert write_value(NAME, "x" * size) == b.var(b"x" * size)


def test_a_list_has_a_length_of_three_octets() -> None:
    assert write_value(LIST, b"12345") == b.var(b"12345", long=True)
    assert write_value(Field(LIST.element, 5), b"12345") == b"12345"


def test_a_value_of_more_than_65535_octets_is_refused() -> None:
    with pytest.raises(EncodeError, match="interfaceName: 65536 octets, of at most 65535") as caught:
        write_value(NAME, "x" * 65536)
    assert caught.value.column == "interfaceName"


def test_a_record_has_all_values_of_its_template_and_no_others() -> None:
    template = Template(256, (PORT, NAME, PORT))
    values = {"sourceTransportPort": 1, "interfaceName": "eth0", "sourceTransportPort#2": 2}
    assert write_record(template, values) == b.uint(1, 2) + b.var(b"eth0") + b.uint(2, 2)
    with pytest.raises(EncodeError, match="the record has no interfaceName, sourceTransportPort#2"):
        write_record(template, {"sourceTransportPort": 1})
    with pytest.raises(EncodeError, match="the Template has no octets; it has sourceTransportPort, interfaceName"):
        write_record(template, values | {"octets": 1})


@pytest.mark.parametrize(
    ("spec", "value", "octets"),
    [
        ("sourceIPv4Address", "192.0.2.1", b"\xc0\0\2\1"),
        ("sourceIPv4Address", IPv4Address("192.0.2.1"), b"\xc0\0\2\1"),
        ("sourceIPv6Address", "::1", bytes(15) + b"\1"),
        ("sourceMacAddress", "01:02:03:04:05:06", bytes(range(1, 7))),
        ("octetDeltaCount[2]", "258", b"\1\2"),
        ("flowStartSeconds", datetime(1970, 1, 1, 0, 0, 5), b"\0\0\0\5"),
        ("flowStartMilliseconds", datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), bytes(8)),
        ("flowStartMilliseconds", "1970-01-01T00:00:00.256Z", bytes(6) + b"\1\0"),
        ("interfaceName", "10", b"\x0210"),
    ],
)
def test_a_value_may_be_text_an_address_or_a_datetime(spec: str, value: Any, octets: bytes) -> None:
    (field,) = Template.of(256, spec).fields
    assert write_value(field, value) == octets


def test_text_that_means_nothing_for_the_type_is_refused_as_it_is() -> None:
    (field,) = Template.of(256, "sourceIPv4Address").fields
    with pytest.raises(EncodeError, match=r"'192\.0\.2\.256' does not fit ipv4Address"):
        write_value(field, "192.0.2.256")


def test_a_record_may_be_a_tuple_in_the_order_of_the_fields() -> None:
    template = Template.of(256, "vlanId", "interfaceName")
    assert write_record(template, (7, "eth0")) == write_record(template, {"vlanId": 7, "interfaceName": "eth0"})
    for wrong in ((7,), 7, "ab", None):
        with pytest.raises(EncodeError, match="a record is a dict, or a tuple of 2 values"):
            write_record(template, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("protocolIdentifier", "256"),
        ("protocolIdentifier", "0x100"),
        ("octetDeltaCount", "9" * 5000),
        ("mibObjectValueInteger", "-2147483649"),
        ("absoluteError", "1e999"),
        ("absoluteError[4]", "1e39"),
        ("octetDeltaCount[2]", "65536"),
    ],
)
def test_a_number_out_of_range_is_refused_and_not_the_nearest_one(spec: str, value: str) -> None:
    (field,) = Template.of(256, spec).fields
    with pytest.raises(EncodeError, match="does not fit"):
        write_value(field, value)


def test_a_time_that_readers_would_take_for_another_is_refused() -> None:
    (field,) = Template.of(256, "flowStartMicroseconds").fields
    assert write_value(field, "1968-01-20T03:14:09") == write_value(field, "1968-01-20T03:14:09", 1_780_000_000)
    with pytest.raises(EncodeError, match="1950-01-01T00:00:00 would be read as another time") as refused:
        write_value(field, datetime(1950, 1, 1, tzinfo=UTC))
    assert refused.value.column == "flowStartMicroseconds"
    with pytest.raises(EncodeError, match="can say 1958-05-10T17:12:33 to 2094-06-15T23:40:48"):
        write_value(field, "2100-01-01T00:00:00", 1_780_000_000)
