"""When files of a series end, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.sinks.ipfix_rotation import Names, Rotation

NOON = 1_700_049_600  # 2023-11-15 12:00 UTC


def names(pattern: Path, count: int, now: float = NOON) -> list[str]:
    """Names of files that come into being one after the other."""
    series = Names(pattern)
    found = []
    for _ in range(count):
        path = series.next(now)
        path.touch()
        found.append(path.name)
    return found


def test_files_are_numbered_in_front_of_their_suffixes(tmp_path: Path) -> None:
    assert names(tmp_path / "flows.ipfix", 2) == ["flows-000001.ipfix", "flows-000002.ipfix"]
    assert names(tmp_path / "flows.ipfix.gz", 1) == ["flows-000001.ipfix.gz"]
    assert names(tmp_path / "flows", 1) == ["flows-000001"]


def test_numbers_go_on_where_another_series_has_ended(tmp_path: Path) -> None:
    (tmp_path / "flows-000001.ipfix").touch()
    (tmp_path / "flows-000002.ipfix.part").touch()
    assert names(tmp_path / "flows.ipfix", 1) == ["flows-000003.ipfix"]


def test_a_pattern_has_the_time_at_which_a_file_was_begun(tmp_path: Path) -> None:
    assert names(tmp_path / "%Y%m%dT%H%M%S.ipfix", 3) == [
        "20231115T120000.ipfix",
        "20231115T120000-2.ipfix",
        "20231115T120000-3.ipfix",
    ]


def test_files_of_the_series_that_are_not_finished_are_found_and_no_others(tmp_path: Path) -> None:
    for name in ("a[1]-000001.ipfix.part", "a[1]-000002.ipfix", "a[1]-x.ipfix.part", "b-000001.ipfix.part", "a1.part"):
        (tmp_path / name).touch()
    assert [path.name for path in Names(tmp_path / "a[1].ipfix").unfinished()] == ["a[1]-000001.ipfix.part"]
    for name in ("b-12.ipfix.part", "b-12-3.ipfix.part", "b-12.ipfix.gz.part"):
        (tmp_path / name).touch()
    assert [path.name for path in Names(tmp_path / "b-%H.ipfix").unfinished()] == [
        "b-12-3.ipfix.part",
        "b-12.ipfix.part",
    ]
    assert Names(tmp_path / "none" / "b.ipfix").unfinished() == []


def test_a_file_ends_before_it_has_more_than_it_should() -> None:
    assert not Rotation(octets=1000).is_due(octets=1000, records=5, began=NOON, now=NOON + 1e9)
    assert Rotation(octets=1000).is_due(octets=1001, records=5, began=NOON, now=NOON)
    assert not Rotation(records=5).is_due(octets=1000, records=5, began=NOON, now=NOON)
    assert Rotation(records=5).is_due(octets=1000, records=6, began=NOON, now=NOON)


def test_a_file_ends_where_a_period_ends_not_a_period_after_it_was_begun() -> None:
    hourly = Rotation(seconds=3600)
    assert not hourly.is_due(octets=1, records=1, began=NOON, now=NOON + 3599.9)
    assert hourly.is_due(octets=1, records=1, began=NOON + 3599, now=NOON + 3600)


@pytest.mark.parametrize("wrong", [{}, {"octets": -1}, {"seconds": -1, "records": 5}])
def test_a_rotation_that_never_comes_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(HeadwaterError, match="give octets, seconds or records above 0"):
        Rotation(**wrong)
