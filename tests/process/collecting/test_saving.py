"""State files of a collector that runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import headwater as hw
from headwater.errors import HeadwaterError
from headwater.process.collecting.saving import Saving
from tests.process.collecting.sending import until


class Lane:
    """A lane that has so much to save that it takes a while."""

    def __init__(self) -> None:
        self.listener = SimpleNamespace(url=SimpleNamespace(name="udp://127.0.0.1:4739"))
        self.num_learned = self.snapshots = 0

    def restore(self, file: Any) -> None:
        pass

    def snapshot(self) -> tuple[list[Any], list[Any]]:
        self.snapshots += 1
        self.num_learned += 1
        time.sleep(0.1)
        return [], []


def test_who_sends_new_templates_all_the_time_does_not_keep_us_saving(tmp_path: Path) -> None:
    lane, saving = Lane(), Saving(str(tmp_path), 0)
    assert saving.load(lane) == []  # type: ignore[arg-type]
    now = saving._kept[id(lane)].saved_at

    def save(after: float) -> int:
        kept = saving._kept[id(lane)]
        until(lambda: kept.going_on is None or kept.going_on.done())
        lane.num_learned += 1
        assert saving.save(lane, now + after) == []  # type: ignore[arg-type]
        return lane.snapshots

    assert save(0.5) == 0
    assert save(1.5) == 1
    assert save(3.0) == 1  # it took 0.1 s, which is too much to do it every second
    assert save(62.0) == 2  # but it is saved after a minute at the latest
    assert saving.close([lane]) == []  # type: ignore[list-item]
    assert lane.snapshots == 3


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere but on a read-only disk
    with pytest.raises(HeadwaterError, match="cannot be written"):
        hw.Collector("udp://127.0.0.1:0", sinks=[print], state=str(tmp_path)).start()
