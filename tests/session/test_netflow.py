"""NetFlow and IPFIX of many exporters through one Session: who is who, what is remembered, what is told."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from headwater.errors import Fault, FaultKind, HeadwaterError
from headwater.session import Datagrams, DataSets, Event, KeyPolicy, KeyRule, Limits, Session, SessionKey
from headwater.session.events import SequenceGap
from headwater.wire.dialect import IPFIX, NETFLOW9
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


def test_a_rule_may_be_given_by_its_name() -> None:
    assert KeyPolicy("rfc").has_port(NETFLOW9, HERE)  # type: ignore[arg-type]  # as people write it
    assert not KeyPolicy("address").has_port(IPFIX, HERE)  # type: ignore[arg-type]
    assert KeyPolicy(exporters={HERE.address: "rfc"}).has_port(NETFLOW9, HERE)  # type: ignore[dict-item]


@pytest.mark.parametrize("arguments", [{"rule": "port"}, {"exporters": {"192.0.2.1": "port"}}])
def test_a_rule_that_does_not_exist_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(HeadwaterError, match="key rule must be one of auto, rfc, address, not 'port'"):
        KeyPolicy(**arguments)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    either: tuple[dict[str, Any], ...] = ({"port": port}, {"local_port": port})
    for ports in either:
        with pytest.raises(HeadwaterError, match=f"a port is 0 to 65535, not {port}"):
            SessionKey("192.0.2.1", **ports)


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


@pytest.mark.parametrize("step", [-86_400, 86_400])
def test_a_clock_that_is_set_is_no_restart(step: int) -> None:
    session = Session()
    heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=600_000)))
    told = heard(session, (HERE, netflow9(DATA, sequence=1, uptime=601_000, seconds=1_700_000_001 + step)))
    assert records(told) == 2
    assert session.counters[FaultKind.EXPORTER_RESTART] == 0


def test_each_source_of_an_exporter_that_restarts_is_forgotten_when_it_says_so() -> None:
    session = Session()
    old = {"uptime": 10_000_000}
    new = {"uptime": 5_000, "seconds": 1_700_000_100}
    heard(session, *((HERE, netflow9(TEMPLATE, DATA, source=source, **old)) for source in (1, 2)))
    assert records(heard(session, (HERE, netflow9(DATA, sequence=1, source=1, **new)))) == 0
    assert records(heard(session, (HERE, netflow9(DATA, sequence=1, source=2, **old)))) == 2
    assert records(heard(session, (HERE, netflow9(DATA, sequence=2, source=2, **new)))) == 0
    assert session.counters[FaultKind.EXPORTER_RESTART] == 2


def test_a_restart_and_the_new_templates_may_come_in_one_buffer() -> None:
    session = Session()
    heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=10_000_000)))
    other = struct.pack("!HH", 0, 12) + b"\x01\x00\x00\x01\x00\x0b\x00\x02"
    told = heard(
        session,
        (HERE, netflow9(DATA, sequence=1, uptime=10_001_000, seconds=1_700_000_001)),
        (HERE, netflow9(other, DATA, sequence=0, uptime=5_000, seconds=1_700_000_100)),
    )
    runs = [event for event in told if isinstance(event, DataSets)]
    assert [[field.name for field in run.template.fields] for run in runs] == [
        ["sourceTransportPort"],
        ["destinationTransportPort"],
    ]
    assert session.counters[FaultKind.TEMPLATE_REPLACED] == 0


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


EXPORTERS = [SessionKey(f"10.0.{i >> 8}.{i & 255}", 1) for i in range(1000)]


def test_a_thousand_exporters_with_one_template_make_one_run() -> None:
    session = Session()
    heard(session, *((key, netflow9(TEMPLATE, DATA)) for key in EXPORTERS))
    events = heard(session, *((key, netflow9(DATA, sequence=1)) for key in EXPORTERS))
    runs = [event for event in events if isinstance(event, DataSets)]
    assert [run.num_records for run in runs] == [2000]
    assert session.counters["sequence_gap"] == 0


def test_a_thousand_exporters_of_netflow5_make_one_run() -> None:
    session = Session()
    for sequence in (0, 2):
        events = heard(session, *((key, netflow5(2, sequence=sequence)) for key in EXPORTERS))
        assert [event.num_records for event in events if isinstance(event, DataSets)] == [2000]
    assert len(session.ledgers) == 1000


def test_only_a_few_sessions_of_an_address_are_asked_for_a_missing_template() -> None:
    sessions = [SessionKey("192.0.2.1", port) for port in range(1, 101)]
    message = b.message(b.data_set(300, bytes(4)))

    def hint(of_the_template: SessionKey) -> str:
        session = Session()
        heard(session, *((key, b.message()) for key in sessions))
        heard(session, (of_the_template, b.message(b.template_set(b.template(300, (8, 4))))))
        (fault,) = [event for event in heard(session, (sessions[50], message)) if isinstance(event, Fault)]
        return fault.detail

    assert "192.0.2.1:20 has one" in hint(sessions[19])
    assert "has one" not in hint(sessions[-1])


def test_the_limits_of_all_exporters_hold_beside_those_of_each() -> None:
    session = Session(limits=Limits(templates_in_all=3, domains_in_all=4, held_sets=0))
    told = heard(session, *((key, netflow9(TEMPLATE, DATA)) for key in EXPORTERS[:5]))
    assert records(told) == 6
    assert session.counters[FaultKind.TEMPLATE_LIMIT] == 2
    assert len(session.ledgers) == 4
    few = Session(limits=Limits(template_octets_in_all=8, held_sets=0))
    assert records(heard(few, *((key, netflow9(TEMPLATE, DATA)) for key in EXPORTERS[:5]))) == 4


def test_room_for_templates_is_given_back_when_an_exporter_restarts() -> None:
    session = Session(limits=Limits(templates_in_all=1))
    heard(session, (HERE, netflow9(TEMPLATE, DATA, uptime=10_000_000)))
    heard(session, (HERE, netflow9(DATA, sequence=1, uptime=5_000, seconds=1_700_000_100)))
    assert records(heard(session, (OTHER, netflow9(TEMPLATE, DATA)))) == 2


def test_each_exporter_of_sflow_is_told_with_its_number_of_datagrams() -> None:
    session = Session()
    sflow = b"\0\0\0\5" + bytes(24)
    told = heard(session, (OTHER, sflow), (HERE, netflow5(1)), (HERE, sflow), (OTHER, sflow), (HERE, b"\0\0\0\6"))
    faults = [(f.kind, f.key, f.count) for f in told if isinstance(f, Fault)]
    assert faults == [
        (FaultKind.SFLOW, OTHER, 2),
        (FaultKind.SFLOW, HERE, 1),
        (FaultKind.VERSION, HERE, 1),
    ]
    assert session.counters[FaultKind.SFLOW] == 3


def test_what_is_wrong_with_netflow5_is_told_of_its_engine() -> None:
    torn, unknown = netflow5(2, octets=50), struct.pack("!HHIIIIBBBBI", 8, 1, 0, 1, 0, 0, 3, 4, 99, 2, 0)
    told = [event for event in heard(Session(), (HERE, torn), (OTHER, unknown)) if isinstance(event, Fault)]
    assert [(f.kind, f.domain, f.key) for f in told] == [
        (FaultKind.TRUNCATED, 0x0102, HERE),
        (FaultKind.AGGREGATION, 0x0304, OTHER),
    ]


def test_more_nanoseconds_than_a_second_has_are_doubtful() -> None:
    odd = struct.pack("!HHIIIIBBH", 5, 1, 1000, 1_700_000_000, 1_000_000_000, 0, 1, 2, 0) + bytes(48)
    (fault,) = [event for event in heard(Session(), (HERE, odd)) if isinstance(event, Fault)]
    assert (fault.kind, fault.detail) == (FaultKind.TIME_SUSPECT, "1000000000 nanoseconds of a second")
