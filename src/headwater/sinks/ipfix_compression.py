"""Compression of IPFIX files (RFC 5655 §10.1): gzip and bzip2 of the standard; xz, zstd and lz4 are our extension."""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from headwater.errors import HeadwaterError

SUFFIXES: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".lz4": "lz4"}
"""Compression by the end of a file's name."""

NO_COMPRESSION: Final = "none"


class Compressor(Protocol):
    """One member (stream, frame) of a compressed file; members may follow each other."""

    def compress(self, octets: bytes | memoryview, /) -> bytes:
        """Take octets; what has become of them and others before so far."""

    def flush(self) -> bytes:
        """The rest, with the end of the member."""


def compression_of(name: str, compression: str | None) -> str:
    """The compression of a file: what is asked for, or None = what its name says.

    Raises HeadwaterError for a compression that does not exist.
    """
    if compression is None:
        return next((kind for suffix, kind in SUFFIXES.items() if name.lower().endswith(suffix)), NO_COMPRESSION)
    known = (*SUFFIXES.values(), NO_COMPRESSION)
    if compression not in known:
        raise HeadwaterError(f"compression must be one of {', '.join(known)}, or None, not {compression!r}")
    return compression


def compressor(compression: str) -> Callable[[], Compressor] | None:
    """What makes the members of a file, None without compression.

    Raises HeadwaterError if the library for it is not installed.
    """
    return None if compression == NO_COMPRESSION else _MAKERS[compression]()


class _Lz4Frame:
    """One lz4 frame, whose header goes out with the first octets."""

    def __init__(self, library: Any) -> None:  # a module without types
        self._inner = library.LZ4FrameCompressor(content_checksum=True)
        self._head: bytes = self._inner.begin()

    def compress(self, octets: bytes | memoryview, /) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._inner.compress(octets))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._inner.flush())


def _gzip() -> Callable[[], Compressor]:
    return lambda: zlib.compressobj(wbits=16 + zlib.MAX_WBITS)


def _bzip2() -> Callable[[], Compressor]:
    return bz2.BZ2Compressor


def _xz() -> Callable[[], Compressor]:
    return lzma.LZMACompressor


def _zstd() -> Callable[[], Compressor]:
    try:
        native = importlib.import_module("compression.zstd")  # Python 3.14
    except ImportError:
        library = _library("zstandard", "zstd")
        return lambda: library.ZstdCompressor(write_checksum=True).compressobj()
    checked = {native.CompressionParameter.checksum_flag: 1}
    return lambda: native.ZstdCompressor(options=checked)


def _lz4() -> Callable[[], Compressor]:
    library = _library("lz4.frame", "lz4")
    return lambda: _Lz4Frame(library)


_MAKERS: Final = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz, "zstd": _zstd, "lz4": _lz4}


def _library(module: str, what: str) -> Any:  # a module
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        message = f"writing {what} needs {package}: pip install 'headwater[compression]'"
        raise HeadwaterError(message) from None
