"""Who a transport session is with, and what its transport promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One transport session: the peer's address and port, and ours (RFC 7011 §2, §8.4)."""

    address: str
    port: int = 0
    local_address: str = ""
    local_port: int = 0

    def __post_init__(self) -> None:
        for port in (self.port, self.local_port):
            if not 0 <= port <= 0xFFFF:
                raise HeadwaterError(f"a port is 0 to 65535, not {port}")

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class KeyRule(StrEnum):
    """What Templates are kept by, besides the Observation Domain."""

    AUTO = "auto"
    """As the protocol says: without the port for NetFlow v9 (RFC 3954 §5.1), with it for IPFIX (RFC 7011 §8.4).

    NetFlow v1 to v8 has no Templates, and its sequence numbers are counted by the port."""
    RFC = "rfc"
    """Address and port, as RFC 7011 §8.4 has it: two exporters behind one address do not disturb each other."""
    ADDRESS = "address"
    """Address without port: an exporter may change its port, or send its Templates from another one."""


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Which rule holds. exporters: rules for single addresses, in the form that SessionKey has them."""

    rule: KeyRule = KeyRule.AUTO
    exporters: Mapping[str, KeyRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", _rule(self.rule))
        object.__setattr__(self, "exporters", {address: _rule(rule) for address, rule in self.exporters.items()})

    def has_port(self, dialect: Dialect, key: SessionKey) -> bool:
        """Whether the port tells exporters of that protocol and address apart."""
        rule = self.exporters.get(key.address, self.rule)
        return dialect.has_ports if rule is KeyRule.AUTO else rule is KeyRule.RFC


def _rule(name: str) -> KeyRule:
    if name not in set(KeyRule):
        raise HeadwaterError(f"key rule must be one of {', '.join(KeyRule)}, not {name!r}")
    return KeyRule(name)


class Transport(StrEnum):
    """How octets arrive; decides framing and the rules for Templates (RFC 7011 §8, §10)."""

    UDP = "udp"
    DTLS = "dtls"
    SCTP = "sctp"
    TCP = "tcp"
    TLS = "tls"
    FILE = "file"

    @property
    def is_stream(self) -> bool:
        """Whether Messages follow each other without boundaries (§10.4.2, RFC 5655)."""
        return self in (Transport.TCP, Transport.TLS, Transport.FILE)

    @property
    def is_unreliable(self) -> bool:
        """Whether Messages can be lost: no withdrawals, and Templates expire (§8.4)."""
        return self in (Transport.UDP, Transport.DTLS)
