"""Where a Collecting Process writes to, in one line: `flows/?rotate=5m`, `csv:dir/`, `-`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import HeadwaterError
from headwater.model.quantities import DURATION, SIZE, duration, size
from headwater.sinks.collecting import SinkError
from headwater.sinks.segment_names import check_partition
from headwater.sinks.segments import Segments
from headwater.sinks.stdout import StdoutSink

if TYPE_CHECKING:
    from headwater.sinks.collecting import BatchSink, BlockSink
    from headwater.sinks.segment_format import SegmentFormat

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+_-]*):(?!//)")
_FILES: Final = ("rotate", "rotate_size", "partition")
_FORMS: Final = "a folder (flows/), one with a format (csv:flows/), or - for stdout"


@dataclass(frozen=True, slots=True)
class Target:
    """A target, taken apart. place: a folder, or "-". options: checked, as Python has them."""

    text: str
    format: str
    place: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """A format: options beyond rotation, what makes it (or a sink of a kind of its own), whether stdout takes it."""

    options: Mapping[str, Callable[[str], Any]]
    make: Callable[..., SegmentFormat] | None = None
    sink: Callable[..., BatchSink | BlockSink] | None = None
    has_stdout: bool = False


def sink_of(target: str, *, worker: int = 0, select: Sequence[str] | None = None) -> BatchSink | BlockSink:
    """The sink that a target names. It is inert: `open` makes folders and says whether they can be written.

    worker: for the names of files. select: the columns that all batches will have, None = those of each Template.
    Raises SinkError, in one sentence, for a target that means nothing and a library that is not installed.
    """
    found = parse_target(target)
    form = _FORMATS[found.format]
    options = dict(found.options)
    if form.sink is not None:
        return form.sink(Path(found.place), worker=worker, **options)
    files = {name: options.pop(name) for name in _FILES if name in options}
    if found.place == "-" and found.format == "arrow" and select is None:
        raise SinkError("an Arrow stream to stdout has one schema: select its columns (--select), or take a folder")
    assert form.make is not None
    try:
        format = form.make(**options)
    except ImportError as bad:
        raise SinkError(f"{target}: needs {bad.name}, which is not installed: pip install 'headwater[arrow]'") from None
    except HeadwaterError as bad:  # a library of a compression is missing
        raise SinkError(f"{target}: {bad}") from bad
    return StdoutSink(format) if found.place == "-" else Segments(found.place, format, worker=worker, **files)


def parse_target(target: str) -> Target:
    """A target, taken apart and checked, with nothing imported. Raises SinkError, in one sentence."""
    rest, _, query = target.partition("?")
    texts = _options_of(target, query)
    scheme = _SCHEME.match(rest)
    format, place = "", rest
    if scheme is not None:
        format, place = scheme[1].lower(), rest[scheme.end() :]
    named = texts.pop("format", "").lower()
    if format and named and named != format:
        raise SinkError(f"{target}: is it {format} or {named}?")
    format = format or named or ("ndjson" if place == "-" else "parquet")
    _check_format(target, format)
    _check_place(target, format, place)
    return Target(target, format, place, _checked(target, format, place, texts))


def _options_of(target: str, query: str) -> dict[str, str]:
    """The query is taken as it is, for partition=%Y/%m has what other URLs need %25 for."""
    texts: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, is_given, value = part.partition("=")
        if not is_given or not value:
            raise SinkError(f"{target}: options are name=value, joined by &; {part!r} has no value")
        if name in texts:
            raise SinkError(f"{target}: {name} is given twice")
        texts[name] = value
    return texts


def _check_format(target: str, format: str) -> None:
    if format in _FORMATS:
        return
    if format in ("duckdb", "sql", "sqlite"):
        raise SinkError(f"{target}: collect into a folder (flows/) and ask it with `headwater query`, even meanwhile")
    near = get_close_matches(format, _FORMATS, n=1)
    hint = f"did you mean {near[0]}:?" if near else f"there are {', '.join(_FORMATS)}"
    raise SinkError(f"{target}: there is no format {format!r}; {hint} (./{target} would be a folder)")


def _check_place(target: str, format: str, place: str) -> None:
    if not place or "\0" in place:
        raise SinkError(f"{target!r} names no place to write to: give {_FORMS}")
    if "://" in place:
        raise SinkError(f"{target}: a sink is {_FORMS}, no URL")
    if place == "-":
        if not _FORMATS[format].has_stdout:
            can = ", ".join(name for name, form in _FORMATS.items() if form.has_stdout)
            raise SinkError(f"{target}: {format} does not go to stdout; {can} do")
        return
    suffix = Path(place).suffix.lower()
    if not place.endswith("/") and suffix in _SUFFIXES and not Path(place).is_dir():
        raise SinkError(f"{target}: segments go to a folder, and {place} looks like a file; {place}/ would be a folder")


def _checked(target: str, format: str, place: str, texts: Mapping[str, str]) -> dict[str, Any]:
    known = dict(_FORMATS[format].options)
    if place != "-":
        known |= _ROTATION
    values = {}
    for name, text in texts.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            names = ", ".join(known) or "none"
            hint = f"did you mean {near[0]}?" if near else f"{format} has {names}"
            raise SinkError(f"{target}: there is no option {name!r}; {hint}")
        try:
            values[name] = known[name](text)
        except ValueError as bad:
            raise SinkError(f"{target}: {name}={text} {bad}") from None
        except SinkError as bad:
            raise SinkError(f"{target}: {bad}") from None
    return values


# ---------------------------------------------------------------- options


def _rotate(text: str) -> float:
    try:
        seconds = duration(text)
    except ValueError:
        raise ValueError(f"is not {DURATION}") from None
    if seconds and seconds < 1:
        raise ValueError("is too short: a segment is to last 1s or longer, 0 = no bound")
    return seconds


def _rotate_size(text: str) -> int:
    try:
        return size(text)
    except ValueError:
        raise ValueError(f"is not {SIZE}") from None


def _partition(text: str) -> str:
    check_partition(text)
    return text


def _level(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 2 or not 1 <= int(text) <= 22:
        raise ValueError("is not a level of zstd, from 1 to 22")
    return int(text)


def _one_of(*known: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise ValueError(f"is not one of {', '.join(known)}")
        return text

    return check


_ROTATION: Final[Mapping[str, Callable[[str], Any]]] = {
    "rotate": _rotate, "rotate_size": _rotate_size, "partition": _partition,
}  # fmt: skip


# ---------------------------------------------------------------- formats, imported when they are wanted


def _parquet(**options: Any) -> SegmentFormat:
    from headwater.sinks.segment_parquet import ParquetFormat

    return ParquetFormat(**options)


def _arrow(**options: Any) -> SegmentFormat:
    from headwater.sinks.segment_arrow import ArrowFormat

    return ArrowFormat(**options)


def _ndjson(**options: Any) -> SegmentFormat:
    from headwater.sinks.segment_text import NdjsonFormat

    return NdjsonFormat(**options)


def _csv(**options: Any) -> SegmentFormat:
    from headwater.sinks.segment_text import CsvFormat

    return CsvFormat(**options)


def _ipfix(folder: Path, **options: Any) -> BatchSink:
    from headwater.sinks.segment_ipfix import IpfixSegments

    return IpfixSegments(folder, **options)


def _ipfix_raw(folder: Path, **options: Any) -> BlockSink:
    from headwater.sinks.segment_ipfix_raw import RawIpfixSegments

    return RawIpfixSegments(folder, **options)


def _spool(folder: Path, **options: Any) -> BlockSink:
    from headwater.sinks.spool import SpoolSink

    return SpoolSink(folder, **options)


_TEXT: Final = {"compression": _one_of("none", "gzip", "zstd")}
_FORMATS: Final = {
    "parquet": _Form({"level": _level}, _parquet),
    "arrow": _Form({"compression": _one_of("none", "lz4", "zstd")}, _arrow, has_stdout=True),
    "ndjson": _Form(_TEXT, _ndjson, has_stdout=True),
    "csv": _Form(_TEXT, _csv, has_stdout=True),
    "ipfix": _Form({}, sink=_ipfix),
    "ipfix-raw": _Form({}, sink=_ipfix_raw),
    "spool": _Form(_TEXT, sink=_spool),
}
_SUFFIXES: Final = frozenset((
    ".parquet", ".arrow", ".arrows", ".feather", ".ndjson", ".jsonl", ".json", ".csv", ".ipfix", ".gz", ".zst",
    ".duckdb", ".db",
))  # fmt: skip
