"""`headwater convert`: the same records in every format, and no half files."""

from __future__ import annotations

import csv
import json
import signal
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests import build
from tests.cli.conftest import Run, Spawn


def test_every_format_has_the_same_records(run: Run, mixed: Path, tmp_path: Path) -> None:
    for name in ("out.ndjson", "out.csv", "out.parquet", "out.arrow"):
        result = run("convert", mixed, tmp_path / name)
        assert result.exit_code == 0
        assert f"{name}: 200 records" in result.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    with (tmp_path / "out.csv").open() as file:
        cells = list(csv.DictReader(file))
    parquet = pq.read_table(tmp_path / "out.parquet")
    arrow = pa.ipc.open_file(tmp_path / "out.arrow").read_all()
    assert parquet.equals(arrow)
    names = [*build.FLOW_NAMES, "sourceIPv6Address", "destinationIPv6Address"]
    assert parquet.column_names == list(cells[0]) == names
    octets = sorted(row["octetDeltaCount"] for row in rows)
    assert sorted(parquet["octetDeltaCount"].to_pylist()) == octets
    assert sorted(int(row["octetDeltaCount"]) for row in cells) == octets
    assert parquet["sourceIPv6Address"].null_count == sum("sourceIPv6Address" not in row for row in rows) == 125
    assert sum(row["sourceIPv6Address"] == "" for row in cells) == 125


def test_parquet_has_types_units_and_what_the_elements_are(run: Run, flows: Path, tmp_path: Path) -> None:
    run("convert", flows, tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.field("flowStartMilliseconds").type == pa.timestamp("ms")
    assert schema.field("sourceIPv4Address").type == pa.uint32()
    assert schema.field("octetDeltaCount").metadata[b"ipfix.units"] == b"octets"
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    query = f"select count(*) from '{tmp_path / 'out.parquet'}' where protocolIdentifier = 6"
    count = duckdb.connect().execute(query).fetchone()
    assert count == (sum(row[4] == 6 for row in build.flow_values(100)),)


def test_lists_become_nested_columns(run: Run, lists: Path, tmp_path: Path) -> None:
    run("convert", lists, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    values = build.list_values(40)
    assert table["basicList"].to_pylist() == [ports for _, ports, _, _ in values]
    groups = table["subTemplateMultiList"].to_pylist()
    assert [[(r["interfaceDescription"], r["dot1qVlanId"]) for r in row["262"] or []] for row in groups] == [
        dns for *_, dns in values
    ]


def test_what_does_not_go_together_has_a_column_of_its_own(run: Run, tmp_path: Path) -> None:
    lists = build.template_set(build.template(256, (291, build.VARIABLE), (4, 1)))
    octets = build.template_set(build.template(257, (4, 3)))
    numbers = build.var(build.basic_list((11, 2), build.uint(80, 2)))
    texts = build.var(build.basic_list((82, build.VARIABLE), build.var(b"eth0")))
    paths = [tmp_path / f"{i}.ipfix" for i in range(3)]
    for path, value in zip(paths, (numbers, texts, numbers), strict=True):
        message = build.message(lists, build.data_set(256, value + b"\6"), octets, build.data_set(257, b"abc"))
        path.write_bytes(message)
    assert run("convert", *paths, tmp_path / "out.parquet").exit_code == 0
    table = pq.read_table(tmp_path / "out.parquet")
    numbers_column, protocols, octets_column, texts_column = table.to_pydict().values()
    assert [value for value in numbers_column if value is not None] == [[80], [80]]
    assert [value for value in texts_column if value is not None] == [["eth0"]]
    assert [value for value in protocols if value is not None] == [6, 6, 6]
    assert [value for value in octets_column if value is not None] == [b"abc"] * 3
    assert table.column_names[2] == "protocolIdentifier (binary)"


def test_a_selection_has_its_own_order_and_all_columns(run: Run, flows: Path, tmp_path: Path) -> None:
    run("convert", "-s", "octetDeltaCount,sourceIPv6Address", "-n", 5, flows, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["octetDeltaCount", "sourceIPv6Address"]
    assert (table.num_rows, table["sourceIPv6Address"].null_count) == (5, 5)


def test_a_condition_decides_about_the_columns_too(run: Run, mixed: Path, tmp_path: Path) -> None:
    run("convert", "-w", "sourceIPv6Address != null", mixed, tmp_path / "out.csv")
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert header.split(",") == list(build.FLOW6_NAMES)
    assert len(rows) == 75


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "ndjson"])
def test_stdin_to_stdout(spawn: Spawn, mixed: Path, format: str) -> None:
    process = spawn("convert", "-", "-", "--to", format)
    out, errors = process.communicate(mixed.read_bytes())
    assert (process.returncode, errors) == (0, b"")
    if format == "parquet":
        assert pq.read_table(pa.BufferReader(out)).num_rows == 200
    elif format == "arrow":
        assert pa.ipc.open_stream(out).read_all().num_rows == 200
    else:
        assert out.count(b"\n") == 200 + (format == "csv")


def test_faults_of_stdin_are_told_once_under_its_name(spawn: Spawn, torn: Path, tmp_path: Path) -> None:
    process = spawn("convert", "-", tmp_path / "out.parquet")
    _, errors = process.communicate(torn.read_bytes())
    assert process.returncode == 1
    assert errors.count(b"<stdin>: records may be missing or damaged") == 1
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 99


def test_what_exists_is_not_replaced_unless_forced(run: Run, flows: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine")
    result = run("convert", flows, target)
    assert (result.exit_code, target.read_text()) == (2, "mine")
    assert result.stderr == f"headwater: {target} exists; --force replaces it\n"
    assert run("convert", "--force", flows, target).exit_code == 0
    assert target.read_text().startswith("sourceIPv4Address,")


def test_a_failure_leaves_nothing_behind(run: Run, torn: Path, flows: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert run("convert", "--strict", torn, tmp_path / "out.ndjson").exit_code == 2
    assert run("convert", flows, "/nowhere/x.ipfix", tmp_path / "out.ndjson").exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_signal_to_end_leaves_nothing_behind(spawn: Spawn, flows: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    process = spawn("convert", "-", tmp_path / "out.ndjson")
    assert process.stdin is not None
    process.stdin.write(flows.read_bytes())
    process.stdin.flush()
    while sorted(tmp_path.iterdir()) == before:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("out.xyz", "say --to, or use a suffix of .ndjson"),
        ("-", "stdout needs --to"),
        (".", "is a directory"),
        ("/nowhere/out.csv", "cannot be written: no such file or directory"),
    ],
)
def test_an_impossible_destination_is_one_sentence(run: Run, flows: Path, target: str, words: str) -> None:
    result = run("convert", flows, target)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


def test_without_pyarrow_it_says_what_to_install(
    run: Run, flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("headwater.sinks.arrow", "headwater.sinks.parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("convert", flows, tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert "pip install 'headwater[arrow]'" in result.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_no_records_make_an_empty_file(run: Run, flows: Path, tmp_path: Path) -> None:
    for name in ("out.ndjson", "out.csv", "out.parquet", "out.arrow"):
        assert run("convert", "-w", "octetDeltaCount < 0", flows, tmp_path / name).exit_code == 0
    assert (tmp_path / "out.ndjson").read_bytes() == b""
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_no_records_keep_the_columns(run: Run, mixed: Path, tmp_path: Path) -> None:
    names = [*build.FLOW_NAMES, "sourceIPv6Address", "destinationIPv6Address"]
    for i, args in enumerate((("-w", "octetDeltaCount < 0"), ("-n", "0"))):
        for suffix in ("csv", "parquet", "arrow"):
            assert run("convert", *args, mixed, tmp_path / f"{i}.{suffix}").exit_code == 0
        assert (tmp_path / f"{i}.csv").read_text() == ",".join(names) + "\n"
        assert pq.read_schema(tmp_path / f"{i}.parquet").names == names
        assert pq.read_schema(tmp_path / f"{i}.parquet").field("sourceIPv4Address").type == pa.uint32()
        assert pa.ipc.open_file(tmp_path / f"{i}.arrow").schema.names == names


def test_a_source_is_never_the_destination(run: Run, flows: Path, tmp_path: Path) -> None:
    before = flows.read_bytes()
    for source in (flows, tmp_path):
        result = run("convert", "-f", "--to", "csv", source, flows)
        assert result.exit_code == 2
        assert result.stderr == f"headwater: {flows} is one of the sources; give another name\n"
        assert flows.read_bytes() == before


def test_a_missing_destination_and_an_empty_selection_are_told(run: Run, flows: Path, tmp_path: Path) -> None:
    result = run("convert", flows)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "DEST is missing" in result.stderr
    for args in (["cat", "-s", "", flows], ["convert", "-s", ",", flows, tmp_path / "out.csv"]):
        result = run(*args)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "no column is named" in result.stderr
