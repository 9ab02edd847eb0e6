"""Where Messages go, as a URL: `tcp://collector.example.net:4739?retry=5`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headwater.session.key import Transport
from headwater.transport.url_options import (
    DATAGRAMS,
    SCTP,
    SECURE,
    STREAMS,
    TLS_VERSIONS,
    Option,
    TransportUrl,
    UrlForm,
    number,
    one_of,
    some_text,
    whole,
)

_MIN_MTU, _MAX_MTU = 21, 65535
_VERSIONS: Final = ("10", "9", "5")

OVERFLOWS: Final = ("block", "drop-oldest", "drop-newest", "error")
DISCOVER: Final = "discover"


@dataclass(frozen=True, slots=True)
class Collector(TransportUrl):
    """One destination of Messages."""


def parse_url(url: str, **defaults: Any) -> Collector:
    """The collector of a URL.

    defaults: options for those that the URL does not have, where the transport has them; None = none.
    Raises TransportError for anything that is wrong with it.
    """
    return _FORM.parse(url, defaults)


def _mtu(text: str) -> int | str:
    return DISCOVER if text == DISCOVER else whole(_MIN_MTU, _MAX_MTU)(text)


_SECONDS: Final = "a number of seconds"
_COUNT: Final = "a whole number"
_OPTIONS: Final[Mapping[str, Option]] = {
    "mtu": Option(_mtu, f"from {_MIN_MTU} to {_MAX_MTU}, or {DISCOVER}"),
    "version": Option(one_of(_VERSIONS), f"one of {', '.join(_VERSIONS)}"),
    "queue": Option(whole(1), "a number of octets"),
    "overflow": Option(one_of(OVERFLOWS), f"one of {', '.join(OVERFLOWS)}"),
    "timeout": Option(number(0), _SECONDS),
    "rate": Option(number(1e-3), "a number of records a second"),
    "octet_rate": Option(number(1), "a number of octets a second"),
    "statistics": Option(number(0), _SECONDS),
    "retry": Option(number(0.01), _SECONDS),
    "retry_first": Option(number(0), _SECONDS),
    "connect_timeout": Option(number(1e-3), _SECONDS),
    "refresh": Option(number(0), _SECONDS, DATAGRAMS),
    "refresh_messages": Option(whole(0), _COUNT, DATAGRAMS),
    "resend": Option(whole(0), "a number of octets", STREAMS),
    "source": Option(some_text, "an address of this host"),
    "send_buffer": Option(whole(1), "a number of octets"),
    "ca": Option(some_text, "a file of certificates", SECURE),
    "cert": Option(some_text, "a file with a certificate", SECURE),
    "key": Option(some_text, "a file with a private key", SECURE),
    "name": Option(some_text, "the name in the collector's certificate", SECURE),
    "tls": Option(one_of(TLS_VERSIONS), f"one of {', '.join(TLS_VERSIONS)}", frozenset({Transport.TLS})),
    "renew": Option(number(0), _SECONDS, frozenset({Transport.DTLS})),
    "streams": Option(whole(1, 65535), "from 1 to 65535", SCTP),
    "ttl": Option(whole(1), "a number of milliseconds", SCTP),
}
"""What the query of a URL may say; process/exporting.py tells what each is for."""
_FORM: Final = UrlForm(Collector, "a collector", "udp://192.0.2.1:4739", _OPTIONS)
