"""The files of a folder: which are complete and new, and which were taken, also by a process before this one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from headwater.errors import HeadwaterError
from headwater.sinks.output import open_output

_VERSION: Final = 1


class Stamp(NamedTuple):
    """What tells one state of a file from another. changed: nanoseconds since 1970."""

    inode: int
    size: int
    changed: int


class Followed:
    """A folder whose files are taken once each.

    state: a folder in which it is written down what was taken, None = nowhere. settle: seconds that a file must not
    have changed. warnings: what people should know.
    """

    def __init__(
        self,
        folder: Path,
        pattern: str,
        *,
        settle: float,
        state: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.warnings: list[str] = []
        self._folder, self._pattern, self._settle = folder, pattern, settle
        self._monotonic, self._clock = monotonic, clock
        self._taken: dict[str, Stamp] = {}
        self._not_stored: set[str] = set()
        self._seen: dict[str, tuple[Stamp, float]] = {}
        self._path: Path | None = None
        if state is not None:
            mark = sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
            self._path = state / f"followed-{mark}.json"
            self._load(self._path)

    def complete(self) -> Iterator[tuple[Path, Stamp]]:
        """Files that are new and complete, in the order of their names. Raises OSError if the folder is gone."""
        now = self._monotonic()
        found = self._stamps()
        self._taken = {name: stamp for name, stamp in self._taken.items() if name in found}
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        self._not_stored &= found.keys()
        for name in sorted(found):
            stamp = found[name]
            if not stamp.size or not self._is_new(name, stamp):
                continue
            since = self._seen.get(name)
            if since is None or since[0] != stamp:
                since = self._seen[name] = stamp, now
            is_old = self._clock() - stamp.changed / 1e9 >= self._settle
            path = self._folder / name
            if (is_old or now - since[1] >= self._settle) and not _is_being_written(path):
                yield path, stamp

    def take(self, path: Path, stamp: Stamp, *, is_stored: bool = True) -> None:
        """A file needs not be taken again; one that is not stored, not by this process."""
        self._taken[path.name] = stamp
        self._seen.pop(path.name, None)
        (self._not_stored.discard if is_stored else self._not_stored.add)(path.name)

    def save(self) -> None:
        """Write down what was taken."""
        if self._path is None:
            return
        taken = {name: list(stamp) for name, stamp in self._taken.items() if name not in self._not_stored}
        octets = json.dumps({"version": _VERSION, "folder": str(self._folder), "taken": taken}).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open_output(str(self._path), force=True) as file:
                file.write(octets)
        except OSError as bad:
            self._warn(f"what was taken of {self._folder} cannot be written down, and may be taken again: {bad}")

    def _is_new(self, name: str, stamp: Stamp) -> bool:
        taken = self._taken.get(name)
        if taken is None or stamp == taken:
            return taken is None
        if stamp.inode == taken.inode and stamp.size > taken.size:
            self._warn(f"{self._folder / name} has grown after it was taken: what is new in it is not read")
            self._taken[name] = stamp
            return False
        return stamp[:2] != taken[:2]  # only touched, or moved away and back

    def _stamps(self) -> dict[str, Stamp]:
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not fnmatchcase(entry.name, self._pattern):
                    continue
                with suppress(OSError):  # gone meanwhile
                    if entry.is_file():
                        status = entry.stat()
                        found[entry.name] = Stamp(status.st_ino, status.st_size, status.st_mtime_ns)
        return found

    def _load(self, path: Path) -> None:
        try:
            found = json.loads(path.read_bytes())
            if found["version"] != _VERSION:
                raise HeadwaterError(f"it has version {found['version']}")
            self._taken = {str(name): Stamp(*map(int, stamp)) for name, stamp in found["taken"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, HeadwaterError) as bad:
            self._taken = {}
            self._warn(f"{path} is not used, so files may be taken again: {bad}")

    def _warn(self, what: str) -> None:
        if what not in self.warnings and len(self.warnings) < 100:
            self.warnings.append(what)


def _is_being_written(path: Path) -> bool:
    """Whether somebody has the file open for writing, as far as the system tells: Linux, and files of our user."""
    try:
        fcntl = import_module("fcntl")
        lease, signal = fcntl.F_SETLEASE, import_module("signal").SIGURG
    except (ImportError, AttributeError):
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # who opens it for writing in this moment has the kernel send a signal, of which SIGURG is one that does nothing
        fcntl.fcntl(handle, 10, signal)  # F_SETSIG
        fcntl.fcntl(handle, lease, fcntl.F_RDLCK)
        fcntl.fcntl(handle, lease, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # a file of another user, or a file system that has no leases
        return False
    finally:
        os.close(handle)
    return False
