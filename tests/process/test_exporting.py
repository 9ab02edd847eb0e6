"""The exporting process: records to collectors that come, go and do not listen."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import headwater as hw
from headwater.batch.encode import Encoder
from headwater.errors import EncodeError, HeadwaterError, TransportError
from headwater.process.exporting import Exporter
from headwater.process.exporting_report import Amount
from tests import build
from tests.process.collectors import DEADLINE_S, TcpCollector, UdpCollector, free_port, records_of, until

QUICK = "retry=0.05&retry_first=0.01"


def flows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"sourceIPv4Address": f"192.0.2.{n % 256}", "sourceTransportPort": n % 65536, "octetDeltaCount": n}
        for n in range(first, first + count)
    ]


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return [row["octetDeltaCount"] for row in rows]


def refused(exporter: Exporter) -> int:
    """Records of which the network has said so far that nobody took them."""
    return exporter.report[0].dropped.get("refused", Amount()).records


# --- one collector ---


def test_nothing_is_opened_before_with() -> None:
    before = set(threading.enumerate())  # of which some may end meanwhile
    exporter = Exporter(["udp://192.0.2.1", "tcp://192.0.2.1"])
    assert set(threading.enumerate()) <= before
    assert repr(exporter) == "<Exporter to udp://192.0.2.1:4739, tcp://192.0.2.1:4739: new>"
    with pytest.raises(HeadwaterError, match="is not open: use it in a with block"):
        exporter.write(flows(1))


def test_all_records_arrive_over_udp_and_no_datagram_exceeds_512_octets() -> None:
    with UdpCollector() as collector, Exporter(collector.url) as exporter:
        assert exporter.write(flows(1000)) == 1000
        assert exporter.flush(DEADLINE_S)
        datagrams = collector.datagrams(records=1000)
        assert max(map(len, datagrams)) <= 512
        assert numbers(records_of(b"".join(datagrams))) == list(range(1000))
        (report,) = exporter.report
        assert (report.given.records, report.sent.records, report.waiting.records) == (1000, 1000, 0)
        assert not report.dropped


def test_datagrams_are_as_large_as_the_url_says() -> None:
    with UdpCollector() as collector, Exporter(f"{collector.url}?mtu=1400") as exporter:
        exporter.write(flows(1000))
        assert exporter.flush(DEADLINE_S)
        assert 1380 < max(map(len, collector.datagrams(records=1000))) <= 1400


def test_the_kernel_is_asked_for_the_mtu_of_the_path() -> None:
    with UdpCollector() as collector, Exporter(f"{collector.url}?mtu=discover") as exporter:
        exporter.write(flows(10_000))
        assert exporter.flush(DEADLINE_S)
        datagrams = collector.datagrams(records=10_000)
        assert max(map(len, datagrams)) > 1400  # that of the loopback is 64 KiB
        assert numbers(records_of(b"".join(datagrams))) == list(range(10_000))


def test_templates_are_repeated_over_udp() -> None:
    with UdpCollector() as collector, Exporter(f"{collector.url}?refresh_messages=5") as exporter:
        exporter.write(flows(1000))
        assert exporter.flush(DEADLINE_S)
        sent = collector.datagrams(messages=exporter.report[0].messages)
        templates = [one for one in sent if one[16:18] == b"\0\2"]
        assert len(templates) == 6  # of 30 Messages: before the first, and after each 5 of them


def test_all_records_arrive_over_tcp() -> None:
    with TcpCollector() as collector:
        with Exporter(collector.url) as exporter:
            exporter.write(flows(100_000))
            rows = collector.read(100_000)
            assert exporter.flush(DEADLINE_S)
            (report,) = exporter.report
        assert numbers(rows) == list(range(100_000))
        assert (report.state, report.connections, report.sent.records) == ("connected", 1, 100_000)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_collectors_may_have_addresses_of_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as collector:
        try:
            collector.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on the loopback")
        collector.settimeout(DEADLINE_S)
        port = collector.getsockname()[1]
        with Exporter(f"udp://[::1]:{port}") as exporter:
            exporter.write(flows(10))
            assert exporter.flush(DEADLINE_S)
            assert numbers(records_of(collector.recv(65535) + collector.recv(65535))) == list(range(10))
            collector.connect(("::1", port))  # from now on it takes nothing of others, but keeps its port
            exporter.write(flows(10))
            until(lambda: refused(exporter) == 10)


def test_of_the_addresses_of_localhost_that_of_ipv4_is_used_for_datagrams() -> None:
    with UdpCollector() as collector, Exporter(f"udp://localhost:{collector.port}") as exporter:
        exporter.write(flows(10))
        assert exporter.flush(DEADLINE_S)
        assert numbers(records_of(b"".join(collector.datagrams(records=10)))) == list(range(10))


def test_with_a_rate_messages_have_only_a_few_records() -> None:
    with TcpCollector() as collector, Exporter(f"{collector.url}?rate=5000") as exporter:
        exporter.write(flows(1200))
        collector.read(1200)
        assert exporter.flush(DEADLINE_S)
        assert exporter.report[0].sent == (1200, 3)


def test_threads_can_write_at_the_same_time() -> None:
    with TcpCollector() as collector, Exporter(f"{collector.url}?queue=100000") as exporter:

        def write(first: int) -> None:
            for number in range(10):
                exporter.write(flows(500, first + 500 * number))

        writing = [threading.Thread(target=write, args=[5000 * number]) for number in range(4)]
        for thread in writing:
            thread.start()
        rows = collector.read(20_000)
        for thread in writing:
            thread.join()
        assert exporter.flush(DEADLINE_S)
    assert sorted(numbers(rows)) == list(range(20_000))


def test_closing_sends_what_waits() -> None:
    with TcpCollector() as collector:
        with Exporter(collector.url) as exporter:
            exporter.write(flows(10))
        assert numbers(collector.read_to_end()) == list(range(10))
        assert exporter.report[0].state == "closed"
        with pytest.raises(HeadwaterError, match="the Exporter is closed"):
            exporter.write(flows(1))
        with pytest.raises(HeadwaterError, match="opened once"):
            exporter.open()


def test_what_cannot_go_on_the_wire_is_told_before_anything_is_queued() -> None:
    with UdpCollector() as collector, Exporter(collector.url) as exporter:
        with pytest.raises(EncodeError, match="row 1"):
            exporter.write([*flows(1), {**flows(1)[0], "octetDeltaCount": -1}])
        assert exporter.report[0].given == (0, 0)


def test_what_was_read_goes_out_with_its_domains(sample: Any) -> None:
    with TcpCollector() as collector, Exporter(collector.url) as exporter:
        assert exporter.write(hw.read(sample)) == 4554
        rows = collector.read(4554)
    wanted = [row for batch in hw.read(sample) for row in batch.rows()]
    assert sorted(map(str, rows)) == sorted(map(str, wanted))


def test_times_that_are_relative_to_an_export_time_are_not_sent_with_another_one() -> None:
    octets = build.message(
        build.template_set(build.template(256, (158, 4))), build.data_set(256, build.record(build.uint(7)))
    )
    told = "'flowStartDeltaMicroseconds' is relative to the Export Time"
    with Exporter("udp://127.0.0.1:9") as exporter, pytest.raises(EncodeError, match=told):
        exporter.write(hw.read(octets))


def test_records_without_some_values_get_templates_of_their_own() -> None:
    with UdpCollector() as collector, Exporter(collector.url, nulls="split") as exporter:
        exporter.write([{"octetDeltaCount": 1, "protocolIdentifier": 6}, {"octetDeltaCount": 2}])
        assert exporter.flush(DEADLINE_S)
        rows = records_of(b"".join(collector.datagrams(records=2)))
    assert rows == [{"octetDeltaCount": 1, "protocolIdentifier": 6}, {"octetDeltaCount": 2}]


# --- collectors that go away ---


def test_records_wait_for_a_collector_that_is_not_there_yet() -> None:
    with free_port() as port, Exporter(f"tcp://127.0.0.1:{port}?{QUICK}") as exporter:
        exporter.write(flows(100))
        assert until(lambda: exporter.report[0].error) == "connection refused"
        assert exporter.report[0].waiting.records == 100
        with TcpCollector(port) as collector:
            assert numbers(collector.read(100)) == list(range(100))
            assert exporter.flush(DEADLINE_S)


@pytest.mark.parametrize("version", [10, 9, 5])
def test_records_written_one_by_one_share_messages_if_they_have_to_wait(version: int) -> None:
    with free_port() as port:
        exporter = Exporter(f"tcp://127.0.0.1:{port}?{QUICK}&mtu=516&version={version}")
        exporter.open()
        for row in flows(350):
            exporter.write([row])
        with TcpCollector(port) as collector:
            if version == 10:
                assert numbers(collector.read(350)) == list(range(350))
            assert exporter.flush(DEADLINE_S)
            exporter.close()
        (report,) = exporter.report
        assert report.given == report.sent
        assert report.sent.records == 350
        assert report.sent.messages == {10: 10, 9: 350, 5: 35}[version]


def test_a_collector_that_has_read_everything_and_ends_gets_nothing_twice() -> None:
    with TcpCollector() as first, Exporter(f"{first.url}?{QUICK}") as exporter:
        exporter.write(flows(100))
        rows = first.read(100)
        assert exporter.flush(DEADLINE_S)
        first.close()
        until(lambda: exporter.report[0].error)  # what is sent before it is known that the first has gone is lost
        exporter.write(flows(100, 100))
        with TcpCollector(first.port) as second:
            rows += second.read(100)
            assert exporter.flush(DEADLINE_S)
        assert numbers(rows) == list(range(200))
        assert exporter.report[0].sent.records == 200
        assert exporter.report[0].connections == 2


def test_a_new_connection_begins_with_templates_and_sequence_number_0() -> None:
    with TcpCollector() as first, Exporter(f"{first.url}?{QUICK}") as exporter:
        exporter.write(flows(100))
        first.read(100)
        assert exporter.flush(DEADLINE_S)
        first.close()
        with TcpCollector(first.port) as second:
            exporter.write(flows(100, 100))
            second.read(100)
            assert second.octets[8:12] == bytes(4)
            assert second.octets[16:18] == b"\0\2"


def test_what_a_killed_collector_has_not_read_is_sent_again() -> None:
    with TcpCollector() as first, Exporter(f"{first.url}?{QUICK}") as exporter:
        exporter.write(flows(50_000))
        got = set(numbers(first.read(1000)))
        first.wait_for_more()
        first.close()
        with TcpCollector(first.port) as second:
            while 49_999 not in numbers(second.rows[-1:]):
                assert second.read_once()
            got |= set(numbers(second.rows))
            assert exporter.flush(DEADLINE_S)
        assert got == set(range(50_000))
        (report,) = exporter.report
        assert (report.given.records, report.sent.records, report.waiting.records) == (50_000, 50_000, 0)
        assert report.resent.records
        assert not report.dropped


def test_many_restarts_lose_nothing() -> None:
    got: Counter[int] = Counter()
    with TcpCollector() as first, Exporter(f"{first.url}?{QUICK}") as exporter:
        collector = first
        for number in range(5):
            exporter.write(flows(5000, number * 5000))
            got.update(numbers(collector.read(1 + 700 * number)))
            collector.close()
            collector = TcpCollector(first.port)
        exporter.write(flows(1, 25_000))
        while 25_000 not in numbers(collector.rows[-1:]):
            assert collector.read_once()
        got.update(numbers(collector.rows))
        assert exporter.flush(DEADLINE_S)
        collector.close()
    assert set(got) == set(range(25_001))


def test_datagrams_that_nobody_takes_are_counted_exactly() -> None:
    with free_port(socket.SOCK_DGRAM) as port, Exporter(f"udp://127.0.0.1:{port}") as exporter:
        exporter.write(flows(1000))
        assert exporter.flush(DEADLINE_S)
        until(lambda: refused(exporter) == 1000)
    (report,) = exporter.report
    assert report.sent.records == 0
    assert set(report.dropped) == {"refused"}
    assert report.dropped["refused"].messages + report.lost_templates == report.messages


def test_datagrams_are_counted_as_lost_only_while_the_collector_is_away() -> None:
    with UdpCollector() as first:
        port = first.port
        with Exporter(first.url) as exporter:
            exporter.write(flows(500))
            assert exporter.flush(DEADLINE_S)
            arrived = numbers(records_of(b"".join(first.datagrams(records=500))))
            first.close()
            exporter.write(flows(500, 500))
            until(lambda: refused(exporter) == 500)
            before = exporter.report[0].messages
            with UdpCollector(port) as second:
                exporter.write(flows(500, 1000))
                assert exporter.flush(DEADLINE_S)
                datagrams = second.datagrams(messages=exporter.report[0].messages - before)
        (report,) = exporter.report
    assert arrived == list(range(500))
    # the second has to wait for the Template to be repeated, but what was sent to it was received
    assert report.given.records == 1500
    assert report.sent.records == 1000
    assert report.dropped["refused"].records == 500
    assert report.sent.messages == 15 + sum(1 for one in datagrams if one[16:18] != b"\0\2")


def test_closing_with_a_collector_that_is_not_there_counts_what_is_lost() -> None:
    with free_port() as port:
        exporter = Exporter(f"tcp://127.0.0.1:{port}?{QUICK}")
        exporter.open()
        exporter.write(flows(100))
        exporter.close(0.05)
    assert exporter.report[0].dropped["closed"].records == 100


# --- full queues ---


def full(port: int, overflow: str) -> Exporter:
    return Exporter(f"tcp://127.0.0.1:{port}?{QUICK}&queue=2000&mtu=500&overflow={overflow}&timeout=0.05")


def test_writing_waits_for_room_and_then_raises() -> None:
    with free_port() as port:
        exporter = full(port, "block")
        exporter.open()
        with pytest.raises(TransportError, match=r"no room for .* records in .* messages within the time"):
            exporter.write(flows(1000))
        (report,) = exporter.report
        exporter.close(0)
    assert report.dropped["timeout"].records + report.waiting.records == 1000
    assert report.waiting.messages == 4


def test_the_newest_are_dropped_if_that_is_wanted() -> None:
    with free_port() as port, full(port, "drop-newest") as exporter:
        exporter.write(flows(1000))
        kept = exporter.report[0].waiting.records
        with TcpCollector(port) as collector:
            assert numbers(collector.read(kept)) == list(range(kept))
            assert exporter.flush(DEADLINE_S)
        assert exporter.report[0].dropped["drop-newest"].records == 1000 - kept


def test_the_oldest_are_dropped_if_that_is_wanted() -> None:
    with free_port() as port, full(port, "drop-oldest") as exporter:
        exporter.write(flows(1000))
        kept = exporter.report[0].waiting.records
        with TcpCollector(port) as collector:
            assert numbers(collector.read(kept)) == list(range(1000 - kept, 1000))
            assert exporter.flush(DEADLINE_S)
        assert exporter.report[0].dropped["drop-oldest"].records == 1000 - kept


def test_a_full_queue_is_an_error_if_that_is_wanted() -> None:
    with free_port() as port:
        exporter = full(port, "error")
        exporter.open()
        with pytest.raises(TransportError, match="the queue is full"):
            exporter.write(flows(1000))
        exporter.write(flows(10))
        assert exporter.report[0].dropped["error"].records == 1000
        assert exporter.report[0].waiting.records == 10
        exporter.close(0)


def test_writing_goes_on_when_there_is_room_again() -> None:
    with TcpCollector() as collector, Exporter(f"{collector.url}?queue=4000&mtu=500") as exporter:
        writing = threading.Thread(target=exporter.write, args=[flows(100_000)])
        writing.start()
        assert numbers(collector.read(100_000)) == list(range(100_000))
        writing.join()
        assert exporter.flush(DEADLINE_S)


# --- several collectors ---


def test_everybody_gets_everything_and_it_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = []
    encode = Encoder.encode

    def counting(self: Encoder, *arguments: Any, **options: Any) -> Any:
        rooms.append(arguments[3])
        return encode(self, *arguments, **options)

    monkeypatch.setattr(Encoder, "encode", counting)
    with UdpCollector() as a, UdpCollector() as b, UdpCollector() as c:
        with Exporter([a.url, b.url, f"{c.url}?mtu=1000"]) as exporter:
            exporter.write(flows(100))
        for collector in (a, b, c):
            assert numbers(records_of(b"".join(collector.datagrams(records=100)))) == list(range(100))
    assert [room.budget for room in rooms] == [492, 980]


def test_collectors_come_and_go() -> None:
    with UdpCollector() as a, UdpCollector() as b, Exporter(a.url) as exporter:
        exporter.write(flows(10))
        exporter.add_collector(b.url)
        exporter.write(flows(10, 10))
        exporter.remove_collector(a.url)
        exporter.write(flows(10, 20))
        assert exporter.flush(DEADLINE_S)
        assert numbers(records_of(b"".join(a.datagrams(records=20)))) == list(range(20))
        assert numbers(records_of(b"".join(b.datagrams(records=20)))) == list(range(10, 30))
        assert [report.state for report in exporter.report] == ["closed", "connected"]
        with pytest.raises(HeadwaterError, match="is no collector of this Exporter; there are udp://127"):
            exporter.remove_collector(a.url)
        with pytest.raises(HeadwaterError, match="already"):
            exporter.add_collector(b.url)


def test_without_collectors_nothing_can_be_written() -> None:
    with Exporter([]) as exporter, pytest.raises(HeadwaterError, match="no collector to send to; add one"):
        exporter.write(flows(1))


def test_another_collector_takes_over_what_the_first_has_not_got() -> None:
    with TcpCollector() as first, TcpCollector() as second:
        urls = [f"{first.url}?{QUICK}", f"{second.url}?{QUICK}&mtu=600"]
        with Exporter(urls, policy="failover") as exporter:
            until(lambda: all(report.state == "connected" for report in exporter.report))
            exporter.write(flows(100))
            rows = first.read(100)
            assert exporter.flush(DEADLINE_S)
            first.close()
            until(lambda: exporter.report[0].state != "connected")
            exporter.write(flows(100, 100))
            rows += second.read(100)
            assert exporter.flush(DEADLINE_S)
            assert [report.sent.records for report in exporter.report] == [100, 100]
    assert numbers(rows) == list(range(200))


def test_what_waits_for_nobody_goes_to_the_first_who_is_there() -> None:
    with free_port() as a, free_port() as b:
        urls = [f"tcp://127.0.0.1:{a}?{QUICK}", f"tcp://127.0.0.1:{b}?{QUICK}&mtu=600"]
        with Exporter(urls, policy="failover") as exporter:
            exporter.write(flows(100))
            with TcpCollector(b) as collector:
                assert numbers(collector.read(100)) == list(range(100))
                assert exporter.flush(DEADLINE_S)
            assert exporter.report[0].moved.records == 100
            assert exporter.report[0].given.records == 0


def test_what_the_first_may_have_had_is_told_as_sent_again_by_the_collector_that_takes_it_over() -> None:
    with (
        TcpCollector() as first,
        TcpCollector() as second,
        Exporter([f"{one.url}?{QUICK}" for one in (first, second)], policy="failover") as exporter,
    ):
        until(lambda: all(report.state == "connected" for report in exporter.report))
        exporter.write(flows(100))
        first.accept()
        assert exporter.flush(DEADLINE_S)
        first.close()
        assert numbers(second.read(100)) == list(range(100))
        assert exporter.flush(DEADLINE_S)
        assert [report.sent.records for report in exporter.report] == [0, 100]
        assert [report.resent.records for report in exporter.report] == [0, 100]


def test_what_there_was_no_room_for_goes_to_another_collector_as_well() -> None:
    with TcpCollector() as first, TcpCollector() as second:
        urls = [f"{first.url}?{QUICK}&send_buffer=20000&queue=4000&mtu=500", f"{second.url}?{QUICK}&mtu=500"]
        with Exporter(urls, policy="failover") as exporter:
            until(lambda: all(report.state == "connected" for report in exporter.report))
            writing = threading.Thread(target=exporter.write, args=[flows(100_000)], daemon=True)
            writing.start()
            first.accept()
            first.wait_for_more()
            first.close()
            assert sorted(numbers(second.read(100_000))) == list(range(100_000))
            writing.join()
            assert exporter.flush(DEADLINE_S)
            assert [report.sent.records for report in exporter.report] == [0, 100_000]


def test_flush_waits_for_what_is_moved_meanwhile_as_well() -> None:
    waiting: list[int] = []

    def flush(exporter: Exporter) -> None:
        assert exporter.flush()
        waiting.append(sum(report.waiting.records for report in exporter.report))

    with free_port() as port, TcpCollector() as second:
        urls = [f"tcp://127.0.0.1:{port}?{QUICK}&send_buffer=20000", f"{second.url}?{QUICK}&send_buffer=20000"]
        with Exporter(urls, policy="failover") as exporter:
            until(lambda: exporter.report[1].state == "connected")
            exporter.write(flows(100_000))
            flushing = threading.Thread(target=flush, args=[exporter], daemon=True)
            flushing.start()
            second.close()
            with TcpCollector(port) as first:
                until(lambda: exporter.report[1].moved.records)
                flushing.join(0.1)  # it may wait, and must not end
                assert sorted(numbers(first.read(100_000))) == list(range(100_000))
                flushing.join()
    assert waiting == [0]


def test_lists_can_be_taken_over_by_a_collector_that_came_later() -> None:
    octets = build.file(*build.lists(40))
    with free_port() as port, Exporter(f"tcp://127.0.0.1:{port}?{QUICK}", policy="failover") as exporter:
        exporter.write(hw.read(octets))
        with TcpCollector() as collector:
            exporter.add_collector(f"{collector.url}?mtu=1000")
            rows = collector.read(40)
            assert exporter.flush(DEADLINE_S)
    assert rows == list(hw.records(octets))


def test_collectors_take_turns() -> None:
    with UdpCollector() as a, UdpCollector() as b, Exporter([a.url, b.url], policy="round-robin") as exporter:
        until(lambda: all(report.state == "connected" for report in exporter.report))
        for number in range(4):
            exporter.write(flows(10, 10 * number))
        assert exporter.flush(DEADLINE_S)
        assert numbers(records_of(b"".join(a.datagrams(records=20)))) == [*range(10), *range(20, 30)]
        assert numbers(records_of(b"".join(b.datagrams(records=20)))) == [*range(10, 20), *range(30, 40)]


def test_flows_of_one_key_go_to_one_collector() -> None:
    with UdpCollector() as a, UdpCollector() as b, UdpCollector() as c:
        urls = [f"{one.url}?mtu=1400" for one in (a, b, c)]
        with Exporter(urls, policy="hash", key=["sourceIPv4Address"]) as exporter:
            exporter.write(flows(1024))
            exporter.write(flows(1024, 1024))
        sent = [report.messages for report in exporter.report]
        shares = [
            records_of(b"".join(one.datagrams(messages=count))) for one, count in zip((a, b, c), sent, strict=True)
        ]
    sources = [{row["sourceIPv4Address"] for row in rows} for rows in shares]
    assert sum(map(len, sources)) == 256
    assert all(len(some) > 50 for some in sources)
    assert sorted(number for rows in shares for number in numbers(rows)) == list(range(2048))


def test_options_go_to_everybody_whatever_the_policy() -> None:
    with UdpCollector() as a, UdpCollector() as b:
        with Exporter([a.url, b.url], policy="hash") as exporter:
            exporter.write([{"samplerId": 1, "samplingInterval": 100}], ["samplerId{scope}", "samplingInterval"])
        for collector in (a, b):
            assert records_of(b"".join(collector.datagrams(records=1))) == [{"samplerId": 1, "samplingInterval": 100}]


# --- what the exporter tells of itself ---


def test_how_much_was_sent_and_how_much_was_not_is_told_from_time_to_time() -> None:
    now = 1_700_000_000.0
    with UdpCollector() as collector:
        with Exporter(f"{collector.url}?statistics=60", clock=lambda: now) as exporter:
            exporter.write(flows(10))
            assert exporter.flush(DEADLINE_S)
            now += 59
            exporter.write(flows(10))
            assert exporter.flush(DEADLINE_S)
            now += 1
            exporter.write(flows(10))
        rows = records_of(b"".join(collector.datagrams(messages=exporter.report[0].messages)))
    own = [row for row in rows if "sourceIPv4Address" not in row]
    assert [row["exportedFlowRecordTotalCount"] for row in own[::2]] == [20]
    assert own[1] == {
        "exportingProcessId": 1,
        "notSentFlowTotalCount": 0,
        "observationTimeMilliseconds": 1_700_000_000_000,
        "observationTimeMilliseconds#2": 1_700_000_060_000,
    }
    assert len(rows) == 32


def test_elements_of_enterprises_are_described_before_they_are_used() -> None:
    specs = ["mine(32473/1)<string>", "octetDeltaCount"]
    with UdpCollector() as collector:
        with Exporter(collector.url, describe=True) as exporter:
            exporter.write([("a", 1), ("b", 2)], specs)
            exporter.write([{"octetDeltaCount": 1}])
        rows = records_of(b"".join(collector.datagrams(messages=exporter.report[0].messages)))
    assert rows[0]["informationElementName"] == "mine"
    assert rows[1:] == [
        {"mine": "a", "octetDeltaCount": 1},
        {"mine": "b", "octetDeltaCount": 2},
        {"octetDeltaCount": 1},
    ]


# --- asyncio ---


def test_coroutines_go_on_while_one_waits_for_room() -> None:
    async def main() -> list[int]:
        with TcpCollector() as collector:
            async with Exporter(f"{collector.url}?queue=4000&mtu=500") as exporter:
                writing = asyncio.create_task(exporter.write_async(flows(20_000)))
                rows = await asyncio.to_thread(collector.read, 20_000)
                assert await writing == 20_000
                assert await exporter.flush_async(DEADLINE_S)
            return numbers(rows)

    assert asyncio.run(main()) == list(range(20_000))


def test_a_coroutine_is_told_when_there_was_no_room() -> None:
    async def main(port: int) -> None:
        exporter = full(port, "block")
        exporter.open()
        with pytest.raises(TransportError, match="no room"):
            await exporter.write_async(flows(1000))
        assert not await exporter.flush_async(0.01)
        exporter.close(0)

    with free_port() as port:
        asyncio.run(main(port))


def test_what_a_cancelled_coroutine_has_not_written_is_counted() -> None:
    async def main(port: int) -> Exporter:
        exporter = Exporter(f"tcp://127.0.0.1:{port}?{QUICK}&queue=2000&mtu=500")
        exporter.open()
        writing = asyncio.create_task(exporter.write_async(flows(1000)))
        await asyncio.sleep(0)  # it runs until it has to wait
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        exporter.close(0)
        return exporter

    with free_port() as port:
        (report,) = asyncio.run(main(port)).report
    assert report.dropped["interrupted"].records + report.dropped["closed"].records == 1000


# --- arguments ---


@pytest.mark.parametrize("urls", [["udp://h?version=9", "udp://i"], ["udp://h?version=5", "udp://i?version=5&mtu=600"]])
def test_collectors_that_stand_in_for_each_other_are_alike(urls: list[str]) -> None:
    with pytest.raises(HeadwaterError, match="are sent the same version, NetFlow with the same mtu"):
        Exporter(urls, policy="failover")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "any"}, "policy must be one of all, failover, round-robin, hash, not 'any'"),
        ({"key": ["octetDeltaCount"]}, "key= is for policy='hash'"),
        (
            {"policy": "hash", "key": ["sourceIPv4Adress"]},
            "no .* is named 'sourceIPv4Adress'; did you mean 'sourceIPv4A",
        ),
        ({"nulls": "drop"}, "nulls must be"),
        ({"mtuu": 1400}, "did you mean mtu?"),
        ({"overflow": "forget"}, "overflow is 'forget'; it must be one of block, drop-oldest"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadwaterError, match=message.replace("?", r"\?")):
        Exporter("udp://192.0.2.1", **arguments)


@pytest.mark.parametrize("collectors", [5, None, ["udp://192.0.2.1", 5]])
def test_what_is_no_url_is_told_in_a_sentence(collectors: Any) -> None:
    with pytest.raises(HeadwaterError, match="an Exporter is given the URL of a collector, or several, not "):
        Exporter(collectors)


def test_a_report_counts_in_words_that_agree_with_the_numbers() -> None:
    report = Exporter("udp://192.0.2.1").report[0]
    one = replace(report, sent=Amount(1234, 1), waiting=Amount(1, 1), dropped={"closed": Amount(1, 1)})
    assert str(one).endswith(": 1,234 records in 1 message sent, 1 record waiting, 1 record lost (closed)")


def test_a_report_says_that_what_was_sent_in_a_dtls_session_that_has_ended_may_not_have_arrived() -> None:
    report = Exporter("udp://192.0.2.1").report[0]
    over = {scheme: replace(report, url=f"{scheme}://192.0.2.1:4740", sent=Amount(7, 1)) for scheme in ("dtls", "tls")}
    ended = {scheme: replace(one, error="the collector has ended the session") for scheme, one in over.items()}
    assert str(ended["dtls"]).endswith("; the collector has ended the session, so what was sent may not have arrived")
    assert str(ended["tls"]).endswith("; the collector has ended the session")
    assert not over["dtls"].is_unsure
    assert not replace(ended["dtls"], sent=Amount()).is_unsure


def test_what_ipfix_has_no_word_for_is_left_out_and_told() -> None:
    packet = build.netflow9(
        build.netflow9_template(256, (60000, 2), (1, 4)),
        build.any_set(256, build.uint(80, 2) + build.uint(9)),
        count=2,
    )
    with TcpCollector() as collector, Exporter(collector.url) as exporter:
        assert exporter.write(hw.read(packet)) == 1
        assert collector.read(1) == [{"octetDeltaCount": 9}]
        (warning,) = exporter.warnings
    assert "is left out: v9/60000 has no element of IPFIX" in warning


def test_times_are_cut_to_the_unit_of_their_element_where_that_is_wanted() -> None:
    rows = [{"flowStartMilliseconds": "2026-11-21T10:00:00.123456Z"}]
    with TcpCollector() as collector, Exporter(collector.url, allow_rounding=True) as exporter:
        exporter.write(rows)
        (record,) = collector.read(1)
    assert record["flowStartMilliseconds"] % 1000 == 123
    with TcpCollector() as collector, Exporter(collector.url) as exporter, pytest.raises(EncodeError, match="rounding"):
        exporter.write(rows)
