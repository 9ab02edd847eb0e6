"""Sockets of workers that share an address."""

from __future__ import annotations

import socket
import sys
from collections import defaultdict

import pytest

from headwater.errors import TransportError
from headwater.transport.incoming import reuseport, udp_socket
from headwater.transport.incoming.reuseport import bound_group
from headwater.transport.incoming.url import parse_listen_url
from tests.process.collectors import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets are chosen by a program of Linux")


@pytest.mark.parametrize("url", ["udp://127.0.0.1:0", "udp://*:0"])
@pytest.mark.parametrize("count", [2, 3])
def test_all_ports_of_an_exporter_reach_one_worker(url: str, count: int) -> None:
    sockets, warnings = bound_group(parse_listen_url(url), count)
    port = sockets[0].getsockname()[1]
    assert [one.getsockname()[1] for one in sockets] == [port] * count
    for number in range(64):
        for _ in range(4):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
                exporter.bind((f"127.0.{number % 7}.{number + 1}", 0))
                exporter.sendto(b"!", ("127.0.0.1", port))
    found: list[list[str]] = [[] for _ in sockets]
    until(lambda: take(sockets, found) == 64 * 4)
    reached = defaultdict(set)
    for position, one in enumerate(sockets):
        for address in found[position]:
            reached[address].add(position)
        one.close()
    assert warnings == []
    assert len(reached) == 64
    assert {len(positions) for positions in reached.values()} == {1}
    assert set.union(*reached.values()) == set(range(count))


def test_exporters_of_ipv6_have_one_worker_as_well() -> None:
    sockets, warnings = bound_group(parse_listen_url("udp://[::1]:0"), 4)
    for _ in range(32):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as exporter:
            exporter.sendto(b"!", sockets[0].getsockname())
    found: list[list[str]] = [[] for _ in sockets]
    until(lambda: take(sockets, found) == 32)
    assert sorted(map(len, found)) == [0, 0, 0, 32]
    assert warnings == []
    for one in sockets:
        one.close()


def test_a_group_is_not_shared_with_another_program() -> None:
    sockets, _ = bound_group(parse_listen_url("udp://127.0.0.1:0"), 2)
    url = parse_listen_url(f"udp://127.0.0.1:{sockets[0].getsockname()[1]}")
    with pytest.raises(TransportError, match="another program listens there already"):
        bound_group(url, 2)
    with pytest.raises(TransportError, match="another program listens there already"):
        udp_socket.bind(url)
    for one in sockets:
        one.close()


def test_one_worker_needs_no_group() -> None:
    (one,), warnings = bound_group(parse_listen_url("udp://127.0.0.1:0"), 1)
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    assert warnings == []
    one.close()


def test_a_kernel_that_does_not_choose_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuseport, "_ATTACH", 9999)
    sockets, (warning,) = bound_group(parse_listen_url("udp://127.0.0.1:0"), 2)
    assert "the kernel does not choose workers by the exporters' addresses" in warning
    for one in sockets:
        one.close()


def test_members_of_a_group_of_hosts_all_get_the_same() -> None:
    with pytest.raises(TransportError, match="so it has one worker"):
        bound_group(parse_listen_url("udp://239.255.47.39:0"), 2)


def take(sockets: list[socket.socket], found: list[list[str]]) -> int:
    """Add to what was found at each socket; how much there is."""
    for one, addresses in zip(sockets, found, strict=True):
        addresses += senders_to(one)
    return sum(map(len, found))


def senders_to(one: socket.socket) -> list[str]:
    """Where the datagrams come from that a socket has."""
    found = []
    while True:
        try:
            found.append(one.recvfrom(9)[1][0])
        except BlockingIOError:
            return found
