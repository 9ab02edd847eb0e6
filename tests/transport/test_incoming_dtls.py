"""DTLS in: many exporters on one socket, cookies before any state, restarts of either side (RFC 7011 §11)."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import TransportError
from headwater.process.exporting import Exporter
from headwater.transport.incoming import udp_socket
from headwater.transport.incoming.dtls import DtlsListener
from headwater.transport.incoming.dtls_session import DtlsSession
from headwater.transport.incoming.url import parse_listen_url
from tests.build import flows
from tests.process.collectors import DEADLINE_S, until
from tests.transport.certificates import Certificates, Party
from tests.transport.receiving import Clock, Kept, is_taken, running, url_of

SSL = pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is not installed (headwater[dtls])")
ROWS = [{"octetDeltaCount": number} for number in range(1000)]
MESSAGES = flows(100, mtu=500)


def listener(
    certificates: Certificates, party: Party, options: str = "", socket: socket.socket | None = None
) -> DtlsListener:
    url = f"dtls://127.0.0.1:0?ca={certificates.ca}&cert={party.cert}&key={party.key}&receive_buffer=1M&{options}"
    made = DtlsListener(parse_listen_url(url), socket)
    made.latency = 0.01
    return made


class Client:
    """An exporter by hand. before: the socket of one that is no more, on whose port this one begins."""

    def __init__(
        self, to: DtlsListener, certificates: Certificates, party: Party | None, before: socket.socket | None = None
    ) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.load_verify_locations(str(certificates.ca))
        if party is not None:
            context.use_certificate_file(str(party.cert))
            context.use_privatekey_file(str(party.key))
        self.dtls = SSL.Connection(context, None)
        self.dtls.set_connect_state()
        self.dtls.set_ciphertext_mtu(1200)
        self.socket = before or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if before is None:
            self.socket.bind(("127.0.0.1", 0))
            self.socket.connect(to.address)
        while not is_taken(self.socket):  # a new socket would not have what the collector said to the old one
            self.socket.recv(1 << 16)
        self.socket.settimeout(DEADLINE_S)
        self.port = self.socket.getsockname()[1]

    def step(self) -> bool:
        """Send what is to be sent; whether the handshake is over."""
        try:
            self.dtls.do_handshake()
        except SSL.WantReadError:
            self.flush()
            return False
        self.flush()
        return True

    def shake_hands(self) -> None:
        while not self.step():
            self.dtls.bio_write(self.socket.recv(1 << 16))

    def miss_flight(self) -> None:
        """Lose all that the collector answers to a ClientHello with a cookie."""
        end = b""
        while (end[:3], end[13:14]) != (b"\x16\xfe\xfd", b"\x0e"):  # ServerHelloDone, in a record of its own
            end = self.socket.recv(1 << 16)[-25:]

    def flush(self) -> None:
        try:
            octets = self.dtls.bio_read(1 << 16)
        except SSL.WantReadError:
            return
        while octets:
            end = 13 + int.from_bytes(octets[11:13], "big")
            self.socket.send(octets[:end])
            octets = octets[end:]

    def send(self, octets: bytes) -> None:
        self.dtls.send(octets)
        self.flush()

    def read(self) -> bytes:
        """What the collector says; b"" = it has ended the session."""
        while True:
            self.dtls.bio_write(self.socket.recv(1 << 16))
            try:
                octets: bytes = self.dtls.recv(1 << 16)
            except SSL.ZeroReturnError:
                return b""
            except (SSL.WantReadError, SSL.SysCallError):  # the latter of a flight that came twice, and no answer to it
                continue
            return octets

    def close(self) -> None:
        self.socket.close()


@contextmanager
def client(
    to: DtlsListener,
    certificates: Certificates,
    party: Party | None,
    before: socket.socket | None = None,
    *,
    greets: bool = True,
) -> Iterator[Client]:
    made = Client(to, certificates, party, before)
    try:
        if greets:
            made.shake_hands()
        yield made
    finally:
        made.close()


def test_each_record_is_a_datagram_of_its_exporter(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept):
        with client(dtls, certificates, exporter) as one, client(dtls, certificates, exporter) as two:
            for number, message in enumerate(MESSAGES):
                (one, two)[number % 2].send(message)
            kept.wait(lambda: kept.count == sum(map(len, MESSAGES)))
            told = dtls.sessions()
            ports = {one.port, two.port}
        assert dtls.num_sessions == 2
    assert [one["state"] for one in told] == ["established"] * 2
    assert told[0]["names"] == ["192.0.2.1", "exporter", "exporter.example.net"]
    assert {key.port: octets for key, octets in kept.by_key().items()} == {
        port: b"".join(MESSAGES[number::2]) for number, port in enumerate((one.port, two.port))
    }
    assert {key.port for key in kept.ended} == ports
    assert dtls.counters["datagrams"] == len(MESSAGES)
    assert dtls.counters["handshakes"] == dtls.counters["connections"] == 2


def test_a_close_notify_ends_a_session_and_is_answered(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        one.send(MESSAGES[0])
        one.dtls.shutdown()
        one.flush()
        assert one.read() == b""
        kept.wait(lambda: kept.ended)
        assert dtls.num_sessions == 0
    assert kept.octets == MESSAGES[0]


def test_stopping_tells_exporters(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
        dtls.stop()
        assert one.read() == b""
    assert len(kept.ended) == 1


def test_an_exporter_that_was_restarted_on_the_same_port_begins_a_new_session(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept):
        with client(dtls, certificates, exporter) as one:
            one.send(MESSAGES[0])
            kept.wait(lambda: kept.count)
            before = one.socket.dup()
        with client(dtls, certificates, exporter, before) as again:
            again.send(MESSAGES[1])
            kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))
            assert dtls.num_sessions == 1
    assert dtls.counters["restarts"] == 1
    first = next(block for block in kept.blocks if block.ended)
    assert first.datagrams.buffer.tobytes() in (MESSAGES[0], b"")
    assert len(kept.ended) == 2
    assert len(set(kept.ended)) == 1


def test_a_hello_without_a_cookie_does_not_disturb_a_session(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        cookies = dtls.counters["cookies"]  # more than one, if the collector has stood still
        stranger = Client(dtls, certificates, exporter)
        stranger.socket.close()
        stranger.socket = one.socket  # as if somebody sent with the exporter's address
        stranger.step()
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
    assert not dtls.counters["restarts"]
    assert dtls.counters["cookies"] == cookies + 1


def test_a_collector_that_was_restarted_counts_what_it_cannot_read_until_the_exporter_begins_anew(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    first, second = Kept(), Kept()
    files = f"ca={certificates.ca}&cert={exporter.cert}&key={exporter.key}"
    bound = udp_socket.bind(parse_listen_url("udp://127.0.0.1:0"))  # nobody else gets its port in between
    with closing(bound), running(dtls := listener(certificates, collector, socket=bound.dup()), first):
        again = bound.dup()
        sending = Exporter(f"{url_of(dtls)}?{files}&retry=0.05&retry_first=0.01")
        sending.open()
        sending.write(ROWS)
        assert sending.flush(DEADLINE_S)
        until(lambda: len(first.rows) == 1000)
        sender: Any = sending._destinations[0]._sender
        sender._read = lambda: None  # it does not hear that the collector stops
    with running(dtls := listener(certificates, collector, socket=again), second):
        sending.write(ROWS[:100])
        until(lambda: dtls.counters["not_session"])
        sender._opened -= 1000  # as if `renew` seconds had passed
        sending.write(ROWS[:1])  # in the session before or in the new one
        until(lambda: dtls.counters["handshakes"])
        sending.write(ROWS)
        until(lambda: len(second.rows) >= 1000)
        sending.close()
    assert second.rows[-1000:] == ROWS
    assert dtls.counters["handshakes"] == 1


def test_certificates_that_are_not_accepted_are_counted_by_reason(
    certificates: Certificates, collector: Party, tmp_path: Path
) -> None:
    kept = Kept()
    gone = certificates.party("gone", "DNS:gone.example.net")
    rogue = Certificates(tmp_path, "others").party("rogue", "DNS:exporter.example.net")
    server_only = certificates.party("server-only", "DNS:exporter.example.net", use="serverAuth")
    with running(dtls := listener(certificates, collector, f"crl={certificates.revoked(gone)}"), kept):
        for party in (None, rogue, server_only, gone):
            with pytest.raises(SSL.Error), client(dtls, certificates, party):
                pass
        until(lambda: dtls.counters["handshakes_failed"] == 4 and not dtls.sessions())
        assert dtls.num_sessions == 0
    reasons = {name: count for name, count in dtls.counters.items() if name.startswith("handshakes_failed_")}
    assert reasons == {
        "handshakes_failed_peer_did_not_return_a_certificate": 1,
        "handshakes_failed_unable_to_get_local_issuer_certificate": 1,
        "handshakes_failed_unsuitable_certificate_purpose": 1,
        "handshakes_failed_certificate_revoked": 1,
    }
    assert len(dtls.notes) == 4
    assert kept.blocks == []


def test_a_certificate_that_is_not_on_the_list_is_refused_by_its_name(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with (
        running(dtls := listener(certificates, collector, "allow_name=one.example.net"), kept),
        client(dtls, certificates, exporter) as one,
    ):
        one.send(MESSAGES[0])
        assert one.read() == b""
    assert dtls.counters["handshakes_failed_name_not_allowed"] == 1
    assert dtls.notes[0].endswith("refused, it is 192.0.2.1, exporter, exporter.example.net")
    assert kept.blocks == []


# ---------------------------------------------------------------- hostile


def test_garbage_leaves_no_state_and_disturbs_nobody(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept, pick = Kept(), random.Random(7)
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        hello = record_of(Client(dtls, certificates, exporter))
        held = dtls._socket
        assert held is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hostile:
            hostile.connect(dtls.address)
            for sender in (hostile, one.socket):
                for number in range(300):
                    junk = pick.randbytes(pick.randrange(0, 1500))
                    if number % 3 == 1:  # looks like a record
                        junk = bytes([pick.randrange(20, 24)]) + b"\xfe\xfd" + junk
                    if number % 3 == 2:  # a ClientHello with errors in it
                        wrong = bytearray(hello)
                        wrong[pick.randrange(len(wrong))] ^= 1 << pick.randrange(8)
                        junk = bytes(wrong)
                    sender.send(junk)
                    if number % 20 == 19:  # the kernel need not have room for all of it
                        until(lambda: is_taken(held))
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
        assert dtls.num_sessions == 1
        assert len(dtls.sessions()) == 1
    assert kept.octets == MESSAGES[0]


def record_of(one: Client) -> bytes:
    """The first datagram of an exporter."""
    with pytest.raises(SSL.WantReadError):
        one.dtls.do_handshake()
    octets: bytes = one.dtls.bio_read(1 << 16)
    one.close()
    return octets


def half_open(dtls: DtlsListener, certificates: Certificates, count: int) -> list[Client]:
    """Exporters that come as far as the cookie, and no further."""
    made = []
    for _ in range(count):
        one = Client(dtls, certificates, None)
        one.step()
        one.dtls.bio_write(one.socket.recv(1 << 16))
        one.step()
        made.append(one)
    return made


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.slow)])
def test_half_open_handshakes_keep_nobody_away(
    certificates: Certificates, exporter: Party, collector: Party, count: int
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector, "max_handshakes=30&handshake_timeout=1h"), kept):
        flood = half_open(dtls, certificates, count)
        until(lambda: dtls.counters["handshakes_displaced"] == count - 30)
        with client(dtls, certificates, exporter) as one:
            one.send(MESSAGES[0])
            kept.wait(lambda: kept.count)
        assert len(dtls.sessions()) <= 31
        assert dtls.num_sessions == 1
        for half in flood:
            half.close()


def test_a_handshake_that_does_not_end_is_given_up(certificates: Certificates, collector: Party) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector, "handshake_timeout=0.2"), kept):
        (half,) = half_open(dtls, certificates, 1)
        until(lambda: dtls.counters["handshakes_timed_out"] == 1 and not dtls.sessions())
        half.close()


def test_a_flight_that_was_lost_is_sent_again(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with (
        running(dtls := listener(certificates, collector, "handshake_timeout=1h"), kept),
        client(dtls, certificates, exporter, greets=False) as one,
    ):
        one.step()
        one.dtls.bio_write(one.socket.recv(1 << 16))  # the cookie
        one.step()
        one.miss_flight()
        one.dtls.bio_write(one.socket.recv(1 << 16))
        one.shake_hands()
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)


def test_sessions_beyond_the_limit_are_ended_and_counted(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with (
        running(dtls := listener(certificates, collector, "max_sessions=1"), kept),
        client(dtls, certificates, exporter) as one,
        client(dtls, certificates, exporter) as two,
    ):
        assert two.read() == b""
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
    assert dtls.counters["connection_limit"] == 1


def test_a_silent_session_is_ended(
    certificates: Certificates, exporter: Party, collector: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with (
        running(dtls := listener(certificates, collector, "idle=1h"), kept),
        client(dtls, certificates, exporter) as one,
    ):
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
        clock.leap(dtls, 2 * 3600)
        assert one.read() == b""
        kept.wait(lambda: kept.ended)
    assert dtls.counters["timed_out"] == 1


def test_a_forbidden_address_gets_no_cookie(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    kept.forbidden.add("127.0.0.1")
    with (
        running(dtls := listener(certificates, collector), kept),
        client(dtls, certificates, exporter, greets=False) as one,
    ):
        one.step()
        until(lambda: dtls.counters["refused"] == 1)
    assert not dtls.counters["cookies"]


def test_what_a_full_queue_has_no_room_for_is_counted_by_exporter(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        one.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
        kept.is_full = True
        for message in MESSAGES[1:6]:
            one.send(message)
        until(lambda: dtls.counters["datagrams"] == 6)
        kept.is_full = False
        kept.wait(lambda: kept.dropped)
        one.send(MESSAGES[6])
        kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[6]))
    assert dtls.counters["dropped_datagrams"] == 5
    assert dtls.counters["dropped_octets"] == sum(map(len, MESSAGES[1:6]))
    assert {key.port: count for key, count in kept.dropped.items()} == {one.port: 5}
    assert kept.octets == MESSAGES[0] + MESSAGES[6]


# ---------------------------------------------------------------- certificates of our own, and others


def test_certificates_are_read_again_and_old_sessions_go_on(
    certificates: Certificates, exporter: Party, collector: Party, tmp_path: Path
) -> None:
    kept = Kept()
    own = collector.copied(tmp_path)
    with running(dtls := listener(certificates, own), kept), client(dtls, certificates, exporter) as old:
        renewed = certificates.party("renewed", "DNS:localhost")
        shutil.copy(renewed.cert, own.cert)
        with pytest.raises(TransportError, match=r"key=.*own.key cannot be used: key values mismatch"):
            dtls.reload()
        with client(dtls, certificates, exporter) as other:
            assert other.dtls.get_peer_certificate().to_cryptography().subject.rfc4514_string() == "CN=collector"
        shutil.copy(renewed.key, own.key)
        dtls.reload()
        with client(dtls, certificates, exporter) as new:
            assert new.dtls.get_peer_certificate().to_cryptography().subject.rfc4514_string() == "CN=renewed"
            new.send(MESSAGES[0])
            old.send(MESSAGES[1])
            kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))


def test_messages_of_openssl_s_client_arrive(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    program = shutil.which("openssl")
    assert program is not None
    with running(dtls := listener(certificates, collector), kept):
        command = [
            program, "s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{dtls.address[1]}",
            "-mtu", "1400", "-cert", exporter.cert, "-key", exporter.key, "-CAfile", certificates.ca,
            "-verify_return_error",
        ]  # fmt: skip
        done = subprocess.run([str(one) for one in command], input=MESSAGES[0], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]


def test_records_of_our_exporter_arrive(certificates: Certificates, exporter: Party, collector: Party) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept):
        files = f"ca={certificates.ca}&cert={exporter.cert}&key={exporter.key}"
        with Exporter(f"{url_of(dtls)}?{files}") as sending:
            sending.write(ROWS)
            assert sending.flush(DEADLINE_S)
        kept.wait(lambda: kept.ended)
    assert kept.rows == ROWS


def test_without_pyopenssl_there_is_one_sentence(
    certificates: Certificates, collector: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "OpenSSL.SSL", None)
    with pytest.raises(TransportError, match=r"DTLS needs pyOpenSSL \(pip install 'headwater\[dtls\]'\)"):
        listener(certificates, collector).open()


def test_a_message_and_the_end_of_the_session_in_one_datagram_are_both_seen(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept = Kept()
    with running(dtls := listener(certificates, collector), kept), client(dtls, certificates, exporter) as one:
        one.dtls.send(MESSAGES[0])
        one.dtls.send(MESSAGES[1])
        one.dtls.shutdown()
        one.socket.send(one.dtls.bio_read(1 << 16))
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0] + MESSAGES[1]
    assert not dtls.counters["session_errors"]


def test_a_hello_that_somebody_sends_again_does_not_end_a_session(
    certificates: Certificates, exporter: Party, collector: Party
) -> None:
    kept, sent = Kept(), list[bytes]()
    with running(dtls := listener(certificates, collector), kept):
        with client(dtls, certificates, exporter, greets=False) as first:
            first.socket = Recorder(first.socket, sent)  # type: ignore[assignment]
            first.shake_hands()
            before = first.socket.dup()
        with client(dtls, certificates, exporter, before) as again:
            for hello in sent[:2]:  # without and with the cookie, of the session before
                again.socket.send(hello)
            again.send(MESSAGES[0])
            for hello in sent[:2]:
                again.socket.send(hello)
            again.send(MESSAGES[1])
            kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))
            assert dtls.num_sessions == 1
    assert dtls.counters["restarts"] == 1


class Recorder:
    """A socket that keeps what is sent."""

    def __init__(self, one: socket.socket, sent: list[bytes]) -> None:
        self._socket, self._sent = one, sent

    def send(self, octets: bytes) -> int:
        self._sent.append(octets)
        return self._socket.send(octets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def test_an_exporter_that_is_restarted_within_the_handshake_begins_anew(
    certificates: Certificates, exporter: Party, collector: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    monkeypatch.setattr(
        DtlsSession, "repeat", lambda _: None
    )  # or else the new exporter could get the old one's flight
    with running(dtls := listener(certificates, collector), kept):
        with client(dtls, certificates, exporter, greets=False) as half:
            half.step()
            half.dtls.bio_write(half.socket.recv(1 << 16))  # the cookie
            half.step()
            half.miss_flight()
            before = half.socket.dup()
        with before, closing(anew(dtls, certificates, exporter, before)) as one:
            one.send(MESSAGES[0])
            kept.wait(lambda: kept.count)
        assert len(dtls.sessions()) == 1
    assert dtls.counters["handshakes_displaced"] >= 1


def anew(to: DtlsListener, certificates: Certificates, party: Party, before: socket.socket) -> Client:
    """An exporter that begins until it succeeds: what OpenSSL repeats after a second for the old one can reach it."""
    end = time.monotonic() + DEADLINE_S
    while True:
        made = Client(to, certificates, party, before.dup())
        made.socket.settimeout(5)
        try:
            made.shake_hands()
        except (SSL.Error, TimeoutError):
            assert time.monotonic() < end
            made.close()
        else:
            return made
