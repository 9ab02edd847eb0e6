"""Targets: what each form means, and one sentence for what means nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.sinks.collecting import SinkError
from headwater.sinks.segment_ipfix import IpfixSegments
from headwater.sinks.segment_ipfix_raw import RawIpfixSegments
from headwater.sinks.segments import Segments
from headwater.sinks.spool import SpoolSink
from headwater.sinks.stdout import StdoutSink
from headwater.sinks.targets import parse_target, sink_of
from tests.sinks.test_segments import flows, names


@pytest.mark.parametrize(
    ("target", "format", "place", "options"),
    [
        ("flows/", "parquet", "flows/", {}),
        ("flows", "parquet", "flows", {}),
        ("/var/lib/flows/", "parquet", "/var/lib/flows/", {}),
        ("./a:b/", "parquet", "./a:b/", {}),
        ("PARQUET:flows/", "parquet", "flows/", {}),
        ("-", "ndjson", "-", {}),
        ("csv:-", "csv", "-", {}),
        ("-?format=csv", "csv", "-", {}),
        ("arrow:-?compression=none", "arrow", "-", {"compression": "none"}),
        ("ipfix-raw:dir/", "ipfix-raw", "dir/", {}),
        ("spool:dir/?rotate_size=1G", "spool", "dir/", {"rotate_size": 1 << 30}),
        ("ndjson:d/?compression=zstd&rotate=0", "ndjson", "d/", {"compression": "zstd", "rotate": 0.0}),
        (
            "flows/?rotate=5m&rotate_size=256M&partition=%Y/%m/%d/%H&level=3",
            "parquet",
            "flows/",
            {"rotate": 300.0, "rotate_size": 256 << 20, "partition": "%Y/%m/%d/%H", "level": 3},
        ),
    ],
)
def test_a_target_says_format_place_and_options(
    target: str, format: str, place: str, options: dict[str, object]
) -> None:
    found = parse_target(target)
    assert (found.format, found.place, dict(found.options)) == (format, place, options)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("", "names no place"),
        ("csv:", "names no place"),
        ("?rotate=5m", "names no place"),
        ("parqet:flows/", r"there is no format 'parqet'; did you mean parquet:\?"),
        ("nonsense:flows/", "there are parquet, arrow, ndjson, csv"),
        ("duckdb:flows.db", "headwater query"),
        ("csv:flows/?format=arrow", "is it csv or arrow"),
        ("udp://127.0.0.1:4739", "no URL"),
        ("s3://bucket/flows", "no URL"),
        ("parquet:-", "parquet does not go to stdout; arrow, ndjson, csv do"),
        ("flows.parquet", r"flows\.parquet/ would be a folder"),
        ("csv:flows.csv.gz", "looks like a file"),
        ("flows/?rotat=5m", "no option 'rotat'; did you mean rotate"),
        ("flows/?xyzzy=1", "parquet has level, rotate, rotate_size, partition"),
        ("-?rotate=5m", "there is no option 'rotate'"),
        ("csv:flows/?level=1", "there is no option 'level'"),
        ("flows/?rotate", "'rotate' has no value"),
        ("flows/?rotate=", "'rotate=' has no value"),
        ("flows/?rotate=5m&rotate=6m", "rotate is given twice"),
        ("flows/?rotate=soon", "rotate=soon is not a duration such as"),
        ("flows/?rotate=250ms", "is too short"),
        ("flows/?rotate_size=big", "rotate_size=big is not a number of octets"),
        ("flows/?level=23", "is not a level of zstd"),
        ("flows/?level=x", "is not a level of zstd"),
        ("flows/?level=9999999999999", "is not a level of zstd"),
        ("flows/?partition=../x", "folders within the folder"),
        ("flows/?partition=%Q", "%Q, which is none of"),
        ("arrow:d/?compression=gzip", "is not one of none, lz4, zstd"),
        ("flows\0/", "names no place"),
    ],
)
def test_a_mistake_is_one_sentence(target: str, sentence: str) -> None:
    with pytest.raises(SinkError, match=sentence) as raised:
        sink_of(target)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, HeadwaterError)


def test_a_sink_is_inert_until_it_is_opened(tmp_path: Path) -> None:
    for format in ("parquet", "arrow", "ndjson", "csv"):
        sink = sink_of(f"{format}:{tmp_path}/{format}/?rotate=1h", worker=2)
        assert isinstance(sink, Segments)
        assert sink.name == f"{format}:{tmp_path}/{format}/"
        assert names(tmp_path) == []
        assert sink.open() == []
        sink.write(flows(10))
        sink.close()
        (path,) = (tmp_path / format).iterdir()
        assert "Z-2-000001." in path.name
        assert sink.counters.records_written == 10
        for file in (tmp_path / format).iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("format", "kind"), [("ipfix", IpfixSegments), ("ipfix-raw", RawIpfixSegments), ("spool", SpoolSink)]
)
def test_sinks_of_messages_are_targets_too(tmp_path: Path, format: str, kind: type) -> None:
    sink = sink_of(f"{format}:{tmp_path}/x/?rotate=1h&rotate_size=1M&partition=%H", worker=1)
    assert isinstance(sink, kind)
    assert names(tmp_path) == []


def test_an_arrow_stream_to_stdout_needs_a_selection() -> None:
    with pytest.raises(SinkError, match="select its columns"):
        sink_of("arrow:-")
    assert isinstance(sink_of("arrow:-", select=["octetDeltaCount"]), StdoutSink)


def test_a_folder_may_have_the_suffix_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "flows.parquet").mkdir()
    assert parse_target(f"{tmp_path}/flows.parquet").format == "parquet"
    assert parse_target("flows.parquet/").place == "flows.parquet/"


def test_a_library_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("headwater.sinks.segment_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "headwater.sinks.arrow", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SinkError, match="needs pyarrow, which is not installed: pip install"):
        sink_of("flows/")
