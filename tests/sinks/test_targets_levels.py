"""`level=` of targets."""

from __future__ import annotations

import pytest

from headwater.sinks.collecting import SinkError
from headwater.sinks.targets import parse_target


@pytest.mark.parametrize("level", ["0", "23", "0023", "1x", "-1", "²", "9" * 5000])
def test_a_level_that_zstd_has_not_is_refused(level: str) -> None:
    with pytest.raises(SinkError, match="is not a level of zstd, from 1 to 22"):
        parse_target(f"flows/?level={level}")


@pytest.mark.parametrize("level", ["1", "09", "22"])
def test_a_level_of_zstd_is_taken(level: str) -> None:
    assert parse_target(f"flows/?level={level}").options == {"level": int(level)}
