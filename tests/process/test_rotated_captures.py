"""Captures of one exporter that a rotating tcpdump left behind: what one teaches holds in the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests import build as b
from tests import packets
from tests.batch.exporters import interfaces

T = b.EXPORT_TIME * 10**9
HOUR = 3600 * 10**9
TEMPLATE = b.message(b.template_set(b.template(256, (8, 4), (10, 4))))
OTHER_NAMES = b.message(b.template_set(b.template(256, (12, 4), (14, 4))), sequence=1)
DATA = b.message(b.data_set(256, b.ipv4("192.0.2.1") + b.uint(5)))
ROW = {"sourceIPv4Address": "192.0.2.1", "ingressInterface": 5}
ELSEWHERE = ("10.0.0.9", *packets.PEER[1:])


def pcap(*messages: bytes, at: int = T, peer: packets.Endpoints = packets.PEER) -> bytes:
    return packets.pcap([(at + i, packets.udp(message, peer)) for i, message in enumerate(messages)], link=packets.RAW)


def pcapng(*messages: bytes, at: int = T) -> bytes:
    head = packets.section() + packets.interface(packets.RAW, resolution=9)
    return head + b"".join(packets.enhanced(packets.udp(message), ticks=at) for message in messages)


def read(*sources: Any, **options: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(records, faults by kind)."""
    reading = hw.read(list(sources), **options)
    rows = [row for batch in reading for row in batch.rows()]
    return rows, {str(kind): count for kind, count in reading.report.faults.items()}


@pytest.mark.parametrize("second", [pcap(DATA), pcapng(DATA)], ids=["pcap", "pcapng"])
def test_a_template_of_the_first_capture_decodes_the_data_of_the_second(second: bytes) -> None:
    assert read(pcap(TEMPLATE), second) == ([ROW], {})
    assert read(pcap(TEMPLATE), packets.pcap([]), second) == ([ROW], {})


def test_the_files_of_a_directory_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, octets in (("b.pcap", pcap(DATA)), ("a.pcap", pcap(TEMPLATE)), ("c.pcap", pcap(DATA, DATA))):
        (tmp_path / name).write_bytes(octets)
    reading = hw.read(tmp_path)
    assert sum(batch.num_rows for batch in reading) == 3
    assert [source.records for source in reading.report.sources] == [0, 1, 2]


def test_data_of_the_first_capture_does_not_wait_for_a_template_of_the_second() -> None:
    rows, faults = read(pcap(DATA), pcap(TEMPLATE, DATA))
    assert rows == [ROW]
    assert faults == {"unknown_template": 1, "held_dropped": 1}


def test_a_definition_in_the_second_capture_supersedes_that_of_the_first() -> None:
    rows, faults = read(pcap(TEMPLATE), pcap(OTHER_NAMES, DATA))
    assert [list(row) for row in rows] == [["destinationIPv4Address", "egressInterface"]]
    assert faults["template_replaced"] == 1


def test_templates_hold_for_the_exporter_that_sent_them() -> None:
    rows, faults = read(pcap(TEMPLATE), pcap(DATA, peer=ELSEWHERE), pcap(DATA))
    assert rows == [ROW]
    assert faults["unknown_template"] == 1


def test_a_template_lives_on_unless_a_lifetime_is_asked_for() -> None:
    files = pcap(TEMPLATE), pcap(DATA, at=T + HOUR)
    assert read(*files) == ([ROW], {})
    rows, faults = read(*files, limits=hw.Limits(template_lifetime_s=1800.0))
    assert rows == []
    assert faults["template_expired"] == 1


def test_a_file_of_ipfix_between_two_captures_neither_takes_nor_gives() -> None:
    rows, faults = read(pcap(TEMPLATE), DATA, pcap(DATA))
    assert rows == [ROW]
    assert faults["unknown_template"] == 1


@pytest.mark.parametrize("derived", [{"join_options": True}, {"select": ["sourceIPv4Address", "ingressInterfaceName"]}])
def test_names_of_the_first_capture_are_joined_to_the_flows_of_the_second(derived: dict[str, Any]) -> None:
    rows, faults = read(pcap(TEMPLATE, interfaces((5, "eth5"), sequence=0)), pcap(DATA), options=False, **derived)
    assert [row["ingressInterfaceName"] for row in rows] == ["eth5"]
    assert faults == {}


def test_options_are_those_of_all_captures() -> None:
    reading = hw.read([pcap(interfaces((5, "eth5"))), pcap(interfaces((6, "eth6"), sequence=1))], join_options=True)
    for _ in reading:
        pass
    last = reading.report.sources[-1].options
    assert last is not None
    assert [row["values"]["interfaceName"] for row in last.tables()["interfaces"]] == ["eth5", "eth6"]
