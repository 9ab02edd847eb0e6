"""Opening: what cannot be is told in a sentence and leaves nothing open, and sockets of others fit or do not."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.errors import TransportError
from headwater.transport.incoming.binding import bound
from headwater.transport.incoming.certificates import server_context
from headwater.transport.incoming.opening import take_inherited
from headwater.transport.incoming.tcp import TcpListener
from headwater.transport.incoming.udp import UdpListener
from headwater.transport.incoming.url import parse_listen_url
from headwater.transport.sctp_constants import SCTP
from tests.transport.certificates import Certificates, Party


@pytest.mark.parametrize("kind", [UdpListener, TcpListener])
@pytest.mark.parametrize(("module", "name"), [(socket, "socketpair"), (socket.socket, "getsockname")])
def test_a_listener_that_cannot_be_opened_leaves_nothing_open(
    kind: type[Any], module: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise OSError(errno.EMFILE, "none left")

    is_udp = kind is UdpListener
    url = parse_listen_url(f"{'udp' if is_udp else 'tcp'}://127.0.0.1:0")
    with bound(url, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as one:
        listener = kind(url, one)
        monkeypatch.setattr(module, name, exhausted)
        with pytest.raises(TransportError, match=r"://127\.0\.0\.1:0: too many open files"):
            listener.open()
        assert one.fileno() < 0
    assert all(each.fileno() < 0 for each in listener._wake or ())


@pytest.mark.parametrize(("kind", "fits"), [(socket.SOCK_SEQPACKET, True), (socket.SOCK_STREAM, False)])
def test_a_socket_of_sctp_fits_if_it_is_one_for_all_associations(kind: socket.SocketKind, fits: bool) -> None:
    one: Any = SimpleNamespace(type=kind, proto=SCTP, family=socket.AF_INET, getsockname=lambda: ("127.0.0.1", 4739))
    inherited = [one]
    assert (take_inherited(parse_listen_url("sctp://127.0.0.1:4739"), inherited) is one) is fits
    assert (inherited == []) is fits


@pytest.mark.parametrize("number", ["0", str(1 << 24 | 1), "9" * 30])
def test_handshakes_that_are_under_way_have_a_bound(number: str) -> None:
    with pytest.raises(TransportError, match=r"max_handshakes is .*; it must be from 1 to 16777216"):
        parse_listen_url(f"tls://?cert=a&ca=b&max_handshakes={number}")


@pytest.mark.parametrize("transport", ["tls", "dtls"])
def test_a_key_that_is_encrypted_is_told_and_nobody_is_asked_for_its_password(
    transport: str, certificates: Certificates, collector: Party, tmp_path: Path
) -> None:
    if transport == "dtls":
        pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is not installed (headwater[dtls])")
    own = collector.encrypted(tmp_path)
    url = parse_listen_url(f"{transport}://127.0.0.1:0?ca={certificates.ca}&cert={own.cert}&key={own.key}")
    with pytest.raises(TransportError, match=r"key=.* cannot be used: the private key is encrypted"):
        context(url)


def context(url: Any) -> Any:
    if url.transport == "tls":
        return server_context(url)
    from headwater.transport.incoming.dtls_context import dtls_context

    return dtls_context(url, b"secret")
