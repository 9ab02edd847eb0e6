"""What a source is, by its first octets."""

from __future__ import annotations

import struct

import pytest

from headwater.transport.content import Content, content_of, describe_foreign
from headwater.wire.dialect import DIALECTS
from headwater.wire.legacy import MOST_RECORDS, fixed_templates
from tests import packets
from tests.transport.capturing import run

KINDS = {
    "an nfcapd file of nfdump": [bytes.fromhex("0ca502000100"), bytes.fromhex("a50c0001")],
    "raw sFlow, which is not decoded": [bytes.fromhex("0000000500000001c0000201")],
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
    assert content_of(head) is None


@pytest.mark.parametrize("head", [b"", b"\x12\x34\x56\x78", b"\0\0\0\0", b"\xe9\xe9\xe9 text in latin 1, no UTF-8"])
def test_content_that_cannot_be_told_has_no_name(head: bytes) -> None:
    assert describe_foreign(head) == ""


@pytest.mark.parametrize("head", [bytes.fromhex("0005ffff"), bytes.fromhex("00090000"), bytes.fromhex("00060001")])
def test_a_packet_with_more_records_than_fit_is_not_taken_for_netflow(head: bytes) -> None:
    assert content_of(head) is None


def test_text_that_ends_within_a_character_is_text() -> None:
    assert describe_foreign("flow ü".encode()[:-1]) == "text"


def test_ipfix_begins_with_its_version_and_one_octet_is_enough_to_hope() -> None:
    assert content_of(b"\x00\x0a\x00\x10") is Content.IPFIX
    assert content_of(b"\x00") is Content.IPFIX
    assert content_of(b"") is None


@pytest.mark.parametrize(
    "head", ["d4c3b2a102000400", "a1b2c3d400020004", "4d3cb2a102000400", "0a0d0d0a1c0000004d3c2b1a"]
)
def test_captures_are_known_by_their_magic_in_either_byte_order(head: str) -> None:
    assert content_of(bytes.fromhex(head)) is Content.CAPTURE


@pytest.mark.parametrize("version", [1, 5, 7, 8])
def test_a_full_packet_is_netflow_in_a_file_and_in_a_capture(version: int) -> None:
    record = min(template.min_length for template in fixed_templates(version).values())
    count = MOST_RECORDS[version]
    head = struct.pack("!HH", version, count) + bytes(18) + b"\1"  # the first aggregation of NetFlow v8
    packet = head.ljust(DIALECTS[version].header + count * record, b"\0")
    assert content_of(packet) is Content.NETFLOW
    assert len(run(packets.pcap([packets.udp(packet, (*packets.PEER[:3], 12345))], link=packets.RAW)).datagrams) == 1
    more = struct.pack("!HH", version, count + 1) + packet[4:] + bytes(record)
    assert content_of(more) is None
    assert run(packets.pcap([packets.udp(more, (*packets.PEER[:3], 12345))], link=packets.RAW)).datagrams == []


@pytest.mark.parametrize("head", ["0005001e00000001", "00090007000186a0", "0001001800000001", "0007001b00000001"])
def test_netflow_packets_begin_with_a_version_and_a_count_that_fits(head: str) -> None:
    assert content_of(bytes.fromhex(head)) is Content.NETFLOW
