"""Who a transport session is with, and what its transport promises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One transport session: the peer's address and port, and ours (RFC 7011 §2, §8.4)."""

    address: str
    port: int = 0
    local_address: str = ""
    local_port: int = 0

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


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
