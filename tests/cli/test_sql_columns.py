"""`headwater query --tables`: the columns of `flows`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Run


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file with a list of many fields, one of which has a name that no terminal should see."""
    names = [f"field{number}" for number in range(20)]
    type = pa.list_(pa.struct([(name, pa.uint32()) for name in ("a\x07", *names)]))
    pq.write_table(pa.table({"octetDeltaCount": [1], "subTemplateList": pa.array([[]], type)}), tmp_path / "a.parquet")
    return tmp_path


def test_types_of_lists_are_cut_on_a_terminal_and_whole_elsewhere(run: Run, stored: Path) -> None:
    narrow = run("query", "--tables", stored, width=80).stdout.splitlines()
    assert max(map(len, narrow)) <= 80
    assert any(line.split()[-1] == "subTemplateList" for line in narrow)
    assert "field19" in run("query", "--tables", stored).stdout


def test_names_in_types_cannot_harm_a_terminal(run: Run, stored: Path) -> None:
    assert "\x07" not in run("query", "--tables", stored).stdout
