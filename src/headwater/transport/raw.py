"""A file object as a source of octets: with a look ahead, and with errors that name it."""

from __future__ import annotations

import importlib
import io
import os
import stat
from contextlib import suppress
from typing import Any

from headwater.errors import SourceError

_LIVE_HEAD = 8
_PIPE = 1 << 20  # the most that Linux allows without privileges


class RawStream:
    """Reads a file object that may have no more than `read(n)`.

    is_live: a pipe, terminal or socket, which is read as octets come instead of waiting for a full buffer.
    position: octets handed out since the start.
    """

    def __init__(self, file: Any, name: str, *, owned: bool) -> None:  # any file object
        self.name, self.position = name, 0
        self.size, self.is_live = _facts(file)
        self._file, self._owned = file, owned
        self._fill = getattr(file, "readinto1", None) or getattr(file, "readinto", None)
        self._ahead = b""
        self._origin = _tell(file)
        if isinstance(file, io.TextIOBase):
            raise SourceError(f"{name} is open in text mode; open it in binary mode, or pass its .buffer", source=name)

    @property
    def is_seekable(self) -> bool:
        """Whether `seek` works."""
        return self._origin is not None

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view` from one read; how many octets, 0 at the end."""
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
        else:
            count = self._readinto(view)
        self.position += count
        return count

    def read(self, size: int) -> bytes:
        """Up to `size` octets, b"" at the end."""
        octets = bytearray(size)
        count = self.readinto(memoryview(octets))
        return bytes(memoryview(octets)[:count])

    def peek(self, size: int) -> bytes:
        """The next `size` octets, fewer at the end; a live stream is not waited for once it has sent a few."""
        wanted = min(size, _LIVE_HEAD) if self.is_live else size
        octets = bytearray(size)
        while len(self._ahead) < wanted and (count := self._readinto(memoryview(octets))):
            self._ahead += octets[:count]
        return self._ahead[:size]

    def seek(self, position: int) -> None:
        """Go back to `position`."""
        assert self._origin is not None
        self._file.seek(self._origin + position)
        self.position, self._ahead = position, b""

    def close(self) -> None:
        """Close the file if it is ours."""
        if self._owned:
            self._file.close()

    def _readinto(self, view: memoryview) -> int:
        try:
            if self._fill is not None:
                count = self._fill(view)
                octets = b""
            else:
                octets = self._file.read(len(view))
                count = len(octets)
        except OSError as bad:
            raise unreadable(self.name, bad) from None
        if count is None or isinstance(octets, str):
            mode = "text" if isinstance(octets, str) else "non-blocking"
            raise SourceError(f"{self.name} is open in {mode} mode; open it in binary, blocking mode", source=self.name)
        if octets:
            view[:count] = octets
        return int(count)


def unreadable(name: str, bad: OSError) -> SourceError:
    """One sentence for what the operating system says."""
    if isinstance(bad, FileNotFoundError):
        return SourceError(f"{name} does not exist", source=name)
    reason = "permission denied" if isinstance(bad, PermissionError) else bad.strerror or str(bad)
    return SourceError(f"{name} cannot be read: {reason}", source=name)


def _facts(file: Any) -> tuple[int | None, bool]:
    """(octets from here to the end where they are known, is live)."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None, False
    mode = status.st_mode
    if stat.S_ISFIFO(mode):
        _widen(file)
    if stat.S_ISREG(mode):
        return max(status.st_size - (_tell(file) or 0), 0), False
    return None, True


def _widen(pipe: Any) -> None:
    """Let the writer run ahead: a pipe of 64 KiB means small windows and a tenth of the speed."""
    with suppress(ImportError, AttributeError, OSError):  # not Linux, or not allowed
        fcntl = importlib.import_module("fcntl")
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


def _tell(file: Any) -> int | None:
    try:
        return int(file.tell()) if file.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None
