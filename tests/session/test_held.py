"""Data Sets that come before their template: held within bounds, told when it arrives."""

from __future__ import annotations

import numpy as np
import pytest

from headwater.errors import FaultKind
from headwater.session import DataSets, Limits, Session, SessionKey, TemplateLearned
from headwater.session.datagrams import Datagrams
from tests import build as b
from tests.oracle import Account, Record, listen

PORTS = b.template_set(b.template(256, (7, 2)))
BYTES = b.template_set(b.template(256, (1, 2)))
NAMES = b.template_set(b.template(257, (82, b.VARIABLE)))


def data(*values: int, id: int = 256, sequence: int = 0, domain: int = 1) -> bytes:
    return b.message(b.data_set(id, *(b.uint(value, 2) for value in values)), sequence=sequence, domain=domain)


def test_held_data_comes_right_after_its_template_in_the_order_it_came() -> None:
    told = listen(data(1), data(2, 3, sequence=1), b.message(PORTS, b.data_set(256, b.uint(4, 2)), sequence=3))
    assert isinstance(told.items[0], TemplateLearned)
    assert [record.values for record in told.records] == [(1,), (2,), (3,), (4,)]
    assert told.session.counters["held_replayed"] == 2
    assert told.session.counters["records"] == told.session.ledger[1].records == 4


def test_held_data_keeps_the_facts_of_its_own_message() -> None:
    told = listen(
        b.message(b.data_set(256, b.uint(1, 2)), sequence=7, export_time=1234, domain=5), b.message(PORTS, domain=5)
    )
    (sets,) = told.sets
    facts = sets.messages
    assert (facts.export_time.tolist(), facts.sequence.tolist(), facts.domain.tolist()) == ([1234], [7], [5])


def test_held_data_of_several_lists_of_keys_keeps_its_exporters() -> None:
    session = Session()
    here, there = SessionKey("192.0.2.1", 1), SessionKey("192.0.2.2", 2)

    def receive(at: int, *given: tuple[SessionKey, bytes]) -> list[DataSets]:
        end = np.cumsum([len(octets) for _, octets in given], dtype=np.int32)
        start = end - np.array([len(octets) for _, octets in given], np.int32)
        octets = np.frombuffer(b"".join(octets for _, octets in given), np.uint8)
        peer, received = np.arange(len(given), dtype=np.int32), np.zeros(len(given), np.int64)
        found = Datagrams(octets, start, end, peer, [key for key, _ in given], start + np.int64(at), received)
        return [event for event in session.receive_datagrams(found) if isinstance(event, DataSets)]

    assert receive(0, (there, data(1)), (here, data(2))) == []
    assert receive(100, (here, data(3, sequence=1))) == []
    (sets,) = receive(200, (here, b.message(PORTS)))
    assert [sets.messages.key(message) for message in sets.message.tolist()] == [here, here]
    (sets,) = receive(300, (there, b.message(PORTS)))
    assert [sets.messages.key(message) for message in sets.message.tolist()] == [there]


def test_held_data_gets_its_template_from_the_source_that_follows() -> None:
    session = Session()
    list(session.receive(data(1)))
    session.count_anew(session.offset)
    octets = np.frombuffer(b.message(PORTS), np.uint8)
    place, nothing = np.zeros(1, np.int32), np.zeros(1, np.int64)
    following = Datagrams(octets, place, place + np.int32(len(octets)), place, [None], nothing, nothing)
    (sets,) = [event for event in session.receive_datagrams(following) if isinstance(event, DataSets)]
    assert sets.num_records == 1
    assert sets.messages.offset.tolist() == [-len(data(1))]


def test_held_data_is_told_once() -> None:
    told = listen(data(1), b.message(PORTS), b.message(BYTES))
    assert len(told.records) == 1


def test_held_data_waits_for_the_template_of_its_own_domain_and_id() -> None:
    told = listen(data(1), data(2, id=300), b.message(PORTS, domain=2))
    assert told.records == []
    told.feed(b.message(PORTS))
    assert [record.values for record in told.records] == [(1,)]


def test_data_is_decoded_with_the_first_template_after_it_also_within_one_buffer() -> None:
    messages = [data(1), b.message(PORTS), data(2, sequence=1), b.message(BYTES), data(3, sequence=2)]
    for told in (listen(*messages, transport="tcp"), listen(b"".join(messages), transport="tcp")):
        assert told.rows == [[("sourceTransportPort", 1)], [("sourceTransportPort", 2)], [("octetDeltaCount", 3)]]


def test_data_after_a_withdrawal_waits_for_the_next_definition() -> None:
    messages = [b.message(PORTS), b.message(b.template_set(b.withdrawal(256))), data(1), b.message(BYTES)]
    for told in (listen(*messages, transport="tcp"), listen(b"".join(messages), transport="tcp")):
        assert told.rows == [[("octetDeltaCount", 1)]]


def test_torn_held_data_is_a_fault_of_its_own_and_the_rest_is_told() -> None:
    good, torn = b.message(b.data_set(257, b.var(b"eth0"))), b.message(b.data_set(257, b.var(b"a"), b"\5b"))
    told = listen(good, torn, b.message(NAMES))
    assert [record.values for record in told.records] == [("eth0",)]
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 2, FaultKind.VARLEN_OVERRUN: 1}
    assert told.session.counters["held_replayed"] == 1
    salvaged = listen(good, torn, b.message(NAMES), salvage=True)
    assert [record.values for record in salvaged.records] == [("eth0",), ("a",)]


def test_more_than_the_limits_allow_pushes_the_oldest_out() -> None:
    for limits in (Limits(held_sets=2), Limits(held_octets=4)):
        told = listen(data(1), data(2), data(3), b.message(PORTS), limits=limits)
        assert [record.values for record in told.records] == [(2,), (3,)]
        assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 3, FaultKind.HELD_DROPPED: 1}


def test_what_waits_too_long_is_dropped_and_counted() -> None:
    session = Session(limits=Limits(held_s=60.0))
    told = Account(session).feed(data(1), now=100.0).feed(data(2), now=130.0).feed(b.message(PORTS), now=161.0)
    assert [record.values for record in told.records] == [(2,)]
    assert told.kinds[FaultKind.HELD_DROPPED] == 1


def test_what_still_waits_at_the_end_is_counted() -> None:
    told = listen(data(1), data(2)).close()
    assert told.kinds[FaultKind.HELD_DROPPED] == 2


def test_nothing_is_held_with_a_limit_of_0() -> None:
    told = listen(data(1), b.message(PORTS), limits=Limits(held_sets=0)).close()
    assert told.records == []
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 1, FaultKind.HELD_DROPPED: 1}


def test_empty_sets_are_not_worth_holding() -> None:
    told = listen(b.message(*[b.data_set(256)] * 2000)).close()
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 2000}


def test_data_of_a_malformed_message_is_not_held() -> None:
    told = listen(b.message(b.data_set(256, b.uint(1, 2)), b.any_set(256, b"", length=1)), b.message(PORTS))
    assert told.records == []


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_held_lists_are_read_with_the_templates_of_when_they_are_told(transport: str) -> None:
    content = b.sub_template_list(300, b.uint(7, 2))
    told = listen(
        b.message(b.data_set(256, b.var(content))),
        b.message(b.template_set(b.template(300, (11, 2)), b.template(256, (292, b.VARIABLE)))),
        transport=transport,
    )
    (record,) = told.records
    assert record.values[0].plain() == [{"destinationTransportPort": 7}]


def test_held_sets_of_several_messages_are_one_event() -> None:
    session = Session()
    for number in range(10):
        list(session.receive(data(number, sequence=number)))
    events = [event for event in session.receive(b.message(PORTS)) if isinstance(event, DataSets)]
    assert [event.num_records for event in events] == [10]
    assert events[0].message.tolist() == list(range(10))


def test_sequence_numbers_after_held_data_are_unknown_gaps_until_it_is_decoded_and_no_loss() -> None:
    told = listen(data(1), data(2, sequence=1))
    ledger = told.session.ledger[1]
    assert (ledger.lost, ledger.unknown_gaps, ledger.undecodable_sets, ledger.expected) == (0, 1, 2, 1)
    told.feed(b.message(PORTS, sequence=2), data(3, sequence=2))
    assert (ledger.lost, ledger.unknown_gaps, ledger.undecodable_sets, ledger.expected) == (0, 0, 0, 3)
    assert [isinstance(item, Record) for item in told.items].count(True) == 3
