"""Packet captures as sources of export traffic: pcap and pcapng, down to datagrams and streams."""

from headwater.transport.capture.capture import Capture
from headwater.transport.capture.framing import is_capture
from headwater.transport.capture.streams import StreamPart

__all__ = ["Capture", "StreamPart", "is_capture"]
