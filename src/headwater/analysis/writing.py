"""Answers as Arrow and Parquet."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from headwater.analysis.answer import Answer


def write_arrow(answer: Answer, file: IO[bytes], *, is_stream: bool = False) -> None:
    """Write an answer as an Arrow IPC file or stream. Raises QueryError."""
    with pa.ipc.new_stream(file, answer.schema) if is_stream else pa.ipc.new_file(file, answer.schema) as out:
        for batch in answer.batches():
            out.write_batch(batch)


def write_parquet(answer: Answer, file: IO[bytes]) -> None:
    """Write an answer as a Parquet file. Raises QueryError."""
    with pq.ParquetWriter(file, answer.schema, compression="zstd", version="2.6") as out:
        for batch in answer.batches():
            out.write_batch(batch)
