"""What sinks write, DuckDB reads: the encodings of every type, for few different values and for many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.analysis.querying import query
from headwater.model.types import DataType
from headwater.sinks.parquet_encodings import encodings

COUNT = 3000


def column(type: DataType, different: int) -> pa.Array:
    """COUNT values, some of them null, as a batch has them in Arrow."""
    numbers = np.random.default_rng(1).permutation(COUNT) % different
    mask = numbers % 7 == 3
    if type is DataType.BOOLEAN:
        return pa.array(numbers % 2 == 1, mask=mask)
    if type.numpy.startswith("V"):
        values: list[Any] = [int(number).to_bytes(type.width) for number in numbers]
        return pa.array(values, pa.binary(type.width), mask=mask)
    if type is DataType.STRING:
        return pa.array([f"text {number}" for number in numbers], mask=mask)
    if type is DataType.OCTET_ARRAY:
        return pa.array([int(number).to_bytes(4) for number in numbers], pa.binary(), mask=mask)
    if type.is_time:
        unit = {1: "s", 10**3: "ms", 10**6: "us", 10**9: "ns"}[type.ticks]
        return pa.array(numbers + 1_700_000_000 * type.ticks, pa.timestamp(unit), mask=mask)
    return pa.array((numbers % 128 if type.width == 1 else numbers).astype(type.numpy), mask=mask)


@pytest.mark.parametrize("different", [2, COUNT], ids=["few values", "many values"])
def test_every_type_is_read_as_it_was_written(different: int, tmp_path: Path) -> None:
    columns = {type.label: column(type, different) for type in DataType if not type.is_list}
    columns["basicList"] = pa.array([[n, n + 1] for n in range(COUNT)], pa.list_(pa.uint32()))
    table = pa.table(columns)
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema, **encodings(table)) as file:
        file.write_table(table)
    found = query("from flows", tmp_path)
    written = pq.read_table(tmp_path / "a.parquet")
    for name in table.schema.names:
        assert found[name].cast(written[name].type).equals(written[name]), name
