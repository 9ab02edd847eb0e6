"""Files of NetFlow datagrams one after the other: where one ends and the next begins."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

import headwater as hw
from headwater.session import Datagrams
from headwater.transport.datagram_file import DatagramFile
from headwater.transport.raw import RawStream
from headwater.transport.windows import MappedWindows, StreamWindows
from headwater.wire.legacy import fixed_templates
from tests import build as b

PACKETS = (
    b.netflow9(b.netflow9_template(256, (8, 4), (1, 4)), b.any_set(256, b.uint(0x0A000001, 4) + b.uint(7, 4)), count=2),
    b.netflow5(b.netflow5_record("192.0.2.1", "192.0.2.2")),
    b.netflow9(b.any_set(256, b.uint(0x0A000002, 4) + b.uint(8, 4)), sequence=1),
    b.message(b.template_set(b.template(300, (8, 4)))),
    b.netflow9(b.any_set(256, b.uint(0x0A000003, 4) + b.uint(9, 4)), sequence=2),
)


def payloads(found: list[Datagrams]) -> list[bytes]:
    return [
        part.buffer[start:end].tobytes()
        for part in found
        for start, end in zip(part.start.tolist(), part.end.tolist(), strict=True)
    ]


@pytest.mark.parametrize("window", [16, 100, 1 << 20])
def test_packets_of_all_versions_are_told_apart_however_the_file_is_cut(window: int) -> None:
    octets = b"".join(PACKETS)
    raw = RawStream(io.BytesIO(octets), "dump", owned=True)
    for windows in (MappedWindows(memoryview(octets), window=window), StreamWindows(raw, raw, window=window)):
        file = DatagramFile(windows)
        found = [part for part in file if isinstance(part, Datagrams)]
        assert payloads(found) == list(PACKETS)
        offsets = np.concatenate([part.offset for part in found]).tolist()
        assert offsets == [sum(map(len, PACKETS[:i])) for i in range(len(PACKETS))]
        assert file.offset == len(octets)


@pytest.mark.parametrize("packet", [PACKETS[1], PACKETS[3]], ids=["NetFlow v5", "IPFIX"])
def test_a_packet_whose_header_tells_its_length_waits_for_nothing(packet: bytes) -> None:
    file = DatagramFile(MappedWindows(memoryview(packet + PACKETS[1]), window=len(packet)))
    assert payloads([next(part for part in file if isinstance(part, Datagrams))]) == [packet]


@pytest.mark.parametrize(
    "damage",
    [b"\xff" * 200_000, b"\x00\x09" + bytes(19) + b"\xff" * 200_000, b"\x00\x08\x00\x01" + b"\xff" * 200_000],
    ids=["no version", "FlowSets of NetFlow v9", "an aggregation of NetFlow v8"],
)
def test_what_cannot_be_told_apart_comes_in_pieces_no_longer_than_a_datagram(damage: bytes) -> None:
    octets = PACKETS[1] + damage
    for window in (1000, 8 << 20):
        file = DatagramFile(MappedWindows(memoryview(octets), window=window))
        found = payloads([part for part in file if isinstance(part, Datagrams)])
        assert found[0] == PACKETS[1]
        assert b"".join(found) == octets
        assert max(map(len, found)) <= 65507


@pytest.mark.parametrize("count", [0, 3, 65535])
def test_a_count_that_the_octets_do_not_bear_out_loses_no_octets(count: int) -> None:
    octets = bytearray(PACKETS[1] + PACKETS[3])
    octets[2:4] = count.to_bytes(2)
    found = [part for part in DatagramFile(MappedWindows(memoryview(octets))) if isinstance(part, Datagrams)]
    assert b"".join(payloads(found)) == octets


def test_padding_behind_the_last_flowset_stays_with_its_packet() -> None:
    padded = [PACKETS[0] + bytes(8), PACKETS[2] + bytes(3), PACKETS[4]]
    found = [part for part in DatagramFile(MappedWindows(memoryview(b"".join(padded)))) if isinstance(part, Datagrams)]
    assert payloads(found) == padded


def test_aggregations_of_netflow8_have_records_of_their_own_length() -> None:
    packets = []
    for aggregation, template in sorted(fixed_templates(8).items()):
        head = struct.pack("!HHIIIIBBBBI", 8, 2, 1000, b.EXPORT_TIME, 0, 0, 0, 0, aggregation - 128, 2, 0)
        packets.append(head + bytes(2 * template.min_length))
    found = [part for part in DatagramFile(MappedWindows(memoryview(b"".join(packets)))) if isinstance(part, Datagrams)]
    assert payloads(found) == packets


def test_a_dump_is_read_as_one_exporter() -> None:
    reading = hw.read(b"".join(PACKETS), select=["sourceIPv4Address"])
    assert sum(batch.num_rows for batch in reading) == 4
    assert reading.report.sources[0].content == "netflow"
    assert reading.report.messages == 5


@pytest.mark.parametrize("cut", range(1, len(PACKETS[0])))
def test_a_dump_that_is_cut_short_ends_without_an_exception(cut: int) -> None:
    reading = hw.read(PACKETS[1] + PACKETS[0][:cut])
    assert sum(batch.num_rows for batch in reading) >= 1
    assert reading.report.octets == len(PACKETS[1]) + cut
