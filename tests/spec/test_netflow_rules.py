"""What RFC 3954 asks of a NetFlow Collector, and what exporters do in spite of it, rule by rule."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from headwater.errors import FaultKind as K
from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN
from headwater.model.types import DataType
from headwater.session import Session, SessionKey
from headwater.session.datagrams import Datagrams
from headwater.session.key import KeyPolicy, KeyRule
from tests import build as b
from tests.oracle import Account, listen
from tests.spec.hostile_netflow import EXPORT_TIME, NO_FLOW, PAIR, ROW, VALUES, template_set, v5, v9

OPTIONS = struct.Struct("!HHH")
FIRST = SessionKey("192.0.2.1", 2055)
OTHER_PORT = SessionKey("192.0.2.1", 2056)
OTHER_ADDRESS = SessionKey("192.0.2.2", 2055)
TEMPLATE = v9(template_set(PAIR))
DATA = v9(b.data_set(256, ROW), sequence=1)


def options_set(id: int, scope: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> bytes:
    """An Options Template FlowSet; lengths in octets."""
    fields = b"".join(b.field(*field) for field in (*scope, *others))
    return b.any_set(1, OPTIONS.pack(id, 4 * len(scope), 4 * len(others)) + fields)


def values(told: Account) -> list[tuple[object, ...]]:
    return [record.values for record in told.records]


def from_exporters(session: Session, *sent: tuple[SessionKey, bytes]) -> Account:
    """Account of datagrams that came from several exporters, all in one buffer."""
    ends = np.cumsum([len(payload) for _, payload in sent]).astype(np.int32)
    keys = list(dict.fromkeys(key for key, _ in sent))
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    datagrams = Datagrams(
        np.frombuffer(b"".join(payload for _, payload in sent), np.uint8),
        starts,
        ends,
        np.array([keys.index(key) for key, _ in sent], np.int32),
        keys,
        starts.astype(np.int64),
        np.zeros(len(sent), np.int64),
    )
    return Account(session).add(session.receive_datagrams(datagrams), 0)


def test_a_packet_is_decoded_by_its_lengths_whatever_its_count_says() -> None:
    for count in (0, 1, 3, 65535):
        told = listen(v9(template_set(PAIR), b.data_set(256, ROW), count=count))
        assert values(told) == [VALUES]
        assert told.kinds == {K.COUNT_MISMATCH: 1}
    assert listen(v9(template_set(PAIR), b.data_set(256, ROW), count=2)).kinds == {}


@pytest.mark.parametrize("padding", [0, 1, 2, 3, 4, 7])
def test_padding_may_be_missing_or_longer_than_a_word(padding: int) -> None:
    # §5.3: the Exporter SHOULD pad to 4 octets; some do not, some pad with more
    one = v9(template_set(PAIR), b.any_set(256, ROW + bytes(padding)), b.any_set(256, ROW), count=3)
    told = listen(one)
    assert values(told) == [VALUES] * 2
    assert told.kinds == {}


@pytest.mark.parametrize("padding", [1, 2, 3, 4, 8])
def test_a_template_flowset_may_be_padded(padding: int) -> None:
    told = listen(v9(b.any_set(0, PAIR + bytes(padding)), b.data_set(256, ROW), count=2))
    assert values(told) == [VALUES]
    assert told.session.counters["messages_malformed"] == 0


@pytest.mark.parametrize("octets", [1, 2, 3, 4, 20])
def test_zeros_after_the_last_flowset_are_no_damage(octets: int) -> None:
    told = listen(v9(template_set(PAIR), b.data_set(256, ROW), count=2) + bytes(octets))
    assert values(told) == [VALUES]
    assert told.session.counters["messages_malformed"] == 0


def test_a_new_definition_overrides_the_old_one_at_once_within_a_packet() -> None:
    # §9: a new definition for an existing Template ID replaces the old one, which MUST be discarded
    other = b.template(256, (1, 4), (8, 4))
    told = listen(
        v9(template_set(PAIR), b.data_set(256, ROW), template_set(other), b.data_set(256, ROW), count=4),
        v9(b.data_set(256, ROW), sequence=1),
    )
    assert values(told) == [VALUES] * 3  # the same octets
    assert [[name for name, _ in row] for row in told.rows] == [
        ["sourceIPv4Address", "octetDeltaCount"],
        *[["octetDeltaCount", "sourceIPv4Address"]] * 2,
    ]
    assert told.kinds == {K.TEMPLATE_REPLACED: 1}


def test_templates_are_known_by_address_and_source_id_and_not_by_port() -> None:
    # §5.1: the source address and the Source ID together tell exporters apart
    told = from_exporters(Session(), (FIRST, TEMPLATE), (OTHER_PORT, DATA), (OTHER_ADDRESS, DATA))
    assert values(told) == [VALUES]
    assert told.kinds == {K.UNKNOWN_TEMPLATE: 1}
    told = from_exporters(Session(), (FIRST, TEMPLATE), (FIRST, v9(b.data_set(256, ROW), domain=34)))
    assert values(told) == []


def test_the_port_counts_where_the_policy_says_so() -> None:
    told = from_exporters(Session(policy=KeyPolicy(KeyRule.RFC)), (FIRST, TEMPLATE), (OTHER_PORT, DATA))
    assert values(told) == []
    one = KeyPolicy(exporters={FIRST.address: KeyRule.RFC})
    for policy, found in ((one, []), (KeyPolicy(exporters={OTHER_ADDRESS.address: KeyRule.RFC}), [VALUES])):
        assert values(from_exporters(Session(policy=policy), (FIRST, TEMPLATE), (OTHER_PORT, DATA))) == found


def test_the_fault_of_an_unknown_template_says_how_it_was_looked_up_and_who_knows_it() -> None:
    (fault,) = from_exporters(Session(), (FIRST, TEMPLATE), (OTHER_ADDRESS, DATA)).faults
    assert fault.key == OTHER_ADDRESS
    assert "192.0.2.2 (address without port)" in fault.detail
    ipfix = b.message(b.template_set(PAIR)), b.message(b.data_set(256, ROW))
    (fault,) = from_exporters(Session(), (FIRST, ipfix[0]), (OTHER_PORT, ipfix[1])).faults
    assert "192.0.2.1:2056 (address and port)" in fault.detail
    assert "192.0.2.1:2055 has one" in fault.detail


def test_sequence_numbers_count_packets() -> None:
    # §5.1: the sequence number counts Export Packets, not records as in IPFIX
    rows = b.data_set(256, ROW, ROW, ROW)
    told = listen(
        v9(template_set(PAIR), rows, count=4, sequence=10),
        v9(rows, count=3, sequence=11),
        v9(rows, count=3, sequence=14),
    )
    assert [(gap.expected, gap.got, gap.lost, gap.unit) for gap in told.gaps] == [(12, 14, 2, "messages")]
    (ledger,) = told.session.ledger.values()
    assert (ledger.expected, ledger.lost, ledger.unit, ledger.records) == (15, 2, "messages", 9)


def test_sequence_numbers_of_v5_count_flows() -> None:
    told = listen(
        v5(bytes(96), count=2, sequence=5), v5(bytes(48), count=1, sequence=7), v5(bytes(48), count=1, sequence=20)
    )
    assert [(gap.expected, gap.got, gap.lost, gap.unit) for gap in told.gaps] == [(8, 20, 12, "records")]
    assert values(told) == [NO_FLOW] * 4


def test_when_the_uptime_starts_again_templates_are_forgotten() -> None:
    # §9: an exporter that has restarted may give its Template IDs to other Templates
    packets = [
        struct.pack("!HHIIII", 9, 1, uptime, EXPORT_TIME + second, sequence, 33) + body
        for uptime, second, sequence, body in (
            (1_000_000, 0, 100, template_set(PAIR)),
            (1_010_000, 10, 101, b.data_set(256, ROW)),
            (5_000, 20, 0, b.data_set(256, ROW)),
            (6_000, 21, 1, template_set(PAIR)),
            (7_000, 22, 2, b.data_set(256, ROW)),
        )
    ]
    told = listen(*packets)
    assert told.kinds[K.EXPORTER_RESTART] == 1
    assert told.kinds[K.UNKNOWN_TEMPLATE] == 1
    assert told.session.counters["held_replayed"] == 1
    assert values(told) == [VALUES] * 3


def test_a_scope_without_octets_is_the_whole_exporter() -> None:
    told = listen(v9(options_set(257, ((1, 0),), ((34, 4),)), b.data_set(257, b.uint(100)), count=2))
    (template,) = told.templates
    assert template.scope_count == 1
    assert [(f.element.key, f.length) for f in template.fields] == [((NETFLOW_SCOPE_PEN, 1), 0), ((0, 34), 4)]
    assert values(told)[0][-1] == 100
    assert told.session.counters["messages_malformed"] == 0


def test_options_without_a_scope_are_options_all_the_same() -> None:
    told = listen(v9(options_set(257, (), ((34, 4), (35, 1))), b.data_set(257, b.uint(100) + b"\2"), count=2))
    (template,) = told.templates
    assert template.scope_count == 1
    assert values(told)[0][1:] == (100, 2)


def test_types_above_32767_are_types_and_no_enterprise_number_follows() -> None:
    template = b.template(256, (8, 4), (33000, 12), (33333, 4), (45000, 4), (57590, 2), (4, 1))
    row = ROW[:4] + bytes(12) + b"abcd" + bytes(4) + b"\0\7" + b"\6"
    told = listen(v9(b.any_set(0, template), b.data_set(256, row), count=2))
    fields = told.templates[0].fields
    # 45000 = 32768 + 12232 is Cisco's, 57590 = 57472 + 118 ntop's: elements of IPFIX in disguise
    ours = [(NETFLOW_PEN, 33000), (NETFLOW_PEN, 33333), (9, 12232), (35632, 118)]
    assert [field.element.key for field in fields] == [(0, 8), *ours, (0, 4)]
    assert fields[2].element.name == "_v9_33333"
    (found,) = values(told)
    assert found[:3] == (VALUES[0], bytes(12), b"abcd")
    assert found[-1] == 6


@pytest.mark.parametrize(
    ("octets", "type"), [(1, DataType.UNSIGNED8), (2, DataType.UNSIGNED16), (4, DataType.UNSIGNED32)]
)
def test_an_integer_longer_than_ipfix_has_it_is_an_integer(octets: int, type: DataType) -> None:
    # §8 has one octet for FLOW_SAMPLER_ID, and N for others; exporters send 2 and 4
    told = listen(
        v9(template_set(b.template(256, (48, octets), (4, 1))), b.data_set(256, b.uint(7, octets) + b"\6"), count=2)
    )
    assert values(told) == [(7, 6)]
    assert told.templates[0].fields[0].type is type
    assert told.kinds == {}


def test_flowsets_2_to_255_are_reserved() -> None:
    told = listen(v9(template_set(PAIR), b.any_set(2, ROW), b.any_set(255, ROW), b.data_set(256, ROW), count=2))
    assert told.kinds == {K.RESERVED_SET: 2}
    assert values(told) == [VALUES]


def test_netflow_over_a_stream_is_no_netflow() -> None:
    told = listen(TEMPLATE, transport="tcp").close()
    assert told.templates == []
    assert told.kinds == {K.FRAMING_LOST: 1}
