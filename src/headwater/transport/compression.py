"""Compressed streams by content: decompressed a bounded piece at a time, whatever the octets claim."""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from headwater.errors import Fault, FaultKind, SourceError

if TYPE_CHECKING:
    from headwater.transport.raw import RawStream

_INPUT = 1 << 16
_OUTPUT = 1 << 18  # octets asked of a decoder at a time: the bound on what a bomb can make it give
_XZ_MEMORY = 256 << 20  # xz -9 needs 65 MiB; a header may claim 4 GiB
_MAGIC = 6  # octets of the longest magic
_ZSTD_BLOCK = 1 << 17
_RLE = 1  # a block type of zstd
_SKIPPABLE = tuple(bytes([octet, 0x2A, 0x4D, 0x18]) for octet in range(0x50, 0x60))  # RFC 8878 §3.1.2


class Decoder(Protocol):
    """One member (stream, frame) of a compressed file, in the shape that bz2 and lzma have in the standard library."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether another call without data would give nothing."""

    @property
    def unused_data(self) -> bytes | None:
        """Octets after the end of the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decompressed octets: at most `max_length`, or for zstd at most a block (128 KiB) more; -1 = no bound."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression format. magics: how its members begin. error: what its decoder raises on damaged data."""

    name: str
    magics: tuple[bytes, ...]
    open: Callable[[], Decoder]
    error: type[Exception]

    def begins(self, head: bytes) -> bool:
        """Whether a member begins with `head`."""
        return head.startswith(self.magics)


def codec_of(head: bytes, name: str) -> Codec | None:
    """The format that `head` begins, or None. name: of the source.

    Raises SourceError if the library for it is not installed.
    """
    for magics, load in _FORMATS:
        if head.startswith(magics):
            return load(magics, name)
    return None


class Decompressed:
    """What a compressed stream holds, member after member; a stream that is damaged or cut short ends early.

    Everything before the fault is given, and `faults` says what was wrong. Offsets count decompressed octets.
    """

    def __init__(self, codec: Codec, raw: RawStream) -> None:
        self.faults: list[Fault] = []
        self._codec, self._raw = codec, raw
        self._decoder: Decoder | None = None
        self._pending = b""
        self._given = 0
        self._member_start = self._member_given = self._piece_start = 0
        self._spill = memoryview(b"")
        self._is_done = False
        self._is_first = True

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view`; how many octets, 0 at the end."""
        if not self._spill:
            self._spill = memoryview(self._decompress())
        count = min(len(view), len(self._spill))
        view[:count] = self._spill[:count]
        self._spill = self._spill[count:]
        return count

    def _decompress(self) -> bytes:
        while not self._is_done:
            if self._decoder is None and not self._begin_member():
                break
            decoder = self._decoder
            assert decoder is not None
            piece = b""
            if decoder.needs_input:
                piece = self._take()
                if not piece:
                    self._end(FaultKind.TRUNCATED_TAIL, f"the {self._codec.name} data is cut short")
                    break
            try:
                out = decoder.decompress(piece, _OUTPUT)
            except self._codec.error as bad:
                out = self._recover()
                self._given += len(out)
                why = str(bad).rstrip(".")
                self._end(FaultKind.FRAMING_LOST, f"the {self._codec.name} data is damaged ({why}) and ends here")
                return out
            self._given += len(out)
            self._member_given += len(out)
            if decoder.eof:
                self._pending, self._decoder = decoder.unused_data or b"", None
            if out:
                return out
        return b""

    def _take(self) -> bytes:
        """Compressed octets, next in line."""
        self._piece_start = self._raw.position - len(self._pending)
        piece, self._pending = self._pending or self._raw.read(_INPUT), b""
        return piece

    def _begin_member(self) -> bool:
        """Open the next member; False at the end, where what is left over is reported."""
        zeros = 0
        while True:
            while len(self._pending) < _MAGIC and (piece := self._raw.read(_INPUT)):
                self._pending += piece
            if self._is_first or not self._pending.startswith(b"\0"):
                break
            stripped = self._pending.lstrip(b"\0")
            zeros += len(self._pending) - len(stripped)
            self._pending = stripped
        is_member = self._is_first or self._codec.begins(self._pending)
        self._is_first = False
        garbage = 0 if is_member else self._drain()
        if garbage:
            detail = f"{zeros + garbage} octets after the last member are not {self._codec.name} data"
            self._end(FaultKind.TRAILING_GARBAGE, detail, zeros + garbage)
        elif zeros and not (self._codec.name == "xz" and zeros % 4 == 0):  # xz pads to a multiple of four
            where = "between" if is_member else "after"
            detail = f"{zeros} zero octets {where} the {self._codec.name} members"
            self.faults.append(Fault(FaultKind.TRAILING_GARBAGE, self._given, detail=detail, count=zeros))
        self._is_done = not is_member
        if is_member:
            self._member_start, self._member_given = self._raw.position - len(self._pending), 0
            self._decoder = self._codec.open()
        return is_member

    def _drain(self) -> int:
        count = len(self._pending)
        self._pending = b""
        while piece := self._raw.read(_INPUT):
            count += len(piece)
        return count

    def _end(self, kind: FaultKind, detail: str, count: int = 1) -> None:
        self.faults.append(Fault(kind, self._given, detail=detail, count=count))
        self._is_done = True

    def _recover(self) -> bytes:
        """Octets that the decoder had made when it failed: libraries drop them, so decode the member once more.

        The piece that held the damage goes in octet by octet. Without a way back (pipes) they are lost.
        """
        if not self._raw.is_seekable:
            return b""
        self._raw.seek(self._member_start)
        decoder, out, made = self._codec.open(), bytearray(), 0
        try:
            while not decoder.eof:
                left = self._piece_start - self._raw.position
                piece = b""
                if decoder.needs_input:
                    piece = self._raw.read(min(left, _INPUT) if left > 0 else 1)
                    if not piece:
                        break
                octets = decoder.decompress(piece, _OUTPUT)
                out += octets[max(self._member_given - made, 0) :]
                made += len(octets)
        except self._codec.error:
            pass  # the same damage again
        return bytes(out)


class _Gzip:
    """One gzip member (RFC 1952)."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _ZstdFrame:
    """One frame for the `zstandard` package, which has no bound on output: fed block by block (RFC 8878 §3.1.1).

    A block gives at most 128 KiB.
    """

    def __init__(self, library: Any) -> None:  # a module without types
        self._inner = library.ZstdDecompressor().decompressobj()
        self._buf = b""
        self._at = 0
        self._is_in_blocks = self._has_checksum = self._is_ending = False
        self._skip = 0

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return self._part() == 0

    @property
    def unused_data(self) -> bytes:
        return self._buf[self._at :]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._buf, self._at = self._buf[self._at :] + data, 0
        out = bytearray()
        while not self.eof and not 0 <= max_length <= len(out) and (part := self._part()):
            octets = self._buf[self._at : self._at + part]
            self._at += part
            self._passed(octets)
            out += self._inner.decompress(octets)
        return bytes(out)

    def _part(self) -> int:
        """Octets of the next frame header or block, 0 if it is not whole yet."""
        left = len(self._buf) - self._at
        if self._skip:
            return min(self._skip, left)
        head = self._buf[self._at : self._at + 8]
        if not self._is_in_blocks:
            size = 8 if head.startswith(_SKIPPABLE) else 5 + _zstd_header(head[4]) if left > 4 else 5
        elif self._is_ending:  # the checksum by itself: if it is wrong, the library drops what it was given with it
            size = 4
        elif left < 3:
            return 0
        else:
            _, kind, length = _zstd_block(head)
            size = 3 + (1 if kind == _RLE else length)
        return size if size <= left else 0

    def _passed(self, octets: bytes) -> None:
        if self._skip:
            self._skip -= len(octets)
        elif self._is_in_blocks:
            self._is_ending = _zstd_block(octets)[0] and self._has_checksum
        elif octets.startswith(_SKIPPABLE):
            self._skip = int.from_bytes(octets[4:8], "little")
        else:
            self._is_in_blocks = True
            self._has_checksum = bool(octets[4] & 4)


def _zstd_header(descriptor: int) -> int:
    """Octets of a frame header after its descriptor (§3.1.1.1)."""
    is_single = descriptor >> 5 & 1
    content = (is_single, 2, 4, 8)[descriptor >> 6]
    return (1 - is_single) + (0, 1, 2, 4)[descriptor & 3] + content


def _zstd_block(header: bytes) -> tuple[bool, int, int]:
    """(is last, type, size) of a block (§3.1.1.2); a larger one is an error that the library reports."""
    word = int.from_bytes(header[:3], "little")
    return bool(word & 1), word >> 1 & 3, min(word >> 3, _ZSTD_BLOCK)


def _load_gzip(magics: tuple[bytes, ...], _: str) -> Codec:
    return Codec("gzip", magics, _Gzip, zlib.error)


def _load_bzip2(magics: tuple[bytes, ...], _: str) -> Codec:
    return Codec("bzip2", magics, bz2.BZ2Decompressor, OSError)


def _load_xz(magics: tuple[bytes, ...], _: str) -> Codec:
    return Codec("xz", magics, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY), lzma.LZMAError)


def _load_zstd(magics: tuple[bytes, ...], name: str) -> Codec:
    try:
        native = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError:
        library = _library("zstandard", "zstd", name)
        return Codec("zstd", magics, lambda: _ZstdFrame(library), library.ZstdError)
    return Codec("zstd", magics, native.ZstdDecompressor, native.ZstdError)


def _load_lz4(magics: tuple[bytes, ...], name: str) -> Codec:
    return Codec("lz4", magics, _library("lz4.frame", "lz4", name).LZ4FrameDecompressor, RuntimeError)


def _library(module: str, what: str, name: str) -> Any:  # a module
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        message = f"{name} is {what} data, and reading it needs {package}: pip install 'headwater[compression]'"
        raise SourceError(message, source=name) from None


_FORMATS: tuple[tuple[tuple[bytes, ...], Callable[[tuple[bytes, ...], str], Codec]], ...] = (
    ((b"\x1f\x8b",), _load_gzip),
    ((b"BZh",), _load_bzip2),
    ((b"\xfd7zXZ\0",), _load_xz),
    ((b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _load_zstd),  # a file that begins with a skippable frame is more often zstd
    ((b"\x04\x22\x4d\x18", *_SKIPPABLE), _load_lz4),
)
