"""What DuckDB has against a question, in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.analysis.errors import QueryError
from headwater.analysis.querying import query


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"octetDeltaCount\n1\n-5\n", "line 3: error when converting column \"octetDeltaCount\".*'UBIGINT'"),
        (b"octetDeltaCount\n\xff\n", "line [12]: .*"),
    ],
)
def test_a_line_of_csv_that_cannot_be_read_is_told_with_its_file_and_why(tmp_path: Path, text: bytes, why: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(QueryError) as caught:
        query("from flows", path)
    told = str(caught.value)
    assert told.startswith(f"{path}, line ")
    assert "\n" not in told
    with pytest.raises(QueryError, match=why):
        query("from flows", path)
