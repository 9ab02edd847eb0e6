"""Type information records (RFC 5610): what they teach, what is refused, and from when on it holds."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from headwater.errors import FaultKind
from headwater.model.types import DataType
from headwater.session import Datagrams, DataSets, Limits, Session, SessionKey, TemplateLearned
from headwater.session.templates import TemplateTable
from tests import build as b
from tests.oracle import Account, listen

PEN = b.DOCUMENTATION_PEN
UNSIGNED32, STRING, FLAGS = 3, 13, 5
TEACHER = b.options_template_set(
    b.options_template(300, (346, 4), (303, 2), (339, 1), (344, 1), (341, b.VARIABLE), scope=2)
)
MINE = b.template_set(b.template(256, (5, 4, PEN)))
ROW = b.uint(7)


def teach(id: int = 5, type: int = UNSIGNED32, name: bytes = b"mine", *, pen: int = PEN, semantics: int = 0) -> bytes:
    """A type information record."""
    return b.record(b.uint(pen), b.uint(id, 2), b.uint(type, 1), b.uint(semantics, 1), b.var(name))


def taught(*records: bytes) -> bytes:
    return b.data_set(300, *records)


def rows(told: Account) -> list[list[tuple[str, object]]]:
    return [row for row, record in zip(told.rows, told.records, strict=True) if record.template.id == 256]


def test_a_taught_element_has_its_name_and_type_in_templates_that_come_later() -> None:
    told = listen(b.message(TEACHER, taught(teach())), b.message(MINE, b.data_set(256, ROW), sequence=1))
    assert rows(told) == [[("mine", 7)]]
    assert told.session.counters["elements_learned"] == 1
    assert told.session.registry.get(PEN, 5).type is DataType.UNSIGNED32
    assert told.faults == []


def test_a_template_that_was_there_before_is_told_again_and_used_from_then_on() -> None:
    sets = [MINE, b.data_set(256, ROW), TEACHER, taught(teach()), b.data_set(256, ROW)]
    messages = [b.message(part) for part in sets]
    for told in (
        listen(*messages, transport="tcp"),
        listen(b"".join(messages), transport="tcp"),
        listen(b.message(*sets), transport="tcp"),
    ):
        assert rows(told) == [[(f"_{PEN}_5", ROW)], [("mine", 7)]]
        learned = [item for item in told.items if isinstance(item, TemplateLearned)]
        assert [(item.template.id, item.retyped) for item in learned] == [(256, False), (300, False), (256, True)]
        assert FaultKind.TEMPLATE_REPLACED not in told.kinds


@pytest.mark.parametrize("domains", [1, 100])
def test_a_teacher_defined_again_and_again_costs_no_more_than_its_sets(
    domains: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = 0
    push = heapq.heappush

    def counted(heap: list[int], ordinal: int) -> None:
        nonlocal pushed
        pushed += 1
        push(heap, ordinal)

    monkeypatch.setattr(heapq, "heappush", counted)
    other = b.options_template_set(b.options_template(300, (346, 4), (303, 2), (339, 1), scope=2))
    short = b.data_set(300, b.uint(PEN) + b.uint(6, 2) + b.uint(STRING, 1))
    stream = b"".join(
        b.message(*sets, domain=i % domains)
        for i in range(200)
        for sets in ((TEACHER, taught(teach())), (other, short))
    )
    told = listen(stream, transport="tcp")
    assert told.session.counters["elements_learned"] == 2
    assert pushed <= 400


def test_a_thousand_exporters_that_teach_do_not_cost_a_look_at_all_templates_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = 0
    look = TemplateTable._intern_only_used

    def counted(table: TemplateTable) -> None:
        nonlocal looked
        looked += 1
        look(table)

    monkeypatch.setattr(TemplateTable, "_intern_only_used", counted)
    session = Session()
    message = b.message(TEACHER, taught(teach()), MINE, b.data_set(256, ROW))
    for number in range(50):
        key = SessionKey(f"192.0.2.{number}", 4739)
        octets = np.frombuffer(message, np.uint8)
        start, end = np.array([0], np.int32), np.array([len(octets)], np.int32)
        whence = np.array([0], np.int32), [key], np.array([0], np.int64), np.array([0], np.int64)
        sets = [e for e in session.receive_datagrams(Datagrams(octets, start, end, *whence)) if isinstance(e, DataSets)]
        assert [one.template.fields[0].name for one in sets if one.template.id == 256] == ["mine"]
    assert session.counters["elements_learned"] == 50
    assert looked < 5


def test_what_is_taught_holds_for_all_domains_of_the_session_and_for_no_other_session() -> None:
    told = listen(
        b.message(MINE, domain=2), b.message(TEACHER, taught(teach())), b.message(b.data_set(256, ROW), domain=2)
    )
    assert rows(told) == [[("mine", 7)]]
    assert not Session().registry.get(PEN, 5).is_known


def test_the_enterprise_bit_of_a_taught_number_is_ignored() -> None:
    told = listen(b.message(TEACHER, taught(teach(5 | 0x8000)), MINE, b.data_set(256, ROW)))
    assert rows(told) == [[("mine", 7)]]


def test_a_record_that_says_what_is_known_teaches_nothing_and_is_no_fault() -> None:
    told = listen(
        b.message(TEACHER, taught(teach(1, 4, b"octetDeltaCount", pen=0), teach(), teach())), b.message(taught(teach()))
    )
    assert told.session.counters["elements_learned"] == 1
    assert FaultKind.TYPE_INFORMATION not in told.kinds


def test_repeated_sets_are_understood_once() -> None:
    session = Session()
    told = Account(session).feed(b.message(TEACHER, taught(teach())))
    for number in range(5):
        told.feed(b.message(TEACHER, taught(teach()), sequence=1 + number))
    assert session.counters["elements_learned"] == 1
    assert session.registry.get(PEN, 5).name == "mine"


@pytest.mark.parametrize(
    "record",
    [
        teach(1, STRING, b"mine", pen=0),  # the registry says unsigned64
        teach(0),  # a reserved number
        teach(5, STRING, b"mine", semantics=FLAGS),  # flags are of integers only
        teach(name=b"a\0b"),
        teach(name=b"\xff"),
    ],
)
def test_records_that_contradict_or_make_no_sense_are_refused_and_counted(record: bytes) -> None:
    told = listen(b.message(TEACHER, taught(record), MINE, b.data_set(256, ROW)))
    assert told.kinds[FaultKind.TYPE_INFORMATION] == 1
    assert told.session.counters["elements_learned"] == 0
    assert rows(told) == [[(f"_{PEN}_5", ROW)]]
    assert told.session.registry.get(0, 1).type is DataType.UNSIGNED64


@pytest.mark.parametrize("apart", [False, True])
def test_of_records_that_contradict_each_other_the_first_holds(apart: bool) -> None:
    if apart:
        told = listen(
            b.message(TEACHER, taught(teach())), b.message(taught(teach(type=STRING)), MINE, b.data_set(256, ROW))
        )
    else:
        told = listen(b.message(TEACHER, taught(teach(), teach(type=STRING)), MINE, b.data_set(256, ROW)))
    assert rows(told) == [[("mine", 7)]]
    assert told.kinds[FaultKind.TYPE_INFORMATION] == 1


def test_elements_beyond_the_limit_are_not_learned() -> None:
    told = listen(
        b.message(TEACHER, taught(*(teach(id, name=f"mine{id}".encode()) for id in range(1, 20)))),
        limits=Limits(learned_elements=3),
    )
    assert told.session.counters["elements_learned"] == 3
    assert [told.session.registry.get(PEN, id).is_known for id in (3, 4)] == [True, False]


def test_a_malformed_message_teaches_nothing() -> None:
    text = b.template_set(b.template(257, (82, b.VARIABLE)))
    torn = b.data_set(257, b"\x05ab")
    for sets in (
        (TEACHER, taught(teach()), b.any_set(9, b"", length=2)),
        (taught(teach()), torn),
        (torn, taught(teach())),
    ):
        told = listen(b.message(TEACHER, text), b.message(*sets))
        assert told.session.counters["elements_learned"] == 0
        assert told.session.counters["messages_malformed"] == 1
        told.feed(b.message(taught(teach())))  # the same octets in a good Message do
        assert told.session.counters["elements_learned"] == 1


def test_a_set_of_type_information_that_is_cut_short_teaches_nothing_unless_salvaged() -> None:
    torn = taught(teach(), teach(6, name=b"other")[:-3])
    assert listen(b.message(TEACHER, torn)).session.counters["elements_learned"] == 0
    assert listen(b.message(TEACHER, torn), salvage=True).session.counters["elements_learned"] == 1


def test_a_teacher_that_becomes_another_template_teaches_no_more() -> None:
    told = listen(
        b.message(TEACHER),
        b.message(b.template_set(b.template(300, (346, 4), (303, 2), (339, 1), (344, 1), (341, b.VARIABLE)))),
        b.message(taught(teach())),
    )
    assert told.session.counters["elements_learned"] == 0


def test_elements_in_lists_are_read_with_their_taught_type() -> None:
    lists = b.template_set(b.template(257, (291, b.VARIABLE)))
    data = b.data_set(257, b.var(b.basic_list((5, 4, PEN), ROW)))
    sets = [lists, data, TEACHER, taught(teach()), data]
    messages = [b.message(part) for part in sets]
    for told in (listen(*messages, transport="tcp"), listen(b"".join(messages), transport="tcp")):
        assert [r.values[0].plain() for r in told.records if r.template.id == 257] == [[ROW], [7]]


def test_a_taught_list_type_makes_its_field_a_list() -> None:
    told = listen(
        b.message(b.template_set(b.template(256, (5, b.VARIABLE, PEN)))),
        b.message(TEACHER, taught(teach(type=20, semantics=6))),
        b.message(b.data_set(256, b.var(b.basic_list((7, 2), b.uint(80, 2))))),
    )
    assert told.records[-1].values[0].plain() == [80]
