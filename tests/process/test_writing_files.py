"""The files of hw.Writer: how they come into being, grow, follow each other and survive."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.errors import EncodeError, HeadwaterError, SourceError
from headwater.process.writing import Writer
from headwater.sinks.ipfix_compression import SUFFIXES
from headwater.sinks.ipfix_rotation import Rotation
from tests.build import file, flows
from tests.process.test_writing import Clock, octets_of, read_whole, rows

ROOT = Path(__file__).resolve().parent.parent.parent


# --- the life of the file ---


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "none" / "flows.ipfix")
    assert repr(writer).endswith("0 records, not begun>")
    with pytest.raises(SourceError, match="no such file or directory"):
        writer.write(rows(0, 1))
    with pytest.raises(SourceError, match="no such file or directory"), Writer(tmp_path / "none" / "flows.ipfix"):
        pass
    Writer(tmp_path / "flows.ipfix").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        (None, {}, "cannot write to None: give a path or a file object"),
        (io.StringIO(), {}, "is open in text mode"),
        ("", {}, "'' is no name of a file"),
        ("a\0b", {}, "is no name of a file"),
        ("f.ipfix", {"rotate": 5}, "rotate= is a Rotation, not 5"),
        ("f.ipfix", {"time_window": (1,)}, "time_window is "),
        ("f.ipfix", {"compression": "zip"}, "compression must be one of"),
        ("f.ipfix", {"session_details": {"sessionScope": 0}}, "sessionScope is added by itself"),
        ("f.ipfix", {"mtu": 10}, "mtu is 10"),
    ],
)
def test_wrong_arguments_are_told_at_once(path: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(HeadwaterError, match=why):
        Writer(path, **options)


def test_names_that_the_system_does_not_take_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be written: file name too long"):
        Writer(tmp_path / ("x" * 300)).write(rows(0, 1))
    with Writer("/dev/full") as writer, pytest.raises(SourceError, match="cannot be written: no space left on device"):
        writer.write(rows(0, 1))


def test_a_file_without_records_is_an_ipfix_file_all_the_same(tmp_path: Path) -> None:
    with Writer(tmp_path / "flows.ipfix.gz"):
        pass
    assert read_whole(tmp_path / "flows.ipfix.gz") == []


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    with Writer(tmp_path / "flows.ipfix") as writer:
        writer.write(rows(0, 1))
    writer.close()
    for use in (writer.flush, lambda: writer.write(rows(0, 1)), lambda: writer.add(rows(0, 1)[0]), writer.__enter__):
        with pytest.raises(HeadwaterError, match="is closed"):
            use()


def test_an_exception_keeps_what_was_written_before(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with contextlib.suppress(KeyError), Writer(path) as writer:
        writer.write(rows(0, 2))
        writer.add(rows(2, 3)[0])
        raise KeyError
    assert octets_of(path) == [0, 1, 2]


def test_an_exception_before_anything_was_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    for force in (False, True):
        with pytest.raises(EncodeError), Writer(path, force=force) as writer:
            writer.write([{"octetDeltaCount": -1}])
        assert not list(tmp_path.iterdir())
    path.write_bytes(b"another file")
    writer = Writer(path, force=True)
    with pytest.raises(EncodeError), writer:
        writer.add({"octetDeltaCount": -1})
    assert path.read_bytes() == b"another file"


def test_a_writer_that_nobody_closed_says_so_and_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    writer = Writer(path)
    writer.write(rows(0, 2))
    writer.add(rows(2, 3)[0])
    with pytest.warns(ResourceWarning, match=r"was not closed"):
        del writer
    assert octets_of(path) == [0, 1, 2]


def test_an_abandoned_file_leaves_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "flows.ipfix")
    writer.write(rows(0, 2))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_file_object_is_written_to_and_stays_open() -> None:
    stream = io.BytesIO()
    with Writer(stream, compression="zstd") as writer:
        writer.write(rows(0, 2))
    assert octets_of(stream.getvalue()) == [0, 1]


# --- adding to a file ---


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
def test_a_file_that_is_added_to_goes_on_with_its_ids_and_sequence_numbers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flows.ipfix{suffix}"
    for first in (0, 10, 20):
        with Writer(path, append=True, checksum=first == 10) as writer:
            writer.write(rows(first, first + 10))
            writer.write([{"packetDeltaCount": first}], domain=3)
            assert writer.warnings == []
    found = [batch.template.id for batch in hw.read(path) if "octetDeltaCount" in batch.schema.names]
    assert set(found) == {256}
    assert [row["octetDeltaCount"] for row in read_whole(path, options=False) if "octetDeltaCount" in row] == list(
        range(30)
    )


@pytest.mark.parametrize("missing", [1, 20, 60])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_torn_tail_is_cut_off_and_told(tmp_path: Path, suffix: str, missing: int) -> None:
    path = tmp_path / f"flows.ipfix{suffix}"
    with Writer(path) as writer:
        writer.write(rows(0, 10))
        writer.flush()
        writer.write([{"packetDeltaCount": number} for number in range(500)])
    os.truncate(path, path.stat().st_size - missing)
    with Writer(path, append=True) as writer:
        writer.write(rows(10, 20))
    assert len(writer.warnings) == 1
    assert "cut off behind octet" in writer.warnings[0]
    found = [row for row in read_whole(path) if "octetDeltaCount" in row]
    assert [row["octetDeltaCount"] for row in found] == list(range(20))


def test_octets_of_zero_at_the_end_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        writer.write(rows(0, 2))
    with path.open("ab") as octets:
        octets.write(bytes(4096))
    with Writer(path, append=True) as writer:
        writer.write(rows(2, 4))
    assert "4096 zero octets" in writer.warnings[0]
    assert octets_of(path) == [0, 1, 2, 3]


def test_what_is_no_ipfix_file_or_damaged_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    path.write_text("name,value\n1,2,3\n")
    with pytest.raises(SourceError, match="holds no flow export"):
        Writer(path, append=True).write(rows(0, 1))
    octets = file(*flows(100))
    path.write_bytes(octets[:3000] + b"x" + octets[3000:])
    with pytest.raises(SourceError, match=r"is damaged at octet .* and cannot be added to"):
        Writer(path, append=True).write(rows(0, 1))
    assert path.read_bytes() == octets[:3000] + b"x" + octets[3000:]


def test_what_cannot_be_added_to_is_refused_at_once(tmp_path: Path) -> None:
    for path, options in ((io.BytesIO(), {}), ("-", {}), (tmp_path / "flows.ipfix", {"rotate": Rotation(records=5)})):
        with pytest.raises(HeadwaterError, match="append=True adds to a file that has a path"):
            Writer(path, append=True, **options)  # type: ignore[arg-type]
    with pytest.raises(HeadwaterError, match="rotate= needs the path"):
        Writer(io.BytesIO(), rotate=Rotation(records=5))


def test_a_file_that_is_not_there_yet_is_begun(tmp_path: Path) -> None:
    for name, octets in (("new.ipfix", None), ("empty.ipfix", b"")):
        path = tmp_path / name
        if octets is not None:
            path.write_bytes(octets)
        with Writer(path, append=True) as writer:
            writer.write(rows(0, 2))
        assert octets_of(path) == [0, 1]


# --- rotation ---


def series(folder: Path) -> Iterator[tuple[str, Sequence[int]]]:
    """(name, values) of each file, which is read alone."""
    for path in sorted(folder.iterdir()):
        with hw.read(path, options=False) as reading:
            found = [row["octetDeltaCount"] for row in reading.records()]
        assert reading.report.is_complete
        assert not reading.report.lost
        yield path.name, found


@pytest.mark.parametrize("checksum", [False, True])
def test_a_file_has_so_many_records_at_most_and_can_be_read_alone(tmp_path: Path, checksum: bool) -> None:
    with Writer(tmp_path / "flows.ipfix", rotate=Rotation(records=100), checksum=checksum) as writer:
        writer.write(rows(0, 250))
        writer.write(rows(250, 300))
    found = list(series(tmp_path))
    assert [number for _, records in found for number in records] == list(range(300))
    assert max(len(records) for _, records in found) <= 100
    assert [name for name, _ in found][:2] == ["flows-000001.ipfix", "flows-000002.ipfix"]
    assert list(writer.files) == [str(tmp_path / name) for name, _ in found]


def test_a_file_has_so_many_octets_at_most(tmp_path: Path) -> None:
    with Writer(tmp_path / "flows.ipfix", rotate=Rotation(octets=2000), mtu=512) as writer:
        writer.write(rows(0, 1000))
    assert [number for _, records in series(tmp_path) for number in records] == list(range(1000))
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert max(sizes) <= 2000
    assert min(sizes[:-1]) > 1400


def test_a_file_ends_with_its_period(tmp_path: Path) -> None:
    clock = Clock()
    with Writer(tmp_path / "%H%M.ipfix.gz", rotate=Rotation(seconds=300), clock=clock) as writer:
        for number in range(7):
            writer.write(rows(number, number + 1))
            clock.now += 100
    assert [(name, records) for name, records in series(tmp_path)] == [
        ("1200.ipfix.gz", [0, 1, 2]),
        ("1205.ipfix.gz", [3, 4, 5]),
        ("1210.ipfix.gz", [6]),
    ]


def test_a_file_of_a_series_has_part_in_its_name_until_it_is_complete(tmp_path: Path) -> None:
    with Writer(tmp_path / "flows.ipfix", rotate=Rotation(records=2)) as writer:
        assert list(tmp_path.iterdir()) == []
        writer.write(rows(0, 3))
        writer.flush()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["flows-000001.ipfix", "flows-000002.ipfix.part"]
        assert octets_of(tmp_path / "flows-000002.ipfix.part") == [2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flows-000001.ipfix", "flows-000002.ipfix"]


def test_every_file_of_a_series_says_what_it_is_about(tmp_path: Path) -> None:
    about = {"exporterTransportPort": 4739}
    with Writer(tmp_path / "f.ipfix", rotate=Rotation(seconds=1), session_details=about, clock=(clock := Clock())) as w:
        for number in range(3):
            w.write(rows(number, number + 1))
            clock.now += 1
    for path in tmp_path.iterdir():
        with hw.read(path) as reading:
            list(reading)
        assert reading.report.sources[0].details["exporterTransportPort"] == 4739


# --- what happens to the process ---


def run(script: str, folder: Path, *, expect: int = 0) -> str:
    """Run a script with hw, Writer, rows and folder; what it prints."""
    before = f"""
        import os, resource, signal
        from pathlib import Path
        import headwater as hw
        from headwater.process.writing import Writer
        from tests.process.test_writing import rows
        folder = Path({str(folder)!r})
    """
    program = textwrap.dedent(before) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-B", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["flows.ipfix", "flows.ipfix.gz", "flows.ipfix.zst"])
def test_what_flush_confirmed_survives_a_kill(tmp_path: Path, name: str) -> None:
    script = f"""
        writer = Writer(folder / {name!r})
        writer.write(rows(0, 1000))
        writer.add(rows(1000, 1001)[0])
        writer.flush()
        writer.write(rows(1001, 90000))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(script, tmp_path, expect=-signal.SIGKILL)
    found = [row["octetDeltaCount"] for row in hw.records(tmp_path / name)]
    assert found[:1001] == list(range(1001))
    with Writer(tmp_path / name, append=True) as writer:
        writer.write([{"octetDeltaCount": 7}])
    assert octets_of(tmp_path / name) == [*found, 7]


@pytest.mark.parametrize("name", ["flows.ipfix", "%Y.ipfix.gz"])
def test_a_file_of_a_series_whose_writer_was_killed_is_finished_by_the_next_one(tmp_path: Path, name: str) -> None:
    script = f"""
        writer = Writer(folder / {name!r}, rotate=hw.Rotation(records=2000), clock=lambda: 1.7e9)
        writer.write(rows(0, 3000))
        writer.flush()
        writer.write(rows(3000, 3500))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(script, tmp_path, expect=-signal.SIGKILL)
    (part,) = tmp_path.glob("*.part")
    os.truncate(part, part.stat().st_size - 3)
    (tmp_path / "others-000001.ipfix.part").touch()
    with Writer(tmp_path / name, rotate=Rotation(records=2000), clock=lambda: 1.7e9) as writer:
        writer.write([{"octetDeltaCount": 7}])
        (warning,) = writer.warnings
        assert f"{part.with_suffix('')} was left behind unfinished, cut off behind octet" in warning
        with Writer(tmp_path / name, rotate=Rotation(records=2000), clock=lambda: 1.7e9) as other:
            other.write([{"octetDeltaCount": 8}])
        assert other.warnings == []
    found = {path.name: octets_of(path) for path in tmp_path.iterdir() if path.suffix != ".part"}
    assert [len(octets) for octets in found.values() if len(octets) > 1] in ([2000, 1000], [1000, 2000])
    assert sorted(octets for octets in found.values() if len(octets) == 1) == [[7], [8]]
    assert [path.name for path in tmp_path.glob("*.part")] == ["others-000001.ipfix.part"]


def test_a_kill_before_the_first_flush_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "flows.ipfix").write_bytes(b"mine")
    script = """
        writer = Writer(folder / "flows.ipfix", force=True)
        writer.write(rows(0, 1000))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(script, tmp_path, expect=-signal.SIGKILL)
    assert (tmp_path / "flows.ipfix").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["flows.ipfix", "flows.ipfix.xz"])
def test_a_full_disk_is_one_clear_error_and_the_file_can_be_read_up_to_the_last_flush(
    tmp_path: Path, name: str
) -> None:
    script = f"""
        resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))
        try:
            with Writer(folder / {name!r}, compression=None) as writer:
                writer.write(rows(0, 1000))
                writer.flush()
                for first in range(1000, 10**6, 1000):
                    writer.write(rows(first, first + 1000))
                    writer.add(rows(0, 1)[0])
        except hw.SourceError as bad:
            print(str(bad).removeprefix(str(folder)), bad.__context__ is bad.__cause__)
    """
    assert run(script, tmp_path) == f"/{name} cannot be written: file too large True\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = [row["octetDeltaCount"] for row in hw.records(tmp_path / name)]
    assert found[:1000] == list(range(1000))
    if name == "flows.ipfix":
        read_whole(tmp_path / name)
