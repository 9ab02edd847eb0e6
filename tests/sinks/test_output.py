"""Output files appear whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from headwater.errors import SourceError
from headwater.sinks.output import open_output


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with open_output(str(target)) as file:
        file.write(b"half")
        assert not target.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


def fail_to_write(target: str, error: BaseException, *, force: bool = False) -> None:
    with open_output(target, force=force) as file:
        file.write(b"half")
        raise error


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_to_write(str(tmp_path / "out.bin"), KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_what_exists_stays_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"mine")
    with pytest.raises(SourceError, match="exists; --force"), open_output(str(target)):
        pass
    with pytest.raises(RuntimeError):
        fail_to_write(str(target), RuntimeError(), force=True)
    assert target.read_bytes() == b"mine"
    with open_output(str(target), force=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


def test_who_may_read_a_file_may_read_what_replaces_it_and_nobody_else(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"mine")
    target.chmod(0o600)
    with open_output(str(target), force=True) as file:
        file.write(b"new")
        (temporary,) = set(tmp_path.iterdir()) - {target}
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_what_appears_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    context = open_output(str(target))
    context.__enter__().write(b"ours")
    target.write_bytes(b"theirs")
    with pytest.raises(SourceError, match="exists"):
        context.__exit__(None, None, None)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"theirs"]


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    with open_output(str(tmp_path / "link.bin"), force=True) as file:
        file.write(b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="needs pipes with names")
def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "pipe"
    os.mkfifo(target)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(target.read_bytes()))
    reader.start()
    with open_output(str(target)) as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO(target.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with open_output(str(tmp_path / "out.bin")):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.bin").stat().st_mode) == 0o640


@pytest.mark.parametrize("target", [".", "/nowhere/out.bin", "file/out.bin"])
def test_impossible_places_are_refused(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError), open_output(target):
        pass
