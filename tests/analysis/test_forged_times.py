"""Times that DuckDB cannot hold, which any exporter can send: null in the answer, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.analysis.querying import query
from headwater.sinks.csv import CsvSink
from headwater.sinks.ndjson import NdjsonSink
from headwater.sinks.output import open_output
from tests import build

GOOD, BEYOND, FAR = 1_780_000_000_000, 1 << 62, 300_000_000_000_000
FLOW = [(152, 8), (1, 8)]
TEXT = ["2026-05-28 20:26:40", None, "11476-08-15 05:20:00"]


def message(*times: int) -> bytes:
    """An IPFIX Message whose flows started at these milliseconds."""
    records = [build.record(build.uint(time, 8), build.uint(100, 8)) for time in times]
    return build.message(build.template_set(build.template(256, *FLOW)), build.data_set(256, *records))


def store(path: Path, octets: bytes) -> None:
    """Write the records of a Message as the suffix of the path says."""
    import headwater as hw

    reading = hw.read(octets, provenance=())
    if path.suffix == ".ipfix":
        path.write_bytes(octets)
    elif path.suffix in (".csv", ".ndjson"):
        with open_output(str(path)) as file:
            for batch in reading:
                sink = NdjsonSink(file) if path.suffix == ".ndjson" else CsvSink(file, batch.schema.names)
                sink.write(batch)
    else:
        save(path, pa.Table.from_batches([pa.record_batch(batch) for batch in reading]))


def save(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet or Arrow."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)


def times_of(path: Path, warn: Any) -> list[str | None]:
    """The texts that DuckDB has for the times."""
    found = query("select flowStartMilliseconds::VARCHAR as time from flows order by all", path, warn=warn)
    return sorted(found["time"].to_pylist(), key=lambda text: (text is None, str(text)))


@pytest.mark.parametrize("suffix", [".parquet", ".arrows", ".ndjson", ".csv", ".ipfix"])
def test_a_time_beyond_is_null_and_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    store(path, message(GOOD, BEYOND, FAR))
    warnings: list[str] = []
    assert times_of(path, warnings.append) == [TEXT[2], TEXT[0], None]
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert "beyond the year 290,000" in warnings[0]
    assert "flowStartMilliseconds" in warnings[0]


@pytest.mark.parametrize("suffix", [".parquet", ".arrows", ".ndjson", ".csv", ".ipfix"])
def test_a_time_in_a_far_year_that_fits_is_that_time(tmp_path: Path, suffix: str) -> None:
    store(tmp_path / f"a{suffix}", message(GOOD, FAR))
    warnings: list[str] = []
    assert times_of(tmp_path, warnings.append) == [TEXT[2], TEXT[0]]
    assert warnings == []


def test_files_of_all_kinds_with_such_times_are_one_table(tmp_path: Path) -> None:
    for suffix in (".parquet", ".arrows", ".ndjson", ".csv", ".ipfix"):
        store(tmp_path / f"a{suffix}", message(GOOD, BEYOND))
        store(tmp_path / f"b{suffix}", message(GOOD))
    warnings: list[str] = []
    assert times_of(tmp_path, warnings.append) == [TEXT[0]] * 10 + [None] * 5
    assert len(warnings) == 5


def test_many_files_are_told_of_in_one_sentence(tmp_path: Path) -> None:
    for number in range(5):
        store(tmp_path / f"{number}.parquet", message(GOOD, BEYOND))
    warnings: list[str] = []
    query("from flows", tmp_path, warn=warnings.append)
    assert len(warnings) == 1
    assert "0.parquet and 4 more files" in warnings[0]


@pytest.mark.parametrize("suffix", [".parquet", ".arrows"])
def test_such_times_in_lists_are_null_too(tmp_path: Path, suffix: str) -> None:
    ticks = [[GOOD, BEYOND], [], None, [-BEYOND]]
    lists = pa.array(ticks, pa.list_(pa.int64())).cast(pa.list_(pa.timestamp("ms")))
    structs = pa.array(
        [[{"time": BEYOND}, None], [], None, [{"time": GOOD}]], pa.list_(pa.struct({"time": pa.int64()}))
    )
    table = pa.table({
        "basicList": lists,
        "subTemplateList": structs.cast(pa.list_(pa.struct({"time": pa.timestamp("ms")}))),
        "octetDeltaCount": pa.array([1, 2, 3, 4], pa.uint64()),
    })  # fmt: skip
    path = tmp_path / f"a{suffix}"
    save(path, table)
    warnings: list[str] = []
    found = query(
        "select basicList::VARCHAR[] as basic, subTemplateList::VARCHAR as sub, octetDeltaCount from flows"
        " order by octetDeltaCount",
        path,
        warn=warnings.append,
    ).to_pylist()
    assert [row["basic"] for row in found] == [[TEXT[0], None], [], None, [None]]
    assert [row["sub"] for row in found][1:3] == ["[]", None]
    assert "NULL" in found[0]["sub"]
    assert TEXT[0] in found[3]["sub"]
    assert "left out of basicList, subTemplateList" in warnings[0]


def test_what_is_no_time_in_text_is_null_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("flowStartMilliseconds,octetDeltaCount\n2026-05-28T20:26:40.000,1\nyesterday,2\n")
    warnings: list[str] = []
    assert times_of(tmp_path, warnings.append) == [TEXT[0], None]
    assert len(warnings) == 1
    assert "a.csv: what is no time" in warnings[0]


def test_columns_that_folders_give_stay(tmp_path: Path) -> None:
    for hour, times in ((5, (GOOD,)), (6, (GOOD, BEYOND))):
        (tmp_path / f"hour={hour:02}").mkdir()
        store(tmp_path / f"hour={hour:02}" / "a.parquet", message(*times))
    warnings: list[str] = []
    found = query("select hour, count(*) as n from flows group by 1 order by 1", tmp_path, warn=warnings.append)
    assert [(int(row["hour"]), row["n"]) for row in found.to_pylist()] == [(5, 1), (6, 2)]
    assert len(warnings) == 1
