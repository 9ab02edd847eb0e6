"""Where the last whole IPFIX Message of a stream ends (RFC 7011 §10.4.2)."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

HEADER: Final = 16
LONGEST: Final = 65535
_VERSION: Final = 10
_head: Final = Struct(">HH").unpack_from


class Framing(NamedTuple):
    """end: where the last whole Message ends. messages: how many there are. problem: why none can follow, or ""."""

    end: int
    messages: int
    problem: str


def framing(octets: memoryview, at: int, stop: int) -> Framing:
    """Walk the headers of Messages from `at` to `stop`.

    A Message that is not whole yet is no problem, unless its first four octets are not those of IPFIX: the length
    of a Message is all there is to find the next one by.
    """
    messages = 0
    while at + 4 <= stop:
        version, length = _head(octets, at)
        if version != _VERSION:
            return Framing(at, messages, f"version {version} where the header of an IPFIX Message must be")
        if length < HEADER:
            return Framing(at, messages, f"a Message of {length} octets")
        if at + length > stop:
            break
        at += length
        messages += 1
    return Framing(at, messages, "")
