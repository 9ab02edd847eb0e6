"""NetFlow v9 and v5 from the same session: other headers, other counts, and no way to say what only IPFIX can."""

from __future__ import annotations

import pytest

from headwater.errors import EncodeError, FaultKind
from headwater.model.netflow import NETFLOW_ELEMENTS
from headwater.model.registry import IANA
from headwater.session.exporting import ExportSession, Refresh
from headwater.session.outgoing import Room
from headwater.wire.dialect import NETFLOW5, NETFLOW9
from headwater.wire.legacy import fixed_templates
from headwater.wire.netflow import read_netflow_templates
from headwater.wire.netflow_out import write_netflow_template
from tests import build as b
from tests.oracle import listen
from tests.session.exported import NOW, encoded, messages, read, send
from tests.spec.vectors import VECTORS, octets

BOOTED = NOW - 60
OCTETS_TEMPLATE = b.netflow9_template(256, (1, 4), (4, 1))


def netflow9(**options: object) -> ExportSession:
    return ExportSession("udp", dialect=NETFLOW9, booted=BOOTED, **options)  # type: ignore[arg-type]


def netflow5(**options: object) -> ExportSession:
    return ExportSession("udp", dialect=NETFLOW5, booted=BOOTED, **options)  # type: ignore[arg-type]


# --- NetFlow v9 (RFC 3954) -------------------------------------------------------------------------------------------


def test_netflow9_counts_records_of_all_kinds_numbers_packets_and_pads_flowsets() -> None:
    session = netflow9()
    template = session.template(["octetDeltaCount[4]", "protocolIdentifier"], domain=5)
    sent = send(session, template, bytes(5), bytes(5), domain=5) + send(session, template, bytes(5), domain=5)
    assert sent == [
        b.netflow9(OCTETS_TEMPLATE, source_id=5),
        b.netflow9(b.data_set(256, bytes(5), bytes(5), padding=2), count=2, sequence=1, source_id=5),
        b.netflow9(b.data_set(256, bytes(5), padding=3), count=1, sequence=2, source_id=5),
    ]
    assert len(read(*sent, transport="udp").records) == 3


def test_flowsets_of_netflow9_are_those_of_rfc_3954() -> None:
    (printed,) = octets(VECTORS["NFV9-RFC3954"])
    session = netflow9()
    flows = session.template(["sourceIPv4Address", "destinationIPv4Address", "ipNextHopIPv4Address",
                              "packetDeltaCount[4]", "octetDeltaCount[4]"])  # fmt: skip
    options = session.template(
        ["lineCardId[2]{scope}", "exportedMessageTotalCount[2]", "exportedFlowRecordTotalCount[2]"]
    )
    lines = [printed[52 + 20 * i : 72 + 20 * i] for i in range(3)]
    announced, data = send(session, flows, *lines)
    (statistics,) = send(session, options, printed[-12:-6], printed[-6:])
    assert (
        announced[20:] + data[20:] + statistics[20:]
        == printed[20:48] + printed[112:136] + printed[48:112] + printed[136:]
    )


def test_scopes_of_ipfix_become_scope_types() -> None:
    session = netflow9()
    template = session.template(["ingressInterface{scope}", "samplingInterval[4]"])
    sent = send(session, template, bytes(8))
    options = b.netflow9_options_template(256, [(2, 4)], (34, 4))
    assert sent[0][20:] == b.any_set(1, options[4:], padding=2)
    assert sent[0][2:4] == b"\0\1"
    told = read(*sent, transport="udp")
    assert [field.name for field in told.templates[0].fields] == ["v9Interface", "samplingInterval"]


def test_what_netflow9_templates_are_read_as_is_written_the_same() -> None:
    types = [1, 130, 33002, 40000, 57472 + 82, 32768 + 12235, 60000]
    body = b.template(300, *((type, 4) for type in types))
    told = listen(b.netflow9(b.any_set(0, body)))
    assert write_netflow_template(told.templates[0], IANA) == body
    (record,) = read_netflow_templates(body, options=False)
    assert [id for _, id, _ in record.specifiers] == types


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("interfaceName", "interfaceName has variable length"),
        ("reverseOctetDeltaCount", "reverseOctetDeltaCount .29305/1. has no field type in NetFlow v9.* Enterprise bit"),
        ("_32473_5[4]", "no field type in NetFlow v9"),
        ("selectorId[4]{scope}", "selectorId cannot be a scope in NetFlow v9"),
    ],
)
def test_netflow9_cannot_say_all_that_ipfix_can(spec: str, match: str) -> None:
    with pytest.raises(EncodeError, match=match):
        netflow9().template([spec, "octetDeltaCount"])


def test_fields_of_netflow5_to_8_have_no_type_in_netflow9() -> None:
    with pytest.raises(EncodeError, match=r"v7Flags1 .* has no field type"):
        netflow9().template([NETFLOW_ELEMENTS[0]])


def test_netflow9_padding_never_looks_like_a_record() -> None:
    session = netflow9()
    template = session.template(["protocolIdentifier"])
    assert session.room(template).align == 1
    assert len(read(*send(session, template, b"\6"), transport="udp").records) == 1


def test_netflow9_repeats_templates_and_counts_their_packets() -> None:
    session = netflow9(mtu=64, refresh=Refresh(messages=2))
    template = session.template(["octetDeltaCount[4]", "protocolIdentifier"])
    sent = send(session, template, *[bytes(5)] * 40)  # 8 to a packet
    assert [int.from_bytes(message[12:16], "big") for message in sent] == list(range(8))
    assert [message[20:22] for message in sent] == [b"\0\0", b"\1\0", b"\1\0"] * 2 + [b"\0\0", b"\1\0"]
    assert max(map(len, sent)) <= 64
    told = read(*sent, transport="udp")
    assert len(told.records) == 40
    assert told.session.counters[FaultKind.COUNT_MISMATCH] == 0


def test_netflow9_has_no_withdrawals() -> None:
    session = netflow9()
    template = session.template(["octetDeltaCount"])
    send(session, template, bytes(8))
    assert session.withdraw(template, now=NOW) == []
    with pytest.raises(EncodeError, match="can be used again in 1800 seconds"):
        session.template(["packetDeltaCount"], id=256)


def test_export_time_and_uptime_of_netflow9_are_of_one_whole_second() -> None:
    session = netflow9()
    template = session.template(["flowEndSysUpTime"])
    data = send(session, template, b.uint(60_300), now=NOW + 0.3)[-1]
    assert data[4:12] == b.uint(61_000) + b.uint(b.EXPORT_TIME + 1)
    session = ExportSession("udp", dialect=NETFLOW9)
    data = send(session, session.template(["flowEndSysUpTime"]), b.uint(0), now=NOW)[-1]
    assert session.booted == NOW
    assert data[4:12] == b.uint(0) + b.uint(b.EXPORT_TIME)


# --- NetFlow v5 ------------------------------------------------------------------------------------------------------


FLOWS = [b.netflow5_record("192.0.2.1", "192.0.2.2", octets=number) for number in range(100)]


def test_netflow5_has_30_records_in_a_datagram_at_most_and_counts_flows() -> None:
    session = netflow5(mtu=1500, sampling=0x4064)
    template = session.template(fixed_templates(5)[5], domain=0x0102)
    assert session.room(template) == Room(header=24, budget=1476, most=30)
    sent = send(session, template, *FLOWS[:70], domain=0x0102)
    assert sent == [
        b.netflow5(*FLOWS[:30], engine=0x0102, sampling=0x4064),
        b.netflow5(*FLOWS[30:60], engine=0x0102, sampling=0x4064, sequence=30),
        b.netflow5(*FLOWS[60:70], engine=0x0102, sampling=0x4064, sequence=60),
    ]
    told = read(*sent, transport="udp")
    assert [dict(row)["octetDeltaCount"] for row in told.rows] == list(range(70))


def test_the_vector_of_netflow5_is_written_to_the_octet() -> None:
    (printed,) = octets(VECTORS["NFV5-2"])
    session = ExportSession("udp", dialect=NETFLOW5, booted=0x52C35A80 + 0.123 - 1000, sampling=0x4064, mtu=1500)
    session.tally(0x0102).sequences[0] = 1000
    template = session.template(fixed_templates(5)[5])
    (sent,) = send(session, template, printed[24:72], printed[72:], domain=0x0102, now=0x52C35A80 + 0.123)
    assert sent[:12] == printed[:12]
    assert sent[12:16] == b.uint(123_000_000)  # times are in milliseconds
    assert sent[16:] == printed[16:]


def test_netflow5_fits_into_512_octets_too() -> None:
    session = netflow5()
    sent = send(session, session.template(fixed_templates(5)[5]), *FLOWS)
    assert [len(message) for message in sent] == [24 + 10 * 48] * 10


def test_netflow5_has_one_layout_no_options_and_no_templates_to_send() -> None:
    session = netflow5()
    template = session.template(fixed_templates(5)[5])
    with pytest.raises(EncodeError, match="NetFlow v5 has records of one layout only"):
        session.template(["octetDeltaCount"])
    with pytest.raises(EncodeError, match="NetFlow v5 has records of one layout only"):
        session.statistics(NOW)
    with pytest.raises(EncodeError, match="NetFlow v5 has no Sets"):
        session.send_records(template, [], now=NOW)
    with pytest.raises(EncodeError, match="no domain of NetFlow v5, which has 16 bits"):
        session.template(fixed_templates(5)[5], domain=1 << 16)
    send(session, template, FLOWS[0])
    assert session.refresh(NOW + 1e6) == []
    assert session.withdraw_all(now=NOW) == []
    assert messages(session.reconnected(NOW)) == []


def test_records_laid_out_for_another_protocol_are_refused() -> None:
    session, ipfix = netflow9(), ExportSession("udp")
    specs = ["octetDeltaCount"]
    made = encoded(session, session.template(specs), [bytes(8)])
    ipfix.template(specs)
    with pytest.raises(EncodeError, match="laid out for a header of 24 octets and Messages of up to 32"):
        ipfix.send(made, now=NOW)
