"""What a file is, by its first octets; names do not matter."""

from __future__ import annotations

from enum import StrEnum

from headwater.errors import SourceError
from headwater.transport.capture.framing import is_capture
from headwater.wire.legacy import MOST_RECORDS
from headwater.wire.spool import SPOOL_MAGIC


class Content(StrEnum):
    """What is read. capture: pcap or pcapng. netflow: datagrams of NetFlow one after the other.

    spool: what a Collecting Process received, with its arrival.
    """

    IPFIX = "ipfix"
    CAPTURE = "capture"
    NETFLOW = "netflow"
    SPOOL = "spool"


IPFIX_MAGIC = b"\x00\x0a"
"""The first octets of an IPFIX file: the version of its first Message (RFC 5655 §10)."""

HEAD = 512
"""Octets that `describe_foreign` wants to see, where there are as many."""

_MAGICS = (
    (b"\x0c\xa5", "an nfcapd file of nfdump"),
    (b"\xa5\x0c", "an nfcapd file of nfdump"),
    (b"\xde\xad\xbe\xef", "a SiLK file"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow IPC file"),
    (b"FEA1", "a Feather file"),
    (b"\xff\xff\xff\xff", "an Arrow IPC stream"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"\x04\x22\x4d\x18", "lz4 data"),
    (b"\x1f\x9d", "data of Unix compress; unpack it first"),
    (b"LZIP", "lzip data; unpack it first"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy data; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
    (b"\x00\x00\x00\x05\x00\x00\x00", "raw sFlow, which is not decoded"),
)
_MOST_COUNTED = {**MOST_RECORDS, 9: 1000}
"""NetFlow version: a larger count than this means that the content is something else."""

_IN_JSON_ARRAYS = tuple(bytes([octet]) for octet in b'{["]-0123456789')
"""What may follow a bracket; names in brackets begin sections of configuration files."""


class ForeignContent(SourceError):
    """A source that can be read but holds something else than flow export; a search in a directory skips it."""


def content_of(head: bytes) -> Content | None:
    """What content is, by its first octets; None if it is nothing that is read. One octet is enough to hope."""
    if head and IPFIX_MAGIC.startswith(head[:2]):
        return Content.IPFIX
    if is_capture(head):
        return Content.CAPTURE
    if head.startswith(SPOOL_MAGIC):
        return Content.SPOOL
    version, count = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
    return Content.NETFLOW if 0 < count <= _MOST_COUNTED.get(version, 0) else None


def describe_foreign(head: bytes) -> str:
    """What content that is no flow export looks like, to follow "is"; empty where it cannot be told.

    head: its first octets, up to HEAD of them.
    """
    for magic, what in _MAGICS:
        if head.startswith(magic):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    return _describe_text(head)


def _describe_text(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or any(octet < 9 or 13 < octet < 32 for octet in text) or not _is_utf8(text):
        return ""
    if text[:1] == b"{" or (text[:1] == b"[" and text[1:].lstrip()[:1] in _IN_JSON_ARRAYS):
        return "JSON"
    if text[:1] == b"<":
        return "XML or HTML"
    line = text.split(b"\n", 1)[0]
    for separator, name in ((b",", "CSV"), (b"\t", "tab-separated text"), (b";", "CSV")):
        if line.count(separator) >= 2:
            return name
    return "text"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError as bad:
        return bad.start > len(text) - 4  # the head may end within a character
    return True
