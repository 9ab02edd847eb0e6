"""Who asks is told when all that has arrived is handed over, however long it would have waited for others."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import pytest

from headwater.transport.incoming.asked import Asked
from headwater.transport.incoming.block import Listener
from headwater.transport.incoming.tcp import TcpListener
from headwater.transport.incoming.udp import UdpListener
from headwater.transport.incoming.url import parse_listen_url
from tests.build import flows
from tests.process.collectors import DEADLINE_S, until
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


def test_rounds_in_which_nothing_can_be_read_do_not_count() -> None:
    kept, settled, count = Kept(), threading.Event(), 100
    with running(listener("tcp"), kept) as of, ExitStack() as stack:
        exporters = [stack.enter_context(client(of)) for _ in range(count)]
        until(lambda: of.num_sessions == count)
        kept.is_full = True
        for exporter in exporters:
            exporter.sendall(MESSAGES[0])
        of.settle(settled.set)
        assert isinstance(of, TcpListener)
        until(lambda: of.counters["pauses"])
        of._asked.rounds = 0
        assert not settled.wait(0.2)
        assert of._asked.rounds == 0
        kept.is_full = False
        assert settled.wait(DEADLINE_S)
        assert kept.count == count * len(MESSAGES[0])


def test_more_connections_than_are_read_in_a_turn_take_more_rounds() -> None:
    with running(listener("tcp"), Kept()) as of, ExitStack() as stack:
        assert isinstance(of, TcpListener)
        few = of._most_rounds
        for _ in range(130):
            stack.enter_context(client(of))
        until(lambda: of.num_sessions == 130)
        assert of._most_rounds == 3 * few


def test_all_that_has_arrived_is_taken_though_there_are_more_exporters_than_numbers() -> None:
    kept, settled = Kept(), threading.Event()
    of = UdpListener(parse_listen_url("udp://127.0.0.1:0?max_sessions=1"))
    of.open()
    with ExitStack() as stack:
        exporters = [stack.enter_context(client(of)) for _ in range(2)]
        for number in range(100):
            exporters[number % 2].sendall(MESSAGES[0][:200])
        of.settle(settled.set)
        of.stop()
        of.run(kept)
        assert settled.is_set()
    of.close()
    assert of.counters["datagrams"] == 100
    assert kept.count == 100 * 200


def test_who_asks_while_another_is_answered_is_answered_too() -> None:
    kept, settled = Kept(), threading.Event()
    with running(listener("udp"), kept) as of:
        of.settle(lambda: of.settle(settled.set))
        assert isinstance(of, UdpListener)
        assert settled.wait(DEADLINE_S)
