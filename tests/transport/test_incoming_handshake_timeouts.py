"""How long a handshake may take, by a clock of our own."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from headwater.transport.incoming.dtls import DtlsListener
from headwater.transport.incoming.tls import TlsListener
from headwater.transport.incoming.udp_socket import KernelDrops
from headwater.transport.incoming.url import parse_listen_url

ADDRESS = "192.0.2.1"


class Handshake:
    """One that began long ago, as far as listeners look at it."""

    begun = 0.0
    address = (ADDRESS, 1)

    def repeat(self) -> None:
        """There is nothing to send again."""

    def flight(self) -> list[bytes]:
        return []


@pytest.mark.parametrize("kind", [TlsListener, DtlsListener])
def test_handshakes_without_a_bound_may_take_any_time(kind: type[TlsListener] | type[DtlsListener]) -> None:
    url = parse_listen_url(f"{'tls' if kind is TlsListener else 'dtls'}://?cert=a&ca=b&handshake_timeout=0")
    listener: Any = kind(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        listener._socket, listener._kernel_drops, listener._is_accepting = one, KernelDrops(one), True
        listener._handshakes.add(ADDRESS, handshake := Handshake())
        listener._sweep(1e9)
    assert list(listener._handshakes) == [handshake]
    assert listener.counters["handshakes_timed_out"] == 0
