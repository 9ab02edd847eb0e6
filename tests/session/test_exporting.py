"""What an exporting session sends for records: Templates first, headers right, sequence numbers without a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.errors import EncodeError
from headwater.model.template import VARIABLE, Template
from headwater.session import Transport
from headwater.session.exporting import ExportSession, Refresh
from headwater.session.open_message import OpenMessage, lay_out
from headwater.session.outgoing import Room
from headwater.wire.dialect import IPFIX
from tests import build as b
from tests.session.exported import NOW, encoded, messages, read, send
from tests.spec.vectors import VECTORS, octets

PORTS = ("sourceTransportPort", "destinationTransportPort")
PORTS_FIELDS = ((7, 2), (11, 2))
PORTS_TEMPLATE = b.template_set(b.template(256, *PORTS_FIELDS))


def row(number: int) -> bytes:
    return b.uint(number)


def rows(count: int, start: int = 0) -> list[bytes]:
    return [row(number) for number in range(start, start + count)]


def test_the_template_goes_ahead_in_a_message_of_its_own() -> None:
    session = ExportSession("tcp")
    template = session.template(PORTS, domain=7)
    assert send(session, template, row(1), row(2), domain=7) == [
        b.message(PORTS_TEMPLATE, domain=7),
        b.message(b.data_set(256, row(1), row(2)), domain=7),
    ]
    assert send(session, template, row(3), domain=7, now=NOW + 1.9) == [
        b.message(b.data_set(256, row(3)), domain=7, sequence=2, export_time=b.EXPORT_TIME + 1)
    ]


def test_the_first_message_of_rfc_7011_appendix_a_comes_out_as_it_is_printed() -> None:
    (printed,) = octets(VECTORS["IPFIX-A1"])
    session = ExportSession("tcp")
    specs = ("sourceIPv4Address", "destinationIPv4Address", "ipNextHopIPv4Address", "packetDeltaCount[4]",
             "octetDeltaCount[4]")  # fmt: skip
    template = session.template(specs, domain=0x3039)
    records = [printed[48 + 20 * i : 68 + 20 * i] for i in range(3)]
    announced, data = send(session, template, *records, domain=0x3039, now=0x52C35A80)
    assert announced[16:] == printed[16:44]
    assert data[16:] == printed[44 : 44 + 4 + 60]
    assert announced[4:16] == data[4:16] == printed[4:16]


def test_many_messages_are_numbered_in_one_go_and_never_exceed_the_mtu() -> None:
    session = ExportSession("tcp", mtu=60)
    template = session.template(PORTS)
    sent = send(session, template, *rows(25))
    assert [len(message) for message in sent] == [32, 60, 60, 40]
    assert sent[1:] == [
        b.message(b.data_set(256, *rows(10)), domain=0),
        b.message(b.data_set(256, *rows(10, 10)), domain=0, sequence=10),
        b.message(b.data_set(256, *rows(5, 20)), domain=0, sequence=20),
    ]
    told = read(*sent)
    assert [record.values for record in told.records] == [(0, number) for number in range(25)]
    assert session.counters == {
        "messages": 4, "records": 25, "flow_records": 25, "octets": 192, "templates": 1,
    }  # fmt: skip


def test_records_of_any_length_are_read_back() -> None:
    session = ExportSession("file", mtu=100)
    template = session.template(["interfaceName", "ingressInterface"])
    names = [b"eth%d" % (10**number) for number in range(12)]
    sent = send(session, template, *(b.record(b.var(name), b.uint(1)) for name in names))
    assert max(map(len, sent)) <= 100
    assert [record.values[0] for record in read(*sent).records] == [name.decode() for name in names]


def test_each_domain_has_templates_and_numbers_of_its_own() -> None:
    session = ExportSession("tcp")
    one, two = session.template(PORTS, domain=1), session.template(["octetDeltaCount[4]"], domain=2)
    assert one.id == two.id == 256
    sent = send(session, one, *rows(3), domain=1) + send(session, two, *rows(2), domain=2)
    sent += send(session, one, *rows(1), domain=1) + send(session, two, *rows(1), domain=2)
    told = read(*sent)
    assert [(record.domain, record.named[0][0]) for record in told.records] == [
        *[(1, "sourceTransportPort")] * 3, *[(2, "octetDeltaCount")] * 2,
        (1, "sourceTransportPort"), (2, "octetDeltaCount"),
    ]  # fmt: skip
    assert told.session.ledger[1].expected == 4
    assert told.session.ledger[2].expected == 3


def test_each_sctp_stream_counts_for_itself() -> None:
    session = ExportSession("sctp")
    template = session.template(PORTS)
    sent = send(session, template, *rows(3)) + send(session, template, *rows(2), stream=5)
    sent += send(session, template, row(0), stream=5) + send(session, template, row(0))
    assert [int.from_bytes(message[8:12], "big") for message in sent] == [0, 0, 0, 2, 3]


@pytest.mark.parametrize("transport", sorted(set(Transport) - {"sctp"}))
def test_there_are_streams_in_sctp_only(transport: str) -> None:
    session = ExportSession(transport)
    template = session.template(PORTS)
    with pytest.raises(EncodeError, match="no streams"):
        send(session, template, row(1), stream=1)


def test_sequence_numbers_wrap_at_2_to_the_32() -> None:
    session = ExportSession("tcp", mtu=32)
    template = session.template(PORTS)
    session.tally().sequences[0] = 0xFFFF_FFFE
    sent = send(session, template, *rows(5))
    numbers = [int.from_bytes(message[8:12], "big") for message in sent]
    assert numbers == [0xFFFF_FFFE, 0xFFFF_FFFE, 1]
    assert len(read(*sent).records) == 5


def test_export_times_never_go_back_unless_the_caller_says_they_may() -> None:
    def times(session: ExportSession) -> list[int]:
        template = session.template(PORTS)
        sent = [send(session, template, row(1), now=now)[-1] for now in (NOW, NOW - 10, NOW + 1)]
        return [int.from_bytes(message[4:8], "big") - b.EXPORT_TIME for message in sent]

    strict, free = ExportSession("tcp"), ExportSession("file", monotonic=False)
    assert times(strict) == [0, 0, 1]
    assert strict.counters["clock_went_back"] == 1
    assert times(free) == [0, -10, 1]
    assert free.counters["clock_went_back"] == 0


def test_templates_are_split_over_messages_that_have_room() -> None:
    session = ExportSession("udp", mtu=60)
    made = [session.template([f"octetDeltaCount[{length}]", *PORTS]) for length in range(1, 7)]
    sent = send(session, made[5], bytes(6) + row(1))
    sets = [b.template(256 + i, (1, i + 1), *PORTS_FIELDS) for i in range(6)]
    assert sent[:-1] == [
        b.message(b.template_set(*sets[0:2]), domain=0),
        b.message(b.template_set(*sets[2:4]), domain=0),
        b.message(b.template_set(*sets[4:6]), domain=0),
    ]
    assert read(*sent).templates == made


def test_options_templates_follow_templates_in_a_set_of_their_own() -> None:
    session = ExportSession("tcp")
    options = session.template(["observationDomainId{scope}", "exportedMessageTotalCount"])
    template = session.template(PORTS)
    assert (options.id, template.id) == (256, 257)
    announced, data = send(session, options, b.uint(1) + b.uint(2, 8))
    assert announced == b.message(
        b.template_set(b.template(257, *PORTS_FIELDS)),
        b.options_template_set(b.options_template(256, (149, 4), (41, 8), scope=1)),
        domain=0,
    )
    assert read(announced, data).rows == [[("observationDomainId", 1), ("exportedMessageTotalCount", 2)]]
    assert session.counters["records"] == 1
    assert session.counters["flow_records"] == 0


@pytest.mark.parametrize(("transport", "mtu"), [("udp", 512), ("dtls", 512), ("tcp", 65535), ("file", 65535)])
def test_room_is_what_a_message_of_the_mtu_has_besides_headers(transport: str, mtu: int) -> None:
    session = ExportSession(transport)
    assert session.room(session.template(PORTS)) == Room(header=20, budget=mtu - 20)


def test_sets_are_padded_on_request_but_never_so_that_padding_looks_like_a_record() -> None:
    session = ExportSession("tcp", align=4)
    odd, tiny = session.template(["octetDeltaCount[5]"]), session.template(["protocolIdentifier"])
    assert (session.room(odd).align, session.room(tiny).align) == (4, 1)
    sent = send(session, odd, bytes(5)) + send(session, tiny, b"\6")
    sent += messages(session.send_records(tiny, [{"protocolIdentifier": 17}], now=NOW))
    assert sent[1] == b.message(b.data_set(256, bytes(5), padding=3), domain=0)
    assert sent[2] == b.message(b.data_set(257, b"\6"), domain=0, sequence=1)
    assert sent[3] == b.message(b.data_set(257, b"\x11"), domain=0, sequence=2)
    assert len(read(*sent).records) == 3


def test_records_by_name_share_a_message_with_the_numbers_of_all_others() -> None:
    session = ExportSession("tcp", mtu=40)
    template = session.template(PORTS)
    values = [{"sourceTransportPort": 1, "destinationTransportPort": number} for number in range(7)]
    sent = messages(session.send_records(template, values, now=NOW)) + send(session, template, row(9))
    assert [len(message) for message in sent] == [32, 40, 28, 24]
    told = read(*sent)
    assert [record.values for record in told.records] == [*((1, number) for number in range(7)), (0, 9)]


def test_nothing_is_sent_for_no_records() -> None:
    session = ExportSession("tcp")
    assert send(session, session.template(PORTS)) == []


def test_announcing_is_for_those_who_write_messages_themselves() -> None:
    session = ExportSession("tcp")
    session.template(PORTS)
    assert messages(session.announce(now=NOW)) == [b.message(PORTS_TEMPLATE, domain=0)]
    assert messages(session.announce(now=NOW)) == []


def test_a_template_longer_than_a_message_is_refused() -> None:
    session = ExportSession("udp", mtu=100)
    with pytest.raises(EncodeError, match="a Template has 84 octets; a Message of at most 100 octets has room for 80"):
        session.template(["octetDeltaCount"] * 20)


def test_a_template_whose_records_fit_no_message_has_no_room() -> None:
    session = ExportSession("udp", mtu=100)
    template = session.template(["sourceIPv6Address"] * 6)
    with pytest.raises(EncodeError, match="96 octets or more; a Message of at most 100 octets has room for 80"):
        session.room(template)


@pytest.mark.parametrize(
    ("specs", "match"),
    [
        ([], "needs a field with octets"),
        (["collectorCertificate[0]"], "needs a field with octets"),
    ],
)
def test_templates_without_octets_are_refused(specs: list[str], match: str) -> None:
    with pytest.raises(EncodeError, match=match):
        ExportSession("tcp").template(specs)


def test_elements_of_netflow_have_no_number_in_ipfix() -> None:
    from headwater.model.netflow import NETFLOW_ELEMENTS

    with pytest.raises(EncodeError, match=r"v7Flags1 .* exists in NetFlow only"):
        ExportSession("tcp").template([NETFLOW_ELEMENTS[0]])


def test_records_of_another_session_are_refused_before_anything_changes() -> None:
    session, other = ExportSession("udp"), ExportSession("tcp")
    made = encoded(other, other.template(PORTS), rows(200))
    with pytest.raises(EncodeError, match="Template 256 is not one of domain 0"):
        session.send(made, now=NOW)
    session.template(PORTS)
    with pytest.raises(EncodeError, match="Messages of up to 820"):
        session.send(made, now=NOW)
    assert session.counters == {}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"transport": "carrier pigeon"}, "transport must be one of"),
        ({"mtu": 20}, "mtu is 20; Messages have from 21 to 65535"),
        ({"mtu": 65536}, "mtu is 65536"),
        ({"first_id": 255}, "first_id is 255"),
    ],
)
def test_what_makes_no_session_is_said(options: dict[str, object], match: str) -> None:
    with pytest.raises(EncodeError, match=match):
        ExportSession(**options)  # type: ignore[arg-type]


def test_domains_have_32_bits() -> None:
    session = ExportSession("tcp")
    session.template(PORTS, domain=0xFFFF_FFFF)
    with pytest.raises(EncodeError, match="no domain of IPFIX, which has 32 bits"):
        session.template(PORTS, domain=1 << 32)


def test_a_template_can_be_given_as_text() -> None:
    template = ExportSession("tcp").template("lineCardId{scope}\ninterfaceName")
    assert template == Template.of(0, "lineCardId", "interfaceName", scope=1)
    assert template.fields[1].length == VARIABLE


def test_an_empty_message_lays_out_nothing() -> None:
    assert list(lay_out([], IPFIX, 512, 1)) == []
    assert OpenMessage(IPFIX, 512).is_empty


def test_a_million_records_of_one_send_are_no_loop_over_messages() -> None:
    session = ExportSession("udp", mtu=1420, refresh=Refresh(messages=0))
    template = session.template(PORTS)
    made = encoded(session, template, [bytes(4)] * 20_000)
    sent = session.send(made, now=NOW)
    assert [len(outgoing) for outgoing in sent] == [1, 58]
    assert sent[1].records == 20_000
    assert sent[1].buffer is made.buffer


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mtu": "1400"}, "mtu is a whole number, not '1400'"),
        ({"mtu": 1400.5}, "mtu is a whole number, not 1400.5"),
        ({"mtu": True}, "mtu is a whole number, not True"),
        ({"first_id": "300"}, "first_id is a whole number, not '300'"),
        ({"align": "4"}, "align is a whole number, not '4'"),
        ({"align": 0}, "align is 0; Sets are padded to a multiple of 1 or more octets"),
        ({"refresh": 20}, "refresh is a Refresh, not 20"),
        ({"dialect": "IPFIX"}, "dialect is IPFIX, NETFLOW9 or NETFLOW5, not 'IPFIX'"),
        ({"sampling": 65536}, "sampling is 65536, which has not 16 bits"),
        ({"booted": float("nan")}, "booted is in seconds since 1970"),
    ],
)
def test_what_is_no_option_of_a_session_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EncodeError, match=words):
        ExportSession("udp", **options)


@pytest.mark.parametrize("domain", [-1, 1 << 32, "7", None, 1.5, [1], True])
def test_what_is_no_domain_is_refused(domain: Any) -> None:
    session = ExportSession("tcp")
    session.template(["vlanId"], 1)
    for call in (lambda: session.template(["vlanId"], domain), lambda: session.announce(domain, now=NOW)):
        with pytest.raises(EncodeError, match="domain"):
            call()
    assert session.template(["vlanId"], np.int64(1)).id == 256  # type: ignore[arg-type]


@pytest.mark.parametrize("now", [-1, 1 << 32, float("nan"), float("inf"), "now", None])
def test_what_is_no_export_time_is_refused(now: Any) -> None:
    session = ExportSession("tcp")
    session.template(["vlanId"])
    with pytest.raises(EncodeError, match="now is in seconds since 1970"):
        session.announce(now=now)
