"""What the ledger says of data that came before their Template: nothing is missing once they are decoded."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from headwater.errors import FaultKind
from headwater.session import Datagrams, Limits, Session
from headwater.session.sequence import DomainLedger
from tests import build as b
from tests.oracle import Account, listen
from tests.session.test_netflow import DATA, HERE, TEMPLATE, datagrams, netflow9

PORTS = b.template_set(b.template(256, (7, 2)))
NAMES = b.template_set(b.template(257, (82, b.VARIABLE)))


def ports(count: int) -> bytes:
    return b.data_set(256, *(b.uint(value, 2) for value in range(count)))


def names(*values: bytes) -> bytes:
    return b.data_set(257, *map(b.var, values))


def the_ledger(told: Account) -> DomainLedger:
    (ledger,) = told.session.ledgers
    return ledger


def counts(ledger: DomainLedger) -> tuple[int, ...]:
    return ledger.records, ledger.lost, ledger.unknown_gaps, ledger.undecodable_sets


def test_what_is_missing_between_data_that_wait_is_lost_once_they_are_decoded() -> None:
    told = listen(b.message(ports(2)), b.message(ports(1), sequence=7))
    assert counts(the_ledger(told)) == (0, 0, 1, 2)
    told.feed(b.message(PORTS, sequence=8))
    assert counts(the_ledger(told)) == (3, 5, 0, 0)
    told.feed(b.message(ports(1), sequence=8))
    assert counts(the_ledger(told)) == (4, 5, 0, 0)
    told.feed(b.message(ports(3), sequence=3))
    assert counts(the_ledger(told)) == (7, 2, 0, 0), "late ones are taken out of the gap"
    assert the_ledger(told).late == 1


def test_after_the_last_message_is_decoded_late_its_number_is_known() -> None:
    told = listen(b.message(ports(2), PORTS))
    assert (the_ledger(told).expected, counts(the_ledger(told))) == (2, (2, 0, 0, 0))
    told.feed(b.message(ports(1), sequence=2), b.message(ports(1), sequence=7))
    assert [gap.lost for gap in told.gaps] == [4]
    assert counts(the_ledger(told)) == (4, 4, 0, 0)


def test_a_gap_stays_unknown_until_all_sets_of_its_message_are_decoded() -> None:
    told = listen(b.message(ports(2), names(b"a"), ports(1)), b.message(PORTS, sequence=9))
    assert counts(the_ledger(told)) == (3, 0, 1, 1)
    told.feed(b.message(NAMES, sequence=9))
    assert counts(the_ledger(told)) == (4, 5, 0, 0)


def test_a_gap_after_data_that_are_never_decoded_stays_unknown() -> None:
    few = Limits(held_sets=1)
    told = listen(b.message(ports(2)), b.message(names(b"a"), sequence=2), b.message(PORTS, sequence=9), limits=few)
    assert counts(the_ledger(told)) == (0, 0, 2, 2)
    told.feed(b.message(NAMES, sequence=9))
    assert counts(the_ledger(told)) == (1, 6, 1, 1)
    torn = listen(b.message(b.data_set(257, b"\5b")), b.message(NAMES, sequence=4))
    assert counts(the_ledger(torn)) == (0, 0, 1, 1)


def test_messages_that_changed_places_while_they_waited_are_late_and_not_lost() -> None:
    first, second, third = (b.message(ports(1), sequence=number) for number in range(3))
    told = listen(first, third, second, b.message(PORTS, sequence=3))
    assert counts(the_ledger(told)) == (3, 0, 0, 0)
    assert the_ledger(told).late == 1


def test_each_stream_settles_its_own_gaps() -> None:
    session = Session(transport="sctp")

    def take(stream: int, *messages: bytes) -> None:
        given = datagrams(*((HERE, message) for message in messages))
        streams = np.full(len(messages), stream, np.int32)
        given = replace(given, stream=streams, offset=given.offset + session.offset)
        assert isinstance(given, Datagrams)
        list(session.receive_datagrams(given))

    take(3, b.message(ports(1)), b.message(ports(1), sequence=4))
    assert [(one.stream, counts(one)) for one in session.ledgers] == [(0, (0, 0, 0, 0)), (3, (0, 0, 1, 2))]
    take(0, b.message(PORTS))
    assert [(one.stream, counts(one)) for one in session.ledgers] == [(0, (0, 0, 0, 0)), (3, (2, 3, 0, 0))]


def test_with_a_limit_of_0_all_data_without_template_are_dropped_at_once() -> None:
    told = listen(b.message(ports(1)), b.message(PORTS), b.message(ports(1)), limits=Limits(held_sets=0))
    assert told.kinds[FaultKind.HELD_DROPPED] == 1


@pytest.mark.parametrize("seed", range(60))
def test_records_and_losses_are_what_was_sent(seed: int) -> None:
    choose = random.Random(seed)
    sent, messages = 0, []
    for _ in range(choose.randrange(1, 40)):
        sets, before = [], sent
        for _ in range(choose.randrange(4)):
            if choose.random() < 0.1:
                sets.append(choose.choice((PORTS, NAMES)))
                continue
            number = choose.randrange(1, 4)
            sets.append(choose.choice((ports(number), names(*[b"x"] * number))))
            sent += number
        if choose.random() < 0.8:
            messages.append(b.message(*sets, sequence=before))
    last = b.message(PORTS, NAMES, sequence=sent)
    told = Account(Session(transport="tcp"))
    told.feed(b.message())  # without which nobody knows of what is missing before the first Message
    while messages:
        number = choose.randrange(1, 5)
        told.feed(b"".join(messages[:number]))
        del messages[:number]
    told.feed(last)
    ledger = the_ledger(told)
    assert ledger.records + ledger.lost == ledger.expected == sent
    assert (ledger.unknown_gaps, ledger.undecodable_sets, len(told.records)) == (0, 0, ledger.records)
    assert not ledger._unclear


def test_the_numbers_of_netflow_9_are_of_messages_and_data_that_wait_do_not_change_them() -> None:
    told = listen(netflow9(DATA, sequence=(1 << 32) - 2), netflow9(sequence=4))
    assert (the_ledger(told).lost, the_ledger(told).undecodable_sets) == (5, 1)
    told.feed(netflow9(TEMPLATE, sequence=5))
    assert (the_ledger(told).lost, the_ledger(told).undecodable_sets, the_ledger(told).records) == (5, 0, 2)
