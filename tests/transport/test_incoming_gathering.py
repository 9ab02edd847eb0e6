"""Blocks of many sessions: keys keep their meaning, and a session ends in one block at most."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from headwater.errors import FaultKind
from headwater.session.key import SessionKey
from headwater.transport.incoming.block import ARENA, MOST_DATAGRAMS
from headwater.transport.incoming.framing import framing
from headwater.transport.incoming.gathering import Gathering
from tests.build import flows
from tests.transport.receiving import Kept

MESSAGES = flows(100)
STREAM = b"".join(MESSAGES)


@dataclass
class Somebody:
    key: SessionKey
    row: int = -1


def somebody(number: int) -> Somebody:
    return Somebody(SessionKey(f"192.0.2.{number % 256}", 1024 + number // 256))


def test_keys_stay_one_growing_list_until_most_of_them_have_gone() -> None:
    kept = Kept()
    gathering = Gathering(kept, 1)
    lasting = somebody(0)
    for number in range(9000):
        gathering.add(lasting, b"last", 1)
        one = somebody(1 + number)
        gathering.add(one, b"once", 1)
        gathering.end(one)
        if number % 100 == 99:
            gathering.hand_over()
    gathering.hand_over()
    lists = {id(block.datagrams.keys): block.datagrams.keys for block in kept.blocks}
    assert len(lists) == 2
    for block in kept.blocks:
        keys = [block.datagrams.keys[row] for row in block.datagrams.peer.tolist()]
        assert keys[::2] == [lasting.key] * 100
        assert keys[1::2] == list(block.ended)
    assert max(map(len, lists.values())) < 8192 + 200
    assert lasting.row == 0


def test_a_key_begins_anew_in_a_later_block_than_that_in_which_it_ended() -> None:
    kept = Kept()
    gathering = Gathering(kept, 1)
    for octets in (b"1", b"2", b"3"):
        one = somebody(1)
        gathering.add(one, octets, 1)
        gathering.end(one)
    gathering.hand_over()
    assert [block.datagrams.buffer.tobytes() for block in kept.blocks] == [b"1", b"2", b"3"]
    assert [list(block.ended) for block in kept.blocks] == [[somebody(1).key]] * 3


def test_who_never_said_anything_leaves_no_trace() -> None:
    kept = Kept()
    gathering = Gathering(kept, 1)
    gathering.end(somebody(1))
    assert gathering.due is None
    gathering.hand_over()
    assert kept.blocks == []


def test_faults_of_those_who_said_nothing_else_are_told_with_their_end_and_bounded() -> None:
    kept = Kept()
    gathering = Gathering(kept, 1)
    for number in range(5000):
        one = somebody(number)
        gathering.fault(one, FaultKind.FRAMING_LOST, 0, "")
        gathering.end(one)
    gathering.hand_over()
    assert len(kept.faults) == len(kept.ended) == 5000
    assert max(len(block.ended) + len(block.faults) for block in kept.blocks) <= 4096


def test_a_block_ends_when_octets_or_rows_run_out() -> None:
    kept = Kept()
    gathering = Gathering(kept, 1)
    one = somebody(1)
    for _ in range(MOST_DATAGRAMS + 1):
        gathering.add(one, b"x", 1)
    assert [len(block.datagrams) for block in kept.blocks] == [MOST_DATAGRAMS]
    for _ in range(ARENA // 65535 + 1):
        gathering.add(one, bytes(65535), 1)
    assert len(kept.blocks) == 2
    assert kept.count + gathering.arena.used == MOST_DATAGRAMS + 1 + 65535 * (ARENA // 65535 + 1)


def test_it_is_due_when_the_oldest_octets_have_waited_long_enough() -> None:
    gathering = Gathering(Kept(), 10)
    before = time.monotonic()
    gathering.add(somebody(1), b"x", 1)
    due = gathering.due
    assert due is not None
    assert before + 10 <= due <= time.monotonic() + 10
    gathering.add(somebody(2), b"x", 1)
    assert gathering.due == due


@pytest.mark.parametrize("stop", [*range(0, 40), 1000, len(STREAM)])
def test_framing_finds_the_end_of_the_last_whole_message(stop: int) -> None:
    found = framing(memoryview(STREAM), 0, stop)
    ends = [0]
    for message in MESSAGES:
        if ends[-1] + len(message) > stop:
            break
        ends.append(ends[-1] + len(message))
    assert (found.end, found.messages, found.problem) == (ends[-1], len(ends) - 1, "")


def test_framing_tells_where_it_was_lost() -> None:
    octets = MESSAGES[0] + b"\x00\x09\x00\x20" + bytes(100)
    assert framing(memoryview(octets), 0, len(octets)).end == len(MESSAGES[0])
    assert (
        framing(memoryview(octets), 0, len(octets)).problem == "version 9 where the header of an IPFIX Message must be"
    )
    assert framing(memoryview(octets), 0, len(MESSAGES[0]) + 3).problem == ""
