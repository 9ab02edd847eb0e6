"""NDJSON and CSV: columns have the types that their elements have in Parquet, whatever the text looks like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.analysis.querying import connect, query

HIGHEST = (1 << 64) - 1
FLOW: dict[str, Any] = {
    "octetDeltaCount": HIGHEST,
    "userName": "7",
    "applicationName": "2026-01-01T00:00:00",
    "wlanSSID": "550e8400-e29b-41d4-a716-446655440000",
    "mplsTopLabelStackSection": "001230",
    "flowStartNanoseconds": "2026-01-01T00:00:00.123456789",
    "flowStart": "2026-01-01T00:00:00.123456789",
    "sourceIPv6Address": None,
    "packetDeltaCount": None,
    "samplingProbability": None,
    "flowStartMilliseconds": None,
}
"""A record as text formats have it."""
TYPES = {
    "octetDeltaCount": "UBIGINT",
    "userName": "VARCHAR",
    "applicationName": "VARCHAR",
    "wlanSSID": "VARCHAR",
    "mplsTopLabelStackSection": "BLOB",
    "flowStartNanoseconds": "TIMESTAMP_NS",
    "flowStart": "TIMESTAMP_NS",
    "sourceIPv6Address": "BLOB",
    "packetDeltaCount": "UBIGINT",
    "samplingProbability": "DOUBLE",
    "flowStartMilliseconds": "TIMESTAMP",
}


def write(path: Path, *records: dict[str, Any]) -> Path:
    """Write records as the suffix says."""
    if path.suffix == ".ndjson":
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    else:
        lines = [
            list(records[0]),
            *(["" if value is None else str(value) for value in record.values()] for record in records),
        ]
        path.write_text("".join(f"{','.join(line)}\n" for line in lines))
    return path


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_columns_have_the_types_of_their_elements(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", FLOW)
    with connect(path) as con:
        assert {name: type for name, type, *_ in con.execute("describe flows").fetchall()} == TYPES
        row = con.execute("select userName, applicationName, wlanSSID, octetDeltaCount from flows").fetchall()
        assert row == [("7", "2026-01-01T00:00:00", FLOW["wlanSSID"], HIGHEST)]
        assert con.execute("select hex(mplsTopLabelStackSection) from flows").fetchall() == [("001230",)]
        ends = con.execute("select flowStart::VARCHAR, flowStartNanoseconds::VARCHAR from flows").fetchall()
        assert ends == [("2026-01-01 00:00:00.123456789",) * 2]


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_columns_that_only_some_files_have_are_read_so_too(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", {"octetDeltaCount": 1})
    write(tmp_path / f"b{suffix}", FLOW)
    write(tmp_path / f"c{suffix}", {"octetDeltaCount": 2, "userName": None})
    found = query("select userName, octetDeltaCount from flows order by octetDeltaCount", tmp_path).to_pylist()
    assert [(row["userName"], row["octetDeltaCount"]) for row in found] == [(None, 1), (None, 2), ("7", HIGHEST)]


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_folders_named_as_columns_give_columns(tmp_path: Path, suffix: str) -> None:
    for day in (1, 2):
        (tmp_path / f"day={day}").mkdir()
        write(tmp_path / f"day={day}" / f"a{suffix}", FLOW)
    assert query("select day from flows order by 1", tmp_path)["day"].to_pylist() == [1, 2]
    write(tmp_path / f"b{suffix}", FLOW)
    assert "day" not in query("from flows limit 1", tmp_path).schema.names


@pytest.mark.parametrize(
    "texts",
    [
        ["''',,'''", "'''',\"", "\",,,a", ""],
        ["a;b;c", "d;e;f", ";;"],
        ["a|b\tc", "'\n\r\n'", "#no comment"],
        ["\\", "\\\"", "\"\n\""],
        ["", "", ""],
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 3])
def test_text_in_csv_that_somebody_forged_stays_what_it_is(tmp_path: Path, texts: list[str], count: int) -> None:
    rows = [(number, text, texts[-1 - number]) for number, text in enumerate(texts[:count])]
    quoted = [(str(number), *(f'"{text.replace(chr(34), 2 * chr(34))}"' for text in rest)) for number, *rest in rows]
    lines = ["octetDeltaCount,userName,applicationName", *map(",".join, quoted)]
    (tmp_path / "a.csv").write_text("".join(f"{line}\n" for line in lines), newline="")
    found = query("select * from flows order by octetDeltaCount", tmp_path / "a.csv").to_pylist()
    assert [tuple(row.values()) for row in found] == rows


def test_what_is_empty_in_csv_is_null_and_what_is_quoted_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('userName,applicationName\n,""\n"",\n')
    assert query("select * from flows", tmp_path / "a.csv").to_pylist() == [
        {"userName": None, "applicationName": ""},
        {"userName": "", "applicationName": None},
    ]


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_columns_whose_names_differ_in_case_only_keep_their_values(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", {"userName": "x", "username": "y"})
    assert [list(row.values()) for row in query("from flows", tmp_path).to_pylist()] == [["x", "y"]]


def test_fields_in_lists_whose_names_differ_in_case_only_do_not_keep_a_folder_from_being_asked(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson", {"octetDeltaCount": 1, "subTemplateList": [{"userName": "x", "username": "y"}]})
    write(tmp_path / "b.ndjson", {"octetDeltaCount": 2, "subTemplateList": []})
    found = query("from flows order by octetDeltaCount", tmp_path).to_pylist()
    assert [json.loads(row["subTemplateList"]) for row in found] == [[{"userName": "x", "username": "y"}], []]


def test_floats_that_are_no_number_or_infinite_are_floats(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("samplingProbability\n0.5\n+inf\n-inf\nNaN\n")
    found = query("select samplingProbability as p from flows where isinf(p) or isnan(p)", tmp_path)
    assert sorted(map(str, found["p"].to_pylist())) == ["-inf", "inf", "nan"]


def test_a_column_of_numbers_with_words_in_it_stays_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("protocolIdentifier,octetDeltaCount\ntcp,1\n6,2\n")
    warnings: list[str] = []
    found = query("select protocolIdentifier as p from flows order by 1", tmp_path, warn=warnings.append)
    assert found["p"].to_pylist() == ["6", "tcp"]
    assert warnings == []
