"""DTLS to openssl's server, which wants a certificate and writes what it is sent (RFC 7011 §11)."""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import TransportError
from headwater.process.exporting import Exporter
from headwater.transport.outgoing import Readiness, SessionLost, Stopped, parse_url
from headwater.transport.outgoing.dtls import DtlsSender
from tests.process.collectors import DEADLINE_S, free_port, records_of, until
from tests.transport.certificates import Certificates, Party

ROWS = [{"octetDeltaCount": number} for number in range(500)]
QUICK = "retry=0.2&retry_first=0.05"


@pytest.fixture(scope="module")
def exporter(certificates: Certificates) -> Party:
    pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed (headwater[dtls])")
    return certificates.party("exporter", "DNS:exporter.example.net")


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Party:
    return certificates.party("collector", "DNS:collector.example.net", "IP:127.0.0.1")


@pytest.fixture
def port() -> Iterator[int]:
    """One that only the server gets, which asks for it by its number."""
    with free_port(socket.SOCK_DGRAM) as port:
        yield port


@contextmanager
def listening(port: int, certificates: Certificates, server: Party, out: Path) -> Iterator[None]:
    """A DTLS server that writes what it is sent to a file."""
    program = shutil.which("openssl")
    assert program is not None
    command = [
        program, "s_server", "-dtls1_2", "-listen", "-quiet", "-4", "-accept", f"127.0.0.1:{port}", "-mtu", "1400",
        "-cert", server.cert, "-key", server.key, "-CAfile", certificates.ca, "-Verify", "2", "-verify_return_error",
    ]  # fmt: skip
    with (
        out.open("wb") as file,
        subprocess.Popen(
            [str(one) for one in command], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def url(port: int, certificates: Certificates, party: Party | None, more: str = "") -> str:
    own = f"&cert={party.cert}&key={party.key}" if party else ""
    return f"dtls://127.0.0.1:{port}?ca={certificates.ca}{own}&{QUICK}{more}"


def test_records_arrive_in_datagrams_of_512_octets(
    certificates: Certificates,
    exporter: Party,
    server: Party,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, sizes = tmp_path / "out", []
    put = DtlsSender._put

    def measured(self: DtlsSender, datagram: memoryview | bytes) -> None:
        sizes.append(len(datagram))
        put(self, datagram)

    monkeypatch.setattr(DtlsSender, "_put", measured)
    with listening(port, certificates, server, out):
        with Exporter(url(port, certificates, exporter)) as sending:
            until(lambda: sending.report[0].state == "connected")
            sending.write(ROWS)
            assert sending.flush(DEADLINE_S)
            until(lambda: records_of(out.read_bytes()) == ROWS)
        (report,) = sending.report
    assert report.sent.records == 500
    assert not report.dropped
    assert 500 < max(sizes) <= 512


def test_a_collector_of_another_name_gets_nothing(
    certificates: Certificates,
    exporter: Party,
    server: Party,
    port: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out"
    with listening(port, certificates, server, out):
        sending = Exporter(url(port, certificates, exporter, "&name=other.example.net"))
        sending.open()
        sending.write(ROWS)
        # openssl ends after that, so that the error is another one soon
        until(lambda: f"127.0.0.1:{port}: the certificate is for 127.0.0.1, collector.example.net" in caplog.text)
        sending.close(0)
    assert sending.report[0].sent.records == 0
    assert out.read_bytes() == b""


def test_a_collector_that_nobody_vouches_for_gets_nothing(
    certificates: Certificates,
    exporter: Party,
    server: Party,
    port: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out"
    with listening(port, certificates, server, out):
        sending = Exporter(url(port, Certificates(tmp_path, "others"), exporter))
        sending.open()
        until(lambda: f"127.0.0.1:{port}: certificate verify failed" in caplog.text)
        sending.close(0)
    assert out.read_bytes() == b""


def test_a_session_is_made_anew_for_a_collector_that_was_restarted(
    certificates: Certificates, exporter: Party, server: Party, port: int, tmp_path: Path
) -> None:
    sending = Exporter(url(port, certificates, exporter))
    with listening(port, certificates, server, tmp_path / "first"):
        sending.open()
        sending.write(ROWS)
        assert sending.flush(DEADLINE_S)
    with listening(port, certificates, server, tmp_path / "second"):
        (destination,) = sending._destinations
        assert isinstance(destination._sender, DtlsSender)
        destination._sender._opened -= 1000  # as if it was long ago
        destination._readiness.wake()
        until(lambda: sending.report[0].connections == 2)
        sending.write(ROWS)
        until(lambda: rows_in(tmp_path / "second") == ROWS)
        sending.close()
    (report,) = sending.report
    assert (report.connections, report.sent.records) == (2, 1000)


def test_what_is_due_in_a_handshake_is_repeated_at_once(
    certificates: Certificates, exporter: Party, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(Readiness):
        def wait(self, *arguments: object, timeout: float | None = None, **options: object) -> bool:
            assert timeout == 0
            raise Stopped

    readiness = Waiting()
    readiness.open()
    sending = DtlsSender(parse_url(url(port, certificates, exporter)), readiness)
    monkeypatch.setattr("OpenSSL.SSL.Connection.DTLSv1_get_timeout", lambda self: 0.0)
    with pytest.raises(Stopped):
        sending.open()
    sending.close()
    readiness.close()


class FakeSocket:
    """Has what it is told to have, and what is sent to it is lost."""

    def __init__(self, *found: bytes | OSError) -> None:
        self._found = [*found, BlockingIOError()]

    def recv(self, octets: int) -> bytes:
        one = self._found.pop(0)
        if isinstance(one, OSError):
            raise one
        return one

    def send(self, octets: bytes) -> None:
        pass


def sender_with(fake: FakeSocket, port: int, certificates: Certificates, party: Party) -> Any:
    """One that has begun a handshake."""
    sender: Any = DtlsSender(parse_url(url(port, certificates, party)), Readiness())
    sender._socket, sender._dtls = fake, sender._ssl.Connection(sender._context, None)
    sender._dtls.set_connect_state()
    return sender


def test_empty_datagrams_say_nothing(certificates: Certificates, exporter: Party, port: int) -> None:
    assert sender_with(FakeSocket(b"", b""), port, certificates, exporter)._receive()
    sender_with(FakeSocket(b"", b""), port, certificates, exporter)._read()


def test_a_host_that_cannot_be_reached_ends_an_attempt_and_no_session(
    certificates: Certificates, exporter: Party, port: int
) -> None:
    error = OSError(errno.EHOSTUNREACH, "No route to host")
    with pytest.raises(SessionLost, match="no route to host"):
        sender_with(FakeSocket(error), port, certificates, exporter)._receive()
    sender_with(FakeSocket(error), port, certificates, exporter)._read()


def rows_in(path: Path) -> list[dict[str, int]]:
    return records_of(path.read_bytes())


def test_without_pyopenssl_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "OpenSSL.SSL", None)
    with pytest.raises(TransportError, match=r"DTLS needs pyOpenSSL \(pip install 'headwater\[dtls\]'\)"):
        Exporter("dtls://192.0.2.1").open()


def test_a_key_that_is_encrypted_is_told_and_nobody_is_asked_for_its_password(
    certificates: Certificates, exporter: Party, port: int, tmp_path: Path
) -> None:
    with pytest.raises(TransportError, match=r"key=.* cannot be used: the private key is encrypted"):
        Exporter(url(port, certificates, exporter.encrypted(tmp_path))).open()
