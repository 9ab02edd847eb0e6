"""Classes as Templates, their instances as records, and records as instances again."""

from __future__ import annotations

import enum
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, NamedTuple, Optional

import msgspec
import pytest

from headwater.batch.incoming import columns_of, split_nulls, template_for
from headwater.batch.mapping import fill, ie, map_class
from headwater.errors import EncodeError, UnknownElement
from headwater.model.registry import IANA
from headwater.model.template import Template
from headwater.model.types import DataType
from tests import build
from tests.batch.mapped import through_the_wire
from tests.batch.source import batches, message, one
from tests.batch.source import field as spec


class Protocol(enum.IntEnum):
    TCP = 6
    UDP = 17


@dataclass
class Flow:
    source: Annotated[IPv4Address, ie("sourceIPv4Address")]
    octet_delta_count: Annotated[int, ie(length=4)]
    protocolIdentifier: Protocol
    lasted: Annotated[timedelta, ie("flowDurationMilliseconds")] = timedelta(0)
    started: Annotated[datetime | None, ie("flowStartMilliseconds")] = None


FLOWS = [
    Flow(IPv4Address("192.0.2.1"), 1500, Protocol.TCP, timedelta(seconds=1.5), datetime(2024, 1, 2, tzinfo=UTC)),
    Flow(IPv4Address("192.0.2.2"), 60, Protocol.UDP),
]

# ---------------------------------------------------------------- classes to Templates


def test_a_class_is_a_template() -> None:
    assert map_class(Flow).template == Template.of(
        0, "sourceIPv4Address", "octetDeltaCount[4]", "protocolIdentifier", "flowDurationMilliseconds",
        "flowStartMilliseconds",
    )  # fmt: skip


class Struct(msgspec.Struct):
    octet_delta_count: int
    interface_name: str = "none"


class Named(NamedTuple):
    octet_delta_count: int
    interface_name: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    octet_delta_count: int
    interface_name: str = "none"


class Attribute:
    """What attrs tells of an attribute."""

    init = True

    def __init__(self, name: str) -> None:
        self.name, self.alias = name, name.lstrip("_")


class LikeAttrs:
    """A class with what attrs gives its classes: attributes, and arguments without their underscores."""

    _octet_delta_count: int
    interface_name: str
    __attrs_attrs__ = (Attribute("_octet_delta_count"), Attribute("interface_name"))

    def __init__(self, octet_delta_count: int, interface_name: str = "none") -> None:
        self._octet_delta_count, self.interface_name = octet_delta_count, interface_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LikeAttrs) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("cls", [Struct, Named, Frozen, LikeAttrs])
def test_classes_of_all_kinds_are_mapped(cls: Any) -> None:
    assert map_class(cls).template == Template.of(0, "octetDeltaCount", "interfaceName")
    records = [cls(octet_delta_count=1), cls(octet_delta_count=2, interface_name="eth0")]
    assert list(fill(through_the_wire(records), cls)) == records
    (batch,) = batches(message([spec("octetDeltaCount")], build.uint(7, 8)))
    assert list(fill(batch, cls)) == [cls(octet_delta_count=7)]


@dataclass
class Options:
    sampling_interval: int
    selector_id: Annotated[int, ie(scope=True)]


def test_scope_comes_first() -> None:
    assert map_class(Options).template == Template.of(0, "selectorId", "samplingInterval", scope=1)
    incoming = columns_of([Options(sampling_interval=100, selector_id=7)])
    assert (incoming.names, incoming.scope_count) == (("selectorId", "samplingInterval"), 1)
    assert [column.tolist() for column in incoming.values] == [[7], [100]]


@dataclass
class Special:
    a: Annotated[str, ie("mine(35566/1)<string>")]
    b: Annotated[int, ie("octetDeltaCount[2]")]
    c: Annotated[int, ie("reverse_octet_delta_count")]
    d: Annotated[int, ie("selectorId{scope}")]
    unmapped: int = field(default=5, init=False)


def test_ie_takes_every_form_of_a_name() -> None:
    fields = map_class(Special).template.fields
    assert [(f.element.number, f.length) for f in fields] == [("302", 8), ("35566/1", 65535), ("1", 2), ("29305/1", 8)]


@dataclass
class Mistyped:
    octet_deltacounts: int


@dataclass
class WrongLength:
    octets: Annotated[int, ie("octetDeltaCount", length=9)]


@dataclass
class NotAList:
    octet_delta_count: list[Annotated[int, ie("vlanId")]]
    basic: Annotated[list[int], ie("octetDeltaCount")]


@dataclass
class WrongList:
    items: Annotated[list[Annotated[int, ie("vlanId")]], ie("subTemplateList")]


@dataclass
class UnsaidKinds:
    items: list[int | str]


@dataclass
class AllDefault:
    vlan_id: int = 9


def test_records_without_any_column_of_a_class_are_its_defaults() -> None:
    batch = one(message([spec("octetDeltaCount")], build.uint(7, 8), build.uint(8, 8)))
    assert list(fill(batch, AllDefault)) == [AllDefault(), AllDefault()]


@dataclass
class UnsaidItems:
    sizes: list[int]


@dataclass
class Bare:
    basic_list: int


@dataclass
class Endless:
    vlan_id: int
    children: list[Endless]


@dataclass
class SameTwice:
    both: list[Options | Again]


@dataclass
class Again:
    sampling_interval: int
    selector_id: Annotated[int, ie(scope=True)]


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (WrongLength, "WrongLength.octets: unsigned64 cannot be sent in 9 octets"),
        (NotAList, "NotAList.basic: nothing says which element the items are"),
        (WrongList, "WrongList.items: subTemplateList is subTemplateList, but the annotation makes it a basicList"),
        (UnsaidKinds, "UnsaidKinds.items: nothing says which element the items are"),
        (UnsaidItems, "UnsaidItems.sizes: nothing says which element the items are"),
        (Bare, "Bare.basic_list: basicList is a basicList, so annotate a list of its items"),
        (Endless, "Endless has lists of itself"),
        (SameTwice, "SameTwice.both: several of the classes have the same Template"),
        (int, "no records can be made of int"),
    ],
)
def test_what_is_no_template_is_refused(cls: Any, why: str) -> None:
    with pytest.raises(EncodeError) as refused:
        map_class(cls)
    assert why in str(refused.value)


def test_an_unknown_name_is_refused_with_its_class() -> None:
    with pytest.raises(UnknownElement) as refused:
        map_class(Mistyped)
    assert refused.value.__notes__ == ["in field 'octet_deltacounts' of Mistyped; ie(…) says which element it is"]


def test_annotations_that_the_module_does_not_know_are_refused() -> None:
    @dataclass
    class Local:
        children: list[Nowhere]  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(EncodeError, match="annotations must be names that the module of the class knows"):
        map_class(Local)


def test_a_semantic_must_exist() -> None:
    with pytest.raises(EncodeError, match="a semantic is one of noneOf"):
        ie(semantic="someOf")


def test_a_registry_of_ones_own_gives_names() -> None:
    mine = IANA.extend([IANA.get(35566, 7).__class__(35566, 7, "colour", DataType.STRING)])

    assert map_class(Painted, mine).template.fields[0].element.number == "35566/7"
    assert columns_of([Painted("red")], registry=mine).values[0].tolist() == ["red"]


@dataclass
class Painted:
    colour: str


# ---------------------------------------------------------------- instances to records and back


def test_instances_become_columns() -> None:
    incoming = columns_of(FLOWS)
    assert [list(column.tolist()) for column in incoming.values] == [
        [0xC0000201, 0xC0000202], [1500, 60], [6, 17], [1500, 0], [datetime(2024, 1, 2), None],
    ]  # fmt: skip
    assert template_for(incoming) == map_class(Flow).template


def test_instances_with_different_values_missing_take_different_templates() -> None:
    parts = list(split_nulls(columns_of(FLOWS)))
    assert [rows.tolist() for rows, _ in parts] == [[0], [1]]
    assert parts[1][1].names[-1] == "flowDurationMilliseconds"


def test_records_become_instances_again() -> None:
    records = [
        FLOWS[0],
        Flow(IPv4Address("192.0.2.3"), 7, Protocol.UDP, timedelta(0), datetime(2024, 1, 3, tzinfo=UTC)),
    ]
    assert list(fill(through_the_wire(records), Flow)) == records


def test_instances_fit_a_template() -> None:
    template = Template.of(256, "octetDeltaCount[2]", "sourceIPv4Address")
    leave_out = ["protocolIdentifier", "lasted", "started"]
    with pytest.raises(EncodeError, match="the Template has no field 'protocolIdentifier'"):
        columns_of(FLOWS, template=template)
    incoming = columns_of(FLOWS, template=template, leave_out=leave_out)
    assert [column.tolist() for column in incoming.values] == [[1500, 60], [0xC0000201, 0xC0000202]]


def test_a_bad_value_is_refused_with_field_and_row() -> None:
    with pytest.raises(EncodeError, match="column 'octet_delta_count', row 1: -1 is no unsigned64") as refused:
        columns_of([FLOWS[0], Flow(IPv4Address("192.0.2.2"), -1, Protocol.UDP)])
    assert (refused.value.column, refused.value.row) == ("octet_delta_count", 1)


def test_instances_of_different_classes_are_refused() -> None:
    with pytest.raises(EncodeError, match="row 1 is Frozen, the ones before are Flow") as refused:
        columns_of([FLOWS[0], Frozen(octet_delta_count=1)])
    assert refused.value.row == 1


@dataclass
class Raw:
    source: Annotated[int, ie("sourceIPv4Address")]
    target: Annotated[bytes, ie("destinationIPv6Address")]
    started: Annotated[int, ie("flowStartSeconds")]


@dataclass
class Text:
    source: Annotated[str, ie("sourceIPv4Address")]
    target: Annotated[str, ie("destinationIPv6Address")]
    started: Annotated[str, ie("flowStartSeconds")]


@dataclass
class Object:
    source: Annotated[IPv4Address, ie("sourceIPv4Address")]
    target: Annotated[IPv6Address, ie("destinationIPv6Address")]
    started: Annotated[Optional[datetime], ie("flowStartSeconds")]  # noqa: UP045  # the older spelling


V6 = IPv6Address("2001:db8::1")


@pytest.mark.parametrize(
    "record",
    [
        Raw(0xC0000201, V6.packed, 86_400),
        Text("192.0.2.1", "2001:db8::1", "1970-01-02T00:00:00"),
        Object(IPv4Address("192.0.2.1"), V6, datetime(1970, 1, 2, tzinfo=UTC)),
    ],
)
def test_addresses_and_times_are_what_the_annotation_says(record: Any) -> None:
    assert list(fill(through_the_wire([record]), type(record))) == [record]


@dataclass
class Repeated:
    first: Annotated[int, ie("octetDeltaCount")]
    second: Annotated[int, ie("octetDeltaCount")]


def test_an_element_can_come_again() -> None:
    assert list(fill(through_the_wire([Repeated(1, 2)]), Repeated)) == [Repeated(1, 2)]
    incoming = columns_of([Repeated(1, 2)], template=map_class(Repeated).template)
    assert [column.tolist() for column in incoming.values] == [[1], [2]]


@dataclass
class Partial:
    octet_delta_count: int
    interface_name: str | None
    vlan_id: int = 9


def test_columns_that_are_not_there_are_defaults_or_none() -> None:
    batch = one(message([spec("octetDeltaCount"), spec("protocolIdentifier")], build.uint(7, 8) + b"\6"))
    assert list(fill(batch, Partial)) == [Partial(7, None, 9)]


def test_columns_that_are_not_there_are_refused_where_a_value_is_needed() -> None:
    batch = one(message([spec("vlanId")], b"\0\7"))
    with pytest.raises(EncodeError, match=r"Partial\.octet_delta_count: no column is octetDeltaCount") as refused:
        list(fill(batch, Partial))
    assert refused.value.column == "octet_delta_count"


@dataclass
class Sure:
    data_records_reliability: bool


@dataclass
class Unsure:
    data_records_reliability: bool | None


def test_nulls_are_none_where_the_annotation_allows_it() -> None:
    batch = one(message([spec("dataRecordsReliability")], b"\1", b"\7"))
    assert list(fill(batch, Unsure)) == [Unsure(True), Unsure(None)]
    with pytest.raises(EncodeError, match="row 1 is null, but the field cannot be None") as refused:
        list(fill(batch, Sure))
    assert refused.value.row == 1


def test_attrs_is_not_imported() -> None:
    script = "import sys, headwater.batch.mapping; sys.exit('attr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Spoken:
    interface_name: Colour
    octet_delta_count: str
    packet_delta_count: float
    ports: Annotated[tuple[Annotated[int, ie("sourceTransportPort")], ...], ie("basicList")]


def test_enums_numbers_as_text_and_tuples_come_back_as_they_were() -> None:
    records = [Spoken(Colour.RED, "1500", 2.0, (80, 443)), Spoken(Colour.RED, "60", 1.0, ())]
    filled = list(fill(through_the_wire(records), Spoken))
    assert filled == records
    assert [type(record.packet_delta_count) for record in filled] == [float, float]


def test_a_value_that_the_annotated_class_does_not_have_is_refused_with_its_row() -> None:
    flow = replace(FLOWS[0], protocolIdentifier=47)  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="protocolIdentifier: 47 in row 1 is no Protocol") as refused:
        list(fill(through_the_wire([FLOWS[0], flow]), Flow))
    assert (refused.value.column, refused.value.row) == ("protocolIdentifier", 1)


def test_an_instance_is_no_class() -> None:
    with pytest.raises(EncodeError, match="a class is mapped, and Flow"):
        map_class(FLOWS[0])
