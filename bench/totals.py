"""What a decoder of a whole file must arrive at, counted while the file is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Totals:
    """Counts and sums over all records of a file; sums are modulo 2**64."""

    records: int = 0  # data records, options records too
    octets: int = 0  # sum of octetDeltaCount
    values: int = 0  # sum of every fixed-width value at any depth; a 16-octet address counts as two 64-bit halves
    text: int = 0  # octets of all strings at any depth
    letters: int = 0  # sum of those octets
    inner: int = 0  # records of subTemplate(Multi)Lists and elements of basicLists, at any depth

    def add(self, octets: int, *values: int) -> None:
        self.octets += octets
        self.values += sum(values)

    def string(self, content: bytes) -> bytes:
        """Count one string and return it with its length prefix (RFC 7011 §7)."""
        self.text += len(content)
        self.letters += sum(content)
        return prefixed(content)

    def wrapped(self) -> dict[str, int]:
        return {name: value & (1 << 64) - 1 for name, value in asdict(self).items()}


def prefixed(content: bytes) -> bytes:
    """A value of variable length with its 1- or 3-octet length before it (RFC 7011 §7)."""
    if len(content) < 255:
        return bytes([len(content)]) + content
    return b"\xff" + len(content).to_bytes(2, "big") + content
