"""Which files a question is about: segments in folders that collectors write to, and files that are named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headwater.analysis.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

KINDS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
}
"""Suffix and what it says; whatever else is named is flow export in files or captures."""
_EXPORT: Final = "export"
_EXPORT_SUFFIXES: Final = (".ipfix", ".pcap", ".pcapng", ".hwspool")
_UNFINISHED: Final = (".part", ".torn")
_PACKED: Final = (".gz", ".zst", ".bz2", ".xz", ".lz4")
_SEGMENT: Final = re.compile(r"(\d{8}T\d{6}Z)-(\d+)-(\d+)[^/]*")
_HIVE: Final = re.compile(r"[^=]+=[^=]*")


@dataclass(frozen=True, slots=True)
class Stored:
    """Files to ask. kinds: paths by what they are, of KINDS or "export". hive: names of folders are columns."""

    kinds: dict[str, list[str]]
    hive: bool = False

    @property
    def paths(self) -> list[str]:
        """All of them."""
        return [path for paths in self.kinds.values() for path in paths]


def find(named: Sequence[str], since: float | None = None) -> Stored:
    """The files behind paths, folders and patterns, without those that are still being written or torn.

    since: seconds since 1970; segments that ended before are left out by their names.
    Raises QueryError where there is none.
    """
    if not named:
        raise QueryError("nothing to read is named; give the folder that 'headwater collect' writes to")
    found: dict[str, dict[str, None]] = {}
    depths = []
    for name in named:
        paths = list(_behind(name))
        if not paths:
            raise QueryError(_nothing_in(name))
        root = Path(name) if Path(name).is_dir() else None
        for path in paths if since is None else later(paths, since):
            found.setdefault(_kind(path) or _EXPORT, {})[str(path)] = None
            depths.append(tuple(name for name, _ in hive_columns(path if root is None else path.relative_to(root))))
    keys = set(depths)
    return Stored({kind: list(paths) for kind, paths in found.items()}, len(keys) == 1 and keys != {()})


def later(paths: Iterable[Path], since: float) -> list[Path]:
    """Those that can have records collected since then (seconds since 1970), as far as names of segments tell.

    A segment ends before the next one of the same worker in the same folder begins, and what is in it was collected
    before that; names have whole seconds.
    """
    out: list[Path] = []
    series: dict[tuple[str, str], list[tuple[float, Path]]] = {}
    for path in paths:
        segment = _SEGMENT.fullmatch(path.name)
        began = None if segment is None else _began(segment[1])
        if segment is None or began is None:
            out.append(path)
        else:
            series.setdefault((_series_folder(path), segment[2]), []).append((began, path))
    for segments in series.values():
        segments.sort(key=lambda one: (one[0], str(one[1])))
        ends = [began + 1 for began, _ in segments[1:]]
        out += [path for (_, path), end in zip(segments, ends, strict=False) if end >= since]
        out.append(segments[-1][1])  # nothing says when the last one ended
    return sorted(out)


def _series_folder(path: Path) -> str:
    """The folder that a series of segments is in: partitions are folders of digits, or of names and values."""
    folder = path.parent
    while folder.name and (folder.name.isdigit() or _HIVE.fullmatch(folder.name)):
        folder = folder.parent
    return str(folder)


def _began(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _behind(name: str) -> Iterator[Path]:
    """The files that a path, a folder or a pattern stands for, in order."""
    if has_magic(name) and not Path(name).exists():
        for path in sorted(glob(name, recursive=True)):  # noqa: PTH207  # Path.glob takes no pattern that begins with a folder
            yield from _behind(path)
    elif Path(name).is_dir():
        yield from sorted(_inside(Path(name)))
    elif Path(name).exists():
        if Path(name).name.endswith(_UNFINISHED):
            raise QueryError(f"{name} is not whole: a collector is writing it, or was cut off")
        yield Path(name)


def _inside(folder: Path) -> Iterator[Path]:
    """Files in a folder and those below whose names say what they are."""
    for path in folder.rglob("*"):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.name.endswith(_UNFINISHED):
            continue
        if (_kind(path) or _is_export(path)) and path.is_file():
            yield path


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in _PACKED[:2]:  # which DuckDB reads, of text
        kind = KINDS.get(Path(path.stem).suffix.lower())
        return kind if kind in ("ndjson", "csv") else None
    return KINDS.get(suffix)


def _is_export(path: Path) -> bool:
    return (Path(path.stem) if path.suffix.lower() in _PACKED else path).suffix.lower() in _EXPORT_SUFFIXES


def hive_columns(path: str | Path) -> list[tuple[str, str]]:
    """(name, value) of the columns that folders give, as in `date=2026-11-21/`."""
    found = [part.partition("=") for part in Path(path).parent.parts if _HIVE.fullmatch(part)]
    return [(name, value) for name, _, value in found]


def _nothing_in(name: str) -> str:
    if has_magic(name):
        return f"no file is behind {name}"
    if not Path(name).exists():
        return f"{name} does not exist"
    if any(path.name.endswith(".part") for path in Path(name).rglob(".*.part")):
        return f"{name} has no whole segment yet: the first is being written; its collector can be asked to flush"
    return f"{name} has no segments; 'headwater collect udp://127.0.0.1:4739 --to {name}' makes them"
