"""Where the Messages of a Writer go: into one file, into one that exists, or into a series of files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.errors import HeadwaterError
from headwater.process.appending import Existing, existing, finished
from headwater.sinks.ipfix import IpfixFile
from headwater.sinks.ipfix_compression import compression_of, compressor
from headwater.sinks.ipfix_file import Octets, OpenFile, new_file, next_file
from headwater.sinks.ipfix_rotation import Names, Rotation

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.sinks.ipfix_compression import Compressor
    from headwater.sinks.output import Writable


@dataclass(slots=True)
class Target:
    """What is to be written, not opened yet.

    given: a path, "-" for standard output, or a file object. compression: None = what the name says.
    """

    given: str | os.PathLike[str] | Writable
    compression: str | None
    append: bool
    force: bool
    rotation: Rotation | None
    _names: Names | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._check()
        if self.append and (self.path is None or self.rotation is not None):
            what = "a series of files" if self.path is not None else self.name
            raise HeadwaterError(f"append=True adds to a file that has a path, not to {what}")
        if self.append and self.force:
            raise HeadwaterError("append=True adds to a file, force=True replaces it: give one of them")
        if self.rotation is not None and self.path is None:
            raise HeadwaterError(f"rotate= needs the path that files are named by, not {self.name}")
        compression_of(self.name, self.compression)
        if self.rotation is not None and self.path is not None:
            self._names = Names(self.path)

    def _check(self) -> None:
        if not isinstance(self.given, str | os.PathLike) and not hasattr(self.given, "write"):
            raise HeadwaterError(f"cannot write to {self.given!r}: give a path or a file object")
        if isinstance(self.given, io.TextIOBase):
            raise HeadwaterError(f"{self.name} is open in text mode; open it in binary mode, or pass its .buffer")
        if not self.name or "\0" in self.name:
            raise HeadwaterError(f"{self.name!r} is no name of a file")
        if not isinstance(self.rotation, Rotation | None):
            raise HeadwaterError(f"rotate= is a Rotation, not {self.rotation!r}")

    @property
    def path(self) -> Path | None:
        """The path, None for standard output and file objects."""
        if isinstance(self.given, str | os.PathLike) and self.given != "-":
            return Path(self.given)
        return None

    @property
    def name(self) -> str:
        """What users know it by."""
        if isinstance(self.given, str | os.PathLike):
            return "<stdout>" if self.given == "-" else os.fspath(self.given)
        name = getattr(self.given, "name", None)
        return name if isinstance(name, str) else "<stream>"

    def found(self, registry: Registry | None) -> Existing | None:
        """What there is to be added to, None = nothing. Raises SourceError."""
        if not self.append or self.path is None:
            return None
        found = existing(self.path, registry)
        if found is not None and self.compression not in (None, found.compression):
            message = f"{self.path} has compression {found.compression}; {self.compression} cannot be added to it"
            raise HeadwaterError(message)
        return found

    def finish_others(self, registry: Registry | None) -> list[str]:
        """Finish what writers of the same series have left behind that were killed; what is to be told."""
        parts = [] if self._names is None else self._names.unfinished()
        return [told for part in parts if (told := finished(part, registry))]

    def open(self, now: float, found: Existing | None = None) -> IpfixFile:
        """The file, or the next one of the series. Raises SourceError if it cannot be written."""
        if found is not None:
            return found.opened()
        make = self._compressor(self.name)
        if self._names is not None:
            return IpfixFile(next_file(self._names.next(now)), make)
        return IpfixFile(self._octets(), make)

    def _compressor(self, name: str) -> Callable[[], Compressor] | None:
        return compressor(compression_of(name, self.compression))

    def _octets(self) -> Octets:
        if self.path is not None:
            return new_file(self.path, force=self.force or self.append)  # what is added to is empty, or it is not there
        file: Any = sys.stdout.buffer if self.given == "-" else self.given
        return OpenFile(file, self.name, owned=False)
