"""Stored records, made without a collector."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

START = int(datetime(2026, 11, 21, 18, 0, tzinfo=UTC).timestamp())

COLUMNS: dict[str, pa.DataType] = {
    "collectionTimeMilliseconds": pa.timestamp("ms"),
    "sourceIPv4Address": pa.uint32(),
    "sourceIPv6Address": pa.binary(16),
    "sourceMacAddress": pa.binary(6),
    "sourceTransportPort": pa.uint16(),
    "protocolIdentifier": pa.uint8(),
    "octetDeltaCount": pa.uint64(),
}


def flows(count: int, at: float = START, **columns: Any) -> pa.Table:
    """So many records, one each second from `at`; the network is 10.0.0.0/8, octets are 100, 200 and so on."""
    made: dict[str, Any] = {
        "collectionTimeMilliseconds": [int((at + n) * 1000) for n in range(count)],
        "sourceIPv4Address": [0x0A000001 + n for n in range(count)],
        "sourceIPv6Address": [bytes.fromhex("20010db8") + bytes(11) + bytes([n + 1]) for n in range(count)],
        "sourceMacAddress": [bytes([2, 0, 0, 0, 0, n]) for n in range(count)],
        "sourceTransportPort": [40_000 + n for n in range(count)],
        "protocolIdentifier": [6] * count,
        "octetDeltaCount": [100 * (n + 1) for n in range(count)],
    }
    arrays = {name: pa.array(values, COLUMNS[name]) for name, values in made.items()}
    return pa.table(arrays | columns)


def segment(folder: Path, count: int = 3, at: float = START, *, number: int = 1, worker: int = 0, **more: Any) -> Path:
    """A segment as collectors name them; `table`: its records, or columns to add."""
    began = datetime.fromtimestamp(at, UTC)
    path = folder / f"{began:%Y%m%dT%H%M%SZ}-{worker}-{number:06}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(more.pop("table", None) or flows(count, at, **more), path)
    return path
