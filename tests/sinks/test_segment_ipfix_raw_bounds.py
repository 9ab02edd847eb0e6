"""IPFIX as received: bounds on memory and on waiting that hold whatever exporters and disks do."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from headwater.sinks import finisher
from headwater.sinks.known_templates import KnownTemplates
from headwater.sinks.segment_ipfix_raw import RawIpfixSegments
from tests import build as b
from tests.transport.spools import UDP, block

TEMPLATE = b.message(b.template_set(b.template(256, (8, 4), (10, 4))))
DATA = b.message(b.data_set(256, b.ipv4("192.0.2.1") + b.uint(5)))
SMALL = b.template(256, (8, 4))


@pytest.mark.parametrize("is_same_domain", [True, False], ids=["one domain", "a domain for each"])
def test_what_templates_take_in_memory_is_counted_with_all_that_is_around_them(is_same_domain: bool) -> None:
    bodies = [b.template(256 + number if is_same_domain else 256, (8, 4)) for number in range(20_000)]
    tracemalloc.start()
    try:
        known = KnownTemplates()
        for number, body in enumerate(bodies):
            known.learn(0 if is_same_domain else number, 2, body)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert known.octets > taken / 2


def test_templates_that_are_forgotten_are_not_counted_any_more() -> None:
    known = KnownTemplates()
    for domain in range(100):
        known.learn(domain, 2, SMALL)
    for domain in range(100):
        known.learn(domain, 2, b.withdrawal(256))
    assert known.octets < 32 * 256  # of what was seen last, so that it is not read again
    before = known.octets
    known.learn(1, 2, b.withdrawal(256))
    assert known.octets <= before + 256


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, is_hanging, sync = Event(), Event(), os.fsync
    written: list[object] = []

    def hang(handle: int) -> None:
        is_hanging.set()
        free.wait(60)
        sync(handle)

    def write(handle: int, pieces: Sequence[bytes], at: int) -> int:
        written.append(at)
        return sum(map(len, pieces))

    monkeypatch.setattr(os, "fsync", hang)
    monkeypatch.setattr(finisher, "_PATIENCE", 0.01)
    sink = RawIpfixSegments(tmp_path, rotate_size=60, rotate=0)
    sink.open()
    sink.write_block(block(TEMPLATE, DATA), *UDP)  # which ends a file
    assert is_hanging.wait(60)
    sink.write_block(block(b.message(sequence=1)), *UDP)
    held = sink._files()
    assert [file.records for file in held] == [1]
    held[0].write(bytes(8))  # what is not put down yet
    monkeypatch.setattr(os, "pwritev", write)
    sink.abandon()
    assert written == []
    assert (sink.counters.records, sink.counters.records_lost, sink.records_waiting) == (3, 3, 0)
    free.set()
    while sink._finisher._is_running:
        pass
    assert sink.counters.records_written == 0
