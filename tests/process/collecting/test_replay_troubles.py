"""What becomes of files whose records cannot be decoded for a reason of ours."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.process.collecting.test_replay import TEMPLATE, Desk, data


class PatientDesk(Desk):
    """Goes on after an exception, as the engine does."""

    def put(self, work: Any) -> None:
        with suppress(ZeroDivisionError):
            super().put(work)


def test_what_a_file_held_is_counted_although_decoding_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(TEMPLATE + data(0) + data(1))
    desk = PatientDesk(f"file:{tmp_path / 'x'}")

    def fail(_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.lane._decoder, "decode_all", fail)
    desk.run()
    assert desk.rows == []
    (exporter,) = desk.exporters
    assert (exporter["messages"], exporter["records"]) == (3, 2)
