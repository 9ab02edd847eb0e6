"""The port of a group of sockets is theirs from the first of them on."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from headwater.transport.incoming import reuseport, udp_socket
from headwater.transport.incoming.reuseport import bound_group
from headwater.transport.incoming.url import ListenUrl, parse_listen_url

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets are chosen by a program of Linux")


@pytest.mark.parametrize("url", ["udp://127.0.0.1:0", "udp://*:0"])
def test_nobody_can_take_the_port_in_between(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bind, refusals = udp_socket.bind, list[int | None]()
    with ExitStack() as stack:

        def watched(at: ListenUrl, *rest: Any) -> socket.socket:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            if at.port:
                try:
                    other.bind(("127.0.0.1", at.port))
                except OSError as error:
                    refusals.append(error.errno)
            return bind(at, *rest)

        monkeypatch.setattr(reuseport, "bind", watched)
        sockets, warnings = bound_group(parse_listen_url(url), 3)
        for one in sockets:
            stack.enter_context(one)
        assert len({one.getsockname()[1] for one in sockets}) == 1
    assert (len(sockets), warnings) == (3, [])
    assert set(refusals) == {errno.EADDRINUSE}
