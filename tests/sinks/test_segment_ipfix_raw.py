"""IPFIX as received: the octets of each exporter, in files that can be read alone."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.session.key import SessionKey, Transport
from headwater.sinks.known_templates import KnownTemplates
from headwater.sinks.segment_ipfix_raw import RawIpfixSegments
from headwater.sinks.targets import sink_of
from tests import build as b
from tests.transport.spools import EXPORTER, LOCAL, OTHER, UDP, block

NOW = float(b.EXPORT_TIME)
TEMPLATE = b.message(b.template_set(b.template(256, (8, 4), (10, 4))))
ENTERPRISE = b.template(300, (1, 4, 29305), (8, 4), (0x7FFF, b.VARIABLE))
OPTIONS = b.options_template(400, (10, 4), (82, b.VARIABLE))


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def data(sequence: int, records: int = 1, **options: Any) -> bytes:
    record = b.ipv4("192.0.2.1") + b.uint(5)
    return b.message(b.data_set(256, *[record] * records), sequence=sequence, **options)


def files(folder: Path) -> dict[str, list[bytes]]:
    """Contents by folder."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(folder.rglob("*.ipfix")):
        found.setdefault(path.parent.name, []).append(path.read_bytes())
    return found


def read(octets: bytes) -> tuple[int, dict[str, int], int]:
    """Records, faults, and what is lost."""
    reading = hw.read(octets)
    records = sum(batch.num_rows for batch in reading)
    return records, {str(kind): count for kind, count in reading.report.faults.items()}, reading.report.lost


def opened(folder: Path, clock: Clock, **options: Any) -> RawIpfixSegments:
    sink = RawIpfixSegments(folder, now=clock, **options)
    assert sink.open() == []
    return sink


def test_the_messages_of_each_exporter_are_stored_octet_for_octet(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock)
    mine, others = b.flows(200), b.flows(100, seed=2)
    both = [message for pair in zip(mine, others, strict=False) for message in pair]
    assert sink.write_block(block(*both, keys=[EXPORTER, OTHER] * (len(both) // 2)), *UDP) == len(both)
    rest = mine[len(others) :]
    assert sink.write_block(block(*rest), *UDP) == len(rest)
    sink.close()
    assert files(tmp_path) == {"192.0.2.1_50001": [b"".join(mine)], "2001-db8--1_50002": [b"".join(others)]}
    counters = sink.counters
    assert counters.records == counters.records_written == len(mine) + len(others)
    assert (counters.segments, counters.octets) == (2, len(b"".join(mine + others)))


def test_a_later_segment_begins_with_the_templates_and_has_no_gap(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock, rotate=60)
    sink.write_block(block(TEMPLATE, data(0, 3), data(3)), *UDP)
    clock.now += 60
    sink.write_block(block(data(4), data(5, domain=1)), *UDP)
    clock.now += 60
    sink.tick(clock.now)
    sink.write_block(block(data(6)), *UDP)
    sink.close()
    (first, second, third) = files(tmp_path)["192.0.2.1_50001"]
    assert first == TEMPLATE + data(0, 3) + data(3)
    assert second.endswith(data(4) + data(5))
    assert third.endswith(data(6))
    assert [read(octets) for octets in (first, second, third)] == [(4, {}, 0), (2, {}, 0), (1, {}, 0)]


def test_templates_of_all_kinds_and_domains_are_written_again_as_they_stood(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock, rotate=60)
    sets = b.template_set(ENTERPRISE, b.template(256, (8, 4)), padding=2), b.options_template_set(OPTIONS)
    sink.write_block(block(b.message(*sets, domain=7), TEMPLATE), *UDP)
    clock.now += 60
    sink.write_block(block(b.message(b.data_set(256, bytes(8)), domain=7, sequence=9), data(0), data(1)), *UDP)
    sink.close()
    second = files(tmp_path)["192.0.2.1_50001"][1]
    assert second == (
        b.message(b.template_set(ENTERPRISE, b.template(256, (8, 4))), domain=7, sequence=9)
        + b.message(b.options_template_set(OPTIONS), domain=7, sequence=9)
        + b.message(b.data_set(256, bytes(8)), domain=7, sequence=9)
        + TEMPLATE
        + data(0)
        + data(1)
    )


def test_a_template_that_was_withdrawn_or_replaced_is_not_written_again() -> None:
    known = KnownTemplates()

    def learn(*records: bytes, set_id: int = 2) -> bytes:
        known.learn(1, set_id, b"".join(records))
        return known.messages(1, b.EXPORT_TIME, 0)

    one, other = b.template(256, (8, 4)), b.template(256, (12, 4))
    assert learn(one) == b.message(b.template_set(one))
    assert learn(other) == b.message(b.template_set(other))
    assert learn(one) == b.message(b.template_set(one))
    assert learn(b.withdrawal(256)) == b""
    assert learn(one) == b.message(b.template_set(one))
    assert learn(OPTIONS, set_id=3) == b.message(b.template_set(one)) + b.message(b.options_template_set(OPTIONS))
    assert learn(b.withdrawal(2)) == b.message(b.options_template_set(OPTIONS))
    assert learn(b.withdrawal(3), set_id=3) == b""
    known.learn(1, 2, b"\x01\x00\x00\x09")
    assert known.messages(1, 0, 0) == b""


def test_very_many_templates_become_several_messages_and_then_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.sinks.known_templates._MOST_OCTETS", 1 << 18)
    known = KnownTemplates()
    for id in range(256, 1256):
        known.learn(1, 2, b.template(id, *[(8, 4)] * 80))
    assert known.left_out > 0
    assert known.octets <= (1 << 18) + 32 * 2048
    octets = known.messages(1, b.EXPORT_TIME, 0)
    assert len(octets) > 1 << 17
    reading = hw.read(octets, limits=hw.Limits(templates=1 << 16))
    assert list(reading) == []
    assert dict(reading.report.faults) == {}
    assert len(reading.report.sources[0].templates) > 500


def test_a_connection_that_ended_takes_its_templates_along(tmp_path: Path, clock: Clock) -> None:
    lane = Transport.TCP, LOCAL
    sink = opened(tmp_path, clock)
    sink.write_block(block(TEMPLATE + data(0), ended=[EXPORTER]), *lane)
    sink.write_block(block(TEMPLATE + data(0) + data(1)), *lane)
    sink.close()
    assert files(tmp_path)["192.0.2.1_50001"] == [TEMPLATE + data(0), TEMPLATE + data(0) + data(1)]
    assert sink.counters.records == 5


def test_what_is_no_ipfix_is_counted_and_told_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sink = opened(tmp_path, clock)
    netflow = b.netflow5(b.netflow5_record("192.0.2.3", "192.0.2.4"))
    with caplog.at_level(logging.WARNING, "headwater.collector"):
        for _ in range(2):
            sink.write_block(block(netflow, TEMPLATE, b"\0\7nonsense" * 4, data(0)[:-1], b"", data(0)), *UDP)
    assert len(caplog.records) == 1
    sink.close()
    assert files(tmp_path)["192.0.2.1_50001"] == [(TEMPLATE + data(0)) * 2]
    assert sink.counters.others == {"not_ipfix": 4, "malformed": 4, "templates_left_out": 0}
    assert sink.counters.records == 4


def test_files_that_are_open_are_bounded(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.sinks.segment_ipfix_raw._MOST_OPEN", 3)
    sink = opened(tmp_path, clock)
    keys = [SessionKey(f"192.0.2.{i}", 1) for i in range(10)]
    for _ in range(2):
        sink.write_block(block(*[TEMPLATE, data(0)] * 10, keys=[key for key in keys for _ in range(2)]), *UDP)
        assert sink.files_open == 3
    sink.close()
    found = files(tmp_path)
    assert len(found) == 10
    assert sum(len(b"".join(parts)) for parts in found.values()) >= 20 * len(TEMPLATE + data(0))
    assert all(read(octets)[1:] == ({}, 0) for parts in found.values() for octets in parts)
    assert sink.counters.records_written == 40


def test_a_hundred_exporters_have_a_file_each(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock)
    keys = [SessionKey("192.0.2.1", 1000 + i) for i in range(100)]
    sink.write_block(block(*[TEMPLATE] * 100, keys=keys), *UDP)
    sink.write_block(block(*[data(0)] * 100, keys=keys), *UDP)
    sink.close()
    assert set(map(tuple, files(tmp_path).values())) == {(TEMPLATE + data(0),)}
    assert sink.counters.segments == 100


def test_a_large_file_ends(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock, rotate_size=50)
    for i in range(4):
        sink.write_block(block(TEMPLATE, data(i)), *UDP)
    sink.close()
    assert len(files(tmp_path)["192.0.2.1_50001"]) == 4


def test_a_full_disk_costs_nothing(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(tmp_path, clock)
    real, is_full = os.pwritev, True

    def pwritev(handle: int, pieces: Any, at: int) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, pieces, at)

    monkeypatch.setattr(os, "pwritev", pwritev)
    with pytest.raises(OSError, match="No space"):
        sink.write_block(block(TEMPLATE, data(0), keys=[EXPORTER, OTHER]), *UDP)
    with pytest.raises(OSError, match="No space"):
        sink.retry()
    assert sink.counters.errors == 2
    assert sink.records_waiting == 2
    is_full = False
    sink.retry()
    sink.close()
    assert files(tmp_path) == {"192.0.2.1_50001": [TEMPLATE], "2001-db8--1_50002": [data(0)]}
    assert (sink.counters.records, sink.counters.records_written, sink.records_waiting) == (2, 2, 0)


def test_what_is_given_up_is_counted_as_lost(tmp_path: Path, clock: Clock) -> None:
    sink = opened(tmp_path, clock)
    sink.write_block(block(TEMPLATE, data(0)), *UDP)
    sink.abandon()
    assert (sink.counters.records, sink.counters.records_lost) == (2, 2)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".torn"]
    part = tmp_path / "192.0.2.1_50001" / ".20260101T000000Z-0-000001.ipfix.part"
    part.write_bytes(TEMPLATE)
    (told,) = RawIpfixSegments(tmp_path).open()
    assert "was cut off" in told


def test_the_target_makes_one(tmp_path: Path) -> None:
    sink = sink_of(f"ipfix-raw:{tmp_path}/?rotate=1m")
    assert isinstance(sink, RawIpfixSegments)


def test_ports_without_end_do_not_make_files_without_end(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.sinks.segment_ipfix_raw._MOST_FILES", 3)
    monkeypatch.setattr("headwater.sinks.segment_ipfix_raw._MOST_OPEN", 2)
    sink = opened(tmp_path, clock, rotate=60)
    keys = [SessionKey("192.0.2.1", port, *LOCAL) for port in range(1, 6)]
    sink.write_block(block(*[TEMPLATE] * 5, keys=keys), *UDP)
    sink.write_block(block(data(0), data(1), keys=[keys[2], keys[0]]), *UDP)  # one has a file, the other's has ended
    assert sink.counters.last_error.startswith("3 files have begun since the last rotation, with 2 open at once")
    clock.now += 60
    sink.write_block(block(TEMPLATE, keys=keys[4:]), *UDP)
    sink.close()
    found = files(tmp_path)
    assert {name: len(octets) for name, octets in found.items()} == {f"192.0.2.1_{port}": 1 for port in (1, 2, 3, 5)}
    assert found["192.0.2.1_3"] == [TEMPLATE + data(0)]
    counters = sink.counters
    assert (counters.records, counters.records_written, counters.records_lost, counters.errors) == (8, 5, 3, 1)


def test_files_that_are_full_may_be_without_end(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.sinks.segment_ipfix_raw._MOST_FILES", 1)
    sink = opened(tmp_path, clock, rotate_size=1)
    for _ in range(5):
        sink.write_block(block(TEMPLATE), *UDP)
    sink.close()
    assert (sink.counters.segments, sink.counters.records_lost) == (5, 0)


def test_files_that_were_asked_to_end_may_be_without_end(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.sinks.segment_ipfix_raw._MOST_FILES", 1)
    sink = opened(tmp_path, clock)
    for _ in range(5):
        sink.write_block(block(TEMPLATE), *UDP)
        sink.flush()
    assert (sink.counters.segments, sink.counters.records_lost) == (5, 0)
