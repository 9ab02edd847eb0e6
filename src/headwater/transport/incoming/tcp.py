"""Messages in over TCP (RFC 7011 §10.4)."""

from __future__ import annotations

from headwater.transport.incoming.connections import ConnectionListener


class TcpListener(ConnectionListener):
    """Connections as they are."""
