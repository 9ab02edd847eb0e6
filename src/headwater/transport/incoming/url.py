"""Where to listen, as a URL: `udp://0.0.0.0:4739?receive_buffer=32M`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from headwater.errors import TransportError
from headwater.model.quantities import DURATION, SIZE, duration, size
from headwater.session.key import Transport
from headwater.transport.url_options import (
    DATAGRAMS,
    SCTP,
    SECURE,
    STREAMS,
    TLS_VERSIONS,
    UDP,
    Option,
    TransportUrl,
    UrlForm,
    host_and_port,
    list_of,
    one_of,
    some_text,
    whole,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EVERYWHERE: Final = ("", "*")
_MOST_WORKERS: Final = 64
_MANY: Final = 1 << 24
_LARGEST_BUFFER: Final = 1 << 30  # SO_RCVBUF is an int, and the kernel doubles it


@dataclass(frozen=True, slots=True)
class ListenUrl(TransportUrl):
    """One address to listen on. options: with DEFAULTS.

    host: as it is written; "" and "*" are every address of this host, IPv6 and IPv4.
    """

    @property
    def is_everywhere(self) -> bool:
        """Whether that is every address of this host, of IPv6 and IPv4."""
        return self.host in _EVERYWHERE

    def bound_to(self, address: tuple[str, int]) -> str:
        """`name` with the address that a socket got."""
        return f"{self.transport}://{host_and_port(*address)}"

    def at_port(self, port: int) -> ListenUrl:
        """The same, at another port; for port 0, which has become one."""
        return replace(self, port=port)

    def allows(self, address: str) -> bool:
        """Whether an exporter of that address may speak here, as far as the option `allow` says."""
        networks = self.options.get("allow")
        if not networks:
            return True
        exporter = ipaddress.ip_address(address.partition("%")[0])
        return any(exporter in network for network in networks)


def parse_listen_url(url: str, **defaults: Any) -> ListenUrl:
    """The address of a URL.

    defaults: options for those that the URL does not have, where the transport has them; None = none.
    Raises TransportError for anything that is wrong with it.
    """
    found = _FORM.parse(url, defaults)
    options = {name: value for name, value in DEFAULTS.items() if found.transport in _OPTIONS[name].of}
    options |= _UDP if found.transport is Transport.UDP else _DTLS if found.transport is Transport.DTLS else {}
    missing = [name for name in ("cert", "ca") if found.transport in SECURE and name not in found.options]
    if missing:
        what = " and ".join(f"{name}=FILE ({_OPTIONS[name].words.removeprefix('a file with ')})" for name in missing)
        raise TransportError(f"{url!r}: {found.transport} needs {what}", url=url)
    return replace(found, options=options | dict(found.options))


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


_OPTIONS: Final[Mapping[str, Option]] = {
    "receive_buffer": Option(lambda text: whole(1, _LARGEST_BUFFER)(str(size(text))), f"{SIZE}, up to 1G", DATAGRAMS),
    "workers": Option(whole(1, _MOST_WORKERS), f"from 1 to {_MOST_WORKERS}", UDP),
    "interface": Option(some_text, "an interface of this host, by its name or address", UDP),
    "allow": Option(
        list_of(_network), "networks such as 192.0.2.0/24,2001:db8::/32 with commas between them", is_list=True
    ),
    "max_sessions": Option(whole(1, _MANY), f"from 1 to {_MANY}"),
    "backlog": Option(whole(1, 1 << 16), "from 1 to 65536", STREAMS),
    "idle": Option(duration, DURATION, STREAMS | DATAGRAMS - UDP),
    "message_timeout": Option(duration, DURATION, STREAMS),
    "cert": Option(some_text, "a file with the certificate of this host", SECURE),
    "key": Option(some_text, "a file with its private key", SECURE),
    "ca": Option(some_text, "a file with the certificates that sign those of exporters", SECURE),
    "crl": Option(some_text, "a file with a certificate revocation list", SECURE),
    "allow_name": Option(list_of(some_text), "names in certificates, with commas between them", SECURE, is_list=True),
    "tls": Option(one_of(TLS_VERSIONS), f"one of {', '.join(TLS_VERSIONS)}", frozenset({Transport.TLS})),
    "handshake_timeout": Option(duration, DURATION, SECURE),
    "max_handshakes": Option(whole(1, _MANY), f"from 1 to {_MANY}", SECURE),
    "streams": Option(whole(1, 65535), "from 1 to 65535", SCTP),
}
"""What the query of a URL may say.

receive_buffer: octets that the kernel keeps until they are taken. workers: processes that share the exporters.
allow: networks of exporters that may speak; all may if there is none. max_sessions: exporters known at once.
idle: seconds without data after which a connection is ended, 0 = never; of DTLS as well.
message_timeout: seconds that an exporter may take for one Message, and for its first one from the connection on.
handshake_timeout: seconds that a handshake may take. 0 = any time, for both. key: not needed if `cert` has it as well.
allow_name: of exporters that may speak; those of all certificates if there is none. tls: the oldest version.
max_handshakes: that are under way at once. streams: that an SCTP exporter may use.
"""
DEFAULTS: Final[Mapping[str, Any]] = {
    "receive_buffer": 16 << 20,
    "workers": 1,
    "allow": (),
    "max_sessions": 4096,
    "backlog": 1024,
    "idle": 0.0,
    "message_timeout": 60.0,
    "allow_name": (),
    "handshake_timeout": 10.0,
    "max_handshakes": 1000,
    "streams": 16,
}
_UDP: Final = {"max_sessions": 65_536}
_DTLS: Final = {"idle": 3600.0}  # an exporter that has gone away does not say so
_FORM: Final = UrlForm(
    ListenUrl,
    "a listening address",
    "udp://0.0.0.0:4739",
    _OPTIONS,
    needs_host=False,
    has_port_0=True,
    others=("file:", "follow:"),
)
