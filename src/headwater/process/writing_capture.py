"""Writing records as what an exporter would have sent over UDP, into a packet capture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from headwater.errors import HeadwaterError
from headwater.process.writing import Writer
from headwater.session.exporting import DATAGRAM
from headwater.session.key import Transport
from headwater.sinks.pcap import LARGEST
from headwater.sinks.pcap_messages import PcapMessages

if TYPE_CHECKING:
    from headwater.sinks.output import Writable


class CaptureWriter(Writer):
    """Writes captures: Messages in UDP datagrams, Templates again and again (RFC 7011 §8.4), times of export.

    file: what the capture goes to. mtu: octets of a Message at most. The other options are those of Writer.
    """

    _transport: ClassVar = Transport.UDP

    def __init__(self, file: Writable, *, mtu: int = DATAGRAM, **options: Any) -> None:
        if mtu > LARGEST:
            raise HeadwaterError(f"mtu is {mtu}; a datagram has at most {LARGEST} octets")
        super().__init__(PcapMessages(file), mtu=mtu, compression="none", **options)
