"""The layout of a raw spool: what a Collecting Process received, undecoded, to be decoded later as if it came then.

A spool (`.hwspool`) is a file header and blocks behind each other. All numbers are little-endian.

    file header, 40 octets
      0   8  magic, 93 "HWSPOOL"
      8   2  version, 1
     10   2  octets of this header, 40
     12   8  mark: random octets that begin each block of this file, so that no exporter can send what looks like one
     20   8  run: random octets that the files of one run of a collector have in common
     28   8  when it was begun, nanoseconds since 1970 (UTC)
     36   4  CRC-32 of the 36 octets before

    block header, 32 octets
      0   8  mark
      8   4  CRC-32 of octets 16 to 31, which say how long the block is
     12   4  CRC-32 of everything behind this header
     16   4  t, octets of what is told of the block
     20   4  d, datagrams
     24   4  n, octets of the buffer
     28   1  flags: 1 = there are SCTP streams
     29   3  zero
    behind it
          t  what is told: JSON as `Told` has it, UTF-8
         8d  when each datagram was received, nanoseconds since 1970 (UTC), 0 = not known
         4d  where it begins in the buffer, ascending
         4d  where it ends
         4d  whose it is, index into the peers
         4d  its SCTP stream, if there are such
          n  the buffer: the datagrams as they came, of TCP and TLS runs of whole Messages

Each file can be read by itself, but for Templates that were sent before it was begun. The files of one run, in the
order of their names, are one stream: sessions go on from one to the next. In another run only what exporters sent over
UDP is still known, as it is when a collector starts again with its state. Offsets in what is read are those of the
file, decompressed; a spool may be compressed as a whole (`.hwspool.zst`), each block as a frame of its own.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

import msgspec

SPOOL_MAGIC: Final = b"\x93HWSPOOL"
SPOOL_VERSION: Final = 1
FILE_HEADER: Final = struct.Struct("<8sHH8s8sQI")
BLOCK_HEADER: Final = struct.Struct("<8sIIIIIB3x")
FRAMED: Final = 16
"""Where the part of a block header begins that says how long the block is."""
HAS_STREAMS: Final = 1
MARK: Final = 8
"""Octets of the mark, and of the run."""

MOST_TOLD: Final = 8 << 20
MOST_ROWS: Final = 1 << 17
MOST_OCTETS: Final = 32 << 20
"""What a block can have of each; a reader takes a larger number for damage before it makes room for it."""

Port = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Address = Annotated[str, msgspec.Meta(max_length=128)]


class ToldFault(msgspec.Struct, array_like=True):
    """A Fault of octets that are in no datagram. peer: index, None = of nobody."""

    kind: str
    domain: int | None
    detail: str
    count: Count
    peer: Count | None


class Told(msgspec.Struct):
    """What is told of a block beside its datagrams.

    transport: of the listener. local: the address and port that it listened on.
    peers: address and port of each, and the address and port of ours that it spoke to; None = not known who.
    ended: sessions that ended behind the datagrams, by index. dropped: (index, datagrams) that were received before
    this block and given up, because there was no room.
    """

    transport: str
    local: tuple[Address, Port]
    peers: list[tuple[Address, Port, Address, Port] | None]
    ended: list[Count] = []
    dropped: list[tuple[Count, Count]] = []
    faults: list[ToldFault] = []


def body_size(told: int, rows: int, octets: int, flags: int) -> int:
    """Octets behind the header of a block."""
    return told + rows * (24 if flags & HAS_STREAMS else 20) + octets
