"""Connections of exporters: whole Messages come out, whatever pieces they come in (RFC 7011 §10.4)."""

from __future__ import annotations

import gc
import resource
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from headwater.errors import FaultKind, TransportError
from headwater.process.exporting import Exporter
from headwater.transport.incoming.block import Outlet
from headwater.transport.incoming.descriptors import highest_for_connections
from headwater.transport.incoming.tcp import TcpListener
from headwater.transport.incoming.url import parse_listen_url
from tests.build import flows
from tests.process.collectors import DEADLINE_S, free_port, until
from tests.transport.receiving import Clock, Kept, running, url_of

MESSAGES = flows(5000)[:200]
STREAM = b"".join(MESSAGES)


def listener(options: str = "", latency: float = 0.01) -> TcpListener:
    made = TcpListener(parse_listen_url(f"tcp://127.0.0.1:0?{options}"))
    made.latency = latency
    return made


def connect(to: TcpListener, source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(to.address, timeout=DEADLINE_S, source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def until_counter(tcp: TcpListener, name: str, count: int) -> None:
    until(lambda: tcp.counters[name] >= count)


def until_taken(tcp: TcpListener, octets: int) -> None:
    until(lambda: [one["octets"] for one in tcp.sessions()] == [octets])


def is_closed(connection: socket.socket) -> bool:
    """Whether the listener closes it; waits for that."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_messages_that_come_octet_by_octet_are_whole_afterwards() -> None:
    kept, octets = Kept(), b"".join(MESSAGES[:3])
    with running(tcp := listener(), kept):
        with connect(tcp) as connection:
            for one in octets:
                connection.send(bytes([one]))
        kept.wait(lambda: kept.ended)
    assert kept.octets == octets
    assert kept.faults == []
    assert tcp.counters["octets"] == len(octets)
    assert tcp.counters["messages"] == 3
    assert tcp.counters["connections"] == tcp.counters["connections_ended"] == 1


def test_every_row_is_whole_messages_of_one_connection() -> None:
    kept = Kept()
    with running(tcp := listener(), kept):
        with connect(tcp) as connection:
            for at in range(0, len(STREAM), 997):
                connection.send(STREAM[at : at + 997])
        kept.wait(lambda: kept.ended)
    assert kept.octets == STREAM
    for block in kept.blocks:
        datagrams = block.datagrams
        for start, end in zip(datagrams.start.tolist(), datagrams.end.tolist(), strict=True):
            while start < end:
                start += struct.unpack_from(">HH", datagrams.buffer, start)[1]
            assert start == end
        assert (datagrams.received > 0).all()
    assert sum(len(block.datagrams) for block in kept.blocks) == tcp.counters["datagrams"]


def test_offsets_go_on_from_block_to_block() -> None:
    kept = Kept()
    with running(tcp := listener(), kept), connect(tcp) as connection:
        for message in MESSAGES[:5]:
            before = len(kept.blocks)
            connection.send(message)
            kept.wait(lambda before=before: len(kept.blocks) > before)
    offsets = [int(offset) for block in kept.blocks for offset in block.datagrams.offset]
    assert offsets == [sum(map(len, MESSAGES[:number])) for number in range(5)]


def test_more_than_an_arena_comes_through_in_order() -> None:
    kept, many = Kept(), STREAM * 33  # 9 MB
    with running(tcp := listener(latency=5), kept):
        with connect(tcp) as connection:
            connection.sendall(many)
        kept.wait(lambda: kept.count >= len(many) - (4 << 20))
    assert kept.octets == many
    assert len(kept.blocks) > 2


def test_octets_wait_no_longer_than_latency_for_others() -> None:
    kept = Kept()
    with running(tcp := listener(), kept), connect(tcp) as connection:
        connection.send(MESSAGES[0])
        kept.wait(lambda: kept.count)
        connection.send(MESSAGES[1])
        kept.wait(lambda: len(kept.blocks) == 2)


def test_200_connections_are_kept_apart() -> None:
    kept = Kept()
    with running(tcp := listener(), kept), ExitStack() as stack:
        connections = [stack.enter_context(connect(tcp)) for _ in range(200)]
        for number in range(20):
            for index, connection in enumerate(connections):
                connection.sendall(MESSAGES[(index + number) % len(MESSAGES)])
        kept.wait(lambda: kept.count == sum(len(MESSAGES[(i + n) % 200]) for i in range(200) for n in range(20)))
        assert tcp.num_sessions == 200
        told = tcp.sessions()
        assert len(told) == 200
        assert {one["state"] for one in told} == {"established"}
        by_port = {key.port: octets for key, octets in kept.by_key().items()}
        for index, connection in enumerate(connections):
            sent = b"".join(MESSAGES[(index + number) % len(MESSAGES)] for number in range(20))
            assert by_port[connection.getsockname()[1]] == sent
    assert len(kept.ended) == 200
    assert tcp.num_sessions == 0


@pytest.mark.parametrize(
    ("garbage", "detail"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "version 18245"),
        (struct.pack(">HH", 9, 20) + bytes(40), "version 9"),
        (struct.pack(">HH", 5, 1) + bytes(68), "version 5"),
        (struct.pack(">HH", 10, 15) + bytes(40), "a Message of 15 octets"),
        (struct.pack(">HH", 10, 0) + bytes(40), "a Message of 0 octets"),
    ],
)
def test_lost_framing_ends_the_connection_and_keeps_what_was_whole(garbage: bytes, detail: str) -> None:
    kept = Kept()
    with running(tcp := listener(), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0] + MESSAGES[1] + garbage)
        assert is_closed(connection)
        kept.wait(lambda: kept.ended)
    (fault,) = kept.faults
    assert (fault.kind, fault.offset) == (FaultKind.FRAMING_LOST, len(MESSAGES[0] + MESSAGES[1]))
    assert detail in fault.detail
    assert kept.ended == [fault.key]
    assert kept.octets == MESSAGES[0] + MESSAGES[1]
    assert tcp.counters["framing_lost"] == tcp.counters["connections_ended"] == 1
    assert not tcp.counters["truncated"]


def test_an_end_within_a_message_is_a_fault() -> None:
    kept = Kept()
    with running(tcp := listener(), kept):
        with connect(tcp) as connection:
            connection.sendall(MESSAGES[0] + MESSAGES[1][:100])
        kept.wait(lambda: kept.ended)
    (fault,) = kept.faults
    assert (fault.kind, fault.offset) == (FaultKind.TRUNCATED_TAIL, len(MESSAGES[0]))
    assert fault.detail == "100 octets of a Message, then the exporter has closed the connection"
    assert tcp.counters["truncated"] == 1
    assert kept.octets == MESSAGES[0]


def test_a_reset_ends_a_session() -> None:
    kept = Kept()
    with running(tcp := listener(), kept):
        connection = connect(tcp)
        connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        kept.wait(lambda: kept.ended)
        assert tcp.num_sessions == 0


def test_a_key_that_comes_back_does_so_in_a_later_block() -> None:
    kept = Kept()
    with running(tcp := listener(latency=3600), kept), free_port() as port:
        for number in range(3):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("127.0.0.1", port))
            connection.connect(tcp.address)
            connection.sendall(MESSAGES[number])
            until_counter(tcp, "messages", number + 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    assert len(kept.blocks) == 3
    for block in kept.blocks:
        assert len(block.ended) == len(block.datagrams) == 1
    assert len(set(kept.ended)) == 1


# ---------------------------------------------------------------- limits


def test_an_octet_a_moment_does_not_keep_a_slot_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with running(tcp := listener("message_timeout=1h"), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0])
        for number in range(3):
            assert not tcp.counters["timed_out"]
            connection.send(MESSAGES[1][number : number + 1])
            until_taken(tcp, len(MESSAGES[0]) + number + 1)
            clock.leap(tcp, 25 * 60)
        assert is_closed(connection)
        kept.wait(lambda: kept.ended)
    assert tcp.counters["timed_out"] == 1
    assert kept.octets == MESSAGES[0]
    assert [fault.kind for fault in kept.faults] == [FaultKind.TRUNCATED_TAIL]


def test_a_connection_that_never_says_anything_is_ended_and_leaves_no_trace() -> None:
    kept = Kept()
    with running(tcp := listener("message_timeout=0.1"), kept), connect(tcp) as connection:
        assert is_closed(connection)
    assert tcp.counters["timed_out"] == 1
    assert kept.blocks == []
    assert list(tcp.notes) == [f"tcp://127.0.0.1:{tcp_port(tcp.notes[0])}: ended, it sent no whole Message for 0.1 s"]


def tcp_port(note: str) -> str:
    return note.removeprefix("tcp://127.0.0.1:").partition(":")[0]


def test_a_connection_between_two_messages_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with running(tcp := listener("message_timeout=1h"), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count)
        clock.leap(tcp, 2 * 3600)
        connection.sendall(MESSAGES[1])
        kept.wait(lambda: kept.count == len(MESSAGES[0] + MESSAGES[1]))
    assert not tcp.counters["timed_out"]


def test_a_connection_that_is_silent_for_longer_than_idle_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with running(tcp := listener("idle=1h"), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count)
        clock.leap(tcp, 2 * 3600)
        assert is_closed(connection)
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]
    assert tcp.counters["timed_out"] == 1
    assert kept.faults == []


def test_connections_beyond_the_limit_are_closed_and_counted() -> None:
    kept = Kept()
    with running(tcp := listener("max_sessions=2"), kept), connect(tcp) as one, connect(tcp) as two:
        one.sendall(MESSAGES[0])
        two.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count == 2 * len(MESSAGES[0]))
        with connect(tcp) as three:
            assert is_closed(three)
        assert tcp.counters["connection_limit"] == 1
        one.close()
        until(lambda: tcp.num_sessions == 1)
        with connect(tcp) as four:
            four.sendall(MESSAGES[1])
            kept.wait(lambda: kept.count == 2 * len(MESSAGES[0]) + len(MESSAGES[1]))


def test_one_address_cannot_keep_others_away_by_opening_connections() -> None:
    kept = Kept()
    with running(tcp := listener("max_sessions=4"), kept), ExitStack() as stack:
        idle = [stack.enter_context(connect(tcp)) for _ in range(4)]
        until(lambda: tcp.num_sessions == 4)
        with connect(tcp, "127.0.0.2") as other:
            other.sendall(MESSAGES[0])
            kept.wait(lambda: kept.count == len(MESSAGES[0]))
        assert is_closed(idle[-1])
    assert tcp.counters["displaced"] == 1
    assert not tcp.counters["connection_limit"]


def test_a_forbidden_address_is_closed_and_counted() -> None:
    kept = Kept()
    kept.forbidden.add("127.0.0.2")
    with running(tcp := listener("allow=127.0.0.0/30"), kept):
        for address in ("127.0.0.2", "127.0.0.9"):
            with connect(tcp, address) as connection:
                assert is_closed(connection)
    assert tcp.counters["refused"] == 2
    assert kept.blocks == []


def test_running_out_of_descriptors_is_counted_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr("headwater.transport.incoming.connections._REST_S", 0.05)
    monkeypatch.setattr("headwater.transport.incoming.listening._SWEEP_S", 0.05)
    gc.collect()  # or else descriptors of earlier tests could be free meanwhile
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running(tcp := listener(), kept), ExitStack() as stack:
        first = stack.enter_context(connect(tcp))
        until(lambda: tcp.num_sessions == 1)
        waiting = socket.socket()
        stack.callback(waiting.close)
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
        try:
            waiting.connect(tcp.address)
            waiting.sendall(MESSAGES[0])
            until(lambda: tcp.counters["accept_errors"] > 1)
            first.sendall(MESSAGES[1])
            kept.wait(lambda: kept.count == len(MESSAGES[1]))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))
    assert tcp.counters["accept_errors"] < 1000  # it rests in between


def test_connections_leave_descriptors_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    with ExitStack() as stack:
        exporters = [stack.enter_context(socket.socket()) for _ in range(12)]
        monkeypatch.setattr(
            "headwater.transport.incoming.connections.highest_for_connections",
            lambda wanted: exporters[-1].fileno() + 10,
        )
        with running(tcp := listener(), kept):
            for one in exporters[:-1]:
                one.connect(tcp.address)
            until(lambda: tcp.num_sessions + tcp.counters["connection_limit"] == 11)
            assert 0 < tcp.num_sessions < 10
            exporters[-1].bind(("127.0.0.2", 0))  # of another address, so that one with many of them makes room
            exporters[-1].connect(tcp.address)
            exporters[-1].sendall(MESSAGES[0])
            kept.wait(lambda: kept.count)
            assert tcp.counters["displaced"] == 1
    assert kept.octets == MESSAGES[0]


def test_the_system_is_asked_for_as_many_descriptors_as_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1024, 4096]
    asked: list[tuple[int, int]] = []

    def set_limit(_: int, new: tuple[int, int]) -> None:
        asked.append(new)
        limits[0] = new[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert highest_for_connections(1000) == 2024 - 128
    assert highest_for_connections(100_000) == 4096 - 128
    assert asked == [(2024, 4096), (4096, 4096)]


# ---------------------------------------------------------------- the queue


def test_a_full_queue_makes_tcp_push_back_and_nothing_is_lost() -> None:
    kept, many = Kept(), STREAM * 100  # 28 MB, more than the kernel takes
    kept.is_full = True
    with running(tcp := listener(), kept), connect(tcp) as connection:
        connection.setblocking(False)
        sent, silent = 0, 0
        while silent < 20:
            try:
                sent += connection.send(many[sent : sent + 65536])
                silent = 0
            except BlockingIOError:
                silent += 1
                time.sleep(0.01)
        assert sent < len(many)
        until(lambda: tcp.counters["pauses"])
        assert kept.count == 0
        with connect(tcp, "127.0.0.2"):
            until(lambda: tcp.num_sessions == 2)  # accepting goes on
        kept.is_full = False
        connection.setblocking(True)
        connection.sendall(many[sent:])
        kept.wait(lambda: kept.count == len(many))
    assert next(iter(kept.by_key().values())) == many
    assert not tcp.counters["timed_out"]


def test_who_waits_for_us_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, clock = Kept(), Clock(monkeypatch)
    with running(tcp := listener("message_timeout=1h"), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0] + MESSAGES[1][:50])
        kept.wait(lambda: kept.count)
        kept.is_full = True
        connection.sendall(MESSAGES[1][50:])
        until(lambda: tcp.counters["pauses"])
        clock.leap(tcp, 2 * 3600)
        kept.is_full = False
        kept.wait(lambda: kept.count == len(MESSAGES[0]) + len(MESSAGES[1]))
    assert not tcp.counters["timed_out"]
    assert kept.faults == []


def test_a_fast_connection_does_not_starve_others() -> None:
    kept = Kept()
    with running(tcp := listener(), kept), connect(tcp) as fast, connect(tcp) as slow:
        fast.setblocking(False)
        backlog = memoryview(STREAM * 20)
        slow_port = slow.getsockname()[1]

        def has_slow() -> bool:
            nonlocal backlog
            with suppress(BlockingIOError):
                backlog = backlog[fast.send(backlog) :] or memoryview(STREAM * 20)
            return any(key.port == slow_port for key in kept.by_key())

        slow.sendall(MESSAGES[0])
        until(has_slow)


# ---------------------------------------------------------------- beginning and end


def test_what_the_kernel_holds_is_taken_before_the_end() -> None:
    kept, octets = Kept(), b"".join(MESSAGES[:20])
    kept.is_full = True
    with running(tcp := listener(), kept), connect(tcp) as connection:
        connection.sendall(octets)
        until(lambda: tcp.counters["pauses"])
        (one,) = tcp._sessions.values()
        until(lambda: one.socket.recv(1 << 16, socket.MSG_PEEK) == octets)  # nothing is on its way any more
        kept.is_full = False
        tcp.stop()
        kept.wait(lambda: kept.ended)
    assert kept.octets == octets


def test_stopping_says_what_was_cut_off() -> None:
    kept = Kept()
    with running(tcp := listener(), kept), connect(tcp) as connection:
        connection.sendall(MESSAGES[0] + MESSAGES[1][:7])
        kept.wait(lambda: kept.count)
        tcp.stop()
        kept.wait(lambda: kept.ended)
    (fault,) = kept.faults
    assert fault.detail == "7 octets of a Message, then the collector was stopped"


def test_an_address_in_use_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"cannot listen on tcp://127.0.0.1:{port}: address already in use"):
            TcpListener(parse_listen_url(f"tcp://127.0.0.1:{port}")).open()


def test_a_socket_that_was_inherited_is_used() -> None:
    kept = Kept()
    inherited = socket.create_server(("127.0.0.1", 0))
    tcp = TcpListener(parse_listen_url("tcp://127.0.0.1:0"), socket=inherited)
    assert tcp.latency
    with running(tcp, kept), socket.create_connection(inherited.getsockname()) as connection:
        connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.count)


def test_both_versions_of_ip_come_to_one_socket() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this host has no IPv6")
    kept = Kept()
    tcp = TcpListener(parse_listen_url("tcp://*:0"))
    with running(tcp, kept):
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, tcp.address[1])) as connection:
                connection.sendall(MESSAGES[0])
                kept.wait(lambda host=host: host in {key.address for key in kept.by_key()})


def test_records_of_our_exporter_arrive() -> None:
    kept = Kept()
    rows = [{"octetDeltaCount": number} for number in range(10_000)]
    with running(tcp := listener(), kept):
        with Exporter(f"{url_of(tcp)}?mtu=1400") as exporter:
            exporter.write(rows)
            assert exporter.flush(DEADLINE_S)
        kept.wait(lambda: kept.ended)
    assert kept.rows == rows
    assert kept.faults == []


def test_a_listener_that_a_bug_has_ended_can_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, tcp, sweep = Kept(), listener(), TcpListener._sweep
    failures: list[float] = []

    def fails_once(self: TcpListener, now: float) -> None:
        if not failures:
            failures.append(now)
            raise RuntimeError("a bug")
        sweep(self, now)

    class Twice(TcpListener):
        def run(self, outlet: Outlet) -> None:
            with pytest.raises(RuntimeError):
                super().run(outlet)
            super().run(outlet)

    monkeypatch.setattr(TcpListener, "_sweep", fails_once)
    tcp.__class__ = Twice
    with running(tcp, kept):
        until(lambda: failures)
        with connect(tcp) as connection:
            connection.sendall(MESSAGES[0])
        kept.wait(lambda: kept.ended)
    assert kept.octets == MESSAGES[0]
