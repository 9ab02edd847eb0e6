"""Where Messages go, as a URL: `tcp://collector.example.net:4739?retry=5`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from headwater.errors import TransportError
from headwater.session.key import Transport

_SENDING: Final = (Transport.UDP, Transport.TCP, Transport.TLS, Transport.DTLS, Transport.SCTP)
_EVERY: Final = frozenset(_SENDING)
_SECURE: Final = frozenset({Transport.TLS, Transport.DTLS})
_DATAGRAMS: Final = frozenset({Transport.UDP, Transport.DTLS})
_STREAMS: Final = frozenset({Transport.TCP, Transport.TLS, Transport.SCTP})
_SCTP: Final = frozenset({Transport.SCTP})
_PORT: Final = 4739
_SECURE_PORT: Final = 4740  # RFC 7011 §10.3.4, §10.4.5
_MIN_MTU, _MAX_MTU = 21, 65535
_VERSIONS: Final = ("10", "9", "5")
_TLS_VERSIONS: Final = ("1.2", "1.3")

OVERFLOWS: Final = ("block", "drop-oldest", "drop-newest", "error")
DISCOVER: Final = "discover"


class _Option(NamedTuple):
    """read: makes the value of its text, or raises ValueError. words: what it must be. of: transports that have it."""

    read: Callable[[str], Any]
    words: str
    of: frozenset[Transport] = _EVERY


@dataclass(frozen=True, slots=True)
class Collector:
    """One destination of Messages. options: those of the URL, and defaults given beside it."""

    url: str
    transport: Transport
    host: str
    port: int
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The URL without its options, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


def parse_url(url: str, **defaults: Any) -> Collector:
    """The collector of a URL.

    defaults: options for those that the URL does not have, where the transport has them; None = none.
    Raises TransportError for anything that is wrong with it.
    """
    if not isinstance(url, str):
        raise TransportError(f"a collector is a URL such as 'udp://192.0.2.1:4739', not {url!r}")
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in set(_SENDING):
        known = ", ".join(f"{one}://" for one in _SENDING)
        raise TransportError(f"{url!r} is no URL of a collector: it begins with one of {known}", url=url)
    transport = Transport(scheme.lower())
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TransportError(f"{url!r} cannot be read: {str(error).lower()}", url=url) from None
    if not host or port == 0 or parts.path.strip("/") or parts.fragment or parts.username is not None:
        raise TransportError(f"{url!r} is not of the form {transport}://HOST:PORT?OPTION=VALUE", url=url)
    options = {name: value for name, value in defaults.items() if value is not None and transport in _option(name).of}
    for name, value in options.items():
        options[name] = _value(transport, name, str(value), url)
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        options[name] = _value(transport, name, text, url)
    default = _SECURE_PORT if transport in _SECURE else _PORT
    return Collector(url, transport, host, default if port is None else port, MappingProxyType(options))


def _option(name: str) -> _Option:
    try:
        return _OPTIONS[name]
    except KeyError:
        near = get_close_matches(name, _OPTIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_OPTIONS)}"
        raise TransportError(f"no option of a collector is called {name!r}; {hint}") from None


def _value(transport: Transport, name: str, text: str, url: str) -> Any:
    option = _option(name)
    if transport not in option.of:
        others = ", ".join(one for one in _SENDING if one in option.of)
        raise TransportError(f"{url!r}: {name} is an option of {others}, not of {transport}", url=url)
    try:
        return option.read(text)
    except ValueError:
        raise TransportError(f"{url!r}: {name} is {text!r}; it must be {option.words}", url=url) from None


# ---------------------------------------------------------------- what values are


def _number(low: float, high: float = math.inf) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high or math.isinf(value):
            raise ValueError
        return value

    return read


def _whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return read


def _mtu(text: str) -> int | str:
    return DISCOVER if text == DISCOVER else _whole(_MIN_MTU, _MAX_MTU)(text)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


_SECONDS: Final = "a number of seconds"
_COUNT: Final = "a whole number"
_OPTIONS: Final[Mapping[str, _Option]] = {
    "mtu": _Option(_mtu, f"from {_MIN_MTU} to {_MAX_MTU}, or {DISCOVER}"),
    "version": _Option(_one_of(_VERSIONS), f"one of {', '.join(_VERSIONS)}"),
    "queue": _Option(_whole(1), "a number of octets"),
    "overflow": _Option(_one_of(OVERFLOWS), f"one of {', '.join(OVERFLOWS)}"),
    "timeout": _Option(_number(0), _SECONDS),
    "rate": _Option(_number(1e-3), "a number of records a second"),
    "octet_rate": _Option(_number(1), "a number of octets a second"),
    "statistics": _Option(_number(0), _SECONDS),
    "retry": _Option(_number(0.01), _SECONDS),
    "retry_first": _Option(_number(0), _SECONDS),
    "connect_timeout": _Option(_number(1e-3), _SECONDS),
    "refresh": _Option(_number(0), _SECONDS, _DATAGRAMS),
    "refresh_messages": _Option(_whole(0), _COUNT, _DATAGRAMS),
    "resend": _Option(_whole(0), "a number of octets", _STREAMS),
    "source": _Option(_text, "an address of this host"),
    "send_buffer": _Option(_whole(1), "a number of octets"),
    "ca": _Option(_text, "a file of certificates", _SECURE),
    "cert": _Option(_text, "a file with a certificate", _SECURE),
    "key": _Option(_text, "a file with a private key", _SECURE),
    "name": _Option(_text, "the name in the collector's certificate", _SECURE),
    "tls": _Option(_one_of(_TLS_VERSIONS), f"one of {', '.join(_TLS_VERSIONS)}", frozenset({Transport.TLS})),
    "renew": _Option(_number(0), _SECONDS, frozenset({Transport.DTLS})),
    "streams": _Option(_whole(1, 65535), "from 1 to 65535", _SCTP),
    "ttl": _Option(_whole(1), "a number of milliseconds", _SCTP),
}
"""What the query of a URL may say; process/exporting.py tells what each is for."""
