"""Which templates the lists in a record refer to: those of their domain, at that moment of the stream (RFC 6313 §6)."""

from __future__ import annotations

import pytest

from headwater.errors import FaultKind
from headwater.session import Limits
from tests import build as b
from tests.oracle import Account, listen

LISTS = b.template(256, (292, b.VARIABLE))
PORT, OCTETS, WIDE = b.template(300, (7, 2)), b.template(300, (1, 2)), b.template(300, (1, 4))
ROW = b.data_set(256, b.var(b.sub_template_list(300, b.uint(1, 2), b.uint(2, 2))))


def both_ways(*messages: bytes, transport: str = "tcp") -> list[Account]:
    """Accounts of the messages one by one and in one buffer."""
    return [listen(*messages, transport=transport), listen(b"".join(messages), transport=transport)]


def plain(told: Account) -> list[object]:
    return [value and value.plain() for record in told.records for value in record.values]


def test_a_redefinition_holds_for_lists_from_where_it_stands() -> None:
    messages = [
        b.message(b.template_set(LISTS, PORT)),
        b.message(ROW),
        b.message(b.template_set(OCTETS)),
        b.message(ROW),
    ]
    for told in both_ways(*messages):
        assert plain(told) == [
            [{"sourceTransportPort": 1}, {"sourceTransportPort": 2}],
            [{"octetDeltaCount": 1}, {"octetDeltaCount": 2}],
        ]


def test_lists_before_a_redefinition_use_the_template_of_the_buffer_before() -> None:
    told = listen(b.message(b.template_set(LISTS, PORT)), transport="tcp")
    told.feed(b.message(ROW) + b.message(b.template_set(WIDE)) + b.message(ROW) + b.message(b.template_set(PORT), ROW))
    ports = [{"sourceTransportPort": 1}, {"sourceTransportPort": 2}]
    assert plain(told) == [ports, [{"octetDeltaCount": 0x10002}], ports]


def test_a_redefinition_between_two_sets_of_one_message_cuts_there() -> None:
    told = listen(b.message(b.template_set(LISTS, PORT), ROW, b.template_set(OCTETS), ROW))
    assert [list(rows[0]) for rows in plain(told)] == [["sourceTransportPort"], ["octetDeltaCount"]]  # type: ignore[index]


@pytest.mark.parametrize("withdrawal", [300, 2])
def test_a_withdrawn_template_is_dead_for_lists_too(withdrawal: int) -> None:
    again = b.message(b.template_set(LISTS))
    messages = [
        b.message(b.template_set(LISTS, PORT)),
        b.message(ROW),
        b.message(b.template_set(b.withdrawal(withdrawal))),
        again,
        b.message(ROW),
    ]
    for told in both_ways(*messages):
        assert plain(told) == [[{"sourceTransportPort": 1}, {"sourceTransportPort": 2}], None]
        assert told.value_kinds == {FaultKind.LIST_TEMPLATE: 1}


def test_lists_before_everything_is_withdrawn_in_the_same_buffer_are_read() -> None:
    told = listen(b.message(b.template_set(LISTS, PORT)), transport="tcp")
    told.feed(b.message(ROW) + b.message(b.template_set(b.withdrawal(2))))
    assert plain(told) == [[{"sourceTransportPort": 1}, {"sourceTransportPort": 2}]]


def test_a_template_for_lists_may_come_after_the_template_with_the_list() -> None:
    for told in both_ways(
        b.message(b.template_set(LISTS)), b.message(ROW), b.message(b.template_set(PORT)), b.message(ROW)
    ):
        assert plain(told) == [None, [{"sourceTransportPort": 1}, {"sourceTransportPort": 2}]]
        assert told.value_kinds == {FaultKind.LIST_TEMPLATE: 1}


def test_lists_look_in_their_own_domain() -> None:
    messages = [
        b.message(b.template_set(LISTS, PORT)),
        b.message(b.template_set(LISTS, OCTETS), domain=2),
        b.message(ROW),
        b.message(ROW, domain=2),
        b.message(b.template_set(LISTS), ROW, domain=3),
    ]
    for told in both_ways(*messages):
        assert [value and next(iter(value[0])) for value in plain(told)] == [  # type: ignore[index]
            "sourceTransportPort",
            "octetDeltaCount",
            None,
        ]


def test_expired_templates_are_dead_for_lists_too() -> None:
    told = listen(b.message(b.template_set(LISTS, PORT)), limits=Limits(template_lifetime_s=100.0), now=1.0)
    told.feed(b.message(b.template_set(LISTS)), now=90.0)
    told.feed(b.message(ROW), now=110.0)
    assert plain(told) == [None]
    assert told.value_kinds == {FaultKind.LIST_TEMPLATE: 1}


def test_lists_in_options_records_and_their_scope_are_read() -> None:
    options = b.options_template_set(b.options_template(257, (291, b.VARIABLE), (292, b.VARIABLE), scope=1))
    row = b.var(b.basic_list((10, 4), b.uint(5))) + b.var(b.sub_template_list(300, b.uint(1, 2)))
    told = listen(b.message(b.template_set(PORT), options, b.data_set(257, row)))
    assert [value.plain() for value in told.records[0].values] == [[5], [{"sourceTransportPort": 1}]]


def test_limits_of_a_session_hold_for_its_lists() -> None:
    deep = b.basic_list((291, b.VARIABLE), b.var(b.basic_list((4, 1), b"\6")))
    template = b.template_set(b.template(257, (291, b.VARIABLE)))
    told = listen(b.message(template, b.data_set(257, b.var(deep))), limits=Limits(list_depth=1))
    assert plain(told) == [[None]]
    assert told.value_kinds == {FaultKind.DEPTH_LIMIT: 1}
    many = b.basic_list((4, 1), bytes(100))
    told = listen(b.message(template, b.data_set(257, b.var(many))), limits=Limits(list_elements=99))
    assert plain(told) == [None]
    assert told.value_kinds == {FaultKind.ELEMENT_LIMIT: 1}
