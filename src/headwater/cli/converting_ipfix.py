"""Records into an IPFIX file: those of flow export with their domains and export times, and those of tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from headwater.batch.schema import Schema
from headwater.batch.translating import RESOLVED
from headwater.errors import EncodeError, HeadwaterError, UnknownElement
from headwater.process.writing import Writer
from headwater.process.writing_capture import CaptureWriter
from headwater.process.writing_checks import behind
from headwater.process.writing_parts import Part, ascending, by_domain
from headwater.session.exporting import DATAGRAM
from headwater.sinks.ipfix_compression import SUFFIXES, compression_of
from headwater.wire.dialect import IPFIX, MAX_MESSAGE

if TYPE_CHECKING:
    from headwater.batch import Batch
    from headwater.cli.options import ChoosingOptions
    from headwater.cli.query import Picked, Query
    from headwater.model.registry import Registry
    from headwater.process.manner import Progress
    from headwater.sinks.output import Writable

_TABLES: Final = {
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow", ".csv": "csv",
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson",
}  # fmt: skip


def suffix_of(name: str) -> str:
    """The suffix of a name, in front of that of a compression."""
    path = Path(name)
    return Path(path.stem if path.suffix.lower() in SUFFIXES else path).suffix.lower()


def table_kinds(sources: Sequence[str]) -> list[str]:
    """What kinds of tables the sources are, by their suffixes; none if they are flow export.

    Raises click.UsageError if they are some of both.
    """
    kinds = [_TABLES.get(suffix_of(source), "") for source in sources]
    if any(kinds) and not all(kinds):
        other = sources[kinds.index("")]
        raise click.UsageError(f"{other} is no table, others are; convert them one after the other")
    return kinds if any(kinds) else []


def refuse_choosing(asked: ChoosingOptions) -> None:
    """Raise click.UsageError for an option that says what is wanted of flow export, or how it is read."""
    for name, given in asked.items():
        if given and name != "registry":
            option = name.removeprefix("with_").replace("_", "-")
            raise click.UsageError(f"--{option} chooses records of flow export, and the sources are tables")


@dataclass(frozen=True, slots=True)
class Container:
    """What Messages are put into. destination: its name. mtu: octets of a Message at most."""

    kind: Literal["ipfix", "pcap"]
    destination: str
    mtu: int | None

    @contextlib.contextmanager
    def open(self, file: Writable, registry: Registry | None = None) -> Iterator[Writer]:
        """What writes such a file."""
        with self._writer(file, registry) as writer:
            try:
                yield writer
            except EncodeError as bad:
                if self.kind != "pcap" or self.mtu is not None or "has room for" not in str(bad):
                    raise
                raise EncodeError(f"{bad}; --mtu gives Messages more of it", row=bad.row) from bad

    def _writer(self, file: Writable, registry: Registry | None) -> Writer:
        if self.kind == "pcap":
            return CaptureWriter(file, mtu=self.mtu or DATAGRAM, registry=registry, nulls="split")
        compression = compression_of(self.destination, None)
        return Writer(file, compression=compression, mtu=self.mtu or MAX_MESSAGE, registry=registry, nulls="split")


@dataclass(slots=True)
class IpfixConversion:
    """One run of `convert` from flow export to an IPFIX file or a capture.

    container: what kind of file. adds_times: whether times that count from when the exporter began are resolved for
    NetFlow only, whose headers have what IPFIX cannot say. records: written so far. warnings: what was left out.
    """

    query: Query
    container: Container
    adds_times: bool
    progress: Callable[[str], Progress | None]
    records: int = 0
    warnings: Sequence[str] = ()

    def write(self, file: Writable, *, is_stream: bool) -> None:
        """Read everything and write it to the file."""
        with self.container.open(file) as writer:
            for window in self.query.windows(progress=self.progress("writing")):
                for part in self._parts(window):
                    self.records += writer.write(part.data, domain=part.domain, export_time=part.export_time)
            self.warnings = writer.warnings

    def _parts(self, window: Sequence[Picked]) -> Iterable[Part]:
        """The records by domain; for a capture by Export Time, too, in its order."""
        by_time = self.container.kind == "pcap"
        parts = chain.from_iterable(
            by_domain(_only(picked.batch, self._names(picked)), picked.sets, picked.mask, by_time=by_time)
            for picked in window
        )
        return sorted(parts, key=lambda part: part.export_time or 0) if by_time else ascending(parts)

    def _names(self, picked: Picked) -> Sequence[str]:
        names = self.query.columns_of(picked.batch)
        if self.adds_times and (picked.sets.messages.version == IPFIX.version).all():
            return [name for name in names if name not in RESOLVED]
        return names


@dataclass(slots=True)
class TableConversion:
    """One run of `convert` from tables to an IPFIX file. kinds: of the sources. registry: what names mean."""

    sources: Sequence[str]
    kinds: Sequence[str]
    container: Container
    registry: Registry
    most: int | None = None
    records: int = 0
    warnings: Sequence[str] = field(default=(), init=False)

    def write(self, file: Writable, *, is_stream: bool) -> None:
        """Read everything and write it to the file."""
        with self.container.open(file, self.registry) as writer:
            for source, kind in zip(self.sources, self.kinds, strict=True):
                self._write_table(writer, source, kind)

    def _write_table(self, writer: Writer, source: str, kind: str) -> None:
        from headwater.sinks.ipfix_tables import table_parts

        before = self.records
        for part in table_parts(source, kind):
            left = len(part) if self.most is None else self.most - self.records
            try:
                self.records += writer.write(part[:left])
            except EncodeError as bad:
                told = behind(bad, self.records - before)
                raise EncodeError(f"{source}: {told}", column=told.column, row=told.row) from bad
            except UnknownElement as bad:
                raise HeadwaterError(f"{source}: {bad}") from bad
            if self.records == self.most:
                break


def _only(batch: Batch, names: Sequence[str]) -> Batch:
    if tuple(names) == batch.schema.names:
        return batch
    columns = [batch[name] for name in names]
    return batch.with_columns(batch.template, Schema(tuple([batch.schema[name] for name in names])), columns)
