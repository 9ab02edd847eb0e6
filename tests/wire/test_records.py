"""One record at a time: offsets, values, lists and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default

import pytest

from headwater.errors import DecodeError, FaultKind
from headwater.model.registry import IANA, Registry
from headwater.model.template import VARIABLE, Field, Template
from headwater.wire.lists import BasicList, SubTemplateList, SubTemplateMultiList
from headwater.wire.records import Cell, Reader
from tests import build as b


@dataclass
class Known:
    """A scope of a few templates."""

    templates: dict[int, Template] = default(default_factory=dict)
    registry: Registry = default(default_factory=lambda: IANA)

    def template(self, id: int) -> Template | None:
        return self.templates.get(id)


PORTS = Template.of(300, "sourceTransportPort", "destinationTransportPort")
NAMES = Template.of(301, "interfaceName", "ingressInterface")
EMPTY = Template.of(302, "paddingOctets[0]")
SCOPE = Known({300: PORTS, 301: NAMES, 302: EMPTY})


def reader(octets: bytes, *, depth: int = 16, elements: int = 1 << 20, salvage: bool = False) -> Reader:
    return Reader(octets, SCOPE, depth=depth, elements=elements, salvage=salvage)


def read(octets: bytes, *specs: str | Field, salvage: bool = False) -> tuple[list[tuple[Cell, ...]], Reader]:
    found = reader(octets, salvage=salvage)
    return list(found.records(Template.of(256, *specs), 0, len(octets))), found


def one(
    octets: bytes, spec: str, *, depth: int = 16, elements: int = 1 << 20, salvage: bool = False
) -> tuple[Cell, Reader]:
    """The only field of the only record, a variable-length one with the content `octets`."""
    found = reader(b.var(octets, long=True), depth=depth, elements=elements, salvage=salvage)
    ((cell,),) = found.records(Template.of(256, spec), 0, len(octets) + 3)
    return cell, found


def test_cells_tell_where_each_field_is() -> None:
    octets = b.uint(5) + b.var(b"eth0") + b.uint(7, 2) + b.var(b"x", long=True)
    ((a, name, port, other),), _ = read(
        octets, "ingressInterface", "interfaceName", "sourceTransportPort", "interfaceDescription"
    )
    assert [(c.at, c.prefix, c.length, c.value) for c in (a, name, port, other)] == [
        (0, 0, 4, 5),
        (4, 1, 4, "eth0"),
        (9, 0, 2, 7),
        (11, 3, 1, "x"),
    ]


def test_what_is_shorter_than_any_record_is_padding() -> None:
    found, _ = read(b.var(b"") + b.uint(1) + bytes(4), "interfaceName", "ingressInterface")
    assert len(found) == 1


@pytest.mark.parametrize("octets", [b"\x05abcd", b"\xff\x00", b"\xff\x00\x05abcd", b"\xff"])
def test_a_length_that_points_outside_is_an_overrun(octets: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        read(octets, "interfaceName")
    assert (caught.value.kind, caught.value.offset) == (FaultKind.VARLEN_OVERRUN, 0)


def test_records_without_octets_are_no_records() -> None:
    assert read(b"abcd", "paddingOctets[0]") == ([], reader(b"abcd"))


def test_a_field_of_no_octets_has_no_value_unless_it_is_text() -> None:
    ((address, text, octets, port),), found = read(
        b.uint(9, 2), Field(IANA.get(0, 8), 0), "interfaceName[0]", "paddingOctets[0]", "sourceTransportPort"
    )
    assert [c.value for c in (address, text, octets, port)] == [None, "", b"", 9]
    assert found.faults == []


def test_a_type_that_has_a_size_is_octets_when_sent_with_another() -> None:
    ((cell,),), _ = read(b.var(b.uint(9)), Field(IANA.get(0, 10), VARIABLE))
    assert cell.value == b.uint(9)


def test_bad_values_are_null_and_told_with_their_offset() -> None:
    octets = b.var(b"\xff") + b"\3"
    ((text, flag),), found = read(octets, "interfaceName", "dataRecordsReliability")
    assert (text.value, text.fault, flag.value, flag.fault) == (None, FaultKind.UTF8, None, FaultKind.BOOLEAN)
    assert [(f.kind, f.at, f.field.name) for f in found.faults] == [
        (FaultKind.UTF8, 1, "interfaceName"),
        (FaultKind.BOOLEAN, 2, "dataRecordsReliability"),
    ]


def test_a_record_that_is_torn_tells_nothing_of_its_values() -> None:
    found = reader(b.var(b"\xff") + b.uint(1, 2))
    with pytest.raises(DecodeError):
        found.record(NAMES, 0, 4)
    assert found.faults == []


# --- lists (RFC 6313) ------------------------------------------------------------------------------------------------


def test_a_basic_list_has_one_element_and_its_values() -> None:
    cell, _ = one(b.basic_list((7, 2), b.uint(80, 2), b.uint(443, 2), semantic=b.ORDERED), "basicList")
    assert isinstance(cell.value, BasicList)
    assert (cell.value.semantic, cell.value.field.name, cell.value.items) == (4, "sourceTransportPort", (80, 443))
    assert cell.value.plain() == [80, 443]


def test_a_basic_list_of_variable_length_enterprise_elements() -> None:
    cell, _ = one(b.basic_list((5, b.VARIABLE, b.DOCUMENTATION_PEN), b.var(b"a"), b.var(b"bc")), "basicList")
    assert cell.value.field.element.key == (b.DOCUMENTATION_PEN, 5)
    assert cell.value.items == (b"a", b"bc")


def test_a_sub_template_list_has_records() -> None:
    cell, _ = one(b.sub_template_list(300, b.uint(1, 2) + b.uint(2, 2), b.uint(3, 2) + b.uint(4, 2)), "subTemplateList")
    assert isinstance(cell.value, SubTemplateList)
    assert cell.value.plain() == [
        {"sourceTransportPort": 1, "destinationTransportPort": 2},
        {"sourceTransportPort": 3, "destinationTransportPort": 4},
    ]


def test_a_multi_list_has_groups_in_order_and_merges_them_by_template() -> None:
    ports = b.uint(1, 2) + b.uint(2, 2)
    name = b.var(b"eth0") + b.uint(9)
    cell, _ = one(
        b.sub_template_multi_list(b.group(300, ports), b.group(301, name), b.group(300)), "subTemplateMultiList"
    )
    assert isinstance(cell.value, SubTemplateMultiList)
    assert [(id, len(items)) for id, _, items in cell.value.groups] == [(300, 1), (301, 1), (300, 0)]
    assert cell.value.plain() == {
        300: [{"sourceTransportPort": 1, "destinationTransportPort": 2}],
        301: [{"interfaceName": "eth0", "ingressInterface": 9}],
    }


@pytest.mark.parametrize(
    ("spec", "octets"),
    [
        ("basicList", b.basic_list((7, 2))),
        ("basicList", b.basic_list((7, 2, b.DOCUMENTATION_PEN))),
        ("basicList", b.basic_list((7, 0))),
        ("subTemplateList", b.sub_template_list(300)),
        ("subTemplateList", b.sub_template_list(302)),
        ("subTemplateMultiList", b.sub_template_multi_list()),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(300))),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(300, length=0))),
    ],
)
def test_lists_without_items_are_lists(spec: str, octets: bytes) -> None:
    cell, found = one(octets, spec)
    assert cell.fault is None
    assert found.faults == []
    assert not any(cell.value.plain() if isinstance(cell.value.plain(), list) else cell.value.plain().values())


@pytest.mark.parametrize(
    ("spec", "octets", "kind"),
    [
        ("basicList", b"", FaultKind.BAD_LIST),
        ("basicList", b"\3\0\x0e\0", FaultKind.BAD_LIST),
        ("basicList", b"\3\x80\x0e\0\2\0\0\0", FaultKind.BAD_LIST),
        ("basicList", b.basic_list((7, 0), b"a"), FaultKind.BAD_LIST),
        ("subTemplateList", b"\3\1", FaultKind.BAD_LIST),
        ("subTemplateList", b.sub_template_list(399), FaultKind.LIST_TEMPLATE),
        ("subTemplateList", b.sub_template_list(302, b"a"), FaultKind.BAD_LIST),
        ("subTemplateMultiList", b"", FaultKind.BAD_LIST),
        ("subTemplateMultiList", b.sub_template_multi_list(b"\1\x2c\0"), FaultKind.BAD_LIST),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(300, length=3)), FaultKind.BAD_LIST),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(300, length=5)), FaultKind.BAD_LIST),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(300, length=0), b.group(300)), FaultKind.BAD_LIST),
        ("subTemplateMultiList", b.sub_template_multi_list(b.group(399)), FaultKind.LIST_TEMPLATE),
    ],
)
@pytest.mark.parametrize("salvage", [False, True])
def test_malformed_lists_are_null_in_both_modes(spec: str, octets: bytes, kind: FaultKind, salvage: bool) -> None:
    cell, found = one(octets, spec, salvage=salvage)
    assert (cell.value, cell.fault) == (None, kind)
    assert [fault.kind for fault in found.faults] == [kind]


def test_salvage_keeps_the_whole_items_of_a_list_that_is_cut_short() -> None:
    for octets, kept in [
        (b.basic_list((7, 2), b.uint(80, 2), b"\1"), (80,)),
        (b.basic_list((82, b.VARIABLE), b.var(b"eth0"), b"\5ab"), ("eth0",)),
        (b.basic_list((82, b.VARIABLE), b"\5ab"), ()),
    ]:
        cell, found = one(octets, "basicList")
        assert (cell.value, cell.fault) == (None, FaultKind.BAD_LIST)
        cell, found = one(octets, "basicList", salvage=True)
        assert cell.value.items == kept
        assert [fault.kind for fault in found.faults] == [FaultKind.BAD_LIST]


def test_faults_inside_a_list_are_told_unless_the_list_is_malformed_as_a_whole() -> None:
    bad = b.var(b"\xff") + b.uint(1)
    _, found = one(b.sub_template_list(301, bad, bad), "subTemplateList")
    assert [fault.kind for fault in found.faults] == [FaultKind.UTF8, FaultKind.UTF8]
    _, found = one(b.sub_template_list(301, bad, b"\7"), "subTemplateList")
    assert [fault.kind for fault in found.faults] == [FaultKind.BAD_LIST]


def test_lists_deeper_than_the_limit_are_null_where_it_is_reached() -> None:
    octets = b.basic_list((4, 1), b"\6")
    for _ in range(2):
        octets = b.basic_list((291, b.VARIABLE), b.var(octets))
    assert one(octets, "basicList", depth=3)[0].value.plain() == [[[6]]]
    cell, found = one(octets, "basicList", depth=2)
    assert cell.value.plain() == [[None]]
    assert [fault.kind for fault in found.faults] == [FaultKind.DEPTH_LIMIT]


def test_lists_with_more_items_than_the_limit_are_null() -> None:
    octets = b.basic_list((4, 1), b"\6" * 5)
    assert one(octets, "basicList", elements=5)[0].value.items == (6,) * 5
    cell, _ = one(octets, "basicList", elements=4)
    assert (cell.value, cell.fault) == (None, FaultKind.ELEMENT_LIMIT)
