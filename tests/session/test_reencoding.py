"""Messages sent on octet for octet under other headers."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest

from headwater.errors import EncodeError
from headwater.session.outgoing import Outgoing
from headwater.session.reencoding import reencoded
from tests import build as b
from tests.oracle import listen

FLOWS = b.mixed_flows(200)


def sent_on(*messages: bytes, **facts: Any) -> Outgoing:
    octets = np.frombuffer(b"".join(messages), np.uint8)
    return reencoded(octets, np.array([0, *accumulate(map(len, messages))], np.int32), **facts)


def test_nothing_asked_for_is_nothing_changed() -> None:
    out = sent_on(*FLOWS)
    assert bytes(out) == b"".join(FLOWS)
    assert [bytes(message) for message in out.messages()] == FLOWS


def test_only_the_facts_that_are_asked_for_change() -> None:
    (message,) = sent_on(FLOWS[0], domain=7, sequence=8, export_time=9).messages()
    assert bytes(message) == FLOWS[0][:4] + b.uint(9) + b.uint(8) + b.uint(7) + FLOWS[0][16:]


def test_a_relabelled_stream_has_the_same_records_in_another_domain() -> None:
    before, after = listen(*FLOWS), listen(*map(bytes, sent_on(*FLOWS, domain=99).messages()))
    assert after.rows == before.rows
    assert (after.faults, after.gaps) == ([], [])
    assert {record.domain for record in after.records} == {99}


def test_each_message_can_have_facts_of_its_own() -> None:
    numbers = np.arange(len(FLOWS)) * 1000
    out = [bytes(message) for message in sent_on(*FLOWS, sequence=numbers).messages()]
    assert [int.from_bytes(message[8:12], "big") for message in out] == numbers.tolist()


@pytest.mark.parametrize(
    ("message", "places"),
    [
        (b.netflow9(b.data_set(256, bytes(4))), {"domain": (16, 4), "sequence": (12, 4), "export_time": (8, 4)}),
        (b.netflow5(bytes(48)), {"domain": (20, 2), "sequence": (16, 4), "export_time": (8, 4)}),
    ],
)
def test_netflow_has_them_elsewhere(message: bytes, places: dict[str, tuple[int, int]]) -> None:
    for name, (at, width) in places.items():
        (out,) = sent_on(message, **{name: 0x0102}).messages()
        assert bytes(out) == message[:at] + b.uint(0x0102, width) + message[at + width :]


def test_messages_of_several_protocols_can_lie_together() -> None:
    messages = [FLOWS[0], b.netflow9(), b.netflow5()]
    out = [bytes(message) for message in sent_on(*messages, domain=3).messages()]
    assert [out[0][12:16], out[1][16:20], out[2][20:22]] == [b.uint(3), b.uint(3), b.uint(3, 2)]


def test_the_buffer_that_was_given_stays_and_may_hold_more() -> None:
    octets = np.frombuffer(bytes(5) + FLOWS[0] + FLOWS[1], np.uint8)
    out = reencoded(octets, np.array([5, 5 + len(FLOWS[0])], np.int32), domain=7)
    assert bytes(out)[12:16] == b.uint(7)
    assert octets[17:21].tobytes() == FLOWS[0][12:16]


def test_no_message_is_none() -> None:
    assert len(sent_on(domain=1)) == 0


@pytest.mark.parametrize(
    ("messages", "facts", "match"),
    [
        ([b.netflow5()], {"domain": 1 << 16}, "domain 65536 does not fit 2 octets"),
        ([FLOWS[0], FLOWS[1]], {"sequence": [1, 1 << 32]}, "sequence 4294967296 does not fit 4 octets"),
        ([FLOWS[0]], {"export_time": -1}, "export_time -1 does not fit"),
        ([b"\0\1" + bytes(14)], {"domain": 1}, "NetFlow v1 has no place for domain"),
        ([FLOWS[0]], {"sequence": [1, 2]}, "2 values of sequence for 1 Messages"),
        ([b"\0\7\0\0"], {}, "version 7. is none that is known, or has no whole header"),
        ([b"\0\x63" + bytes(30)], {}, "version 99"),
        ([FLOWS[0], b"\0"], {}, "do not lie back to back"),
    ],
)
def test_what_cannot_be_is_refused(messages: list[bytes], facts: dict[str, Any], match: str) -> None:
    with pytest.raises(EncodeError, match=match):
        sent_on(*messages, **{name: np.array(fact) if isinstance(fact, list) else fact for name, fact in facts.items()})
