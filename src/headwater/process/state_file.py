"""StateFile: what a Collecting Process has learned, in a file, so that it decodes from the first packet after a start.

The file is two lines of JSON: a header with the format, its version, the time, the length of the second line in octets
and the SHA-256 of it; then the Templates and the option records. It is replaced as a whole or not at all: written
beside the old one, flushed to the disk and renamed. Nobody but its owner can read it.

What is read is trusted as little as what comes over a network: any octets whatever give a state, if need be an empty
one with a sentence that tells why, and never an exception.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from headwater.batch.option_cells import CELL_LIMIT
from headwater.batch.option_versions import VERSIONS_KEPT
from headwater.batch.options_tables import SavedOption
from headwater.batch.scopes import KEYS_LIMIT, Kind
from headwater.errors import SourceError
from headwater.session.key import SessionKey
from headwater.session.saved import SavedTemplate

FORMAT: Final = "headwater-state"
FORMAT_VERSION: Final = 1

OCTETS_LIMIT: Final = 256 << 20
"""Octets of the largest state file that is read or written."""

_HEADER_LIMIT: Final = 1024
_KEPT_ASIDE: Final = 9
_NO_NUMBER: Final = "it has a number that no element can have"


@dataclass(frozen=True, slots=True)
class StateWarning:
    """Why a state file was not used. path: the file. reason: what is wrong with it, as the end of a sentence."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"the state file {self.path} is not used, so Templates and options are learned anew: {self.reason}"


@dataclass(frozen=True, slots=True)
class State:
    """What was known when the state was saved.

    saved_at: when, Unix seconds; 0 = there is no state. warning: why there is none although there is a file.
    """

    templates: tuple[SavedTemplate, ...] = ()
    options: tuple[SavedOption, ...] = ()
    saved_at: float = 0.0
    warning: StateWarning | None = None


class StateFile:
    """The state file at a path."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._ours: tuple[int, int, int, int] | None = None

    def load(self) -> State:
        """The state in the file; empty if there is no file, and with a warning if there is one that cannot be used."""
        try:
            header, payload = self._read()
            templates, options = _parsed(payload)
        except _Unusable as bad:
            return State(warning=StateWarning(str(self.path), str(bad)))
        except FileNotFoundError:
            return State()
        except OSError as bad:
            return State(warning=StateWarning(str(self.path), bad.strerror or str(bad)))
        return State(templates, options, header.saved_at)

    def save(self, templates: Iterable[SavedTemplate], options: Iterable[SavedOption], *, now: float) -> None:
        """Replace what is in the file. now: Unix seconds.

        A file there that no state can be read from is renamed to NAME.bad first, and a symbolic link too; what it
        points to is left alone. Raises SourceError if the file cannot be written, or its place is no file's.
        """
        payload = _payload(templates, options)
        if len(payload) > OCTETS_LIMIT:
            raise SourceError(f"a state of {len(payload)} octets is too large for {self.path}", source=str(self.path))
        digest = hashlib.sha256(payload).hexdigest()
        header = _Header(FORMAT, FORMAT_VERSION, now, len(payload), digest)
        try:
            self._keep_aside()
            self._replace(b"%s\n%s\n" % (msgspec.json.encode(header), payload))
        except OSError as bad:
            message = f"the state cannot be saved to {self.path}: {bad.strerror or bad}"
            raise SourceError(message, source=str(self.path)) from bad

    def _read(self) -> tuple[_Header, bytes]:
        """The header and the second line, whole and as they were written."""
        try:
            # a pipe must not keep us waiting, nor a link lead us elsewhere
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as bad:
            if bad.errno in (errno.ELOOP, errno.ENXIO):
                raise _Unusable("it is a link or no regular file") from None
            raise
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise _Unusable("it is no regular file")
        with os.fdopen(file, "rb") as stream:
            if status.st_size > OCTETS_LIMIT + _HEADER_LIMIT:
                raise _Unusable(f"it has {status.st_size} octets, more than the {OCTETS_LIMIT} of any state")
            header = _header(stream.readline(_HEADER_LIMIT))
            payload = stream.read(header.octets + 1)
            rest = stream.read(1)
        if payload[-1:] != b"\n" or len(payload) != header.octets + 1:
            raise _Unusable("it was not written to its end")
        if rest or hashlib.sha256(payload[:-1]).hexdigest() != header.sha256:
            raise _Unusable("its content does not match its checksum")
        self._ours = _identity(status)
        return header, payload[:-1]

    def _keep_aside(self) -> None:
        """Rename what is at the path, unless it is a state that the new one may replace."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            raise OSError(errno.EEXIST, "it is no regular file; name another path")
        if self._ours == _identity(status):
            return
        with suppress(_Unusable, OSError):
            _parsed(self._read()[1])
            return
        aside = [self.path.with_name(f"{self.path.name}.bad{number or ''}") for number in range(_KEPT_ASIDE)]
        free = [path for path in aside if not path.is_symlink() and not path.exists()]
        self.path.rename((free or aside[-1:])[0])

    def _replace(self, content: bytes) -> None:
        directory = self.path.parent
        file, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=directory)  # mode 0600
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
                status = os.fstat(stream.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._ours = _identity(status)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the rename is on the disk, too
        finally:
            os.close(folder)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


# ---------------------------------------------------------------- content


class _Unusable(Exception):
    """No state can be made of the file; the text ends a sentence."""


_U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
_U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
_U63 = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Name = Annotated[str, Meta(max_length=1100)]  # an element's name, of at most 1,024 characters, and #2
_Address = Annotated[str, Meta(max_length=255)]
_Pen = Annotated[int, Meta(ge=0, le=(1 << 32) + 1)]  # the two above 32 bits are NetFlow v9's own
_Specifier = tuple[_Pen, _U16, _U16]


class _Header(Struct, forbid_unknown_fields=True):
    format: Annotated[str, Meta(max_length=64)]
    version: int
    saved_at: float
    octets: Annotated[int, Meta(ge=0, le=OCTETS_LIMIT)]
    sha256: Annotated[str, Meta(min_length=64, max_length=64)]


class _Key(Struct, array_like=True, forbid_unknown_fields=True):
    address: _Address
    port: _U16
    local_address: _Address
    local_port: _U16


class _Template(Struct, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=9, le=10)]
    key: _Key | None
    domain: _U32
    id: Annotated[int, Meta(ge=256, le=0xFFFF)]
    scope_count: _U16
    specifiers: Annotated[list[_Specifier], Meta(min_length=1, max_length=0x3FFF)]
    seen: float


class _Octets(Struct, forbid_unknown_fields=True):
    """Octets among cells, in hexadecimal."""

    octets: Annotated[str, Meta(max_length=2 * CELL_LIMIT, pattern="^([0-9a-f]{2})*$")]


_Cell = bool | int | float | Annotated[str, Meta(max_length=CELL_LIMIT)] | _Octets | None
_Cells = Annotated[dict[_Name, _Cell], Meta(max_length=0x4000)]


class _Version(Struct, array_like=True, forbid_unknown_fields=True):
    values: _Cells
    first_seen: _U32
    last_seen: _U32
    count: _U63


class _Option(Struct, forbid_unknown_fields=True):
    address: _Address
    port: _U16
    domain: _U32
    version: Annotated[int, Meta(ge=9, le=10)]
    table: Annotated[str, Meta(min_length=1, max_length=1100)]
    scope: _Cells
    keys: Annotated[list[tuple[Kind, int]], Meta(max_length=KEYS_LIMIT)]
    versions: Annotated[list[_Version], Meta(min_length=1, max_length=VERSIONS_KEPT)]


class _Payload(Struct, forbid_unknown_fields=True):
    templates: list[_Template]
    options: list[_Option]


_READ_HEADER: Final = msgspec.json.Decoder(dict[str, Any])
_READ_PAYLOAD: Final = msgspec.json.Decoder(_Payload)
_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _payload(templates: Iterable[SavedTemplate], options: Iterable[SavedOption]) -> bytes:
    content = _Payload([_written_template(one) for one in templates], [_written_option(one) for one in options])
    return msgspec.json.encode(content)


def _written_template(one: SavedTemplate) -> _Template:
    key = one.key
    saved = None if key is None else _Key(key.address, key.port, key.local_address, key.local_port)
    return _Template(one.version, saved, one.domain, one.id, one.scope_count, list(one.specifiers), one.seen)


def _written_option(one: SavedOption) -> _Option:
    versions = [_Version(_written(values), *seen) for values, *seen in one.versions]
    keys = [(Kind(kind), number) for kind, number in one.keys]
    whose = one.address, one.port, one.domain, one.version
    return _Option(*whose, one.table, _written(one.scope), keys, versions)


def _written(cells: dict[str, Any]) -> dict[str, Any]:
    return {name: _Octets(cell.hex()) if isinstance(cell, bytes) else cell for name, cell in cells.items()}


def _header(line: bytes) -> _Header:
    try:
        probe = _READ_HEADER.decode(line) if line.endswith(b"\n") else {}
    except _BAD:
        probe = {}
    if probe.get("format") != FORMAT:
        raise _Unusable("it does not begin as a state file does")
    if probe.get("version") != FORMAT_VERSION:
        raise _Unusable(f"it is of format version {probe.get('version')!r:.20}, and this headwater reads 1")
    try:
        header = msgspec.convert(probe, _Header)
    except msgspec.MsgspecError as bad:
        raise _Unusable(f"its header is wrong ({bad})") from None
    if not math.isfinite(header.saved_at):
        raise _Unusable("its header has no time")
    return header


def _parsed(payload: bytes) -> tuple[tuple[SavedTemplate, ...], tuple[SavedOption, ...]]:
    try:
        content = _READ_PAYLOAD.decode(payload)
    except _BAD as bad:
        raise _Unusable(f"its content is not what a state has ({str(bad)[:200]})") from None
    return tuple(map(_read_template, content.templates)), tuple(map(_read_option, content.options))


def _read_template(one: _Template) -> SavedTemplate:
    if one.scope_count > len(one.specifiers) or not math.isfinite(one.seen):
        raise _Unusable(f"Template {one.id} has {one.scope_count} scope fields of {len(one.specifiers)}, or no time")
    key = one.key
    known = None if key is None else SessionKey(key.address, key.port, key.local_address, key.local_port)
    return SavedTemplate(one.version, known, one.domain, one.id, one.scope_count, tuple(one.specifiers), one.seen)


def _read_option(one: _Option) -> SavedOption:
    for version in one.versions:
        if version.first_seen > version.last_seen:
            raise _Unusable(f"a record of the table {one.table[:40]!r} was last seen before it was first seen")
    if any(not 0 <= number < 1 << 64 for _, number in one.keys):  # Meta knows no bounds beyond 63 bits
        raise _Unusable(_NO_NUMBER)
    versions = [(_cells(v.values), v.first_seen, v.last_seen, v.count) for v in one.versions]
    keys = tuple((kind.value, number) for kind, number in one.keys)
    whose = one.address, one.port, one.domain, one.version
    return SavedOption(*whose, one.table, _cells(one.scope), keys, tuple(versions))


def _cells(cells: dict[str, Any]) -> dict[str, Any]:
    if any(isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 64 for cell in cells.values()):
        raise _Unusable(_NO_NUMBER)
    return {name: bytes.fromhex(cell.octets) if isinstance(cell, _Octets) else cell for name, cell in cells.items()}
