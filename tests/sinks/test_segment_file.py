"""A segment's file: what a full disk, a short write, a failed fsync and kill -9 do to it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headwater.sinks import finisher, segment_file
from headwater.sinks.finisher import Finisher
from headwater.sinks.held_octets import HeldOctets
from headwater.sinks.segment_file import SegmentFile, SegmentGone, part_of, set_aside
from headwater.sinks.segment_names import SegmentNames
from tests.process.collectors import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START = 1_763_748_300.0  # 2025-11-21 18:05:00 UTC
FIRST = "20251121T180500Z-0-000001.x"
BIG = 1 << 18  # more than is kept back for the sake of few calls


def paths(folder: Path) -> Iterator[Path]:
    return SegmentNames(folder, ".x").paths(START)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def part(folder: Path, octets: bytes = b"abc", name: str = FIRST) -> Path:
    """What a process left that was cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    path = part_of(folder / name)
    path.write_bytes(octets)
    return path


def test_it_has_its_name_when_it_is_finished(tmp_path: Path) -> None:
    file = SegmentFile(paths(tmp_path / "a" / "b"))
    assert names(tmp_path) == []
    assert [file.write(b"head"), file.write(b""), file.write(b"tail")] == [4, 0, 4]
    assert names(tmp_path) == []
    file.put_down()
    assert names(tmp_path) == [f".{FIRST}.part"]
    assert (file.position, file.held) == (8, 0)
    file.write(b"!")
    file.finish()
    assert names(tmp_path) == [FIRST]
    assert file.path.read_bytes() == b"headtail!"


def test_no_file_is_ever_written_over(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b"old")
    file = SegmentFile(paths(tmp_path))
    file.write(b"new")
    file.put_down()
    (tmp_path / FIRST.replace("01.x", "02.x")).write_bytes(b"came up meanwhile")
    file.finish()
    assert file.path.name == FIRST.replace("01.x", "03.x")
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"old", b"came up meanwhile", b"new"]


def test_what_the_disk_does_not_take_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SegmentFile(paths(tmp_path))
    octets = bytes(range(256)) * (BIG // 128)
    write, room = os.pwritev, iter([1000, None, 7, None, None, None])

    def limited(handle: int, pieces: Sequence[bytes], at: int) -> int:
        size = next(room, -1)
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, [pieces[0][:size]] if size >= 0 else pieces, at)

    monkeypatch.setattr(os, "pwritev", limited)
    assert file.write(octets) == len(octets)
    assert (file.position, file.held) == (len(octets), len(octets) - 1000)
    for held in (len(octets) - 1007, len(octets) - 1007):
        with pytest.raises(OSError, match="No space left"):
            file.put_down()
        assert file.held == held
    with pytest.raises(OSError, match="No space left"):
        file.finish()
    file.finish()
    assert file.path.read_bytes() == octets


def test_a_write_of_nothing_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SegmentFile(paths(tmp_path))
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    file.write(b"abc")
    with pytest.raises(OSError, match=r"(?i)input/output"):
        file.put_down()
    monkeypatch.undo()
    file.finish()
    assert file.path.read_bytes() == b"abc"


def test_a_folder_that_cannot_be_made_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"in the way")
    file = SegmentFile(paths(tmp_path / "a"))
    file.write(b"abc")
    with pytest.raises(NotADirectoryError):
        file.finish()
    (tmp_path / "a").unlink()
    file.finish()
    assert file.path.read_bytes() == b"abc"


def test_after_a_failed_fsync_everything_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SegmentFile(paths(tmp_path))
    octets = os.urandom(3 << 20)
    file.write(octets)
    sync, again, calls, written = os.fsync, os.pwrite, count(), Counter[str]()

    def fail_first(handle: int) -> None:
        if not next(calls):
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    def counted(handle: int, piece: bytes, at: int) -> int:
        written["octets"] += len(piece)
        return again(handle, piece, at)

    monkeypatch.setattr(os, "fsync", fail_first)
    monkeypatch.setattr(os, "pwrite", counted)
    with pytest.raises(OSError, match="Input/output"):
        file.finish()
    assert names(tmp_path) == [f".{FIRST}.part"]
    file.finish()
    assert written["octets"] == len(octets)
    assert file.path.read_bytes() == octets


def test_a_file_that_somebody_deleted_is_gone(tmp_path: Path) -> None:
    file = SegmentFile(paths(tmp_path))
    file.write(b"abc")
    file.put_down()
    part_of(tmp_path / FIRST).unlink()
    with pytest.raises(SegmentGone, match="deleted or moved"):
        file.finish()


def test_giving_up_leaves_a_torn_file(tmp_path: Path) -> None:
    (tmp_path / f"{FIRST}.torn").write_bytes(b"older")
    file = SegmentFile(paths(tmp_path))
    file.write(b"abc")
    file.give_up()
    file.give_up()
    assert names(tmp_path) == [f"{FIRST}.torn", f"{FIRST}.torn1"]
    assert (tmp_path / f"{FIRST}.torn1").read_bytes() == b"abc"


def test_what_a_dead_process_left_is_set_aside(tmp_path: Path) -> None:
    part(tmp_path, b"abc")
    part(tmp_path / "hour=18", b"abcd")
    part(tmp_path, b"", name=FIRST.replace("01.x", "02.x"))
    others = [part(tmp_path, name=FIRST.replace(".x", ".y")), part(tmp_path, name="notes.x")]
    (tmp_path / f"{FIRST}.torn").write_bytes(b"older")
    first, second = set_aside(tmp_path, ".x")
    assert (first.path, first.octets) == (tmp_path / f"{FIRST}.torn1", 3)
    assert (second.path, second.octets) == (tmp_path / "hour=18" / f"{FIRST}.torn", 4)
    assert "hour=18" in str(second)
    assert "(4 octets)" in str(second)
    assert names(tmp_path) == sorted([first.path.name, second.path.name, second.path.name, *(p.name for p in others)])
    assert set_aside(tmp_path, ".x") == []


def test_what_is_being_written_is_not_set_aside(tmp_path: Path) -> None:
    file = SegmentFile(paths(tmp_path))
    file.write(b"abc")
    file.put_down()
    assert set_aside(tmp_path, ".x") == []
    other = SegmentFile(paths(tmp_path))
    other.write(b"def")
    other.finish()
    file.finish()
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"abc", b"def"]


def test_a_part_that_was_taken_for_torn_before_it_was_locked_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, is_first = os.open, iter([True])

    def open_and_lose(path: Path, flags: int, mode: int = 0o777) -> int:
        handle = opened(path, flags, mode)
        if next(is_first, False):
            Path(path).unlink()
        return handle

    monkeypatch.setattr(os, "open", open_and_lose)
    file = SegmentFile(paths(tmp_path))
    file.write(b"abc")
    file.finish()
    assert names(tmp_path) == [FIRST.replace("01.x", "02.x")]


# ---------------------------------------------------------------- the thread that finishes


class Settled:
    """What a Finisher made known."""

    def __init__(self) -> None:
        self.done: list[Path] = []
        self.gone: list[str] = []
        self.finisher = Finisher(
            lambda file: self.done.append(file.path), lambda _, bad: self.gone.append(str(bad)), most=2
        )

    def add(self, folder: Path, octets: bytes = b"abc") -> SegmentFile:
        file = SegmentFile(paths(folder))
        file.write(octets)
        file.records = len(octets)
        self.finisher.add(file)
        return file


def test_files_are_finished_in_their_order(tmp_path: Path) -> None:
    settled = Settled()
    for number in range(5):  # more than wait at once
        settled.add(tmp_path, b"%d" % number)
    settled.finisher.finish()
    assert [path.read_bytes() for path in settled.done] == [b"0", b"1", b"2", b"3", b"4"]
    assert settled.finisher.records == 0


def test_an_error_stops_the_queue_until_it_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"in the way")
    settled = Settled()
    settled.add(tmp_path / "a")
    settled.add(tmp_path)
    settled.add(tmp_path)  # does not wait for room that will not come
    for _ in range(2):
        with pytest.raises(NotADirectoryError):
            settled.finisher.finish()
    with pytest.raises(NotADirectoryError):
        settled.finisher.check()
    assert (settled.done, settled.finisher.records) == ([], 9)
    (tmp_path / "a").unlink()
    settled.finisher.finish()
    settled.finisher.check()
    assert len(settled.done) == 3


def test_a_deleted_file_does_not_stop_the_queue(tmp_path: Path) -> None:
    settled = Settled()
    file = SegmentFile(paths(tmp_path))
    file.write(b"abc")
    file.put_down()
    part_of(tmp_path / FIRST).unlink()
    settled.finisher.add(file)
    settled.add(tmp_path / "b")
    settled.finisher.finish()
    assert (len(settled.done), len(settled.gone)) == (1, 1)


def test_what_is_given_up_is_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finisher, "_PATIENCE", DEADLINE_S)
    (tmp_path / "a").write_bytes(b"in the way")
    settled = Settled()
    files = [settled.add(tmp_path / "a"), settled.add(tmp_path)]
    assert settled.finisher.give_up() == files
    settled.finisher.finish()
    assert settled.done == []
    assert names(tmp_path) == [f"{FIRST}.torn", "a"]


# ---------------------------------------------------------------- processes that die

WRITER = """
import sys
from pathlib import Path
from headwater.sinks.finisher import Finisher
from headwater.sinks.segment_file import SegmentFile
from headwater.sinks.segment_names import SegmentNames
from tests.process.collectors import DEADLINE_S
from tests.sinks.dying import die_after

die_after(int(sys.argv[2]), "open", "pwritev", "fsync", "close", "mkdir")
names = SegmentNames(Path(sys.argv[1]), ".x", partition="%H")
finisher = Finisher(lambda file: print(file.path.name, flush=True), print)
for number in range(2):
    file = SegmentFile(names.paths(1_763_748_300.0 + number * 3600))
    file.write(b"head"); file.put_down(); file.write(b"x" * 300_000); file.write(b"tail")
    finisher.add(file); finisher.finish()
print("end", flush=True)
"""


def run(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.slow
def test_only_whole_files_have_names_whenever_a_process_is_killed(tmp_path: Path) -> None:
    whole = b"head" + b"x" * 300_000 + b"tail"
    for steps in range(60):
        folder = tmp_path / str(steps)
        folder.mkdir()
        done = run(WRITER, folder, steps)
        assert done.stderr == ""
        told = done.stdout.split()
        finished = [path for path in folder.rglob("*.x") if not path.name.startswith(".")]
        assert {path.read_bytes() for path in finished} <= {whole}
        assert {path.name for path in finished} >= set(told) - {"end"}
        parts = list(folder.rglob("*.part"))
        assert len(parts) <= 1
        sizes = [path.stat().st_size for path in parts]
        assert [torn.octets for torn in set_aside(folder, ".x")] == [size for size in sizes if size]
        assert list(folder.rglob("*.part")) == []
        if "end" in told:
            break
    else:
        pytest.fail("the process never came to its end")
    assert steps > 10


FULL = """
import resource, sys
from pathlib import Path
from headwater.sinks.segment_file import SegmentFile
from headwater.sinks.segment_names import SegmentNames
from tests.process.collectors import DEADLINE_S

file = SegmentFile(SegmentNames(Path(sys.argv[1]), ".x").paths(0))
octets = bytes(range(256)) * 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for start in range(0, len(octets), 1000):
    file.write(octets[start : start + 1000])
for attempt in (file.put_down, file.put_down, file.finish):
    try:
        attempt()
    except OSError as bad:
        print(bad.errno, file.position, file.position - file.held)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.finish()
print(file.path.read_bytes() == octets, file.held)
"""


def test_a_file_that_may_not_grow_and_then_may_has_lost_nothing(tmp_path: Path) -> None:
    done = run(FULL, tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{errno.EFBIG} {1 << 20} 300000"] * 3 + ["True 0"]


def test_the_disk_begins_while_a_large_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def advise(handle: int, begin: int, length: int, advice: int) -> None:
        asked.append((begin, begin + length))
        if len(asked) == 3:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(segment_file, "_STEP", 1 << 20)
    monkeypatch.setattr(segment_file, "_CACHED", 3 << 20)
    monkeypatch.setattr(segment_file, "_advise", advise)
    file = SegmentFile(iter([tmp_path / "x"]))
    octets = bytes(range(256)) * (1 << 12)
    for _ in range(5):
        file.write(memoryview(octets))
    file.finish()
    mib = 1 << 20
    begun = [(0, mib), (mib, 2 * mib), (2 * mib, 3 * mib), (3 * mib, 4 * mib), (4 * mib, 5 * mib)]
    assert asked == [*begun, (0, mib)]  # and what is older than the newest 3 MiB goes
    assert (tmp_path / "x").read_bytes() == octets * 5


def test_only_octets_that_may_change_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, put = bytearray(b"abc"), []
    held = HeldOctets(lambda pieces: put.append(list(pieces)) or sum(map(len, pieces)))  # type: ignore[func-returns-value]
    fixed = memoryview(b"def")
    held.write(memoryview(given))
    held.write(fixed)
    given[:] = b"xyz"
    held.put_down()
    assert [bytes(piece) for piece in put[0]] == [b"abc", b"def"]
    assert put[0][1] is fixed
