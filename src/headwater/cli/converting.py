"""Records of a query into a sink: in one pass, or in two where the columns must be known before the first record."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headwater.cli.query import Mask, Picked, Query, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from headwater.batch import Batch
    from headwater.process.manner import Progress
    from headwater.sinks.output import Writable

Format = Literal["ndjson", "csv", "parquet", "arrow"]


class Sink(Protocol):
    """What takes records."""

    def write(self, batch: Batch, mask: Mask | None = None) -> int:
        """Take the records where the mask is True; how many there were."""

    def close(self) -> None:
        """Write what was kept back."""

    def abandon(self) -> None:
        """Let go without writing anything more."""


@dataclass(slots=True)
class Conversion:
    """One run of `convert`, or of `cat` with --json or --csv.

    progress: makes what is told how far a pass has come, from the words for that pass. records: written so far.
    warnings: what else is to be told; nothing here.
    """

    query: Query
    format: Format
    progress: Callable[[str], Progress | None] = lambda words: None
    records: int = 0
    warnings: Sequence[str] = ()

    def write(self, file: Writable, *, is_stream: bool) -> None:
        """Read everything and write it to the file. is_stream: the file cannot seek."""
        if self.format == "ndjson":
            self._write_ndjson(file)
            return
        sources = _same(self.query.source) if self._is_known else _spooled(self.query.source)
        with sources as again, self._open(file, again, is_stream=is_stream) as sink:
            for picked in chain.from_iterable(self.query.windows(again(), progress=self.progress("writing"))):
                self.records += sink.write(picked.batch, picked.mask)

    @property
    def _is_known(self) -> bool:
        """Whether the columns are known before anything is read: they were selected, and none is a list."""
        schema = self.query.schema
        return schema is not None and (self.format == "csv" or not any(column.type.is_list for column in schema))

    def _write_ndjson(self, file: Writable) -> None:
        """Objects in the order of the wire; each has the fields of its own Template, so one pass is enough."""
        from headwater.sinks.ndjson import NdjsonSink

        sink = NdjsonSink(file)
        for window in self.query.windows(progress=self.progress("writing")):
            if len(window) == 1:
                batch = window[0].batch
                self.records += sink.write(batch, window[0].mask, self.query.columns_of(batch))
            else:
                sink.write_rows(self._interleaved(window))
                self.records += sum(picked.count for picked in window)

    def _interleaved(self, window: list[Picked]) -> Iterator[dict[str, Any]]:
        from headwater.sinks.ndjson import json_rows

        rows = [json_rows(p.batch, p.mask, self.query.columns_of(p.batch)) for p in window]
        return chain.from_iterable(islice(rows[run], count) for run, count in in_order(window))

    @contextlib.contextmanager
    def _open(self, file: Writable, again: Callable[[], Any], *, is_stream: bool) -> Iterator[Sink]:
        sink = self._sink(file, again, is_stream=is_stream)
        try:
            yield sink
            sink.close()
        except BaseException:
            sink.abandon()
            raise

    def _sink(self, file: Writable, again: Callable[[], Any], *, is_stream: bool) -> Sink:
        if self.format == "csv":
            from headwater.sinks.csv import CsvSink

            return CsvSink(file, self.query.columns or self._names(again))
        from headwater.sinks.arrow import ArrowSink, Union, arrow_schema

        if self.query.schema is not None and self._is_known:
            schema = arrow_schema(self.query.schema)
        else:
            union = Union(self.query.columns)
            for picked in self._first_pass(again):
                union.add(picked.batch, self.query.columns_of(picked.batch))
            schema = union.schema
        if self.format == "parquet":
            from headwater.sinks.parquet import ParquetSink

            return ParquetSink(file, schema)
        return ArrowSink(file, schema, is_stream=is_stream)

    def _names(self, again: Callable[[], Any]) -> list[str]:
        names: dict[str, None] = {}
        for picked in self._first_pass(again):
            names.update(dict.fromkeys(self.query.columns_of(picked.batch)))
        return list(names)

    def _first_pass(self, again: Callable[[], Any]) -> Iterator[Picked]:
        """Everything once, to see what columns there are and how deep lists go; if nothing is wanted, what there is."""
        is_empty = True
        for picked in self._look(self.query, again):
            is_empty = False
            yield picked
        if is_empty and (self.query.where or self.query.most is not None):
            yield from self._look(self.query.everything(), again)

    def _look(self, query: Query, again: Callable[[], Any]) -> Iterator[Picked]:
        progress = self.progress("looking at columns")
        return chain.from_iterable(query.windows(again(), progress=progress, is_last=False))


@contextlib.contextmanager
def _same(source: Any) -> Iterator[Callable[[], Any]]:
    """Makes the sources as they are."""
    yield lambda: source


@contextlib.contextmanager
def _spooled(source: Sequence[str]) -> Iterator[Callable[[], Any]]:
    """Makes the sources, as often as it is called: what stdin says is kept in a temporary file."""
    if "-" not in source:
        yield lambda: source
        return
    with tempfile.TemporaryFile(prefix="headwater-") as spool, contextlib.ExitStack() as opened:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield lambda: [opened.enter_context(_Spool(spool.fileno())) if one == "-" else one for one in source]


class _Spool(io.FileIO):
    """A temporary file from its beginning, under the name of what is in it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.dup(descriptor), "rb")
        self.name = "<stdin>"
        self.seek(0)
