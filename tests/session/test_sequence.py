"""The loss ledger: what sequence numbers tell about Messages that never came, came late, twice or anew."""

from __future__ import annotations

from itertools import accumulate

import pytest

from headwater.errors import Fault, FaultKind
from headwater.session import DomainLedger, SequenceGap, Session
from tests import build as b
from tests.oracle import Account, listen

SET = b.template_set(b.template(256, (4, 1)))
WRAP = 1 << 32


def observe(ledger: DomainLedger, sequence: int, records: int, *, certain: bool = True) -> SequenceGap | Fault | None:
    return ledger.observe(sequence % WRAP, records, certain=certain, stamp=sequence, offset=0)


def ledger_after(*messages: tuple[int, int]) -> DomainLedger:
    ledger = DomainLedger(1)
    for sequence, records in messages:
        observe(ledger, sequence, records)
    return ledger


def message(sequence: int, records: int, *, domain: int = 1, time: int = 0) -> bytes:
    return b.message(
        SET, b.data_set(256, bytes(records)), sequence=sequence % WRAP, domain=domain, export_time=b.EXPORT_TIME + time
    )


def test_the_first_message_may_have_any_number() -> None:
    ledger = ledger_after((4711, 3))
    assert (ledger.expected, ledger.lost, ledger.records, ledger.messages) == (4714, 0, 3, 1)


def test_numbers_in_order_are_no_loss_also_across_the_wrap() -> None:
    ledger = ledger_after((WRAP - 3, 2), (WRAP - 1, 2), (1, 0), (1, 5))
    assert (ledger.expected, ledger.lost, ledger.records, ledger.messages) == (6, 0, 9, 4)


def test_a_gap_tells_how_many_records_are_missing() -> None:
    ledger = ledger_after((0, 2))
    gap = observe(ledger, 7, 1)
    assert gap == SequenceGap(1, 0, 2, 7, 5)
    assert (ledger.expected, ledger.lost) == (8, 5)


def test_a_late_message_fills_its_gap_from_either_side_or_inside() -> None:
    ledger = ledger_after((0, 2), (10, 2))
    for sequence, records, lost in [(2, 2, 6), (8, 2, 4), (5, 1, 3), (4, 1, 2), (6, 2, 0)]:
        fault = observe(ledger, sequence, records)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.LATE
        assert ledger.lost == lost
    assert (ledger.late, ledger.expected) == (5, 12)


def test_a_message_that_came_before_is_a_duplicate_and_no_reset() -> None:
    ledger = ledger_after((0, 2), (2, 2), (4, 2))
    for _ in range(3):
        fault = observe(ledger, 2, 2)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.DUPLICATE
    assert (ledger.duplicates, ledger.expected, ledger.lost, ledger.resets) == (3, 6, 0, 0)


def test_a_late_message_that_comes_again_is_a_duplicate() -> None:
    ledger = ledger_after((0, 2), (4, 2), (2, 2), (2, 2))
    assert (ledger.late, ledger.duplicates, ledger.lost) == (1, 1, 0)


def test_one_forged_jump_in_either_direction_changes_nothing() -> None:
    for forged in (3_000_000, WRAP // 2 - 1, WRAP // 2, WRAP - 2_000_000):
        ledger = ledger_after((0, 2))
        fault = observe(ledger, forged, 1)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.SEQUENCE_SUSPECT
        assert observe(ledger, 2, 1) is None
        assert (ledger.expected, ledger.lost, ledger.resets) == (3, 0, 0)


def test_a_large_jump_is_believed_when_the_next_message_agrees() -> None:
    ledger = ledger_after((0, 2), (10_000_000, 5))
    gap = observe(ledger, 10_000_005, 1)
    assert isinstance(gap, SequenceGap)
    # the five records of the Message under suspicion did come
    assert (gap.lost, ledger.lost) == (10_000_000 - 2, 10_000_000 - 2)
    assert (ledger.expected, ledger.records) == (10_000_006, 8)


def test_a_restart_is_a_reset_after_two_messages_that_agree() -> None:
    for before in (5_000_000, 3_000_000_000):
        ledger = ledger_after((before, 2), (0, 3))
        assert (ledger.resets, ledger.expected) == (0, before + 2)
        fault = observe(ledger, 3, 3)
        assert isinstance(fault, Fault)
        assert fault.kind is FaultKind.SEQUENCE_RESET
        assert (ledger.resets, ledger.lost, ledger.expected) == (1, 0, 6)


def test_messages_without_records_never_confirm_a_restart() -> None:
    ledger = ledger_after((100, 5))
    for stamp in range(5):  # an exporter that sends its templates with sequence number 0
        ledger.observe(0, 0, certain=True, stamp=stamp, offset=0)
    observe(ledger, 105, 1)
    assert (ledger.resets, ledger.lost, ledger.expected) == (0, 0, 106)


def test_after_records_that_could_not_be_counted_a_gap_is_unknown() -> None:
    ledger = ledger_after((0, 2))
    observe(ledger, 2, 0, certain=False)
    gap = observe(ledger, 9, 1)
    assert isinstance(gap, SequenceGap)
    assert gap.lost is None
    assert (ledger.unknown_gaps, ledger.lost, ledger.expected) == (1, 0, 10)


def test_the_memory_of_gaps_and_messages_is_bounded() -> None:
    ledger = DomainLedger(1)
    for number in range(10_000):
        observe(ledger, number * 3, 1)
    assert ledger.lost == 2 * 9_999
    assert len(ledger._gaps) <= 256
    assert len(ledger._recent) <= 64


def test_each_domain_has_its_own_numbers() -> None:
    told = listen(
        message(0, 2),
        message(50, 1, domain=2),
        message(2, 1),
        message(55, 1, domain=2),
        b.message(domain=3, sequence=9),
    )
    ledgers = told.session.ledger
    assert {id: (ledger.expected, ledger.lost) for id, ledger in ledgers.items()} == {1: (3, 0), 2: (56, 4), 3: (9, 0)}
    assert [(gap.domain, gap.expected, gap.got, gap.lost) for gap in told.gaps] == [(2, 51, 55, 4)]


def test_options_records_count_and_templates_do_not() -> None:
    options = b.options_template_set(b.options_template(257, (149, 4), (41, 4)))
    told = listen(b.message(SET, options, b.data_set(257, b.uint(1), b.uint(2)), b.data_set(256, b"\1\2\3")))
    assert told.session.ledger[1].expected == 4


def test_records_of_a_discarded_message_show_as_lost() -> None:
    told = listen(message(0, 2), b.message(b.any_set(256, b"abc", length=2), sequence=2), message(5, 1))
    ledger = told.session.ledger[1]
    assert (ledger.lost, ledger.malformed, ledger.messages) == (3, 1, 2)


def test_the_same_faults_are_told_for_messages_in_one_buffer_and_one_by_one() -> None:
    numbers = [
        (0, 2),
        (2, 2),
        (9, 1),
        (4, 2),
        (4, 2),
        (10, 0),
        (10, 3),
        (5_000_000, 1),
        (13, 1),
        (0, 1),
        (1, 1),
        (2, 4),
    ]
    messages = [message(sequence, records, time=i % 3) for i, (sequence, records) in enumerate(numbers)]
    single = listen(*messages, transport="tcp")
    whole = listen(b"".join(messages), transport="tcp")
    assert whole.session.ledger == single.session.ledger
    assert whole.faults == single.faults
    assert whole.gaps == single.gaps
    ledger = whole.session.ledger[1]
    assert (ledger.resets, ledger.late, ledger.expected) == (1, 1, 6)


def test_a_gap_tells_the_offset_of_the_message_after_it() -> None:
    first, second = message(0, 2), message(9, 1)
    told = Account(listen(transport="tcp").session).feed(first + second)
    assert [gap.offset for gap in told.gaps] == [len(first)]


def test_a_ledger_takes_over_what_another_has_counted() -> None:
    ledger, other = DomainLedger(1, messages=2, records=3, lost=1), DomainLedger(9, messages=5, late=1, malformed=2)
    ledger.absorb(other)
    assert (ledger.messages, ledger.records, ledger.lost, ledger.late, ledger.malformed) == (7, 3, 1, 1, 2)
    assert ledger.domain == 1


def test_heavy_loss_is_counted_as_exactly_as_little_loss_and_told_in_few_words() -> None:
    messages, sequence = [], WRAP - 500
    for number in range(1000):
        messages.append(message(sequence, 3, time=number))
        sequence += 3 + number % 7  # six of seven have a gap behind them
    session, events = _heard(messages)
    gaps = [event for event in events if isinstance(event, SequenceGap)]
    lost = sum(number % 7 for number in range(999))
    assert (session.ledgers[0].lost, session.ledgers[0].records, session.ledgers[0].messages) == (lost, 3000, 1000)
    assert sum(gap.lost or 0 for gap in gaps) == lost
    assert (
        sum(gap.count for gap in gaps) == session.counters[FaultKind.SEQUENCE_GAP] == sum(n % 7 > 0 for n in range(999))
    )
    assert 100 <= len(gaps) <= 101
    assert gaps[0].count == 1


def test_heavy_loss_with_messages_that_come_late_is_what_it_is_one_by_one() -> None:
    order = [n for n in range(600) if n % 3]
    for at in range(20, len(order) - 1, 50):
        order[at], order[at + 1] = order[at + 1], order[at]
    messages = [message(1000 + 3 * n, 3, time=n) for n in order]
    session, _ = _heard(messages)
    alone = Session()
    for one in messages:
        list(alone.receive(one))
    names = ("lost", "late", "duplicates", "resets", "records", "messages", "expected")
    assert [getattr(session.ledgers[0], n) for n in names] == [getattr(alone.ledgers[0], n) for n in names]
    assert session.ledgers[0].late > 5


def test_a_late_message_fills_one_of_very_many_gaps() -> None:
    messages = [message(10 * n, 3, time=n) for n in range(500)]
    session, _ = _heard(messages)
    before = session.ledgers[0].lost
    list(session.receive(message(10 * 490 + 3, 7, time=9)))
    assert (session.ledgers[0].lost, session.ledgers[0].late) == (before - 7, 1)


def _heard(messages: list[bytes]) -> tuple[Session, list[object]]:
    session = Session()
    ends = list(accumulate(map(len, messages)))
    return session, list(session.receive(b"".join(messages), ends=ends))


def _counting_own(counts: list[int], *, start: int = 0) -> list[bytes]:
    """What softflowd sends: each number is that of all records up to the end of its own Message."""
    return [
        message(start + total, count, time=i)
        for i, (count, total) in enumerate(zip(counts, accumulate(counts), strict=True))
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_an_exporter_that_counts_the_records_of_the_message_itself_has_lost_nothing(at_once: bool) -> None:
    counts = [21, 25, 12, 25, 25, 3, 30, 1, 1, 9]
    messages = _counting_own(counts)
    if at_once:
        session, events = _heard(messages)
    else:
        session = Session()
        events = [event for one in messages for event in session.receive(one)]
    (ledger,) = session.ledgers
    assert (ledger.lost, ledger.records, ledger.messages) == (0, sum(counts), 10)
    assert [event.kind for event in events if isinstance(event, Fault) and event.kind is FaultKind.SEQUENCE_RULE] == [
        FaultKind.SEQUENCE_RULE
    ]


def test_what_such_an_exporter_loses_later_is_counted() -> None:
    counts = [21, 25, 12, 25, 7, 3, 30, 5]
    messages = _counting_own(counts)
    session = Session()
    for number, one in enumerate(messages):
        if number not in (5, 6):
            list(session.receive(one))
    assert (session.ledgers[0].lost, session.ledgers[0].counts_own) == (33, True)


def test_a_loss_that_looks_so_once_stays_a_loss() -> None:
    session = Session()
    for sequence, count in ((0, 5), (5, 5), (15, 10), (25, 3), (28, 5), (38, 10), (48, 2)):
        list(session.receive(message(sequence, count, time=sequence)))
    assert (session.ledgers[0].lost, session.ledgers[0].counts_own) == (10, False)
