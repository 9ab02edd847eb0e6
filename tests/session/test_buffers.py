"""Many Messages of many domains in one buffer: grouped into runs, in the order of the wire."""

from __future__ import annotations

import random
import time

import numpy as np

from headwater.errors import FaultKind
from headwater.session import DataSets, Limits, Session, SessionKey, TemplateLearned
from headwater.session.data import cut_by_history
from tests import build as b
from tests.oracle import Account, listen

PORTS = b.template_set(b.template(256, (7, 2)))
NAMES = b.template_set(b.template(257, (82, b.VARIABLE)))


def test_equal_templates_of_one_domain_and_id_are_one_run() -> None:
    messages = [b.message(PORTS)] + [b.message(b.data_set(256, b.uint(i, 2)), sequence=i) for i in range(100)]
    told = listen(b"".join(messages), transport="tcp")
    (sets,) = told.sets
    assert sets.num_records == 100
    assert sets.message.tolist() == list(range(1, 101))
    assert [record.values[0] for record in told.records] == list(range(100))


def test_runs_of_several_templates_can_be_put_back_in_order() -> None:
    message = b.message(
        PORTS,
        NAMES,
        b.data_set(256, b.uint(0, 2)),
        b.data_set(257, b.var(b"1"), b.var(b"2")),
        b.data_set(256, b.uint(3, 2)),
        b.data_set(257, b.var(b"4")),
    )
    session = Session()
    runs = [event for event in session.receive(message) if isinstance(event, DataSets)]
    assert [run.order.tolist() for run in runs] == [[2, 4], [3, 5]]
    told = listen(message)
    assert [str(record.values[0]) for record in told.records] == ["0", "1", "2", "3", "4"]


def test_events_are_in_the_order_of_the_wire() -> None:
    sets = [
        PORTS,
        b.data_set(256, b.uint(1, 2)),
        b.any_set(9, b""),
        NAMES,
        b.data_set(257, b.var(b"x")),
        b.data_set(999, b"?"),
    ]
    kinds = [getattr(event, "kind", type(event).__name__) for event in Session().receive(b.message(*sets))]
    assert kinds == [
        "TemplateLearned",
        "DataSets",
        FaultKind.RESERVED_SET,
        "TemplateLearned",
        "DataSets",
        FaultKind.UNKNOWN_TEMPLATE,
    ]


def test_domains_in_one_buffer_keep_to_themselves() -> None:
    messages = []
    for i in range(50):
        domain = i % 7
        template = PORTS if domain % 2 else b.template_set(b.template(256, (1, 2)))
        messages.append(b.message(template, b.data_set(256, b.uint(i, 2)), domain=domain, sequence=i // 7))
    for told in (listen(*messages), listen(b"".join(messages)), listen(b"".join(messages), transport="file")):
        assert [(r.domain, r.named) for r in told.records] == [
            (i % 7, [("sourceTransportPort" if i % 7 % 2 else "octetDeltaCount", i)]) for i in range(50)
        ]
        assert {id: (ledger.records, ledger.lost) for id, ledger in told.session.ledger.items()} == {
            id: (8 if id == 0 else 7, 0) for id in range(7)
        }


def test_many_domains_in_one_buffer_stay_linear() -> None:
    messages = [b.message(PORTS, b.data_set(256, b.uint(1, 2)), domain=i % 1000) for i in range(20_000)]
    session = Session(transport="file")
    start = time.process_time()
    list(session.receive(b"".join(messages)))
    assert time.process_time() - start < 5.0
    assert len(session.ledger) == 1000
    assert session.counters["records"] == 20_000


def test_long_padding_is_looked_at_without_copying_it_all() -> None:
    wide = b.template_set(b.template(256, (210, 65000)))
    padded = b.message(b.data_set(256, bytes(60_000)))
    told = listen(b.message(wide), padded + padded, transport="tcp")
    assert told.kinds == {FaultKind.SHORT_SET: 2}


def test_the_key_and_the_time_of_a_session_are_in_its_events() -> None:
    key = SessionKey("192.0.2.1", 4739)
    session = Session(key=key)
    told = Account(session).feed(b.message(PORTS, b.data_set(256, b.uint(1, 2)), b.any_set(9, b"")), now=12.5)
    assert told.faults[0].key is key
    messages = told.sets[0].messages
    assert messages.key(0) is key
    assert messages.received is not None
    assert messages.received.tolist() == [12_500_000_000]
    assert str(key) == "192.0.2.1:4739"
    assert str(SessionKey("2001:db8::1", 1)) == "[2001:db8::1]:1"


def test_counters_tell_what_a_session_did() -> None:
    told = listen(
        b.message(PORTS, b.data_set(256, b.uint(1, 2), b.uint(2, 2))), b.message(b.any_set(9, b""), sequence=2)
    )
    assert told.session.counters == {
        "datagrams": 2,
        "messages": 2,
        "octets": 16 + 12 + 8 + 16 + 4,
        "records": 2,
        "templates": 1,
        FaultKind.RESERVED_SET: 1,
    }


def test_data_sets_carry_the_limits_and_mode_of_their_session() -> None:
    limits = Limits(list_depth=3)
    told = listen(b.message(PORTS, b.data_set(256, b.uint(1, 2))), limits=limits, salvage=True)
    assert (told.sets[0].limits, told.sets[0].salvage) == (limits, True)


def test_a_template_is_told_with_the_offset_of_its_record() -> None:
    told = listen(b.message(b.template_set(b.template(256, (8, 4)), b.template(257, (12, 4)))), transport="tcp")
    assert [item.offset for item in told.items if isinstance(item, TemplateLearned)] == [20, 28]


def test_templates_repeated_hundreds_of_times_in_the_first_buffer_change_where_they_change() -> None:
    def number(i: int) -> tuple[bytes, bytes]:
        """A Message's Sets: the Template means a port, from the 100th on a class, from the 300th on a port again."""
        template = b.template(256, (5 if 100 <= i < 300 else 7, 1))
        return b.template_set(template), b.data_set(256, b.uint(i & 255, 1))

    messages = [b.message(*number(i), sequence=i) for i in range(400)]
    told = listen(b"".join(messages), transport="tcp")
    alone = listen(*messages, transport="tcp")
    assert told.rows == alone.rows
    names = [name for row in told.rows for name, _ in row]
    assert names[:100] == names[300:] == ["sourceTransportPort"] * 100
    assert names[100:300] == ["ipClassOfService"] * 200
    assert told.kinds[FaultKind.TEMPLATE_REPLACED] == 2


def test_what_held_for_each_set_is_found_however_long_the_history() -> None:
    random.seed(8)
    for _ in range(200):
        ordinals = sorted(random.choices(range(60), k=random.randrange(40)))
        history = [(-1, "before"), *((ordinal, f"{ordinal}, {i}") for i, ordinal in enumerate(ordinals))]
        sets = np.array(sorted(random.sample(range(60), random.randrange(1, 30))), np.intp)
        found = [(int(one), what) for what, piece in cut_by_history(history, sets) for one in piece]
        assert found == [(one, [what for at, what in history if at <= one][-1]) for one in sets.tolist()]
