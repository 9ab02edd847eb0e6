"""The raw spool as a sink: what was received can be read later, and nothing is lost but what is counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.session.key import Transport
from headwater.sinks.spool import SpoolSink
from headwater.sinks.targets import sink_of
from tests import build as b
from tests.transport.spools import EXPORTER, LOCAL, OTHER, UDP, block

MESSAGES = b.flows(300)


class Clock:
    now = float(b.EXPORT_TIME)

    def __call__(self) -> float:
        return self.now


def opened(folder: Path, **options: Any) -> SpoolSink:
    sink = SpoolSink(folder, **{"now": Clock(), **options})
    assert sink.open() == []
    return sink


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.hwspool*") if not path.name.startswith("."))


def records(source: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in hw.read(source) for row in batch.rows(addresses="raw")]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_was_received_is_read_again(tmp_path: Path, compression: str) -> None:
    sink = opened(tmp_path, compression=compression)
    for begin in range(0, len(MESSAGES), 4):
        part = MESSAGES[begin : begin + 4]
        assert sink.write_block(block(*part), *UDP) == len(part)
    sink.close()
    (path,) = files(tmp_path)
    assert "".join(path.suffixes[-2:]).endswith({"none": ".hwspool", "gzip": ".gz", "zstd": ".zst"}[compression])
    assert records(path) == records(b.file(*MESSAGES))
    counters = sink.counters
    assert counters.records == counters.records_written == len(MESSAGES)
    assert (counters.segments, counters.octets, counters.records_lost) == (1, path.stat().st_size, 0)


def test_the_segments_of_a_folder_are_one_stream(tmp_path: Path) -> None:
    clock = Clock()
    sink = opened(tmp_path, rotate=60, now=clock, partition="%H")
    for message in MESSAGES:
        sink.write_block(block(message, keys=[OTHER]), Transport.TCP, LOCAL)
        clock.now += 45
    sink.write_block(block(ended=[OTHER]), Transport.TCP, LOCAL)
    sink.flush()
    assert len(files(tmp_path)) > 5
    reading = hw.read(tmp_path)
    assert sum(batch.num_rows for batch in reading) == 300
    assert (dict(reading.report.faults), reading.report.lost) == ({}, 0)
    assert {str(ledger.key) for source in reading.report.sources for ledger in source.ledgers} == {str(OTHER)}


def test_nothing_received_makes_no_file(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_block(block(), *UDP)
    sink.write_block(block(ended=[EXPORTER]), *UDP)
    sink.tick(Clock.now + 10_000)
    sink.close()
    assert files(tmp_path) == []
    assert sink.counters.records == 0


def test_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = opened(tmp_path)
    real, room = os.pwritev, 500

    def pwritev(handle: int, pieces: Any, at: int) -> int:
        octets = b"".join(pieces)[: room - at]
        if not octets:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, [octets], at)

    monkeypatch.setattr(os, "pwritev", pwritev)
    with pytest.raises(OSError, match="No space"):
        sink.write_block(block(*MESSAGES), *UDP)
    with pytest.raises(OSError, match="No space"):
        sink.retry()
    assert sink.counters.errors == 2
    room = 1 << 30
    sink.retry()
    sink.close()
    (path,) = files(tmp_path)
    assert records(path) == records(b.file(*MESSAGES))


def test_the_part_that_a_killed_process_leaves_is_set_aside_and_can_be_read(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_block(block(*MESSAGES[:5]), *UDP)
    (part,) = tmp_path.glob(".*.part")
    left = tmp_path / "left"
    left.mkdir()
    (left / part.name).write_bytes(part.read_bytes()[:-7])
    (told,) = SpoolSink(left).open()
    assert "was cut off" in told
    (torn,) = left.iterdir()
    reading = hw.read(torn)
    assert list(reading) == []
    assert dict(reading.report.faults) == {"truncated_tail": 1}
    sink.abandon()
    assert (sink.counters.records_lost, sink.counters.records_written) == (5, 0)


def test_the_target_makes_one(tmp_path: Path) -> None:
    sink = sink_of(f"spool:{tmp_path}/?rotate=1m&rotate_size=1M")
    assert isinstance(sink, SpoolSink)
    assert sink.name.startswith("spool:")


def test_blocks_that_only_tell_of_sessions_do_not_pile_up(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for _ in range(1000):
        sink.write_block(block(ended=[EXPORTER]), *UDP)
    assert len(sink._format._waiting) < 100  # type: ignore[attr-defined]
    assert next(tmp_path.iterdir()).stat().st_size > 0
    sink.close()
    assert (sink.counters.records, sink.counters.segments) == (0, 1)
