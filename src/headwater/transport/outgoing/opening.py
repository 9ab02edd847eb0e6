"""The one table of transports out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from headwater.session.key import Transport

if TYPE_CHECKING:
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.sender import Sender
    from headwater.transport.outgoing.url import Collector

_SENDERS: Final = {
    Transport.UDP: ("udp", "UdpSender"),
    Transport.TCP: ("tcp", "TcpSender"),
    Transport.TLS: ("tls", "TlsSender"),
    Transport.DTLS: ("dtls", "DtlsSender"),
    Transport.SCTP: ("sctp", "SctpSender"),
}
"""Module and class, so that none is imported that is not used."""


def sender_of(collector: Collector, readiness: Readiness) -> Sender:
    """The sender for a collector; nothing is opened yet.

    Raises TransportError for what can be told now: a library or kernel without the transport, unusable certificates.
    """
    module, name = _SENDERS[collector.transport]
    made: Sender = getattr(import_module(f"headwater.transport.outgoing.{module}"), name)(collector, readiness)
    return made
