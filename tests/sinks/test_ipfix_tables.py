"""Tables are read a part at a time, and what is none is told in one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from headwater.errors import SourceError
from headwater.sinks.ipfix_tables import table_parts

TABLE = pa.table({"octetDeltaCount": pa.array([1, None, 3], pa.uint64()), "interfaceName": ["eth0", "", None]})


def rows(path: Path, kind: str) -> list[dict[str, Any]]:
    return [row for part in table_parts(str(path), kind) for row in (part if kind == "ndjson" else part.to_pylist())]


def test_parquet_and_both_forms_of_arrow_are_read_as_they_are(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "table.parquet")
    for make in (pa.ipc.new_file, pa.ipc.new_stream):
        with make(tmp_path / f"{make.__name__}.arrow", TABLE.schema) as writer:
            writer.write_table(TABLE)
    assert rows(tmp_path / "table.parquet", "parquet") == TABLE.to_pylist()
    assert rows(tmp_path / "new_file.arrow", "arrow") == TABLE.to_pylist()
    assert rows(tmp_path / "new_stream.arrow", "arrow") == TABLE.to_pylist()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_cells_of_csv_are_text_and_empty_ones_null(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table.csv{suffix}"
    octets = b'octetDeltaCount,interfaceName\n1,eth0\n,""\n3,\n'
    path.write_bytes(gzip.compress(octets) if suffix else octets)
    assert rows(path, "csv") == [
        {"octetDeltaCount": "1", "interfaceName": "eth0"},
        {"octetDeltaCount": None, "interfaceName": ""},
        {"octetDeltaCount": "3", "interfaceName": None},
    ]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_lines_of_ndjson_are_records(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table.ndjson{suffix}"
    octets = "\n\n".join(map(json.dumps, TABLE.to_pylist())).encode()
    path.write_bytes(gzip.compress(octets) if suffix else octets)
    assert rows(path, "ndjson") == TABLE.to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "ndjson"])
def test_what_is_no_table_is_told_in_one_sentence(tmp_path: Path, kind: str) -> None:
    for path, why in ((tmp_path / "none", "does not exist"), (tmp_path, "cannot be read as"), (_bad(tmp_path), "bad")):
        with pytest.raises(SourceError, match=why) as caught:
            rows(path, kind)
        assert "\n" not in str(caught.value)
        assert caught.value.source == str(path)


def _bad(folder: Path) -> Path:
    path = folder / "bad"
    path.write_bytes(b'"a,b\n\xff\xfe,1\n1,2,3\n')
    return path


def test_the_line_of_bad_json_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.ndjson"
    path.write_text('{"octetDeltaCount": 1}\n[1]\n')
    with pytest.raises(SourceError, match="line 2 is no JSON object"):
        rows(path, "ndjson")


def test_a_csv_file_with_names_only_has_no_records(tmp_path: Path) -> None:
    for octets in (b"", b"octetDeltaCount\n"):
        (tmp_path / "table.csv").write_bytes(octets)
        assert rows(tmp_path / "table.csv", "csv") == []
