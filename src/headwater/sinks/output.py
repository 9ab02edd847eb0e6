"""Where output goes: a file that appears whole or not at all, or stdout."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

from headwater.sinks.ipfix_file import keep_mode, refuse_existing, sync_directory, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOW: Final = "--force replaces it"


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
    if refuse_existing(path, force=force, how=_HOW):
        with writing(destination), path.open("wb") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.part")
    try:  # a signal may come as soon as the file is there
        with writing(destination):
            file = temporary.open("xb")
            keep_mode(path, temporary)
        with file:
            yield file
            with writing(destination):
                file.flush()
                os.fsync(file.fileno())
        with writing(destination):
            refuse_existing(path, force=force, how=_HOW)  # it may have appeared meanwhile
            temporary.replace(path)
            sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
