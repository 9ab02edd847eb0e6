"""What differs between export protocols, as data (RFC 7011 §3, RFC 3954 §5, Cisco's NetFlow v1 to v8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SET_HEADER = 4
"""Octets of a Set header: Set ID and Length (RFC 7011 §3.3.2)."""

MAX_MESSAGE = 65535
"""Octets a Message can have at most: its Length has 16 bits (RFC 7011 §3.1)."""

FIRST_DATA_SET = 256
"""Set IDs from here on are Data Sets; they carry the Template ID (RFC 7011 §3.3.2)."""

TEMPLATE_SET: Final = 2
OPTIONS_TEMPLATE_SET: Final = 3
"""Set IDs of IPFIX; where versions are mixed, Sets of other versions that mean the same have them too."""

SFLOW: Final = 0
"""Stands for sFlow where versions are told apart: its version has 32 bits, so the first 16 of them are 0."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One export protocol: where its header fields are and which Set IDs carry templates.

    header: octets of the Message header.
    export_time, sequence, domain, uptime, nanoseconds, sampling, count: (octet offset, width) of these fields in the
    header; None where it has no such field.
    template_sets: Set IDs of Templates and Options Templates; None where the records have a layout that never changes.
    sequence_unit: what the sequence numbers count, "records" or "messages".
    has_ports: whether the port tells exporters apart (RFC 7011 §8.4); not so in NetFlow v9 (RFC 3954 §5.1).
    """

    name: str
    version: int
    header: int
    export_time: tuple[int, int]
    sequence: tuple[int, int] | None
    domain: tuple[int, int] | None
    template_sets: tuple[int, int] | None = None
    uptime: tuple[int, int] | None = None
    nanoseconds: tuple[int, int] | None = None
    sampling: tuple[int, int] | None = None
    count: tuple[int, int] | None = (2, 2)
    sequence_unit: str = "records"
    has_ports: bool = False

    @property
    def has_sets(self) -> bool:
        """Whether Messages consist of Sets; otherwise of records that follow the header."""
        return self.template_sets is not None


IPFIX: Final = Dialect("IPFIX", 10, 16, (4, 4), (8, 4), (12, 4), (2, 3), count=None, has_ports=True)
NETFLOW9: Final = Dialect(
    "NetFlow v9", 9, 20, (8, 4), (12, 4), (16, 4), (0, 1), uptime=(4, 4), sequence_unit="messages"
)
NETFLOW1: Final = Dialect("NetFlow v1", 1, 16, (8, 4), None, None, uptime=(4, 4), nanoseconds=(12, 4), has_ports=True)
NETFLOW5: Final = Dialect(
    "NetFlow v5", 5, 24, (8, 4), (16, 4), (20, 2), uptime=(4, 4), nanoseconds=(12, 4), sampling=(22, 2), has_ports=True
)
NETFLOW7: Final = Dialect(
    "NetFlow v7", 7, 24, (8, 4), (16, 4), None, uptime=(4, 4), nanoseconds=(12, 4), has_ports=True
)
NETFLOW8: Final = Dialect(
    "NetFlow v8", 8, 28, (8, 4), (16, 4), (20, 2), uptime=(4, 4), nanoseconds=(12, 4), has_ports=True
)

DIALECTS: Final = {d.version: d for d in (NETFLOW1, NETFLOW5, NETFLOW7, NETFLOW8, NETFLOW9, IPFIX)}
"""Every protocol that is read, by the version number that its Messages begin with."""
