"""TLS in: who may export, and how many handshakes may be under way (RFC 7011 §11)."""

from __future__ import annotations

import resource
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from headwater.errors import FaultKind, TransportError
from headwater.process.exporting import Exporter
from headwater.transport.incoming.tls import TlsListener
from headwater.transport.incoming.url import parse_listen_url
from tests.build import flows
from tests.process.collectors import DEADLINE_S, until
from tests.transport.certificates import Certificates, Party
from tests.transport.receiving import Clock, Kept, running, url_of

MESSAGES = flows(5000)[:200]
STREAM = b"".join(MESSAGES)


def listener(certificates: Certificates, party: Party, options: str = "") -> TlsListener:
    url = f"tls://127.0.0.1:0?ca={certificates.ca}&cert={party.cert}&key={party.key}&{options}"
    made = TlsListener(parse_listen_url(url))
    made.latency = 0.01
    return made


def client(to: TlsListener, certificates: Certificates, party: Party | None, version: str = "1.3") -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificates.ca)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{version.replace('.', '_')}"]
    if party is not None:
        context.load_cert_chain(party.cert, party.key)
    return context.wrap_socket(socket.create_connection(to.address, timeout=DEADLINE_S), server_hostname="localhost")


def is_refused(to: TlsListener, certificates: Certificates, party: Party | None, version: str) -> bool:
    """Whether an exporter cannot send anything; in TLS 1.3 it learns that when it reads."""
    try:
        with client(to, certificates, party, version) as connection:
            connection.sendall(MESSAGES[0])
            return connection.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_messages_of_an_exporter_with_a_certificate_arrive(
    certificates: Certificates, exporter: Party, collector: Party, version: str
) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector), kept):
        with client(tls, certificates, exporter, version) as connection:
            for at in range(0, len(STREAM), 5000):
                connection.sendall(STREAM[at : at + 5000])
            kept.wait(lambda: kept.count == len(STREAM))
            (told,) = tls.sessions()
            assert told["names"] == ["192.0.2.1", "exporter", "exporter.example.net"]
            with suppress(OSError):
                connection.unwrap()  # and the collector answers it
        kept.wait(lambda: kept.ended)
    assert kept.octets == STREAM
    assert kept.faults == []
    assert (tls.counters["handshakes"], tls.counters["connections_ended"]) == (1, 1)
    assert not tls.counters["handshakes_failed"]


def test_a_close_notify_is_answered(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector), kept), client(tls, certificates, exporter) as connection:
        connection.sendall(MESSAGES[0])
        connection.unwrap().close()
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]


def test_an_end_without_close_notify_ends_the_session_as_well(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector), kept):
        connection = client(tls, certificates, exporter)
        connection.sendall(MESSAGES[0] + MESSAGES[1][:30])
        connection.close()
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]
    assert [fault.kind for fault in kept.faults] == [FaultKind.TRUNCATED_TAIL]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_no_certificate_wrong_authority_wrong_use_and_revoked_ones_are_refused_and_counted(
    certificates: Certificates, collector: Party, tmp_path: Path, version: str
) -> None:
    kept = Kept()
    gone = certificates.party("gone", "DNS:gone.example.net")
    crl = certificates.revoked(gone)
    rogue = Certificates(tmp_path, "others").party("rogue", "DNS:exporter.example.net")
    server_only = certificates.party("server-only", "DNS:exporter.example.net", use="serverAuth")
    with running(tls := listener(certificates, collector, f"crl={crl}"), kept):
        assert is_refused(tls, certificates, None, version)
        assert is_refused(tls, certificates, rogue, version)
        assert is_refused(tls, certificates, server_only, version)
        assert is_refused(tls, certificates, gone, version)
        until(lambda: tls.counters["handshakes_failed"] == 4)
    reasons = {name: count for name, count in tls.counters.items() if name.startswith("handshakes_failed_")}
    assert reasons == {
        "handshakes_failed_peer_did_not_return_a_certificate": 1,
        "handshakes_failed_unable_to_get_local_issuer_certificate": 1,
        "handshakes_failed_unsuitable_certificate_purpose": 1,
        "handshakes_failed_certificate_revoked": 1,
    }
    assert kept.blocks == []
    assert len(tls.notes) == 4


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_certificate_that_is_not_on_the_list_is_refused_by_its_name(
    certificates: Certificates, exporter: Party, collector: Party, version: str
) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector, "allow_name=one.example.net,two.example.net"), kept):
        assert is_refused(tls, certificates, exporter, version)
        until(lambda: tls.counters["handshakes_failed_name_not_allowed"] == 1)
        assert tls.notes[0].endswith("refused, it is 192.0.2.1, exporter, exporter.example.net")
    assert kept.blocks == []
    assert not tls.counters["handshakes"]


@pytest.mark.parametrize("name", ["EXPORTER.example.net", "192.0.2.1", "exporter"])
def test_dns_names_addresses_and_the_common_name_are_names(
    certificates: Certificates, exporter: Party, collector: Party, name: str
) -> None:
    kept = Kept()
    with (
        running(tls := listener(certificates, collector, f"allow_name=other,{name}"), kept),
        client(tls, certificates, exporter) as connection,
    ):
        connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count)


def test_tls_1_1_and_plain_text_are_refused(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector, "tls=1.3"), kept):
        assert is_refused(tls, certificates, exporter, "1.2")
        with socket.create_connection(tls.address, timeout=DEADLINE_S) as plain:
            plain.sendall(MESSAGES[0])
            with suppress(ConnectionError):
                while plain.recv(100):  # an alert, and the end
                    pass
        until(lambda: tls.counters["handshakes_failed"] == 2)
    assert tls.counters["handshakes_failed_unsupported_protocol"] == 1
    assert kept.blocks == []


# ---------------------------------------------------------------- limits


def test_a_handshake_that_does_not_end_is_given_up(
    certificates: Certificates, collector: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with (
        running(tls := listener(certificates, collector, "handshake_timeout=1h"), kept),
        socket.create_connection(tls.address, timeout=DEADLINE_S) as silent,
    ):
        until(lambda: tls.sessions())
        assert tls.sessions()[0]["state"] == "handshake"
        clock.leap(tls, 2 * 3600)
        assert silent.recv(1) == b""
    assert tls.counters["handshakes_timed_out"] == 1
    assert tls.sessions() == []


def until_counter(tls: TlsListener, name: str, count: int) -> None:
    until(lambda: tls.counters[name] >= count)


def flood(tls: TlsListener, kept: Kept, certificates: Certificates, exporter: Party, count: int) -> None:
    """Half-open handshakes, more than there may be, and a real exporter among them."""
    with ExitStack() as stack:
        for number in range(count):
            half = stack.enter_context(socket.create_connection(tls.address, source_address=("127.0.0.2", 0)))
            half.sendall(b"\x16\x03\x01\x02\x00\x01")
            if number % 256 == 255:  # as fast as they are taken
                until_counter(tls, "connections", number - 100)
        with client(tls, certificates, exporter) as connection:
            connection.sendall(MESSAGES[0])
            kept.wait(lambda: kept.count == len(MESSAGES[0]))
        assert len(tls.sessions()) <= tls.url.options["max_handshakes"] + 1


def test_half_open_handshakes_keep_nobody_away(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector, "max_handshakes=50&handshake_timeout=1h&backlog=1024"), kept):
        flood(tls, kept, certificates, exporter, 300)
    assert tls.counters["handshakes_displaced"] >= 250
    assert tls.counters["handshakes"] == 1


@pytest.mark.slow
def test_10_000_half_open_handshakes_keep_nobody_away(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 12_000:
        pytest.skip("this needs 12,000 open files")
    kept = Kept()
    with running(tls := listener(certificates, collector, "handshake_timeout=1h&backlog=1024"), kept):
        flood(tls, kept, certificates, exporter, 10_000)
    assert tls.counters["handshakes_displaced"] >= 9000
    assert tls.counters["handshakes"] == 1


def test_handshakes_go_on_while_the_queue_is_full(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector), kept), client(tls, certificates, exporter) as first:
        kept.is_full = True
        first.sendall(STREAM)
        until(lambda: tls.counters["pauses"])
        with client(tls, certificates, exporter) as second:
            until(lambda: tls.num_sessions == 2)
            second.sendall(STREAM)
            kept.is_full = False
            kept.wait(lambda: kept.count == 2 * len(STREAM))
    assert list(kept.by_key().values()) == [STREAM, STREAM]


# ---------------------------------------------------------------- certificates of our own


def test_certificates_are_read_again_and_old_sessions_go_on(
    certificates: Certificates, exporter: Party, collector: Party, tmp_path: Path
) -> None:
    kept = Kept()
    own = collector.copied(tmp_path)
    with running(tls := listener(certificates, own), kept), client(tls, certificates, exporter) as old:
        renewed = certificates.party("renewed", "DNS:localhost")
        shutil.copy(renewed.cert, own.cert)
        with pytest.raises(TransportError, match=r"key=.*own.key cannot be used: key values mismatch"):
            tls.reload()
        with client(tls, certificates, exporter) as other:
            assert subject(other) == "collector"
        shutil.copy(renewed.key, own.key)
        tls.reload()
        with client(tls, certificates, exporter) as new:
            assert subject(new) == "renewed"
            new.sendall(MESSAGES[0])
            old.sendall(MESSAGES[1])
            kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))


def subject(connection: ssl.SSLSocket) -> str:
    certificate = connection.getpeercert()
    assert certificate
    name = dict(part[0] for part in certificate["subject"])["commonName"]  # type: ignore[misc]
    assert isinstance(name, str)
    return name


def test_files_that_cannot_be_used_are_told_before_anything_is_bound(
    certificates: Certificates, collector: Party, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for options, message in [
        (f"ca={tmp_path}/missing.pem", "ca=.*missing.pem cannot be used: no such file"),
        (f"crl={nonsense}", "crl=.*nonsense.pem cannot be used: "),
        (f"cert={nonsense}", "cannot be used: "),
    ]:
        with pytest.raises(TransportError, match=message):
            listener(certificates, collector, options).open()


# ---------------------------------------------------------------- others


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_messages_of_openssl_s_client_arrive(
    certificates: Certificates, exporter: Party, collector: Party, version: str
) -> None:
    kept = Kept()
    program = shutil.which("openssl")
    assert program is not None
    with running(tls := listener(certificates, collector), kept):
        command = [
            program, "s_client", version, "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{tls.address[1]}",
            "-cert", exporter.cert, "-key", exporter.key, "-CAfile", certificates.ca, "-verify_return_error",
        ]  # fmt: skip
        # Q at the start of a line would end it, so that Messages are sent in one piece
        done = subprocess.run([str(one) for one in command], input=MESSAGES[0], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_records_of_our_exporter_arrive(
    certificates: Certificates, exporter: Party, collector: Party, version: str
) -> None:
    kept = Kept()
    rows = [{"octetDeltaCount": number} for number in range(5000)]
    with running(tls := listener(certificates, collector), kept):
        files = f"ca={certificates.ca}&cert={exporter.cert}&key={exporter.key}&tls={version}"
        with Exporter(f"{url_of(tls)}?{files}&mtu=1400") as sending:
            sending.write(rows)
            assert sending.flush(DEADLINE_S)
        kept.wait(lambda: kept.ended)
    assert kept.rows == rows
    assert kept.faults == []


def test_what_is_no_tls_within_a_session_ends_it_and_is_counted(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(tls := listener(certificates, collector), kept):
        connection = client(tls, certificates, exporter)
        connection.sendall(MESSAGES[0])
        with socket.socket(fileno=connection.detach()) as plain:
            plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]
    assert tls.counters["session_errors"] == 1
    assert "ended, " in tls.notes[0]
