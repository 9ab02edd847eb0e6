"""Files with nothing in them, as full disks and machines that fall leave: no records, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.analysis.querying import query
from headwater.errors import HeadwaterError
from tests.analysis.test_forged_times import GOOD, message, store

SUFFIXES = [".parquet", ".arrows", ".ndjson", ".csv", ".ipfix"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_among_others_has_no_records(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    store(tmp_path / f"b{suffix}", message(GOOD))
    warnings: list[str] = []
    assert query("from flows", tmp_path, warn=warnings.append).num_rows == 1
    told = [f"{tmp_path}/a{suffix}: nothing is in it, so it is left out"]
    assert warnings == ([] if suffix in (".ndjson", ".csv") else told)  # text without records is whole


def test_empty_files_of_all_kinds_are_told_of_in_one_sentence(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        (tmp_path / f"a{suffix}").touch()
    store(tmp_path / "b.parquet", message(GOOD))
    warnings: list[str] = []
    found = query("from flows", tmp_path, warn=warnings.append)
    assert found.schema.names == ["flowStartMilliseconds", "octetDeltaCount"]
    assert len(warnings) == 1
    assert warnings[0].endswith(" and 2 more files: nothing is in them, so they are left out")


@pytest.mark.parametrize("suffix", [".parquet", ".arrows", ".ipfix"])
def test_where_all_files_are_empty_there_is_no_answer(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    (tmp_path / f"b{suffix}").touch()
    with pytest.raises(HeadwaterError):
        query("from flows", tmp_path)
