"""Templates: how they are learned, replaced, withdrawn and forgotten over each transport."""

from __future__ import annotations

import pytest

from headwater.errors import FaultKind
from headwater.session import Limits, Session, SessionKey, TemplateLearned, TemplateWithdrawn, Transport
from headwater.session.saved import SavedTemplate
from headwater.session.templates import TemplateTable
from tests import build as b
from tests.oracle import Account, listen

TRANSPORTS = [str(transport) for transport in Transport]
RELIABLE = ["tcp", "tls", "sctp", "file"]
UNRELIABLE = ["udp", "dtls"]
PORTS = b.template(256, (7, 2), (11, 2))
BYTES = b.template(256, (1, 4))
OPTIONS = b.options_template(300, (149, 4), (41, 4))
ROW = bytes(range(4))


def named(told: Account) -> list[list[str]]:
    return [[cell.field.name for cell in record.cells] for record in told.records]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_template_holds_for_later_messages_of_its_domain_only(transport: str) -> None:
    told = listen(
        b.message(b.template_set(PORTS)),
        b.message(b.data_set(256, ROW)),
        b.message(b.data_set(256, ROW), domain=2),
        transport=transport,
        limits=Limits(held_sets=0),
    )
    assert named(told) == [["sourceTransportPort", "destinationTransportPort"]]
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 1, FaultKind.HELD_DROPPED: 1}
    assert list(told.session.templates(1)) == [256]
    assert told.session.templates(2) == {}
    assert told.session.templates(3) == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_identical_repeat_is_silent(transport: str) -> None:
    told = listen(*[b.message(b.template_set(PORTS))] * 3, transport=transport)
    assert len(told.items) == 1
    assert told.faults == []
    assert told.session.counters["templates"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_another_definition_replaces_the_old_one_at_once_and_is_told(transport: str) -> None:
    told = listen(
        b.message(b.template_set(PORTS), b.data_set(256, ROW), b.template_set(BYTES), b.data_set(256, ROW)),
        transport=transport,
    )
    assert named(told) == [["sourceTransportPort", "destinationTransportPort"], ["octetDeltaCount"]]
    assert told.kinds == {FaultKind.TEMPLATE_REPLACED: 1}
    learned = [item for item in told.items if isinstance(item, TemplateLearned)]
    assert [item.replaced and [f.name for f in item.replaced.fields] for item in learned] == [
        None,
        ["sourceTransportPort", "destinationTransportPort"],
    ]


def test_a_definition_that_changes_and_changes_back_in_one_buffer_cuts_the_data_where_it_changes() -> None:
    parts = [b.template_set(PORTS), b.data_set(256, ROW), b.template_set(BYTES), b.data_set(256, ROW, ROW)]
    messages = [b.message(part, sequence=0) for part in parts * 2]
    told = listen(b"".join(messages), transport="tcp")
    assert [len(names) for names in named(told)] == [2, 1, 1, 2, 1, 1]


def test_an_options_template_and_a_template_share_one_space_of_ids() -> None:
    told = listen(
        b.message(b.template_set(PORTS)), b.message(b.options_template_set(b.options_template(256, (149, 4))))
    )
    assert told.kinds == {FaultKind.TEMPLATE_REPLACED: 1}
    assert told.session.templates(1)[256].scope_count == 1


def test_the_same_fields_with_another_scope_are_another_template() -> None:
    one = b.options_template(300, (149, 4), (41, 4), scope=1)
    two = b.options_template(300, (149, 4), (41, 4), scope=2)
    assert listen(b.message(b.options_template_set(one, two))).kinds == {FaultKind.TEMPLATE_REPLACED: 1}


# --- withdrawals (RFC 7011 §8.1, §8.4) -------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", RELIABLE)
def test_a_withdrawn_template_is_gone(transport: str) -> None:
    told = listen(
        b.message(b.template_set(PORTS), b.options_template_set(OPTIONS)),
        b.message(b.data_set(256, ROW), b.template_set(b.withdrawal(256)), b.data_set(256, ROW)),
        b.message(b.options_template_set(b.withdrawal(300)), sequence=1),
        transport=transport,
    )
    assert len(told.records) == 1
    assert [item.template_id for item in told.items if isinstance(item, TemplateWithdrawn)] == [256, 300]
    assert told.session.templates(1) == {}
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 1}
    assert told.session.counters["withdrawals"] == 2


@pytest.mark.parametrize("transport", UNRELIABLE)
def test_withdrawals_over_udp_are_ignored(transport: str) -> None:
    told = listen(
        b.message(b.template_set(PORTS), b.options_template_set(OPTIONS)),
        b.message(
            b.template_set(b.withdrawal(256), b.withdrawal(2)),
            b.options_template_set(b.withdrawal(300), b.withdrawal(3)),
        ),
        b.message(b.data_set(256, ROW)),
        transport=transport,
    )
    assert told.kinds == {FaultKind.WITHDRAWAL_IGNORED: 4}
    assert len(told.records) == 1
    assert set(told.session.templates(1)) == {256, 300}


@pytest.mark.parametrize("transport", RELIABLE)
def test_all_templates_or_all_options_templates_can_be_withdrawn(transport: str) -> None:
    define = b.message(b.template_set(PORTS, b.template(257, (8, 4))), b.options_template_set(OPTIONS))
    other = b.message(b.template_set(PORTS), domain=2)
    told = listen(define, other, b.message(b.template_set(b.withdrawal(2))), transport=transport)
    assert set(told.session.templates(1)) == {300}
    assert set(told.session.templates(2)) == {256}
    told = listen(define, b.message(b.options_template_set(b.withdrawal(3))), transport=transport)
    assert set(told.session.templates(1)) == {256, 257}


@pytest.mark.parametrize(
    "withdrawal",
    [
        b.options_template_set(b.withdrawal(256)),
        b.template_set(b.withdrawal(300)),
        b.options_template_set(b.withdrawal(2)),
        b.template_set(b.withdrawal(3)),
    ],
)
def test_a_withdrawal_in_the_other_kind_of_set_is_ignored(withdrawal: bytes) -> None:
    told = listen(
        b.message(b.template_set(PORTS), b.options_template_set(OPTIONS)), b.message(withdrawal), transport="tcp"
    )
    assert told.kinds == {FaultKind.WITHDRAWAL_IGNORED: 1}
    assert set(told.session.templates(1)) == {256, 300}


def test_a_withdrawal_of_what_is_not_known_is_told_and_changes_nothing() -> None:
    told = listen(b.message(b.template_set(b.withdrawal(999))), transport="tcp")
    assert told.kinds == {FaultKind.WITHDRAWAL_UNKNOWN: 1}
    assert told.items == []


def test_after_a_withdrawal_another_definition_is_no_replacement() -> None:
    told = listen(b.message(b.template_set(PORTS, b.withdrawal(256), BYTES), b.data_set(256, ROW)), transport="tcp")
    assert told.faults == []
    assert named(told) == [["octetDeltaCount"]]


def test_the_end_of_a_session_forgets_its_templates() -> None:
    told = listen(b.message(b.template_set(PORTS)), transport="tcp").close()
    assert told.session.templates(1) == {}


# --- a Message is taken whole or not at all (GEN-2) ------------------------------------------------------------------

TEXT = b.template(257, (82, b.VARIABLE))
TORN = b.data_set(257, b"\x05ab")


@pytest.mark.parametrize(
    "sets",
    [
        (b.template_set(PORTS), b.template_set(TEXT), TORN),
        (b.template_set(TEXT), TORN, b.template_set(PORTS)),
        (b.template_set(PORTS), b.template_set(b.template(1, (8, 4)))),
        (b.template_set(PORTS), b.any_set(2, b"", length=3)),
        (b.template_set(b.withdrawal(400)), b.template_set(TEXT), TORN),
        (b.template_set(b.withdrawal(2)), b.options_template_set(b.options_template(9, (149, 4)))),
    ],
)
def test_templates_of_a_malformed_message_are_not_learned_or_withdrawn(sets: tuple[bytes, ...]) -> None:
    told = listen(b.message(b.template_set(b.template(400, (8, 4)))), b.message(*sets), transport="sctp")
    assert len(told.items) == 1
    assert set(told.session.templates(1)) == {400}
    assert told.session.counters["messages_malformed"] == 1
    assert told.session.ledger[1].malformed == 1
    assert sum(told.kinds.values()) == 1


def test_torn_data_of_a_template_known_before_keeps_the_templates_after_it_out() -> None:
    told = listen(b.message(b.template_set(TEXT)), b.message(TORN, b.template_set(PORTS)))
    assert set(told.session.templates(1)) == {257}
    assert told.kinds == {FaultKind.VARLEN_OVERRUN: 1}


def test_data_of_a_template_withdrawn_in_the_same_message_is_unknown_and_not_torn() -> None:
    for withdrawal in (b.withdrawal(257), b.withdrawal(2)):
        told = listen(
            b.message(b.template_set(TEXT)),
            b.message(b.template_set(withdrawal), b.template_set(PORTS), TORN),
            transport="tcp",
        )
        assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 1}
        assert set(told.session.templates(1)) == {256}


def test_salvage_keeps_what_stands_before_the_fault_and_counts_the_message_once() -> None:
    told = listen(
        b.message(
            b.template_set(PORTS, TEXT, b.template(1, (8, 4))), TORN, b.data_set(256, ROW), b.any_set(2, b"", length=3)
        ),
        salvage=True,
    )
    assert set(told.session.templates(1)) == {256, 257}
    assert [record.values for record in told.records] == [(1, 0x203)]
    assert told.kinds == {FaultKind.TEMPLATE_ID: 1, FaultKind.VARLEN_OVERRUN: 1, FaultKind.SET_LENGTH: 1}
    assert told.session.counters["messages_malformed"] == told.session.ledger[1].malformed == 1


# --- limits and lifetimes --------------------------------------------------------------------------------------------


def test_templates_beyond_the_limit_are_refused_and_the_known_ones_stay() -> None:
    session = Session(limits=Limits(templates=2))
    told = Account(session).feed(b.message(b.template_set(PORTS, b.template(257, (8, 4)), b.template(258, (8, 4)))))
    assert set(session.templates(1)) == {256, 257}
    assert told.kinds == {FaultKind.TEMPLATE_LIMIT: 1}
    told.feed(b.message(b.template_set(BYTES), b.data_set(256, ROW), b.data_set(258, ROW)))
    assert told.kinds[FaultKind.TEMPLATE_LIMIT] == 1  # replacing one takes no more room
    assert named(told) == [["octetDeltaCount"]]


def test_a_withdrawal_makes_room() -> None:
    told = listen(
        b.message(b.template_set(PORTS, b.withdrawal(256), b.template(257, (8, 4)))),
        transport="tcp",
        limits=Limits(templates=1),
    )
    assert told.faults == []
    assert set(told.session.templates(1)) == {257}


def test_the_domains_that_come_first_are_within_the_limit() -> None:
    session = Session(transport="tcp", limits=Limits(domains=2))
    list(session.receive(b"".join(b.message(domain=domain) for domain in (9, 3, 7, 1, 9))))
    assert list(session.ledger) == [9, 3]


def test_domains_beyond_the_limit_learn_nothing_and_are_not_accounted_for() -> None:
    session = Session(limits=Limits(domains=2))
    told = Account(session)
    for domain in range(5):
        told.feed(b.message(b.template_set(PORTS), b.data_set(256, ROW), domain=domain))
    assert list(session.ledger) == [0, 1]
    assert len(told.records) == 2
    assert told.kinds == {FaultKind.TEMPLATE_LIMIT: 3, FaultKind.UNKNOWN_TEMPLATE: 3, FaultKind.HELD_DROPPED: 3}
    told.feed(b.message(b.template_set(BYTES), b.data_set(256, ROW), domain=1, sequence=1))
    assert len(told.records) == 3


@pytest.mark.parametrize("transport", UNRELIABLE)
def test_a_template_that_is_not_sent_again_expires_over_udp(transport: str) -> None:
    session = Session(transport=transport, limits=Limits(template_lifetime_s=100.0))
    told = Account(session).feed(b.message(b.template_set(PORTS, b.template(257, (8, 4)))), now=1000.0)
    told.feed(b.message(b.template_set(PORTS)), now=1090.0)
    told.feed(b.message(b.data_set(256, ROW), b.data_set(257, ROW)), now=1101.0)
    assert [record.template.id for record in told.records] == [256]
    assert told.kinds == {FaultKind.TEMPLATE_EXPIRED: 1, FaultKind.UNKNOWN_TEMPLATE: 1}
    assert set(session.templates(1)) == {256}
    told.feed(b.message(), now=1191.0)
    assert session.templates(1) == {}


@pytest.mark.parametrize("transport", RELIABLE)
def test_templates_do_not_expire_where_nothing_is_lost(transport: str) -> None:
    told = listen(b.message(b.template_set(PORTS)), transport=transport, limits=Limits(template_lifetime_s=1.0))
    told.feed(b.message(b.data_set(256, ROW)), now=1e9)
    assert len(told.records) == 1
    assert told.faults == []


def test_many_templates_in_use_are_not_looked_through_for_each_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = TemplateTable._intern_only_used

    def counted(table: TemplateTable) -> None:
        nonlocal looks
        looks += 1
        look(table)

    monkeypatch.setattr(TemplateTable, "_intern_only_used", counted)
    session = Session(limits=Limits(templates=16))
    for exporter in range(64):
        key = SessionKey(f"192.0.2.{exporter}")
        session.restore(SavedTemplate(10, key, 1, 256 + i, 0, ((0, 1 + exporter, 4),), 0.0) for i in range(16))
    assert len(session.snapshot()) == 64 * 16
    assert looks < 10


def test_definitions_without_end_do_not_grow_the_session() -> None:
    session = Session(limits=Limits(templates=16))
    for number in range(2000):
        fields = [(1 + number % 400, 1 + number // 400), (210, 1 + number % 200)]
        list(session.receive(b.message(b.template_set(b.template(256 + number % 16, *fields)))))
    table = session._state.table
    assert len(session.templates(1)) == 16
    assert sum(map(len, table._interned.values())) == table._num_interned <= 2 * 16 + 1
    assert len(table._parsed) <= 256
