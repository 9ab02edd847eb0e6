"""Files, streams and memory as sources of flow export: found, told apart by content, opened (RFC 5655 §10)."""

from __future__ import annotations

import glob
import io
import mmap
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from headwater.errors import SourceError
from headwater.transport.compression import Decompressed, codec_of
from headwater.transport.content import HEAD, Content, ForeignContent, content_of, describe_foreign
from headwater.transport.raw import RawStream, unreadable
from headwater.transport.windows import WINDOW, MappedWindows, StreamWindows, Windows

_OCTETS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Source:
    """One file, stream or piece of memory, not opened yet.

    name: what users know it by. path: of a file, or None with what was given in `given`.
    size: octets where they are known without opening it.
    is_optional: found by a search, so it is no error if it is something else.
    """

    name: str
    path: str | None = None
    given: Any = None
    size: int | None = None
    is_optional: bool = False

    @property
    def can_be_read_twice(self) -> bool:
        """Whether it is still there when it has been read."""
        return isinstance(self.given, memoryview) or (self.path is not None and self.size is not None)


def find_sources(given: Any) -> Iterator[Source]:  # what hw.read takes
    """Sources of a path, "-", a glob pattern, a directory, a file object, bytes, or a list of these.

    Raises SourceError: nothing there; TypeError: nothing of that kind can be read.
    """
    if isinstance(given, str | os.PathLike):
        yield from _find_path(os.fsdecode(given))
    elif (octets := _memory(given)) is not None:
        yield Source("<bytes>", given=octets, size=len(octets))
    elif hasattr(given, "read"):
        name = getattr(given, "name", None)
        yield Source(_shown(name) if isinstance(name, str) else "<stream>", given=given)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from find_sources(one)
    else:
        kinds = "a path, a file object, bytes, or a list of these"
        raise TypeError(f"cannot read from {type(given).__name__}: give {kinds}")


def open_source(source: Source, *, window: int = WINDOW, trust: bool = False) -> Windows:
    """The octets of `source`, decompressed.

    trust: take content that is not known to be something else for IPFIX with a damaged beginning.
    Raises SourceError if it cannot be read, ForeignContent if it holds something else.
    """
    if isinstance(source.given, memoryview):
        head = bytes(source.given[:HEAD])
        if codec_of(head, source.name) is not None:
            raw = RawStream(io.BytesIO(source.given), source.name, owned=True)
            raw.size = source.size
            return _open_stream(raw, window, trust)
        content = _check(head, source.name, trust)
        return _with(MappedWindows(source.given, window=window), content)
    if source.path is None:
        return _open_stream(RawStream(source.given, source.name, owned=False), window, trust)
    try:
        file = Path(source.path).open("rb", buffering=0)  # noqa: SIM115  # closed by whoever takes it over
    except OSError as bad:
        raise unreadable(source.name, bad) from None
    try:
        return _open_file(file, source.name, window, trust)
    except BaseException:
        file.close()
        raise


def _open_file(file: IO[bytes], name: str, window: int, trust: bool) -> Windows:
    raw = RawStream(file, name, owned=True)
    if raw.is_live:
        return _open_stream(raw, window, trust)
    head = raw.peek(HEAD)
    if codec_of(head, name) is not None:
        return _open_stream(raw, window, trust)
    content = _check(head, name, trust)
    try:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # file systems without maps
        return _with(StreamWindows(raw, raw, window=window), content)
    file.close()
    return _with(MappedWindows(memoryview(mapping), window=window, mapping=mapping), content)


def _open_stream(raw: RawStream, window: int, trust: bool) -> Windows:
    codec = codec_of(raw.peek(HEAD), raw.name)
    if codec is None:
        content = _check(raw.peek(HEAD), raw.name, trust)
        return _with(StreamWindows(raw, raw, window=window), content)
    windows = StreamWindows(Decompressed(codec, raw), raw, window=window, compression=codec.name)
    head = windows.head()
    if head or not windows.faults:  # else it is damaged before its first octet, and that is told as a fault
        windows.content = _check(head, raw.name, trust, codec.name)
    return windows


def _with(windows: MappedWindows | StreamWindows, content: Content) -> Windows:
    windows.content = content
    return windows


def _check(head: bytes, name: str, trust: bool, compression: str = "") -> Content:
    """What begins with `head`. Raises ForeignContent unless that is read."""
    content = content_of(head)
    if content is not None:
        return content
    within = f" inside {compression}" if compression else ""
    if not head:
        raise ForeignContent(f"{name} is empty{within}", source=name)
    what = describe_foreign(head)
    if what:
        what = what.replace(";", f"{within};", 1) if ";" in what else what + within
        raise ForeignContent(f"{name} holds no flow export: it looks like {what}", source=name)
    if not trust:
        first = head[:_OCTETS_SHOWN].hex(" ")
        raise ForeignContent(f"{name} holds no flow export: it begins with the octets {first}{within}", source=name)
    return Content.IPFIX


def _find_path(path: str) -> Iterator[Source]:
    if path == "-":
        yield Source("<stdin>", given=sys.stdin.buffer)
        return
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as bad:  # ValueError: a null character
        if glob.has_magic(path):
            yield from _find_pattern(path)
            return
        raise unreadable(_shown(path), bad if isinstance(bad, OSError) else FileNotFoundError()) from None
    if stat.S_ISDIR(status.st_mode):
        yield from _find_below(path)
    else:
        yield Source(_shown(path), path, size=status.st_size if stat.S_ISREG(status.st_mode) else None)


def _find_pattern(pattern: str) -> Iterator[Source]:
    found = False
    for path in sorted(glob.iglob(pattern, recursive=True)):  # noqa: PTH207  # absolute patterns too
        for source in _optional_file(path):
            found = True
            yield source
    if not found:
        raise SourceError(f"no file matches {_shown(pattern)}", source=pattern)


def _find_below(directory: str) -> Iterator[Source]:
    found = False
    for folder, below, names in os.walk(directory):
        below.sort()
        for name in sorted(names):
            for source in _optional_file(str(Path(folder, name))):
                found = True
                yield source
    if not found:
        raise SourceError(f"{_shown(directory)} has no files", source=directory)


def _optional_file(path: str) -> Iterator[Source]:
    try:
        status = Path(path).stat()
    except OSError:  # gone, or a link to nowhere
        return
    if stat.S_ISREG(status.st_mode):
        yield Source(_shown(path), path, size=status.st_size, is_optional=True)


def _shown(name: str) -> str:
    """A name that is safe on a terminal."""
    return name if name.isprintable() else repr(name)


def _memory(given: Any) -> memoryview | None:
    try:
        view = memoryview(given)
    except TypeError:
        return None
    return view.cast("B") if view.nbytes else memoryview(b"")
