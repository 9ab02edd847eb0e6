"""Who may speak can change at any moment, also while nobody sends anything."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from headwater.transport.incoming import datagrams
from headwater.transport.incoming.udp import UdpListener
from headwater.transport.incoming.url import parse_listen_url
from tests import build
from tests.process.collectors import until
from tests.transport.receiving import Kept, running

MESSAGE = build.message(build.data_set(256, bytes(4)))


@pytest.fixture(params=[True, False], ids=["compiled", "python"], autouse=True)
def receivers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and find_spec("headwater.transport.incoming._datagrams") is None:
        pytest.skip("it is not built")
    monkeypatch.setattr(datagrams, "is_compiled", request.param)


def test_a_change_of_who_may_speak_holds_for_the_very_next_datagram() -> None:
    listener, outlet = UdpListener(parse_listen_url("udp://127.0.0.1:0")), Kept()
    listener.latency = 0.01
    with running(listener, outlet), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(listener.address)
        one.send(MESSAGE)
        until(lambda: len(outlet.blocks) == 1)
        for round in range(1, 4):
            outlet.forbidden = {"127.0.0.1"}
            listener.reload()
            until(lambda: listener.num_sessions == 0)
            one.send(MESSAGE)
            until(lambda count=round: listener.counters["refused"] == count)  # type: ignore[misc]
            outlet.forbidden = set()
            listener.reload()
            until(lambda: listener.num_sessions == 1)
            one.send(MESSAGE)
            until(lambda count=round: len(outlet.blocks) == 1 + count)  # type: ignore[misc]
    assert outlet.octets == MESSAGE * 4
    assert listener.counters["refused"] == 3


def test_many_changes_at_once_cost_no_more_than_one() -> None:
    listener, outlet = UdpListener(parse_listen_url("udp://127.0.0.1:0")), Kept()
    listener.open()
    for _ in range(100_000):  # more than there is room for
        listener.reload()
    listener.stop()
    listener.run(outlet)
    listener.close()
    listener.reload()
    assert outlet.blocks == []
