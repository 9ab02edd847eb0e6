"""`headwater send`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import headwater as hw
from headwater.process.exporting import Exporter
from headwater.process.exporting_report import DestinationReport
from headwater.session import Session
from tests import build
from tests.cli.conftest import Run
from tests.process.collectors import UdpCollector, free_port, records_of, until


def test_all_records_are_sent_options_too(run: Run, mixed: Path) -> None:
    with UdpCollector() as collector:
        result = run("send", mixed, collector.url)
        rows = records_of(b"".join(collector.datagrams(records=202)))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith(f"headwater: {collector.url}: 202 records in ")
    assert sorted(map(str, rows)) == sorted(map(str, hw.records(mixed)))


def test_datagrams_have_the_size_that_is_asked_for(run: Run, flows: Path) -> None:
    with UdpCollector() as collector:
        run("send", "--mtu", 1400, flows, collector.url)
        sizes = [len(one) for one in collector.datagrams(records=100)]
    assert 512 < max(sizes) <= 1400


def test_the_domain_can_be_another_one(run: Run, flows: Path) -> None:
    with UdpCollector() as collector:
        for more in ((), ("--speed", 1000)):
            run("send", "--domain", 77, *more, flows, collector.url)
            assert {int.from_bytes(one[12:16], "big") for one in collector.datagrams(records=100)} == {77}


@pytest.mark.parametrize("version", [9, 5])
def test_netflow_has_the_export_times_of_the_records(run: Run, version: int, flows: Path) -> None:
    with UdpCollector() as collector:
        result = run("send", "--version", version, flows, collector.url)
        datagrams = collector.datagrams(records=100)
    assert {int.from_bytes(one[:2], "big") for one in datagrams} == {version}
    times = {int.from_bytes(message[4:8], "big") for message in build.flows(100)}
    assert {int.from_bytes(one[8:12], "big") for one in datagrams} == times
    events = [event for one in datagrams for event in Session(transport="udp").receive(one)]
    assert events
    assert result.exit_code == 0


def test_it_is_told_what_netflow_cannot_say(run: Run, mixed: Path) -> None:
    with UdpCollector() as collector:
        result = run("send", "--version", 5, mixed, collector.url)
    assert result.exit_code == 1
    assert "records left out: IPv6, which NetFlow v5 does not have" in result.stderr
    assert "2 records left out: NetFlow v5 has no options" in result.stderr


def test_a_file_can_be_sent_again_and_again(run: Run, flows: Path) -> None:
    with UdpCollector() as collector:
        run("send", "--loop", 3, flows, collector.url)
        assert len(records_of(b"".join(collector.datagrams(records=300)))) == 300


def test_several_collectors_get_their_shares(run: Run, flows: Path) -> None:
    with UdpCollector() as a, UdpCollector() as b:
        told = run("send", "--policy", "hash", flows, a.url, b.url).stderr.splitlines()
        counts = [
            int(line.removeprefix(f"headwater: {one.url}: ").split()[0]) for one, line in zip((a, b), told, strict=True)
        ]
        for one, count in zip((a, b), counts, strict=True):
            assert len(records_of(b"".join(one.datagrams(records=count)))) == count
    assert sum(counts) == 100
    assert min(counts) > 20


def test_what_is_read_from_a_pipe_can_be_sent(run: Run, flows: Path) -> None:
    with UdpCollector() as collector:
        run("send", "-", collector.url, data=flows.read_bytes())
        assert len(records_of(b"".join(collector.datagrams(records=100)))) == 100


def wait_at_the_end(monkeypatch: pytest.MonkeyPatch, is_told: Callable[[DestinationReport], object]) -> None:
    """Have `headwater send` wait for what the network tells of the first collector in its own time."""
    flush = Exporter.flush

    def flush_and_hear(self: Exporter, timeout: float | None = None) -> bool:
        is_done = flush(self, timeout)
        until(lambda: is_told(self.report[0]))
        return is_done

    monkeypatch.setattr(Exporter, "flush", flush_and_hear)


def test_what_nobody_takes_is_told(run: Run, flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_at_the_end(monkeypatch, lambda report: not report.sent.records)
    with free_port(socket.SOCK_DGRAM) as port:
        url = f"udp://127.0.0.1:{port}"
        result = run("send", flows, url)
    assert result.exit_code == 1
    assert f"{url}: 0 records in 0 messages sent, 100 records lost (refused)" in result.stderr


def test_a_collector_that_is_not_there_is_told(run: Run, flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_at_the_end(monkeypatch, lambda report: report.error)
    with free_port() as port:
        result = run("send", "--wait", 0.01, flows, f"tcp://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "100 records lost (closed); connection refused" in result.stderr


def test_damage_of_what_was_read_is_told_as_well(run: Run, torn: Path) -> None:
    with UdpCollector() as collector:
        result = run("send", "-q", torn, collector.url)
    assert result.exit_code == 1
    assert "records may be missing or damaged: truncated_tail" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{file}",), "the URL of a collector is missing"),
        (("udp://192.0.2.1",), "what to send is missing"),
        (("-", "udp://192.0.2.1", "--loop", "2"), "- is read once; --loop needs files"),
        (("{file}", "udp://192.0.2.1", "--mtu", "12"), "mtu is '12'; it must be from 21 to 65535, or discover"),
        (("{file}", "udp://"), "'udp://' is not of the form udp://HOST:PORT"),
        (("missing.ipfix", "udp://127.0.0.1:9"), "missing.ipfix"),
        (("{file}", "udp://192.0.2.1", "--version", "7"), "'7' is not one of '10', '9', '5'"),
    ],
)
def test_wrong_usage_is_one_sentence(run: Run, flows: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("send", *(one.format(file=flows) for one in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
