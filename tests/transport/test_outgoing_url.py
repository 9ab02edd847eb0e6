"""URLs of collectors."""

from __future__ import annotations

import pytest

from headwater.errors import TransportError
from headwater.transport.outgoing.url import parse_url


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("udp://192.0.2.1", "192.0.2.1", 4739),
        ("udp://192.0.2.1:9995", "192.0.2.1", 9995),
        ("tcp://[2001:db8::1]:4739", "2001:db8::1", 4739),
        ("tls://collector.example.net", "collector.example.net", 4740),
        ("DTLS://Collector.example.net/", "collector.example.net", 4740),
        ("sctp://localhost?streams=4&ttl=500", "localhost", 4739),
    ],
)
def test_host_and_port_are_read(url: str, host: str, port: int) -> None:
    collector = parse_url(url)
    assert (collector.host, collector.port) == (host, port)
    assert collector.transport == url.partition("://")[0].lower()


def test_options_are_values_of_their_types() -> None:
    options = parse_url("tls://h?mtu=1400&retry=0.5&ca=my%20ca.pem&tls=1.3&overflow=drop-oldest").options
    assert options == {"mtu": 1400, "retry": 0.5, "ca": "my ca.pem", "tls": "1.3", "overflow": "drop-oldest"}
    assert parse_url("udp://h?mtu=discover").options["mtu"] == "discover"


def test_defaults_are_for_the_transports_that_have_them() -> None:
    assert parse_url("udp://h?mtu=600", mtu=1400, ca="ca.pem", retry=None).options == {"mtu": 600}
    assert parse_url("tls://h", mtu=1400, ca="ca.pem").options == {"mtu": 1400, "ca": "ca.pem"}


def test_the_name_is_without_options() -> None:
    assert parse_url("tls://[2001:db8::1]?ca=ca.pem").name == "tls://[2001:db8::1]:4740"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("192.0.2.1:4739", "is no URL of a collector: it begins with one of udp://, tcp://"),
        ("http://192.0.2.1", "it begins with one of"),
        ("udp://", "is not of the form udp://HOST:PORT"),
        ("udp://192.0.2.1:0", "is not of the form"),
        ("udp://192.0.2.1:99999", "cannot be read: port out of range"),
        ("udp://192.0.2.1:ipfix", "cannot be read: port could not be cast"),
        ("udp://[2001:db8::1", "cannot be read: invalid ipv6"),
        ("udp://me@192.0.2.1", "is not of the form"),
        ("udp://192.0.2.1/flows", "is not of the form"),
        ("udp://192.0.2.1?mtu=20", "mtu is '20'; it must be from 21 to 65535, or discover"),
        ("udp://192.0.2.1?mtu=", "mtu is ''; it must be"),
        ("udp://192.0.2.1?rate=nan", "rate is 'nan'; it must be a number of records a second"),
        ("udp://192.0.2.1?retri=3", "no option of a collector is called 'retri'; did you mean retry?"),
        ("udp://192.0.2.1?ca=ca.pem", "ca is an option of tls, dtls, not of udp"),
        ("tcp://192.0.2.1?overflow=all", "it must be one of block, drop-oldest, drop-newest, error"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(url: str, message: str) -> None:
    with pytest.raises(TransportError) as told:
        parse_url(url)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_text_is_no_url() -> None:
    with pytest.raises(TransportError, match="a collector is a URL such as"):
        parse_url(4739)  # type: ignore[arg-type]
