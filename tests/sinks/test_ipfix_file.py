"""IPFIX files come into being whole, keep what was confirmed, and end with a whole Message when the disk is full."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.errors import HeadwaterError, SourceError
from headwater.session.outgoing import Outgoing
from headwater.sinks.ipfix import IpfixFile
from headwater.sinks.ipfix_compression import SUFFIXES, compression_of, compressor
from headwater.sinks.ipfix_file import OpenFile, grown_file, new_file, next_file
from tests.build import FLOW_NAMES, flow_values, flows

ROOT = Path(__file__).resolve().parent.parent.parent


def outgoing(messages: Sequence[bytes], records: int = 0) -> Outgoing:
    octets = np.frombuffer(b"".join(messages), np.uint8)
    return Outgoing(octets, np.array([0, *accumulate(map(len, messages))], np.int32), records)


FLOWS = flows(300)
FIRST, REST = outgoing(FLOWS[:3], 74), outgoing(FLOWS[3:], 226)


def rows_of(path: Path) -> list[tuple[int, ...]]:
    return [row for batch in hw.read(path, select=FLOW_NAMES) for row in batch.tuples()]


def test_a_new_file_has_its_name_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    file = IpfixFile(new_file(path, force=False))
    file.write(FIRST)
    assert not path.exists()
    file.write(REST)
    assert file.octets == sum(map(len, FLOWS))
    file.close()
    assert path.read_bytes() == b"".join(FLOWS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_flush_gives_a_new_file_its_name_and_writing_goes_on_in_it(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    file = IpfixFile(new_file(path, force=False))
    file.write(FIRST)
    file.flush()
    assert path.read_bytes() == bytes(FIRST)
    file.write(REST)
    file.close()
    assert path.read_bytes() == b"".join(FLOWS)
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_an_abandoned_file_but_what_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    file = IpfixFile(new_file(path, force=False))
    file.write(FIRST)
    file.abandon()
    assert list(tmp_path.iterdir()) == []
    file = IpfixFile(new_file(path, force=False))
    file.write(FIRST)
    file.flush()
    file.abandon()
    assert path.read_bytes() == bytes(FIRST)


def test_what_exists_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(b"mine")
    with pytest.raises(SourceError, match="exists; force=True replaces it, append=True adds to it"):
        new_file(path, force=False)
    file = IpfixFile(new_file(path, force=True))
    file.write(FIRST)
    assert path.read_bytes() == b"mine"
    file.close()
    assert path.read_bytes() == bytes(FIRST)


def test_who_may_read_a_file_may_read_what_replaces_it_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(b"mine")
    path.chmod(0o600)
    new_file(path, force=True).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    file = IpfixFile(new_file(path, force=False))
    file.write(FIRST)
    path.write_bytes(b"theirs")
    with pytest.raises(SourceError, match="exists"):
        file.close()
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"theirs"]


def test_what_a_link_points_to_is_replaced_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "real.ipfix").write_bytes(b"old")
    link = tmp_path / "link.ipfix"
    link.symlink_to("real.ipfix")
    file = IpfixFile(new_file(link, force=True))
    file.write(FIRST)
    file.close()
    assert link.is_symlink()
    assert (tmp_path / "real.ipfix").read_bytes() == bytes(FIRST)


def test_directories_and_missing_folders_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a directory; give the name of a file"):
        new_file(tmp_path, force=True)
    with pytest.raises(SourceError, match=r"cannot be written: no such file or directory") as caught:
        new_file(tmp_path / "none" / "flows.ipfix", force=False)
    assert caught.value.source == str(tmp_path / "none" / "flows.ipfix")


def test_a_device_is_written_to_as_it_is() -> None:
    file = IpfixFile(new_file(Path(os.devnull), force=False))
    file.write(FIRST)
    file.flush()
    file.close()
    assert Path(os.devnull).is_char_device()


def test_a_file_object_is_written_to_and_stays_open() -> None:
    stream = io.BytesIO()
    file = IpfixFile(OpenFile(stream, "<stream>", owned=False))
    file.write(FIRST)
    file.flush()
    file.write(REST)
    file.close()
    assert stream.getvalue() == b"".join(FLOWS)


def test_a_file_object_may_take_fewer_octets_at_a_time() -> None:
    class Slow(io.BytesIO):
        def write(self, octets: Any, /) -> int:
            return super().write(bytes(octets[:1000]))

    stream = Slow()
    IpfixFile(OpenFile(stream, "<stream>", owned=False)).write(REST)
    assert stream.getvalue() == bytes(REST)


def test_a_file_of_a_series_has_part_in_its_name_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    file = IpfixFile(next_file(path))
    file.write(FIRST)
    file.flush()
    assert [one.name for one in tmp_path.iterdir()] == ["flows.ipfix.part"]
    assert (tmp_path / "flows.ipfix.part").read_bytes() == bytes(FIRST)
    file.close()
    assert [one.name for one in tmp_path.iterdir()] == ["flows.ipfix"]


def test_a_file_that_exists_is_written_on_behind_what_is_to_stay(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(bytes(FIRST) + b"torn")
    file = IpfixFile(grown_file(path, len(bytes(FIRST)), len(bytes(FIRST)) + 4))
    file.write(REST)
    file.close()
    assert path.read_bytes() == b"".join(FLOWS)


def test_a_file_that_another_writer_has_open_or_has_changed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    first = IpfixFile(new_file(path, force=False))
    first.write(FIRST)
    first.flush()
    with pytest.raises(SourceError, match="is being written by another process"):
        grown_file(path, path.stat().st_size, path.stat().st_size)
    first.close()
    with pytest.raises(SourceError, match="was written by another process just now"):
        grown_file(path, path.stat().st_size, path.stat().st_size - 1)
    assert path.read_bytes() == bytes(FIRST)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_flush_of_a_compressed_file_leaves_a_file_that_every_reader_takes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flows.ipfix{suffix}"
    make = compressor(compression_of(path.name, None))
    file = IpfixFile(new_file(path, force=False), make)
    file.write(FIRST)
    file.flush()
    with hw.read(path) as reading:
        assert sum(batch.num_rows for batch in reading) == 74
        assert not reading.report.faults
        assert reading.report.sources[0].compression == SUFFIXES[suffix]
    file.flush()
    file.write(REST)
    file.close()
    assert rows_of(path) == flow_values(300)
    assert path.stat().st_size < len(b"".join(FLOWS))


def test_the_compression_is_what_the_name_says_or_what_is_asked_for() -> None:
    assert compression_of("flows.ipfix", None) == "none"
    assert compression_of("FLOWS.IPFIX.GZ", None) == "gzip"
    assert compression_of("flows.ipfix.gz", "none") == "none"
    assert compression_of("flows.ipfix", "zstd") == "zstd"
    with pytest.raises(HeadwaterError, match="compression must be one of gzip, bzip2, xz, zstd, lz4, none, or None"):
        compression_of("flows.ipfix", "brotli")


def in_small_file_system(script: str, folder: Path, limit: int) -> str:
    """Run a script that cannot make files larger than `limit`; what it prints."""
    before = f"""
        import resource
        from pathlib import Path
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        folder = Path({str(folder)!r})
    """
    program = textwrap.dedent(before) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-B", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_write_that_fails_leaves_the_messages_before_it_and_ends_the_file(tmp_path: Path) -> None:
    script = """
        from headwater.errors import SourceError
        from headwater.sinks.ipfix import IpfixFile
        from headwater.sinks.ipfix_file import new_file
        from tests.sinks.test_ipfix_file import FIRST, REST
        file = IpfixFile(new_file(folder / "flows.ipfix", force=False))
        file.write(FIRST)
        for _ in range(2):
            try:
                file.write(REST)
            except SourceError as bad:
                print(str(bad).removeprefix(str(folder)))
        try:
            file.flush()
        except SourceError as bad:
            print(str(bad).removeprefix(str(folder)))
        file.close()
    """
    told = in_small_file_system(script, tmp_path, 8000)
    assert told.splitlines() == [
        "/flows.ipfix cannot be written: file too large",
        "/flows.ipfix could not be written, and has ended",
        "/flows.ipfix could not be written, and has ended",
    ]
    assert (tmp_path / "flows.ipfix").read_bytes() == bytes(FIRST)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_compressed_file_that_cannot_grow_can_be_read_up_to_the_last_flush(tmp_path: Path, suffix: str) -> None:
    script = f"""
        from headwater.errors import SourceError
        from headwater.sinks.ipfix import IpfixFile
        from headwater.sinks.ipfix_compression import compressor, SUFFIXES
        from headwater.sinks.ipfix_file import new_file
        from tests.sinks.test_ipfix_file import FIRST, REST
        file = IpfixFile(new_file(folder / "flows.ipfix", force=False), compressor(SUFFIXES[{suffix!r}]))
        file.write(FIRST)
        file.flush()
        try:
            file.write(REST)
            file.close()
        except SourceError as bad:
            print(str(bad).removeprefix(str(folder)))
        file.close()
    """
    told = in_small_file_system(script, tmp_path, 4000)
    assert told.splitlines() == ["/flows.ipfix cannot be written: file too large"]
    assert rows_of(tmp_path / "flows.ipfix")[:74] == flow_values(300)[:74]
