"""URLs to listen on."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from headwater.errors import TransportError
from headwater.transport.incoming.binding import bound, resolved
from headwater.transport.incoming.opening import take_inherited
from headwater.transport.incoming.url import parse_listen_url
from tests.process.collectors import DEADLINE_S

TLS = "cert=c.pem&key=k.pem&ca=ca.pem"


@pytest.mark.parametrize(
    ("url", "host", "port", "name"),
    [
        ("udp://0.0.0.0", "0.0.0.0", 4739, "udp://0.0.0.0:4739"),
        ("udp://", "", 4739, "udp://*:4739"),
        ("udp://:9995", "", 9995, "udp://*:9995"),
        ("tcp://*:0", "*", 0, "tcp://*:0"),
        ("tcp://[::]:4739", "::", 4739, "tcp://[::]:4739"),
        ("udp://[fe80::1%eth0]", "fe80::1%eth0", 4739, "udp://[fe80::1%eth0]:4739"),
        (f"tls://collector.example.net?{TLS}", "collector.example.net", 4740, "tls://collector.example.net:4740"),
        (f"DTLS://127.0.0.1?{TLS}", "127.0.0.1", 4740, "dtls://127.0.0.1:4740"),
        ("sctp://localhost?streams=4", "localhost", 4739, "sctp://localhost:4739"),
    ],
)
def test_host_and_port_are_read(url: str, host: str, port: int, name: str) -> None:
    found = parse_listen_url(url)
    assert (found.host, found.port, found.name) == (host, port, name)
    assert found.transport == url.partition("://")[0].lower()


def test_options_are_values_of_their_types() -> None:
    options = parse_listen_url(
        "udp://:0?receive_buffer=32M&workers=2&allow=192.0.2.1,10.0.0.0/8&allow=2001:db8::/32"
    ).options
    assert (options["receive_buffer"], options["workers"], options["max_sessions"]) == (32 << 20, 2, 65_536)
    assert options["allow"] == (ip_network("192.0.2.1/32"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    options = parse_listen_url(f"tls://?{TLS}&idle=5m&message_timeout=250ms&allow_name=a.example,b.example").options
    assert (options["idle"], options["message_timeout"], options["max_sessions"]) == (300.0, 0.25, 4096)
    assert (options["allow_name"], options["handshake_timeout"]) == (("a.example", "b.example"), 10.0)
    assert "crl" not in options
    assert [parse_listen_url(f"{one}://?{TLS}").options["idle"] for one in ("tls", "dtls")] == [0, 3600]


def test_defaults_are_for_the_transports_that_have_them() -> None:
    assert parse_listen_url("udp://", receive_buffer="1M", ca="ca.pem", idle=None).options["receive_buffer"] == 1 << 20
    assert parse_listen_url("tls://?key=k.pem", ca="ca.pem", cert="c.pem").options["ca"] == "ca.pem"
    assert parse_listen_url("udp://?workers=3", workers=2).options["workers"] == 3
    assert "receive_buffer" not in parse_listen_url("tcp://").options


def test_who_may_speak_is_a_matter_of_networks() -> None:
    url = parse_listen_url("udp://?allow=192.0.2.0/24,fe80::/10")
    assert [url.allows(one) for one in ("192.0.2.7", "192.0.3.7", "fe80::1%eth0", "2001:db8::1")] == [
        True,
        False,
        True,
        False,
    ]
    assert parse_listen_url("udp://").allows("198.51.100.1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("0.0.0.0:4739", "is no URL of a listening address: it begins with one of udp://, tcp://"),
        ("http://0.0.0.0", "it begins with one of udp://, tcp://, tls://, dtls://, sctp://, file:, follow:"),
        ("udp://0.0.0.0:99999", "cannot be read: port out of range"),
        ("udp://me@0.0.0.0", "is not of the form udp://HOST:PORT"),
        ("udp://0.0.0.0/flows", "is not of the form"),
        ("udp://?worker=2", "no option of a listening address is called 'worker'; did you mean workers?"),
        ("udp://?workers=65", "workers is '65'; it must be from 1 to 64"),
        ("tcp://?workers=2", "workers is an option of udp, not of tcp"),
        ("udp://?receive_buffer=2G", "it must be a number of octets such as 4096, 64M or 1G, up to 1G"),
        ("udp://?allow=192.0.2.0/33", "allow is '192.0.2.0/33'; it must be networks such as"),
        ("tcp://?idle=soon", "idle is 'soon'; it must be a duration such as"),
        ("udp://?idle=5", "idle is an option of tcp, tls, dtls, sctp, not of udp"),
        ("tls://?ca=ca.pem", "tls needs cert=FILE (the certificate of this host)"),
        ("dtls://", "dtls needs cert=FILE (the certificate of this host) and ca=FILE (the certificates that sign"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(url: str, message: str) -> None:
    with pytest.raises(TransportError) as told:
        parse_listen_url(url)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_text_is_no_url() -> None:
    with pytest.raises(TransportError, match="a listening address is a URL such as"):
        parse_listen_url(4739)  # type: ignore[arg-type]


# ---------------------------------------------------------------- sockets


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("[::1]", "::1"), ("", "::"), ("[::]", "::")],
)
def test_a_socket_is_bound_to_what_the_url_says(host: str, address: str) -> None:
    with bound(parse_listen_url(f"udp://{host}:0"), socket.SOCK_DGRAM) as one:
        assert one.getsockname()[0] == address
        assert one.getsockname()[1] != 0


@pytest.mark.parametrize("host", ["", "*", "[::]"])
def test_every_address_is_of_both_families(host: str) -> None:
    with (
        bound(parse_listen_url(f"udp://{host}:0"), socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(b"to IPv4", ("127.0.0.1", one.getsockname()[1]))
        one.settimeout(DEADLINE_S)
        assert one.recv(99) == b"to IPv4"


def test_what_cannot_be_bound_is_told_in_a_sentence() -> None:
    with bound(parse_listen_url("udp://127.0.0.1:0"), socket.SOCK_DGRAM) as one:
        taken = f"udp://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(TransportError, match="address already in use; another program listens there already"):
            bound(parse_listen_url(taken), socket.SOCK_DGRAM)
    with pytest.raises(
        TransportError, match=r"udp://192\.0\.2\.77:0: cannot assign requested address; it is no address"
    ):
        bound(parse_listen_url("udp://192.0.2.77:0"), socket.SOCK_DGRAM)
    with pytest.raises(TransportError, match=r"udp://host\.invalid:4739: the host is not known"):
        resolved(parse_listen_url("udp://host.invalid"))


def test_an_inherited_socket_is_for_the_url_of_its_type_and_port() -> None:
    with (
        bound(parse_listen_url("udp://127.0.0.1:0"), socket.SOCK_DGRAM) as datagrams,
        bound(parse_listen_url("tcp://127.0.0.1:0"), socket.SOCK_STREAM) as stream,
    ):
        inherited = [datagrams, stream]
        port = stream.getsockname()[1]
        assert take_inherited(parse_listen_url(f"sctp://127.0.0.1:{port}"), inherited) is None
        assert take_inherited(parse_listen_url(f"tcp://[::1]:{port}"), inherited) is None
        assert take_inherited(parse_listen_url(f"tcp://127.0.0.1:{port}"), inherited) is stream
        assert take_inherited(parse_listen_url(f"udp://*:{datagrams.getsockname()[1]}"), inherited) is datagrams
        assert inherited == []


def test_of_sockets_with_the_same_port_that_of_the_address_is_taken() -> None:
    with bound(parse_listen_url("udp://127.0.47.1:0"), socket.SOCK_DGRAM) as one:  # addresses that nobody else uses
        port = one.getsockname()[1]
        with bound(parse_listen_url(f"udp://127.0.47.2:{port}"), socket.SOCK_DGRAM) as other:
            inherited = [one, other]
            assert take_inherited(parse_listen_url(f"udp://127.0.47.2:{port}"), inherited) is other
            assert take_inherited(parse_listen_url(f"udp://127.0.47.3:{port}"), inherited) is one
