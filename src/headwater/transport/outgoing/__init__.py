"""Messages out: one small file for each transport of RFC 7011 §10, all of them a `Sender`."""

from headwater.transport.outgoing.opening import sender_of
from headwater.transport.outgoing.readiness import Readiness, Stopped
from headwater.transport.outgoing.sender import Sender, SessionLost
from headwater.transport.outgoing.url import Collector, parse_url

__all__ = ["Collector", "Readiness", "Sender", "SessionLost", "Stopped", "parse_url", "sender_of"]
