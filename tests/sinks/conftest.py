"""What tests of sinks rely on."""

from __future__ import annotations

import pytest

from headwater.sinks import segments


@pytest.fixture(autouse=True)
def _changes_of_columns_come_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the test stands still between two of them."""
    monkeypatch.setattr(segments, "_BETWEEN", 3600.0)
