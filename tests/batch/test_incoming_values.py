"""Values of every type in the forms people have them, and those that cannot be what is wanted."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
import pytest

from headwater.batch.incoming import columns_of
from headwater.errors import EncodeError
from headwater.model.registry import IANA
from headwater.model.types import DataType

V6 = bytes.fromhex("20010db8000000000000000000000001")
MAC = bytes.fromhex("00005e005301")
NOON = datetime(2024, 1, 2, 12, 0, 0, 250_000)
NOON_MS = 1_704_196_800_250


class Proto(enum.IntEnum):
    TCP = 6


def column(name: str, data: Any, **options: Any) -> Any:
    return columns_of({name: data}, **options).values[0]


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("octetDeltaCount", [0, 2**64 - 1], [0, 2**64 - 1]),
        ("octetDeltaCount", [1, None], [1, None]),
        ("octetDeltaCount", ["17", "0x1F", " 7 ", None], [17, 31, 7, None]),
        ("octetDeltaCount", [5.0, Decimal(7), np.uint8(3)], [5, 7, 3]),
        ("octetDeltaCount", np.array([1.0, 2.0**53]), [1, 2**53]),
        ("octetDeltaCount", np.array([1, 2], ">i2"), [1, 2]),
        ("octetDeltaCount", np.array([1, "2", None], object), [1, 2, None]),
        ("octetDeltaCount", range(3), [0, 1, 2]),
        ("protocolIdentifier", [Proto.TCP, 255], [6, 255]),
        ("mibObjectValueInteger", [-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
        ("mibObjectValueInteger", ["-5", "+5"], [-5, 5]),
        ("absoluteError", [1, 2.5, None], [1.0, 2.5, None]),
        ("absoluteError", ["1.5", "-inf", Decimal("0.5")], [1.5, -np.inf, 0.5]),
        ("absoluteError", np.array([1, 2], "i4"), [1.0, 2.0]),
        ("dataRecordsReliability", [True, False, None], [True, False, None]),
        ("dataRecordsReliability", ["true", "False", np.True_], [True, False, True]),
        ("dataRecordsReliability", [1, 0, "1", " 0 ", 1.0, np.uint8(0)], [True, False, True, False, True, False]),
        ("dataRecordsReliability", np.array([1, 0], "u1"), [True, False]),
        ("interfaceName", ["eth0", "", "Ünï", None, b"\xc3\xbc"], ["eth0", "", "Ünï", None, "ü"]),
        ("interfaceName", np.array(["a", "bcd"]), ["a", "bcd"]),
        ("interfaceName", np.array([b"a", b"bcd"]), ["a", "bcd"]),
        ("paddingOctets", [b"\0\1", bytearray(b"x"), memoryview(b"yz"), None], [b"\0\1", b"x", b"yz", None]),
        ("paddingOctets", ["00ff", "0x01"], [b"\0\xff", b"\1"]),
        ("paddingOctets", np.array([[1, 2], [3, 4]], "u1"), [b"\1\2", b"\3\4"]),
        ("sourceIPv4Address", ["192.0.2.1", IPv4Address("192.0.2.2"), b"\xc0\0\2\3", 3221225988, None],
         [3221225985, 3221225986, 3221225987, 3221225988, None]),
        ("sourceIPv4Address", np.array([1, 2], "i8"), [1, 2]),
        ("sourceIPv4Address", np.array([[192, 0, 2, 1]], "u1"), [3221225985]),
        ("sourceIPv4Address", np.array(["192.0.2.1"]), [3221225985]),
        ("sourceIPv6Address", ["2001:db8::1", IPv6Address(V6), V6, None], [V6, V6, V6, None]),
        ("sourceIPv6Address", np.frombuffer(V6, "u1").reshape(1, 16), [V6]),
        ("sourceMacAddress", ["00:00:5e:00:53:01", "00-00-5E-00-53-01", MAC, None], [MAC, MAC, MAC, None]),
        ("sourceMacAddress", np.frombuffer(MAC, "V6"), [MAC]),
        ("ipv6ExtensionHeadersFull", [1, "2", b"\0" * 31 + b"\3"], [bytes([*[0] * 31, n]) for n in (1, 2, 3)]),
    ],
)  # fmt: skip
def test_values_become_those_of_the_type(name: str, given: Any, wanted: list[Any]) -> None:
    found = column(name, given)
    assert list(found.tolist()) == wanted
    type = IANA.named(name).type
    if type.numpy:
        assert found.dtype == np.dtype(type.numpy)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (NOON, NOON_MS),
        (NOON.replace(tzinfo=UTC), NOON_MS),
        (datetime(2024, 1, 2, 14, 0, 0, 250_000, timezone(timedelta(hours=2))), NOON_MS),
        (date(2024, 1, 2), NOON_MS - 43_200_250),
        ("2024-01-02T12:00:00.250", NOON_MS),
        ("2024-01-02 13:00:00.25+01:00", NOON_MS),
        ("2024-01-02 12:00", NOON_MS - 250),
        (" 2024-01-02T12:00Z", NOON_MS - 250),
        ("2024-01-02T13:00+01:00", NOON_MS - 250),
        ("2024-01-02", NOON_MS - 43_200_250),
        (np.datetime64("2024-01-02T12:00:00.250"), NOON_MS),
        (np.datetime64("2024-01-02T12:00:00.250000000"), NOON_MS),
        (np.datetime64("2024-01"), NOON_MS - 86_400_000 - 43_200_250),
        (NOON_MS, NOON_MS),
        (float(NOON_MS), NOON_MS),
        (-1, -1),
        (None, None),
    ],
)
def test_times_become_counts_of_their_unit(given: Any, wanted: int | None) -> None:
    found = column("flowStartMilliseconds", [given])
    counts = [None if value is None else value for value in np.ma.asarray(found).tolist()]
    assert found.dtype == np.dtype("M8[ms]")
    if wanted is None:
        assert counts == [None]
    else:
        assert found.view(np.int64).tolist() == [wanted]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_arrays_of_times_are_scaled_exactly(unit: str) -> None:
    given = np.array([0, 1_704_196_800], "M8[s]").astype(f"M8[{unit}]")
    assert column("flowStartSeconds", given).view(np.int64).tolist() == [0, 1_704_196_800]
    assert column("flowStartMicroseconds", given).view(np.int64).tolist() == [0, 1_704_196_800_000_000]


def test_days_and_months_become_seconds() -> None:
    assert column("flowStartSeconds", np.array(["1970-01-02"], "M8[D]")).view(np.int64).tolist() == [86_400]
    assert column("flowStartSeconds", np.array(["1970-02"], "M8[M]")).view(np.int64).tolist() == [31 * 86_400]


def test_not_a_time_is_null() -> None:
    found = column("flowStartMilliseconds", np.array(["NaT", "1970-01-01T00:00:01"], "M8[s]"))
    assert np.ma.getmaskarray(found).tolist() == [True, False]
    assert found.data.view(np.int64).tolist() == [0, 1000]


@pytest.mark.parametrize(
    "given",
    [
        ["1970-01-01T00:00:00.5"],
        [datetime(1970, 1, 1, 0, 0, 0, 500_000)],
        [np.datetime64(500, "ms")],
        np.array([500], "M8[ms]"),
    ],
)
def test_a_time_that_would_be_rounded_is_refused_unless_that_is_allowed(given: Any) -> None:
    with pytest.raises(EncodeError, match="have to be rounded; allow_rounding=True cuts it") as refused:
        column("flowStartSeconds", given)
    assert (refused.value.column, refused.value.row) == ("flowStartSeconds", 0)
    assert column("flowStartSeconds", given, allow_rounding=True).view(np.int64).tolist() == [0]


def test_times_before_1970_are_cut_towards_the_past() -> None:
    given = np.array([-500], "M8[ms]")
    assert column("flowStartSeconds", given, allow_rounding=True).view(np.int64).tolist() == [-1]


@pytest.mark.parametrize(
    "given",
    [
        [timedelta(seconds=1.5)],
        np.array([1500], "m8[ms]"),
        np.array([1_500_000_000], "m8[ns]"),
        [np.timedelta64(1500, "ms")],
    ],
)
def test_durations_become_counts_of_the_elements_unit(given: Any) -> None:
    assert column("flowDurationMilliseconds", given).tolist() == [1500]
    assert column("flowDurationMicroseconds", given).tolist() == [1_500_000]


@pytest.mark.parametrize(
    "given", [np.array([1], "m8[M]"), [np.timedelta64(1, "Y")], np.array([1], "m8"), [np.timedelta64(1)]]
)
def test_a_duration_of_no_fixed_length_is_refused(given: Any) -> None:
    with pytest.raises(EncodeError, match=r"row 0: .* its unit has no fixed length"):
        column("flowDurationMilliseconds", given)


def test_an_array_of_nothing_but_not_a_time_is_null() -> None:
    assert np.ma.getmaskarray(column("flowStartMilliseconds", np.array(["NaT"], "M8"))).tolist() == [True]


def test_a_duration_for_an_element_without_a_unit_of_time_is_refused() -> None:
    for given in ([timedelta(1)], np.array([1], "m8[s]")):
        with pytest.raises(EncodeError, match="its element counts no unit of time"):
            column("octetDeltaCount", given)


@pytest.mark.parametrize(
    ("name", "given", "row", "shown"),
    [
        ("protocolIdentifier", [6, 256], 1, "256 is no unsigned8: it is out of range; wanted is a whole number from 0"),
        ("protocolIdentifier", [None, -1], 1, "-1 is no unsigned8: it is out of range"),
        ("protocolIdentifier", np.array([6, 6, 300], "i8"), 2, "300 is no unsigned8: it is out of range"),
        ("protocolIdentifier", np.array([-1], "i1"), 0, "-1 is no unsigned8"),
        ("protocolIdentifier", ["6", "256"], 1, "'256' is no unsigned8: it is out of range"),
        ("octetDeltaCount", [2**64], 0, "18446744073709551616 is no unsigned64"),
        ("octetDeltaCount", ["9" * 5000], 0, "is no unsigned64: it is out of range"),
        ("octetDeltaCount", [1, 1.5], 1, "1.5 is no unsigned64; wanted is a whole number"),
        ("octetDeltaCount", np.array([1, np.nan]), 1, "nan is no unsigned64"),
        ("octetDeltaCount", np.array([2.0**64]), 0, "it is out of range"),
        ("octetDeltaCount", [True], 0, "True is no unsigned64"),
        ("octetDeltaCount", np.array([True]), 0, "True is no unsigned64"),
        ("octetDeltaCount", [b"\1"], 0, "is no unsigned64"),
        ("octetDeltaCount", ["one"], 0, "'one' is no unsigned64"),
        ("octetDeltaCount", [[1]], 0, "[1] is no unsigned64"),
        ("mibObjectValueInteger", [2**31], 0, "2147483648 is no signed32: it is out of range"),
        ("absoluteError", ["x"], 0, "'x' is no float64"),
        ("absoluteError", ["1e999"], 0, "'1e999' is no float64: it is out of range"),
        ("absoluteError", [10**400], 0, "is no float64: it is out of range"),
        ("absoluteError", [True], 0, "True is no float64"),
        ("dataRecordsReliability", [1, 2], 1, "2 is no boolean; wanted is True or False, or 1 or 0"),
        ("dataRecordsReliability", ["yes"], 0, "'yes' is no boolean"),
        ("interfaceName", ["a", 7], 1, "7 is no string"),
        ("interfaceName", ["\ud800"], 0, "it has no UTF-8 form"),
        ("interfaceName", [b"\xff"], 0, "it has no UTF-8 form"),
        ("interfaceName", np.array([b"\xff"], "V1"), 0, "it is not UTF-8"),
        ("paddingOctets", ["xyz"], 0, "'xyz' is no octetArray; wanted is bytes, or text of hexadecimal digits"),
        ("paddingOctets", [7], 0, "7 is no octetArray"),
        ("sourceIPv4Address", ["192.0.2.256"], 0, "'192.0.2.256' is no ipv4Address; wanted is text such as"),
        ("sourceIPv4Address", ["2001:db8::1"], 0, "is no ipv4Address"),
        ("sourceIPv4Address", [IPv6Address(1)], 0, "is no ipv4Address"),
        ("sourceIPv4Address", [b"\1\2\3"], 0, "is no ipv4Address"),
        ("sourceIPv4Address", [2**32], 0, "4294967296 is no ipv4Address: it is out of range"),
        ("sourceIPv4Address", [1.0], 0, "1.0 is no ipv4Address"),
        ("sourceIPv6Address", ["192.0.2.1"], 0, "'192.0.2.1' is no ipv6Address"),
        ("sourceIPv6Address", [b"\1"], 0, "is no ipv6Address"),
        ("sourceIPv6Address", [IPv6Address("fe80::1%eth0")], 0, "an address on the wire has no zone"),
        ("sourceIPv4Address", [np.float32(1)], 0, "is no ipv4Address"),
        ("absoluteError", [np.timedelta64(5, "s")], 0, "is no float64"),
        ("absoluteError", [np.datetime64("2024-01-01")], 0, "is no float64"),
        ("sourceIPv6Address", [1], 0, "1 is no ipv6Address"),
        ("sourceMacAddress", ["00:00:5e:00:53"], 0, "is no macAddress; wanted is 6 octets, or text"),
        ("ipv6ExtensionHeadersFull", [2**256], 0, "is no unsigned256: it is out of range"),
        ("flowStartMilliseconds", ["yesterday"], 0, "'yesterday' is no dateTimeMilliseconds; wanted is a datetime"),
        ("flowStartMilliseconds", ["2024-13-01"], 0, "text such as '2026-01-01T10:00:00Z', or a whole number"),
        ("flowStartMilliseconds", ["2024-01-01 25:00"], 0, "is no dateTimeMilliseconds"),
        ("flowStartMilliseconds", ["2024-01-01T"], 0, "is no dateTimeMilliseconds"),
        ("flowStartMilliseconds", ["2024-01-01Z"], 0, "is no dateTimeMilliseconds"),
        ("dataRecordsReliability", [True, "2"], 1, "'2' is no boolean"),
        ("dataRecordsReliability", [0.5], 0, "0.5 is no boolean"),
        ("dataRecordsReliability", np.array([0, 1, -1]), 2, "-1 is no boolean"),
        ("flowStartMilliseconds", [1.5], 0, "1.5 is no dateTimeMilliseconds"),
        ("flowStartMilliseconds", [np.datetime64("NaT")], 0, "is no dateTimeMilliseconds"),
        ("flowStartMilliseconds", np.array([2**63], "u8"), 0, "it is out of range"),
        ("flowStartMilliseconds", np.array([-(2**63)]), 0, "it is out of range"),
        ("flowStartNanoseconds", np.array([2**62], "M8[s]"), 0, "it is out of range"),
        ("flowStartNanoseconds", [datetime(2263, 1, 1)], 0, "it is out of range"),
        ("flowStartNanoseconds", [date(1600, 1, 1)], 0, "it is out of range"),
        ("octetDeltaCount", [Decimal("sNaN")], 0, "is no unsigned64"),
        ("flowDurationMilliseconds", np.array([-1], "m8[s]"), 0, "it is out of range"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_value_is_refused_with_its_row(name: str, given: Any, row: int, shown: str) -> None:
    with pytest.raises(EncodeError) as refused:
        column(name, given)
    assert (refused.value.column, refused.value.row) == (name, row)
    assert f"column {name!r}, row {row}: " in str(refused.value)
    assert shown in str(refused.value)


def test_what_stands_under_a_mask_is_not_looked_at() -> None:
    given = np.ma.MaskedArray([6, 999], [False, True])
    assert column("protocolIdentifier", given).tolist() == [6, None]
    assert column("octetDeltaCount", np.ma.MaskedArray([1.0, np.nan], [False, True])).tolist() == [1, None]
    assert column("interfaceName", np.ma.MaskedArray(["a", "b"], [True, False])).tolist() == [None, "b"]


def test_a_float32_holds_what_is_nearest_but_no_more_than_its_greatest() -> None:
    element = "mine(35566/9)<float32>"
    assert column(element, [0.1]).tolist() == [float(np.float32(0.1))]
    for given in ([1e39], np.array([1e39]), ["1e39"]):
        with pytest.raises(EncodeError, match="it is out of range"):
            column(element, given)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(EncodeError) as refused:
        column("octetDeltaCount", ["x" * 10_000])
    assert len(str(refused.value)) < 300


def test_types_of_a_list_are_refused_where_another_list_is_wanted() -> None:
    lists = column("basicList", [[1]], contents={"basicList": "octetDeltaCount"})
    with pytest.raises(EncodeError, match="values of type basicList where subTemplateList is wanted"):
        column("subTemplateList", lists)


def test_every_type_has_words_for_what_is_wanted() -> None:
    from headwater.batch.incoming_target import Target

    for type in DataType:
        assert "wanted is" in str(Target("x", type, IANA).refusal(0, "?"))


def test_more_octets_than_a_column_can_count_are_refused() -> None:
    given = np.broadcast_to(np.zeros((), "V1048576"), 2048)
    with pytest.raises(EncodeError, match="2147483648 octets or items at once; hand over fewer rows at a time"):
        column("paddingOctets", given)


def test_times_of_odd_units_are_scaled_exactly() -> None:
    given = np.array([2, -2], "M8[1500us]")
    assert column("flowStartMilliseconds", given).view(np.int64).tolist() == [3, -3]
    with pytest.raises(EncodeError, match="it is out of range"):
        column("flowStartNanoseconds", np.array([2**62], "M8[1500us]"))


def test_columns_of_a_batch_are_taken_as_they_are() -> None:
    text = column("interfaceName", ["192.0.2.1", None])
    assert column("interfaceDescription", text).tolist() == ["192.0.2.1", None]
    assert column("sourceIPv4Address", text).tolist() == [0xC0000201, None]
    octets = column("paddingOctets", [MAC, MAC])
    assert column("sourceMacAddress", octets).tolist() == [MAC, MAC]
    assert column("interfaceName", column("paddingOctets", [b"a"])).tolist() == ["a"]


def test_arrays_of_other_libraries_are_taken() -> None:
    class Tensor:
        def __len__(self) -> int:
            return 2

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.array([1, 2], "i4")

    assert column("octetDeltaCount", Tensor()).tolist() == [1, 2]
    assert column("octetDeltaCount", {3: "c", 4: "d"}.keys()).tolist() == [3, 4]


def test_masked_values_among_objects_are_null() -> None:
    assert column("interfaceName", ["a", np.ma.masked]).tolist() == ["a", None]
    assert column("absoluteError", [1.5, np.ma.masked]).tolist() == [1.5, None]
    assert column("octetDeltaCount", [1, np.ma.masked]).tolist() == [1, None]
