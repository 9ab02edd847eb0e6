"""Selections: one schema over all templates, provenance beside it."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder
from headwater.errors import UnknownElement
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.types import DataType
from headwater.session import DataSets, Session, SessionKey
from tests import build
from tests.batch.maker import Maker
from tests.batch.source import batches, data_sets, field, kinds, message, one

V4 = "sourceIPv4Address", "octetDeltaCount", "interfaceName"


def test_a_selection_has_the_same_schema_over_all_templates() -> None:
    names = ["sourceIPv4Address", "sourceIPv6Address", "octetDeltaCount", "observationDomainId"]
    found = batches(*build.mixed_flows(200), decoder=Decoder(names))
    assert len(found) == 3
    assert {batch.schema for batch in found} == {found[0].schema}
    assert all(tuple(batch.columns) == tuple(names) for batch in found)
    flows, flows6, options = (list(batch.tuples()) for batch in found)
    assert all(row[0] is not None and row[1] is None for row in flows)
    assert all(row[0] is None and row[1] is not None for row in flows6)
    assert {row[:3] for row in options} == {(None, None, None)}
    dtypes = [[np.asarray(values).dtype for values in batch.columns.values()] for batch in found]
    assert dtypes[0] == dtypes[1] == dtypes[2] == [np.dtype(t) for t in ("u4", "V16", "u8", "u4")]


def test_the_schema_is_known_before_any_data() -> None:
    decoder = Decoder(["octetDeltaCount", "interfaceName"], provenance=["exportTime"])
    batch = one(message([field("octetDeltaCount")], bytes(8)), decoder=decoder)
    assert decoder.schema == batch.schema
    assert Decoder().schema is None


def test_order_is_that_of_the_selection_and_repeats_are_one() -> None:
    decoder = Decoder(["octetDeltaCount", "sourceIPv4Address", "octetDeltaCount", "0/1"])
    batch = one(message([field(name) for name in V4], bytes(12) + build.var(b"a")), decoder=decoder)
    assert tuple(batch.columns) == ("octetDeltaCount", "sourceIPv4Address")


def test_a_missing_column_of_any_type_is_null() -> None:
    types = {element.type: element.name for element in registries.IANA if element.type is not DataType.SIGNED8}
    batch = one(message([field("paddingOctets")], build.var(b"")), decoder=Decoder(types.values()))
    types.pop(DataType.OCTET_ARRAY)
    row = next(batch.rows())
    assert [row[name] for name in types.values()] == [None] * len(types)
    assert batch.faults == ()


def test_a_repeated_element_is_selected_by_number() -> None:
    fields = [field("selectorId", 1), field("protocolIdentifier"), field("selectorId", 2)]
    decoder = Decoder(["selectorId#2", "selectorId#3", "selectorId"])
    batch = one(message(fields, b"\x01\x06\x00\x02"), decoder=decoder)
    assert list(batch.rows()) == [{"selectorId#2": 2, "selectorId#3": None, "selectorId": 1}]


@pytest.mark.parametrize("name", ["_32473_7", "32473/7"])
def test_unknown_elements_are_selected_by_number(name: str) -> None:
    batch = one(message([(7, 2, 32473), (1, 8)], b"ab" + bytes(8)), decoder=Decoder([name]))
    assert list(batch.rows()) == [{"_32473_7": b"ab"}]


def test_reverse_elements_are_selected_by_name() -> None:
    batch = one(message([(1, 4, 29305)], build.uint(7)), decoder=Decoder(["reverseOctetDeltaCount"]))
    assert list(batch.rows()) == [{"reverseOctetDeltaCount": 7}]


def test_elements_of_the_users_registry_are_selected_by_name() -> None:
    own = registries.IANA.extend([InformationElement(32473, 7, "myCounter", DataType.UNSIGNED64)])
    decoder = Decoder(["myCounter"], registry=own)
    # the session does not know the element, the decoder does
    batch = one(message([(7, 2, 32473)], build.uint(258, 2)), decoder=decoder)
    assert list(batch.rows()) == [{"myCounter": 258}]


def test_a_name_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownElement) as caught:
        Decoder(["octetDeltacount"])
    assert caught.value.suggestions == ("octetDeltaCount",)


def test_a_provenance_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownElement) as caught:
        Decoder(provenance=["exporttime"])
    assert "exportTime" in caught.value.suggestions


def test_a_field_of_illegal_length_is_null_in_a_selection() -> None:
    fields = [field("sourceIPv4Address", 3), field("protocolIdentifier")]
    batch = one(message(fields, b"abc\x06"), decoder=Decoder(["sourceIPv4Address", "protocolIdentifier"]))
    assert list(batch.tuples()) == [(None, 6)]
    assert batch.columns["sourceIPv4Address"].dtype == np.uint32  # type: ignore[union-attr]


def test_only_selected_columns_have_faults() -> None:
    fields = [field("interfaceName"), field("protocolIdentifier")]
    octets = message(fields, build.var(b"\xff") + b"\x06")
    assert one(octets).faults
    assert one(octets, decoder=Decoder(["protocolIdentifier"])).faults == ()


def test_the_facts_of_messages_can_be_columns() -> None:
    head = build.template_set(build.template(256, field("protocolIdentifier")))
    first = build.message(head, build.data_set(256, b"\x06", b"\x11"), domain=1, sequence=5, export_time=100)
    second = build.message(build.data_set(256, b"\x01"), domain=1, sequence=7, export_time=200)
    names = ["observationDomainId", "templateId", "exportTime", "sequence"]
    batch = one(first, second, decoder=Decoder(provenance=names))
    assert list(batch.tuples()) == [(6, 1, 256, 100, 5), (17, 1, 256, 100, 5), (1, 1, 256, 200, 7)]
    assert [column.type.label for column in batch.schema][1:] == [
        "unsigned32", "unsigned16", "dateTimeSeconds", "unsigned32",
    ]  # fmt: skip
    assert batch.columns["exportTime"].dtype == np.dtype("M8[s]")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, (None, None, None)),
        (SessionKey("192.0.2.1", 5000), (0xC0000201, None, 5000)),
        (SessionKey("2001:db8::1", 6), (None, build.ipv6("2001:db8::1"), 6)),
        (SessionKey("::ffff:192.0.2.1", 7), (0xC0000201, None, 7)),
        (SessionKey("fe80::1%eth0", 8), (None, build.ipv6("fe80::1"), 8)),
        (SessionKey("a file name", 0), (None, None, 0)),
    ],
)
def test_the_exporter_can_be_columns(key: Any, expected: tuple[Any, ...]) -> None:
    names = ["exporterIPv4Address", "exporterIPv6Address", "exporterTransportPort"]
    batch = one(message([field("protocolIdentifier")], b"\x06"), decoder=Decoder(provenance=names), key=key)
    assert list(batch.tuples()) == [(6, *expected)]


def test_the_collection_time_is_when_the_octets_were_received() -> None:
    octets = message([field("protocolIdentifier")], b"\x06")
    decoder = Decoder(provenance=["collectionTimeMilliseconds"])
    assert list(one(octets, decoder=decoder).tuples()) == [(6, None)]
    events = Session(transport="udp").receive(octets, now=1_700_000_000.5)
    (sets,) = [event for event in events if isinstance(event, DataSets)]
    assert list(decoder.decode(sets).tuples()) == [(6, 1_700_000_000_500)]


def test_provenance_gives_way_to_fields_of_the_same_name() -> None:
    fields = [field("observationDomainId"), field("exportedMessageTotalCount")]
    octets = message(fields, build.uint(42) + bytes(8), domain=7)
    batch = one(octets, decoder=Decoder(provenance=["observationDomainId"]))
    assert list(batch.rows()) == [
        {"observationDomainId": 42, "exportedMessageTotalCount": 0, "observationDomainId#2": 7}
    ]


def test_a_selected_field_wins_over_the_fact_of_the_same_name() -> None:
    decoder = Decoder(["observationDomainId", "exportTime"])
    own = one(message([field("observationDomainId")], build.uint(42), domain=7), decoder=decoder)
    other = one(message([field("protocolIdentifier")], b"\x06", domain=7, export_time=9), decoder=decoder)
    assert [list(batch.tuples()) for batch in (own, other)] == [[(42, build.EXPORT_TIME)], [(7, 9)]]


def test_selecting_nothing_keeps_the_number_of_records() -> None:
    batch = one(message([field("protocolIdentifier")], b"\x06", b"\x07"), decoder=Decoder([]))
    assert (len(batch), list(batch.tuples()), list(batch.rows())) == (2, [(), ()], [{}, {}])


@settings(max_examples=60)
@given(st.integers(0, 2**63))
def test_a_selection_is_the_full_batch_restricted(seed: int) -> None:
    pick = random.Random(seed)
    for sets in data_sets(Maker(pick).octets()):
        whole = Decoder().decode(sets)
        legal = [c.name for c in whole.schema if c.element is None or c.type is c.element.type]
        names = pick.sample(legal, pick.randrange(1, len(legal) + 1))
        part = Decoder(names).decode(sets)
        assert tuple(part.columns) == tuple(names)
        expected = [{name: row[name] for name in names} for row in whole.rows(lists="full")]
        assert repr(list(part.rows(lists="full"))) == repr(expected)
        assert Counter(kinds(part)) <= Counter(kinds(whole))
