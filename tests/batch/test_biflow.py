"""Biflows as two uniflows: what changes sides, what stays, and what is not known of the reverse direction."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Batch, Decoder
from headwater.batch.biflow import FORWARD_ONLY, PAIRS, SWAPPED
from headwater.batch.lists import Lists, Values
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Strings
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.session import DataSets, Session
from tests import build
from tests.batch.made import Made, data_sets
from tests.batch.maker import Maker
from tests.pcap import read_pcap

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "data"
AT = 1_700_000_000
TIMES = ("flowStart", "flowEnd", "flowDuration", "timeSource")


def made(
    *rows: dict[str, int], select: list[str] | None = None, derived: tuple[str, ...] = (), version: int = 10
) -> Batch:
    """Records with these fields."""
    elements = [registries.IANA.named(name) for name in rows[0]]
    template = Template(256, tuple([Field(element, element.type.width) for element in elements]))
    records = [
        b"".join(build.uint(value, field.length) for field, value in zip(template.fields, row.values(), strict=True))
        for row in rows
    ]
    return Decoder(select, derived=derived).decode(data_sets(template, Made(tuple(records), AT, version=version)))


def total(column: Values) -> int:
    assert isinstance(column, np.ndarray)
    return int(column.sum())


def split(*rows: dict[str, int], keep_empty: bool = False, **options: Any) -> tuple[list[Any], list[Any]]:
    forward, reverse = made(*rows, **options).split_biflow(keep_empty=keep_empty)
    return list(forward.rows(addresses="raw")), list(reverse.rows(addresses="raw"))


COUNTS = {"octetDeltaCount": 10, "packetDeltaCount": 1, "reverseOctetDeltaCount": 20, "reversePacketDeltaCount": 2}


def test_reverse_columns_become_forward_columns_of_the_reverse_uniflow() -> None:
    batch = made({"sourceIPv4Address": 1, "destinationIPv4Address": 2, "protocolIdentifier": 6} | COUNTS)
    assert batch.is_biflow
    forward, reverse = batch.split_biflow()
    assert not forward.is_biflow
    assert not reverse.is_biflow
    assert list(forward.rows(addresses="raw")) == [
        {"sourceIPv4Address": 1, "destinationIPv4Address": 2, "protocolIdentifier": 6, "octetDeltaCount": 10,
         "packetDeltaCount": 1}
    ]  # fmt: skip
    assert list(reverse.rows(addresses="raw")) == [
        {"sourceIPv4Address": 2, "destinationIPv4Address": 1, "protocolIdentifier": 6, "octetDeltaCount": 20,
         "packetDeltaCount": 2}
    ]  # fmt: skip
    assert forward.template == reverse.template
    assert forward.template.fields == tuple(
        [field for field in batch.template.fields if field.element.forward_key is None]
    )


@pytest.mark.parametrize("pair", [*PAIRS, *SWAPPED])
def test_source_and_destination_change_places(pair: tuple[int, int]) -> None:
    names = [registries.IANA.get(0, id).name for id in pair]
    elements = [registries.IANA.get(0, id) for id in pair]
    if not elements[0].type.width or elements[0].type.is_list:
        assert elements[0].type is elements[1].type
        return
    batch = made(dict(zip(names, (1, 2), strict=True)) | COUNTS)
    forward, reverse = batch.split_biflow()
    assert forward.schema.names == reverse.schema.names
    first, second = (next(one.tuples())[:2] for one in (forward, reverse))
    assert second == first[::-1]
    assert elements[0].type is elements[1].type


def test_pairs_are_of_one_kind_and_each_element_is_in_one() -> None:
    ids = [id for pair in (*PAIRS, *SWAPPED) for id in pair]
    assert len(set(ids)) == len(ids)
    assert not FORWARD_ONLY & set(ids)


def test_half_a_pair_is_renamed_and_vlans_stay() -> None:
    forward, reverse = split({"sourceIPv4Address": 7, "egressInterface": 3, "vlanId": 5} | COUNTS)
    assert forward[0] | {} == {"sourceIPv4Address": 7, "egressInterface": 3, "vlanId": 5, "octetDeltaCount": 10,
                               "packetDeltaCount": 1}  # fmt: skip
    assert reverse == [{"destinationIPv4Address": 7, "ingressInterface": 3, "vlanId": 5, "octetDeltaCount": 20,
                        "packetDeltaCount": 2}]  # fmt: skip


def test_reverse_elements_count_before_the_other_side() -> None:
    row = {"vlanId": 1, "postVlanId": 2, "reverseVlanId": 3} | COUNTS
    assert split(row)[1][0]["vlanId"] == 3


def test_what_only_forward_packets_tell_is_null() -> None:
    row = {"ipNextHopIPv4Address": 1, "droppedOctetDeltaCount": 2, "flowEndReason": 3, "reversePacketDeltaCount": 1,
           "octetDeltaCount": 9}  # fmt: skip
    forward, reverse = split(row)
    assert forward == [{"ipNextHopIPv4Address": 1, "droppedOctetDeltaCount": 2, "flowEndReason": 3,
                        "packetDeltaCount": None, "octetDeltaCount": 9}]  # fmt: skip
    assert reverse == [{"ipNextHopIPv4Address": None, "droppedOctetDeltaCount": None, "flowEndReason": 3,
                        "packetDeltaCount": 1, "octetDeltaCount": None}]  # fmt: skip


def test_biflow_direction_exchanges_initiator_and_reverse_initiator() -> None:
    rows = [{"biflowDirection": direction} | COUNTS for direction in (0, 1, 2, 3, 4, 255)]
    forward, reverse = split(*rows)
    assert [row["biflowDirection"] for row in forward] == [0, 1, 2, 3, 4, 255]
    assert [row["biflowDirection"] for row in reverse] == [0, 2, 1, 3, 4, 255]


def test_flow_direction_stays_unless_a_reverse_one_was_sent() -> None:
    assert [row["flowDirection"] for side in split({"flowDirection": 1} | COUNTS) for row in side] == [1, 1]
    both = {"flowDirection": 0, "reverseFlowDirection": 1} | COUNTS
    assert [row["flowDirection"] for side in split(both) for row in side] == [0, 1]


def test_lists_are_those_of_both_directions() -> None:
    octets = build.basic_list((7, 2), build.uint(80, 2), build.uint(443, 2))
    message = build.message(
        build.template_set(build.template(256, (291, build.VARIABLE), (2, 4), (2, 4, 29305))),
        build.data_set(256, build.var(octets) + build.uint(1) + build.uint(2)),
    )
    (sets,) = [event for event in Session(transport="file").receive(message) if isinstance(event, DataSets)]
    forward, reverse = Decoder().decode(sets).split_biflow()
    assert [row["basicList"] for side in (forward, reverse) for row in side.rows()] == [[80, 443], [80, 443]]


def test_nothing_came_back() -> None:
    empty = COUNTS | {"reverseOctetDeltaCount": 0, "reversePacketDeltaCount": 0}
    rows = [{"sourceTransportPort": port} | (empty if port % 2 else COUNTS) for port in range(5)]
    forward, reverse = split(*rows)
    assert len(forward) == 5
    assert [row["destinationTransportPort"] for row in reverse] == [0, 2, 4]
    assert len(split(*rows, keep_empty=True)[1]) == 5
    # without counters nobody knows
    names = ["sourceTransportPort", "reverseTcpControlBits"]
    rows = [{"sourceTransportPort": 1, "reverseTcpControlBits": 0}]
    assert len(split(*rows, select=names)[1]) == 1


def test_uniflows_have_no_reverse() -> None:
    batch = made({"sourceTransportPort": 1, "octetDeltaCount": 9})
    assert not batch.is_biflow
    forward, reverse = batch.split_biflow()
    assert list(forward.tuples()) == [(1, 9)]
    assert list(reverse.tuples()) == []
    assert reverse.schema.names == ("destinationTransportPort", "octetDeltaCount")


def test_elements_that_come_again_are_reversed_in_order() -> None:
    forward_element, reverse_element = registries.IANA.get(0, 302), registries.IANA.get(29305, 302)
    fields = [Field(one, 1) for one in (forward_element, reverse_element, forward_element, reverse_element)]
    sets = data_sets(Template(256, tuple(fields)), Made((b"\x01\x02\x03\x04",)))
    forward, reverse = Decoder().decode(sets).split_biflow()
    assert list(forward.rows()) == [{"selectorId": 1, "selectorId#2": 3}]
    assert list(reverse.rows()) == [{"selectorId": 2, "selectorId#2": 4}]


def test_reverse_elements_of_cert_are_reverse_too() -> None:
    flags = registries.IANA.named("initialTCPFlags")
    fields = [Field(flags, 1), Field(flags.reverse(), 1), Field(registries.IANA.get(6871, 0x4000 | 18), 2)]
    sets = data_sets(Template(256, tuple(fields)), Made((b"\x01\x02\x00\x03",)))
    forward, reverse = Decoder().decode(sets).split_biflow()
    assert [next(one.rows())["initialTCPFlags"] for one in (forward, reverse)] == [1, 2]
    assert forward.schema.names == reverse.schema.names


def test_a_reverse_element_that_nobody_described_gets_a_name() -> None:
    element = InformationElement(6871, 0x4000 | 9999, "reverseOddThing", flags_type := registries.IANA.get(0, 6).type)
    sets = data_sets(Template(256, (Field(element, 2),)), Made((b"\x00\x07",)))
    _, reverse = Decoder().decode(sets).split_biflow()
    assert list(reverse.rows()) == [{"oddThing": 7}]
    assert reverse.schema["oddThing"].type is flags_type
    assert reverse.template.fields[0].element.key == (6871, 9999)


def test_what_is_joined_by_interface_changes_sides_and_what_is_scaled_is_null() -> None:
    names = ("ingressInterfaceName", "egressInterfaceName", "scaledOctetDeltaCount", "exportTime")
    batch = made({"ingressInterface": 1, "egressInterface": 2} | COUNTS)
    text = [Strings(np.array([0, 1], np.int32), np.frombuffer(octet, np.uint8)) for octet in (b"a", b"b")]
    values: list[Values] = [*batch.columns.values(), *text, np.array([5], np.uint64), np.array([9], "M8[s]")]
    types = (DataType.STRING, DataType.STRING, DataType.UNSIGNED64, DataType.SECONDS)
    more = [Column(name, type) for name, type in zip(names, types, strict=True)]
    joined = batch.with_columns(batch.template, Schema((*batch.schema.columns, *more)), values)
    forward, reverse = joined.split_biflow()
    assert [next(forward.rows())[name] for name in names] == ["a", "b", 5, 9]
    assert [next(reverse.rows())[name] for name in names] == ["b", "a", None, 9]
    half = batch.with_columns(batch.template, Schema((more[1], *batch.schema.columns)), [text[1], *values[:6]])
    assert next(half.split_biflow()[1].rows())["ingressInterfaceName"] == "b"


def test_scaled_counters_of_the_reverse_are_its_own_counts_at_the_rate_of_the_biflow() -> None:
    names = ("samplingRate", "scaledOctetDeltaCount", "scaledPacketDeltaCount")
    rows = [{"samplingInterval": rate} | COUNTS for rate in (100, 0)]
    forward, reverse = split(*rows, derived=names)
    assert [tuple(row[name] for name in names) for row in forward] == [(100.0, 1000, 100), (None, None, None)]
    assert [tuple(row[name] for name in names) for row in reverse] == [(100.0, 2000, 200), (None, None, None)]


# ---------------------------------------------------------------- times

START = {"flowStartMilliseconds": AT * 1000, "flowEndMilliseconds": AT * 1000 + 50}


def test_without_reverse_times_both_have_the_times_of_the_biflow() -> None:
    forward, reverse = split(START | COUNTS, derived=TIMES)
    assert [forward[0][name] for name in (*START, *TIMES)] == [reverse[0][name] for name in (*START, *TIMES)]
    assert reverse[0]["flowDuration"] == 50_000_000


def test_reverse_times_are_those_of_the_reverse() -> None:
    own = {"reverseFlowStartMilliseconds": AT * 1000 + 7, "reverseFlowEndMilliseconds": 0}
    forward, reverse = split(START | COUNTS | own, derived=TIMES)
    assert forward[0]["flowStart"] == AT * 10**9
    assert forward[0]["timeSource"] == "flowStartMilliseconds"
    assert reverse[0]["flowStartMilliseconds"] == AT * 1000 + 7
    assert reverse[0]["flowStart"] == AT * 10**9 + 7_000_000
    assert reverse[0]["flowEnd"] == AT * 10**9 + 50_000_000
    assert reverse[0]["flowDuration"] == 43_000_000
    assert reverse[0]["timeSource"] == "flowStartMilliseconds"


def test_the_best_reverse_time_counts_for_each_record() -> None:
    rows = [
        {"reverseFlowStartSeconds": AT + 3, "reverseFlowStartMilliseconds": ms, "flowStartSeconds": start} | COUNTS
        for ms, start in ((AT * 1000 + 2500, AT), (0, AT), (0, 0))
    ]
    _, reverse = split(*rows, derived=("flowStart", "timeSource"))
    assert [(row["flowStart"], row["timeSource"]) for row in reverse] == [
        (AT * 10**9 + 2_500_000_000, "flowStartMilliseconds"),
        ((AT + 3) * 10**9, "flowStartSeconds"),
        ((AT + 3) * 10**9, "flowStartSeconds"),
    ]


def test_the_reverse_starts_later_by_the_delta_that_yaf_sends() -> None:
    rows = [START | {"reverseFlowDeltaMilliseconds": delta} | COUNTS for delta in (0, 12)]
    forward, reverse = split(*rows, derived=TIMES)
    assert [row["flowStartMilliseconds"] - AT * 1000 for row in forward] == [0, 0]
    assert [row["flowStartMilliseconds"] - AT * 1000 for row in reverse] == [0, 12]
    assert [row["flowStart"] - AT * 10**9 for row in reverse] == [0, 12_000_000]
    assert [row["flowDuration"] for row in reverse] == [50_000_000, 38_000_000]
    assert [row["timeSource"] for row in reverse] == ["flowStartMilliseconds", "reverseFlowDeltaMilliseconds"]


def test_a_start_that_no_type_holds_is_null_in_the_reverse() -> None:
    row = {"flowStartMilliseconds": 2**63 - 1, "reverseFlowDeltaMilliseconds": 1} | COUNTS
    assert split(row)[1][0]["flowStartMilliseconds"] is None


def test_times_of_illegal_length_are_left_alone() -> None:
    names = (
        "flowStartMilliseconds",
        "reverseFlowDeltaMilliseconds",
        "reverseFlowStartSeconds",
        "reverseOctetDeltaCount",
    )
    for lengths in ((4, 4, 4, 8), (8, 4, 3, 8), (8, 5, 4, 8), (8, 4, 4, 8)):
        fields = [Field(registries.IANA.named(name), length) for name, length in zip(names, lengths, strict=True)]
        for some in (fields, [fields[0], fields[1], fields[3]]):
            octets = b"".join(b"\x01" * field.length for field in some)
            batch = Decoder(derived=TIMES).decode(data_sets(Template(256, tuple(some)), Made((octets,))))
            forward, reverse = batch.split_biflow()
            assert len(list(forward.rows())) == len(list(reverse.rows())) == 1


def test_a_duration_without_its_ends_stays_that_of_the_biflow() -> None:
    own = {"reverseFlowStartMilliseconds": AT * 1000 + 7}
    _, reverse = split(START | COUNTS | own, derived=("flowDuration", "flowStart"))
    assert (reverse[0]["flowStart"], reverse[0]["flowDuration"]) == (AT * 10**9 + 7_000_000, 50_000_000)


# ---------------------------------------------------------------- anything


SOME = [*sorted(id for pair in (*PAIRS, *SWAPPED) for id in pair), *FORWARD_ONLY, 1, 2, 6, 85, 152, 153, 239]


@settings(max_examples=100)
@given(st.integers(0, 2**63))
def test_any_biflow_can_be_split(seed: int) -> None:
    pick = random.Random(seed)
    pool = pick.sample(SOME, 6)
    elements = [registries.IANA.get(pick.choice((0, 29305)), pick.choice(pool)) for _ in range(pick.randrange(1, 9))]
    names = [element.name for element in elements] + ["destinationIPv4Address", "sourceTransportPort", "oddThing"]
    odd = (InformationElement(32473, 1, pick.choice(names), elements[0].type), registries.IANA.get(6871, 21),
           InformationElement(6871, 0x4000 | 9999, "reverseOddThing", elements[0].type))  # fmt: skip
    elements += [pick.choice(odd) for _ in range(pick.randrange(3))]
    pick.shuffle(elements)
    fields = [Field(one, pick.choice((one.type.width or 3, 4))) for one in elements]
    octets = [pick.randbytes(sum(field.length for field in fields)) for _ in range(pick.randrange(4))]
    batch = Decoder(None, ["exportTime"], derived=TIMES).decode(
        data_sets(Template(256, tuple(fields)), Made(tuple(octets)))
    )
    forward, reverse = batch.split_biflow(keep_empty=True)
    for side in (forward, reverse):
        assert len(set(side.schema.names)) == len(side.schema) == len(side.columns)
        assert not side.is_biflow
    assert len(list(forward.rows())) == len(octets)
    assert len(list(reverse.rows())) == (len(octets) if batch.is_biflow else 0)


def test_lists_and_text_go_with_their_records() -> None:
    for seed in range(40):
        maker = Maker(random.Random(seed))
        fields = [*maker.fields(4), (2, 4, 29305)]
        octets = maker.message(fields, 6)
        for event in Session(transport="file").receive(octets):
            if isinstance(event, DataSets):
                batch = Decoder().decode(event)
                rows = np.flatnonzero(np.arange(len(batch)) % 3 != 1)
                everything = list(batch.rows(lists="full"))
                assert repr(list(batch.take(rows).rows(lists="full"))) == repr([everything[row] for row in rows])
                assert len(batch.take(rows[:0])) == 0
                forward, reverse = batch.split_biflow(keep_empty=True)
                assert len(list(forward.rows())) == len(list(reverse.rows())) == len(batch)
                for name, column in batch.columns.items():
                    part = batch.take(rows)[name]
                    if isinstance(column, Strings | Lists):
                        assert isinstance(part, Strings | Lists)
                        raw = [column.raw(row) for row in rows.tolist()]
                        assert [part.raw(k) for k in range(len(part))] == raw


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus")
@pytest.mark.parametrize(
    ("name", "counters"),
    [
        ("gen_sf_ipfix_bidir_milli", ("octetDeltaCount", "packetDeltaCount")),
        ("gen_sf_ipfix_bidir_vlan_sec", ("octetDeltaCount", "packetDeltaCount")),
        ("ls_ipfix_yaf_s", ("octetTotalCount", "packetTotalCount")),
    ],
)
def test_totals_of_a_real_capture_are_conserved(name: str, counters: tuple[str, ...]) -> None:
    sessions: dict[Any, Session] = {}
    before, after = [0, 0, 0, 0], [0, 0, 0, 0]
    found = 0
    for datagram in read_pcap(CORPUS / f"{name}.pcap"):
        session = sessions.setdefault(datagram.session, Session(transport="udp"))
        for event in session.receive(datagram.payload):
            if not isinstance(event, DataSets) or event.template.scope_count:
                continue
            batch = Decoder(derived=TIMES).decode(event)
            if not batch.is_biflow:
                continue
            forward, reverse = batch.split_biflow()
            found += len(batch)
            assert forward.schema.names == reverse.schema.names
            for k, counter in enumerate(counters):
                own = f"reverse{counter[0].upper()}{counter[1:]}"
                before[2 * k] += total(batch[counter])
                before[2 * k + 1] += total(batch[own])
                after[2 * k] += total(forward[counter])
                after[2 * k + 1] += total(reverse[counter])
    assert found
    assert after == before
    assert all(before)
