"""Transport sessions end: what they had is forgotten, what they sent stays counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headwater.errors import Fault, FaultKind, HeadwaterError
from headwater.session import Datagrams, DataSets, Event, Limits, Session, SessionKey
from tests import build as b
from tests.session.test_netflow import DATA, HERE, OTHER, TEMPLATE, THERE, datagrams, heard, netflow9, records

PORTS = b.template_set(b.template(256, (7, 2)))
FLOW = b.data_set(256, b.uint(80, 2))


def test_a_connection_that_ended_takes_its_templates_along() -> None:
    session = Session(transport="tcp")
    assert records(heard(session, (HERE, b.message(PORTS, FLOW) + b.message(FLOW, sequence=1)))) == 2
    heard(session, (OTHER, b.message(PORTS, FLOW)))
    ledgers, events = session.forget([HERE])
    assert [(ledger.key, ledger.messages, ledger.records) for ledger in ledgers] == [(HERE, 2, 2)]
    assert list(events) == []
    assert session.num_exporters == 1
    assert records(heard(session, (HERE, b.message(FLOW)), (OTHER, b.message(FLOW, sequence=1)))) == 1
    assert session.counters[FaultKind.UNKNOWN_TEMPLATE] == 1
    assert list(session.templates(1, OTHER)) == [256]


def test_who_is_not_known_is_forgotten_without_a_word() -> None:
    session = Session(transport="tcp")
    ledgers, events = session.forget([HERE])
    assert (ledgers, list(events)) == ([], [])


def test_places_of_the_forgotten_are_given_to_others_again_and_again() -> None:
    session = Session(transport="tls", limits=replace(Limits(), sessions=2))
    for port in range(1, 50):
        key = SessionKey("192.0.2.7", port)
        assert (
            records(heard(session, (OTHER, b.message(PORTS, FLOW, sequence=port - 1)), (key, b.message(PORTS, FLOW))))
            == 2
        )
        assert session.num_exporters == 2
        assert len(session.forget([key])[0]) == 1
    assert session.counters[FaultKind.SESSION_LIMIT] == 0
    assert [ledger.records for ledger in session.ledgers] == [49]


def test_data_that_waited_for_a_template_of_an_ended_session_are_told() -> None:
    session = Session(transport="tcp")
    heard(session, (HERE, b.message(FLOW)), (OTHER, b.message(FLOW)))
    events = list(session.forget([HERE])[1])
    assert [(event.kind, event.count) for event in events if isinstance(event, Fault)] == [(FaultKind.HELD_DROPPED, 1)]
    later = datagrams((OTHER, b.message(PORTS, sequence=1)))
    assert records(list(session.receive_datagrams(replace(later, offset=later.offset + 1000)))) == 1


def test_an_index_of_a_forgotten_key_means_who_comes_under_it_next() -> None:
    session = Session(transport="tcp")
    keys = [HERE]
    first = replace(datagrams((HERE, b.message(PORTS, FLOW))), keys=keys)
    assert records(list(session.receive_datagrams(first))) == 1
    session.forget([HERE])
    assert records(list(session.receive_datagrams(first))) == 1
    assert session.num_exporters == 1


def test_what_one_exporter_taught_is_not_taken_for_what_the_next_one_teaches() -> None:
    taught = b.message(
        b.options_template_set(b.options_template(260, (346, 4), (303, 2), (339, 1), (341, b.VARIABLE), scope=2)),
        b.data_set(260, b.uint(35555) + b.uint(7, 2) + b.uint(1, 1) + b.var(b"mood")),
    )
    session = Session(transport="tcp")
    for key in (HERE, THERE, OTHER):
        heard(session, (key, taught))
        assert session.registry_of(key).get(35555, 7).name == "mood"
        session.forget([key])


def test_exporters_that_fell_silent_are_forgotten_and_others_are_not() -> None:
    session = Session()
    list(
        session.receive_datagrams(datagrams((HERE, b.message(PORTS, FLOW)), (OTHER, b.message(PORTS, FLOW))), now=10.0)
    )
    list(session.receive_datagrams(datagrams((OTHER, b.message(FLOW, sequence=1))), now=100.0))
    ledgers, _ = session.forget_idle(50.0)
    assert [ledger.key for ledger in ledgers] == [HERE]
    assert [ledger.records for ledger in session.ledgers] == [2]


def test_of_too_many_exporters_those_heard_of_last_are_kept() -> None:
    session = Session()
    keys = [SessionKey("192.0.2.8", port) for port in range(1, 21)]
    for now, key in enumerate(keys):
        list(session.receive_datagrams(datagrams((key, b.message(PORTS, FLOW))), now=float(now)))
    session.forget_idle(-1.0, keep=5)
    assert sorted(ledger.key.port for ledger in session.ledgers if ledger.key) == [16, 17, 18, 19, 20]


def test_an_address_that_speaks_netflow_9_from_another_port_is_not_idle() -> None:
    session = Session()
    list(session.receive_datagrams(datagrams((HERE, netflow9(TEMPLATE, DATA))), now=10.0))
    list(session.receive_datagrams(datagrams((THERE, netflow9(DATA, sequence=1))), now=100.0))
    assert session.forget_idle(50.0)[0] == []
    assert session.forget([THERE])[0] == []  # the address is known by the session that it was first heard in


def test_each_sctp_stream_numbers_its_records_for_itself() -> None:
    session = Session(transport="sctp")
    given = datagrams(
        (HERE, b.message(PORTS, FLOW)),
        (HERE, b.message(FLOW, sequence=0)),
        (HERE, b.message(FLOW, sequence=1)),
        (HERE, b.message(FLOW, sequence=1)),
        (HERE, b.message(FLOW, sequence=5)),
    )
    events: list[Event] = list(session.receive_datagrams(replace(given, stream=np.array([0, 3, 0, 3, 3], np.int32))))
    assert sum(event.num_records for event in events if isinstance(event, DataSets)) == 5
    assert [(ledger.stream, ledger.messages, ledger.lost) for ledger in session.ledgers] == [(0, 2, 0), (3, 3, 3)]
    assert session.counters[FaultKind.SEQUENCE_GAP] == 1


def test_a_peer_with_very_many_streams_is_counted_within_bounds() -> None:
    session = Session(transport="sctp")
    given = datagrams(*[(HERE, b.message(PORTS, FLOW))] * 1000)
    list(session.receive_datagrams(replace(given, stream=np.arange(1000, dtype=np.int32))))
    assert len(session.ledgers) == 257
    assert sum(ledger.records for ledger in session.ledgers) == 1000


def test_a_file_has_no_datagrams() -> None:
    with pytest.raises(HeadwaterError, match="no datagrams"):
        Session(transport="file").receive_datagrams(datagrams((HERE, b.message(PORTS))))


def test_thousands_of_sessions_of_one_address_are_forgotten_at_once() -> None:
    session = Session()
    keys = [SessionKey("192.0.2.8", port) for port in range(1, 20_001)]
    one = b.message(PORTS, FLOW)
    end = np.arange(1, len(keys) + 1, dtype=np.int32) * len(one)
    peer, offset = np.arange(len(keys), dtype=np.int32), end.astype(np.int64)
    buffer = np.frombuffer(one * len(keys), np.uint8)
    list(session.receive_datagrams(Datagrams(buffer, end - len(one), end, peer, keys, offset, offset), now=1.0))
    ledgers, _ = session.forget_idle(2.0)  # what takes a time for each that goes with the number of all takes minutes
    assert len(ledgers) == 20_000
    assert session.num_exporters == 0


def test_two_sessions_of_one_netflow_9_exporter_may_end_at_once() -> None:
    session = Session(transport="sctp")
    heard(session, (HERE, netflow9(TEMPLATE, DATA)), (THERE, netflow9(DATA, sequence=1)))
    ledgers, _ = session.forget([HERE, THERE])
    assert [ledger.messages for ledger in ledgers] == [2]
    assert session.num_exporters == 0
