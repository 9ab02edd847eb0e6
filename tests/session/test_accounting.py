"""Sequence numbers of Messages of many domains and streams in one buffer."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest

from headwater.errors import Fault, FaultKind
from headwater.session import Session
from tests import build as b
from tests.session.test_netflow import HERE, datagrams

PORTS = b.template_set(b.template(256, (7, 2)))
COUNTS = [21, 25, 12, 25, 25, 3, 30, 1, 1, 9]


def flows(count: int, sequence: int) -> bytes:
    return b.message(PORTS, b.data_set(256, *[b.uint(80, 2)] * count), sequence=sequence)


@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_each_stream_has_its_own_rule_of_what_its_numbers_count(at_once: int) -> None:
    own = [(7, flows(count, end)) for count, end in zip(COUNTS, accumulate(COUNTS), strict=True)]
    plain = [(0, flows(count, end - count)) for count, end in zip(COUNTS[::-1], accumulate(COUNTS[::-1]), strict=True)]
    both = [one for pair in zip(own, plain, strict=True) for one in pair]
    session = Session(transport="sctp")
    for begin in range(0, len(both), at_once):
        part = both[begin : begin + at_once]
        given = datagrams(*((HERE, message) for _, message in part))
        streams = np.array([stream for stream, _ in part], np.int32)
        list(session.receive_datagrams(replace(given, stream=streams, offset=given.offset + session.offset)))
    assert [(one.stream, one.counts_own, one.lost, one.late, one.records) for one in session.ledgers] == [
        (0, False, 0, 0, sum(COUNTS)),
        (7, True, 0, 0, sum(COUNTS)),
    ]


@pytest.mark.parametrize("at_once", [1, 3, 11])
def test_losses_that_look_like_another_rule_are_losses_again_when_numbers_show_it(at_once: int) -> None:
    sent = [(0, 2), (5, 5), (12, 7), (19, 3), (22, 8), (30, 2), (32, 9), (41, 1), (42, 6), (58, 4), (62, 3)]
    messages = [flows(count, sequence) for sequence, count in sent]
    session, kinds = Session(transport="tcp"), []
    for begin in range(0, len(messages), at_once):
        events = session.receive(b"".join(messages[begin : begin + at_once]))
        kinds += [event.kind for event in events if isinstance(event, Fault)]
    (ledger,) = session.ledgers
    assert kinds == [FaultKind.SEQUENCE_RULE] * 2
    assert (ledger.counts_own, ledger.records, ledger.lost, ledger.expected) == (False, 50, 3 + 2 + 10, 65)
