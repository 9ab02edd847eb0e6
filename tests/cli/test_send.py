"""`headwater send`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import headwater as hw
from headwater.process.exporting import Exporter
from headwater.process.exporting_report import DestinationReport
from headwater.session import Session
from tests import build
from tests.cli.conftest import Run
from tests.process.collectors import UdpCollector, free_port, records_of, until
from tests.transport.certificates import Certificates, Party
from tests.transport.receiving import Kept, running, url_of


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


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed (headwater[dtls])")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def party(certificates: Certificates) -> Party:
    return certificates.party("party", "DNS:localhost", "IP:127.0.0.1")


@contextmanager
def listening(certificates: Certificates, party: Party, kept: Kept, options: str = "") -> Iterator[str]:
    """A collector over DTLS; its URL for an exporter that does not come again."""
    from headwater.transport.incoming.dtls import DtlsListener
    from headwater.transport.incoming.url import parse_listen_url

    own = f"ca={certificates.ca}&cert={party.cert}&key={party.key}"
    with running(dtls := DtlsListener(parse_listen_url(f"dtls://127.0.0.1:0?{own}&{options}")), kept):
        yield f"{url_of(dtls)}?{own}&retry=600&retry_first=600"


def test_it_is_told_that_a_collector_has_ended_the_dtls_session_and_nothing_need_have_arrived(
    run: Run, flows: Path, certificates: Certificates, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_at_the_end(monkeypatch, lambda report: report.error)
    with listening(certificates, party, Kept(), "allow_name=one.example.net") as url:
        result = run("send", "--wait", 0.01, flows, url)
        quiet = run("send", "-q", "--wait", 0.01, flows, url)
    assert result.exit_code == quiet.exit_code == 1
    assert "; the collector has ended the session" in result.stderr


def test_records_that_no_message_has_room_for_are_told_with_what_to_do_and_what_was_sent(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "long.ipfix"
    with hw.Writer(path) as w:
        w.write([{"interfaceName": "lan"}] * 10)
        w.write([{"sourceIPv4Address": "192.0.2.1", "interfaceName": "w" * 500}])
    with UdpCollector() as collector:
        result = run("send", path, collector.url)
    told, error = result.stderr.splitlines()
    assert result.exit_code == 2
    assert "a Message has room for" in error
    assert error.endswith("; give the collector a larger mtu, as in mtu=1400")
    assert told.startswith(f"headwater: {collector.url}: ")


def test_what_is_generated_fits_the_datagrams_of_dtls(run: Run, certificates: Certificates, party: Party) -> None:
    kept = Kept()
    with listening(certificates, party, kept) as url:
        result = run("generate", "-n", 5000, "--shape", "dns", "--rate", 1e6, url)
        assert "5,000 records in " in result.stderr
    assert result.exit_code == 0


def test_the_help_says_that_nobody_tells_whether_a_collector_over_udp_is_there(run: Run) -> None:
    told = " ".join(run("send", "--help", width=200).stdout.split())
    assert "failover = the first that is up, as one over UDP always is, for nobody tells" in told


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
