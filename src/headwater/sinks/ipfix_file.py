"""The octets of one file on their way to the disk: written whole or not at all, and safe once that was confirmed."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from headwater.errors import SourceError
from headwater.sinks.locking import lock

PART: Final = ".part"
"""What stands behind the name of a file of a series while it is written."""


class Octets(Protocol):
    """Where the octets of a file go. name: what users know it by."""

    name: str

    def write(self, octets: bytes | memoryview, /) -> None:
        """Take all of them. Raises SourceError, and then there are none of them in a regular file."""

    def confirm(self) -> None:
        """When this returns, everything written stays, whatever becomes of this process."""

    def close(self) -> None:
        """Confirm, and let go of the file."""

    def abandon(self) -> None:
        """Let go of the file; nothing is left of a new one that was never confirmed."""


class RegularFile:
    """A regular file, which gets its name when it is first confirmed: until then readers see what was there before.

    A write that fails (full disk) is undone, so that the file ends where the one before it did.
    While it is open, no other process can add to it.

    path: its name. partial: its name until it is confirmed; None = it exists with `was` octets, the first `size` stay.
    force: replace what has the name. is_late: it gets its name when it is closed, and `confirm` keeps what was written
    under the other one.
    """

    def __init__(
        self,
        path: Path,
        partial: Path | None,
        *,
        size: int = 0,
        was: int = 0,
        force: bool = False,
        is_late: bool = False,
    ) -> None:
        self.name = str(path)
        self._path, self._partial, self._size = path, partial, size
        self._force, self._is_late = force, is_late
        self._is_confirmed = partial is None
        with writing(self.name):
            self._file = path.open("r+b", buffering=0) if partial is None else partial.open("xb", buffering=0)
            try:
                self._take(was)
                if partial is not None:
                    keep_mode(path, partial)
                self._file.truncate(size)
                self._file.seek(size)
            except BaseException:
                self._file.close()
                raise

    def write(self, octets: bytes | memoryview, /) -> None:
        left = memoryview(octets).cast("B")
        size = self._size + len(left)
        with writing(self.name):
            try:
                while left:
                    left = left[self._file.write(left) :]
            except BaseException:  # a signal may come in between
                self._cut()
                raise
        self._size = size

    def confirm(self) -> None:
        with writing(self.name):
            os.fsync(self._file.fileno())
            if not self._is_late:
                self._give_name()
            elif not self._is_confirmed:
                sync_directory(self._path.parent)
        self._is_confirmed = True

    def close(self) -> None:
        if self._file.closed:
            return
        try:
            with writing(self.name):
                os.fsync(self._file.fileno())
                self._give_name()
            self._is_confirmed = True
        finally:
            self.abandon()

    def abandon(self) -> None:
        self._file.close()
        if not self._is_confirmed and self._partial is not None:
            with contextlib.suppress(OSError):
                self._partial.unlink()

    def _take(self, was: int) -> None:
        """Keep other writers away, and see that none has written since the file was looked at."""
        if lock(self._file.fileno()) is False:
            raise SourceError(f"{self.name} is being written by another process", source=self.name)
        if os.fstat(self._file.fileno()).st_size != was:
            raise SourceError(f"{self.name} was written by another process just now", source=self.name)

    def _give_name(self) -> None:
        if self._partial is None:
            return
        refuse_existing(self._path, force=self._force)  # it may have appeared meanwhile
        self._partial.replace(self._path)
        self._partial = None
        sync_directory(self._path.parent)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._file.truncate(self._size)
            self._file.seek(self._size)


class OpenFile:
    """A file object of the caller's, a device or a pipe: written to as it is.

    owned: whether it is closed with the writer.
    """

    def __init__(self, file: Any, name: str, *, owned: bool) -> None:  # it has write, perhaps flush and fileno
        self.name = name
        self._file, self._owned = file, owned

    def write(self, octets: bytes | memoryview, /) -> None:
        left = memoryview(octets).cast("B")
        with writing(self.name):
            while left:
                count = self._file.write(left)
                left = left[len(left) if count is None else count :]

    def confirm(self) -> None:
        with writing(self.name):
            if hasattr(self._file, "flush"):
                self._file.flush()
            if _is_regular(self._file):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        try:
            self.confirm()
        finally:
            self.abandon()

    def abandon(self) -> None:
        if self._owned:
            with contextlib.suppress(OSError):  # what could not be written was told before
                self._file.close()


def new_file(path: Path, *, force: bool) -> Octets:
    """A file written afresh, or the device or pipe of that name.

    Raises SourceError: it exists and `force` is not given, or it cannot be written.
    """
    with writing(str(path)):
        path = _target(path)
    if refuse_existing(path, force=force):
        with writing(str(path)):
            return OpenFile(path.open("wb", buffering=0), str(path), owned=True)
    return RegularFile(path, path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{PART}"), force=force)


def next_file(path: Path) -> Octets:
    """A file of a series: `path` with `.part` behind it until it is closed, so that consumers find whole ones only."""
    return RegularFile(path, partial_name(path), is_late=True)


def grown_file(path: Path, size: int, was: int) -> Octets:
    """A regular file that exists with `was` octets, written on behind its first `size` octets.

    Raises SourceError: another process writes it, or has.
    """
    return RegularFile(_target(path), None, size=size, was=was)


def partial_name(path: Path) -> Path:
    """The name of a file of a series while it is written."""
    return path.with_name(path.name + PART)


def is_abandoned(path: Path) -> bool:
    """Whether nobody writes the file, which was not finished."""
    try:
        with path.open("r+b", buffering=0) as file:
            return lock(file.fileno()) is not False
    except OSError:
        return False


def give_final_name(path: Path) -> Path | None:
    """Let a file of a series have its name for good; None if that is taken."""
    final = path.with_name(path.name.removesuffix(PART))
    if final.exists():
        return None
    with writing(str(path)):
        path.rename(final)
    sync_directory(path.parent)
    return final


def refuse_existing(path: Path, *, force: bool, how: str = "force=True replaces it, append=True adds to it") -> bool:
    """Whether the path is a device or a pipe. Raises SourceError if it is what should not be replaced.

    how: what the user can do to have it replaced.
    """
    with writing(str(path)):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return False
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path} is a directory; give the name of a file", source=str(path))
    if not stat.S_ISREG(mode):
        return True
    if not force:
        raise SourceError(f"{path} exists; {how}", source=str(path))
    return False


def keep_mode(path: Path, successor: Path) -> None:
    """Let a file be read by those only who may read the one that it is to replace, if there is one."""
    with contextlib.suppress(OSError):  # there is none, or the file system has no modes
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            successor.chmod(stat.S_IMODE(mode))


@contextlib.contextmanager
def writing(name: str) -> Iterator[None]:
    """Errors of the operating system as one sentence that names the file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as bad:
        if isinstance(bad, SourceError):
            raise
        why = (bad.strerror or str(bad)).lower()
        raise SourceError(f"{name} cannot be written: {why}", source=name) from bad


def sync_directory(directory: Path) -> None:
    """Make a new name last."""
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _target(path: Path) -> Path:
    """What a link points to is written, not the link replaced."""
    return path.resolve() if path.is_symlink() else path


def _is_regular(file: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False
