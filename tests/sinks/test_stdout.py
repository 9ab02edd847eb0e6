"""Records to stdout: as they come, and until the reader has seen enough."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from headwater.sinks.segment_arrow import ArrowFormat
from headwater.sinks.segment_text import CsvFormat, NdjsonFormat
from headwater.sinks.stdout import StdoutSink
from tests.sinks.test_segments import counted, flows

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pipe:
    """What stands for stdout, and its reader."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read(self) -> bytes:
        return os.read(self.reader, 1 << 16)

    def close(self) -> None:
        for end in (self.reader, self.writer):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_each_batch_is_out_at_once(pipe: Pipe) -> None:
    sink = StdoutSink(NdjsonFormat(), pipe.writer)
    assert sink.open() == []
    for count in (3, 2):
        assert sink.write(flows(count)) == count
        assert len([json.loads(line) for line in pipe.read().splitlines()]) == count
    assert sink.write(flows(4), np.zeros(4, np.bool_)) == 0
    sink.tick(0.0)
    sink.flush()
    sink.close()
    c = sink.counters
    assert (sink.name, c.records, c.records_written, c.segments, sink.records_waiting) == ("ndjson:-", 5, 5, 0, 0)
    assert c.octets > 500


def test_csv_has_the_columns_of_the_first_records(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    sink = StdoutSink(CsvFormat(), pipe.writer)
    for fields in ([(1, 8), (2, 8)], [(2, 8), (7, 2)], [(7, 2)]):
        sink.write(counted(fields))
    sink.close()
    assert pipe.read().decode().splitlines() == ["octetDeltaCount,packetDeltaCount", "7,7", ",7", ","]
    assert (sink.counters.others, sink.counters.records_written) == ({"columns_left_out": 1}, 3)
    assert "--select tells which are wanted" in caplog.text


def test_arrow_is_one_stream(pipe: Pipe) -> None:
    sink = StdoutSink(ArrowFormat(), pipe.writer)
    for count in (3, 2):
        sink.write(flows(count))
    sink.close()
    with pa.ipc.open_stream(pipe.read()) as reader:
        assert [batch.num_rows for batch in reader] == [3, 2]


@pytest.mark.parametrize("format", [NdjsonFormat, CsvFormat, ArrowFormat])
def test_a_reader_that_has_seen_enough_is_a_broken_pipe(pipe: Pipe, format: type) -> None:
    sink = StdoutSink(format(), pipe.writer)
    sink.write(flows(10))
    os.close(pipe.reader)
    pipe.reader = -1
    for attempt in (lambda: sink.write(flows(5)), sink.retry):
        with pytest.raises(BrokenPipeError):
            attempt()
    sink.abandon()
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost, sink.records_waiting) == (15, 10, 5, 0)
    sink.close()


def test_what_does_not_go_out_now_goes_out_later(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    sink = StdoutSink(NdjsonFormat(), pipe.writer)
    with pytest.raises(BlockingIOError):
        sink.write(flows(2000))
    assert (sink.counters.records, sink.counters.records_written, sink.records_waiting) == (2000, 0, 2000)
    octets = pipe.read()
    while sink.records_waiting:
        with suppress(BlockingIOError):
            sink.retry()
        octets += pipe.read()
    assert (len(octets.splitlines()), len(octets)) == (2000, sink.counters.octets)
    assert sink.counters.records_written == 2000


def test_records_that_cannot_be_written_do_not_hold_up_others(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    format = NdjsonFormat()
    sink = StdoutSink(format, pipe.writer)

    def refuse() -> int:
        raise ValueError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(format, "put", refuse)
        assert sink.write(flows(3)) == 3
    sink.write(flows(2))
    c = sink.counters
    assert (c.records, c.records_written, c.records_lost, c.last_error) == (5, 2, 3, "ValueError: odd")
    assert len(pipe.read().splitlines()) == 2
