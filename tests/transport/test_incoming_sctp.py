"""SCTP in, by the kernel (RFC 7011 §10.2); without one that has it these are skipped, a guest kernel will do."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack, suppress

import numpy as np
import pytest

from headwater.errors import FaultKind, TransportError
from headwater.process.exporting import Exporter
from headwater.transport.incoming.sctp import SctpListener
from headwater.transport.incoming.url import parse_listen_url
from headwater.transport.sctp_constants import INIT, INITMSG, NODELAY, SCTP, SND, SNDINFO, require_sctp
from tests.build import flows
from tests.process.collectors import DEADLINE_S, until
from tests.transport.receiving import Clock, Kept, running, url_of

ROWS = [{"octetDeltaCount": number} for number in range(2000)]
MESSAGES = flows(2000)


def has_sctp() -> bool:
    try:
        require_sctp("", "")
    except TransportError:
        return False
    return True


needs_sctp = pytest.mark.skipif(not has_sctp(), reason="this kernel has no SCTP")


def listener(options: str = "") -> SctpListener:
    made = SctpListener(parse_listen_url(f"sctp://127.0.0.1:0?{options}"))
    made.latency = 0.01
    return made


def connect(to: SctpListener, streams: int = 4, port: int = 0) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
    connection.setsockopt(SCTP, INITMSG, INIT.pack(streams, 1, 0, 0))
    connection.setsockopt(SCTP, NODELAY, 1)
    connection.settimeout(DEADLINE_S)
    try:
        connection.bind(("127.0.0.1", port))
        connection.connect(to.address)
    except OSError:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, message: bytes, stream: int = 0) -> None:
    connection.sendmsg([message], [(SCTP, SNDINFO, SND.pack(stream, 0, 0, 0, 0))])


def is_ended(connection: socket.socket) -> bool:
    """Whether the collector ends the association; waits for that."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def is_refused(sctp: SctpListener) -> bool:
    """Whether an association ends before anything can come of it; it may do so while it is still made."""
    try:
        with connect(sctp) as connection:
            with suppress(OSError):
                send(connection, MESSAGES[1])
            return is_ended(connection)
    except ConnectionError:
        return True


@needs_sctp
def test_messages_are_datagrams_of_their_stream_and_association() -> None:
    kept = Kept()
    with running(sctp := listener(), kept):
        with connect(sctp) as one, connect(sctp) as two:
            for number, message in enumerate(MESSAGES):
                send((one, two)[number % 2], message, number // 2 % 4)
            kept.wait(lambda: kept.count == sum(map(len, MESSAGES)))
            told = sctp.sessions()
            ports = [one.getsockname()[1], two.getsockname()[1]]
        kept.wait(lambda: len(kept.ended) == 2)
    by_port = {key.port: octets for key, octets in kept.by_key().items()}
    assert [sorted(cut(by_port[port])) for port in ports] == [sorted(MESSAGES[::2]), sorted(MESSAGES[1::2])]
    streams = np.concatenate([block.datagrams.stream for block in kept.blocks if block.datagrams.stream is not None])
    assert len(streams) == len(MESSAGES)
    assert set(streams.tolist()) == {0, 1, 2, 3}
    assert [one["streams"] for one in told] == [4, 4]
    assert {key.port for key in kept.ended} == set(ports)
    assert sctp.counters["datagrams"] == len(MESSAGES)
    assert sctp.counters["connections"] == sctp.counters["connections_ended"] == 2
    assert kept.faults == []


def cut(octets: bytes) -> list[bytes]:
    found = []
    while octets:
        length = int.from_bytes(octets[2:4], "big")
        found.append(octets[:length])
        octets = octets[length:]
    return found


@needs_sctp
def test_the_longest_message_comes_in_one_piece() -> None:
    kept, longest = Kept(), struct.pack(">HH", 10, 65535) + bytes(65531)
    with running(sctp := listener(), kept), connect(sctp) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for _ in range(5):
            send(one, longest)
        kept.wait(lambda: kept.count == 5 * 65535)
    assert sctp.counters["datagrams"] == 5
    assert kept.faults == []


@needs_sctp
def test_what_is_longer_than_any_message_is_a_fault_and_what_follows_is_read() -> None:
    kept = Kept()
    with running(sctp := listener(), kept), connect(sctp) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        send(one, bytes(100_000))
        send(one, MESSAGES[0])
        kept.wait(lambda: kept.count)
    assert [fault.kind for fault in kept.faults] == [FaultKind.BAD_LENGTH]
    assert kept.octets == MESSAGES[0]
    assert sctp.counters["truncated"] == 1


@needs_sctp
def test_a_lost_association_is_ended_and_its_key_comes_back_in_a_later_block() -> None:
    kept = Kept()
    with running(sctp := listener(), kept):
        port = 0
        for number in range(2):
            one = connect(sctp, port=port)
            port = one.getsockname()[1]
            send(one, MESSAGES[number])
            wait_for_octets(kept, sum(map(len, MESSAGES[: number + 1])))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ABORT
            one.close()
            wait_for_ends(kept, number + 1)
    assert len(set(kept.ended)) == 1


def wait_for_octets(kept: Kept, count: int) -> None:
    kept.wait(lambda: kept.count == count)


def wait_for_ends(kept: Kept, count: int) -> None:
    kept.wait(lambda: len(kept.ended) == count)


@needs_sctp
def test_associations_beyond_the_limit_and_of_forbidden_addresses_are_ended_and_counted() -> None:
    kept = Kept()
    with running(sctp := listener("max_sessions=1"), kept), connect(sctp) as one:
        send(one, MESSAGES[0])
        kept.wait(lambda: kept.count)
        assert is_refused(sctp)
        kept.forbidden.add("127.0.0.1")
        assert is_refused(sctp)
        send(one, MESSAGES[2])
        kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[2]))
    assert sctp.counters["connection_limit"] == sctp.counters["refused"] == 1
    assert kept.octets == MESSAGES[0] + MESSAGES[2]


@needs_sctp
def test_a_silent_association_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with running(sctp := listener("idle=1h&message_timeout=2h"), kept), connect(sctp) as one, connect(sctp) as two:
        send(one, MESSAGES[0])
        kept.wait(lambda: kept.count)
        until(lambda: sctp.num_sessions == 2)
        clock.leap(sctp, 3 * 3600)
        assert is_ended(one)
        assert is_ended(two)  # which never sent anything
        kept.wait(lambda: kept.ended)
    assert sctp.counters["timed_out"] == 2
    assert kept.octets == MESSAGES[0]


@needs_sctp
def test_a_full_queue_closes_the_window_and_nothing_is_lost() -> None:
    kept, size = Kept(), 60_000
    kept.is_full = True
    big = struct.pack(">HH", 10, size) + bytes(size - 4)
    with running(sctp := listener(), kept), connect(sctp) as one:
        one.setblocking(False)
        count, silent = 0, 0
        while silent < 20 and count < 1000:
            try:
                send(one, big)
                count, silent = count + 1, 0
            except BlockingIOError:
                silent += 1
                time.sleep(0.01)
        assert count < 1000
        until(lambda: sctp.counters["pauses"])
        assert kept.count == 0
        kept.is_full = False
        kept.wait(lambda: kept.count == count * size)
    assert sctp.counters["datagrams"] == count


@needs_sctp
def test_streams_are_those_of_the_url() -> None:
    kept = Kept()
    with running(sctp := listener("streams=2"), kept), ExitStack() as stack:
        stack.enter_context(connect(sctp, streams=8))
        until(lambda: sctp.sessions())
        assert sctp.sessions()[0]["streams"] == 2


@needs_sctp
@pytest.mark.parametrize("streams", [1, 4])
def test_records_of_our_exporter_arrive(streams: int) -> None:
    kept = Kept()
    with running(sctp := listener(), kept):
        with Exporter(f"{url_of(sctp)}?mtu=1400&streams={streams}") as exporter:
            for number in range(0, 2000, 100):
                exporter.write(ROWS[number : number + 100])
            assert exporter.flush(DEADLINE_S)
        kept.wait(lambda: kept.ended)
    assert sorted(row["octetDeltaCount"] for row in kept.rows) == list(range(2000))
    assert kept.faults == []


@pytest.mark.skipif(has_sctp(), reason="this kernel has SCTP")
def test_a_kernel_without_sctp_is_told_in_a_sentence() -> None:
    with pytest.raises(TransportError, match=r"this kernel has no SCTP \(on Linux it is the module sctp"):
        listener().open()
