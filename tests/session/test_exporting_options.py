"""Option records that an exporting session makes itself: type information and statistics."""

from __future__ import annotations

import pytest

from headwater.errors import EncodeError
from headwater.model.element import InformationElement, Semantics, Units
from headwater.model.types import DataType
from headwater.session import Session
from headwater.session.exporting import ExportSession, Refresh
from headwater.wire.dialect import NETFLOW9
from tests import build as b
from tests.session.exported import NOW, messages, read, send
from tests.spec.vectors import VECTORS, octets

PEN = b.DOCUMENTATION_PEN
FLAGS = InformationElement(PEN, 14, "initialTCPFlags", DataType.UNSIGNED8, Semantics.FLAGS)
LOSS = InformationElement(PEN, 15, "loss", DataType.UNSIGNED16, Semantics.QUANTITY, Units.PACKETS, (1, 500))
TYPES = b.options_template_set(
    b.options_template(
        257, (346, 4), (303, 2), (339, 1), (344, 1), (345, 2), (342, 8), (343, 8), (341, 65535), (340, 65535), scope=2
    )
)
FLAGS_RECORD = b.record(
    *(b.uint(PEN), b.uint(14, 2), b.uint(1, 1), b.uint(5, 1), b.uint(0, 2), bytes(16)),
    *(b.var(b"initialTCPFlags"), b.var(b"")),
)
LOSS_RECORD = b.record(
    *(b.uint(PEN), b.uint(15, 2), b.uint(2, 1), b.uint(1, 1), b.uint(3, 2), b.uint(1, 8), b.uint(500, 8)),
    *(b.var(b"loss"), b.var(b"")),
)


def learned(*sent: bytes) -> list[InformationElement]:
    reader = Session(transport="tcp")
    for message in sent:
        list(reader.receive(message))
    assert reader.ledger[0].lost == 0
    return [reader.registry.get(PEN, id) for id in (14, 15) if (PEN, id) in reader.registry]


def test_enterprise_elements_are_described_before_they_are_first_used() -> None:
    session = ExportSession("tcp", describe=True)
    template = session.template([FLAGS, LOSS, "octetDeltaCount[4]"])
    sent = send(session, template, bytes(7))
    assert sent == [
        b.message(
            TYPES,
            b.data_set(257, FLAGS_RECORD, LOSS_RECORD),
            b.template_set(b.template(256, (14, 1, PEN), (15, 2, PEN), (1, 4))),
            domain=0,
        ),
        b.message(b.data_set(256, bytes(7)), domain=0, sequence=2),
    ]
    assert learned(*sent) == [FLAGS, LOSS]
    told = read(*sent)
    assert told.records[-1].named[:2] == [("initialTCPFlags", 0), ("loss", 0)]
    assert session.counters["records"] == 3
    assert session.counters["flow_records"] == 1


def test_the_records_are_those_of_rfc_5610_but_for_the_fields_it_has_not() -> None:
    (printed,) = octets(VECTORS["RFC5610-A"])
    (sent,) = messages(ExportSession("tcp").describe([FLAGS], now=NOW))
    numbers, name = FLAGS_RECORD[:8], b.var(b"initialTCPFlags")
    assert numbers + name in printed
    assert sent.endswith(numbers + bytes(18) + name + b"\0")  # no units, no range, no description


def test_templates_are_told_from_data_also_where_type_information_comes_with_them() -> None:
    session = ExportSession("sctp", describe=True)
    template = session.template([FLAGS, "octetDeltaCount[4]"])
    (announced,) = session.announce(now=NOW)
    assert announced.records == 1
    assert announced.has_templates
    (data,) = session.send_records(template, [{"initialTCPFlags": 2, "octetDeltaCount": 3}], now=NOW)
    assert data.records == 1
    assert not data.has_templates
    (withdrawn,) = session.withdraw(template, now=NOW)
    assert withdrawn.has_templates


def test_each_element_is_described_once_in_a_session() -> None:
    session = ExportSession("tcp", describe=True)
    send(session, session.template([FLAGS]), b"\1")
    sent = send(session, session.template([FLAGS, LOSS]), bytes(3))
    assert sent[0][16:] == b.data_set(257, LOSS_RECORD) + b.template_set(b.template(258, (14, 1, PEN), (15, 2, PEN)))
    assert session.describe([FLAGS, LOSS], now=NOW) == []
    assert len(send(session, session.template([FLAGS], domain=1), b"\1", domain=1)) == 2
    assert session.counters["records"] == 2 + 3


def test_over_udp_they_are_described_again_with_the_templates() -> None:
    session = ExportSession("udp", describe=True, refresh=Refresh(messages=2))
    template = session.template([FLAGS])
    sent = [message for _ in range(3) for message in send(session, template, b"\1")]
    sent += send(session, template, *[b"\1"] * 2500)
    assert [message.count(FLAGS_RECORD) for message in sent] == [1, 0, 0, 1, 0, *[0, 1, 0] * 3]
    read(*sent, transport="udp")


def test_and_again_in_a_new_transport_session() -> None:
    session = ExportSession("tcp", describe=True)
    send(session, session.template([FLAGS]), b"\1")
    session.describe([LOSS], now=NOW)
    sent = messages(session.reconnected(NOW))
    assert learned(*sent) == [FLAGS, LOSS]


def test_nothing_is_described_unless_asked_for_nor_what_is_known_to_all_or_to_nobody() -> None:
    plain = ExportSession("tcp")
    assert len(send(plain, plain.template([FLAGS]), b"\1")[0]) == 32
    session = ExportSession("tcp", describe=True)
    template = session.template(["reverseOctetDeltaCount", "_32473_99[4]", "octetDeltaCount"])
    assert session.template([FLAGS]).id == 257
    sent = send(session, template, bytes(20))
    assert [message.count(b"octetDeltaCount") for message in sent] == [0, 0]
    assert learned(*sent) == [FLAGS]


def test_semantics_that_the_type_cannot_have_are_not_said() -> None:
    odd = InformationElement(PEN, 14, "odd", DataType.STRING, Semantics.FLAGS)
    (found,) = learned(*messages(ExportSession("tcp").describe([odd], now=NOW)))
    assert found == InformationElement(PEN, 14, "odd", DataType.STRING)


def test_an_element_whose_name_is_longer_than_a_datagram_is_described_only_on_demand() -> None:
    long = InformationElement(PEN, 15, "x" * 500, DataType.UNSIGNED16)
    session = ExportSession("udp", describe=True)
    sent = send(session, session.template([long, FLAGS]), bytes(3))
    assert learned(*sent) == [FLAGS]
    with pytest.raises(EncodeError, match="a record of Template 257 has 530 octets"):
        session.describe([long], now=NOW)


def test_type_information_is_a_matter_of_ipfix() -> None:
    with pytest.raises(EncodeError, match="NetFlow v9 has no type information"):
        ExportSession("udp", dialect=NETFLOW9, describe=True)
    with pytest.raises(EncodeError, match="NetFlow v9 has no type information"):
        ExportSession("udp", dialect=NETFLOW9).describe([FLAGS], now=NOW)


def test_statistics_tell_what_was_sent_before_them_in_the_domain() -> None:
    session = ExportSession("tcp", mtu=60)
    template = session.template(["octetDeltaCount[4]"], domain=7)
    sent = send(session, template, *[bytes(4)] * 25, domain=7)
    send(session, session.template(["octetDeltaCount[4]"], domain=8), bytes(4), domain=8)
    sent += messages(session.statistics(NOW, 7))
    assert sent[4:] == [
        b.message(
            b.options_template_set(b.options_template(257, (149, 4), (41, 8), (42, 8), (40, 8))), domain=7, sequence=25
        ),
        b.message(
            b.data_set(257, b.record(b.uint(7), b.uint(4, 8), b.uint(25, 8), b.uint(28 + 60 + 60 + 40, 8))),
            domain=7,
            sequence=25,
        ),
    ]
    told = read(*sent, *messages(session.statistics(NOW, 7)))
    assert [dict(row)["exportedMessageTotalCount"] for row in told.rows[-2:]] == [4, 6]
    assert [dict(row)["exportedFlowRecordTotalCount"] for row in told.rows[-2:]] == [25, 25]
