"""Every IPFIX message, stream and file of the test vectors gives exactly what it says, over every transport it names.

The vectors are our own data: derived by hand from the RFCs, checked by a second decoder and by other implementations.
"""

from __future__ import annotations

from typing import Any

import pytest

from headwater.errors import FaultKind
from headwater.model.element import SEMANTICS_NAMES, Semantics
from headwater.session import Limits, Session, TemplateWithdrawn
from tests.oracle import Account, listen
from tests.spec import vectors
from tests.spec.vectors import expected_events, octets, told_events

VECTORS = {
    id: vector
    for id, vector in vectors.VECTORS.items()
    if vector["proto"] == "ipfix" and vector["kind"] in ("message", "stream", "file")
}
DATAGRAMS, STREAMS = ("udp", "dtls", "sctp"), ("tcp", "tls", "file")


def transports(vector: dict[str, Any]) -> tuple[str, ...]:
    if vector["kind"] == "file":
        return STREAMS
    return DATAGRAMS + STREAMS if vector["transport"] == "any" else tuple(vector["transport"].split("/"))


def cases(*ids: str, only: tuple[str, ...] = DATAGRAMS + STREAMS) -> list[Any]:
    """(vector, transport) of those ids, by default of all that tell their events."""
    return [
        pytest.param(VECTORS[id], transport, id=f"{id}-{transport}")
        for id in ids or [id for id, vector in VECTORS.items() if "events" in vector["expect"]]
        for transport in transports(VECTORS[id])
        if transport in only
    ]


def account(vector: dict[str, Any], transport: str, **options: Any) -> Account:
    return listen(*octets(vector), transport=transport, **options)


@pytest.mark.parametrize(("vector", "transport"), cases())
def test_events_values_and_sequence_are_those_of_the_vector(vector: dict[str, Any], transport: str) -> None:
    told = account(vector, transport)
    expect = vector["expect"]
    assert told_events(told) == expected_events(expect["events"])
    if "next_sequence" in expect:
        assert [ledger.expected for ledger in told.session.ledger.values()] == [expect["next_sequence"]]
    assert len(told.value_faults) == expect.get("value_errors", 0)
    assert told.gaps == []
    assert list(told.session.close()) == []
    counters = told.session.counters
    assert counters["records"] == len(told.records)
    assert counters["octets"] == sum(map(len, octets(vector)))
    assert counters["messages_malformed"] == counters["undecodable_sets"] == 0
    assert counters["checksums_ok"] == expect.get("checksums_ok", 0)
    learned = expect.get("learned", [])
    assert counters["elements_learned"] == len(learned)
    for pen, id, name, type, semantics in learned:
        element = told.session.registry.get(pen, id)
        assert (element.name, element.type.label) == (name, type)
        assert SEMANTICS_NAMES[Semantics(element.semantics)] == semantics


@pytest.mark.parametrize(("vector", "transport"), cases(only=("tcp", "file")))
def test_a_stream_in_pieces_of_one_octet_tells_the_same(vector: dict[str, Any], transport: str) -> None:
    stream = b"".join(octets(vector))
    told = listen(*(stream[i : i + 1] for i in range(len(stream))), transport=transport)
    whole = listen(stream, transport=transport)
    assert told_events(told) == expected_events(vector["expect"]["events"])
    assert told.session.counters == whole.session.counters
    assert told.session.ledger == whole.session.ledger
    assert told.faults == whole.faults


@pytest.mark.parametrize(("vector", "transport"), cases(only=("tcp",)))
def test_a_stream_cut_in_two_anywhere_tells_the_same(vector: dict[str, Any], transport: str) -> None:
    stream = b"".join(octets(vector))
    expected = expected_events(vector["expect"]["events"])
    for cut in range(1, len(stream), 1 + len(stream) // 256):  # of the long ones not at every octet
        assert told_events(listen(stream[:cut], stream[cut:], transport=transport)) == expected


@pytest.mark.parametrize(("vector", "transport"), cases("IPFIX-A1", only=DATAGRAMS + STREAMS))
def test_header_fields_of_the_example_message(vector: dict[str, Any], transport: str) -> None:
    header = vector["expect"]["header"]
    for sets in account(vector, transport).sets:
        facts = sets.messages
        assert facts.offset.tolist() == [0]
        assert facts.export_time.tolist() == [header["export_time"]]
        assert facts.sequence.tolist() == [header["sequence"]]
        assert facts.domain.tolist() == [header["odid"]]


@pytest.mark.parametrize(("vector", "transport"), cases("IPFIX-HDR-MIN"))
def test_header_fields_of_a_message_without_sets(vector: dict[str, Any], transport: str) -> None:
    told = account(vector, transport)
    header = vector["expect"]["header"]
    assert told.session.counters["messages"] == 1
    assert list(told.session.ledger) == [header["odid"]]
    assert [(fault.kind, fault.detail) for fault in told.faults] == [
        (FaultKind.TIME_SUSPECT, f"Export Time {header['export_time']}")
    ]


@pytest.mark.parametrize("id", ["IPFIX-WD-1", "IPFIX-WD-3", "IPFIX-WD-ALL"])
def test_withdrawals_are_ignored_and_counted_on_udp(id: str) -> None:
    told = account(VECTORS[id], "udp")
    withdrawals = sum(event["ev"] == "withdraw" for event in VECTORS[id]["expect"]["events"])
    assert told.kinds[FaultKind.WITHDRAWAL_IGNORED] == withdrawals
    assert not [item for item in told.items if isinstance(item, TemplateWithdrawn)]


def test_early_data_is_held_and_decoded_once_its_template_arrives() -> None:
    vector = VECTORS["IPFIX-DATA-BEFORE-TMPL"]
    told = account(vector, "udp")
    assert told_events(told) == expected_events(vector["expect"]["buffering"]["events"])
    assert told.session.counters["held_replayed"] == 1
    assert told.session.ledger[1].lost == vector["expect"]["lost_records"]


def test_early_data_is_counted_as_undecodable_when_nothing_is_held() -> None:
    vector = VECTORS["IPFIX-DATA-BEFORE-TMPL"]
    expect = vector["expect"]["no_buffering"]
    told = account(vector, "udp", limits=Limits(held_sets=0))
    assert told_events(told) == expected_events(expect["events"])
    assert told.kinds[FaultKind.UNKNOWN_TEMPLATE] == expect["undecodable_sets"]
    assert told.session.ledger[1].undecodable_sets == expect["undecodable_sets"]
    assert told.session.ledger[1].lost == vector["expect"]["lost_records"]


def test_every_step_of_the_sequence_vector() -> None:
    vector = VECTORS["IPFIX-SEQ-1"]
    expect = vector["expect"]
    told = Account(Session())
    lost = late = duplicates = 0
    expected = None
    for datagram, step in zip(octets(vector), expect["steps"], strict=True):
        if "expected" in step:
            assert step["expected"] == expected
        told.feed(datagram)
        lost += step.get("gap", 0) - step.get("late", 0)
        late += step.get("late", 0)
        duplicates += step.get("duplicate", 0)
        ledger = told.session.ledger[1]
        expected = step.get("next", expected)
        assert (ledger.expected, ledger.lost, ledger.late, ledger.duplicates) == (expected, lost, late, duplicates)
    assert [gap.lost for gap in told.gaps] == [step["gap"] for step in expect["steps"] if "gap" in step]
    assert (lost, late, duplicates) == (expect["final_lost"], expect["reordered"], expect["duplicates"])
    assert told.kinds == {FaultKind.LATE: 1, FaultKind.DUPLICATE: 1}
    assert len(told.records) == 7  # duplicates are delivered: de-duplication is not the session's


@pytest.mark.parametrize("transport", STREAMS)
def test_a_checksum_that_fails_is_told_with_its_message(transport: str) -> None:
    vector = VECTORS["RFC5655-BADSUM"]
    expect = vector["expect"]
    told = account(vector, transport)
    assert told.session.counters["checksums_ok"] == expect["checksums_ok"]
    assert told.kinds == {FaultKind.CHECKSUM: expect["checksums_bad"]}
    assert f"Message {expect['bad_message_index']} " in told.faults[0].detail
    assert len(told.records) == 55


@pytest.mark.parametrize("transport", STREAMS)
def test_a_damaged_file_is_read_on_at_the_next_plausible_message(transport: str) -> None:
    vector = VECTORS["RFC5655-RESYNC"]
    expect = vector["expect"]
    told = account(vector, transport, resync=True).close()
    same = VECTORS[expect["events_same_as"]]["expect"]
    assert told_events(told) == expected_events(same["events"])
    assert told.session.counters["messages"] == expect["messages"]
    assert [(fault.kind, fault.count) for fault in told.faults] == [(FaultKind.RESYNC, expect["skipped_octets"])]
    assert told.session.ledger[1].expected == same["next_sequence"]


@pytest.mark.parametrize("transport", STREAMS)
def test_a_damaged_file_is_read_up_to_the_damage_unless_asked_to_go_on(transport: str) -> None:
    told = account(VECTORS["RFC5655-RESYNC"], transport).close()
    assert told.session.counters["messages"] == 2
    assert told.kinds == {FaultKind.FRAMING_LOST: 1}


def test_a_biflow_is_told_by_its_reverse_elements() -> None:
    (template,) = account(VECTORS["RFC5103-A"], "udp").templates
    reverse = [field.element for field in template.fields if field.element.forward_key]
    assert [element.forward_key for element in reverse] == [(0, 150), (0, 85), (0, 86)]


def test_flow_key_indicator_bits_stand_for_the_fields_of_its_template() -> None:
    vector = VECTORS["RFC7011-4.4"]
    told = account(vector, "udp")
    templates = told.session.templates(1)
    for row in told.rows:
        of, bits = (value for _, value in row)
        keys = [field.name for i, field in enumerate(templates[of].fields) if bits >> i & 1]
        assert keys == vector["expect"]["flow_keys"][str(of)]
