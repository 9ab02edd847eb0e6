"""A segment's file: a full disk holds it up but costs nothing, and it has its name when it is whole and on the disk.

While it is written it is `.NAME.part`, locked, beside its name to be. A part that nobody has locked is what is left of
a process that was cut off: `set_aside` renames it to `NAME.torn`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from headwater.sinks.held_octets import HeldOctets
from headwater.sinks.ipfix_file import PART
from headwater.sinks.locking import lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TORN: Final = ".torn"
_STEM: Final = r"\.\d{8}T\d{6}Z-\d+-\d+"
_CHUNK: Final = 1 << 20
_STEP: Final = 8 << 20
_CACHED: Final = 64 << 20
_MODE: Final = 0o666
_CANNOT: Final = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""Of a file system whose folders have no fsync."""


_advise: Final = getattr(os, "posix_fadvise", None)


class SegmentGone(OSError):
    """Somebody deleted or moved the file while it was written: there is nothing left to finish."""


class SegmentFile:
    """The file of a segment. Nothing is made before there are octets to put down.

    paths: names it may have, the best first, without end; it gets the first that is free.
    records: what it holds, for whoever counts. Only one thread at a time may use it.
    """

    def __init__(self, paths: Iterator[Path]) -> None:
        self.records = 0
        self._paths = paths
        self._octets = HeldOctets(self._put)
        self._path = self._part = Path()
        self._handle = -1
        self._on_disk = self._begun = 0
        self._made: list[Path] = []
        self._is_named = self._is_doubtful = False

    @property
    def position(self) -> int:
        """Octets that were written, on the disk or not yet."""
        return self._octets.given

    @property
    def held(self) -> int:
        """Octets that wait in memory for the disk to take them."""
        return self._octets.held

    @property
    def path(self) -> Path:
        """The name it has, once it is finished."""
        return self._path

    def write(self, octets: bytes | memoryview) -> int:
        """Take octets; how many. Never fails, `put_down` tells what is wrong."""
        return self._octets.write(octets)

    def put_down(self) -> None:
        """Hand everything written to the system. Raises OSError; nothing is lost then, and it can be tried again."""
        self._octets.put_down()

    def finish(self) -> None:
        """Have everything on the disk under the final name. Raises OSError, and can be tried again then.

        Raises SegmentGone if that can never be.
        """
        self._octets.put_down()
        if not self._is_named:
            self._sync()
            self._give_name()
            self._is_named = True
        for folder in (self._path.parent, *self._made):
            _sync_folder(folder)
        self._close()

    def give_up(self) -> None:
        """Put down what can be, and leave it as a torn file. Raises nothing."""
        with contextlib.suppress(OSError):
            self._octets.put_down()
        self._octets.drop()
        if self._handle >= 0 and not self._is_named:
            with contextlib.suppress(OSError):
                _rename_torn(self._part)
        self._close()

    def _put(self, pieces: Sequence[bytes | memoryview]) -> int:
        """A write that is cut off in the middle is made again at the same position."""
        if self._handle < 0:
            self._create()
        count = os.pwritev(self._handle, pieces, self._on_disk)
        self._on_disk += count
        if self._on_disk - self._begun >= _STEP:
            self._ease()
        return count

    def _ease(self) -> None:
        """Have the disk begin now, not when memory is full of octets that it has not got, and writers must wait for it.

        Memory of what it has got long since is given back, so that what comes next finds pages which are warm: at
        260 MB/s a write of 4 MiB took 1.5 ms so, 15 ms without. The newest octets stay, for those who read segments.
        """
        begun, self._begun = self._begun, self._on_disk
        if _advise is None:
            return
        with contextlib.suppress(OSError):  # a file system that does not know that
            _advise(self._handle, begun, self._begun - begun, os.POSIX_FADV_DONTNEED)
            if begun > _CACHED:
                _advise(self._handle, max(begun - 2 * _CACHED, 0), begun - _CACHED, os.POSIX_FADV_DONTNEED)

    def _create(self) -> None:
        for path in self._paths:
            self._make_folder(path.parent)
            part = part_of(path)
            if os.path.lexists(path):
                continue
            try:
                handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), _MODE)
            except FileExistsError:
                continue
            if lock(handle) is not False and _is_at(handle, part):
                self._handle, self._path, self._part = handle, path, part
                return
            os.close(handle)  # another process took it for torn before it was locked

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):  # of another process; if it is no folder, opening a file tells
                path.mkdir()
            self._made.append(path.parent)

    def _sync(self) -> None:
        """After a failed fsync the system may take what it has not written for written: it is written once more."""
        if self._is_doubtful:
            for at in range(0, self._on_disk, _CHUNK):
                piece = os.pread(self._handle, min(_CHUNK, self._on_disk - at), at)
                while piece:
                    count = os.pwrite(self._handle, piece, at)
                    piece, at = piece[count:], at + count
        self._is_doubtful = True
        os.fsync(self._handle)
        self._is_doubtful = False

    def _give_name(self) -> None:
        """Nobody of us takes the name while we have its part; others might have."""
        if not _is_at(self._handle, self._part):
            raise SegmentGone(f"{self._part} was deleted or moved while it was written")
        while os.path.lexists(self._path):
            self._path = next(path for path in self._paths)
        self._part.rename(self._path)

    def _close(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            with contextlib.suppress(OSError):  # it is on the disk already
                os.close(handle)


class Torn(NamedTuple):
    """A file that was cut off. path: what it is called now. octets: its size."""

    path: Path
    octets: int

    def __str__(self) -> str:
        return f"{self.path} ({self.octets} octets) was cut off while it was written and has been set aside"


def part_of(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f".{path.name}{PART}")


def set_aside(folder: Path, suffix: str) -> list[Torn]:
    """Rename the segments with that suffix, here and in folders below, that were cut off; what those of others are.

    Parts that another process is writing stay; empty ones are removed.
    """
    name = re.compile(f"{_STEM}.*{re.escape(suffix + PART)}")
    torn = []
    for where, _, files in os.walk(folder):
        for part in sorted(Path(where, file) for file in files if name.fullmatch(file)):
            with contextlib.suppress(OSError):  # it has got its name just now, or nobody may touch it
                found = _set_aside(part)
                torn += [found] if found is not None else []
    return torn


def _set_aside(part: Path) -> Torn | None:
    handle = os.open(part, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        if lock(handle) is not True or not _is_at(handle, part):
            return None
        octets = os.fstat(handle).st_size
        if octets:
            return Torn(_rename_torn(part), octets)
        part.unlink()
        return None
    finally:
        os.close(handle)


def _rename_torn(part: Path) -> Path:
    name = part.name.removeprefix(".").removesuffix(PART) + TORN
    path, number = part.with_name(name), 0
    while os.path.lexists(path):
        number += 1
        path = part.with_name(f"{name}{number}")
    part.rename(path)
    return path


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is what has that name."""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _sync_folder(folder: Path) -> None:
    """Make names in it last. Raises OSError if they may not."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # somebody has moved it, with what is in it
        return
    try:
        os.fsync(handle)
    except OSError as bad:
        if bad.errno not in _CANNOT:
            raise
    finally:
        os.close(handle)
