"""headwater as a party: `hw.read` over the bytes; every batch is decoded whole, used as `mode` says, and dropped.

columns: every column of every batch is asked for; tuples and dicts: every row is visited;
plain: dicts of bare numbers, without text for addresses; five: as columns, but only five are selected.
"""

from __future__ import annotations

import importlib
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from protocol import serve

import headwater as hw

if TYPE_CHECKING:
    from collections.abc import Callable

    from headwater.batch import Batch


def columns(batch: Batch) -> None:
    for _ in batch.columns.values():
        pass


def tuples(batch: Batch) -> None:
    deque(batch.tuples(), maxlen=0)


def dicts(batch: Batch) -> None:
    deque(batch.rows(), maxlen=0)


def plain(batch: Batch) -> None:
    deque(batch.rows(addresses="raw", times="int"), maxlen=0)


MODES: dict[str, Callable[[Batch], None]] = {
    "columns": columns, "tuples": tuples, "dicts": dicts, "plain": plain, "five": columns,
}  # fmt: skip
FIVE = ("sourceIPv4Address", "destinationIPv4Address", "protocolIdentifier", "octetDeltaCount", "packetDeltaCount")


pa: Any = importlib.import_module("pyarrow")  # it comes without types
compute: Any = importlib.import_module("pyarrow.compute")


def totals(data: bytes) -> dict[str, int]:
    """The totals of shapes.py, from the batches as Arrow data: by way of nothing that the timed passes use."""
    sums = dict.fromkeys(("records", "octets", "values", "text", "letters", "inner"), 0)
    for batch in hw.read(data):
        arrow = batch.to_arrow()
        sums["records"] += arrow.num_rows
        for name, column in zip(arrow.schema.names, arrow.columns, strict=True):
            if name == "octetDeltaCount":
                sums["octets"] += total(column, dict.fromkeys(sums, 0))
            total(column, sums)
    return {name: value & (1 << 64) - 1 for name, value in sums.items()}


def total(array: Any, sums: dict[str, int]) -> int:
    """Add an Arrow array at any depth to the sums; the sum of its own values."""
    kind, value = array.type, 0
    # in a subTemplateMultiList without a group of some Template, the list of that Template is null
    if array.null_count and not (pa.types.is_struct(kind) or pa.types.is_list(kind)):
        raise SystemExit(f"{array.null_count} nulls where every value is well-formed")
    if pa.types.is_struct(kind):
        for child in array.flatten():
            total(child, sums)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = array.flatten()
        sums["inner"] += len(inner)
        total(inner, sums)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        if len(array):
            content = np.frombuffer(b"".join(array.cast(pa.binary()).to_pylist()), np.uint8)
            sums["text"] += len(content)
            sums["letters"] += int(content.sum(dtype=np.uint64))
    elif pa.types.is_fixed_size_binary(kind):
        halves = np.frombuffer(b"".join(array.to_pylist()), ">u8")
        value = int(halves.astype(np.uint64).sum(dtype=np.uint64))
    else:
        number = array.cast(pa.int64()) if pa.types.is_timestamp(kind) else array
        value = compute.sum(number).as_py() or 0
    sums["values"] += value
    return value


def main(file: str, mode: str) -> None:
    data, use, select = Path(file).read_bytes(), MODES[mode], FIVE if mode == "five" else None

    def one_pass() -> int:
        records = 0
        for batch in hw.read(data, select=select):
            use(batch)
            records += batch.num_rows
        return records

    serve(lambda: totals(data), one_pass)


if __name__ == "__main__":
    main(*sys.argv[2:])
