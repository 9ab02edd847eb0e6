"""What goes wrong inside a Collecting Process: it is counted, and nothing else suffers."""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.batch import Batch
from headwater.errors import TransportError
from headwater.process.collecting.exporters import OTHERS, Exporters
from headwater.process.collecting.settings import CollectingSettings, settings_of
from headwater.session.key import SessionKey
from headwater.sinks.collecting import SinkCounters
from tests.process.collecting.sending import DEADLINE_S, UdpSender, message, port_of, until, until_received

HERE = "udp://127.0.0.1:0"


class Sink:
    """A sink that keeps everything until it is closed, and whose methods can be replaced."""

    name = "sink"

    def __init__(self) -> None:
        self.counters = SinkCounters()

    @property
    def records_waiting(self) -> int:
        counters = self.counters
        return counters.records - counters.records_written - counters.records_lost

    def open(self) -> list[str]:
        return []

    def write(self, batch: Batch, mask: Any = None) -> int:
        self.counters.records += batch.num_rows
        return batch.num_rows

    def tick(self, now: float) -> None:
        pass

    def retry(self) -> None:
        pass

    def flush(self) -> None:
        self.counters.records_written = self.counters.records

    close = flush

    def abandon(self) -> None:
        self.counters.records_lost += self.records_waiting


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """When sinks have been given up at the end, what is left to do is done however long it takes."""
    monkeypatch.setattr("headwater.process.collecting.engine._GIVE_UP_S", DEADLINE_S)


# ---------------------------------------------------------------- errors of our own


def test_connections_that_end_are_forgotten_even_if_their_last_block_cannot_be_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from headwater.batch.decode import Decoder

    def fails(self: Decoder, sets: Any) -> Batch:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Decoder, "decode", fails)
    with hw.Collector("tcp://127.0.0.1:0", sinks=[lambda batch: None]) as collector:
        with socket.create_connection(("127.0.0.1", port_of(collector))) as exporter:
            exporter.sendall(message(0))
        until(lambda: collector.report().totals.get("internal_errors"), "the error")
        until(lambda: [one["domains"] for one in collector.report().exporters] == [0], "that the session is forgotten")
    assert not collector.report().is_clean


def test_an_error_of_what_time_brings_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.process.collecting.lane import Lane

    def fails(self: Lane, now: float, idle_s: float) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Lane, "tick", fails)
    seen: list[int] = []
    with hw.Collector(HERE, sinks=[lambda batch: seen.append(batch.num_rows)], latency=0.01) as collector:
        until(lambda: collector.report().totals.get("internal_errors"), "the error")
        UdpSender(port_of(collector)).send(message(0))
        until(lambda: seen, "a record")
    assert collector.is_whole


def test_a_sink_whose_retry_fails_for_good_loses_what_it_had_and_gets_what_follows() -> None:
    sink = Sink()
    is_broken = True

    def write(batch: Batch) -> int:
        sink.counters.records += batch.num_rows
        if is_broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return batch.num_rows

    def retry() -> None:
        nonlocal is_broken
        is_broken = False
        raise ValueError("a bug")

    sink.write, sink.retry = write, retry  # type: ignore[method-assign, assignment]
    other: list[int] = []
    sinks: list[Any] = [sink, lambda batch: other.append(batch.num_rows)]
    with hw.Collector(HERE, sinks=sinks, latency=0.01) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0))
        until(lambda: other, "that the other sink gets it")
        sender.send(message(1))
        until(lambda: sum(other) == 2, "that it goes on")
        report = collector.report()
        assert (report.sinks[0]["is_blocked"], report.sinks[0]["last_error"]) == (False, "ValueError: a bug")
    assert collector.is_whole
    assert not collector.report().is_clean


# ---------------------------------------------------------------- sinks


def test_a_function_that_raises_an_oserror_gets_the_batch_again() -> None:
    seen: list[int] = []

    def store(batch: Batch) -> None:
        seen.append(batch.num_rows)
        if len(seen) == 1:
            raise ConnectionResetError("the database restarts")

    with hw.Collector(HERE, sinks=[store], latency=0.01) as collector:
        UdpSender(port_of(collector)).send(message(0, records=3))
        until(lambda: len(seen) == 2, "the second try")
    (sink,) = collector.report().sinks
    assert (seen, sink["records"], sink["records_written"], sink["errors"]) == ([3, 3], 3, 3, 1)
    assert collector.report().is_clean


def test_a_function_that_raises_oserrors_to_the_end_loses_what_it_was_given_and_that_is_counted(
    patient: None,
) -> None:
    def store(batch: Batch) -> None:
        raise TimeoutError("no answer")

    collector = hw.Collector(HERE, sinks=[store], latency=0.01)
    collector.start()
    UdpSender(port_of(collector)).send(message(0, records=3))
    until(lambda: collector.report().sinks[0]["is_blocked"], "that the sink is blocked")
    report = collector.stop(drain=0.1)
    assert report.losses == {"records_lost": 3}


def test_what_comes_after_a_sink_was_given_up_is_counted_as_lost(patient: None) -> None:
    sink = Sink()

    def fails(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(batch: Batch) -> int:
        sink.counters.records += batch.num_rows
        return fails()

    sink.write, sink.retry = write, fails  # type: ignore[method-assign, assignment]
    collector = hw.Collector(HERE, sinks=[sink], latency=0.01)
    collector.start()
    sender = UdpSender(port_of(collector))
    sender.send(message(0, records=2))
    until(lambda: collector.report().sinks[0]["is_blocked"], "that the sink is blocked")
    sender.send(message(2, records=5))
    until_received(collector, 2)
    report = collector.stop(drain=0.1)
    assert report.totals["records"] == 7
    assert report.losses == {"records_lost": 7}
    (told,) = report.sinks
    assert (told["records"], told["records_lost"], told["records_refused"]) == (7, 7, 0)


def test_what_a_sink_that_hangs_at_the_end_had_is_counted_as_lost() -> None:
    sink, release = Sink(), threading.Event()
    sink.close = lambda: release.wait()  # type: ignore[assignment, method-assign]
    collector = hw.Collector(HERE, sinks=[sink], latency=0.01)
    collector.start()
    UdpSender(port_of(collector)).send(message(0, records=3))
    until(lambda: sink.counters.records == 3, "the records")
    report = collector.stop(drain=0.1)
    release.set()
    assert not collector.is_whole
    assert report.totals["records_lost"] == 3
    assert not report.is_clean


def test_a_flush_that_fails_says_so() -> None:
    sink = Sink()

    def fails() -> None:
        raise ValueError("a bug")

    sink.flush = fails  # type: ignore[method-assign]
    with hw.Collector(HERE, sinks=[sink], latency=0.01) as collector:
        assert not collector.flush()


def test_a_flush_after_the_end_says_at_once_whether_all_is_stored() -> None:
    collector = hw.Collector(HERE, sinks=[Sink()], latency=0.01)
    collector.start()
    collector.stop()
    assert collector.flush()


# ---------------------------------------------------------------- the end


def test_stopping_twice_is_stopping_once() -> None:
    release = threading.Event()
    collector = hw.Collector(HERE, sinks=[lambda batch: release.wait()], latency=0.01)
    collector.start()
    UdpSender(port_of(collector)).send(message(0))
    until(lambda: collector.report().queue["octets"], "that something waits")
    until(lambda: collector.report().sinks[0]["busy_s"] > 0, "that the sink hangs")
    first = collector.stop(drain=0.1)
    again = collector.stop(drain=0.1)
    release.set()
    assert first.totals["abandoned_octets"] == again.totals["abandoned_octets"] > 0
    assert not collector.is_whole


def test_a_folder_of_states_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(hw.HeadwaterError, match="file"):
        hw.Collector(HERE, sinks=[Sink()], state=str(tmp_path / "file")).start()


def test_warnings_of_a_state_that_cannot_be_saved_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from headwater.process.collecting.saving import Saving

    told: list[float] = []

    def fails(self: Saving, lane: Any, now: float) -> list[str]:
        told.append(now)
        return ["no space"]

    monkeypatch.setattr(Saving, "save", fails)
    monkeypatch.setattr("headwater.process.collecting.engine._TICK_S", 0.01)
    with hw.Collector(HERE, sinks=[Sink()], state=str(tmp_path)) as collector:
        until(lambda: len(told) > 20, "some tries")
        assert collector.report().warnings.count("no space") == 1


# ---------------------------------------------------------------- other settings


def test_listeners_ask_who_may_speak_when_it_is_known_already(monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.transport.incoming.udp import UdpListener

    seen: list[bool] = []
    with hw.Collector(HERE, sinks=[Sink()]) as collector:

        def asks(self: UdpListener) -> None:
            seen.append(collector._engine._is_allowed("127.0.0.1"))  # type: ignore[union-attr]

        monkeypatch.setattr(UdpListener, "reload", asks)
        collector.reload(hw_settings(allow=["192.0.2.0/24"]))
        assert seen == [False]

        def fails(self: UdpListener) -> None:
            asks(self)
            raise TransportError("the certificate is not there", url="")

        monkeypatch.setattr(UdpListener, "reload", fails)
        with pytest.raises(TransportError):
            collector.reload(hw_settings())
    assert seen == [False, True, False]


def hw_settings(**options: Any) -> CollectingSettings:
    return settings_of(HERE, **options)


# ---------------------------------------------------------------- files that are deleted when they are stored


def test_a_followed_file_of_which_records_were_lost_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.ipfix").write_bytes(message(0))

    def fails(batch: Batch) -> None:
        raise ValueError("a bug")

    follow = f"follow:{tmp_path}?every=50ms&settle=0s&after=delete"
    with hw.Collector(follow, sinks=[fails]) as collector:
        until(lambda: any("could not be stored" in one for one in collector.report().warnings), "the warning")
    assert (tmp_path / "a.ipfix").exists()


def test_a_followed_file_that_no_sink_takes_is_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ipfix").write_bytes(message(0))
    follow = f"follow:{tmp_path}/in?every=50ms&settle=0s&after=delete"
    with hw.Collector(follow, sinks=[f"spool:{tmp_path}/out"]) as collector:
        until(lambda: any("could not be stored" in one for one in collector.report().warnings), "the warning")
    assert (tmp_path / "in" / "a.ipfix").exists()


# ---------------------------------------------------------------- the ledger


def test_drops_of_exporters_that_were_never_heard_are_in_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.process.collecting.exporters.KEPT", 10)
    exporters = Exporters()
    for port in range(100):
        exporters.dropped(SessionKey("192.0.2.1", port), 2)
    told = exporters.to_dicts([], transport="udp", listener=HERE)
    assert sum(one["dropped_datagrams"] for one in told) == 200
    assert told[-1]["exporter"] == OTHERS
