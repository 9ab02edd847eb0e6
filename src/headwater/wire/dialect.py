"""What differs between export protocols, as data (RFC 7011 §3)."""

from __future__ import annotations

from dataclasses import dataclass

SET_HEADER = 4
"""Octets of a Set header: Set ID and Length (RFC 7011 §3.3.2)."""

MAX_MESSAGE = 65535
"""Octets a Message can have at most: its Length has 16 bits (RFC 7011 §3.1)."""

FIRST_DATA_SET = 256
"""Set IDs from here on are Data Sets; they carry the Template ID (RFC 7011 §3.3.2)."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One export protocol: where its header fields are and which Set IDs carry templates.

    header: octets of the Message header.
    export_time, sequence, domain: octet offsets of these 32-bit fields in the header.
    """

    name: str
    version: int
    header: int
    export_time: int
    sequence: int
    domain: int
    template_set: int
    options_template_set: int


IPFIX = Dialect("IPFIX", 10, 16, 4, 8, 12, 2, 3)

VERSIONS = {1: "NetFlow v1", 5: "NetFlow v5", 7: "NetFlow v7", 8: "NetFlow v8", 9: "NetFlow v9", 10: "IPFIX"}
"""Names of the version numbers that share IPFIX's ports, for messages about foreign traffic."""
