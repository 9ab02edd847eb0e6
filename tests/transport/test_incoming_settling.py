"""Who asks is told when all that has arrived is handed over, however long it would have waited for others."""

from __future__ import annotations

import socket
import threading

import pytest

from headwater.transport.incoming.asked import Asked
from headwater.transport.incoming.block import Listener
from headwater.transport.incoming.tcp import TcpListener
from headwater.transport.incoming.udp import UdpListener
from headwater.transport.incoming.url import parse_listen_url
from tests.build import flows
from tests.process.collectors import DEADLINE_S
from tests.transport.receiving import Kept, running

MESSAGES = flows(2000)
FOR_EVER_S = 3600.0


KINDS: dict[str, type[UdpListener] | type[TcpListener]] = {"udp": UdpListener, "tcp": TcpListener}


def listener(transport: str) -> Listener:
    made = KINDS[transport](parse_listen_url(f"{transport}://127.0.0.1:0"))
    made.latency = FOR_EVER_S
    return made


def client(of: Listener) -> socket.socket:
    kind = socket.SOCK_DGRAM if isinstance(of, UdpListener) else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET, kind)
    made.connect(of.address)
    return made


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_has_arrived_is_handed_over_when_somebody_asks(transport: str) -> None:
    kept, sent = Kept(), 0
    with running(listener(transport), kept) as of, client(of) as exporter:
        for message in MESSAGES[:3]:
            exporter.sendall(message)
            sent += len(message)
            settled = threading.Event()
            of.settle(settled.set)
            assert settled.wait(DEADLINE_S)
            assert kept.count == sent


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_asks_is_told_where_nothing_has_arrived_and_at_the_end(transport: str) -> None:
    kept = Kept()
    with running(listener(transport), kept) as of:
        settled = [threading.Event() for _ in range(3)]
        for event in settled:
            of.settle(event.set)
        assert all(event.wait(DEADLINE_S) for event in settled)
    late = threading.Event()
    of.settle(late.set)
    assert late.is_set()
    assert kept.blocks == []


def test_who_asks_a_stream_that_waits_for_room_is_told_when_there_was_room() -> None:
    kept, settled = Kept(), threading.Event()
    kept.is_full = True
    with running(listener("tcp"), kept) as of, client(of) as exporter:
        exporter.sendall(MESSAGES[0])
        of.settle(settled.set)
        assert not settled.wait(0.2)
        assert kept.count == 0
        kept.is_full = False
        assert settled.wait(DEADLINE_S)
        assert kept.count == len(MESSAGES[0])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_asks_is_told_though_an_exporter_never_rests(transport: str) -> None:
    kept, settled, is_over = Kept(), threading.Event(), threading.Event()

    def send(exporter: socket.socket) -> None:
        while not is_over.is_set():
            exporter.sendall(MESSAGES[0])

    with running(listener(transport), kept) as of, client(of) as exporter:
        sending = threading.Thread(target=send, args=(exporter,))
        sending.start()
        try:
            of.settle(settled.set)
            assert settled.wait(DEADLINE_S)
        finally:
            is_over.set()
            sending.join()


def test_a_round_that_had_begun_before_somebody_asked_is_none_for_them() -> None:
    asked, told = Asked(), []
    assert not asked.begin_round()
    asked.ask(lambda: told.append("first"))
    asked.answer()
    assert told == []
    assert asked.begin_round()
    asked.ask(lambda: told.append("second"))
    asked.answer()
    assert told == ["first"]
    assert asked.begin_round()
    asked.answer()
    assert told == ["first", "second"]
    asked.ask(lambda: told.append("third"))
    asked.end()
    asked.ask(lambda: told.append("late"))
    assert told == ["first", "second", "third", "late"]
