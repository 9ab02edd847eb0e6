"""The progress bar, with a clock of its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headwater.cli import progress
from headwater.cli.progress import Progress, size


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setenv("COLUMNS", "80")
    return clock


def test_it_tells_octets_rate_and_the_time_left(clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progress(is_on=True)
    tell = bar.begin("writing")
    assert tell is not None
    tell(0, 200_000_000)
    assert capsys.readouterr().err == ""
    clock.now += 2
    tell(50_000_000, 200_000_000)
    shown = capsys.readouterr().err
    assert shown == "\rwriting  ██████░░░░░░░░░░░░░░░░░░  25% of 200 MB  25.0 MB/s  6.0 s left\x1b[K"
    clock.now += 0.01
    tell(51_000_000, 200_000_000)
    assert capsys.readouterr().err == ""
    clock.now += 7300
    tell(60_000_000, None)
    assert capsys.readouterr().err == "\rwriting  60.0 MB  8.2 kB/s\x1b[K"
    bar.end()
    assert capsys.readouterr().err == "\r\x1b[K"
    assert bar.took == "in 2:01:42 h"


def test_it_is_silent_where_it_is_off(clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progress(is_on=False)
    assert bar.begin("writing") is None
    bar.end()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_600, "1.0 MB"), (4_096_000_000, "4.1 GB")]
)
def test_sizes_have_three_digits_at_most(octets: int, text: str) -> None:
    assert size(octets) == text
