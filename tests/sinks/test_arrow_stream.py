"""A selection is an Arrow stream that consumers pull from, a batch at a time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import duckdb
import nanoarrow as na
import pyarrow as pa
import pytest

import headwater as hw
from headwater.sinks import arrow_stream
from tests import build
from tests.process.collectors import until

SELECT = ["sourceIPv4Address", "sourceIPv6Address", "octetDeltaCount", "flowStartMilliseconds"]
DATA = b"".join(build.mixed_flows(2000))


def read(data: Any = DATA, *, window: int = 20_000) -> hw.Reading:
    reading = hw.read(data, select=SELECT)
    reading._sources.window = window
    return reading


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    gc.collect()
    until(lambda: not arrow_stream._states)  # a consumer's own threads may let go a moment later


def test_pyarrow_takes_a_reading() -> None:
    reader = pa.RecordBatchReader.from_stream(read())
    table = reader.read_all()
    assert table.schema.names == SELECT
    assert table.num_rows == 2000
    assert table["octetDeltaCount"].to_pylist().sort() == [row[6] for row in build.flow_values(2000)].sort()
    assert table["sourceIPv4Address"].null_count == 750
    assert sorted(table["octetDeltaCount"].to_pylist()) == sorted(row[6] for row in build.flow_values(2000))


def test_duckdb_takes_a_reading() -> None:
    flows = read()
    query = "select count(*), sum(octetDeltaCount), count(sourceIPv6Address) from flows"
    found = duckdb.connect().execute(query).fetchall()
    assert found == [(2000, sum(row[6] for row in build.flow_values(2000)), 750)]
    del flows


def test_nanoarrow_takes_a_reading() -> None:
    stream = na.ArrayStream(read())
    assert sum(len(array) for array in stream) == 2000


def test_batches_are_read_as_they_are_pulled() -> None:
    reading = read()
    reader = pa.RecordBatchReader.from_stream(reading)
    assert reading.report.records == 0
    reader.read_next_batch()
    assert 0 < reading.report.records < 2000
    reader.close()


def test_asking_for_the_schema_reads_nothing() -> None:
    reading = read("/nowhere/flows.ipfix")
    assert pa.schema(reading).names == SELECT
    reading.__arrow_c_stream__()
    assert pa.RecordBatchReader.from_stream(read("/nowhere/flows.ipfix")).schema.names == SELECT


def test_an_error_reaches_the_consumer_in_our_words() -> None:
    reader = pa.RecordBatchReader.from_stream(read("/nowhere/flows.ipfix"))
    with pytest.raises(OSError, match=r"/nowhere/flows\.ipfix does not exist"):
        reader.read_next_batch()


def test_a_second_stream_of_a_reading_says_that_it_is_used_up() -> None:
    reading = read()
    assert pa.RecordBatchReader.from_stream(reading).read_all().num_rows == 2000
    with pytest.raises(OSError, match="used or closed; call read again"):
        pa.RecordBatchReader.from_stream(reading).read_all()


def test_a_reading_without_selection_is_no_stream() -> None:
    with pytest.raises(hw.HeadwaterError, match="without select="):
        hw.read(DATA).__arrow_c_stream__()


def test_lists_have_no_type_before_they_are_read() -> None:
    with pytest.raises(hw.HeadwaterError, match=r"basicList has no Arrow type before it is read; use hw\.read_table"):
        hw.read(DATA, select=["octetDeltaCount", "basicList"]).__arrow_c_stream__()


def test_an_error_that_is_not_ours_is_told_by_its_name() -> None:
    class Broken:
        def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
            raise KeyError("no")

        def __arrow_c_schema__(self) -> object:
            raise RuntimeError("no schema")

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return arrow_stream.arrow_stream(self.schema, iter([self]))

        schema: Any = pa.schema([("a", pa.uint8())])

    with pytest.raises(OSError, match="KeyError: 'no'"):
        pa.RecordBatchReader.from_stream(Broken()).read_all()
    broken = Broken()
    broken.schema = broken
    with pytest.raises(RuntimeError, match="no schema"):
        pa.RecordBatchReader.from_stream(broken)


def test_a_stream_that_is_dropped_lets_go_of_its_reading() -> None:
    reader = pa.RecordBatchReader.from_stream(read())
    reader.read_next_batch()
    del reader
    capsule = read().__arrow_c_stream__()
    assert len(arrow_stream._states) == 1
    del capsule
