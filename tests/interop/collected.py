"""What a Collector stores of real exporters: records read back from its Parquet files, and its counts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import headwater as hw
from headwater.errors import FaultKind
from headwater.model.text import to_text
from headwater.process.collecting.ledger import CollectorReport

PROVENANCE: Final = (
    "collectionTimeMilliseconds",
    "exporterIPv4Address",
    "exporterIPv6Address",
    "observationDomainId",
)


def collect(
    folder: Path, export: Callable[[int, hw.Collector], object], transport: str = "udp", options: str = ""
) -> CollectorReport:
    """Let a Collector store in a folder what comes until `export`, which is given its port, has returned."""
    with hw.Collector(f"{transport}://127.0.0.1:0{options}", sinks=[str(folder)], latency=0.02) as collector:
        export(int(collector.addresses[0].rpartition(":")[2]), collector)
    assert collector.is_whole
    return collector.report()


def stored(folder: Path) -> list[dict[str, Any]]:
    """The records in Parquet files, in order, each with the fields that it has, as `hw.records` gives them."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in _rows(pq.read_table(path))]


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    columns = {f.name: _values(f, table[f.name]) for f in table.schema if f.name not in PROVENANCE}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _values(field: pa.Field, column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(field.type):
        return list(column.cast(pa.int64()).to_pylist())
    label = (field.metadata or {}).get(b"ipfix.type", b"").decode()
    if not label.endswith("Address"):
        return list(column.to_pylist())
    type = hw.DataType.from_label(label)
    return [None if value is None else to_text(type, value) for value in column.to_pylist()]


def assert_complete(
    report: CollectorReport,
    records: int,
    *,
    exporters: int = 1,
    faults: Collection[FaultKind] = (),
    lost: int = 0,
) -> None:
    """All that was sent was received, decoded and written, and nothing is said to be missing.

    faults: the exporter's. lost: what its sequence numbers say, though nothing was.
    """
    assert set(report.faults) == set(faults), report.faults
    assert report.losses == ({"lost": lost} if lost else {}), report.losses
    assert len(report.exporters) == exporters
    totals = report.totals
    assert totals["records"] - totals["options_records"] == records
    assert totals["decoded_records"] == totals["records_written"] == records
    assert [(sink["records"], sink["records_lost"], sink["errors"]) for sink in report.sinks] == [(records, 0, 0)]
