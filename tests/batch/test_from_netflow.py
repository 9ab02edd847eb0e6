"""NetFlow as what IPFIX can say (RFC 5655 Appendix B.2), and what of it could not be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headwater.batch import Batch, Decoder
from headwater.batch.encode import Encoder
from headwater.batch.from_netflow import from_netflow
from headwater.batch.to_netflow import Converted, NetflowReport
from headwater.errors import EncodeError
from headwater.model.element import InformationElement
from headwater.model.types import DataType
from headwater.session import TemplateLearned
from headwater.session.exporting import ExportSession
from headwater.session.message_builder import MessageBuilder
from headwater.session.outgoing import Encoded
from tests import build as b
from tests.batch.made import Made, data_sets
from tests.oracle import listen
from tests.spec.vectors import VECTORS, octets

NOW = b.EXPORT_TIME
UPTIME_MS = 520_000
TIMES = ("flowStart", "flowEnd")


def read(*messages: bytes, **options: Any) -> Batch:
    """The only batch of these datagrams."""
    (sets,) = listen(*messages).sets
    return Decoder(**options).decode(sets)


def netflow9(*fields: tuple[int, int], records: tuple[bytes, ...], **options: Any) -> bytes:
    body = b.any_set(0, b.template(256, *fields))
    return b.netflow9(body, b.data_set(256, *records), uptime_ms=UPTIME_MS, **options)


def options9(scope: list[tuple[int, int]], *fields: tuple[int, int], records: tuple[bytes, ...]) -> bytes:
    template = b.netflow9_options_template(256, scope, *fields)
    return b.netflow9(template, b.data_set(256, *records), source_id=7)


def encoded(parts: list[Converted], session: ExportSession, domain: int = 0) -> Iterator[Encoded]:
    for part in parts:
        template = session.template(part.template, domain)
        yield Encoder().encode(template, part.columns, part.count, session.room(template, domain))


def ipfix(parts: list[Converted]) -> list[dict[str, Any]]:
    """What a collector of IPFIX reads of the parts."""
    session = ExportSession("tcp")
    sent = [bytes(o) for one in encoded(parts, session) for o in session.send(one, now=NOW)]
    told = listen(*sent, transport="tcp")
    assert (told.faults, told.gaps) == ([], [])
    return [row for sets in told.sets for row in Decoder().decode(sets).rows()]


def test_the_vector_of_rfc_5655_becomes_the_message_that_is_printed() -> None:
    vector = VECTORS["NFV9-TO-IPFIX"]
    given, wanted = octets(vector)
    told = listen(given)
    (learned,) = [item for item in told.items if isinstance(item, TemplateLearned)]
    (sets,) = told.sets
    batch = Decoder().decode(sets)
    (part,) = from_netflow(batch)
    session = ExportSession("tcp")
    tally = session.tally(batch.domain or 0)
    tally.sequences[0] = vector["expect"]["records_before"]
    builder = MessageBuilder(tally=session.tally)
    builder.begin(batch.domain or 0, export_time=int(sets.messages.export_time[0]))
    template = session.template(part.template, batch.domain or 0, id=learned.template.id)
    builder.template(template)
    records = Encoder().encode(template, part.columns, part.count, session.room(template))
    builder.new_set(template.id)
    stride = template.min_length
    for at in range(records.room.header, len(records.buffer), stride):
        builder.add(records.buffer[at : at + stride].tobytes())
    assert builder.flush() == wanted


def test_uptimes_become_times() -> None:
    record = b.ipv4("192.0.2.1") + b.uint(500_000) + b.uint(515_000)
    report = NetflowReport()
    batch = read(netflow9((8, 4), (22, 4), (21, 4), records=(record,)), derived=TIMES)
    (row,) = ipfix(from_netflow(batch, report=report))
    assert row == {
        "sourceIPv4Address": "192.0.2.1",
        "flowStartMilliseconds": NOW * 1000 - 20_000,
        "flowEndMilliseconds": NOW * 1000 - 5_000,
    }
    assert report.is_lossless
    with pytest.raises(EncodeError, match="read it with derived"):
        from_netflow(read(netflow9((8, 4), (22, 4), (21, 4), records=(record,))))


def test_uptimes_can_stay_with_the_time_of_the_boot() -> None:
    octets9 = netflow9((22, 4), (21, 4), records=(b.uint(500_000) + b.uint(515_000),))
    (row,) = ipfix(from_netflow(read(octets9, provenance=("exportTime", "sysUpTime")), times="uptime"))
    assert row == {
        "flowStartSysUpTime": 500_000,
        "flowEndSysUpTime": 515_000,
        "systemInitTimeMilliseconds": NOW * 1000 - UPTIME_MS,
    }
    with pytest.raises(EncodeError, match="provenance columns exportTime and sysUpTime"):
        from_netflow(read(octets9), times="uptime")
    with pytest.raises(EncodeError, match="times='no'"):
        from_netflow(read(octets9), times="no")  # type: ignore[arg-type]


def test_records_of_netflow5_become_flows_without_padding() -> None:
    octets5 = b.netflow5(b.netflow5_record("192.0.2.1", "198.51.100.2", octets=60), uptime_ms=UPTIME_MS)
    report = NetflowReport()
    (row,) = ipfix(from_netflow(read(octets5, derived=TIMES), report=report))
    assert (row["sourceIPv4Address"], row["octetDeltaCount"]) == ("192.0.2.1", 60)
    assert len(row) == 18
    assert report.is_lossless


@pytest.mark.parametrize(
    ("scope", "name", "value"),
    [(1, "observationDomainId", 7), (2, "ingressInterface", 5), (3, "lineCardId", 5), (4, "meteringProcessId", 5),
     (5, "templateId", 5)],
)  # fmt: skip
def test_scope_types_become_elements(scope: int, name: str, value: int) -> None:
    batch = read(options9([(scope, 4)], (34, 4), records=(b.uint(5) + b.uint(100),)))
    parts = from_netflow(batch)
    assert parts[0].template.scope_count == 1
    assert ipfix(parts) == [{name: value, "samplingInterval": 100}]


def test_a_scope_without_octets_is_the_whole_domain() -> None:
    report = NetflowReport()
    assert ipfix(from_netflow(read(options9([(1, 0)], (34, 4), records=(b.uint(100),))), domain=9)) == [
        {"observationDomainId": 9, "samplingInterval": 100}
    ]
    empty = read(options9([(2, 0)], (34, 4), records=(b.uint(100),)))
    assert ipfix(from_netflow(empty, report=report)) == [{"observationDomainId": 7, "samplingInterval": 100}]
    assert report.is_lossless


def test_a_scope_of_several_domains_has_to_be_given_one() -> None:
    record = b.uint(5) + b.uint(100)
    (learned,) = listen(options9([(1, 4)], (34, 4), records=(record,))).templates
    batch = Decoder().decode(data_sets(learned, Made((record,), domain=1), Made((record,), domain=2)))
    with pytest.raises(EncodeError, match="of several domains"):
        from_netflow(batch)
    assert from_netflow(batch, domain=3)[0].columns[0].tolist() == [3, 3]


def test_types_above_32767_go_on_only_as_elements_of_an_enterprise() -> None:
    report = NetflowReport()
    octets9 = netflow9((8, 4), (33002, 2), (57472 + 82, 4), (40000, 4), records=(bytes(14),))
    batch = read(octets9)
    (part,) = from_netflow(batch, report=report)
    assert [of.element.pen for of in part.template.fields] == [0, 35632]
    assert report.columns == {
        ("firewallEventExtended", "v9/33002 has no element of IPFIX; elements={…} can name one"): 1,
        ("aaaUserName", "v9/40000 has no element of IPFIX; elements={…} can name one"): 1,
    }
    own = InformationElement(32473, 1, "extendedEvent", DataType.UNSIGNED16)
    (part,) = from_netflow(batch, elements={33002: own})
    assert own in [of.element for of in part.template.fields]


def test_integers_longer_than_native_are_as_long_as_ipfix_has_them() -> None:
    report = NetflowReport()
    records = (b.uint(3) + b.uint(1), b.uint(300) + b.uint(2))
    parts = from_netflow(read(netflow9((48, 4), (1, 4), records=records)), report=report)
    assert ipfix(parts) == [{"samplerId": 3, "octetDeltaCount": 1}, {"octetDeltaCount": 2}]
    assert report.columns == {("samplerId", "more than unsigned8 holds"): 1}


def test_values_of_illegal_length_are_left_out_and_told() -> None:
    report = NetflowReport()
    parts = from_netflow(read(netflow9((8, 3), (1, 4), records=(bytes(7),))), report=report)
    assert ipfix(parts) == [{"octetDeltaCount": 0}]
    assert report.columns == {("sourceIPv4Address", "octets in a length that its type cannot have"): 1}


def test_facts_of_messages_are_no_elements() -> None:
    report = NetflowReport()
    batch = read(netflow9((1, 4), records=(b.uint(1),)), provenance=("exportTime", "sysUpTime", "sequence"))
    assert ipfix(from_netflow(batch, report=report)) == [{"octetDeltaCount": 1}]
    assert report.columns == {("sequence", "no Information Element"): 1}


def test_element_0_and_values_without_octets_are_left_out() -> None:
    report = NetflowReport()
    batch = read(netflow9((0, 4), (4, 0), (1, 4), records=(bytes(8),)))
    assert ipfix(from_netflow(batch, report=report)) == [{"octetDeltaCount": 0}]
    assert report.columns == {("_0_0", "element 0 is reserved"): 1}


def test_columns_of_a_selection_are_converted_as_well() -> None:
    batch = read(netflow9((1, 4), (4, 1), records=(b.uint(1) + b.uint(6, 1),)), select=["protocolIdentifier", "vlanId"])
    assert ipfix(from_netflow(batch)) == [{"protocolIdentifier": 6}]
