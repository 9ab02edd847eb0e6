"""A dissection of NetFlow accounts for every octet, and tells the values and faults that a session tells."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.errors import Fault, FaultKind
from headwater.model.registry import IANA
from headwater.model.template import Template
from headwater.session import Session
from headwater.session.state import MALFORMED
from headwater.wire.dialect import DIALECTS, IPFIX
from headwater.wire.dissect import dissect
from headwater.wire.parts import Part, PartKind
from tests import build
from tests.oracle import Account
from tests.spec.hostile import Case
from tests.spec.hostile_netflow import NETFLOW_CASES
from tests.spec.vectors import VECTORS, octets
from tests.wire.test_dissect import check_cover, faults

NETFLOW = [id for id, vector in VECTORS.items() if vector["proto"].startswith("nfv")]
PAIR = build.netflow9_template(256, (8, 4), (1, 4))
ROW = build.record(build.ipv4("192.0.2.1"), build.uint(5))
HOUR_MS = 3_600_000
OF_MANY = {
    FaultKind.TIME_SUSPECT,
    FaultKind.SEQUENCE_SUSPECT,
    FaultKind.SEQUENCE_RESET,
    FaultKind.LATE,
    FaultKind.DUPLICATE,
    FaultKind.EXPORTER_RESTART,
    FaultKind.TEMPLATE_REPLACED,
    FaultKind.HELD_DROPPED,
}
"""Faults that one message alone does not show."""
NOT_YET = {FaultKind.UNKNOWN_TEMPLATE}
"""Of these a session waits whether they pass."""


def templates_for(session: Session, datagram: bytes) -> Mapping[int, Template]:
    """The Templates of the exporter's domain, before the datagram."""
    dialect = DIALECTS.get(int.from_bytes(datagram[:2]))
    if dialect is None or dialect.domain is None:
        return {}
    at, width = dialect.domain
    return session.templates(int.from_bytes(datagram[at : at + width]), None, dialect.version)


def read(*datagrams: bytes) -> tuple[list[Part], Account]:
    """Each datagram taken apart, and what a session tells of them; every octet is in one leaf."""
    told, parts = Account(Session()), []
    for datagram in datagrams:
        base = told.session.offset
        parts.append(dissect(datagram, templates_for(told.session, datagram), IANA, at=base, has_withdrawals=False))
        check_cover(parts[-1], base, datagram)
        told.feed(datagram)
    return parts, told


def named(part: Part) -> list[list[tuple[str, Any]]]:
    """(name, value) pairs of each record."""
    records = [p for p in part.walk() if p.kind is PartKind.RECORD]
    return [
        [(p.field.name, p.value) for p in record.leaves() if p.kind is PartKind.FIELD and p.field is not None]
        for record in records
    ]


def kinds(*parts: Part) -> set[FaultKind]:
    return {fault.kind for part in parts for fault in faults(part)}


def named_part(part: Part, name: str) -> Part:
    return next(p for p in part.walk() if p.name == name)


# --- what a session tells is told here too ---------------------------------------------------------------------------


@pytest.mark.parametrize("id", NETFLOW)
def test_values_and_faults_of_a_vector_are_those_of_a_session(id: str) -> None:
    parts, told = read(*octets(VECTORS[id]))
    assert [row for part in parts for row in named(part)] == told.rows
    assert kinds(*parts) == set(told.kinds)
    assert not any(p.kind is PartKind.UNREAD for part in parts for p in part.walk())


@pytest.mark.parametrize("case", NETFLOW_CASES, ids=[f"{case.id}-{i}" for i, case in enumerate(NETFLOW_CASES)])
def test_faults_of_hostile_input_are_those_of_a_session(case: Case) -> None:
    parts, told = read(*case.chunks())
    found, expected = kinds(*parts), set(told.kinds) - OF_MANY
    assert expected <= found
    if not told.session.counters["messages_malformed"]:
        assert found - NOT_YET == expected | set(told.value_kinds)
        assert [row for part in parts for row in named(part)] == told.rows


def samples() -> list[bytes]:
    """Messages of every version."""
    options = build.netflow9_options_template(257, [(1, 0), (2, 4)], (34, 4), (82, 8))
    said = build.record(build.uint(3), build.uint(100), b"uplink\0\0")
    v9 = build.netflow9(PAIR, options, build.any_set(256, ROW * 3 + bytes(2)), build.any_set(257, said), count=6)
    return [v9, *(octets(VECTORS[id])[0] for id in NETFLOW)]


@given(st.sampled_from(samples()), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_what_a_session_finds_malformed_in_a_damaged_message_is_found_here_too(message: bytes, seed: int) -> None:
    pick = random.Random(seed)
    damaged = bytearray(message)
    for _ in range(pick.randrange(1, 5)):
        damaged[pick.randrange(2, len(damaged))] = pick.choice((0, 1, 2, 128, 255, pick.randrange(256)))
    del damaged[pick.choice((len(damaged), pick.randrange(2, len(damaged)))) :]
    (part,), told = read(bytes(damaged))
    assert set(told.kinds) & MALFORMED <= kinds(part)


# --- where things are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind", "offset"),
    [
        (build.netflow9()[:19], FaultKind.SHORT_HEADER, 0),
        (build.netflow9(count=1), FaultKind.COUNT_MISMATCH, 2),
        (build.netflow9(build.any_set(256, ROW), count=1), FaultKind.UNKNOWN_TEMPLATE, 20),
        (build.netflow9(build.any_set(2, b"abcd"), count=0), FaultKind.RESERVED_SET, 20),
        (build.netflow9(build.any_set(0, b"", length=3), count=0), FaultKind.SET_LENGTH, 22),
        (build.netflow9(build.any_set(0, b"", length=9), count=0), FaultKind.SET_OVERRUN, 22),
        (build.netflow9(PAIR, b"\0\0\0", b"\1", count=1), FaultKind.SET_LENGTH, 38),
        (build.netflow9(PAIR, bytes(4), count=1), FaultKind.TRAILING_OCTETS, 36),
        (build.netflow9(PAIR, b"\0\1", count=1), FaultKind.TRAILING_SET_HEADER, 36),
        (build.netflow9(build.netflow9_template(255, (8, 4)), count=1), FaultKind.TEMPLATE_ID, 24),
        (build.netflow9(build.netflow9_template(256), count=1), FaultKind.TEMPLATE_EMPTY, 26),
        (
            build.netflow9(build.any_set(1, struct.pack("!HHH", 257, 4, 6) + bytes(10)), count=0),
            FaultKind.OPTIONS_LENGTH,
            24,
        ),
        (build.netflow5(b""), FaultKind.TRUNCATED, 2),
        (build.netflow5(bytes(48))[:-1], FaultKind.TRUNCATED, 2),
        (build.netflow5(bytes(48)) + b"x", FaultKind.COUNT_MISMATCH, 2),
        (struct.pack("!HH18xBB4x", 8, 1, 99, 2), FaultKind.AGGREGATION, 22),
        (b"\0\0\0\5" + bytes(24), FaultKind.SFLOW, 0),
    ],
)
def test_a_fault_stands_at_its_octets(message: bytes, kind: FaultKind, offset: int) -> None:
    part = dissect(message, {}, IANA, at=500)
    check_cover(part, 500, message)
    assert [(fault.kind, fault.offset) for fault in faults(part)] == [(kind, 500 + offset)]


@pytest.mark.parametrize(
    ("scope_octets", "other_octets", "name"),
    [(3, 8, "Option Scope Length"), (4, 6, "Option Length"), (4, 8, "Option Length")],
)
def test_the_length_that_is_wrong_is_marked(scope_octets: int, other_octets: int, name: str) -> None:
    head = struct.pack("!HHH", 257, scope_octets, other_octets)
    part = dissect(build.netflow9(build.any_set(1, head + b"\0\1\0\4" * 2), count=0), {}, IANA)
    assert [p.name for p in part.walk() if p.faults] == [name]


def test_octets_behind_the_flowsets_that_are_zero_and_few_are_padding() -> None:
    (part,), told = read(build.netflow9(PAIR, bytes(3), count=1))
    assert faults(part) == told.faults == []
    assert part.parts[-1].kind is PartKind.PADDING


def test_octets_that_fill_a_template_flowset_may_be_anything() -> None:
    sets = build.any_set(0, build.template(256, (8, 4)) + b"\x2d\x67")
    (part,), told = read(build.netflow9(sets, count=1))
    assert faults(part) == told.faults == []
    assert named_part(part, "padding").text == "2 octets, not zero"


def test_every_octet_of_a_fixed_record_is_named() -> None:
    part = dissect(build.netflow5(build.netflow5_record("192.0.2.1", "192.0.2.2")), {}, IANA)
    (record,) = [p for p in part.walk() if p.kind is PartKind.RECORD]
    assert (record.at, record.length) == (24, 48)
    assert [(p.name, p.text) for p in record.parts[:3]] == [
        ("sourceIPv4Address", "192.0.2.1"),
        ("destinationIPv4Address", "192.0.2.2"),
        ("ipNextHopIPv4Address", "0.0.0.0"),
    ]
    assert [p.length for p in record.parts if p.kind is PartKind.PADDING] == [1, 2]


def test_fields_of_headers_are_named() -> None:
    v5 = dissect(build.netflow5(engine=0x0102, sampling=1 << 14 | 100), {}, IANA).parts[0]
    assert {p.name: p.text for p in v5.parts} | {"System Uptime": ""} == {
        "Version": "5 (NetFlow v5)",
        "Count": "0 records",
        "System Uptime": "",
        "Export Time": "2023-11-14T22:13:20",
        "Residual Nanoseconds": "0",
        "Sequence Number": "0",
        "Engine Type": "1",
        "Engine ID": "2",
        "Sampling": "mode 1, interval 100",
    }
    v9 = dissect(build.netflow9(source_id=7), {}, IANA).parts[0]
    assert [(p.name, p.text) for p in v9.parts][-1] == ("Source ID", "7")
    v8 = dissect(octets(VECTORS["NFV8-5"])[0], {}, IANA).parts[0]
    assert named_part(v8, "Aggregation").text == "5 (prefixes)"


@pytest.mark.parametrize(
    ("uptime_ms", "first_ms", "text"),
    [
        (60_000, 10_000, "10000 (2023-11-14T22:12:30.000)"),
        (1_000, (1 << 32) - 1_000, "4294966296 (2023-11-14T22:13:18.000)"),  # the clock has wrapped between
        (1_000, 2_000, "2000 (2023-11-14T22:13:21.000)"),
        (HOUR_MS, 0, "0 (2023-11-14T21:13:20.000)"),
        (HOUR_MS + 1, 0, "0"),
    ],
)
def test_uptimes_are_shown_as_the_moments_they_mean(uptime_ms: int, first_ms: int, text: str) -> None:
    record = build.netflow5_record("192.0.2.1", "192.0.2.2", first_ms=first_ms)
    part = dissect(build.netflow5(record, uptime_ms=uptime_ms), {}, IANA)
    assert named_part(part, "flowStartSysUpTime").text == text


@pytest.mark.parametrize("uptime_ms", [0, 1_000, HOUR_MS + 1, (1 << 31) + 7, (1 << 32) - 1])
@pytest.mark.parametrize(("first_ms", "last_ms"), [(1, 2), (0, 0), ((1 << 31) + 3, (1 << 32) - 1), (0xFFFFFFFF, 500)])
def test_these_moments_are_those_of_the_resolved_times(uptime_ms: int, first_ms: int, last_ms: int) -> None:
    record = build.netflow5_record("192.0.2.1", "192.0.2.2", first_ms=first_ms, last_ms=last_ms)
    message = build.netflow5(record, uptime_ms=uptime_ms)
    (row,) = hw.read(message, resolve_time=True).records(times="text")
    part = dissect(message, {}, IANA)
    for name, uptime, resolved in (
        ("flowStartSysUpTime", first_ms, row["flowStart"]),
        ("flowEndSysUpTime", last_ms, row["flowEnd"]),
    ):
        moment = "" if resolved is None else f" ({resolved.removesuffix('000000')})"
        assert named_part(part, name).text == f"{uptime}{moment}"


def test_types_that_mean_an_element_of_an_enterprise_are_shown_as_such() -> None:
    part = dissect(build.netflow9(build.netflow9_template(256, (57590, 2)), count=1), {}, IANA)
    (found,) = [p for p in part.walk() if p.kind is PartKind.SPECIFIER]
    assert found.text.startswith("57590 (35632/118)")


def test_scopes_of_options_templates_are_those_of_netflow() -> None:
    sets = build.netflow9_options_template(257, [(2, 4)], (82, 8))
    part = dissect(build.netflow9(sets, build.any_set(257, build.uint(3) + b"uplink\0\0"), count=2), {}, IANA)
    assert faults(part) == []
    assert named_part(part, "Options Template 257").text == "2 fields"
    scope = next(p for p in part.walk() if p.kind is PartKind.SPECIFIER)
    assert (scope.name, scope.text) == ("v9Interface", "v9scope/2, unsigned32, 4 octets, scope")
    assert named(part) == [[("v9Interface", 3), ("interfaceName", "uplink\0\0")]]


def test_strings_are_shown_without_the_octets_they_are_filled_with() -> None:
    sets = build.netflow9_template(256, (82, 8)), build.any_set(256, b"uplink\0\0" + b"uplinks\0" + bytes(8))
    records = [p for p in dissect(build.netflow9(*sets, count=4), {}, IANA).walk() if p.kind is PartKind.RECORD]
    assert [record.parts[0].text for record in records] == [
        '"uplink", filled with 2 zero octets',
        '"uplinks", filled with 1 zero octet',
        '"", filled with 8 zero octets',
    ]
    assert records[0].parts[0].value == "uplink\0\0"


def test_a_withdrawal_is_obeyed_only_where_the_transport_allows_it() -> None:
    message = build.message(build.template_set(build.withdrawal(256)), build.data_set(256, ROW))
    known = {256: Template.of(256, "sourceIPv4Address", "octetDeltaCount[4]")}
    assert kinds(dissect(message, known, IANA)) == {FaultKind.UNKNOWN_TEMPLATE}
    assert faults(dissect(message, known, IANA, has_withdrawals=False)) == []


def test_where_one_protocol_is_expected_another_is_a_fault() -> None:
    part = dissect(build.netflow9(), {}, IANA, only=IPFIX)
    assert [str(fault) for fault in faults(part)] == [
        str(Fault(FaultKind.VERSION, 0, None, "version 9 (NetFlow v9) where IPFIX (10) is expected"))
    ]


def test_the_header_of_sflow_is_taken_apart_as_far_as_it_is_there() -> None:
    agent = struct.pack("!II4sIIII", 5, 1, bytes((192, 0, 2, 1)), 0, 9, 1000, 1)
    part = dissect(agent + bytes(8), {}, IANA)
    assert named_part(part, "Agent Address").text == "192.0.2.1"
    assert [p.kind for p in part.parts] == [PartKind.HEADER, PartKind.UNREAD]
    for size in range(4, len(agent)):
        check_cover(dissect(agent[:size], {}, IANA), 0, agent[:size])
