"""A Collector over every transport: what our Exporter and openssl's s_client send is stored, and the ledgers agree."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests import build
from tests.interop.collected import assert_complete, collect, stored
from tests.interop.test_collecting import until_ended
from tests.interop.test_exporting import FLOWS
from tests.process.collecting.sending import until
from tests.transport.certificates import Certificates, Party

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]


class Secured:
    """Certificates of a collector and of an exporter."""

    def __init__(self, folder: Path) -> None:
        self.certificates = Certificates(folder)
        self.exporter = self.certificates.party("exporter", "DNS:exporter.example.net")
        self._collector = self.certificates.party("collector", "DNS:localhost", "IP:127.0.0.1")

    @property
    def collecting(self) -> str:
        """Options of the collector's URL."""
        return self._options(self._collector)

    @property
    def exporting(self) -> str:
        """Options of the exporter's URL."""
        return self._options(self.exporter)

    def _options(self, party: Party) -> str:
        return f"?ca={self.certificates.ca}&cert={party.cert}&key={party.key}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    return Secured(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "dtls"])
def test_what_our_exporter_sends_is_stored(transport: str, secured: Secured, tmp_path: Path) -> None:
    is_secured = transport in ("tls", "dtls")
    assert_exported(transport, tmp_path, *((secured.collecting, secured.exporting) if is_secured else ("", "?")))


def assert_exported(transport: str, folder: Path, collecting: str = "", exporting: str = "?") -> None:
    """What an Exporter counts is what the Collector counts, and all values are stored."""

    def export(port: int, collector: hw.Collector) -> None:
        with hw.Exporter(f"{transport}://127.0.0.1:{port}{exporting}&mtu=1400") as exporter:
            exporter.write(FLOWS)
            assert exporter.flush(60)
            until(lambda: collector.decoded_records == len(FLOWS))
        sent.extend(exporter.report)

    sent: list[Any] = []
    report = collect(folder, export, transport, collecting)
    assert stored(folder) == FLOWS
    assert_complete(report, len(FLOWS))
    (ours,), (theirs,) = report.exporters, sent
    assert ours["messages"] == theirs.messages
    assert ours["records"] == theirs.sent.records == len(FLOWS)
    assert ours["transport"] == transport


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_what_s_client_sends_over_tls_is_stored(version: str, secured: Secured, tmp_path: Path) -> None:
    messages = build.flows(300)

    def export(port: int, collector: hw.Collector) -> None:
        # Q, R or K at the start of a piece would be a command; pieces are multiples of 512 octets, however it is read
        for_stdin = b"".join(messages)
        assert not set(for_stdin[::512]) & set(b"QRKkB")
        done = subprocess.run(s_client(secured, port, version), input=for_stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        until_ended(collector)

    report = collect(tmp_path, export, "tls", secured.collecting)
    assert_is_file(tmp_path, messages)
    assert_complete(report, 300)
    assert report.totals["connections"] == report.totals["connections_ended"] == 1


def test_what_s_client_sends_over_dtls_is_stored(secured: Secured, tmp_path: Path) -> None:
    messages = build.flows(300)

    def export(port: int, collector: hw.Collector) -> None:
        with subprocess.Popen(
            s_client(secured, port, "-dtls1_2"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as client:
            assert client.stdin is not None
            for number, message in enumerate(messages, 1):
                client.stdin.write(message)
                client.stdin.flush()  # what it reads at once goes out in one datagram
                until(lambda: collector.report().totals.get("messages") == number)  # noqa: B023  # called here
            client.stdin.close()
            client.wait(60)

    report = collect(tmp_path, export, "dtls", secured.collecting)
    assert_is_file(tmp_path, messages)
    assert_complete(report, 300)
    assert report.totals["datagrams"] == len(messages)


def test_an_exporter_without_a_certificate_gets_nothing_in(secured: Secured, tmp_path: Path) -> None:
    def export(port: int, collector: hw.Collector) -> None:
        command = s_client(secured, port, "-tls1_3")
        start = command.index("-cert")
        subprocess.run(
            command[:start] + command[start + 4 :], input=build.flows(1)[0], capture_output=True, check=False
        )
        until(lambda: collector.report().totals.get("handshakes_failed"))

    report = collect(tmp_path, export, "tls", secured.collecting)
    assert stored(tmp_path) == []
    assert not report.totals.get("records")


def s_client(secured: Secured, port: int, version: str) -> list[str]:
    program = shutil.which("openssl")
    assert program is not None
    party = secured.exporter
    files = ["-cert", party.cert, "-key", party.key, "-CAfile", secured.certificates.ca]
    return [
        program, "s_client", version, "-quiet", "-no_ign_eof", "-verify_return_error",
        "-connect", f"127.0.0.1:{port}", *map(str, files),
    ]  # fmt: skip


def assert_is_file(folder: Path, messages: list[bytes]) -> None:
    """What is stored are the records that a file with these Messages has."""
    assert stored(folder) == list(hw.records(build.file(*messages)))
