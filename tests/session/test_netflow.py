"""NetFlow and IPFIX of many exporters through one Session: who is who, what is remembered, what is told."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from headwater.errors import Fault, FaultKind
from headwater.session import Datagrams, DataSets, Event, KeyPolicy, KeyRule, Limits, Session, SessionKey
from headwater.session.events import SequenceGap
from tests import build as b

HERE, THERE = SessionKey("192.0.2.1", 1111), SessionKey("192.0.2.1", 2222)
OTHER = SessionKey("192.0.2.9", 1111)
PORT = b"\x01\x00\x00\x01\x00\x07\x00\x02"  # Template 256: sourceTransportPort
TEMPLATE = struct.pack("!HH", 0, 12) + PORT
DATA = struct.pack("!HHHH", 256, 8, 80, 443)


def netflow9(
    *sets: bytes, sequence: int = 0, uptime: int = 600_000, seconds: int = 1_700_000_000, source: int = 5
) -> bytes:
    count = sum(2 if one == DATA else 1 for one in sets)
    return struct.pack("!HHIIII", 9, count, uptime, seconds, sequence, source) + b"".join(sets)


def netflow5(count: int, *, sequence: int = 0, octets: int | None = None) -> bytes:
    header = struct.pack("!HHIIIIBBH", 5, count, 1000, 1_700_000_000, 0, sequence, 1, 2, 0x4064)
    return header + bytes(48 * count if octets is None else octets)


def datagrams(*given: tuple[SessionKey, bytes]) -> Datagrams:
    keys = list(dict.fromkeys(key for key, _ in given))
    ends = np.cumsum([len(payload) for _, payload in given]).astype(np.int32)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    peer = np.array([keys.index(key) for key, _ in given], np.int32)
    buffer = np.frombuffer(b"".join(payload for _, payload in given), np.uint8)
    return Datagrams(buffer, starts, ends, peer, keys, starts.astype(np.int64), np.arange(len(given), dtype=np.int64))


def heard(session: Session, *given: tuple[SessionKey, bytes]) -> list[Event]:
    return list(session.receive_datagrams(datagrams(*given)))


def records(events: list[Event]) -> int:
    return sum(event.num_records for event in events if isinstance(event, DataSets))


def test_all_versions_come_mixed_and_each_message_keeps_its_facts() -> None:
    session = Session()
    ipfix = b.message(b.template_set(b.template(256, (7, 2))), b.data_set(256, b.uint(80, 2)))
    events = heard(session, (HERE, netflow9(TEMPLATE, DATA)), (OTHER, ipfix), (HERE, netflow5(2)))
    runs = [event for event in events if isinstance(event, DataSets)]
    assert records(events) == 5
    messages = runs[0].messages
    assert messages.version.tolist() == [9, 10, 5]
    assert [messages.key(m) for m in range(3)] == [HERE, OTHER, HERE]
    assert messages.domain.tolist() == [5, 1, 258]
    assert messages.uptime is not None
    assert messages.uptime.tolist() == [600_000, 0, 1000]
    assert messages.sampling is not None
    assert messages.sampling.tolist() == [0, 0, 0x4064]
    assert session.counters["messages"] == 3
    assert session.counters["records"] == 5


def test_netflow9_templates_go_by_address_and_those_of_ipfix_by_port_too() -> None:
    template = b.message(b.template_set(b.template(256, (7, 2))))
    data = b.message(b.data_set(256, b.uint(80, 2)))
    for policy, of_ipfix, of_netflow in (
        (None, 0, 2),
        (KeyPolicy(KeyRule.ADDRESS), 1, 2),
        (KeyPolicy(KeyRule.RFC), 0, 0),
    ):
        session = Session(policy=policy, limits=Limits(held_sets=0))
        assert records(heard(session, (HERE, template), (THERE, data))) == of_ipfix
        assert records(heard(session, (HERE, netflow9(TEMPLATE)), (THERE, netflow9(DATA)))) == of_netflow
        assert records(heard(session, (OTHER, netflow9(DATA)))) == 0


def test_a_rule_can_be_given_for_one_exporter() -> None:
    session = Session(policy=KeyPolicy(exporters={"192.0.2.1": KeyRule.RFC}), limits=Limits(held_sets=0))
    assert records(heard(session, (HERE, netflow9(TEMPLATE)), (THERE, netflow9(DATA)))) == 0


def test_a_missing_template_says_what_was_looked_up_and_who_has_it() -> None:
    session = Session()
    data = b.message(b.data_set(256, b.uint(80, 2)))
    heard(session, (HERE, b.message(b.template_set(b.template(256, (7, 2))))))
    (fault,) = heard(session, (THERE, data))
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.UNKNOWN_TEMPLATE
    assert "of 192.0.2.1:2222 (address and port); 192.0.2.1:1111 has one" in fault.detail
    assert fault.key == THERE


def test_a_snapshot_restored_decodes_the_first_datagram() -> None:
    session = Session()
    heard(session, (HERE, netflow9(TEMPLATE)), (OTHER, b.message(b.template_set(b.template(256, (7, 2))))))
    renewed = Session()
    assert renewed.restore(session.snapshot()) == 2
    events = heard(renewed, (THERE, netflow9(DATA)), (OTHER, b.message(b.data_set(256, b.uint(80, 2)))))
    assert records(events) == 3
    assert renewed.snapshot() == session.snapshot()


def test_netflow9_counts_messages_and_netflow5_flows() -> None:
    session = Session()
    heard(session, (HERE, netflow9(TEMPLATE, DATA, sequence=7)), (HERE, netflow5(2, sequence=100)))
    told = heard(session, (HERE, netflow9(DATA, sequence=10)), (HERE, netflow5(1, sequence=105)))
    gaps = [event for event in told if isinstance(event, SequenceGap)]
    assert [(gap.lost, gap.unit) for gap in gaps] == [(2, "messages"), (3, "records")]
    assert [(ledger.version, ledger.lost, ledger.records) for ledger in session.ledgers] == [(9, 2, 4), (5, 3, 3)]


def test_an_exporter_that_restarts_has_its_templates_forgotten() -> None:
    session = Session(limits=Limits(held_sets=0))
    heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=10_000_000)))
    told = heard(session, (HERE, netflow9(DATA, sequence=1, uptime=5_000, seconds=1_700_000_100)))
    assert session.counters[FaultKind.EXPORTER_RESTART] == 1
    assert records(told) == 0
    assert records(heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=6_000, seconds=1_700_000_101)))) == 2


def test_a_wrap_of_the_uptime_or_a_late_datagram_is_no_restart() -> None:
    session = Session()
    last = (1 << 32) - 1000
    heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=last)))
    assert records(heard(session, (HERE, netflow9(DATA, sequence=1, uptime=1000, seconds=1_700_000_002)))) == 2
    assert records(heard(session, (HERE, netflow9(DATA, sequence=2, uptime=500, seconds=1_700_000_001)))) == 2
    assert session.counters[FaultKind.EXPORTER_RESTART] == 0


@pytest.mark.parametrize(("count", "octets", "found", "kind"), [
    (30, 120, 2, FaultKind.TRUNCATED),
    (65535, 0, 0, FaultKind.TRUNCATED),
    (0, 96, 2, FaultKind.COUNT_MISMATCH),
    (1, 100, 1, FaultKind.COUNT_MISMATCH),
])  # fmt: skip
def test_the_count_of_netflow5_is_never_trusted_over_the_octets(
    count: int, octets: int, found: int, kind: FaultKind
) -> None:
    session = Session()
    assert records(heard(session, (HERE, netflow5(count, octets=octets)))) == found
    assert session.counters[kind] == 1


def test_more_exporters_than_the_limit_are_told_and_learn_nothing() -> None:
    session = Session(limits=Limits(sessions=1, held_sets=0))
    told = heard(session, (HERE, netflow9(TEMPLATE, DATA)), (OTHER, netflow9(TEMPLATE, DATA)))
    assert records(told) == 2
    assert session.counters[FaultKind.SESSION_LIMIT] == 1


def test_a_thousand_exporters_with_one_template_make_one_run() -> None:
    given = [(SessionKey(f"10.0.{i >> 8}.{i & 255}", 1), netflow9(TEMPLATE, DATA)) for i in range(1000)]
    session = Session()
    heard(session, *given)
    again = [(key, netflow9(DATA, sequence=1)) for key, _ in given]
    runs = [event for event in heard(session, *again) if isinstance(event, DataSets)]
    assert [run.num_records for run in runs] == [2000]
    assert session.counters["sequence_gap"] == 0
