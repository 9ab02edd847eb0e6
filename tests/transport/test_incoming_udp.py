"""UDP in: every datagram is handed over or counted, by the compiled receiver and by that in Python."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec

import numpy as np
import pytest

from headwater.errors import TransportError
from headwater.session.key import SessionKey
from headwater.transport.incoming import datagrams, udp, udp_socket
from headwater.transport.incoming.opening import open_listener
from headwater.transport.incoming.udp import UdpListener
from headwater.transport.incoming.url import parse_listen_url
from tests import build
from tests.process.collectors import DEADLINE_S, until
from tests.transport.receiving import Kept, is_taken, running

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
compiled = pytest.param(
    True,
    id="compiled",
    marks=pytest.mark.skipif(find_spec("headwater.transport.incoming._datagrams") is None, reason="it is not built"),
)


@pytest.fixture(params=[compiled, pytest.param(False, id="python")], autouse=True)
def receivers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "is_compiled", request.param)


def numbered(number: int, padding: int = 0) -> bytes:
    return build.message(build.data_set(256, bytes(4 + padding)), sequence=number)


@contextmanager
def senders(listener: UdpListener, *hosts: str) -> Iterator[list[socket.socket]]:
    """Exporters with these addresses."""
    made = []
    try:
        for host in hosts:
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            made.append(one)
            one.bind((host, 0))
            one.connect((listener.address[0] if listener.address[0] != "::" else "127.0.0.1", listener.address[1]))
        yield made
    finally:
        for one in made:
            one.close()


def listening(url: str = "udp://127.0.0.1:0", **options: object) -> UdpListener:
    made = UdpListener(parse_listen_url(url, **options))
    made.latency = 0.02
    return made


def key_of(exporter: socket.socket, listener: UdpListener) -> SessionKey:
    address, port = exporter.getsockname()[:2]
    return SessionKey(address, port, *listener.address)


def wait(listener: UdpListener, name: str, count: int) -> None:
    """Until a counter has come that far."""
    end = time.monotonic() + DEADLINE_S
    while listener.counters[name] < count:
        assert time.monotonic() < end, listener.counters
        time.sleep(0.005)


def balance(listener: UdpListener, outlet: Kept) -> int:
    """Datagrams that are nowhere."""
    left_out = ("dropped_datagrams", "refused", "not_export", "truncated", "empty")
    handed_over = sum(len(block.datagrams) for block in outlet.blocks)
    return listener.counters["datagrams"] - handed_over - sum(listener.counters[name] for name in left_out)


def test_datagrams_are_handed_over_by_exporter_with_the_time_they_came() -> None:
    listener, outlet = listening(), Kept()
    before = time.time_ns()
    with running(listener, outlet), senders(listener, "127.0.0.1", "127.0.0.2") as (first, second):
        for number in range(100):
            first.send(numbered(number))
            second.send(numbered(number, padding=number))
        wait(listener, "datagrams", 200)
        keys = [key_of(one, listener) for one in (first, second)]
    assert outlet.by_key() == {
        keys[0]: b"".join(numbered(number) for number in range(100)),
        keys[1]: b"".join(numbered(number, padding=number) for number in range(100)),
    }
    received = np.concatenate([block.datagrams.received for block in outlet.blocks])
    assert before <= received.min()
    assert received.max() <= time.time_ns()
    assert listener.num_sessions == 2
    assert listener.counters["octets"] == outlet.count == outlet.blocks[-1].datagrams.offset[-1] + len(numbered(0, 99))
    assert balance(listener, outlet) == 0


@pytest.mark.parametrize("host", ["[::1]", "*", "[::]"])
def test_ipv6_and_every_address_work(host: str) -> None:
    listener, outlet = listening(f"udp://{host}:0"), Kept()
    exporter = "::1" if host == "[::1]" else "127.0.0.1"
    with running(listener, outlet), senders(listener, exporter) as (one,):
        one.send(numbered(1))
        wait(listener, "datagrams", 1)
        key = key_of(one, listener)
    assert key.address == exporter
    assert outlet.by_key() == {key: numbered(1)}


def test_a_block_is_handed_over_when_its_first_datagram_is_old_enough() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        for number in range(3):
            one.send(numbered(number))
            outlet.wait(lambda count=number + 1: len(outlet.blocks) == count)
    assert [len(block.datagrams) for block in outlet.blocks] == [1, 1, 1]
    assert outlet.octets == b"".join(numbered(number) for number in range(3))


def test_keys_are_one_growing_list() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1", "127.0.0.2") as exporters:
        for count, one in enumerate(exporters, 1):
            one.send(numbered(1))
            outlet.wait(lambda count=count: len(outlet.blocks) == count)
    assert outlet.blocks[0].datagrams.keys is outlet.blocks[1].datagrams.keys
    assert [block.datagrams.peer.tolist() for block in outlet.blocks] == [[0], [1]]


def test_the_largest_datagrams_fill_arena_after_arena() -> None:
    listener, outlet = listening(), Kept()
    listener.latency = 3600
    largest = bytes([0, 10]) + bytes(65_505)
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        held = listener._socket
        assert held is not None
        for _ in range(150):
            one.send(largest)
            until(lambda: is_taken(held))  # the kernel need not have room for more than one
    assert [len(block.datagrams) for block in outlet.blocks] == [64, 64, 22]
    assert all(octets == largest * 150 for octets in outlet.by_key().values())
    assert balance(listener, outlet) == 0


# ---------------------------------------------------------------- what is left out


def test_garbage_of_strangers_is_counted_and_costs_no_session() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1", "127.0.0.2") as (stranger, exporter):
        exporter.send(numbered(1))
        wait(listener, "datagrams", 1)
        for garbage in (b"GET / HTTP/1.1", b"\x00", b"\x05", b"\x00\x04", b"\x00\x06", b"\x01\x0a", b"\x00\x2a"):
            stranger.send(garbage)
        exporter.send(b"no Message at all")  # its session says what is wrong
        wait(listener, "datagrams", 9)
    assert (listener.counters["not_export"], listener.num_sessions) == (7, 1)
    assert outlet.octets == numbered(1) + b"no Message at all"
    assert balance(listener, outlet) == 0


@pytest.mark.parametrize("version", [1, 5, 7, 8, 9, 10])
def test_all_versions_of_netflow_and_ipfix_are_let_in(version: int) -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        one.send(version.to_bytes(2, "big"))
        wait(listener, "datagrams", 1)
    assert outlet.octets == version.to_bytes(2, "big")


def test_empty_datagrams_are_counted() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        one.send(b"")
        one.send(numbered(1))
        wait(listener, "datagrams", 2)
    assert (listener.counters["empty"], outlet.octets) == (1, numbered(1))
    assert balance(listener, outlet) == 0


@pytest.mark.parametrize("url", ["udp://127.0.0.1:0", "udp://127.0.0.1:0?allow=127.0.0.1,10.0.0.0/8"])
def test_who_may_not_speak_is_refused_from_the_first_datagram_on(url: str) -> None:
    listener, outlet = listening(url), Kept()
    outlet.forbidden = {"127.0.0.2"}
    with running(listener, outlet), senders(listener, "127.0.0.1", "127.0.0.2") as (good, bad):
        for round in range(1, 3):
            for _ in range(10):
                bad.send(numbered(666))
                good.send(numbered(round))
            wait(listener, "datagrams", round * 20)
    assert (listener.counters["refused"], listener.num_sessions) == (20, 1)
    assert outlet.octets == numbered(1) * 10 + numbered(2) * 10
    assert outlet.blocks[-1].datagrams.offset.tolist() == sorted(set(outlet.blocks[-1].datagrams.offset.tolist()))
    assert balance(listener, outlet) == 0


def test_who_may_speak_can_change() -> None:
    listener, outlet = listening(), Kept()
    outlet.forbidden = {"127.0.0.1"}
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        one.send(numbered(1))
        wait(listener, "refused", 1)
        outlet.forbidden = set()
        listener.reload()
        one.send(numbered(2))  # is refused, if it comes together with the change
        wait(listener, "datagrams", 2)
        one.send(numbered(3))
        outlet.wait(lambda: outlet.blocks)
    assert outlet.octets in (numbered(3), numbered(2) + numbered(3))
    assert listener.num_sessions == 1
    assert balance(listener, outlet) == 0


def test_a_full_table_of_exporters_is_begun_anew_and_nobody_is_locked_out() -> None:
    listener, outlet = listening("udp://127.0.0.1:0?max_sessions=4"), Kept()
    hosts = [f"127.0.0.{number}" for number in range(1, 11)]
    with running(listener, outlet), senders(listener, *hosts) as exporters:
        for round in range(2):
            for one in exporters:
                one.send(numbered(round))
            wait(listener, "datagrams", len(hosts) * (round + 1))
    assert set(outlet.by_key().values()) == {numbered(0) + numbered(1)}
    assert len(outlet.by_key()) == len(hosts)
    assert listener.counters["session_limit"] == 4
    assert listener.num_sessions <= 4
    assert all(len(block.datagrams.keys) <= 4 for block in outlet.blocks)
    assert balance(listener, outlet) == 0


# ---------------------------------------------------------------- what is lost


def test_what_the_queue_has_no_room_for_is_counted_by_exporter() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1", "127.0.0.2") as (first, second):
        outlet.is_full = True
        for number in range(30):
            first.send(numbered(number))
            second.send(numbered(number))
            second.send(numbered(number))
        wait(listener, "dropped_datagrams", 90)
        assert outlet.blocks == []
        outlet.is_full = False
        first.send(numbered(31))
        wait(listener, "datagrams", 91)
        keys = [key_of(one, listener) for one in (first, second)]
    assert outlet.dropped == {keys[0]: 30, keys[1]: 60}
    assert outlet.octets == numbered(31)
    assert listener.counters["dropped_octets"] == sum(len(numbered(number)) for number in range(30)) * 3
    assert balance(listener, outlet) == 0


def test_what_was_dropped_is_told_at_the_end_though_nothing_follows() -> None:
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        outlet.is_full = True
        one.send(numbered(1))
        wait(listener, "dropped_datagrams", 1)
        key = key_of(one, listener)
    assert outlet.dropped == {key: 1}
    assert [len(block.datagrams) for block in outlet.blocks] == [0]


def test_exporters_of_dropped_datagrams_are_named_up_to_a_bound() -> None:
    listener, outlet = listening("udp://127.0.0.1:0?max_sessions=2"), Kept()
    hosts = [f"127.0.0.{number}" for number in range(1, 7)]
    outlet.is_full = True
    with running(listener, outlet), senders(listener, *hosts) as exporters:
        for one in exporters:
            one.send(numbered(1))
        wait(listener, "dropped_datagrams", 6)
    assert outlet.dropped.total() == 6
    assert len(outlet.dropped) == 3
    assert outlet.dropped[SessionKey("")] == 4


@linux
def test_what_the_kernel_has_no_room_for_is_counted() -> None:
    listener, outlet = listening("udp://127.0.0.1:0?receive_buffer=4096"), Kept()
    listener.open()
    with senders(listener, "127.0.0.1") as (one,):
        for number in range(500):
            one.send(numbered(number, padding=1000))
    listener.stop()
    listener.run(outlet)
    listener.close()
    assert listener.counters["datagrams"] > 0
    assert listener.counters["kernel_drops"] == 500 - listener.counters["datagrams"]
    assert balance(listener, outlet) == 0


@linux
def test_the_kernels_count_of_drops_may_pass_its_largest_number(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([2**32 - 3, 2**32 - 1, 4])
    monkeypatch.setattr(udp_socket, "kernel_drops", lambda _: next(counts, 4))
    listener, outlet = listening(), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        for count in (1, 2):
            one.send(numbered(1))
            outlet.wait(lambda count=count: len(outlet.blocks) == count)
    assert listener.counters["kernel_drops"] == 7


def test_a_receive_buffer_that_the_kernel_does_not_grant_is_told() -> None:
    url = parse_listen_url("udp://127.0.0.1:0?receive_buffer=1G")
    with closing(udp_socket.bind(url)) as one:
        warnings = udp_socket.prepare(one, url)
        granted = udp_socket.granted(one)
    if granted < 1 << 30:
        assert f"the kernel grants a receive buffer of {granted:,} octets, not 1,073,741,824" in warnings[0]
    else:
        assert warnings == []
    listener = open_listener(parse_listen_url("udp://127.0.0.1:0?receive_buffer=64k"))
    assert listener.counters["receive_buffer"] >= 64 << 10
    listener.close()


# ---------------------------------------------------------------- beginning and end


def test_the_end_takes_what_the_kernel_holds() -> None:
    listener, outlet = listening(), Kept()
    listener.open()
    with senders(listener, "127.0.0.1") as (one,):
        for number in range(300):
            one.send(numbered(number))
    listener.stop()
    listener.run(outlet)
    listener.close()
    assert outlet.octets == b"".join(numbered(number) for number in range(300))
    assert balance(listener, outlet) == 0


def test_the_end_comes_though_an_exporter_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, outlet = listening(), Kept()
    listener.open()
    with senders(listener, "127.0.0.1") as (one,):
        receiver = listener._receiver
        assert receiver is not None

        class Endless:
            num_peers = 0

            def receive(self, arena: object, refused: object, tally: np.ndarray, *_: float) -> int:
                tally[0] += 1
                return datagrams.READY

        monkeypatch.setattr(listener, "_receiver", Endless())
        one.send(numbered(1))
        listener.stop()
        listener.run(outlet)
        monkeypatch.setattr(listener, "_receiver", receiver)
    listener.close()
    assert 0 < listener.counters["datagrams"] * 256 <= 2 * listener.counters["receive_buffer"] + 256


def test_an_error_of_the_socket_is_told_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_PAUSE_S", 0.01)
    listener, outlet = listening(), Kept()
    listener.open()
    receiver, failures = listener._receiver, iter(range(3))
    assert receiver is not None

    class Failing:
        num_peers = 0

        def receive(self, *given: object) -> int:
            if next(failures, None) is not None:
                raise OSError(errno.ENOBUFS, "no room")
            monkeypatch.setattr(listener, "_receiver", receiver)
            return datagrams.READY

    monkeypatch.setattr(listener, "_receiver", Failing())
    monkeypatch.setattr(listener, "open", lambda: None)
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        one.send(numbered(1))
        wait(listener, "datagrams", 1)
    assert listener.counters["receive_errors"] == 3
    assert len([one for one in listener.warnings if "no buffer space available; it is tried again" in one]) == 1
    assert outlet.octets == numbered(1)


def test_a_listener_may_stop_before_it_runs_and_close_twice() -> None:
    listener, outlet = listening(), Kept()
    listener.stop()
    listener.open()
    listener.run(outlet)
    listener.close()
    listener.close()
    listener.stop()
    assert outlet.blocks == []


def test_a_socket_may_be_somebody_elses() -> None:
    url = parse_listen_url("udp://127.0.0.1:0")
    listener, outlet = UdpListener(url, socket=udp_socket.bind(url)), Kept()
    with running(listener, outlet), senders(listener, "127.0.0.1") as (one,):
        one.send(numbered(1))
        wait(listener, "datagrams", 1)
    assert outlet.octets == numbered(1)


def test_an_address_in_use_is_told() -> None:
    listener = open_listener(parse_listen_url("udp://127.0.0.1:0"))
    with pytest.raises(TransportError, match="another program listens there already"):
        open_listener(parse_listen_url(f"udp://127.0.0.1:{listener.address[1]}"))
    listener.close()


@linux
def test_a_group_is_joined(request: pytest.FixtureRequest) -> None:
    listener, outlet = listening("udp://239.255.47.39:0?interface=127.0.0.1"), Kept()
    with (
        running(listener, outlet),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
    ):
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        one.sendto(numbered(1), listener.address)
        wait(listener, "datagrams", 1)
    assert outlet.octets == numbered(1)
    with pytest.raises(TransportError, match="cannot listen on"):
        udp_socket.bind(parse_listen_url("udp://239.255.47.39:0?interface=nosuch0"))


def test_what_was_dropped_before_a_socket_was_passed_is_told() -> None:
    from headwater.transport.incoming.opening import earlier_drops

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        passed.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        passed.bind(("127.0.0.1", 0))
        assert earlier_drops([passed]) == []
        for _ in range(100):
            sender.sendto(bytes(1000), passed.getsockname())
        (sentence,) = earlier_drops([passed])
    assert "before this process took the socket" in sentence
