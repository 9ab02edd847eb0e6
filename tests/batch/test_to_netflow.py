"""Flows of any kind as NetFlow v5 and v9, and what of them could not be told."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Batch, Decoder
from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of
from headwater.batch.to_netflow import AS_TRANS, Converted, NetflowReport, to_netflow5, to_netflow9
from headwater.errors import EncodeError
from headwater.session.exporting import ExportSession
from headwater.wire.dialect import NETFLOW5, NETFLOW9
from tests import build as b
from tests.batch.maker import Maker
from tests.batch.source import batches, field, message, one
from tests.oracle import listen

NOW = b.EXPORT_TIME
BOOTED = NOW - 1000
FIRST_MS = NOW * 1000 - 20_000
LAST_MS = NOW * 1000 - 5_000
FLOW = {
    "sourceIPv4Address": "192.0.2.1",
    "destinationIPv4Address": "198.51.100.2",
    "sourceTransportPort": 443,
    "destinationTransportPort": 50_000,
    "protocolIdentifier": 6,
    "packetDeltaCount": 10,
    "octetDeltaCount": 5_000,
    "flowStartMilliseconds": FIRST_MS,
    "flowEndMilliseconds": LAST_MS,
}
V5 = {
    **{name: FLOW[name] for name in list(FLOW)[:7]},
    "ipNextHopIPv4Address": "0.0.0.0",
    "ingressInterface": 0,
    "egressInterface": 0,
    "flowStartSysUpTime": 980_000,
    "flowEndSysUpTime": 995_000,
    "tcpControlBits": 0,
    "ipClassOfService": 0,
    "bgpSourceAsNumber": 0,
    "bgpDestinationAsNumber": 0,
    "sourceIPv4PrefixLength": 0,
    "destinationIPv4PrefixLength": 0,
}


def rows(parts: list[Converted], dialect: Any = NETFLOW9) -> list[dict[str, Any]]:
    """What a collector reads of the parts, text without what fills it up."""
    session = ExportSession("udp", dialect=dialect, booted=BOOTED, mtu=1500)
    sent = []
    for part in parts:
        template = session.template(part.template)
        encoded = Encoder().encode(template, part.columns, part.count, session.room(template))
        sent += [bytes(m) for outgoing in session.send(encoded, now=NOW) for m in outgoing.messages()]
    told = listen(*sent)
    assert (told.faults, told.gaps) == ([], [])
    found = [row for sets in told.sets for row in Decoder().decode(sets).rows()]
    return [{name: v.rstrip("\0") if isinstance(v, str) else v for name, v in row.items()} for row in found]


def v5(*flows: dict[str, Any], report: NetflowReport | None = None, **options: Any) -> list[dict[str, Any]]:
    return rows(to_netflow5(columns_of(list(flows)), booted=BOOTED, report=report, **options), NETFLOW5)


def v9(*flows: dict[str, Any], report: NetflowReport | None = None, **options: Any) -> list[dict[str, Any]]:
    return rows(to_netflow9(columns_of(list(flows)), booted=BOOTED, report=report, **options))


def biflow() -> Batch:
    fields = [
        field("sourceIPv4Address"), field("destinationIPv4Address"), field("octetDeltaCount"),
        (1, 8, b.REVERSE_PEN), field("flowStartMilliseconds"), field("flowEndMilliseconds"),
    ]  # fmt: skip
    ends = b.ipv4("192.0.2.1") + b.ipv4("198.51.100.2")
    times = b.uint(FIRST_MS, 8) + b.uint(LAST_MS, 8)
    return one(message(fields, *(ends + b.uint(7, 8) + b.uint(back, 8) + times for back in (5, 0))))


# --- NetFlow v5 ------------------------------------------------------------------------------------------------------


def test_a_flow_becomes_a_record_of_netflow5_with_uptimes() -> None:
    report = NetflowReport()
    assert v5(FLOW, report=report) == [V5]
    assert report.is_lossless
    assert str(report) == "1 of 1 records written"


@pytest.mark.parametrize(
    ("unit", "ticks"), [("Seconds", 1), ("Milliseconds", 10**3), ("Microseconds", 10**6), ("Nanoseconds", 10**9)]
)
def test_times_of_any_unit_become_uptimes(unit: str, ticks: int) -> None:
    flow = {name: value for name, value in FLOW.items() if not name.startswith("flow")}
    start, end = (np.array([ms * ticks // 1000]) for ms in (FIRST_MS, LAST_MS))
    columns = {name: [value] for name, value in flow.items()} | {f"flowStart{unit}": start, f"flowEnd{unit}": end}
    assert rows(to_netflow5(columns_of(columns), booted=BOOTED), NETFLOW5) == [V5]


def test_parts_of_milliseconds_are_cut_and_told() -> None:
    report = NetflowReport()
    flow = {k: v for k, v in FLOW.items() if not k.startswith("flow")}
    flow |= {"flowStartMicroseconds": FIRST_MS * 1000 + 1, "flowEndMicroseconds": LAST_MS * 1000}
    assert v5(flow, report=report) == [V5]
    assert report.values == {("flowStart", "cut to milliseconds"): 1}


def test_one_end_and_a_duration_tell_both() -> None:
    flow = {k: v for k, v in FLOW.items() if k != "flowEndMilliseconds"} | {"flowDurationMilliseconds": 15_000}
    assert v5(flow, report=(report := NetflowReport())) == [V5]
    assert list(report.columns) == [("flowDurationMilliseconds", "NetFlow v5 has no field for it")]


def test_a_flow_with_one_end_is_a_moment_and_one_without_is_at_the_boot() -> None:
    report = NetflowReport()
    without_end = {k: v for k, v in FLOW.items() if k != "flowEndMilliseconds"}
    without = {k: v for k, v in without_end.items() if k != "flowStartMilliseconds"}
    told = v5(without_end, without, report=report)
    assert [(row["flowStartSysUpTime"], row["flowEndSysUpTime"]) for row in told] == [(980_000, 980_000), (0, 0)]
    assert report.values == {
        ("flowEnd", "unknown, the other end stands for it"): 1,
        ("flowStart and flowEnd", "unknown, told as the boot"): 1,
    }


def test_uptimes_beyond_49_days_begin_again_as_in_any_router() -> None:
    parts = to_netflow5(columns_of([FLOW]), booted=NOW - 5_000_000)
    (first,) = parts[0].columns[7].tolist()
    assert first == (5_000_000_000 - 20_000) % 2**32


def test_a_flow_from_before_the_boot_is_an_error_or_moved_to_it() -> None:
    early = FLOW | {"flowStartMilliseconds": BOOTED * 1000 - 1}
    with pytest.raises(EncodeError, match="column 'flowStart', row 1: 1 ms before the boot") as told:
        v5(FLOW, early)
    assert told.value.row == 1
    report = NetflowReport()
    assert v5(early, overflow="saturate", report=report)[0]["flowStartSysUpTime"] == 0
    assert report.values == {("flowStart", "before the boot, moved to it"): 1}


def test_a_counter_beyond_32_bits_is_an_error_or_the_most() -> None:
    large = FLOW | {"octetDeltaCount": 1 << 32}
    with pytest.raises(EncodeError, match=r"'octetDeltaCount', row 1: 4294967296 does not fit NetFlow v5"):
        v5(FLOW, large)
    report = NetflowReport()
    (row,) = v5(large, overflow="saturate", report=report)
    assert row["octetDeltaCount"] == 0xFFFF_FFFF
    assert list(report.lines()) == [
        "1 of 1 records written",
        "1 values of octetDeltaCount changed: above 4294967295, told as that",
    ]


def test_what_16_bits_do_not_hold_has_a_value_that_says_so() -> None:
    report = NetflowReport()
    wide = {"bgpSourceAsNumber": 4_200_000_001, "bgpDestinationAsNumber": 64_500, "egressInterface": 70_000}
    (row,) = v5(FLOW | wide | {"ingressInterface": 65_535, "tcpControlBits": 0x11B}, report=report)
    assert (row["bgpSourceAsNumber"], row["bgpDestinationAsNumber"]) == (AS_TRANS, 64_500)
    assert (row["ingressInterface"], row["egressInterface"], row["tcpControlBits"]) == (65_535, 0, 0x1B)
    assert set(report.values) == {
        ("bgpSourceAsNumber", "an AS number of 4 octets, told as AS_TRANS (23456)"),
        ("egressInterface", "above 65535, told as 0 (unknown)"),
        ("tcpControlBits", "only the 8 low bits are told"),
    }


def test_flows_of_ipv6_are_left_out_and_counted() -> None:
    report = NetflowReport()
    ends6 = {"sourceIPv6Address": "2001:db8::1", "destinationIPv6Address": "2001:db8::2"}
    six = {k: v for k, v in FLOW.items() if "IPv4" not in k} | ends6
    layer2 = {k: v for k, v in FLOW.items() if "IPv4" not in k}
    both = FLOW | {"sourceIPv6Address": "::", "destinationIPv6Address": "::"}
    zero4 = ends6 | FLOW | {"sourceIPv4Address": "0.0.0.0", "destinationIPv4Address": "0.0.0.0"}
    assert len(v5(FLOW, six, both, layer2, zero4, FLOW | {"ipVersion": 6}, report=report)) == 2
    assert report.records == {
        "IPv6, which NetFlow v5 does not have": 3,
        "no IPv4 address, by which NetFlow v5 knows a flow": 1,
    }
    assert (report.given, report.written) == (6, 2)


def test_the_unspecified_address_is_one_if_there_is_no_other() -> None:
    zero = FLOW | {"sourceIPv4Address": "0.0.0.0", "destinationIPv4Address": "0.0.0.0"}
    assert v5(zero)[0]["sourceIPv4Address"] == "0.0.0.0"
    assert v5(zero | {"ipVersion": 4})[0]["sourceIPv4Address"] == "0.0.0.0"


def test_rows_in_errors_are_those_that_were_given() -> None:
    six = {k: v for k, v in FLOW.items() if "IPv4" not in k} | {"sourceIPv6Address": "2001:db8::1"}
    with pytest.raises(EncodeError, match="row 2: 4294967296 does not fit"):
        v5(six, FLOW, FLOW | {"packetDeltaCount": 1 << 32})


def test_other_elements_of_the_same_meaning_take_the_fields() -> None:
    flow = {k: v for k, v in FLOW.items() if "Port" not in k and "Delta" not in k}
    flow |= {
        "tcpSourcePort": 443, "tcpDestinationPort": 50_000, "packetTotalCount": 10, "octetTotalCount": 5_000,
        "bgpNextHopIPv4Address": "203.0.113.9",
    }  # fmt: skip
    report = NetflowReport()
    assert v5(flow, report=report) == [V5 | {"ipNextHopIPv4Address": "203.0.113.9"}]
    assert report.is_lossless


def test_a_second_choice_that_says_something_else_is_told() -> None:
    report = NetflowReport()
    assert v5(FLOW | {"octetTotalCount": 5_000}, FLOW | {"octetTotalCount": 9_000}, report=report) == [V5, V5]
    assert report.columns == {("octetTotalCount", "another column takes its field"): 1}


def test_icmp_type_and_code_are_in_the_destination_port() -> None:
    icmp = {k: v for k, v in FLOW.items() if "Port" not in k} | {"protocolIdentifier": 1, "icmpTypeCodeIPv4": 0x0301}
    assert v5(icmp)[0]["destinationTransportPort"] == 0x0301
    zero = icmp | {"sourceTransportPort": 0, "destinationTransportPort": 0}
    assert v5(zero)[0]["destinationTransportPort"] == 0x0301


def test_a_flow_without_protocol_ports_or_times_is_one_too() -> None:
    report = NetflowReport()
    (row,) = v5({"sourceIPv4Address": "192.0.2.1", "icmpTypeCodeIPv4": 5}, report=report)
    assert (row["protocolIdentifier"], row["destinationTransportPort"], row["flowStartSysUpTime"]) == (0, 5, 0)
    assert report.values == {("flowStart and flowEnd", "unknown, told as the boot"): 1}


def test_what_netflow5_has_no_field_for_is_told_by_name() -> None:
    report = NetflowReport()
    more = {"interfaceName": "eth0", "vlanId": 5, "ipVersion": 4, "flowEndReason": None}
    assert v5(FLOW | more, FLOW, report=report) == [V5, V5]
    assert report.columns == {
        ("interfaceName", "NetFlow v5 has no field for it"): 1,
        ("vlanId", "NetFlow v5 has no field for it"): 1,
    }


def test_the_directions_of_a_biflow_are_records_of_their_own() -> None:
    report = NetflowReport()
    told = rows(to_netflow5(biflow(), booted=BOOTED, report=report), NETFLOW5)
    assert [(row["sourceIPv4Address"], row["octetDeltaCount"]) for row in told] == [
        ("192.0.2.1", 7),
        ("192.0.2.1", 7),
        ("198.51.100.2", 5),
    ]
    assert report.is_lossless


def test_biflows_that_were_handed_over_as_rows_are_split_too() -> None:
    told = v5(FLOW | {"reverseOctetDeltaCount": 5}, FLOW | {"reverseOctetDeltaCount": 0})
    assert [row["octetDeltaCount"] for row in told] == [5_000, 5_000, 5]


def test_uptimes_of_another_device_need_what_its_headers_said() -> None:
    fields = [field("sourceIPv4Address"), (22, 4), (21, 4)]
    record = b.ipv4("192.0.2.1") + b.uint(500_000) + b.uint(515_000)
    octets = b.netflow9(b.any_set(0, b.template(256, *fields)), b.data_set(256, record), uptime_ms=520_000)
    batch = one(octets, transport="udp")
    with pytest.raises(EncodeError, match=r"read it with derived=.'flowStart', 'flowEnd'."):
        to_netflow5(batch, booted=BOOTED)
    derived = one(octets, transport="udp", decoder=Decoder(derived=("flowStart", "flowEnd")))
    for told in (
        rows(to_netflow5(derived, booted=BOOTED), NETFLOW5),
        rows(to_netflow9(derived, booted=BOOTED)),
    ):
        assert (told[0]["flowStartSysUpTime"], told[0]["flowEndSysUpTime"]) == (980_000, 995_000)


def test_uptimes_with_the_time_of_the_boot_beside_them_are_times() -> None:
    flow = {k: v for k, v in FLOW.items() if not k.startswith("flow")}
    flow |= {"flowStartSysUpTime": 5, "flowEndSysUpTime": 15_005, "systemInitTimeMilliseconds": FIRST_MS - 5}
    assert v5(flow) == [V5]
    told = v9(flow, report=(report := NetflowReport()))
    assert (told[0]["flowStartSysUpTime"], told[0]["systemInitTimeMilliseconds"]) == (980_000, BOOTED * 1000)
    assert report.values == {("systemInitTimeMilliseconds", "the boot that the header tells stands for it"): 1}


def test_columns_of_a_selection_are_converted_as_well() -> None:
    batch = one(*b.flows(20), decoder=Decoder(["octetDeltaCount", "sourceIPv4Address", "exportTime"]))
    report = NetflowReport()
    (part,) = to_netflow5(batch, booted=BOOTED, report=report, overflow="saturate")
    assert part.count == 20
    assert report.columns == {("exportTime", "no Information Element"): 20}


def test_options_cannot_go_into_netflow5() -> None:
    options = columns_of({"samplingInterval{scope}": [100], "samplingAlgorithm": [1]})
    with pytest.raises(EncodeError, match=r"options records .about samplingInterval. cannot go into NetFlow v5"):
        to_netflow5(options, booted=BOOTED)


def test_no_record_is_no_part() -> None:
    assert to_netflow5(columns_of([FLOW | {"ipVersion": 6}]), booted=BOOTED) == []
    assert to_netflow9(columns_of({"octetDeltaCount": np.empty(0, "u8")}), booted=BOOTED) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [({"booted": -1}, "booted is -1"), ({"booted": BOOTED, "overflow": "no"}, "overflow='no'")],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], match: str) -> None:
    for convert in (to_netflow5, to_netflow9):
        with pytest.raises(EncodeError, match=match):
            convert(columns_of([FLOW]), **options)
    with pytest.raises(EncodeError, match="times='no'"):
        to_netflow9(columns_of([FLOW]), booted=BOOTED, times="no")  # type: ignore[arg-type]


# --- NetFlow v9 ------------------------------------------------------------------------------------------------------


def test_a_flow_keeps_all_its_fields_in_netflow9() -> None:
    report = NetflowReport()
    flow = FLOW | {"sourceIPv6Address": "2001:db8::1", "bgpSourceAsNumber": 4_200_000_001, "octetDeltaCount": 1 << 40}
    expected = {k: v for k, v in flow.items() if not k.endswith("Milliseconds")}
    assert v9(flow, report=report) == [expected | {"flowStartSysUpTime": 980_000, "flowEndSysUpTime": 995_000}]
    assert report.is_lossless


def test_absolute_times_can_stay_absolute() -> None:
    (row,) = v9(FLOW, times="absolute")
    assert row == FLOW


def test_flows_that_lack_values_have_templates_of_their_own() -> None:
    six = {k: v for k, v in FLOW.items() if "IPv4" not in k} | {"sourceIPv6Address": "2001:db8::1"}
    parts = to_netflow9(columns_of([FLOW, six, FLOW]), booted=BOOTED)
    assert [part.count for part in parts] == [2, 1]
    assert [row.get("sourceIPv6Address") for row in rows(parts)] == [None, None, "2001:db8::1"]


def test_a_flow_without_times_has_no_field_for_them() -> None:
    told = v9(FLOW, {k: v for k, v in FLOW.items() if not k.startswith("flow")})
    assert ["flowEndSysUpTime" in row for row in told] == [True, False]


def test_text_gets_a_fixed_length_and_is_cut_between_characters() -> None:
    report = NetflowReport()
    flows = [FLOW | {"interfaceName": name} for name in ("eth0", "bücher", "", "a" * 40)]
    assert [row["interfaceName"] for row in v9(*flows)] == ["eth0", "bücher", "", "a" * 32]
    told = v9(*flows, text_octets=2, report=report)
    assert [row["interfaceName"] for row in told] == ["et", "b", "", "aa"]
    assert report.values == {("interfaceName", "cut to 2 octets"): 3}
    assert [row["interfaceName"] for row in v9(*flows, text_octets={"interfaceName": 5})][:2] == ["eth0", "büch"]
    assert v9(*flows, text_octets=0, report=(none := NetflowReport()))[0].keys().isdisjoint({"interfaceName"})
    assert sum(none.columns.values()) == 4


def test_text_that_is_not_utf8_is_left_out_and_told() -> None:
    report = NetflowReport()
    batch = one(message([field("interfaceName", 4), (1, 8)], b"\xff\xff\xff\xff" + b.uint(1, 8)))
    assert rows(to_netflow9(batch, booted=BOOTED, report=report)) == [{"octetDeltaCount": 1}]
    assert report.columns == {("interfaceName", "text that is not UTF-8"): 1}


def test_illegal_lengths_and_element_0_are_left_out_and_told() -> None:
    report = NetflowReport()
    batch = one(message([(8, 2), (0, 4), (1, 8)], bytes(14)))
    assert rows(to_netflow9(batch, booted=BOOTED, report=report)) == [{"octetDeltaCount": 0}]
    assert report.columns == {
        ("sourceIPv4Address", "octets in a length that its type cannot have"): 1,
        ("_0_0", "element 0 is reserved"): 1,
    }


def test_uptimes_that_nobody_can_explain_are_told() -> None:
    report = NetflowReport()
    given = one(message([(8, 4), (22, 4)], b.ipv4("192.0.2.1") + b.uint(5)), decoder=Decoder(derived=["flowStart"]))
    (told,) = rows(to_netflow5(given, booted=BOOTED, report=report), NETFLOW5)
    assert told["flowStartSysUpTime"] == 0
    assert report.columns == {("flowStartSysUpTime", "nobody has told when its exporter was booted"): 1}


def test_octets_get_a_length_if_all_have_the_same_or_by_name() -> None:
    same = [FLOW | {"applicationId": octets} for octets in (b"\3\0\0\x50", b"\3\0\1\xbb")]
    assert [row["applicationId"] for row in v9(*same)] == [b"\3\0\0\x50", b"\3\0\1\xbb"]
    mixed = [*same, FLOW | {"applicationId": b"\3\0"}]
    report = NetflowReport()
    assert all("applicationId" not in row for row in v9(*mixed, report=report))
    assert list(report.lines())[1:] == [
        "applicationId left out of 3 records: variable length, which NetFlow v9 does not have; "
        "text_octets can give it one"
    ]
    assert v9(*mixed, text_octets={"applicationId": 4})[2]["applicationId"] == b"\3\0\0\0"


def test_lists_and_elements_of_enterprises_are_left_out_and_told() -> None:
    report = NetflowReport()
    data = {
        "octetDeltaCount": [1, 2],
        "mine(32473/5)<unsigned32>": [3, 4],
        "basicList": [[1], [2]],
    }
    incoming = columns_of(data, contents={"basicList": "sourceTransportPort"})
    assert rows(to_netflow9(incoming, booted=BOOTED, report=report)) == [{"octetDeltaCount": 1}, {"octetDeltaCount": 2}]
    assert [name for name, _ in report.columns] == ["mine", "basicList"]
    assert "has no field type in NetFlow v9" in str(report)
    assert "a list, which NetFlow v9 does not have" in str(report)


def test_variable_length_of_other_types_is_no_length() -> None:
    report = NetflowReport()
    octets = b.netflow9(
        b.any_set(0, b.template(256, (1, b.VARIABLE), (2, 4))), b.data_set(256, b.var(b"\5") + bytes(4))
    )
    batch = one(octets, transport="udp")
    assert rows(to_netflow9(batch, booted=BOOTED, report=report)) == [{"packetDeltaCount": 0}]
    assert [name for name, _ in report.columns] == ["octetDeltaCount"]


def test_elements_that_vendors_have_a_type_for_go_on() -> None:
    (part,) = to_netflow9(columns_of({"_9_12235[4]": [b"abcd"], "octetDeltaCount": [1]}), booted=BOOTED)
    assert [of.element.pen for of in part.template.fields] == [9, 0]
    assert len(rows([part])) == 1


def test_records_of_which_nothing_can_be_said_are_left_out() -> None:
    report = NetflowReport()
    assert v9({"mine(32473/5)<unsigned32>": 1}, report=report) == []
    assert report.records == {"no value that NetFlow v9 can say": 1}
    some = [{"mine(32473/5)<unsigned32>": 1}, {"octetDeltaCount": 1}]
    assert v9(*some, report=(report := NetflowReport())) == [{"octetDeltaCount": 1}]
    assert (report.given, report.written) == (2, 1)


def test_integers_get_lengths_that_collectors_of_netflow_read() -> None:
    data = {"octetDeltaCount[5]": [1], "packetDeltaCount[3]": [2], "ingressInterface[2]": [3]}
    (part,) = to_netflow9(columns_of(data), booted=BOOTED)
    assert [of.length for of in part.template.fields] == [8, 4, 2]


def test_biflows_become_two_templates_or_one() -> None:
    told = rows(to_netflow9(biflow(), booted=BOOTED))
    assert [(row["sourceIPv4Address"], row["octetDeltaCount"]) for row in told] == [
        ("192.0.2.1", 7),
        ("192.0.2.1", 7),
        ("198.51.100.2", 5),
    ]


def test_times_that_only_a_decoder_has_worked_out_are_told_as_well() -> None:
    names = ["octetDeltaCount", "sourceIPv4Address", "flowStart", "flowEnd", "exportTime"]
    batch = one(*b.flows(3), decoder=Decoder(names))
    report = NetflowReport()
    found = rows(to_netflow9(batch, booted=0.0, times="absolute", report=report))
    ends: Any = batch["flowEnd"]
    assert [row["flowEndMilliseconds"] for row in found] == [end // 10**6 for end in ends.tolist()]
    assert report.columns == {("exportTime", "no Information Element"): 3}


def test_a_boot_that_is_told_stays_where_times_are_absolute() -> None:
    (row,) = v9(FLOW | {"systemInitTimeMilliseconds": 5}, times="absolute")
    assert row["systemInitTimeMilliseconds"] == 5


@settings(max_examples=100)
@given(st.integers(0, 2**63))
def test_whatever_comes_is_written_or_told(seed: int) -> None:
    for batch in batches(Maker(random.Random(seed)).octets(), decoder=Decoder(derived=("flowStart", "flowEnd"))):
        for convert, dialect in ((to_netflow5, NETFLOW5), (to_netflow9, NETFLOW9)):
            report = NetflowReport()
            found = rows(convert(batch, booted=0.0, overflow="saturate", report=report), dialect)
            assert report.given == report.written + report.records.total() >= batch.num_rows
            assert report.written == len(found)
            assert len(list(report.lines())) == 1 + len(report.records) + len(report.columns) + len(report.values)


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("observationDomainId", "v9System"), ("exportingProcessId", "v9System"), ("ingressInterface", "v9Interface"),
        ("lineCardId", "v9LineCard"), ("meteringProcessId", "v9Cache"), ("templateId", "v9Template"),
    ],
)  # fmt: skip
def test_scopes_of_ipfix_have_scope_types(name: str, scope: str) -> None:
    report = NetflowReport()
    incoming = columns_of({f"{name}{{scope}}": [7], "interfaceName": ["eth0"]})
    assert rows(to_netflow9(incoming, booted=BOOTED, report=report)) == [{scope: 7, "interfaceName": "eth0"}]
    assert report.is_lossless


def test_what_is_no_scope_of_netflow9_is_a_field_about_the_system() -> None:
    report = NetflowReport()
    incoming = columns_of({"egressInterface{scope}": [7, 8], "interfaceName": ["a", "b"]})
    told = rows(to_netflow9(incoming, booted=BOOTED, report=report))
    assert told[0] == {"v9System": 0, "egressInterface": 7, "interfaceName": "a"}
    assert report.values == {("egressInterface", "no scope of NetFlow v9, told as a field"): 2}


@pytest.mark.parametrize(
    ("selector", "mode", "rate"),
    [
        ({"selectorAlgorithm": 1, "samplingPacketInterval": 1, "samplingPacketSpace": 99}, 1, 100),
        ({"selectorAlgorithm": 3, "samplingSize": 2, "samplingPopulation": 100}, 2, 50),
        ({"selectorAlgorithm": 4, "samplingProbability": 0.125}, 2, 8),
    ],
)
def test_selectors_become_samplers(selector: dict[str, Any], mode: int, rate: int) -> None:
    options = columns_of({"selectorId{scope}": [300]} | {name: [value] for name, value in selector.items()})
    (told,) = rows(to_netflow9(options, booted=BOOTED))
    assert told == {"v9System": 0, "samplerId": 300, "samplerMode": mode, "samplerRandomInterval": rate}
    assert v9(FLOW | {"selectorId": 300})[0]["samplerId"] == 300


@pytest.mark.parametrize(
    "selector",
    [
        {"selectorAlgorithm": 1, "samplingPacketInterval": 2, "samplingPacketSpace": 98},
        {"selectorAlgorithm": 3, "samplingSize": 2, "samplingPopulation": 5},
        {"selectorAlgorithm": 5, "samplingPacketInterval": 1},
        {"samplingPacketInterval": 1},
    ],
)
def test_selectors_that_samplers_cannot_be_keep_their_elements(selector: dict[str, Any]) -> None:
    options = columns_of({"selectorId{scope}": [3]} | {name: [value] for name, value in selector.items()})
    assert rows(to_netflow9(options, booted=BOOTED)) == [{"v9System": 0, "samplerId": 3} | selector]


def test_selectors_with_more_than_32_bits_stay_selectors() -> None:
    assert v9(FLOW | {"selectorId": 1 << 32})[0]["selectorId"] == 1 << 32
    assert v9(FLOW | {"selectorId": 3, "samplerId": 4})[0]["selectorId"] == 3


def test_flows_from_before_the_boot_keep_their_times_in_netflow9() -> None:
    early = FLOW | {"flowStartMilliseconds": BOOTED * 1000 - 1}
    report = NetflowReport()
    (part,) = to_netflow9(columns_of([early]), booted=BOOTED, overflow="saturate", report=report)
    row = dict(zip(part.template.column_names, (column.tolist()[0] for column in part.columns), strict=True))
    assert "flowStartSysUpTime" not in row
    start = np.asarray(part.columns[part.template.column_names.index("flowStartMilliseconds")])
    assert start.view("i8").tolist() == [BOOTED * 1000 - 1]
    assert report.is_lossless
    with pytest.raises(EncodeError, match="before the boot"):
        to_netflow9(columns_of([early]), booted=BOOTED)


def test_a_second_value_does_not_take_the_place_of_a_first_that_is_not_there() -> None:
    report = NetflowReport()
    rows = [{"vlanId": 1, "vlanId#2": 2, "octetDeltaCount": 3}, {"vlanId#2": 4, "octetDeltaCount": 5}]
    parts = to_netflow9(columns_of(rows), booted=BOOTED, report=report)
    found = [
        dict(zip(part.template.column_names, row, strict=True))
        for part in parts
        for row in zip(*(column.tolist() for column in part.columns), strict=True)
    ]
    assert found == [{"vlanId": 1, "vlanId#2": 2, "octetDeltaCount": 3}, {"octetDeltaCount": 5}]
    assert report.values == {("vlanId", "left out: an earlier one has no value"): 1}
