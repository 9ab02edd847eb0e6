"""URLs of transports: scheme, host and port, and options whose values are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from headwater.errors import TransportError
from headwater.session.key import Transport

TRANSPORTS: Final = (Transport.UDP, Transport.TCP, Transport.TLS, Transport.DTLS, Transport.SCTP)
EVERY: Final = frozenset(TRANSPORTS)
SECURE: Final = frozenset({Transport.TLS, Transport.DTLS})
DATAGRAMS: Final = frozenset({Transport.UDP, Transport.DTLS})
STREAMS: Final = frozenset({Transport.TCP, Transport.TLS, Transport.SCTP})
UDP: Final = frozenset({Transport.UDP})
SCTP: Final = frozenset({Transport.SCTP})
TLS_VERSIONS: Final = ("1.2", "1.3")
_PORT: Final = 4739
_SECURE_PORT: Final = 4740  # RFC 7011 §10.3.4, §10.4.5


class Option(NamedTuple):
    """read: makes the value of its text, or raises ValueError. words: what it must be. of: transports that have it.

    is_list: values of options that are repeated are tuples, and put together.
    """

    read: Callable[[str], Any]
    words: str
    of: frozenset[Transport] = EVERY
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class TransportUrl:
    """What a URL says. host: "" if it has none. options: those of the URL, and defaults given beside it."""

    url: str
    transport: Transport
    host: str
    port: int
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The URL without its options, for people."""
        return f"{self.transport}://{host_and_port(self.host or '*', self.port)}"


U = TypeVar("U", bound=TransportUrl)


@dataclass(frozen=True, slots=True)
class UrlForm(Generic[U]):
    """What URLs of one kind may say. kind: what is made of them. noun: what they are, with its article.

    others: how URLs begin that are read elsewhere and may stand where these do.
    """

    kind: type[U]
    noun: str
    example: str
    options: Mapping[str, Option]
    needs_host: bool = True
    has_port_0: bool = False
    others: tuple[str, ...] = ()

    def parse(self, url: str, defaults: Mapping[str, Any]) -> U:
        """What a URL says.

        defaults: options for those that the URL does not have, where the transport has them; None = none.
        Raises TransportError for anything that is wrong with it.
        """
        if not isinstance(url, str):
            raise TransportError(f"{self.noun} is a URL such as {self.example!r}, not {url!r}")
        scheme, separator, _ = url.partition("://")
        if not separator or scheme.lower() not in EVERY:
            known = ", ".join([*(f"{one}://" for one in TRANSPORTS), *self.others])
            raise TransportError(f"{url!r} is no URL of {self.noun}: it begins with one of {known}", url=url)
        transport = Transport(scheme.lower())
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise TransportError(f"{url!r} cannot be read: {str(error).lower()}", url=url) from None
        is_none = (self.needs_host and not host) or (port == 0 and not self.has_port_0)
        if is_none or parts.path.strip("/") or parts.fragment or parts.username is not None:
            raise TransportError(f"{url!r} is not of the form {transport}://HOST:PORT?OPTION=VALUE", url=url)
        options = self._read(transport, url, defaults, parse_qsl(parts.query, keep_blank_values=True))
        default = _SECURE_PORT if transport in SECURE else _PORT
        return self.kind(url, transport, host, default if port is None else port, MappingProxyType(options))

    def _read(
        self, transport: Transport, url: str, defaults: Mapping[str, Any], query: list[tuple[str, str]]
    ) -> dict[str, Any]:
        options = {}
        for name, value in defaults.items():
            if value is not None and transport in self._option(name).of:
                options[name] = self._value(transport, name, str(value), url)
        given: dict[str, Any] = {}
        for name, text in query:
            value = self._value(transport, name, text, url)
            given[name] = given[name] + value if name in given and self.options[name].is_list else value
        return options | given

    def _option(self, name: str) -> Option:
        try:
            return self.options[name]
        except KeyError:
            near = get_close_matches(name, self.options, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.options)}"
            raise TransportError(f"no option of {self.noun} is called {name!r}; {hint}") from None

    def _value(self, transport: Transport, name: str, text: str, url: str) -> Any:
        option = self._option(name)
        if transport not in option.of:
            others = ", ".join(one for one in TRANSPORTS if one in option.of)
            raise TransportError(f"{url!r}: {name} is an option of {others}, not of {transport}", url=url)
        try:
            return option.read(text)
        except ValueError:
            raise TransportError(f"{url!r}: {name} is {text!r}; it must be {option.words}", url=url) from None


def host_and_port(host: str, port: int) -> str:
    """As it is written in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# ---------------------------------------------------------------- what values are


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """A finite number of that range."""

    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high or math.isinf(value):
            raise ValueError
        return value

    return read


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A whole number of that range."""

    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    """One of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return read


def some_text(text: str) -> str:
    """Text that is not empty."""
    if not text:
        raise ValueError
    return text


def list_of(read: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Values with commas between them, at least one."""
    return lambda text: tuple(read(part.strip()) for part in text.split(","))
