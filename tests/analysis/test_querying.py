"""Questions to stored records."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headwater as hw
from headwater.analysis.errors import QueryError
from headwater.analysis.flushing import flush_collectors
from headwater.analysis.querying import connect, query
from headwater.analysis.stored import find
from headwater.process.collecting.control import write_pointer
from tests import build
from tests.analysis.stored import START, flows, segment
from tests.process.collecting.fakes import until


def rows(sql: str, *paths: object, **options: Any) -> list[dict[str, Any]]:
    found = query(sql, *map(str, paths), **options).to_pylist()
    assert isinstance(found, list)
    return found


def one(sql: str, *paths: object, **options: Any) -> Any:
    return next(iter(rows(sql, *paths, **options)[0].values()))


def test_all_segments_of_a_folder_are_one_table(tmp_path: Path) -> None:
    for number in range(3):
        segment(tmp_path, 4, START + 300 * number, number=number + 1)
    assert one("select count(*) from flows", tmp_path) == 12
    assert one("select sum(octetDeltaCount)::bigint from flows", tmp_path) == 3 * (100 + 200 + 300 + 400)


def test_a_column_that_some_segments_lack_is_null_there(tmp_path: Path) -> None:
    segment(tmp_path, 2, number=1)
    segment(tmp_path, 3, number=2, flowId=pa.array([1, 2, 3], pa.uint64()))
    assert one("select count(*) - count(flowId) from flows", tmp_path) == 2


def test_a_column_has_the_type_that_holds_what_all_segments_have(tmp_path: Path) -> None:
    segment(tmp_path, 1, number=1, ingressInterface=pa.array([1], pa.uint16()))
    segment(tmp_path, 1, number=2, ingressInterface=pa.array([1 << 20], pa.uint32()))
    assert one("select max(ingressInterface) from flows", tmp_path) == 1 << 20
    segment(tmp_path, 1, number=3, ingressInterface=pa.array([b"\1\2"], pa.binary()))
    assert len(rows("select ingressInterface from flows", tmp_path)) == 3


def test_lists_with_different_contents_become_text(tmp_path: Path) -> None:
    segment(tmp_path, 1, number=1, basicList=pa.array([[1, 2]], pa.list_(pa.uint32())))
    segment(tmp_path, 1, number=2, basicList=pa.array([{"a": ["x"]}], pa.struct({"a": pa.list_(pa.string())})))
    segment(tmp_path, 1, number=3)
    found = rows("select basicList from flows order by collectionTimeMilliseconds, basicList", tmp_path)
    texts = [row["basicList"] for row in found]
    assert sorted(filter(None, texts)) == ["[1,2]", '{"a":["x"]}']
    assert texts.count(None) == 1


def test_lists_with_the_same_contents_stay_lists(tmp_path: Path) -> None:
    for number in (1, 2):
        segment(tmp_path, 1, number=number, basicList=pa.array([[number]], pa.list_(pa.uint32())))
    assert one("select sum(list_sum(basicList))::bigint from flows", tmp_path) == 3


def test_since_and_until_are_about_the_time_of_collection(tmp_path: Path) -> None:
    segment(tmp_path, 10, START)
    assert one("select count(*) from flows", tmp_path, since=START + 4) == 6
    assert one("select count(*) from flows", tmp_path, until=START + 4) == 4
    assert one("select count(*) from flows", tmp_path, since=START + 4, until=START + 5) == 1


def test_since_needs_a_time_of_collection(tmp_path: Path) -> None:
    segment(tmp_path, table=flows(3).drop_columns(["collectionTimeMilliseconds"]))
    with pytest.raises(QueryError, match="no column collectionTimeMilliseconds"):
        query("select 1", tmp_path, since=START)


def test_folders_named_by_time_give_columns(tmp_path: Path) -> None:
    segment(tmp_path / "date=2026-11-20" / "hour=00")
    segment(tmp_path / "date=2026-11-21" / "hour=01")
    assert rows('select distinct "date"::varchar as d from flows order by 1', tmp_path) == [
        {"d": "2026-11-20"},
        {"d": "2026-11-21"},
    ]


def test_a_name_with_a_pattern_in_it_is_a_name(tmp_path: Path) -> None:
    path = segment(tmp_path)
    odd = tmp_path / "it's [a]*?.parquet"
    path.rename(odd)
    assert one("select count(*) from flows", odd) == 3


def test_arrow_ndjson_csv_and_parquet_are_one_table(tmp_path: Path) -> None:
    segment(tmp_path, 1)
    table = flows(1)
    with pa.ipc.new_stream(tmp_path / "a.arrows", table.schema) as stream:
        stream.write_table(table)
    with pa.ipc.new_file(tmp_path / "b.arrow", table.schema) as file:
        file.write_table(table)
    text = {
        "collectionTimeMilliseconds": "2026-11-21T18:00:00.000",
        "sourceIPv4Address": "10.0.0.1",
        "sourceIPv6Address": "2001:db8::1",
        "sourceMacAddress": "02:00:00:00:00:00",
        "sourceTransportPort": 40000,
        "protocolIdentifier": 6,
        "octetDeltaCount": 100,
    }
    (tmp_path / "c.ndjson").write_text(json.dumps(text) + "\n")
    (tmp_path / "d.csv").write_text(",".join(text) + "\n" + ",".join(map(str, text.values())) + "\n")
    assert one("select count(*) from flows", tmp_path) == 5
    assert one("select count(*) from (select distinct * from flows)", tmp_path) == 1
    assert one("select count(*) from flows", tmp_path, since=START) == 5


def test_flow_export_in_files_is_asked_too(tmp_path: Path) -> None:
    (tmp_path / "flows.ipfix").write_bytes(build.file(*build.flows(100)))
    assert one("select count(*) from flows", tmp_path) == 100
    assert one("select count(*) from flows", tmp_path / "flows.ipfix") == 100


def test_segments_that_go_away_before_they_are_opened_are_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = segment(tmp_path, 3, number=1)
    segment(tmp_path, 4, START + 300, number=2)

    def find_and_delete(*arguments: Any) -> Any:
        found = find(*arguments)
        first.unlink(missing_ok=True)
        segment(tmp_path, 5, START + 600, number=3)  # and another one comes
        return found

    monkeypatch.setattr("headwater.analysis.querying.find", find_and_delete)
    assert one("select count(*) from flows", tmp_path) == 9


def test_segments_that_always_go_away_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment(tmp_path)

    def find_and_delete(*arguments: Any) -> Any:
        found = find(*arguments)
        for path in found.paths:
            Path(path).unlink()
        segment(tmp_path)
        found.kinds["parquet"].append(str(tmp_path / "gone.parquet"))
        return found

    monkeypatch.setattr("headwater.analysis.querying.find", find_and_delete)
    with pytest.raises(QueryError, match=r"gone\.parquet"):
        query("select count(*) from flows", tmp_path)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select sourceIPv4Adress from flows", r"sourceIPv4Adress.*did you mean sourceIPv4Address"),
        ("select * from flow", r"flow does not exist; did you mean flows\?"),
        ("select * frm flows", "syntax error at or near"),
        ("select nofunction(1)", "nofunction does not exist"),
        ("", "there is no question"),
        ("select '192.0.2.1'::inet", "DuckDB's extension inet, which is not installed"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_in_a_sentence(tmp_path: Path, sql: str, told: str) -> None:
    segment(tmp_path)
    with pytest.raises(QueryError, match=told) as caught:
        query(sql, tmp_path)
    assert "\n" not in str(caught.value)


def test_names_in_a_question_are_no_variables_of_ours(tmp_path: Path) -> None:
    segment(tmp_path)
    with pytest.raises(QueryError, match="named does not exist"):
        query("select * from named", tmp_path)


def test_a_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(QueryError, match=r"bad\.parquet"):
        query("select 1 from flows", tmp_path)


def test_a_connection_has_the_view_and_the_macros(tmp_path: Path) -> None:
    segment(tmp_path)
    with connect(tmp_path) as con:
        assert con.execute("select ip4(min(sourceIPv4Address)) from flows").fetchall() == [("10.0.0.1",)]


# ---------------------------------------------------------------- flushing


class Collector:
    """Answers at a control socket; `on_flush` is called for each request."""

    def __init__(self, folder: Path, answer: bytes, on_flush: Callable[[], object] = lambda: None) -> None:
        self.asked: list[object] = []
        self._answer, self._on_flush = answer, on_flush
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "c.sock"))
        self._socket.listen()
        write_pointer(folder, str(folder / "c.sock"))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        try:
            while True:
                peer, _ = self._socket.accept()
                with peer, peer.makefile("rb") as lines:
                    for line in lines:
                        self.asked.append(json.loads(line))
                        self._on_flush()
                        peer.sendall(self._answer)
        except OSError:
            return


def test_a_collector_that_writes_to_the_folder_is_asked_to_flush(tmp_path: Path) -> None:
    with Collector(tmp_path, b'{"done":true}\n', lambda: segment(tmp_path)) as collector:
        assert one("select count(*) from flows", tmp_path) == 3
    assert collector.asked == [{"do": "flush"}]


def test_a_collector_of_a_folder_above_is_asked_too(tmp_path: Path) -> None:
    segment(tmp_path / "2026" / "11")
    with Collector(tmp_path, b"{}\n") as collector:
        one("select count(*) from flows", tmp_path / "2026" / "11")
        one("select count(*) from flows", f"{tmp_path}/2026/*/*.parquet")
        one("select count(*) from flows", tmp_path, flush=False)
    assert len(collector.asked) == 2


def test_a_collector_that_cannot_flush_becomes_a_warning(tmp_path: Path) -> None:
    segment(tmp_path)
    warnings: list[str] = []
    with Collector(tmp_path, b'{"error":"the disk is full"}\n'):
        assert one("select count(*) from flows", tmp_path, warn=warnings.append) == 3
    assert len(warnings) == 1
    assert "the disk is full; the newest records may be missing" in warnings[0]


def test_a_collector_that_hangs_becomes_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    with Collector(tmp_path, b""):
        flush_collectors([str(tmp_path)], warnings.append, timeout=0.05)
    assert len(warnings) == 1
    assert "does not answer" in warnings[0]


def test_a_collector_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    segment(tmp_path)
    write_pointer(tmp_path, str(tmp_path / "gone.sock"))
    warnings: list[str] = []
    assert one("select count(*) from flows", tmp_path, warn=warnings.append) == 3
    assert warnings == []


def test_query_is_a_name_of_the_package(tmp_path: Path) -> None:
    segment(tmp_path, 4, START)
    assert hw.query("select count(*) as n from flows", tmp_path).to_pylist() == [{"n": 4}]


def test_a_raw_spool_is_decoded(tmp_path: Path) -> None:
    messages = build.flows(100)
    with (
        hw.Collector("udp://127.0.0.1:0", sinks=[f"spool:{tmp_path}/raw"]) as collector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter,
    ):
        for message in messages:
            exporter.sendto(message, ("127.0.0.1", int(collector.addresses[0].rpartition(":")[2])))
        until(lambda: collector.report().totals.get("datagrams", 0) == len(messages))
    report = collector.report()
    assert report.sinks[0]["counts"] == "messages"
    assert "records_written" not in report.totals
    assert one("select count(*) from flows", tmp_path / "raw") == 100


def test_since_must_be_before_until(tmp_path: Path) -> None:
    segment(tmp_path, 1)
    with pytest.raises(QueryError, match="'since' is not before 'until'"):
        hw.query("select 1", tmp_path, since=START + 10, until=START)


def test_what_queries_need_is_told_when_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(hw.SourceError, match="queries need duckdb, which is not installed: pip install"):
        hw.query("select 1", tmp_path)


def test_a_forged_time_does_not_keep_a_folder_from_being_asked(tmp_path: Path) -> None:
    segment(tmp_path, 2, number=1)
    times = pa.array([1_700_000_000_000, 1 << 62, -(1 << 62)], pa.int64()).cast(pa.timestamp("ms"))
    segment(tmp_path, 3, number=2, flowStartMilliseconds=times)
    warnings: list[str] = []
    assert one("select count(*) from flows", tmp_path, warn=warnings.append) == 5
    assert one("select count(flowStartMilliseconds) from flows", tmp_path, warn=warnings.append) >= 1
    assert len(rows("from flows", tmp_path, warn=warnings.append)) == 5
    assert "times beyond the year 290,000 are left out of flowStartMilliseconds" in warnings[0]
