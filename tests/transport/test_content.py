"""What a source is, by its first octets."""

from __future__ import annotations

import pytest

from headwater.transport.content import describe_foreign, is_ipfix

KINDS = {
    "a packet capture (pcap); packet captures are not readable yet": [
        bytes.fromhex("d4c3b2a1020004000000000000000000"),
        bytes.fromhex("a1b2c3d4000200040000000000000000"),
        bytes.fromhex("4d3cb2a1020004000000000000000000"),
    ],
    "a packet capture (pcapng); packet captures are not readable yet": [bytes.fromhex("0a0d0d0a1c0000004d3c2b1a")],
    "an nfcapd file of nfdump": [bytes.fromhex("0ca502000100"), bytes.fromhex("a50c0001")],
    "raw NetFlow v5, which is not readable yet": [bytes.fromhex("0005001e00000001")],
    "raw NetFlow v9, which is not readable yet": [bytes.fromhex("00090007000186a0")],
    "raw sFlow, which is not readable yet": [bytes.fromhex("0000000500000001c0000201")],
    "JSON": [b'{"a": 1}', b' [{"a": 1}]', b"\xef\xbb\xbf[]"],
    "CSV": [b"src,dst,octets\n", b"a;b;c"],
    "tab-separated text": [b"src\tdst\toctets\n"],
    "XML or HTML": [b"<?xml version='1.0'?>", b"<!doctype html>"],
    "text": [b"[section]\nname = 1\n", "Übertragung\n".encode(), b"hello"],
    "a Parquet file": [b"PAR1\x15\x04"],
    "an Arrow IPC file": [b"ARROW1\0\0"],
    "an Arrow IPC stream": [b"\xff\xff\xff\xff\x10\x01\0\0"],
    "an SQLite database": [b"SQLite format 3\0"],
    "a zip archive; unpack it first": [b"PK\x03\x04\x14\0"],
    "a tar archive; unpack it first": [b"flows.ipfix".ljust(257, b"\0") + b"ustar\x0000"],
    "gzip data": [b"\x1f\x8b\x08\0"],
}


@pytest.mark.parametrize(("what", "head"), [(what, head) for what, heads in KINDS.items() for head in heads])
def test_content_is_called_by_its_name(what: str, head: bytes) -> None:
    assert describe_foreign(head) == what
    assert not is_ipfix(head)


@pytest.mark.parametrize("head", [b"", b"\x12\x34\x56\x78", b"\0\0\0\0", b"\xe9\xe9\xe9 text in latin 1, no UTF-8"])
def test_content_that_cannot_be_told_has_no_name(head: bytes) -> None:
    assert describe_foreign(head) == ""


@pytest.mark.parametrize("head", [bytes.fromhex("0005ffff"), bytes.fromhex("00090000"), bytes.fromhex("00060001")])
def test_a_packet_with_more_records_than_fit_is_not_called_netflow(head: bytes) -> None:
    assert "NetFlow" not in describe_foreign(head)


def test_text_that_ends_within_a_character_is_text() -> None:
    assert describe_foreign("flow ü".encode()[:-1]) == "text"


def test_ipfix_begins_with_its_version_and_one_octet_is_enough_to_hope() -> None:
    assert is_ipfix(b"\x00\x0a\x00\x10")
    assert is_ipfix(b"\x00")
    assert not is_ipfix(b"")
    assert not is_ipfix(b"\x00\x09")
