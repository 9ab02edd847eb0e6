"""Parquet and Arrow segments: many Templates in one file, bounded, readable by everybody."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater._version import __version__
from headwater.batch import Batch, Decoder
from headwater.model.registry import IANA
from headwater.session import DataSets, Session
from headwater.sinks import gathered, segment_arrow, segment_columns, segment_parquet
from headwater.sinks.parquet_encodings import encodings
from headwater.sinks.segment_arrow import ArrowFormat
from headwater.sinks.segment_parquet import ParquetFormat
from headwater.sinks.segments import Segments
from tests import build
from tests.sinks.test_segments import Clock, counted, flows, is_accounted, names

if TYPE_CHECKING:
    from headwater.sinks.segment_format import SegmentFormat

PROVENANCE = ("collectionTimeMilliseconds", "exporterIPv4Address", "observationDomainId")


def batches_of(octets: bytes, **options: object) -> list[Batch]:
    decoder = Decoder(**options)  # type: ignore[arg-type]
    return [decoder.decode(event) for event in Session(transport="file").receive(octets) if isinstance(event, DataSets)]


def opened(folder: Path, format: SegmentFormat, **options: object) -> Segments:
    sink = Segments(folder, format, now=Clock(), **options)  # type: ignore[arg-type]
    sink.open()
    return sink


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_batches_of_many_templates_are_one_segment(tmp_path: Path) -> None:
    octets = build.file(*build.mixed_flows(50), *build.lists(30, domain=2, mtu=500), *build.strings(20, domain=3))
    batches = batches_of(octets)
    sink = opened(tmp_path, ParquetFormat())
    assert sum(map(sink.write, batches)) == sum(map(len, batches))
    sink.close()
    table = pq.read_table(only(tmp_path))
    table.validate(full=True)
    assert table.num_rows == sink.counters.records_written == sum(map(len, batches))
    for batch in batches:
        for name, values in zip(batch.schema.names, batch.to_arrow().columns, strict=True):
            if batch.schema[name].type.is_list:
                continue
            assert {*values.to_pylist()} <= {*table[name].to_pylist()}, name
    found = batches[0].to_arrow().schema
    assert table.schema.field("octetDeltaCount").metadata == found.field("octetDeltaCount").metadata


def test_the_records_of_a_template_keep_their_order(tmp_path: Path) -> None:
    parts = [flows(7, seed=seed) for seed in range(3)]
    sink = opened(tmp_path, ParquetFormat())
    for part in parts:
        sink.write(part, np.arange(7) != 3)
        sink.write(counted([(11, 2)]))
    sink.close()
    table = pq.read_table(only(tmp_path))
    expected = [time for part in parts for time in np.delete(np.asarray(part["octetDeltaCount"]), 3).tolist()]
    assert [value for value in table["octetDeltaCount"].to_pylist() if value is not None] == expected


def test_a_file_tells_what_is_in_it(tmp_path: Path) -> None:
    sink = opened(tmp_path, ParquetFormat())
    (batch,) = batches_of(build.file(*build.flows(10)), provenance=PROVENANCE)
    sink.write(batch)
    sink.close()
    metadata = pq.read_metadata(only(tmp_path)).metadata
    assert metadata[b"headwater.version"] == __version__.encode()
    assert metadata[b"headwater.records"] == b"10"
    assert b"headwater.first" not in metadata  # a file has no time of collection
    gc.collect()


def test_a_file_tells_times_and_exporters() -> None:
    facts = segment_parquet._Facts()
    for times, exporters in (([5, None], [1, 2]), ([None, 9], [2, None])):
        facts.add(
            pa.table({
                "collectionTimeMilliseconds": pa.array(times, pa.timestamp("ms")),
                "exporterIPv4Address": pa.array(exporters, pa.uint32()),
                "exporterIPv6Address": pa.array([None, b"\0" * 16], pa.binary(16)),
            })
        )  # fmt: skip
    facts.add(pa.table({"collectionTimeMilliseconds": [b"x"], "exporterIPv4Address": [[1]]}))
    assert facts.metadata == {
        "headwater.version": __version__,
        "headwater.records": "5",
        "headwater.first": "5",
        "headwater.last": "9",
        "headwater.exporters": "3",
    }


def test_a_column_that_comes_late_begins_a_segment_and_is_in_those_that_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_parquet, "ROW_GROUP", 10)
    sink = opened(tmp_path, ParquetFormat())
    sink.write(counted([(1, 8)], 10))
    sink.write(counted([(2, 8)], 4))
    sink.write(counted([(1, 8)], 6))
    sink.write(counted([(7, 2)], 15))  # within a second of the other: it waits
    assert sink.records_waiting >= 25
    assert is_accounted(sink)
    sink.write(counted([(11, 2)], 5))  # as much as may wait
    sink.flush()
    sink.write(counted([(1, 8)], 1))
    sink.close()
    tables = [pq.read_table(tmp_path / name) for name in names(tmp_path)]
    columns = ["octetDeltaCount", "packetDeltaCount", "sourceTransportPort", "destinationTransportPort"]
    assert [(table.num_rows, table.schema.names) for table in tables] == [
        (10, columns[:1]),
        (10, columns[:2]),
        (20, columns),
        (1, columns),
    ]
    assert tables[3].to_pylist() == [dict.fromkeys(columns) | {"octetDeltaCount": 7}]
    assert sink.counters.records_written == 41


def test_columns_that_nobody_sends_any_more_are_forgotten(tmp_path: Path) -> None:
    sink = opened(tmp_path, ParquetFormat())
    sink.write(counted([(2, 8)]))
    for _ in range(segment_columns._KEPT + 2):
        sink.write(counted([(1, 8)]))
        sink.flush()
    widths = [len(pq.read_schema(tmp_path / name)) for name in names(tmp_path)]
    assert widths == [2] * (segment_columns._KEPT + 1) + [1]


def test_a_flood_of_columns_is_bounded_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(segment_parquet, "ROW_GROUP", 10)
    sink = opened(tmp_path, ParquetFormat(most_columns=30))
    elements = [element for element in IANA if element.pen == 0 and element.id != 1 and element.type.is_integer][:100]
    for element in elements:
        sink.write(counted([(1, 8), (element.id, element.type.width or 1)]))
    sink.close()
    left = len({element.name for element in elements} | {"octetDeltaCount"}) - 30
    assert sink.counters.to_dict()["columns_left_out"] == left > 20
    assert len(caplog.records) == 20
    assert "others that will be too are only counted" in caplog.records[-1].message
    assert sink.counters.records_written == sink.counters.records == len(elements)
    for name in names(tmp_path):
        assert len(pq.read_schema(tmp_path / name)) <= 30


def test_lists_that_grow_count_as_columns(tmp_path: Path) -> None:
    template = build.template_set(build.template(300, (291, build.VARIABLE)))
    sink = opened(tmp_path, ParquetFormat(most_columns=4))
    for one, other in pairwise((1, 2, 7, 11, 4, 10, 14, 21, 22)):
        records = [build.var(build.basic_list((id, 1), build.uint(5, 1))) for id in (one, other)]
        sink.write(batches_of(build.message(template, build.data_set(300, *records)))[0])
    sink.close()
    assert sink.counters.records_written == sink.counters.records == 16
    assert pq.ParquetFile(only(tmp_path)).metadata.num_columns <= 4
    assert sink.counters.others["columns_left_out"] == 1


def test_any_schema_finds_encodings_that_hold_it() -> None:
    count = 1000
    rng = np.random.default_rng(1)
    columns: dict[str, pa.Array] = {"nothing": pa.nulls(count), "empty": pa.nulls(count, pa.list_(pa.null()))}
    for many in (1, count):
        numbers = rng.integers(0, many, count)
        for type in (pa.uint8(), pa.int16(), pa.uint32(), pa.uint64(), pa.int64(), pa.float32(), pa.float64()):
            columns[f"{type}-{many}"] = pa.array(numbers % 127).cast(type)
        for unit in ("s", "ms", "us", "ns"):
            columns[f"{unit}-{many}"] = pa.array(numbers).cast(pa.timestamp(unit))
        columns[f"bool-{many}"] = pa.array(numbers % 2 == 0)
        for width in (6, 16, 32):
            octets = [int(number).to_bytes(width, "big") for number in numbers]
            columns[f"fixed{width}-{many}"] = pa.array(octets, pa.binary(width))
        columns[f"text-{many}"] = pa.array(numbers.astype(str).tolist())
        columns[f"octets-{many}"] = pa.array([b"%d" % number for number in numbers])
        lists = [[{"a.b": int(number), "c": [None, True]}] for number in numbers]
        columns[f"lists ({many})"] = pa.array(
            lists, pa.list_(pa.struct([("a.b", pa.uint16()), ("c", pa.list_(pa.bool_()))]))
        )
    table = pa.table(columns)
    for data in (table, table.slice(0, 0), table.take(pa.nulls(count, pa.int64()))):
        options = encodings(data)
        out = pa.BufferOutputStream()
        writer = pq.ParquetWriter(out, data.schema, **options)
        writer.write_table(data)
        writer.write_table(table)
        writer.close()
        back = pq.read_table(pa.BufferReader(out.getvalue()))
        back.validate(full=True)
        assert back.slice(data.num_rows).cast(table.schema).equals(table)
    used = pq.ParquetFile(pa.BufferReader(out.getvalue())).metadata.row_group(0)
    assert used.num_columns >= len(columns)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pa.ArrowInvalid("no such thing"), "Parquet cannot hold records: no such thing"),
        (RuntimeError("a mistake of ours"), "RuntimeError: a mistake of ours"),
    ],
)
def test_what_a_format_cannot_hold_is_counted_and_the_next_segment_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    monkeypatch.setattr(segment_parquet, "ROW_GROUP", 10)
    sink = opened(tmp_path, ParquetFormat())
    sink.write(flows(10))

    def refuse(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(gathered.Gathered, "table", refuse)
        assert sink.write(flows(10)) == 10
    c = sink.counters
    assert (c.records, c.records_lost, c.errors, sink.records_waiting) == (20, 20, 1, 0)
    assert c.last_error == words
    sink.write(flows(3))
    sink.close()
    assert (c.records_written, c.segments) == (3, 1)
    assert [name.rpartition(".")[2] for name in names(tmp_path)] == ["torn", "parquet"]


def test_a_dropped_writer_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for format in (ParquetFormat(), ArrowFormat()):
        monkeypatch.setattr(segment_parquet, "ROW_GROUP", 1)
        monkeypatch.setattr(segment_arrow, "_ENOUGH", 1)
        sink = opened(tmp_path, format)
        sink.write(flows(10))
        sink.write(flows(10))
        sink.abandon()
        gc.collect()
        c = sink.counters
        assert (c.records, c.records_lost, sink.records_waiting) == (20, 20, 0)
    assert [name.rpartition(".")[2] for name in names(tmp_path)] == ["torn", "torn"]


def test_duckdb_reads_them_all_as_one(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    sink = opened(tmp_path, ParquetFormat(), partition="date=%Y-%m-%d/hour=%H")
    for batch in batches_of(build.file(*build.mixed_flows(50))):
        sink.write(batch)
    sink.flush()
    sink.write(counted([(11, 2)], 3))
    sink.flush()
    sink.write(flows(10))  # not to be seen yet
    query = f"select count(*), count(distinct date) from read_parquet('{tmp_path}/**/*.parquet', union_by_name=true)"
    with duckdb.connect() as connection:
        (found,) = connection.execute(query).fetchall()
    assert found == (sink.counters.records_written, 1)
    sink.close()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
def test_arrow_segments_are_streams(tmp_path: Path, compression: str) -> None:
    batches = batches_of(build.file(*build.mixed_flows(50), *build.lists(30, domain=2, mtu=500)))
    sink = opened(tmp_path, ArrowFormat(compression=compression))
    for batch in batches:
        sink.write(batch)
    sink.close()
    with pa.ipc.open_stream(only(tmp_path)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    assert table.num_rows == sink.counters.records_written == sum(map(len, batches))
    assert table.schema.metadata == {b"headwater.version": __version__.encode()}


def test_many_small_batches_are_joined(tmp_path: Path) -> None:
    sink = opened(tmp_path, ArrowFormat())
    for seed in range(50):
        sink.write(flows(3, seed=seed))
    sink.close()
    with pa.ipc.open_stream(only(tmp_path)) as reader:
        assert [batch.num_rows for batch in reader] == [150]


def test_what_has_no_type_yet_is_no_column(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    template = build.template_set(
        build.template(300, (1, 8), (291, build.VARIABLE), (293, build.VARIABLE)),
        build.template(301, *build.TCP_FIELDS),
    )
    empty = build.var(build.basic_list((11, 2)))
    full = build.var(build.basic_list((11, 2), build.uint(5, 2)))
    none = build.var(build.sub_template_multi_list())
    some = build.var(build.sub_template_multi_list(build.group(301, build.uint(1), build.uint(2, 1))))
    sink = opened(tmp_path, ParquetFormat())
    for lists in ((empty, none), (full, some), (empty, none)):
        record = build.record(build.uint(7, 8), *lists)
        sink.write(batches_of(build.message(template, build.data_set(300, record)))[0])
        sink.flush()
    tables = [pq.read_table(tmp_path / name) for name in names(tmp_path)]
    for table in tables:
        table.validate(full=True)
    assert sink.counters.records_written == 3
    assert "subTemplateMultiList" not in tables[0].schema.names
    assert len(tables[1].schema) == len(tables[2].schema) == 3
    assert [table["octetDeltaCount"].to_pylist() for table in tables] == [[7]] * 3
    query = f"select basicList, subTemplateMultiList from read_parquet('{tmp_path}/*.parquet', union_by_name=true)"
    with duckdb.connect() as connection:
        found = connection.execute(query).fetchall()
    assert [row[0] for row in found] == [[], [5], []]
    assert found[0][1] is None
    assert found[1][1] is not None


def test_structs_that_grow_are_one_column_for_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    sink = opened(tmp_path, ParquetFormat())
    template = build.template_set(build.template(300, (291, build.VARIABLE)))
    for one, other in pairwise((1, 2, 7, 11)):
        records = [build.var(build.basic_list((id, 1), build.uint(id, 1))) for id in (one, other)]
        sink.write(batches_of(build.message(template, build.data_set(300, *records)))[0])
        sink.flush()
    assert len(names(tmp_path)) == 3
    query = (
        "select basicList.octetDeltaCount, basicList.destinationTransportPort "
        f"from read_parquet('{tmp_path}/*.parquet', union_by_name=true) order by all"
    )
    with duckdb.connect() as connection:
        assert len(connection.execute(query).fetchall()) == 6


def test_columns_are_what_to_arrow_makes_of_them() -> None:
    octets = build.file(*build.mixed_flows(50), *build.lists(30, domain=2, mtu=500), *build.strings(20, domain=3))
    select = [
        "sourceIPv4Address",
        "sourceIPv6Address",
        "octetDeltaCount",
        "flowStartMilliseconds",
        "dataRecordsReliability",
    ]
    record = build.record(
        build.uint(1, 1), build.float64(1.5), b"\1" * 16, b"\2" * 6, build.uint(2, 1), build.uint(3, 1)
    )
    odd = [(276, 1), (320, 8), (27, 16), (56, 6), (276, 1), (36, 1)]
    message = build.message(build.template_set(build.template(300, *odd)), build.data_set(300, record, record))
    found = [*batches_of(octets), *batches_of(octets, select=select, provenance=["exportTime"]), *batches_of(message)]
    assert {gathered._Kind(batch.schema).is_flat for batch in found} == {True, False}
    for batch in found:
        columns = segment_columns.SegmentColumns()
        waiting = gathered.Gathered(columns)
        assert waiting.take(batch) + waiting.take(batch) == 2 * len(batch)
        expected = pa.Table.from_batches([batch.to_arrow()] * 2)
        made = waiting.table(columns.schema)
        made.validate(full=True)
        for name in made.schema.names:
            assert made.schema.field(name).metadata == expected.schema.field(name).metadata
            assert made[name].to_pylist() == expected[name].to_pylist()


def test_what_other_records_have_is_null_in_any_type() -> None:
    columns = segment_columns.SegmentColumns()
    waiting = gathered.Gathered(columns)
    octets = build.file(*build.lists(30, domain=2, mtu=500), *build.mixed_flows(50), *build.strings(20, domain=3))
    batches = batches_of(octets)
    for batch in [*batches, *batches]:
        waiting.take(batch)
    table = waiting.table(columns.schema)
    table.validate(full=True)
    assert table.num_rows == 2 * sum(map(len, batches))
    for name in table.schema.names:
        present = 2 * sum(len(batch) for batch in batches if name in batch.columns)
        assert table[name].null_count == table.num_rows - present, name


def test_records_without_any_column_are_still_records(tmp_path: Path) -> None:
    template = build.template_set(build.template(300, (293, build.VARIABLE)))
    record = build.var(build.sub_template_multi_list())
    for format in (ParquetFormat(), ArrowFormat()):
        sink = opened(tmp_path / format.name, format)
        sink.write(batches_of(build.message(template, build.data_set(300, record, record)))[0])
        sink.close()
        assert sink.counters.records_written == 2
    assert pq.read_metadata(only(tmp_path / "parquet")).num_rows == 2
    with pa.ipc.open_stream(only(tmp_path / "arrow")) as reader:
        assert reader.read_all().num_rows == 2


def test_columns_in_any_order_become_one_piece_of_a_table() -> None:
    fields = [(8, 4), (7, 2), (1, 8), (276, 1)]
    record = {8: b"\x01\x02\x03\x04", 7: b"\x00\x50", 1: bytes(7) + b"\x09"}
    columns = segment_columns.SegmentColumns()
    waiting = gathered.Gathered(columns)
    for number in range(12):
        order = fields[number % 4 :] + fields[: number % 4]
        octets = [record.get(id, b"\x03" if number % 2 else b"\x01") for id, _ in order]  # 3 is no truth value
        sets = (build.template_set(build.template(256 + number, *order)), build.data_set(256 + number, *octets))
        waiting.take(batches_of(build.message(*sets))[0])
    table = waiting.table(columns.schema)
    table.validate(full=True)
    assert {column.num_chunks for column in table.columns} == {1}
    assert table["octetDeltaCount"].to_pylist() == [9] * 12
    assert table["sourceTransportPort"].to_pylist() == [80] * 12
    assert table["dataRecordsReliability"].to_pylist() == [True, None] * 6
    assert columns.schema.names[0] == "sourceIPv4Address"


def test_the_same_column_in_other_lengths_is_one_column() -> None:
    columns = segment_columns.SegmentColumns()
    waiting = gathered.Gathered(columns)
    for length in (8, 4, 2, 8):
        waiting.take(counted([(1, length), (7, 2)]))
    table = waiting.table(columns.schema)
    assert table.num_rows == sum(1 for _ in table["octetDeltaCount"].to_pylist())
    assert table["octetDeltaCount"].null_count == 0


def test_what_is_known_of_kinds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered, "_MOST_KNOWN", 3)
    monkeypatch.setattr(segment_columns, "_MOST_PLACED", 3)
    columns = segment_columns.SegmentColumns()
    waiting = gathered.Gathered(columns)
    ids = [1, 2, 7, 11, 4, 5]
    for id in [*ids, *ids]:
        waiting.take(counted([(id, 1)]))
    table = waiting.table(columns.schema)
    assert len(table.schema) == len(ids)
    assert all(column.null_count < table.num_rows for column in table.columns)
    assert len(waiting._kinds) <= 3
