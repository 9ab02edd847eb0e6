"""A raw spool is read as what it holds would have been decoded when it came: the same records, faults and ledgers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.batch.decode import Decoder
from headwater.errors import Fault, FaultKind
from headwater.session import DataSets, Session
from headwater.session.key import SessionKey, Transport
from headwater.session.sequence import DomainLedger
from headwater.transport.incoming.block import Block
from tests import build as b
from tests import packets
from tests.transport.spools import EXPORTER, LOCAL, OTHER, RECEIVED, block, pieces, spool

FACTS = ["collectionTimeMilliseconds", "exporterIPv4Address", "exporterIPv6Address", "observationDomainId"]
TEMPLATE = b.message(b.template_set(b.template(256, (8, 4), (10, 4))))
ROW = {"sourceIPv4Address": "192.0.2.1", "ingressInterface": 5}
LANES: dict[Transport, tuple[Transport, tuple[str, int]]] = {
    transport: (transport, LOCAL) for transport in Transport if transport is not Transport.FILE
}


def data(sequence: int, records: int = 1, **options: Any) -> bytes:
    record = b.ipv4("192.0.2.1") + b.uint(5)
    return b.message(b.data_set(256, *[record] * records), sequence=sequence, **options)


class Live:
    """What a Collecting Process makes of blocks when they come."""

    def __init__(self, transport: Transport) -> None:
        self.session = Session(transport=transport)
        self.decoder = Decoder(None, tuple(FACTS))
        self.rows: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.ended: list[DomainLedger] = []

    def take(self, one: Block) -> None:
        received = one.datagrams.received
        self._take(self.session.receive_datagrams(one.datagrams, now=received[-1] / 1e9 if len(received) else 0.0))
        if one.ended:
            ledgers, events = self.session.forget(one.ended)
            self.ended += ledgers
            self._take(events)

    def close(self) -> None:
        self._take(self.session.close())

    def _take(self, events: Any) -> None:
        for event in events:
            if isinstance(event, DataSets):
                batch = self.decoder.decode(event)
                self.rows += batch.rows()
                self.faults += batch.faults
            elif isinstance(event, Fault):
                self.faults.append(event)

    @property
    def ledgers(self) -> list[DomainLedger]:
        return self.session.ledgers + self.ended


COUNTS = ("messages", "records", "lost", "late", "duplicates", "resets", "undecodable_sets", "malformed")


def counted(ledgers: list[DomainLedger]) -> dict[Any, list[int]]:
    """Counts by exporter, domain and stream."""
    found: dict[Any, list[int]] = {}
    for one in ledgers:
        counts = found.setdefault((one.key, one.version, one.domain, one.stream), [0] * len(COUNTS))
        for i, name in enumerate(COUNTS):
            counts[i] += getattr(one, name)
    return {key: counts for key, counts in found.items() if any(counts)}


def grouped(rows: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    """By exporter and columns: batches are of more blocks than were decoded together when they came."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        who = row["exporterIPv4Address"], row["exporterIPv6Address"], row["observationDomainId"]
        found.setdefault((who, tuple(row)), []).append(row)
    return found


def told(faults: list[Fault]) -> list[tuple[Any, ...]]:
    """Without their offsets, which are those of the spool."""
    return [(fault.kind, fault.domain, fault.count, fault.key) for fault in faults]


def read(*sources: Any, **options: Any) -> tuple[list[dict[str, Any]], hw.Report]:
    reading = hw.read(list(sources), provenance=FACTS, **options)
    return [row for batch in reading for row in batch.rows()], reading.report


def faults_of(report: hw.Report) -> list[Fault]:
    return [fault for source in report.sources for fault in source.fault_list]


def blocks_of(transport: Transport) -> list[Block]:
    """Two exporters: losses, late and double Messages, data before Templates, malformed and foreign octets."""
    is_stream = transport.is_stream
    run = (lambda *messages: (b"".join(messages),)) if is_stream else (lambda *messages: messages)
    other = b.message(b.template_set(b.template(256, (12, 4), (14, 4))), domain=7)
    return [
        block(*run(data(0), TEMPLATE, data(1, 3)), received=RECEIVED),
        block(*run(other, b.message(b.data_set(256, bytes(16)), domain=7)), keys=[OTHER], received=RECEIVED + 10**9),
        block(*run(data(4), data(9, 2)), keys=[EXPORTER], received=RECEIVED + 2 * 10**9),
        block(*run(data(5, 2), data(9, 2), data(11)), received=RECEIVED + 3 * 10**9),
        block(*run(data(12, domain=8), b.message(b.any_set(256, b"\1" * 3, length=2), sequence=12), data(12)), b"\0\7"),
        block(b.message(b.data_set(300, bytes(8)), sequence=2, domain=7), keys=[OTHER], received=RECEIVED + 5 * 10**9),
    ]


@pytest.mark.parametrize("transport", LANES)
@pytest.mark.parametrize("cut", range(7))
def test_what_is_read_equals_what_would_have_been_decoded(transport: Transport, cut: int) -> None:
    live, blocks = Live(transport), blocks_of(transport)
    for one in blocks:
        live.take(one)
    live.close()
    lane = LANES[transport]
    rows, report = read(spool(*blocks[:cut], lane=lane), spool(*blocks[cut:], lane=lane, mark=b"another!"))
    assert grouped(rows) == grouped(live.rows)
    assert len(rows) > 10
    assert told(faults_of(report)) == told(live.faults)
    assert counted([ledger for source in report.sources for ledger in source.ledgers]) == counted(live.ledgers)
    assert sum(source.messages for source in report.sources) == live.session.counters["messages"]
    assert [source.content for source in report.sources] == ["spool", "spool"]


def test_netflow_of_all_versions_is_read_as_it_came() -> None:
    blocks = [
        block(b.netflow5(b.netflow5_record("192.0.2.3", "192.0.2.4")), received=RECEIVED),
        block(b.netflow9(b.netflow9_template(260, (8, 4)), b.data_set(260, b.ipv4("192.0.2.5")))),
        block(data(0), TEMPLATE, b"\0\0\0\5\0\0\0\1", keys=[OTHER]),
    ]
    live = Live(Transport.UDP)
    for one in blocks:
        live.take(one)
    live.close()
    rows, report = read(spool(*blocks))
    assert rows == live.rows
    assert len(rows) == 3
    assert told(faults_of(report)) == told(live.faults)
    assert counted(report.sources[0].ledgers) == counted(live.ledgers)


def test_arrival_and_exporter_are_those_of_the_datagram() -> None:
    rows, _ = read(spool(block(TEMPLATE, data(0), data(1), keys=[EXPORTER, EXPORTER], received=RECEIVED)))
    assert [row["collectionTimeMilliseconds"] for row in rows] == [RECEIVED // 10**6] * 2
    assert {row["exporterIPv4Address"] for row in rows} == {"192.0.2.1"}


def test_sessions_that_ended_take_their_templates_with_them_also_in_the_next_spool() -> None:
    lane = LANES[Transport.TCP]
    first = spool(block(TEMPLATE + data(0)), block(ended=[EXPORTER]), lane=lane)
    rows, report = read(first, spool(block(data(0)), lane=lane))
    assert len(rows) == 1
    assert report.faults[FaultKind.UNKNOWN_TEMPLATE] == 1
    assert report.sources[0].capture is not None
    assert report.sources[0].capture.packets["ended"] == 1
    assert [ledger.records for source in report.sources for ledger in source.ledgers] == [1, 0]


def test_data_that_waits_for_a_template_gets_it_from_the_next_spool() -> None:
    rows, report = read(spool(block(data(0))), spool(block(TEMPLATE)))
    assert len(rows) == 1
    assert "held_dropped" not in report.faults
    rows, report = read(spool(block(data(0))), spool(block(data(1))))
    assert rows == []
    assert report.faults[FaultKind.HELD_DROPPED] == 2


def test_data_of_several_blocks_that_waits_keeps_its_exporter() -> None:
    third = SessionKey("192.0.2.3", 3)
    waiting = [block(data(0), keys=[OTHER]), block(TEMPLATE, data(0), data(0), keys=[third, third, EXPORTER])]
    rows, _ = read(spool(*waiting, block(data(1)), block(TEMPLATE)))
    assert [row["exporterIPv4Address"] for row in rows] == ["192.0.2.3", "192.0.2.1", "192.0.2.1"]


def test_a_gap_between_two_spools_is_a_gap() -> None:
    _, report = read(spool(block(TEMPLATE, data(0))), spool(block(data(5))))
    assert [source.lost for source in report.sources] == [0, 4]
    _, report = read(spool(block(TEMPLATE, data(0), data(3))), spool(block(data(1, 2))))
    assert [source.lost for source in report.sources] == [2, -2]
    assert report.lost == 0


def test_another_run_of_a_collector_has_sessions_of_its_own_and_knows_what_came_over_udp() -> None:
    rows, report = read(spool(block(TEMPLATE, data(0))), spool(block(data(7)), run=b"another "))
    assert len(rows) == 2
    assert (report.lost, dict(report.faults)) == (0, {})
    lane = LANES[Transport.TCP]
    rows, report = read(spool(block(TEMPLATE + data(0)), lane=lane), spool(block(data(7)), lane=lane, run=b"another "))
    assert len(rows) == 1
    assert report.lost == 0
    assert report.faults[FaultKind.UNKNOWN_TEMPLATE] == 1


def test_files_of_several_runs_may_be_mixed() -> None:
    first, second = b"worker 0", b"worker 1"
    rows, report = read(
        spool(block(TEMPLATE, data(0)), run=first),
        spool(block(TEMPLATE, data(0), keys=[OTHER]), run=second),
        spool(block(data(1)), run=first),
        spool(block(data(5), keys=[OTHER]), run=second),
    )
    assert len(rows) == 4
    assert report.lost == 4


def test_listeners_have_sessions_of_their_own() -> None:
    elsewhere = (Transport.UDP, ("192.0.2.9", 9995))
    head, one = pieces(block(TEMPLATE))
    two = pieces(block(data(0)), lane=elsewhere)[1]
    three = pieces(block(data(0)))[1]
    rows, report = read(head + one + two + three)
    assert len(rows) == 1
    assert report.faults[FaultKind.UNKNOWN_TEMPLATE] == 1


def test_options_that_come_later_are_joined_over_all_spools(tmp_path: Path) -> None:
    options = b.message(
        b.options_template_set(b.options_template(400, (10, 4), (82, b.VARIABLE))),
        b.data_set(400, b.uint(5) + b.var(b"eth0")),
        sequence=1,
    )
    (tmp_path / "1.hwspool").write_bytes(spool(block(TEMPLATE)))
    (tmp_path / "2.hwspool").write_bytes(spool(block(data(0), options)))
    reading = hw.read(tmp_path, join_options=True, options=False)
    rows = [row for batch in reading for row in batch.rows()]
    assert [row["ingressInterfaceName"] for row in rows] == ["eth0"]


def test_a_torn_spool_and_a_compressed_one_are_read(tmp_path: Path) -> None:
    octets = spool(block(TEMPLATE, data(0)), block(data(1)))
    rows, report = read(octets[:-3])
    assert len(rows) == 1
    assert report.faults[FaultKind.TRUNCATED_TAIL] == 1
    assert not report.is_complete
    (tmp_path / "x.hwspool.gz").write_bytes(gzip.compress(octets))
    rows, report = read(tmp_path / "x.hwspool.gz")
    assert len(rows) == 2
    assert (report.sources[0].compression, report.sources[0].content) == ("gzip", "spool")


def test_a_damaged_block_is_an_error_where_reading_is_strict() -> None:
    octets = bytearray(spool(block(TEMPLATE, data(0)), block(data(1))))
    octets[-1] ^= 1
    with pytest.raises(hw.DecodeError, match="damaged"):
        read(bytes(octets), strict=True)


def test_very_many_listeners_are_not_all_remembered() -> None:
    head = pieces()[0]
    blocks = [pieces(block(data(0)), lane=(Transport.UDP, ("::", port)))[1] for port in range(300)]
    rows, report = read(head + b"".join(blocks))
    assert rows == []
    assert report.faults[FaultKind.HELD_DROPPED] == 300
    assert report.messages == 300


def test_dropped_datagrams_are_told() -> None:
    _, report = read(spool(block(TEMPLATE, dropped={EXPORTER: 7, OTHER: 2})))
    assert report.sources[0].capture is not None
    assert report.sources[0].capture.to_dict()["dropped"] == 9


def test_more_octets_than_allowed_are_an_error() -> None:
    with pytest.raises(hw.LimitExceeded):
        read(spool(block(TEMPLATE), block(data(0))), max_octets=100)


def test_a_capture_before_teaches_the_templates_of_udp() -> None:
    capture = packets.pcap([(RECEIVED, packets.udp(TEMPLATE))], link=packets.RAW)
    reading = hw.read(capture)
    assert list(reading) == []
    (use,) = reading.report.sources[0].templates
    rows, _ = read(capture, spool(block(data(0), keys=[use.key])))
    assert len(rows) == 1


def test_captures_with_more_octets_than_allowed_are_an_error_too() -> None:
    capture = packets.pcap([(RECEIVED, packets.udp(TEMPLATE))], link=packets.RAW)
    with pytest.raises(hw.LimitExceeded):
        list(hw.read(capture, max_octets=10))
