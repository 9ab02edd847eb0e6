"""SCTP of the kernel: what linux/sctp.h has and Python's socket module has not."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

from headwater.errors import TransportError

SCTP: Final = 132
"""The protocol, and the level of its options and ancillary data."""
INITMSG, NODELAY, EVENTS, STATUS, RECVRCVINFO = 2, 3, 11, 14, 32
"""Options of sockets."""
SNDINFO, RCVINFO, PRINFO = 2, 3, 5
"""Ancillary data."""
ABORT: Final = 4
"""A flag of SNDINFO: end the association at once."""
TTL: Final = 0x10
"""A policy of PRINFO: give a message up after some milliseconds."""
NOTIFICATION: Final = 0x8000
"""A flag of what was received."""
ASSOCIATION, SEND_FAILED, SHUTDOWN, PARTIAL, DRY = 0x8001, 0x8003, 0x8005, 0x8006, 0x8009
"""Kinds of notifications."""
UP, RESTARTED = 0, 2
"""States of an association that ASSOCIATION tells; in the others it is over, or does not begin."""

INIT: Final = Struct("=HHHH")
SND: Final = Struct("=HHIIi")
RCV: Final = Struct("=HHH2xIIIIi")
PR: Final = Struct("=H2xI")
CHANGE: Final = Struct("=HHIHHHHi")
PARTIAL_END: Final = Struct("=HHIIi")


def events(*, is_sending: bool = False, is_dry: bool = False) -> bytes:
    """A struct sctp_event_subscribe.

    Associations, and shutdowns; if it is not for sending, messages that were given up half delivered as well.
    """
    return bytes([0, 1, 0, is_sending, is_sending, 1, not is_sending, 0, 0, is_dry])


def require_sctp(name: str, url: str) -> None:
    """Raise TransportError where the kernel has no SCTP. name: of the URL, for people."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP).close()
    except OSError:
        message = f"{name}: this kernel has no SCTP (on Linux it is the module sctp: modprobe sctp)"
        raise TransportError(message, url=url) from None
