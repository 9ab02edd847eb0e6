"""Spools whose mark is everywhere: only somebody who made the file for it can have written that."""

from __future__ import annotations

import pytest

from headwater.errors import Fault, FaultKind
from headwater.transport.spool import Spool
from headwater.transport.windows import MappedWindows
from headwater.wire.spool import FILE_HEADER, FileHeader

OCTETS = 300_000


@pytest.mark.parametrize("window", [5000, 8 << 20])
def test_marks_that_begin_no_block_are_looked_at_up_to_a_bound(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    head = Spool._head

    def counting(spool: Spool) -> object:
        nonlocal looks
        looks += 1
        return head(spool)

    monkeypatch.setattr(Spool, "_head", counting)
    data = FileHeader(bytes(8), bytes(8), 0).pack() + bytes(OCTETS)
    spool = Spool(MappedWindows(memoryview(data), window=window))
    detail = f"the spool ends with {OCTETS} octets that are no whole block"
    assert list(spool) == [Fault(FaultKind.TRUNCATED_TAIL, FILE_HEADER.size, detail=detail)]
    assert spool.offset == len(data)
    assert looks < 100_000
