"""The Collecting Process as an object: what is sent arrives, and whatever happens to it is counted."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.batch import Batch
from headwater.errors import HeadwaterError, TransportError, UnknownElement
from headwater.sinks.collecting import SinkCounters
from tests import build as b
from tests.process.collecting.sending import DEADLINE_S, PORTS, UdpSender, flow, message, port_of, until

HERE = "udp://127.0.0.1:0"


class Kept(list[Batch]):
    """A sink that keeps what it is given."""

    def write(self, batch: Batch) -> None:
        self.append(batch)

    @property
    def ports(self) -> list[int]:
        return sorted(int(port) for batch in self for port in np.asarray(batch["sourceTransportPort"]))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_is_sent_is_stored_and_the_ledger_says_the_same(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept]) as collector:
        one, other = UdpSender(port_of(collector)), UdpSender(port_of(collector), "127.0.0.2")
        one.send(*[message(i) for i in range(10)])
        other.send(*[message(100 + i, records=2) for i in range(0, 10, 2)])
    report = collector.report()
    assert kept.ports == [*range(10), *range(100, 110)]
    assert report.is_clean
    assert collector.is_whole
    assert {x["exporter"]: (x["datagrams"], x["messages"], x["records"]) for x in report.exporters} == {
        one.name: (10, 10, 10),
        other.name: (5, 5, 10),
    }
    assert report.totals["records"] == report.totals["decoded_records"] == 20
    assert [(sink["records"], sink["records_written"]) for sink in report.sinks] == [(20, 20)]


def test_nothing_is_opened_before_it_runs(kept: Kept) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        collector = hw.Collector(f"udp://127.0.0.1:{taken.getsockname()[1]}", sinks=[kept])
        assert not collector.is_running
        assert collector.report().totals == {}
        with pytest.raises(TransportError, match="another program listens there"):
            collector.start()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"listen": "upd://127.0.0.1:0"}, "udp://"),
        ({"listen": HERE, "select": ["sourcePort"]}, "sourcePort"),
        ({"listen": HERE, "bufer": 5}, "buffer"),
        ({"listen": HERE, "sinks": ["parket:flows/"]}, "parquet"),
        ({"listen": HERE, "allow": ["192.0.2.0/33"]}, "192.0.2.0/33"),
    ],
)
def test_a_mistake_is_told_before_anything_happens(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((HeadwaterError, UnknownElement), match=words):
        hw.Collector(**arguments)


def test_a_sink_that_is_none_is_told() -> None:
    with pytest.raises(TypeError, match="a sink is a target"):
        hw.Collector(HERE, sinks=[5])


def test_a_collector_runs_once(kept: Kept) -> None:
    collector = hw.Collector(HERE, sinks=[kept])
    with collector:
        pass
    with pytest.raises(HeadwaterError, match="runs once"):
        collector.start()


def test_all_versions_come_to_one_port(kept: Kept) -> None:
    from tests.session.test_netflow import DATA, TEMPLATE, netflow5, netflow9

    with hw.Collector(HERE, sinks=[kept]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0), netflow5(3), netflow9(TEMPLATE, DATA))
    (exporter,) = collector.report().exporters
    assert exporter["versions"] == [5, 9, 10]
    assert sum(batch.num_rows for batch in kept) == exporter["records"] == 6


def test_records_come_with_who_sent_them_and_when(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept]) as collector:
        UdpSender(port_of(collector), "127.0.0.9").send(message(0, domain=7))
    (row,) = kept[0].rows()
    assert (row["exporterIPv4Address"], row["exporterIPv6Address"], row["observationDomainId"]) == (
        "127.0.0.9",
        None,
        7,
    )
    assert collector.report().started * 1000 - 10 <= row["collectionTimeMilliseconds"]


def test_who_selects_columns_gets_just_these(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept], select=["octetDeltaCount", "tcpControlBits"]) as collector:
        UdpSender(port_of(collector)).send(message(0))
    assert [list(batch.rows()) for batch in kept] == [[{"octetDeltaCount": 1000, "tcpControlBits": None}]]


def test_options_are_joined_to_flows_and_counted_for_themselves(kept: Kept) -> None:
    interfaces = b.options_template_set(b.options_template(300, (10, 4), (82, b.VARIABLE), scope=1))
    flows = b.template_set(b.template(256, (10, 4), (1, 4)))
    with hw.Collector(HERE, sinks=[kept], select=["octetDeltaCount", "ingressInterfaceName"]) as collector:
        UdpSender(port_of(collector)).send(
            b.message(interfaces, b.data_set(300, b.uint(5) + b.var(b"ge-0/0/5")), flows),
            b.message(b.data_set(256, b.uint(5) + b.uint(99)), sequence=1),
        )
    assert [list(batch.rows()) for batch in kept] == [[{"octetDeltaCount": 99, "ingressInterfaceName": "ge-0/0/5"}]]
    assert collector.report().totals["options_records"] == 1


def test_option_records_are_stored_where_that_is_asked_for(kept: Kept) -> None:
    interfaces = b.options_template_set(b.options_template(300, (10, 4), (82, b.VARIABLE), scope=1))
    with hw.Collector(HERE, sinks=[kept], with_options=True) as collector:
        UdpSender(port_of(collector)).send(b.message(interfaces, b.data_set(300, b.uint(5) + b.var(b"ge-0/0/5"))))
    assert [batch["interfaceName"][0] for batch in kept] == ["ge-0/0/5"]


def test_what_is_lost_on_the_way_is_counted_by_exporter(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0), message(1), message(7), b"\0\x0a\0\x05junk")
    report = collector.report()
    (exporter,) = report.exporters
    assert (exporter["records"], exporter["lost"]) == (3, 5)
    assert exporter["faults"] == {"short_header": 1}
    assert report.losses == {"lost": 5, "short_header": 1}
    assert not report.is_clean


def test_data_that_come_before_their_template_are_not_lost(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0, template=False))
        until(lambda: collector.report().totals.get("messages"), "the first Message")
        sender.send(message(1))
    assert kept.ports == [0, 1]


def test_stages_make_others_of_batches(kept: Kept) -> None:
    def large(batch: Batch) -> Batch | None:
        rows = np.flatnonzero(np.asarray(batch["sourceTransportPort"]) >= 5)
        return batch.take(rows) if len(rows) else None

    def twice(batch: Batch) -> list[Batch]:
        return [batch, batch]

    with hw.Collector(HERE, sinks=[kept], stages=[large, twice]) as collector:
        UdpSender(port_of(collector)).send(*[message(i) for i in range(8)])
    assert kept.ports == [5, 5, 6, 6, 7, 7]


def test_a_stage_that_fails_loses_its_records_and_says_so(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    def broken(batch: Batch) -> Batch:
        raise ValueError("no")

    with hw.Collector(HERE, sinks=[kept], stages=[broken]) as collector:
        UdpSender(port_of(collector)).send(message(0, records=3))
    report = collector.report()
    assert report.losses == {"stage_errors": 3}
    assert "3 records are lost" in caplog.text


def test_a_sink_that_raises_loses_its_records_and_no_other_does(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    def broken(batch: Batch) -> None:
        raise ValueError("no")

    with hw.Collector(HERE, sinks=[broken, kept]) as collector:
        UdpSender(port_of(collector)).send(message(0, records=3))
    assert kept.ports == [0, 1, 2]
    assert [(s["records_written"], s["records_refused"], s["last_error"]) for s in collector.report().sinks] == [
        (0, 3, "ValueError: no"),
        (3, 0, ""),
    ]


class Full(Kept):
    """A sink whose disk is full until it is mended."""

    name = "full"

    def __init__(self) -> None:
        super().__init__()
        self.counters = SinkCounters()
        self.is_full = True
        self.retries = 0
        self.was_abandoned = False

    def open(self) -> list[str]:
        return []

    def write(self, batch: Batch, mask: Any = None) -> int:  # type: ignore[override]  # a sink's, not a list's
        self.append(batch)
        self.counters.records += batch.num_rows
        self.retry(is_first=True)
        return batch.num_rows

    def retry(self, *, is_first: bool = False) -> None:
        self.retries += not is_first
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def tick(self, now: float) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.counters.records_written = self.counters.records

    def abandon(self) -> None:
        self.was_abandoned = True
        self.counters.records_lost = self.counters.records


def test_a_full_disk_makes_everything_wait_and_nothing_is_lost() -> None:
    sink = Full()
    with hw.Collector(HERE, sinks=[sink]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0))
        until(lambda: collector.report().sinks[0]["last_error"], "that the sink is blocked")
        (told,) = collector.report().sinks
        assert (told["is_blocked"], told["last_error"]) == (True, "No space left on device")
        sender.send(message(1), message(2))
        sink.is_full = False
        until(lambda: len(sink.ports) == 3, "that it goes on")
    report = collector.report()
    assert sink.ports == [0, 1, 2]
    assert sink.retries >= 1
    assert (report.sinks[0]["is_blocked"], report.sinks[0]["records_written"]) == (False, 3)
    assert report.is_clean


def test_a_disk_that_stays_full_to_the_end_costs_what_waits_and_that_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headwater.process.collecting.engine._GIVE_UP_S", DEADLINE_S)
    sink = Full()
    collector = hw.Collector(HERE, sinks=[sink])
    collector.start()
    UdpSender(port_of(collector)).send(message(0, records=4))
    until(lambda: collector.report().sinks[0]["is_blocked"], "that the sink is blocked")
    report = collector.stop(drain=0.1)
    assert sink.was_abandoned
    assert report.losses == {"records_lost": 4}


def test_while_a_sink_hangs_the_queue_stays_within_its_bound_and_what_is_given_up_is_counted() -> None:
    release = threading.Event()
    seen: list[int] = []

    def hangs(batch: Batch) -> None:
        seen.append(batch.num_rows)
        release.wait()

    collector = hw.Collector(HERE, sinks=[hangs], buffer="1M", latency=0.01)
    collector.start()
    sender = UdpSender(port_of(collector))
    sent = 0
    try:
        sender.send(message(0))
        until(lambda: seen, "that the sink hangs")

        def is_dropping() -> bool:
            nonlocal sent
            sender.send_in_steps(collector, [message(1 + i * 200, records=200) for i in range(sent, sent + 300)])
            sent += 300
            return bool(collector.report().totals.get("dropped_datagrams"))

        until(is_dropping, "a drop")
        report = collector.report()
        assert report.is_stale
        assert report.queue["octets"] < 2 << 20
        assert report.sinks[0]["busy_s"] >= 0
        release.set()
        until(lambda: collector.report().queue["octets"] == 0, "that it goes on")
        sender.send(message(1 + sent * 200))  # behind which the gap can be seen
    finally:
        release.set()
        report = collector.stop()
    (exporter,) = report.exporters
    assert report.totals["kernel_drops"] == 0
    assert exporter["datagrams"] + exporter["dropped_datagrams"] == sent + 2
    assert sum(seen) == exporter["records"]
    assert exporter["lost"] > 0
    assert exporter["records"] + exporter["lost"] == sent * 200 + 2


def test_a_sink_that_hangs_for_good_does_not_keep_the_process_alive() -> None:
    release = threading.Event()

    def hangs(batch: Batch) -> None:
        release.wait()

    collector = hw.Collector(HERE, sinks=[hangs], latency=0.01)
    collector.start()
    UdpSender(port_of(collector)).send(message(0))
    until(lambda: (collector.report().sinks[0]["busy_s"] or 0) >= 0.1, "that the sink hangs")
    report = collector.stop(drain=0.1)
    release.set()
    assert not collector.is_whole
    assert report.state == "stopped"
    assert report.is_stale


def test_only_who_is_allowed_is_heard(kept: Kept) -> None:
    with hw.Collector(HERE, sinks=[kept], allow=["127.0.0.16/28", "2001:db8::/32"]) as collector:
        UdpSender(port_of(collector), "127.0.0.17").send(message(0))
        UdpSender(port_of(collector), "127.0.0.1").send(message(1))
    report = collector.report()
    assert kept.ports == [0]
    assert report.totals["refused"] == 1
    assert len(report.exporters) == 1


def test_batches_can_be_iterated_over_and_leaving_ends_it() -> None:
    collector = hw.Collector(HERE, latency=0.01)
    thread = threading.Thread(target=_send_when_it_runs, args=(collector,))
    thread.start()
    seen = []
    for batch in collector:
        seen.extend(np.asarray(batch["sourceTransportPort"]).tolist())
        if len(seen) >= 5:
            thread.join()  # who sends to a port that is closed hears of it
            break
    assert seen[:5] == [0, 1, 2, 3, 4]
    assert not collector.is_running
    assert collector.report().state == "stopped"


def test_an_iteration_ends_when_it_is_asked_to_and_has_everything_then() -> None:
    collector = hw.Collector(HERE, latency=0.01)

    def send_and_stop() -> None:
        _send_when_it_runs(collector)
        collector.request_stop()

    thread = threading.Thread(target=send_and_stop)
    thread.start()
    assert sum(batch.num_rows for batch in collector) == 20
    thread.join()


def test_batches_come_to_an_event_loop_that_does_other_things_too() -> None:
    async def collect() -> tuple[int, int]:
        collector = hw.Collector(HERE, latency=0.01)
        beats = records = 0
        has_beaten = threading.Event()

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                if beats > 5:
                    has_beaten.set()
                await asyncio.sleep(0.001)

        def send() -> None:
            has_beaten.wait(DEADLINE_S)  # so that what is waited for cannot come before
            _send_when_it_runs(collector)

        other = asyncio.create_task(beat())
        thread = threading.Thread(target=send)
        thread.start()
        async for batch in collector:
            records += batch.num_rows
            if records >= 20:
                collector.request_stop()
        other.cancel()
        thread.join()
        return records, beats

    records, beats = asyncio.run(collect())
    assert records == 20
    assert beats > 5


def _send_when_it_runs(collector: hw.Collector) -> None:
    until(lambda: collector.is_running and collector.addresses, "the start")
    UdpSender(port_of(collector)).send(*[message(i) for i in range(20)])


def test_it_runs_for_so_many_records(kept: Kept) -> None:
    collector = hw.Collector(HERE, sinks=[kept], latency=0.01)
    thread = threading.Thread(target=_send_when_it_runs, args=(collector,))
    thread.start()
    report = collector.run(seconds=DEADLINE_S, records=20)
    thread.join()
    assert report.totals["records"] == 20


def test_it_runs_for_so_many_records_too_where_nobody_wants_them_decoded(tmp_path: Path) -> None:
    collector = hw.Collector(HERE, sinks=[f"spool:{tmp_path}"], latency=0.01)
    thread = threading.Thread(target=_send_when_it_runs, args=(collector,))
    thread.start()
    report = collector.run(records=20)  # with nothing else that would end it
    thread.join()
    assert (report.totals["received_records"], report.totals["decoded_records"]) == (20, 0)


def test_flush_waits_until_all_that_is_being_stored_is_stored() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    stored: list[int] = []

    def slow(batch: Batch) -> None:
        has_begun.set()
        may_end.wait()
        stored.append(batch.num_rows)

    with hw.Collector(HERE, sinks=[slow], latency=0.01) as collector:
        UdpSender(port_of(collector)).send(message(0))
        assert has_begun.wait(DEADLINE_S)
        threading.Timer(0.3, may_end.set).start()
        assert collector.flush(DEADLINE_S)
        assert stored == [1]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_flush_stores_all_that_was_sent_however_long_it_would_wait_for_others(kept: Kept, transport: str) -> None:
    with hw.Collector(f"{transport}://127.0.0.1:0", sinks=[kept], latency=60) as collector:
        sender = socket.create_connection(("127.0.0.1", port_of(collector))) if transport == "tcp" else None
        if sender is None:
            UdpSender(port_of(collector)).send(message(0))
        else:
            sender.sendall(message(0))
        assert collector.flush(DEADLINE_S)
        assert kept.ports == [0]
        if sender is not None:
            sender.close()


def test_flush_beside_the_end_is_answered_with_the_end(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def close() -> None:
        has_begun.set()
        may_end.wait()

    monkeypatch.setattr(kept, "close", close, raising=False)
    collector = hw.Collector(HERE, sinks=[kept], latency=0.01)
    collector.start()
    stopping = threading.Thread(target=collector.stop)
    stopping.start()
    assert has_begun.wait(DEADLINE_S)
    answers: list[bool] = []
    flushing = threading.Thread(target=lambda: answers.append(collector.flush(3600)))
    flushing.start()
    engine: Any = collector._engine
    until(lambda: engine._flushing)
    may_end.set()
    flushing.join(DEADLINE_S)
    stopping.join(DEADLINE_S)
    assert answers == [True]


def test_templates_outlast_the_process_and_the_first_data_are_decoded(kept: Kept, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:  # so that nobody else gets its port meanwhile
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        where, sender = f"udp://127.0.0.1:{port}", UdpSender(port)
        with hw.Collector(where, sinks=[kept], state=str(tmp_path), sockets=[held.dup()]):
            sender.send(message(0))
        with hw.Collector(where, sinks=[kept], state=str(tmp_path), sockets=[held.dup()]) as collector:
            sender.send(message(1, template=False))
    assert kept.ports == [0, 1]
    assert collector.report().warnings == []


def test_a_broken_state_is_told_and_collecting_begins_all_the_same(kept: Kept, tmp_path: Path) -> None:
    with hw.Collector(HERE, sinks=[kept], state=str(tmp_path)):
        pass
    (state,) = tmp_path.iterdir()
    state.write_bytes(b"nonsense")
    with hw.Collector(HERE, sinks=[kept], state=str(tmp_path)) as collector:
        UdpSender(port_of(collector)).send(message(0))
    assert kept.ports == [0]
    assert "is not used" in collector.report().warnings[0]


def test_a_change_of_settings_takes_effect_and_what_needs_a_restart_is_told(kept: Kept) -> None:
    from headwater.process.collecting.settings import settings_of

    with hw.Collector(HERE, sinks=[kept]) as collector:
        restart = collector.reload(settings_of(HERE, ["flows/"], allow=["192.0.2.0/24"], latency=0.01))
        assert len(restart) == 1
        assert "flows/" in restart[0]
        UdpSender(port_of(collector)).send(message(0))
    assert kept.ports == []
    assert collector.report().totals["refused"] == 1


def test_a_lists_of_flows_stays_within_bounds(monkeypatch: pytest.MonkeyPatch, kept: Kept) -> None:
    from headwater.process.collecting import exporters

    monkeypatch.setattr(exporters, "KEPT", 4)
    with hw.Collector(HERE, sinks=[kept], latency=0.01) as collector:
        for number in range(20):
            UdpSender(port_of(collector), f"127.0.1.{number + 1}").send(b.message(PORTS, flow(), sequence=0))
    report = collector.report()
    assert len(report.exporters) == 5
    assert report.exporters[-1]["exporter"] == "others"
    assert report.totals["records"] == report.totals["datagrams"] == 20


def test_who_iterates_can_stop_it_and_gets_what_has_come() -> None:
    collector = hw.Collector(HERE, latency=0.01)
    thread = threading.Thread(target=_send_when_it_runs, args=(collector,))
    thread.start()
    records = 0
    for batch in collector:
        records += batch.num_rows
        thread.join()
        collector.stop()
    assert records == 20
    assert collector.is_whole
    assert collector.report().state == "stopped"
