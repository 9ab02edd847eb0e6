"""Files of other programs: as many records as were in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import headwater as hw
from headwater.errors import FaultKind

pytestmark = pytest.mark.corpus
UNDISPUTED = ("A", "B", "C")


def test_files_of_other_programs_are_read_whole(corpus: Path) -> None:
    seen = 0
    for entry in json.loads((corpus / "catalogue.json").read_text()):
        files = [corpus / path for path in entry["originals"] if path.endswith(".ipfix")]
        if not files:
            continue
        seen += 1
        reading = hw.read(files)
        rows = sum(batch.num_rows for batch in reading)
        report = reading.report
        assert rows == report.records + report.options_records
        assert json.dumps(report.to_dict())
        assert len(list(hw.records(files))) == rows
        if entry["truth_grade"] in UNDISPUTED:
            assert (report.records, report.options_records) == (entry["data_records"], entry["options_records"])
            assert set(report.faults).isdisjoint({FaultKind.TRUNCATED_TAIL, FaultKind.FRAMING_LOST})
    assert seen


def test_a_folder_of_all_kinds_is_read_and_the_rest_is_skipped(corpus: Path) -> None:
    reading = hw.read(corpus / "original", select=["octetDeltaCount"])
    for _ in reading:
        pass
    assert {source.content for source in reading.report.sources} == {"ipfix", "capture", "netflow"}
    assert len(reading.report.sources) >= 100
    assert reading.report.skipped
    assert all(skipped.is_foreign for skipped in reading.report.skipped)
