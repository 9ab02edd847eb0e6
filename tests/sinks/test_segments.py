"""Segments: when they end, what they are called, and that every record is accounted for."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from headwater.batch import Batch, Decoder
from headwater.session import DataSets, Session
from headwater.sinks.collecting import SinkError
from headwater.sinks.segment_file import part_of
from headwater.sinks.segment_text import CsvFormat, NdjsonFormat
from headwater.sinks.segments import Segments
from tests import build

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = 1_763_726_400.0  # 2025-11-21 12:00:00 UTC


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def batch_of(*messages: bytes) -> Batch:
    session = Session(transport="file")
    (batch,) = [Decoder().decode(event) for event in session.receive(b"".join(messages)) if isinstance(event, DataSets)]
    return batch


def flows(count: int = 10, *, seed: int = 1) -> Batch:
    return batch_of(*build.flows(count, seed=seed))


def counted(fields: Sequence[tuple[int, int]], count: int = 1) -> Batch:
    """Records of a Template of integers of its own."""
    record = b"".join(build.uint(7, length) for _, length in fields)
    sets = build.template_set(build.template(300, *fields)), build.data_set(300, *([record] * count))
    return batch_of(build.message(*sets))


def is_accounted(sink: Segments) -> bool:
    c = sink.counters
    return c.records == c.records_written + c.records_lost + sink.records_waiting


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def lines(folder: Path) -> list[int]:
    """Records in each file, in the order of names."""
    return [len((folder / name).read_bytes().splitlines()) for name in names(folder)]


def test_a_segment_has_its_name_when_it_is_flushed(tmp_path: Path) -> None:
    sink = Segments(tmp_path / "flows", NdjsonFormat(), now=Clock())
    assert names(tmp_path) == []
    assert sink.open() == []
    assert sink.write(flows(10)) == 10
    assert names(tmp_path) == ["flows/.20251121T120000Z-0-000001.ndjson.part"]
    assert (sink.counters.records, sink.counters.records_written, sink.records_waiting) == (10, 0, 10)
    sink.flush()
    assert names(tmp_path) == ["flows/20251121T120000Z-0-000001.ndjson"]
    octets = (tmp_path / "flows" / "20251121T120000Z-0-000001.ndjson").stat().st_size
    c = sink.counters
    assert (c.records_written, c.segments, c.octets, sink.records_waiting) == (10, 1, octets, 0)
    sink.flush()
    sink.close()
    assert sink.counters.segments == 1


def test_no_segment_is_empty(tmp_path: Path) -> None:
    clock = Clock()
    sink = Segments(tmp_path, NdjsonFormat(), now=clock)
    sink.open()
    batch = flows(10)
    assert sink.write(batch, np.zeros(10, np.bool_)) == 0
    for _ in range(3):
        clock.now += 300
        sink.tick(clock.now)
    sink.close()
    assert names(tmp_path) == []
    assert sink.counters.to_dict()["segments"] == 0


def test_a_mask_says_which_records(tmp_path: Path) -> None:
    sink = Segments(tmp_path, NdjsonFormat(), now=Clock())
    sink.open()
    assert sink.write(flows(10), np.arange(10) % 2 == 0) == 5
    sink.close()
    assert (lines(tmp_path), sink.counters.records, sink.counters.records_written) == ([5], 5, 5)


def test_time_ends_segments_where_the_wall_clock_is_round(tmp_path: Path) -> None:
    clock = Clock(NOON + 13)
    sink = Segments(tmp_path, NdjsonFormat(), rotate=300, worker=3, now=clock)
    sink.open()
    sink.write(flows(10))
    clock.now = NOON + 299.9
    sink.tick(clock.now)
    sink.write(flows(5))
    clock.now = NOON + 300
    sink.write(flows(2))  # later than the tick that would have ended it
    clock.now = NOON + 600
    sink.tick(clock.now)
    clock.now = NOON + 1300
    sink.write(flows(1))
    sink.close()
    assert names(tmp_path) == [
        "20251121T120013Z-3-000001.ndjson",
        "20251121T120500Z-3-000002.ndjson",
        "20251121T122140Z-3-000003.ndjson",
    ]
    assert lines(tmp_path) == [15, 2, 1]
    assert is_accounted(sink)


def test_size_ends_segments(tmp_path: Path) -> None:
    sink = Segments(tmp_path, NdjsonFormat(), rotate=0, rotate_size=1000, now=Clock())
    sink.open()
    for _ in range(3):
        sink.write(flows(10))
    sink.write(flows(1))
    sink.close()
    assert lines(tmp_path) == [10, 10, 10, 1]
    assert (sink.counters.segments, sink.counters.records_written) == (4, 31)


def test_a_clock_that_is_set_back_ends_a_segment_once(tmp_path: Path) -> None:
    clock = Clock()
    sink = Segments(tmp_path, NdjsonFormat(), rotate=60, now=clock)
    sink.open()
    sink.write(flows(1))
    for back in (1, 30, 5):  # as a clock is that is being corrected
        clock.now = NOON - back
        sink.write(flows(1))
    assert sink.counters.segments == 0
    clock.now = NOON - 86400
    for _ in range(3):
        sink.write(flows(1))
        sink.tick(clock.now)
    clock.now = NOON + 86400
    sink.write(flows(1))
    clock.now = 0
    sink.write(flows(1))
    clock.now = 1e15
    sink.write(flows(1))
    sink.close()
    assert len(names(tmp_path)) == 5
    assert sorted(lines(tmp_path)) == [1, 1, 1, 3, 4]
    assert is_accounted(sink)


def test_two_sinks_in_a_folder_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    sinks = [Segments(tmp_path, NdjsonFormat(), now=Clock()) for _ in range(2)]
    for sink in sinks:
        assert sink.open() == []
        sink.write(flows(3))
    assert sinks[0].open() == []
    for sink in sinks:
        sink.close()
    assert lines(tmp_path) == [3, 3]


def test_partitions_are_folders_by_time(tmp_path: Path) -> None:
    clock = Clock()
    sink = Segments(tmp_path, NdjsonFormat(), partition="date=%Y-%m-%d/hour=%H", now=clock)
    sink.open()
    sink.write(flows(1))
    clock.now += 3600
    sink.write(flows(2))
    sink.close()
    assert names(tmp_path) == [
        "date=2025-11-21/hour=12/20251121T120000Z-0-000001.ndjson",
        "date=2025-11-21/hour=13/20251121T130000Z-0-000002.ndjson",
    ]


@pytest.mark.parametrize("pattern", ["../x", "/x", "a/../b", "a//b", "%q", "100%", ".x", "a\\b", "a\0", "x" * 200])
def test_partitions_stay_in_the_folder(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SinkError, match="partition="):
        Segments(tmp_path, NdjsonFormat(), partition=pattern)


def test_torn_files_are_set_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / "hour=1").mkdir()
    part_of(tmp_path / "hour=1" / "20251121T120000Z-0-000001.ndjson").write_bytes(b"{}")
    sink = Segments(tmp_path, NdjsonFormat())
    (warning,) = sink.open()
    assert "hour=1/20251121T120000Z-0-000001.ndjson.torn (2 octets) was cut off" in warning
    assert sink.counters.torn == 1


def test_a_folder_that_cannot_be_one_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SinkError, match="is a file; segments go to a folder"):
            Segments(folder, NdjsonFormat()).open()


def test_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    sink = Segments(tmp_path, NdjsonFormat(), now=clock)
    sink.open()
    sink.write(flows(10))
    write = os.pwritev

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    for attempt in (lambda: sink.write(flows(5)), sink.retry, sink.flush, sink.retry, lambda: sink.tick(clock.now)):
        with pytest.raises(OSError, match="No space left"):
            attempt()
        assert is_accounted(sink)
    assert (sink.counters.records, sink.counters.errors) == (15, 5)
    assert "No space left" in sink.counters.last_error
    monkeypatch.setattr(os, "pwritev", write)
    sink.retry()
    assert (lines(tmp_path), sink.counters.records_written) == ([15], 15)
    sink.close()


def test_a_segment_that_cannot_end_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Segments(tmp_path, NdjsonFormat(), rotate_size=1000, now=Clock())
    sink.open()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        with pytest.raises(OSError, match="No space left"):
            sink.write(flows(10))
    sink.retry()
    assert (lines(tmp_path), sink.counters.records_written, sink.counters.errors) == ([10], 10, 1)


def test_what_is_abandoned_is_counted_and_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Segments(tmp_path, NdjsonFormat(), now=Clock())
    sink.open()
    sink.write(flows(10))
    sink.flush()
    sink.write(flows(5))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sink.close()
    sink.abandon()
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost, sink.records_waiting) == (15, 10, 5, 0)
    assert [name.rpartition(".")[2] for name in names(tmp_path)] == ["ndjson", "torn"]
    sink.abandon()
    assert c.records_lost == 5


def test_a_segment_that_somebody_deletes_is_counted_and_the_next_is_not_held_up(tmp_path: Path) -> None:
    sink = Segments(tmp_path, NdjsonFormat(), now=Clock())
    sink.open()
    sink.write(flows(10))
    part_of(tmp_path / "20251121T120000Z-0-000001.ndjson").unlink()
    sink.flush()
    sink.write(flows(3))
    sink.flush()
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost) == (13, 3, 10)
    assert "was deleted or moved" in c.last_error


# ---------------------------------------------------------------- columns of CSV


def test_a_csv_segment_ends_where_columns_come_up(tmp_path: Path) -> None:
    sink = Segments(tmp_path, CsvFormat(), now=Clock())
    sink.open()
    a, b, c = counted([(1, 8), (2, 8)]), counted([(1, 8), (7, 2)]), counted([(11, 2)])
    for batch in (a, b, a, b, a):
        sink.write(batch)
    sink.write(c)  # a second has not passed: it waits
    sink.write(a)
    assert sink.counters.segments <= 1
    assert is_accounted(sink)
    sink.close()
    texts = [(tmp_path / name).read_text().splitlines() for name in names(tmp_path)]
    head = "octetDeltaCount,packetDeltaCount"
    assert texts == [
        [head, "7,7"],
        [f"{head},sourceTransportPort", "7,,7", "7,7,", "7,,7", "7,7,"],
        [f"{head},sourceTransportPort,destinationTransportPort", ",,,7", "7,7,,"],
    ]
    assert sink.counters.to_dict()["columns_left_out"] == 0


def test_more_columns_than_there_is_room_for_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Segments(tmp_path, CsvFormat(most=2), now=Clock())
    sink.open()
    for fields in ([(1, 8)], [(2, 8)], [(7, 2), (11, 2)], [(7, 2)]):
        sink.write(counted(fields))
    sink.close()
    assert sink.counters.to_dict()["columns_left_out"] == 2
    assert [r.message for r in caplog.records] == [
        "column sourceTransportPort is left out: a segment has at most 2 columns",
        "column destinationTransportPort is left out: a segment has at most 2 columns",
    ]
    assert sink.counters.records_written == 4


@pytest.mark.parametrize(("compression", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_text_is_compressed_if_wanted(tmp_path: Path, compression: str, suffix: str) -> None:
    import gzip

    if compression == "zstd":
        pytest.importorskip("zstandard")
    sink = Segments(tmp_path, NdjsonFormat(compression=compression), now=Clock())
    sink.open()
    sink.write(flows(10))
    sink.write(flows(5))
    sink.close()
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(f".ndjson{suffix}")
    if compression == "gzip":
        text = gzip.decompress(path.read_bytes())
    else:
        import zstandard

        text = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    assert len([json.loads(line) for line in text.splitlines()]) == 15
