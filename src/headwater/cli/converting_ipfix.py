"""Records into an IPFIX file: those of flow export with their domains and export times, and those of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from headwater.batch.schema import Schema
from headwater.process.translating import RESOLVED
from headwater.process.writing import Writer
from headwater.process.writing_parts import by_domain
from headwater.sinks.ipfix_compression import SUFFIXES, compression_of
from headwater.wire.dialect import IPFIX

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


@dataclass(slots=True)
class IpfixConversion:
    """One run of `convert` from flow export to an IPFIX file.

    destination: its name. adds_times: whether times that count from when the exporter began are resolved for NetFlow
    only, whose headers have what IPFIX cannot say. records: written so far. warnings: what was left out.
    """

    query: Query
    destination: str
    adds_times: bool
    progress: Callable[[str], Progress | None]
    records: int = 0
    warnings: Sequence[str] = ()

    def write(self, file: Writable, *, is_stream: bool) -> None:
        """Read everything and write it to the file."""
        with _writer(file, self.destination) as writer:
            for picked in chain.from_iterable(self.query.windows(progress=self.progress("writing"))):
                batch = _only(picked.batch, self._names(picked))
                for part in by_domain(batch, picked.sets, picked.mask):
                    self.records += writer.write(part.data, domain=part.domain, export_time=part.export_time)
            self.warnings = writer.warnings

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
    destination: str
    registry: Registry
    most: int | None = None
    records: int = 0
    warnings: Sequence[str] = field(default=(), init=False)

    def write(self, file: Writable, *, is_stream: bool) -> None:
        """Read everything and write it to the file."""
        with _writer(file, self.destination, self.registry) as writer:
            for part in self._parts():
                left = len(part) if self.most is None else self.most - self.records
                self.records += writer.write(part[:left])
                if self.records == self.most:
                    break

    def _parts(self) -> Iterator[Any]:
        from headwater.sinks.ipfix_tables import table_parts

        for source, kind in zip(self.sources, self.kinds, strict=True):
            yield from table_parts(source, kind)


def _writer(file: Writable, destination: str, registry: Registry | None = None) -> Writer:
    return Writer(file, compression=compression_of(destination, None), registry=registry, nulls="split")


def _only(batch: Batch, names: Sequence[str]) -> Batch:
    if tuple(names) == batch.schema.names:
        return batch
    columns = [batch[name] for name in names]
    return batch.with_columns(batch.template, Schema(tuple([batch.schema[name] for name in names])), columns)
