"""Lists of values and of instances in mapped classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of, split_nulls, template_for
from headwater.batch.mapping import fill, ie, map_class
from headwater.errors import EncodeError
from headwater.model.template import Template
from tests import build
from tests.batch.again import WHOLE, read_again
from tests.batch.mapped import through_the_wire
from tests.batch.source import field as spec
from tests.batch.source import message, one


@dataclass
class Hop:
    vlan_id: int
    interface_name: str


@dataclass
class Certificate:
    interface_description: str


@dataclass
class Trace:
    octet_delta_count: int
    hops: list[Hop]
    sizes: Annotated[list[Annotated[int, ie("octetDeltaCount", length=2)]], ie(semantic="ordered")]
    mixed: list[Hop | Certificate]


HOPS = [Hop(1, "a"), Hop(2, "b")]
TRACES = [
    Trace(1, HOPS, [1, 2, 3], [HOPS[0], Certificate("x"), HOPS[1], HOPS[0]]),
    Trace(2, [], [], []),
    Trace(3, HOPS[1:], [7], [Certificate("y"), Certificate("z")]),
]


def test_lists_of_classes_are_lists_of_templates() -> None:
    assert map_class(Trace).template == Template.of(
        0, "octetDeltaCount", "subTemplateList", "basicList", "subTemplateMultiList"
    )
    incoming = columns_of(TRACES)
    assert [column.tolist() for column in incoming.values][1:3] == [
        [[{"vlanId": 1, "interfaceName": "a"}, {"vlanId": 2, "interfaceName": "b"}], [],
         [{"vlanId": 2, "interfaceName": "b"}]],
        [[1, 2, 3], [], [7]],
    ]  # fmt: skip
    assert incoming.values[2].semantics.tolist() == [4, 4, 4]  # type: ignore[union-attr]
    assert incoming.values[2].groups[0].length == 2  # type: ignore[union-attr]


def test_lists_become_instances_again() -> None:
    assert list(fill(through_the_wire(TRACES), Trace)) == TRACES


def test_lists_nest() -> None:
    records = [Tree(1, [Branch(2, [Hop(3, "a")]), Branch(4, [])]), Tree(5, [])]
    assert list(fill(through_the_wire(records), Tree)) == records


@dataclass
class Branch:
    vlan_id: int
    hops: list[Hop]


@dataclass
class Tree:
    vlan_id: int
    branches: list[Branch]


@dataclass
class Maybe:
    vlan_id: int
    hops: Annotated[list[Hop] | None, ie("subTemplateList")] = None


def test_a_list_can_be_none() -> None:
    assert list(fill(through_the_wire([Maybe(2, HOPS)]), Maybe)) == [Maybe(2, HOPS)]
    octets = build.record(b"\0\7", build.var(b"\xff\x03\xe7"))
    batch = one(message([spec("vlanId"), spec("subTemplateList")], octets))
    assert list(fill(batch, Maybe)) == [Maybe(7, None)]
    incoming = columns_of([Maybe(1), Maybe(2, HOPS)])
    assert [part.names for _, part in split_nulls(incoming)] == [("vlanId",), ("vlanId", "subTemplateList")]


@dataclass
class Communities:
    bgp_source_community_list: list[Annotated[int, ie("bgpCommunity")]]


def test_a_list_has_the_element_of_its_own_name_if_it_is_such_a_list() -> None:
    assert map_class(Communities).template == Template.of(0, "bgpSourceCommunityList")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Trace(1, [Certificate("x")], [], []), "column 'hops', row 1: Certificate"),  # type: ignore[list-item]
        (Trace(1, [], [], [7]), "is of none of the classes Hop, Certificate"),  # type: ignore[list-item]
        (Trace(1, 7, [], []), "column 'hops', row 1: "),  # type: ignore[arg-type]
        (Trace(1, [Hop(65536, "a")], [], []), "column 'hops.vlanId', row 1: 65536 is no unsigned16"),
        (Trace(1, [], [-1], []), "column 'sizes.octetDeltaCount', row 1: -1 is no unsigned64"),
    ],
)
def test_what_cannot_be_in_a_list_is_refused_with_its_row(record: Trace, why: str) -> None:
    with pytest.raises(EncodeError) as refused:
        columns_of([TRACES[0], record])
    assert why in str(refused.value)
    assert refused.value.row == 1


def test_records_of_a_template_with_more_fields_fill_the_class_that_needs_fewer() -> None:
    given = {"octetDeltaCount": [1], "basicList": [[7]], "subTemplateMultiList": [{}]}
    hops = [[{"vlanId": 1, "interfaceName": "a", "protocolIdentifier": 6}]]
    incoming = columns_of(given | {"subTemplateList": hops}, contents={"basicList": "octetDeltaCount[2]"})
    template = template_for(incoming, 299)
    encoded = Encoder().encode(template, incoming.values, 1, WHOLE, lambda inner: Template(300, inner.fields))
    batch = read_again(encoded, Template.of(300, "vlanId", "interfaceName", "protocolIdentifier"))
    assert list(fill(batch, Trace)) == [Trace(1, [Hop(1, "a")], [7], [])]


@dataclass
class Vlans:
    sizes: list[Annotated[int, ie("vlanId")]]


@dataclass
class Certificates:
    hops: list[Certificate]


def test_lists_of_something_else_are_refused() -> None:
    batch = through_the_wire(TRACES)
    with pytest.raises(EncodeError, match="sizes: a list of octetDeltaCount, but the annotation wants other items"):
        list(fill(batch, Vlans))
    with pytest.raises(EncodeError, match="hops: none of its classes is a list of vlanId, interfaceName"):
        list(fill(batch, Certificates))


def test_many_records_are_filled_a_part_at_a_time() -> None:
    records = TRACES * 1500
    assert list(fill(through_the_wire(records), Trace)) == records
