"""Rotation of files: when one is closed and the next begun, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from headwater.errors import HeadwaterError
from headwater.sinks.ipfix_compression import SUFFIXES
from headwater.sinks.ipfix_file import PART, partial_name

_DIGITS: Final = 6
_TIMES: Final = {"Y": "[0-9]{4}", "j": "[0-9]{3}"} | dict.fromkeys("ymdHMSUWVIGu", "[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is closed and the next one begun; 0 = not for that reason.

    octets: of Messages in a file at most, before compression; Templates that come up later are on top. records: Data
    Records in a file at most, without those that describe the file and its Messages. Messages stay whole, so one that
    is larger has a file for itself.
    seconds: a file ends where a multiple of so many seconds since 1970 does.
    """

    octets: int = 0
    seconds: float = 0
    records: int = 0

    def __post_init__(self) -> None:
        if min(self.octets, self.seconds, self.records) < 0 or not (self.octets or self.seconds or self.records):
            raise HeadwaterError(f"{self} never ends a file: give octets, seconds or records above 0")

    def is_due(self, *, octets: int, records: int, began: float, now: float) -> bool:
        """Whether a file with so many octets and records, begun at that time, is to be closed now."""
        return bool(
            (self.octets and octets > self.octets)
            or (self.records and records > self.records)
            or (self.seconds and began // self.seconds != now // self.seconds)
        )


class Names:
    """Names of the files of a series, none of which is taken.

    pattern: a path; %Y, %m, %d, %H, %M, %S and the like in its name are the time (UTC) at which the file was begun,
    and names that are taken are followed by -2, -3, …; without any, files are numbered: flows-000001.ipfix.
    """

    def __init__(self, pattern: Path) -> None:
        self._folder, self._name = pattern.parent, pattern.name
        self._is_numbered = "%" not in pattern.name
        self._next = 1

    def unfinished(self) -> list[Path]:
        """Files of the series that still have the name of one that is written."""
        stem, suffixes = _parts(self._name)
        number = rf"-[0-9]{{{_DIGITS},}}" if self._is_numbered else "(-[0-9]+)?"
        name = re.compile(_pattern(stem) + number + _pattern(suffixes + PART))
        try:
            return sorted(path for path in self._folder.iterdir() if name.fullmatch(path.name))
        except OSError:  # there is no such folder, or nobody may look into it
            return []

    def next(self, now: float) -> Path:
        """The name of a file begun now."""
        if self._is_numbered:
            for number in count(self._next):
                path = self._folder / _with(self._name, f"-{number:0{_DIGITS}}")
                if not _is_taken(path):
                    self._next = number + 1
                    return path
        name = datetime.fromtimestamp(now, UTC).strftime(self._name)
        for number in count(1):
            path = self._folder / (name if number == 1 else _with(name, f"-{number}"))
            if not _is_taken(path):
                break
        return path


def _is_taken(path: Path) -> bool:
    return path.exists() or partial_name(path).exists()


def _with(name: str, infix: str) -> str:
    """A name with something in front of its suffixes."""
    stem, suffixes = _parts(name)
    return f"{stem}{infix}{suffixes}"


def _parts(name: str) -> tuple[str, str]:
    """(the rest, the suffix with that of a compression)."""
    path, tail = Path(name), ""
    if path.suffix.lower() in SUFFIXES:
        path, tail = Path(path.stem), path.suffix
    return path.stem, path.suffix + tail


def _pattern(text: str) -> str:
    """A regular expression for what strftime makes of a text."""
    return re.sub("%(.)", lambda code: _TIMES.get(code[1], ".+"), re.escape(text))
