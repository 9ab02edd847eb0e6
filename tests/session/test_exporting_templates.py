"""Template IDs of an exporting session: given out, repeated, withdrawn and used again, as each transport has it."""

from __future__ import annotations

import math

import pytest

from headwater.errors import EncodeError
from headwater.model.template import Template
from headwater.session import Session
from headwater.session.exporting import ExportSession, Refresh
from headwater.session.saved_export import SavedExport
from headwater.wire.dialect import IPFIX
from tests import build as b
from tests.oracle import listen
from tests.session.exported import NOW, encoded, messages, read, send
from tests.spec.vectors import VECTORS, octets

RELIABLE = ["tcp", "tls", "sctp", "file"]
UNRELIABLE = ["udp", "dtls"]
PORTS = ("sourceTransportPort", "destinationTransportPort")
PORTS_TEMPLATE = b.template(256, (7, 2), (11, 2))
OCTETS = ["octetDeltaCount[4]"]
OPTIONS = ["observationDomainId{scope}", "exportedMessageTotalCount"]
ROW = bytes(4)


def test_the_same_content_has_the_same_id_and_templates_and_options_share_the_ids() -> None:
    session = ExportSession("tcp", first_id=1000)
    ids = [session.template(specs).id for specs in (PORTS, OPTIONS, OCTETS, PORTS, OPTIONS)]
    assert ids == [1000, 1001, 1002, 1000, 1001]
    assert session.template(PORTS) is session.template(Template.of(300, *PORTS))


def test_an_id_can_be_asked_for_and_is_not_given_to_another_content() -> None:
    session = ExportSession("tcp")
    assert session.template(PORTS, id=257).id == 257
    assert [session.template([f"octetDeltaCount[{n}]"]).id for n in (1, 2)] == [256, 258]
    assert session.template(PORTS, id=257).id == 257
    assert session.template(PORTS, id=400).id == 400  # a second id for the same content is as good
    assert session.template(PORTS).id == 257
    with pytest.raises(EncodeError, match="Template ID 257 has another content; withdraw that Template first"):
        session.template(OPTIONS, id=257)


def test_withdrawing_one_of_two_ids_of_a_content_leaves_the_other() -> None:
    session = ExportSession("tcp")
    one, other = session.template(PORTS), session.template(PORTS, id=400)
    sent = send(session, one, ROW) + messages(session.withdraw(one, now=NOW)) + send(session, other, ROW)
    assert session.template(PORTS).id == 400
    assert len(read(*sent).records) == 2


@pytest.mark.parametrize("id", [255, 2, 0, 65536])
def test_ids_are_from_256_to_65535(id: int) -> None:
    with pytest.raises(EncodeError, match=f"Template ID {id} is not from 256 to 65535"):
        ExportSession("tcp").template(PORTS, id=id)


def test_when_all_ids_are_in_use_one_must_be_withdrawn() -> None:
    session = ExportSession("tcp", first_id=65534)
    first = session.template(PORTS)
    session.template(OCTETS)
    with pytest.raises(EncodeError, match="all Template IDs from 65534 to 65535 are in use"):
        session.template(OPTIONS)
    session.withdraw(first, now=NOW)
    assert session.template(OPTIONS).id == 65534


# --- withdrawals (RFC 7011 §8.1) -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", RELIABLE)
def test_a_withdrawn_id_is_free_at_once_where_nothing_is_lost(transport: str) -> None:
    session = ExportSession(transport)
    old = session.template(PORTS)
    sent = send(session, old, ROW)
    sent += messages(session.withdraw(old, now=NOW))
    new = session.template(OCTETS, id=256)
    sent += send(session, new, ROW)
    assert sent[2] == b.message(b.template_set(b.withdrawal(256)), domain=0, sequence=1)
    told = read(*sent, transport=transport)
    assert [record.named[0][0] for record in told.records] == ["sourceTransportPort", "octetDeltaCount"]
    assert session.counters["withdrawals"] == 1
    with pytest.raises(EncodeError, match="Template 256 is not in use"):
        session.withdraw(old, now=NOW)


def test_the_withdrawal_is_that_of_the_vectors() -> None:
    first, second = octets(VECTORS["IPFIX-WD-1"])
    session = ExportSession("tcp", first_id=300)
    template = session.template(["sourceIPv4Address", "destinationIPv4Address"], domain=1)
    assert messages(session.announce(1, now=0x52C35A80)) == [first]
    (withdrawal,) = messages(session.withdraw(template, 1, now=0x52C35A81))
    assert withdrawal[16:] == second[16:24]
    # in the vector the withdrawal, the new Template and its data share a Message
    other = send(
        session, session.template(["octetDeltaCount"], domain=1, id=300), b.uint(9, 8), domain=1, now=0x52C35A81
    )
    assert b"".join(message[16:] for message in other) == second[24:]


def test_what_was_never_sent_is_not_withdrawn() -> None:
    session = ExportSession("tcp")
    assert session.withdraw(session.template(PORTS), now=NOW) == []
    assert session.template(OPTIONS, id=256).id == 256


def test_all_templates_and_all_options_templates_are_withdrawn_by_the_id_of_their_set() -> None:
    session = ExportSession("tcp")
    template = session.template(PORTS)
    session.template(OPTIONS)
    session.template(OCTETS, domain=9)
    sent = send(session, template, ROW)
    sent += messages(session.withdraw_all(now=NOW))
    assert sent[2:] == [
        b.message(b.template_set(b.withdrawal(2)), b.options_template_set(b.withdrawal(3)), domain=0, sequence=1)
    ]
    told = read(*sent)
    assert told.session.templates(0) == {}
    assert send(session, session.template(PORTS), ROW)[0][16:] == b.template_set(b.template(258, (7, 2), (11, 2)))


@pytest.mark.parametrize("transport", UNRELIABLE)
def test_over_udp_nothing_is_withdrawn_and_the_id_rests_for_three_refresh_intervals(transport: str) -> None:
    session = ExportSession(transport, refresh=Refresh(seconds=100, messages=0))
    old = session.template(PORTS)
    send(session, old, ROW)
    assert session.withdraw(old, now=NOW + 50) == []
    assert session.refresh(NOW + 349) == []
    with pytest.raises(EncodeError, match="can be used again in 1 seconds"):
        session.template(OCTETS, id=256)
    again = session.template(PORTS)
    assert again.id == 256  # the same content does no harm, but is sent again
    assert send(session, again, ROW, now=NOW + 349)[0][16:] == b.template_set(PORTS_TEMPLATE)
    assert session.template(OCTETS).id == 257


def test_over_udp_an_id_is_free_after_that() -> None:
    session = ExportSession("udp", refresh=Refresh(seconds=100))
    old = session.template(PORTS)
    send(session, old, ROW)
    session.withdraw_all(now=NOW + 50)
    session.refresh(NOW + 350)
    assert session.template(OCTETS, id=256).id == 256


# --- repeats (RFC 7011 §8.4) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", RELIABLE)
def test_where_nothing_is_lost_templates_are_sent_once(transport: str) -> None:
    session = ExportSession(transport, mtu=100, refresh=Refresh(seconds=1, messages=1))
    template = session.template(PORTS)
    send(session, template, *[ROW] * 100)
    assert session.next_refresh == math.inf
    assert session.refresh(NOW + 1e6) == []
    send(session, template, *[ROW] * 100, now=NOW + 1e6)
    assert session.counters["templates"] == 1


def test_all_templates_of_a_domain_are_repeated_when_the_time_has_come() -> None:
    session = ExportSession("udp", refresh=Refresh(seconds=600, messages=0))
    one, other = session.template(PORTS), session.template(OPTIONS)
    assert session.next_refresh == math.inf
    send(session, one, ROW)
    assert session.next_refresh == NOW + 600
    assert session.refresh(NOW + 599) == []
    assert len(send(session, one, ROW, now=NOW + 599)) == 1
    again = b.message(
        b.template_set(PORTS_TEMPLATE),
        b.options_template_set(b.options_template(257, (149, 4), (41, 8))),
        domain=0, sequence=2, export_time=b.EXPORT_TIME + 600,
    )  # fmt: skip
    assert messages(session.refresh(NOW + 600)) == [again]
    assert session.next_refresh == NOW + 1200
    assert len(send(session, other, b.uint(1) + b.uint(2, 8), now=NOW + 1200)) == 2


def test_all_templates_are_repeated_after_so_many_messages_with_data() -> None:
    session = ExportSession("udp", mtu=36, refresh=Refresh(seconds=0, messages=3))
    template = session.template(PORTS)
    session.template(OCTETS)
    sent = []
    for _ in range(7):
        sent += send(session, template, ROW)
    kinds = ["T" if message[16:18] == b"\0\2" else "D" for message in sent]
    assert "".join(kinds) == "TTDDDTTDDDTTD"
    read(*sent, transport="udp")


def test_they_are_repeated_between_the_messages_of_one_send() -> None:
    session = ExportSession("udp", mtu=48, refresh=Refresh(seconds=0, messages=3))
    template = session.template(PORTS)
    sent = send(session, template, *[ROW] * 14)  # 7 to a Message
    sent += send(session, template, *(b.uint(number) for number in range(7 * 8)))
    kinds = ["T" if message[16:18] == b"\0\2" else "D" for message in sent]
    assert "".join(kinds) == "TDDDTDDDTDDDTD"
    told = read(*sent, transport="udp")
    assert [record.values[1] for record in told.records[14:]] == list(range(56))
    assert session.counters == {
        "messages": 14, "records": 70, "flow_records": 70, "octets": sum(map(len, sent)), "templates": 4,
    }  # fmt: skip


def test_the_pieces_of_a_send_are_views_of_one_buffer() -> None:
    session = ExportSession("udp", mtu=48, refresh=Refresh(messages=2))
    made = encoded(session, session.template(PORTS), [ROW] * 7 * 5)
    sent = session.send(made, now=NOW)
    assert [(len(outgoing), outgoing.records) for outgoing in sent] == [
        (1, 0),
        (2, 14),
        (1, 0),
        (2, 14),
        (1, 0),
        (1, 7),
    ]
    assert [outgoing.buffer is made.buffer for outgoing in sent] == [False, True] * 3
    assert [bytes(outgoing) for outgoing in sent] == [b"".join(messages([outgoing])) for outgoing in sent]


# --- new transport sessions, and going on ----------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "tls", "sctp", "udp"])
def test_after_a_reconnect_all_templates_come_again_and_numbers_start_at_0(transport: str) -> None:
    session = ExportSession(transport)
    template = session.template(PORTS, domain=1)
    other = session.template(OCTETS, domain=2)
    send(session, template, ROW, ROW, domain=1)
    sent = messages(session.reconnected(NOW - 100))
    sent += send(session, template, ROW, domain=1, now=NOW - 99) + send(session, other, ROW, domain=2, now=NOW - 99)
    assert sent == [
        b.message(b.template_set(PORTS_TEMPLATE), export_time=b.EXPORT_TIME - 100),
        b.message(b.template_set(b.template(256, (1, 4))), domain=2, export_time=b.EXPORT_TIME - 100),
        b.message(b.data_set(256, ROW), export_time=b.EXPORT_TIME - 99),
        b.message(b.data_set(256, ROW), domain=2, export_time=b.EXPORT_TIME - 99),
    ]
    assert session.counters["clock_went_back"] == 0


def test_a_file_is_appended_to_with_the_templates_and_numbers_that_it_has() -> None:
    session = ExportSession("file")
    ports, options = session.template(PORTS, domain=3, id=500), session.template(OPTIONS, domain=3)
    file = send(session, ports, ROW, ROW, domain=3) + send(session, options, bytes(12), domain=3)
    reader = Session(transport="file")
    list(reader.receive(b"".join(file)))
    for saved in (SavedExport.of_reader(reader, IPFIX), session.snapshot()):
        more = ExportSession("file")
        more.restore(saved)
        assert more.template(PORTS, domain=3).id == 500
        added = send(more, more.template(PORTS, domain=3), ROW, domain=3)
        added += send(more, more.template(OCTETS, domain=3), ROW, domain=3)
        assert added[0] == b.message(b.data_set(500, ROW), domain=3, sequence=3)
        assert added[1] == b.message(b.template_set(b.template(257, (1, 4))), domain=3, sequence=4)
        assert len(read(*file, *added, transport="file").records) == 5


def test_a_collector_that_missed_the_first_template_gets_the_next_one() -> None:
    session = ExportSession("udp", refresh=Refresh(messages=2))
    template = session.template(PORTS)
    sent = [message for _ in range(3) for message in send(session, template, ROW)]
    told = listen(*sent[1:])
    assert len(told.records) == 3  # two of them were held until the Template came
