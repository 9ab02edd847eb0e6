"""What the screen of `headwater top` tells of sinks."""

from __future__ import annotations

import pytest

from tests.process.collecting.fakes import SINK, report_of

pytest.importorskip("textual")

from headwater.cli.top_app import sink_texts


def test_a_sink_of_messages_counts_messages() -> None:
    spool = {**SINK, "name": "spool:raw", "counts": "messages", "records": 3}
    assert sink_texts(report_of(sinks=[SINK, spool])) == [
        "parquet flows/  2,000 records, 3 files, 60.0 kB",
        "spool:raw  3 messages, 3 files, 60.0 kB",
    ]


def test_a_sink_that_is_blocked_says_why() -> None:
    blocked = {**SINK, "is_blocked": True, "last_error": "no space\x1b[2J", "records_lost": 4, "records_refused": 1}
    assert sink_texts(report_of(sinks=[blocked])) == [
        "parquet flows/  2,000 records, 3 files, 60.0 kB, 5 LOST  BLOCKED: no space\\x1b[2J"
    ]
