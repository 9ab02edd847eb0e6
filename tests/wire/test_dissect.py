"""A dissection accounts for every octet, tells what a session tells, and puts faults where they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Fault, FaultKind
from headwater.model.registry import IANA
from headwater.model.template import Template
from headwater.session import Session
from headwater.session.state import MALFORMED
from headwater.wire.dissect import dissect
from headwater.wire.parts import Part, PartKind
from tests import build

MESSAGES = [
    *build.flows(3),
    *build.mixed_flows(3),
    *build.strings(4, mtu=4000),
    *build.lists(4, mtu=4000),
    build.message(
        build.options_template_set(build.options_template(258, (149, 4), (41, 2), scope=1), padding=2),
        build.data_set(258, build.uint(1) + build.uint(345, 2)),
        build.template_set(build.withdrawal(2)),
    ),
]


def apart(*sets: bytes, templates: dict[int, Template] | None = None, at: int = 0) -> Part:
    return dissect(build.message(*sets), templates or {}, IANA, at=at)


def faults(part: Part) -> list[Fault]:
    return [fault for p in part.walk() for fault in p.faults]


def check_cover(part: Part, at: int, octets: bytes) -> None:
    """Leaves cover every octet once; parts lie inside what holds them."""
    position = at
    for leaf in part.leaves():
        assert leaf.at == position
        position = leaf.end
    assert position == at + len(octets)
    for p in part.walk():
        if p.parts:
            assert (p.parts[0].at, p.parts[-1].end) == (p.at, p.end)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_octet_of_a_right_message_is_in_one_leaf_and_nothing_is_wrong(message: bytes) -> None:
    part = dissect(message, {}, IANA, at=1000)
    check_cover(part, 1000, message)
    assert faults(part) == []
    assert not any(p.kind is PartKind.UNREAD for p in part.walk())


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_octet_of_any_octets_is_in_one_leaf(octets: bytes, with_header: bool) -> None:
    if with_header:
        octets = build.message(octets)
    check_cover(dissect(octets, {}, IANA, at=7), 7, octets)


@given(st.sampled_from(MESSAGES), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_what_a_session_finds_malformed_in_a_damaged_message_is_found_here_too(message: bytes, seed: int) -> None:
    pick = random.Random(seed)
    damaged = bytearray(message)
    for _ in range(pick.randrange(1, 4)):
        damaged[pick.randrange(16, len(damaged))] = pick.choice((0, 1, 2, 128, 255, pick.randrange(256)))
    part = dissect(bytes(damaged), {}, IANA)
    check_cover(part, 0, bytes(damaged))
    session = Session(transport="sctp", salvage=True)
    told = {e.kind for e in session.receive(bytes(damaged)) if isinstance(e, Fault) and e.kind in MALFORMED}
    found = {fault.kind for fault in faults(part)}
    assert told <= found


def test_values_have_names_text_and_python_values() -> None:
    part = apart(
        build.template_set(build.template(256, (8, 4), (4, 1), (82, build.VARIABLE), (152, 8))),
        build.data_set(
            256, build.ipv4("192.0.2.1"), build.uint(6, 1), build.var(b"eth0"), build.uint(1_700_000_000_000, 8)
        ),
    )
    record = next(p for p in part.walk() if p.kind is PartKind.RECORD)
    assert [(p.name, p.text) for p in record.parts] == [
        ("sourceIPv4Address", "192.0.2.1"),
        ("protocolIdentifier", "6 (tcp)"),
        ("interfaceName", '"eth0"'),
        ("flowStartMilliseconds", "2023-11-14T22:13:20.000"),
    ]
    prefix, name = record.parts[2].parts
    assert (prefix.name, prefix.length, name.value) == ("length", 1, "eth0")


def test_templates_of_earlier_messages_are_used_and_replaced_in_order() -> None:
    old = Template.of(256, "octetDeltaCount[2]")
    part = apart(
        build.data_set(256, build.uint(5, 2)),
        build.template_set(build.template(256, (2, 4))),
        build.data_set(256, build.uint(6)),
        build.template_set(build.withdrawal(256)),
        build.data_set(256, build.uint(7)),
        templates={256: old},
    )
    records = [p for p in part.walk() if p.kind is PartKind.RECORD]
    assert [(r.parts[0].name, r.parts[0].value) for r in records] == [("octetDeltaCount", 5), ("packetDeltaCount", 6)]
    assert [fault.kind for fault in faults(part)] == [FaultKind.UNKNOWN_TEMPLATE]


def test_withdrawing_all_templates_leaves_options_templates() -> None:
    part = apart(
        build.template_set(build.withdrawal(2)),
        build.data_set(256, build.uint(5, 2)),
        build.data_set(257, build.uint(5, 2)),
        templates={256: Template.of(256, "octetDeltaCount[2]"), 257: Template.of(257, "octetDeltaCount[2]", scope=1)},
    )
    assert [f.detail for f in faults(part)] == ["no Template 256 has come before this Set"]


def test_lists_are_taken_apart_to_their_values() -> None:
    inner = build.sub_template_list(257, build.uint(1, 2), build.uint(2, 2))
    part = apart(
        build.template_set(build.template(256, (292, build.VARIABLE)), build.template(257, (7, 2))),
        build.data_set(256, build.var(inner)),
    )
    (found,) = [p for p in part.walk() if p.kind is PartKind.LIST]
    assert found.text == "allOf, 2 records of Template 257"
    ports = [p.value for p in found.walk() if p.kind is PartKind.FIELD]
    assert ports == [1, 2]
    assert [p.name for p in found.parts[:3]] == ["length", "semantic", "Template ID"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (build.sub_template_list(999, b"\0\0"), FaultKind.LIST_TEMPLATE),
        (build.sub_template_list(257, b"\0\0\0"), FaultKind.BAD_LIST),
        (b"\x03\x01", FaultKind.BAD_LIST),
    ],
)
def test_a_broken_list_is_a_fault_inside_the_list(content: bytes, kind: FaultKind) -> None:
    head = build.template_set(build.template(256, (292, build.VARIABLE)), build.template(257, (7, 2)))
    part = apart(head, build.data_set(256, build.var(content)))
    (fault,) = faults(part)
    start = 16 + len(head) + 5
    assert fault.kind is kind
    assert start <= fault.offset < start + len(content)


def test_lists_nested_deeper_than_allowed_are_left_in_one_piece() -> None:
    content = build.basic_list((11, 2), build.uint(1, 2))
    for _ in range(3):
        content = build.basic_list((291, build.VARIABLE), build.var(content))
    message = build.message(
        build.template_set(build.template(256, (291, build.VARIABLE))), build.data_set(256, build.var(content))
    )
    assert faults(dissect(message, {}, IANA, depth=4)) == []
    (fault,) = faults(dissect(message, {}, IANA, depth=3))
    assert fault.kind is FaultKind.DEPTH_LIMIT


def test_fields_without_octets_cannot_make_a_tree_without_bound() -> None:
    fields = [(210, 0)] * 8000
    message = build.message(
        build.template_set(build.template(256, *fields, (4, 1))), build.data_set(256, bytes(20_000))
    )
    part = dissect(message, {}, IANA, most_parts=20_000)
    check_cover(part, 0, message)
    assert sum(1 for _ in part.walk()) < 40_000


@pytest.mark.parametrize(
    ("message", "kind", "offset"),
    [
        (b"\0\x0a\0", FaultKind.SHORT_HEADER, 0),
        (b"", FaultKind.SHORT_HEADER, 0),
        (build.message(version=9), FaultKind.SHORT_HEADER, 0),  # a header of NetFlow v9 has 20 octets
        (build.message(version=11), FaultKind.VERSION, 0),
        (build.message(length=15), FaultKind.BAD_LENGTH, 2),
        (build.message(length=40), FaultKind.TRUNCATED, 2),
        (build.message() + b"x", FaultKind.TRAILING_OCTETS, 16),
        (build.message(b"\0\2\0"), FaultKind.TRAILING_SET_HEADER, 16),
        (build.message(build.any_set(2, b"", length=3)), FaultKind.SET_LENGTH, 18),
        (build.message(build.any_set(2, b"", length=9)), FaultKind.SET_OVERRUN, 18),
        (build.message(build.any_set(4, b"abc")), FaultKind.RESERVED_SET, 16),
        (build.message(build.template_set(build.template(255, (8, 4)))), FaultKind.TEMPLATE_ID, 20),
        (build.message(build.template_set(build.template(256, (8, 4), count=9))), FaultKind.TEMPLATE_OVERRUN, 20),
        (
            build.message(build.options_template_set(build.options_template(256, (8, 4), scope=0))),
            FaultKind.SCOPE_ZERO,
            20,
        ),
        (build.message(build.template_set(build.template(256, (8, 3)))), FaultKind.TEMPLATE_BAD_LENGTH, 26),
        (build.message(build.template_set(build.template(256, (0, 3)))), FaultKind.IE_RESERVED, 24),
    ],
)
def test_a_fault_stands_at_its_octets(message: bytes, kind: FaultKind, offset: int) -> None:
    part = dissect(message, {}, IANA, at=500)
    check_cover(part, 500, message)
    assert [(fault.kind, fault.offset) for fault in faults(part)] == [(kind, 500 + offset)]


def test_a_fault_from_elsewhere_is_put_at_the_leaf_of_its_octet() -> None:
    part = apart(at=100).with_fault(Fault(FaultKind.SEQUENCE_GAP, 109))
    (leaf,) = [p for p in part.walk() if p.faults]
    assert leaf.name == "Sequence Number"


def test_a_fault_takes_the_place_of_one_of_its_kind_at_its_octet() -> None:
    part = apart(build.data_set(256, b"abcd"), at=100)
    (first,) = faults(part)
    better = Fault(first.kind, first.offset, detail="another exporter has it")
    assert faults(part.with_fault(better)) == [better]
    elsewhere = Fault(first.kind, first.offset + 5)
    assert faults(part.with_fault(elsewhere)) == [first, elsewhere]


def test_octets_that_are_no_padding_are_faults() -> None:
    head = build.template_set(build.template(256, (8, 4)))
    assert [f.kind for f in faults(apart(head, build.data_set(256, build.uint(1), b"\0\1")))] == [
        FaultKind.NONZERO_PADDING
    ]
    assert [f.kind for f in faults(apart(head, build.data_set(256, b"\0\0")))] == [FaultKind.SHORT_SET]
