"""The builder is what every other test stands on, so its octets are checked against octets written out by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests import build


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("|", ""))


def test_a_message_is_the_example_of_rfc_7011_appendix_a() -> None:
    built = build.message(
        build.template_set(build.template(256, (8, 4), (12, 4), (15, 4), (2, 4), (1, 4))),
        build.data_set(
            256,
            build.record(
                build.ipv4("192.0.2.12"), build.ipv4("192.0.2.254"), build.ipv4("192.0.2.1"),
                build.uint(5009), build.uint(5344385),
            ),
        ),
        build.options_template_set(build.options_template(258, (141, 4), (41, 2), (42, 2), scope=1), padding=2),
        build.data_set(258, build.record(build.uint(1), build.uint(345, 2), build.uint(10201, 2))),
        domain=0x3039,
        export_time=0x52C35A80,
    )  # fmt: skip
    assert built == unhex(
        "000a 0068 52c35a80 00000000 00003039"
        "| 0002 001c 0100 0005 0008 0004 000c 0004 000f 0004 0002 0004 0001 0004"
        "| 0100 0018 c000020c c00002fe c0000201 00001391 00518c81"
        "| 0003 0018 0102 0003 0001 008d 0004 0029 0002 002a 0002 0000"
        "| 0102 000c 00000001 0159 27d9"
    )


def test_a_field_with_a_pen_has_the_enterprise_bit_and_four_more_octets() -> None:
    assert build.field(15, 4, 32473) == unhex("800f 0004 00007ed9")
    assert build.template(257, (8, 4), (15, 65535, 32473)) == unhex("0101 0002 0008 0004 800f ffff 00007ed9")


def test_a_withdrawal_is_a_template_without_fields() -> None:
    assert build.template_set(build.withdrawal(256)) == unhex("0002 0008 0100 0000")
    assert build.options_template_set(build.withdrawal(3)) == unhex("0003 0008 0003 0000")


@pytest.mark.parametrize(
    ("built", "octets"),
    [
        (build.uint(1, 3), "000001"),
        (build.sint(-2, 2), "fffe"),
        (build.float32(1.5), "3fc00000"),
        (build.float64(-1.5), "bff8000000000000"),
        (build.ipv6("2001:db8::1"), "20010db8000000000000000000000001"),
        (build.mac("02:00:5e:10:00:ff"), "02005e1000ff"),
        (build.ntp(0, 1), "83aa7e8000000001"),
        (build.ntp(2_085_978_496), "0000000000000000"),  # 2036-02-07T06:28:16, the first second of NTP era 1
        (build.var(b""), "00"),
        (build.var(b"ab"), "026162"),
        (build.var(b"ab", long=True), "ff00026162"),
        (build.var(b"ab", length=9), "096162"),
    ],
)
def test_a_value_has_the_octets_of_rfc_7011_section_6(built: bytes, octets: str) -> None:
    assert built.hex() == octets


@pytest.mark.parametrize(("size", "prefix"), [(254, "fe"), (255, "ff00ff"), (300, "ff012c")])
def test_a_variable_length_value_takes_the_long_form_from_255_octets(size: int, prefix: str) -> None:
    assert build.var(bytes(size)) == bytes.fromhex(prefix) + bytes(size)


def test_lists_have_the_octets_of_rfc_6313() -> None:
    assert build.basic_list((8, 4), build.ipv4("192.0.2.1")) == unhex("03 0008 0004 c0000201")
    assert build.basic_list((15, 1, 32473), semantic=build.ORDERED) == unhex("04 800f 0001 00007ed9")
    assert build.sub_template_list(257, b"\x01", b"\x02", semantic=build.UNDEFINED) == unhex("ff 0101 01 02")
    assert build.sub_template_multi_list(
        build.group(257, b"\x01\x02"), build.group(258), semantic=build.ONE_OR_MORE_OF
    ) == unhex("02 0101 0006 0102 0102 0004")


def test_wrong_lengths_and_counts_are_written_as_given() -> None:
    assert build.message(length=7)[2:4] == unhex("0007")
    assert build.data_set(256, b"\x01", length=3) == unhex("0100 0003 01")
    assert build.template(256, (1, 4), count=9) == unhex("0100 0009 0001 0004")
    assert build.data_set(256, b"\x01", padding=3) == unhex("0100 0008 01 000000")


def test_messages_keep_to_the_mtu_and_count_their_records() -> None:
    built = list(build.messages(((256, bytes(54)) for _ in range(100)), mtu=1420, sequence=2**32 - 26))
    assert [len(one) for one in built] == [16 + 4 + 25 * 54] * 4
    assert [struct.unpack_from("!I", one, 8)[0] for one in built] == [2**32 - 26, 2**32 - 1, 24, 49]
    assert all(struct.unpack_from("!HH", one) == (10, len(one)) for one in built)


def test_records_of_one_template_share_a_set_and_a_change_of_template_starts_one() -> None:
    (built,) = build.messages([(256, b"\x01"), (256, b"\x02"), (257, b"\x03"), (256, b"\x04")])
    assert built[16:] == build.data_set(256, b"\x01", b"\x02") + build.data_set(257, b"\x03") + build.data_set(
        256, b"\x04"
    )


def test_messages_without_records_still_carry_their_templates() -> None:
    head = build.template_set(build.template(256, (1, 4)))
    assert list(build.messages([], head)) == [build.message(head)]
    assert list(build.messages([])) == []


@pytest.mark.parametrize("make", [build.flows, build.mixed_flows, build.strings, build.lists])
def test_sample_streams_are_whole_messages_and_the_same_every_time(make: Callable[[int], list[bytes]]) -> None:
    built = make(500)
    assert built == make(500)
    assert all(struct.unpack_from("!HH", one) == (10, len(one)) and len(one) <= 1420 for one in built)


def test_flows_carry_their_values() -> None:
    first = build.flows(30)[0]
    at = 16 + 4 + 4 + 4 * len(build.FLOW_FIELDS) + 4
    assert struct.unpack_from("!IIHHBBQQQQII", first, at) == build.flow_values(30)[0]
