"""TLS: both sides show certificates, and neither sends anything to the wrong one (RFC 7011 §11)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from headwater.errors import TransportError
from headwater.process.exporting import Exporter
from headwater.transport.outgoing import Readiness, SessionLost, parse_url
from headwater.transport.outgoing.tls import TlsSender
from tests.process.collectors import DEADLINE_S, TcpCollector, until
from tests.transport.certificates import Certificates, Party

QUICK = "retry=0.05&retry_first=0.01"
ROWS = [{"octetDeltaCount": number} for number in range(1000)]


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Party:
    return certificates.party("collector", "DNS:collector.example.net", "IP:127.0.0.1")


@pytest.fixture
def collector(certificates: Certificates, server: Party) -> Iterator[TcpCollector]:
    with TcpCollector(context=certificates.server_context(server)) as collector:
        yield collector


def url(collector: TcpCollector, certificates: Certificates, party: Party | None, **options: str) -> str:
    files = {"ca": certificates.ca, **({"cert": party.cert, "key": party.key} if party else {}), **options}
    return f"{collector.url}?{QUICK}&" + "&".join(f"{name}={value}" for name, value in files.items())


@pytest.mark.parametrize("options", [{}, {"tls": "1.2"}, {"tls": "1.3"}, {"name": "collector.example.net"}])
def test_records_arrive(
    collector: TcpCollector, certificates: Certificates, exporter: Party, options: dict[str, str]
) -> None:
    with Exporter(url(collector, certificates, exporter, **options)) as sending:
        sending.write(ROWS)
        assert collector.read(1000) == ROWS
        assert sending.flush(DEADLINE_S)
        assert sending.report[0].sent.records == 1000


def test_what_was_queued_is_sent_to_a_collector_that_was_restarted(
    collector: TcpCollector, certificates: Certificates, exporter: Party, server: Party
) -> None:
    sending = Exporter(url(collector, certificates, exporter))
    sending.open()
    sending.write(ROWS)
    collector.read(1)
    collector.close()
    sending.write(ROWS)
    with TcpCollector(collector.port, certificates.server_context(server)) as again:
        again.read(1000)
        while again.rows[-1] != ROWS[-1] or len(again.rows) % 1000:
            assert again.read_once()
        assert sending.flush(DEADLINE_S)
        sending.close()
    assert again.rows[-1000:] == ROWS
    assert sending.report[0].sent.records == 2000
    assert not sending.report[0].dropped


def test_a_connection_that_was_cut_is_not_ended_in_order_whatever_shows_it(
    collector: TcpCollector, certificates: Certificates, exporter: Party
) -> None:
    readiness = Readiness()
    readiness.open()
    sending = TlsSender(parse_url(url(collector, certificates, exporter)), readiness)
    accepting = threading.Thread(target=collector.accept)
    accepting.start()
    sending.open()
    accepting.join()
    collector.close()  # without a close_notify
    with pytest.raises(SessionLost) as told:
        until(lambda: sending._put(b"?"))  # the first is sent, and its refusal makes the next one fail with EPIPE
    assert str(told.value).endswith("broken pipe")
    assert not told.value.is_orderly
    sending.close()
    readiness.close()


def refused(url: str, collector: TcpCollector) -> str:
    """The error of an exporter whose connection somebody does not accept; nothing counts as sent."""

    def serve() -> None:
        with suppress(OSError):
            collector.read_to_end()

    sending = Exporter(url)
    sending.open()
    serving = threading.Thread(target=serve)
    serving.start()
    sending.write(ROWS)
    error = until(lambda: sending.report[0].error)
    sending.close(0)
    serving.join()
    assert collector.rows == []
    return error


def test_a_collector_of_another_name_gets_nothing(
    collector: TcpCollector, certificates: Certificates, exporter: Party
) -> None:
    error = refused(url(collector, certificates, exporter, name="other.example.net"), collector)
    assert error.startswith("the certificate is not accepted: Hostname mismatch")


def test_a_collector_that_nobody_vouches_for_gets_nothing(
    collector: TcpCollector, exporter: Party, tmp_path: Path
) -> None:
    error = refused(url(collector, Certificates(tmp_path, "others"), exporter), collector)
    assert error.startswith("the certificate is not accepted: self-signed certificate")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_an_exporter_without_certificate_is_told_so_and_loses_nothing(
    collector: TcpCollector, certificates: Certificates, version: str
) -> None:
    assert refused(url(collector, certificates, None, tls=version), collector)


def test_files_that_cannot_be_used_are_told_before_anything_is_sent(
    collector: TcpCollector, certificates: Certificates, exporter: Party, server: Party, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    wrong_key = Party(exporter.cert, server.key)
    for bad, message in [
        (url(collector, certificates, exporter, ca=str(missing)), "ca=.*missing.pem cannot be used: no such file"),
        (url(collector, certificates, exporter, ca=str(nonsense)), "ca=.*nonsense.pem cannot be used: "),
        (url(collector, certificates, wrong_key), "key=.*collector.key cannot be used: key values mismatch"),
        (f"{collector.url}?key={exporter.key}", "key= is without cert="),
    ]:
        with pytest.raises(TransportError, match=message):
            Exporter(bad).open()
