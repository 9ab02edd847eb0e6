"""Tables that become IPFIX files: Parquet, Arrow, CSV and NDJSON, a part at a time."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc
import pyarrow.parquet as pq

from headwater.errors import SourceError

ROWS: Final = 1 << 16
"""Records of a part."""


def table_parts(path: str, kind: str) -> Iterator[Any]:
    """Record batches, or lists of dicts. kind: "parquet", "arrow" (a file or a stream), "csv" or "ndjson".

    CSV has a line of names first; its cells are text as RFC 7373 has it, empty ones are null, `""` is empty text.
    Raises SourceError for what cannot be read.
    """
    try:
        yield from _READERS[kind](path)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist", source=path) from None
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as bad:
        if isinstance(bad, SourceError):
            raise
        why = str(bad).splitlines()[0] if str(bad) else type(bad).__name__
        raise SourceError(f"{path} cannot be read as {kind}: {why}", source=path) from None


def _parquet(path: str) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(ROWS)


def _arrow(path: str) -> Iterator[Any]:
    with pa.memory_map(path) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        if not is_file:
            yield from pa.ipc.open_stream(file)
            return
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _csv(path: str) -> Iterator[Any]:
    with _opened(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        names = next(csv.reader(text), [])
    if not names:
        return
    as_text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    with pa_csv.open_csv(path, convert_options=as_text) as reader:
        yield from reader


def _ndjson(path: str) -> Iterator[Any]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with _opened(path) as file:
        lines = enumerate(file, 1)
        while part := list(islice(_objects(lines, decoder, path), ROWS)):
            yield part


def _objects(
    lines: Iterator[tuple[int, bytes]], decoder: msgspec.json.Decoder[dict[str, Any]], path: str
) -> Iterator[dict[str, Any]]:
    for number, line in lines:
        if line.strip():
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as bad:
                raise SourceError(f"{path}: line {number} is no JSON object: {bad}", source=path) from None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[io.BufferedReader]:
    """The file, decompressed if its name says that it is compressed."""
    if Path(path).suffix in (".gz", ".bz2", ".zst", ".lz4"):
        with pa.input_stream(path, compression="detect") as file:
            yield io.BufferedReader(file)
    else:
        with Path(path).open("rb") as file:
            yield file


_READERS: Final = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "ndjson": _ndjson}
