"""Files of NetFlow datagrams one after the other: where one ends and the next begins."""

from __future__ import annotations

import io

import numpy as np
import pytest

import headwater as hw
from headwater.session import Datagrams
from headwater.transport.datagram_file import DatagramFile
from headwater.transport.raw import RawStream
from headwater.transport.windows import MappedWindows, StreamWindows
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
