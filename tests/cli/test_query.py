"""`headwater query`."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.analysis.stored import flows, segment
from tests.cli.conftest import STRANGE, Run, Spawn
from tests.process.collectors import DEADLINE_S


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments, the newer one of a minute ago."""
    now = time.time()
    segment(tmp_path / "flows", 3, now - 3600, number=1)
    segment(tmp_path / "flows", 3, now - 60, number=2)
    return tmp_path / "flows"


def test_an_answer_is_a_table(run: Run, folder: Path) -> None:
    sql = "select sourceIPv4Address as source, sum(octetDeltaCount) * 1000 as octets from flows group by 1 order by 1"
    result = run("query", sql, folder, width=80)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "source     octets",
        "10.0.0.1  200,000",
        "10.0.0.2  400,000",
        "10.0.0.3  600,000",
    ]


def test_in_a_pipe_numbers_are_plain_and_all_columns_are_there(run: Run, folder: Path) -> None:
    result = run("query", "select 1000000 * count(*) as n, * from flows group by all limit 1", folder)
    names, values = result.output.splitlines()
    assert names.split() == ["n", *flows(0).schema.names]
    assert values.split()[0] == "1000000"


def test_numbers_that_name_something_are_not_in_groups(run: Run, folder: Path) -> None:
    result = run(
        "query", "select min(sourceTransportPort) p, sourceTransportPort from flows group by 2", folder, width=80
    )
    assert "40000" in result.output
    assert "40,000" not in result.output


def test_addresses_and_times_are_text_in_json(run: Run, folder: Path) -> None:
    sql = "select *, sourceIPv6Address as v6 from flows where in4(sourceIPv4Address, '10.0.0.1') limit 1"
    row = json.loads(run("query", "--json", sql, folder).output)
    assert row["sourceIPv4Address"] == "10.0.0.1"
    assert row["sourceIPv6Address"] == row["v6"] == "2001:db8::1"
    assert row["sourceMacAddress"] == "02:00:00:00:00:00"
    assert len(row["collectionTimeMilliseconds"]) == len("2026-01-01T00:00:00.000")
    raw = json.loads(run("query", "--json", "--raw", sql, folder).output)
    assert raw["sourceIPv4Address"] == 0x0A000001
    assert raw["v6"] == "20010db8000000000000000000000001"


def test_json_holds_whatever_sql_gives(run: Run, folder: Path) -> None:
    sql = (
        "select sum(octetDeltaCount) s, [1, 2] l, {'a': 'x'::blob} st, map {'k': 1} m, null n, 1.50::decimal(4,2) d,"
        " date '2026-01-02' as d_y, interval 3 minute i, timestamptz '2026-01-02 03:04:05+01' t, true b, 'a' as n"
        " from flows"
    )
    row = json.loads(run("query", "--json", sql, folder).output)
    assert row["s"] == 1200
    assert row["l"] == [1, 2]
    assert row["st"] == {"a": "78"}
    assert row["m"] == [["k", 1]]
    assert row["n"] is None
    assert row["n_2"] == "a"
    assert row["d"] == 1.5
    assert row["d_y"] == "2026-01-02"
    assert row["t"] == "2026-01-02T02:04:05.000000"
    assert row["b"] is True


def test_csv_is_read_back(run: Run, folder: Path) -> None:
    sql = "select sourceIPv4Address, 'a,\"b\"' as q, null as n, '' as e from flows order by 1 limit 2"
    text = run("query", "--csv", sql, folder).output
    assert list(csv.reader(io.StringIO(text))) == [
        ["sourceIPv4Address", "q", "n", "e"],
        ["10.0.0.1", 'a,"b"', "", ""],
        ["10.0.0.1", 'a,"b"', "", ""],
    ]


def test_an_answer_goes_to_parquet_and_arrow(run: Run, folder: Path, tmp_path: Path) -> None:
    parquet, arrow = tmp_path / "out.parquet", tmp_path / "out.arrow"
    assert run("query", "--parquet", parquet, "from flows", folder).exit_code == 0
    assert run("query", "--arrow", arrow, "from flows", folder).exit_code == 0
    found = pq.read_table(parquet)
    assert found.num_rows == 6
    assert found.schema.field("sourceIPv4Address").type == pa.uint32()
    assert pa.ipc.open_file(arrow).read_all().num_rows == 6
    again = run("query", "--parquet", parquet, "from flows", folder)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run("query", "--parquet", parquet, "--force", "from flows limit 1", folder).exit_code == 0
    assert pq.read_table(parquet).num_rows == 1


def test_an_arrow_stream_goes_to_stdout(run: Run, folder: Path) -> None:
    result = run("query", "--arrow", "-", "from flows", folder)
    assert pa.ipc.open_stream(result.stdout_bytes).read_all().num_rows == 6


def test_sql_comes_from_a_file_or_stdin(run: Run, folder: Path, tmp_path: Path) -> None:
    sql = b"-- how many\nselect count(*) as n from flows\n"
    (tmp_path / "q.sql").write_bytes(sql)
    for arguments, data in ((("-f", tmp_path / "q.sql"), None), (("-f", "-"), sql), (("-",), sql)):
        result = run("query", *arguments, folder, data=data)
        assert result.output.split() == ["n", "6"]


def test_since_takes_durations_and_times(run: Run, folder: Path) -> None:
    def count(*options: str) -> int:
        return int(run("query", *options, "select count(*) as n from flows", folder).output.split()[1])

    assert count("--since", "10m") == 3
    assert count("--until", "10m") == 3
    assert count("--since", "2026-01-01") == 6
    assert count("--since", "2026-01-01", "--until", "2026-01-02T00:00:00Z") == 0
    nothing = run("query", "--since", "2h", "--until", "2026-01-01T00:00:00Z", "from flows", folder)
    assert (nothing.exit_code, nothing.stderr) == (
        2,
        "headwater: 'since' is not before 'until', so nothing can be between them\n",
    )


def test_since_takes_nothing_else(run: Run, folder: Path) -> None:
    result = run("query", "--since", "yesterday", "select 1", folder)
    assert result.exit_code == 2
    assert "'yesterday' is neither a duration" in result.stderr


def test_a_table_on_a_terminal_ends_where_it_is_enough(run: Run, folder: Path) -> None:
    sql = "select range as r from range(60)"
    result = run("query", sql, folder, width=80)
    assert len(result.output.splitlines()) == 52
    assert result.output.splitlines()[-1] == "there are more than 50 rows; -n 0 shows all"
    assert len(run("query", "-n", 0, sql, folder, width=80).output.splitlines()) == 61
    assert len(run("query", "-n", 60, sql, folder, width=80).output.splitlines()) == 61
    assert len(run("query", "--json", "-n", 7, sql, folder).output.splitlines()) == 7
    assert len(run("query", sql, folder).output.splitlines()) == 61


def test_columns_that_do_not_fit_are_told(run: Run, folder: Path) -> None:
    lines = run("query", "from flows limit 1", folder, width=60).output.splitlines()
    assert "columns do not fit (--json shows all)" in lines[0]
    assert max(map(len, lines)) <= 60


def test_no_rows_are_told(run: Run, folder: Path) -> None:
    result = run("query", "select octetDeltaCount from flows where false", folder, width=80)
    assert result.output.splitlines() == ["octetDeltaCount", "no rows"]
    assert run("query", "--json", "select 1 from flows where false", folder).output == ""
    assert run("query", "--csv", "select 1 as a from flows where false", folder).output == "a\n"


def test_tables_lists_the_columns(run: Run, folder: Path) -> None:
    result = run("query", "--tables", folder)
    lines = {line.split()[0]: line.split()[1:] for line in result.output.splitlines()}
    assert lines["sourceIPv4Address"] == ["UINTEGER", "8", "ipv4Address"]
    assert lines["octetDeltaCount"] == ["UBIGINT", "1", "unsigned64", "octets"]


def test_text_from_the_wire_does_not_reach_the_terminal_as_it_is(run: Run, strange: Path) -> None:
    result = run("query", "from flows", strange, width=80)
    assert "\x1b" not in result.output
    assert "\\x1b" in result.output
    assert json.loads(run("query", "--json", "from flows", strange).output)["interfaceName"] == STRANGE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "there is neither SQL nor a path"),
        (("select 1",), "the folder or files to ask are missing"),
        (("{folder}",), "there is no SQL before"),
        (("--json", "--csv", "select 1", "{folder}"), "exclude each other"),
        (("--parquet", "-", "select 1", "{folder}"), "cannot go to stdout"),
        (("selct 1", "{folder}"), "syntax error at or near"),
        (("select octetDelta from flows", "{folder}"), "did you mean octetDeltaCount"),
        (("select to_ip4('x')", "{folder}"), "'x' is not the text"),
        (("select error('no') from flows", "{folder}"), "no"),
        (("select 1", "nowhere/"), "nowhere/ does not exist"),
        (("-f", "nowhere.sql", "{folder}"), "nowhere.sql"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, folder: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run("query", *(argument.format(folder=folder) for argument in arguments))
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_files_of_flow_export_are_asked(run: Run, capture: Path) -> None:
    result = run("query", "select count(*) as n, exporterIPv4Address from flows group by 2 order by 2", capture)
    assert [line.split() for line in result.output.splitlines()] == [
        ["n", "exporterIPv4Address"],
        ["2", "10.0.0.5"],
        ["2", "10.0.0.9"],
        ["20", "10.0.0.10"],
    ]


def test_a_warning_does_not_hide_the_answer(run: Run, torn: Path) -> None:
    result = run("query", "select count(*) as n from flows", torn)
    assert result.exit_code == 0
    assert "records may be missing" in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error(spawn: Spawn, folder: Path) -> None:
    process = spawn("query", "--json", "from range(200000)", folder)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, error = process.communicate(timeout=DEADLINE_S)
    assert error == b""


def test_lists_are_shown(run: Run, lists: Path) -> None:
    result = run("query", "--json", "from flows limit 2", lists)
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 2


@pytest.mark.parametrize("options", [("--json",), ("--csv",), ("-n", "0"), ("--arrow", "-"), ("--parquet", "{out}")])
def test_what_goes_wrong_in_the_middle_of_an_answer_is_told(
    run: Run, folder: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    out = tmp_path / "out.parquet"
    sql = "select case when range = 150000 then error('too late') else range end as r from range(200000)"
    result = run("query", *(option.format(out=out) for option in options), sql, folder)
    assert result.exit_code == 2
    assert result.stderr == "headwater: too late\n"
    assert not out.exists()
