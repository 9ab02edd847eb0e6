"""What the ledger says of data that came before their Template: nothing is missing once they are decoded."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

import headwater as hw
from headwater.errors import FaultKind
from headwater.session import Datagrams, Limits, Session
from headwater.session.sequence import RECENT, DomainLedger, Waiting
from tests import build as b
from tests.oracle import Account, listen
from tests.session.test_netflow import DATA, HERE, TEMPLATE, datagrams, netflow9
from tests.transport.spools import block, spool

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


def test_no_loss_is_told_of_messages_of_which_a_set_was_dropped_before_another_one_was_kept() -> None:
    many = b"".join(b.message(ports(3), names(b"a", b"b"), sequence=5 * i) for i in range(20))
    told = Account(Session(transport="tcp", limits=Limits(held_sets=16)))
    told.feed(b.message(), many, b.message(PORTS, NAMES, sequence=100), b.message(ports(1), sequence=100))
    ledger = the_ledger(told)
    assert counts(ledger) == (33, 0, 20, 24)
    assert not ledger._unclear


def test_no_loss_is_told_of_a_message_with_a_set_that_is_too_long_to_be_kept() -> None:
    few = Limits(held_octets=100)
    told = listen(b.message(names(b"a"), ports(300), names(b"b")), b.message(PORTS, NAMES, sequence=302), limits=few)
    told.feed(b.message(ports(1), sequence=302))
    assert counts(the_ledger(told)) == (3, 0, 1, 1)
    assert not the_ledger(told)._unclear


def test_no_loss_is_told_of_a_message_with_a_set_of_a_template_without_octets() -> None:
    empty = b.template_set(b.template(258, (82, 0)))
    told = listen(b.message(empty), b.message(names(b"a"), b.data_set(258, b"xyz")), b.message(NAMES, sequence=8))
    assert counts(the_ledger(told)) == (1, 0, 1, 1)


def test_late_messages_are_taken_out_of_a_gap_that_is_not_clear_yet() -> None:
    told = listen(b.message(names(*[b"a"] * 5), sequence=100), b.message(PORTS, ports(3), sequence=118))
    told.feed(b.message(ports(3), sequence=107), b.message(NAMES, sequence=121))
    assert counts(the_ledger(told)) == (11, 10, 0, 0)
    told.feed(*(b.message(ports(count), sequence=number) for number, count in ((105, 2), (110, 8), (121, 1))))
    assert (counts(the_ledger(told)), the_ledger(told).late) == ((22, 0, 0, 0), 3)


def test_a_late_message_that_waits_itself_is_taken_out_of_the_gap_once_both_are_decoded() -> None:
    told = listen(b.message(PORTS, ports(1), names(b"a", b"b")), b.message(ports(1), sequence=9))
    told.feed(b.message(names(b"c", b"d", b"e"), sequence=3), b.message(ports(3), sequence=6))
    assert counts(the_ledger(told)) == (5, 0, 1, 2)
    told.feed(b.message(NAMES, sequence=10))
    assert (counts(the_ledger(told)), the_ledger(told).late) == ((10, 0, 0, 0), 2)


def test_more_late_messages_than_can_be_remembered_leave_the_gap_unknown() -> None:
    told = listen(b.message(names(b"a")), b.message(PORTS, ports(1), sequence=500))
    told.feed(*(b.message(ports(1), sequence=400 - 3 * i) for i in range(RECENT + 1)))
    told.feed(b.message(NAMES, sequence=501))
    assert counts(the_ledger(told)) == (RECENT + 3, 0, 1, 0)
    assert not the_ledger(told)._unclear


def test_a_late_message_of_which_one_set_waits_is_late_once() -> None:
    told = listen(b.message(PORTS, ports(1)), b.message(ports(1), sequence=9))
    told.feed(b.message(ports(3), names(*[b"a"] * 5), sequence=1), b.message(NAMES, sequence=10))
    assert (counts(the_ledger(told)), the_ledger(told).late) == ((10, 0, 0, 0), 1)


def test_a_duplicate_of_a_message_that_waits_does_not_hide_what_is_missing_behind_it() -> None:
    twice = b.message(names(*[b"a"] * 5), sequence=100)
    told = listen(b.message(PORTS, sequence=100), twice, twice, b.message(NAMES, sequence=115))
    assert (counts(the_ledger(told)), the_ledger(told).late) == ((10, 0, 1, 0), 0), "it may be another Message"
    told = listen(b.message(PORTS, sequence=100), twice, b.message(PORTS, sequence=115), twice)
    told.feed(b.message(NAMES, sequence=115))
    assert (counts(the_ledger(told)), the_ledger(told).duplicates) == ((10, 10, 0, 0), 1)


def test_a_message_that_was_decoded_late_and_comes_again_is_a_duplicate() -> None:
    first, second = b.message(names(b"a", b"b")), b.message(names(b"c"), sequence=2)
    told = listen(first, second, b.message(NAMES, sequence=9), first, second)
    ledger = the_ledger(told)
    assert (ledger.duplicates, ledger.resets, ledger.lost, ledger.expected) == (2, 0, 6, 9)


def test_what_a_message_before_a_restart_had_says_nothing_about_gaps_behind_it() -> None:
    told = listen(b.message(PORTS, sequence=100), b.message(names(*[b"a"] * 5), sequence=100))
    told.feed(*(b.message(ports(1), sequence=number) for number in (0, 1, 2, 50, 151)))
    assert (the_ledger(told).resets, the_ledger(told).lost) == (1, 147)
    told.feed(b.message(NAMES, sequence=152))
    assert (counts(the_ledger(told)), the_ledger(told).late) == ((10, 147, 0, 0), 0)


def test_a_number_that_cannot_follow_leaves_the_gap_unknown() -> None:
    told = listen(b.message(names(b"a", b"b", b"c")), b.message(NAMES, sequence=2))
    assert counts(the_ledger(told)) == (3, 0, 1, 0)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_message_that_waits_behind_a_change_of_what_numbers_count_is_settled_however_blocks_are_cut(
    size: int,
) -> None:
    messages = [b.message(PORTS, ports(count), sequence=number) for number, count in ((3, 3), (8, 5), (15, 7))]
    messages += [b.message(PORTS, ports(count), sequence=number) for number, count in ((15, 2), (17, 4), (21, 1))]
    messages += [b.message(names(b"a"), sequence=22), b.message(ports(1), sequence=30)]
    messages += [b.message(NAMES, sequence=31)]
    told = Account(Session(transport="tcp"))
    while messages:
        told.feed(b"".join(messages[:size]))
        del messages[:size]
    ledger = the_ledger(told)
    assert told.kinds[FaultKind.SEQUENCE_RULE] == 2
    assert (ledger.counts_own, ledger.unknown_gaps, ledger.lost) == (False, 0, 11)


def test_what_was_sent_before_data_that_wait_but_came_after_does_not_make_them_lost() -> None:
    told = listen(b.message(ports(5), sequence=100), b.message(sequence=100), b.message(PORTS, sequence=105))
    assert counts(the_ledger(told)) == (5, 0, 0, 0)


def some_lost(choose: random.Random, count: int, sequence: int) -> tuple[list[bytes], int]:
    """Those of so many Messages that arrive, with Templates here and there among the data; the number behind all."""
    messages = []
    for _ in range(count):
        sets, before = [], sequence
        for _ in range(choose.randrange(4)):
            if choose.random() < 0.1:
                sets.append(choose.choice((PORTS, NAMES)))
                continue
            number = choose.randrange(1, 4)
            sets.append(choose.choice((ports(number), names(*[b"x"] * number))))
            sequence += number
        if choose.random() < 0.8:
            messages.append(b.message(*sets, sequence=before))
    return messages, sequence


@pytest.mark.parametrize("seed", range(40))
def test_messages_that_change_places_while_some_wait_are_no_loss(seed: int) -> None:
    choose = random.Random(seed)
    messages, sent = some_lost(choose, 40, 1000)
    order = sorted(range(len(messages)), key=lambda i: i + choose.random() * 3)
    last = b.message(PORTS, NAMES, sequence=sent)
    told = listen(b.message(sequence=1000), *(messages[i] for i in order), last)
    ledger = the_ledger(told)
    assert ledger.records + ledger.lost == sent - 1000
    assert (ledger.unknown_gaps, ledger.undecodable_sets, ledger.resets) == (0, 0, 0)


@pytest.mark.parametrize("seed", [57, 1, 2, 3])
def test_numbers_of_any_kind_are_taken_the_same_however_blocks_are_cut(seed: int) -> None:
    choose = random.Random(seed)
    messages, number = [], 0
    for _ in range(120):
        sets, sent = [], 0
        for _ in range(choose.randrange(3)):
            if choose.random() < 0.3:
                sets.append(choose.choice((PORTS, NAMES)))
            else:
                sent += (count := choose.randrange(1, 5))
                sets.append(choose.choice((ports(count), names(*[b"x"] * count))))
        numbers = number, number, number + sent, number + sent, choose.randrange(60), choose.randrange(1 << 32)
        number = choose.choice(numbers)
        messages.append(b.message(*sets, sequence=number % (1 << 32)))
        number += sent
    single = listen(*messages, transport="tcp")
    whole = listen(b"".join(messages), transport="tcp")
    assert whole.session.ledger == single.session.ledger
    assert whole.kinds == single.kinds


def test_old_numbers_are_looked_up_among_many_unclear_gaps_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    told = listen(b.message(PORTS, sequence=1 << 30))
    told.feed(*(b.message(names(b"a"), sequence=(1 << 30) + i * 1000) for i in range(1000)))
    assert the_ledger(told).unknown_gaps == len(the_ledger(told)._unclear) == 999
    looked_at = []

    def expected(waiting: Waiting) -> int:
        looked_at.append(waiting)
        return waiting.sequence + waiting.known

    monkeypatch.setattr(Waiting, "expected", property(expected))
    told.feed(*(b.message(ports(1), sequence=3 * i) for i in range(100)))
    assert len(looked_at) < 100 * 32


def test_data_sets_beyond_the_limit_of_exporters_do_not_push_others_out() -> None:
    session = Session(transport="udp", limits=Limits(sessions=1, held_sets=2))
    other = replace(HERE, address="192.0.2.99")
    told = Account(session)
    for key, content, number in ((HERE, ports(5), 0), *((other, ports(1), i) for i in range(4)), (HERE, PORTS, 5)):
        given = datagrams((key, b.message(content, sequence=number)))
        told.add(session.receive_datagrams(replace(given, offset=given.offset + session.offset)), 0)
    assert counts(session.ledgers[0]) == (5, 0, 0, 0)
    assert session.counters["held_dropped"] == told.kinds[FaultKind.HELD_DROPPED] == 4


def test_what_is_taken_back_in_a_later_file_is_taken_from_the_sum() -> None:
    def flow(number: int) -> bytes:
        return b.message(ports(1), sequence=number)

    found = hw.read([spool(block(flow(0)), block(flow(2))), spool(block(b.message(PORTS, sequence=3)))])
    assert [len(batch) for batch in found] == [2]
    told = [counts(ledger) for source in found.report.sources for ledger in source.ledgers]
    assert told == [(0, 0, 1, 2), (2, 1, -1, -2)]


@pytest.mark.parametrize("seed", range(60))
def test_records_and_losses_are_what_was_sent(seed: int) -> None:
    choose = random.Random(seed)
    messages, sent = some_lost(choose, choose.randrange(1, 40), 0)
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
