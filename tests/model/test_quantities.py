"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from headwater.model.quantities import duration, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("5m", 300),
        ("5 min", 300),
        ("1h", 3600),
        ("2d", 172800),
        (0.25, 0.25),
    ],
)
def test_a_duration_has_a_unit_or_is_seconds(text: str | float, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("4096", 4096), ("64M", 64 << 20), ("64MiB", 64 << 20), ("1gb", 1 << 30), ("1.5k", 1536), (7, 7)],
)
def test_a_size_is_in_powers_of_1024(text: str | int, octets: int) -> None:
    assert size(text) == octets


@pytest.mark.parametrize(
    "text", ["", "m", "-1s", "5 weeks", "1e3", "nan", "9999999999d", True, float("inf"), -1, 10**400]
)
def test_what_is_no_duration_is_told(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"no number|no quantity|is not a duration"):
        duration(text)


@pytest.mark.parametrize("text", ["", "1.5", "5s", "99999999T", "64 octets", 10**400, "9" * 400])
def test_what_is_no_size_is_told(text: str | int) -> None:
    with pytest.raises(ValueError, match=r"no number|no quantity|is not a number of octets"):
        size(text)
