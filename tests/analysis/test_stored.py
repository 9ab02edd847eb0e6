"""Which files a question is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.analysis.errors import QueryError
from headwater.analysis.stored import find
from tests.analysis.stored import START, segment


def names(folder: Path, since: float | None = None) -> list[str]:
    return [Path(path).name for path in find([str(folder)], since).paths]


def test_what_is_being_written_torn_or_hidden_is_left_out(tmp_path: Path) -> None:
    whole = segment(tmp_path)
    for name in (".a.parquet.part", "a.parquet.torn", "a.parquet.part", ".headwater/b.parquet", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"PAR1")
    assert names(tmp_path) == [whole.name]


def test_folders_by_time_are_searched(tmp_path: Path) -> None:
    segment(tmp_path / "2026" / "11" / "21")
    assert len(names(tmp_path)) == 1
    assert len(find([f"{tmp_path}/2026/*/*/*.parquet"]).paths) == 1


def test_a_file_that_is_named_twice_is_asked_once(tmp_path: Path) -> None:
    path = segment(tmp_path)
    assert find([str(path), str(tmp_path)]).paths == [str(path)]


def test_segments_that_ended_before_are_left_out_by_their_names(tmp_path: Path) -> None:
    paths = [segment(tmp_path, at=START + 300 * n, number=n + 1) for n in range(4)]
    assert names(tmp_path, START + 450) == [path.name for path in paths[1:]]
    assert names(tmp_path, START) == [path.name for path in paths]


def test_a_segment_ends_not_before_the_second_in_which_the_next_one_begins_is_over(tmp_path: Path) -> None:
    paths = [segment(tmp_path, at=START + 300 * n, number=n + 1) for n in range(2)]
    assert names(tmp_path, START + 300.9) == [path.name for path in paths]
    assert names(tmp_path, START + 301.1) == [paths[1].name]


def test_the_last_segment_of_each_worker_has_no_known_end(tmp_path: Path) -> None:
    segment(tmp_path, at=START, worker=0)
    segment(tmp_path, at=START + 300, worker=1)
    assert len(names(tmp_path, START + 10_000)) == 2


def test_segments_in_folders_by_time_follow_each_other(tmp_path: Path) -> None:
    for hour in range(3):
        segment(tmp_path / f"hour={hour}", at=START + 3600 * hour, number=hour + 1)
    assert len(names(tmp_path, START + 3700)) == 2


def test_files_with_other_names_are_always_asked(tmp_path: Path) -> None:
    segment(tmp_path).rename(tmp_path / "mine.parquet")
    segment(tmp_path, at=START, number=1)
    segment(tmp_path, at=START + 300, number=2)
    assert len(names(tmp_path, START + 10_000)) == 2


@pytest.mark.parametrize(
    ("folders", "is_hive"),
    [(["date=2026-11-21"], True), (["2026"], False), (["date=2026-11-21", "."], False), (["a=1", "b=1"], False)],
)
def test_names_of_folders_are_columns_only_if_all_say_so(tmp_path: Path, folders: list[str], is_hive: bool) -> None:
    for folder in folders:
        segment(tmp_path / folder)
    assert find([str(tmp_path)]).hive is is_hive


def test_a_folder_with_an_equals_sign_above_is_no_column(tmp_path: Path) -> None:
    segment(tmp_path / "a=b" / "flows")
    assert not find([str(tmp_path / "a=b" / "flows")]).hive


def test_nothing_to_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="has no segments; 'headwater collect"):
        find([str(tmp_path)])
    with pytest.raises(QueryError, match="does not exist"):
        find([str(tmp_path / "nowhere")])
    with pytest.raises(QueryError, match="no file is behind"):
        find([str(tmp_path / "*.parquet")])
    with pytest.raises(QueryError, match="nothing to read is named"):
        find([])
    (tmp_path / ".x.parquet.part").touch()
    with pytest.raises(QueryError, match="has no whole segment yet"):
        find([str(tmp_path)])
    with pytest.raises(QueryError, match="is not whole"):
        find([str(tmp_path / ".x.parquet.part")])
