"""What every sink of a Collecting Process promises, whatever the disk does: no record is lost, none is forgotten."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.sinks import finisher
from headwater.sinks.segment_arrow import ArrowFormat
from headwater.sinks.segment_parquet import ParquetFormat
from headwater.sinks.segment_text import CsvFormat, NdjsonFormat
from headwater.sinks.segments import Segments
from tests.process.collectors import until
from tests.sinks.test_segments import NOON, Clock, counted, flows, is_accounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FORMATS: dict[str, Callable[[], Any]] = {
    "parquet": ParquetFormat,
    "arrow": ArrowFormat,
    "ndjson": NdjsonFormat,
    "csv": CsvFormat,
}
BATCHES = [flows(5), counted([(1, 8)], 3), counted([(2, 8), (7, 2)], 2), flows(40, seed=2)]


def records_in(path: Path) -> int:
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    if path.suffix == ".arrows":
        with pa.ipc.open_stream(path) as reader:
            return sum(batch.num_rows for batch in reader)
    return len(path.read_bytes().splitlines()) - (path.suffix == ".csv")


def finished(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*-*") if path.is_file() and not path.name.startswith("."))


class Disk:
    """A disk that may be full: of what is written `room` octets are taken, None = all; from any thread.

    failures: how often it was.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = 0
        self._room: int | None = None
        self._lock = Lock()
        self._write, self._sync = os.pwritev, os.fsync
        monkeypatch.setattr(os, "pwritev", self._limited)
        monkeypatch.setattr(os, "fsync", self._synced)

    def limit(self, room: int | None) -> None:
        with self._lock:
            self._room = room

    def _limited(self, handle: int, pieces: Sequence[bytes], at: int) -> int:
        octets = b"".join(pieces)
        with self._lock:
            if self._room is not None:
                octets = octets[: self._room]
                self._room -= len(octets)
                if not octets:
                    self.failures += 1
                    raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(handle, [octets], at)

    def _synced(self, handle: int) -> None:
        with self._lock:
            if self._room is not None:
                self.failures += 1
                raise OSError(errno.EIO, "Input/output error")
        self._sync(handle)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, len(BATCHES) - 1)),
        st.tuples(st.just("tick"), st.sampled_from([0, 1, 59, 61, -30, -3600])),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("retry"), st.just(0)),
        st.tuples(st.just("room"), st.sampled_from([0, 10, 3000, -1])),
    ),
    max_size=25,
)


@pytest.mark.parametrize("format", FORMATS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(steps=STEPS)
def test_every_record_is_accounted_for_at_any_time(
    tmp_path: Path, disk: Disk, format: str, steps: list[tuple[str, int]]
) -> None:
    folder, clock = tmp_path / "flows", Clock()
    shutil.rmtree(folder, ignore_errors=True)
    disk.limit(None)
    disk.failures = 0
    sink = Segments(folder, FORMATS[format](), rotate=60, rotate_size=4000, now=clock)
    sink.open()
    given, errors = 0, 0
    for step, number in steps:
        try:
            match step:
                case "write":
                    given += len(BATCHES[number])
                    assert sink.write(BATCHES[number]) == len(BATCHES[number])
                case "tick":
                    clock.now += number
                    sink.tick(clock.now)
                case "flush":
                    sink.flush()
                    assert sink.records_waiting == 0
                case "retry":
                    sink.retry()
                case "room":
                    disk.limit(None if number < 0 else number)
        except OSError:
            assert disk.failures  # one of the finisher's comes up later, when there may be room again
            errors += 1
        assert sink.counters.records == given
    disk.limit(None)
    with suppress(OSError):
        sink.close()
    sink.retry()
    sink.close()
    c = sink.counters
    assert is_accounted(sink)
    assert (c.records_written, c.records_lost, c.errors >= errors) == (given, 0, True)
    files = finished(folder)
    assert sum(map(records_in, files)) == given
    assert (len(files), sum(path.stat().st_size for path in files)) == (c.segments, c.octets)
    assert list(folder.rglob(".*.part")) == []


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, sync = Event(), os.fsync

    def hang(handle: int) -> None:
        free.wait()
        sync(handle)

    monkeypatch.setattr(os, "fsync", hang)
    monkeypatch.setattr(finisher, "_PATIENCE", 0.01)
    sink = Segments(tmp_path, NdjsonFormat(), rotate_size=1000, now=Clock())
    sink.open()
    sink.write(flows(10))  # rotation does not wait for the disk
    sink.write(flows(1))
    sink.abandon()
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost, sink.records_waiting) == (11, 0, 11, 0)
    free.set()
    until(lambda: not sink._finisher._is_running)
    assert c.records_written == 0  # it was counted already


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, for those who may have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "headwater-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_was_full_and_is_emptied_has_everything(small_disk: Path, format: str) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (300 << 10))
    sink = Segments(small_disk / "flows", FORMATS[format](), rotate_size=20_000, now=Clock())
    sink.open()
    batch, given = flows(200), 0
    failure = None
    for _ in range(400):
        given += len(batch)
        try:
            sink.write(batch)
            if given % 2000 == 0:
                sink.flush()
        except OSError as bad:
            failure = bad
            break
    assert failure is not None
    assert failure.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        sink.retry()
    filler.unlink()
    sink.retry()
    sink.close()
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost) == (given, given, 0)
    assert sum(map(records_in, finished(small_disk))) == given


ROTATING = f"""
import sys
from headwater.sinks.segments import Segments
from headwater.sinks.segment_parquet import ParquetFormat
from tests.sinks.dying import die_after
from tests.sinks.test_segments import Clock, counted, flows

batch, other, clock = flows(50), counted([(1, 8), (7, 2)], 3), Clock({NOON})
sink = Segments(sys.argv[1], ParquetFormat(), rotate=60, partition="hour=%H", now=clock)
print(len(sink.open()), flush=True)
die_after(int(sys.argv[2]), "pwritev", "fsync", "mkdir")
for _ in range(3):
    sink.write(batch)
    sink.write(other)
    clock.now += 1800
    sink.tick(clock.now)
    sink.flush()
    print(sink.counters.records_written, flush=True)
sink.close()
print("end", flush=True)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_whole_segments_and_the_next_goes_on(tmp_path: Path) -> None:
    folder, told_torn, durable = tmp_path / "flows", 0, 0
    for steps in range(40):
        parts = [path for path in folder.rglob(".*.part") if path.stat().st_size]
        command = [sys.executable, "-B", "-c", ROTATING, str(folder), str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd())
        assert done.stderr == ""
        torn, *written = done.stdout.split()
        assert int(torn) == len(parts) <= 1
        told_torn += len(parts)
        durable += max([0, *(int(number) for number in written if number != "end")])
        in_files = sum(records_in(path) for path in finished(folder) if path.suffix == ".parquet")
        assert in_files in (durable, durable + 53)  # what got its name just before the end was not told
        durable = in_files
        if written[-1:] == ["end"]:
            break
        assert done.returncode == -signal.SIGKILL
    else:
        pytest.fail("the process never came to its end")
    assert len([path for path in finished(folder) if path.suffix == ".torn"]) == told_torn > 2
