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
import zlib
from typing import Annotated, Final, NamedTuple

import msgspec

SPOOL_MAGIC: Final = b"\x93HWSPOOL"
_VERSION: Final = 1
FILE_HEADER: Final = struct.Struct("<8sHH8s8sQI")
BLOCK_HEADER: Final = struct.Struct("<8sIIIIIB3x")
FRAMED: Final = 16
"""Where the part of a block header begins that says how long the block is."""
_HAS_STREAMS: Final = 1
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


class FileHeader(NamedTuple):
    """The header of a file. begun: nanoseconds since 1970."""

    mark: bytes
    run: bytes
    begun: int

    def pack(self) -> bytes:
        octets = FILE_HEADER.pack(SPOOL_MAGIC, _VERSION, FILE_HEADER.size, *self, 0)[:-4]
        return octets + zlib.crc32(octets).to_bytes(4, "little")

    @classmethod
    def unpack(cls, octets: bytes | memoryview) -> FileHeader:
        """Raises ValueError, in words, for a header that cannot be read."""
        _, version, size, mark, run, begun, crc = FILE_HEADER.unpack(octets)
        if crc != zlib.crc32(octets[:-4]):
            raise ValueError("the header of the spool is damaged")
        if version != _VERSION or size != FILE_HEADER.size:
            raise ValueError(f"the spool has version {version}, which a later headwater can read")
        return cls(mark, run, begun)


class BlockHeader(NamedTuple):
    """The header of a block. crc: of what is behind it. told, octets: octets of these. rows: datagrams."""

    crc: int
    told: int
    rows: int
    octets: int
    has_streams: bool

    @property
    def forms(self) -> tuple[str, ...]:
        """What the numbers of each datagram are, table by table: received, start, end, peer, stream."""
        return ("<i8", "<i4", "<i4", "<i4", "<i4")[: 5 if self.has_streams else 4]

    @property
    def size(self) -> int:
        """Octets behind the header."""
        return self.told + self.rows * sum(int(form[2]) for form in self.forms) + self.octets

    def pack(self, mark: bytes) -> bytes:
        flags = _HAS_STREAMS if self.has_streams else 0
        octets = BLOCK_HEADER.pack(mark, 0, self.crc, self.told, self.rows, self.octets, flags)
        framing = zlib.crc32(octets[FRAMED:]).to_bytes(4, "little")
        return octets[:MARK] + framing + octets[MARK + 4 :]

    @classmethod
    def unpack(cls, octets: bytes | memoryview, mark: bytes) -> BlockHeader | None:
        """None if that is none of the file with that mark."""
        found, framing, crc, told, rows, size, flags = BLOCK_HEADER.unpack(octets)
        if found != mark or framing != zlib.crc32(octets[FRAMED:]) or flags & ~_HAS_STREAMS:
            return None
        if told > MOST_TOLD or rows > MOST_ROWS or size > MOST_OCTETS:
            return None
        return cls(crc, told, rows, size, bool(flags))
