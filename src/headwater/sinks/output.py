"""Where output goes: a file that appears whole or not at all, or stdout."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from headwater.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Writable(Protocol):
    """What sinks write to."""

    def write(self, octets: bytes, /) -> object:
        """Take octets."""


@contextlib.contextmanager
def open_output(destination: str, *, force: bool = False) -> Iterator[IO[bytes]]:
    """A file for the output; "-" is stdout.

    A regular file gets its name only when all is written and on the disk; when something goes wrong nothing is left
    of it. Devices and pipes are written to as they are.
    Raises SourceError: it exists and `force` is not given, or it cannot be written.
    """
    if destination == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(destination)
    if path.is_symlink():  # what it points to is replaced, not the link
        path = path.resolve()
    if _is_special(path, force=force):
        with _writable(destination), path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.part")
    try:  # a signal may come as soon as the file is there
        with _writable(destination):
            file = temporary.open("xb")
        with file:
            yield file
            with _writable(destination):
                file.flush()
                os.fsync(file.fileno())
        with _writable(destination):
            _is_special(path, force=force)  # it may have appeared meanwhile
            temporary.replace(path)
            _sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _is_special(path: Path, *, force: bool) -> bool:
    """Whether the path is something that cannot be replaced by a file. Raises SourceError if it should not be."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError as bad:
        raise _refusal(str(path), bad) from None
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path} is a directory; give the name of a file", source=str(path))
    if not stat.S_ISREG(mode):
        return True
    if not force:
        raise SourceError(f"{path} exists; --force replaces it", source=str(path))
    return False


@contextlib.contextmanager
def _writable(destination: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as bad:
        if isinstance(bad, SourceError):
            raise
        raise _refusal(destination, bad) from None


def _refusal(destination: str, bad: OSError) -> SourceError:
    return SourceError(f"{destination} cannot be written: {(bad.strerror or str(bad)).lower()}", source=destination)


def _sync_directory(directory: Path) -> None:
    """Make the new name last."""
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
