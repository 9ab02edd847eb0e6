"""UDP: what becomes of each datagram."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate

import numpy as np
import pytest

from headwater.session.outgoing import Outgoing
from headwater.transport.outgoing import Readiness, SessionLost, Stopped, parse_url
from headwater.transport.outgoing.sender import HEAD, Failure
from headwater.transport.outgoing.udp import UdpSender, discover_mtu
from tests import build
from tests.process.collectors import DEADLINE_S, UdpCollector, free_port, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of each datagram")


def outgoing(*messages: bytes) -> Outgoing:
    begin = list(accumulate(map(len, messages), initial=0))
    return Outgoing(np.frombuffer(b"".join(messages), np.uint8), np.array(begin, np.int32))


@contextmanager
def sender(url: str) -> Iterator[UdpSender]:
    readiness = Readiness()
    readiness.open()
    made = UdpSender(parse_url(url), readiness)
    try:
        made.open()
        yield made
    finally:
        made.close()
        readiness.close()


def numbered(number: int, padding: int = 0) -> bytes:
    return build.message(build.data_set(256, bytes(4 + padding)), sequence=number)


def failures_of(sending: UdpSender, count: int) -> list[Failure]:
    """So many, which the network takes its time to tell of."""
    found: list[Failure] = []

    def look() -> bool:
        found.extend(sending.failures())
        return len(found) >= count

    until(look)
    return found


def test_each_message_is_a_datagram() -> None:
    messages = [numbered(number) for number in range(10)]
    with UdpCollector() as collector, sender(collector.url) as sending:
        sending.send(outgoing(*messages))
        assert collector.datagrams(messages=10) == messages
        assert sending.sent == sending.acknowledged == len(b"".join(messages))
        assert sending.failures() == []


@linux
def test_it_is_known_which_datagrams_nobody_took() -> None:
    messages = [numbered(number) for number in range(10)]
    with free_port(socket.SOCK_DGRAM) as port, sender(f"udp://127.0.0.1:{port}") as sending:
        sending.send(outgoing(*messages))
        failures = failures_of(sending, 10)
    assert failures == [Failure("refused", message[:HEAD]) for message in messages]


@linux
def test_a_datagram_after_a_refusal_is_sent_all_the_same() -> None:
    with UdpCollector() as first, sender(first.url) as sending:
        first.close()
        sending.send(outgoing(numbered(1)))
        assert sending._socket is not None
        refusal = select.poll()
        refusal.register(sending._socket, 0)
        assert refusal.poll(1000 * DEADLINE_S)
        with UdpCollector(first.port) as second:
            sending.send(outgoing(numbered(2)))
            assert second.datagrams(messages=1) == [numbered(2)]
        assert sending.failures() == [Failure("refused", numbered(1)[:HEAD])]


def test_a_message_that_is_too_large_is_counted_once_and_the_others_go_on() -> None:
    large = bytes(65_530)
    with UdpCollector() as collector, sender(collector.url) as sending:
        sending.send(outgoing(numbered(1), large, numbered(2)))
        assert collector.datagrams(messages=2) == [numbered(1), numbered(2)]
        assert sending.failures() == [Failure("too_large", large[:HEAD])]


@linux
def test_the_path_over_the_loopback_has_room_for_the_largest_datagram() -> None:
    readiness = Readiness()
    readiness.open()
    assert discover_mtu(parse_url("udp://127.0.0.1:4739"), readiness) == 65_507
    readiness.close()


def test_what_somebody_answers_is_ignored() -> None:
    with UdpCollector() as collector, sender(collector.url) as sending:
        sending.send(outgoing(numbered(1)))
        octets, address = collector.receive()
        collector.answer(b"what?", address)
        sending.wait(DEADLINE_S)
        assert octets == numbered(1)
        assert sending.failures() == []


def test_a_host_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **options: object) -> None:  # a name server might be slow, or not there
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        pytest.raises(SessionLost, match=r"udp://host\.invalid:4739: the host is not known"),
        sender("udp://host.invalid"),
    ):
        pass


def test_an_address_that_is_not_ours_is_told() -> None:
    with (
        pytest.raises(SessionLost, match="cannot assign requested address"),
        sender("udp://127.0.0.1:9?source=192.0.2.77"),
    ):
        pass


def test_a_wait_ends_when_somebody_calls_or_the_time_is_over() -> None:
    readiness = Readiness()
    readiness.open()
    readiness.wake()
    assert not readiness.wait(None, timeout=60)
    ours, theirs = socket.socketpair()
    theirs.send(b"!")
    assert readiness.wait(ours, read=True)
    readiness.stop_within(0)
    with pytest.raises(Stopped):
        readiness.wait(None)
    for one in (ours, theirs, readiness):
        one.close()
    readiness.wake()  # nobody is there any more, and that is no error
