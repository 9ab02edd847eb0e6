"""Structured data from columns: every kind, nested, with several kinds of content, empty, null and too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headwater.batch import ListGroup, Lists, MultiLists, Structs, incoming
from headwater.batch.encode import Encoder
from headwater.batch.lists import Values
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import Strings
from headwater.batch.subset import subset
from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.model.template import VARIABLE, Template
from headwater.model.types import DataType
from headwater.session.outgoing import Encoded
from tests import build
from tests.batch.again import HEADER, WHOLE, columns_of, read_again
from tests.batch.source import field, message, one

PORTS = field("sourceTransportPort")
TCP, DNS = Template.of(300, "tcpSequenceNumber", "tcpControlBits"), Template.of(301, "interfaceName", "dot1qVlanId")
BASIC, LIST, MULTI = (Template.of(256, name) for name in ("basicList", "subTemplateList", "subTemplateMultiList"))


def encoded(template: Template, column: Values, **options: Any) -> Encoded:
    inner = options.pop("inner", None)
    return Encoder(**options).encode(template, [column], len(column), WHOLE, inner)


def octets(template: Template, column: Values, **options: Any) -> bytes:
    """The octets of records with one list."""
    return encoded(template, column, **options).buffer[HEADER:].tobytes()


def ports(*rows: Sequence[int], semantic: int = build.ALL_OF, length: int = 2) -> Lists:
    """Lists of ports."""
    return basic("sourceTransportPort", np.array([port for row in rows for port in row], "u2"), rows, length, semantic)


def basic(name: str, items: Values, rows: Sequence[Sequence[Any]], length: int, semantic: int = build.ALL_OF) -> Lists:
    element = registries.IANA.named(name)
    group = ListGroup(element, element.type, offsets(rows), items, length)
    return Lists(DataType.BASIC_LIST, (group,), None, np.full(len(rows), semantic, np.uint8))


def offsets(rows: Sequence[Sequence[Any]]) -> Any:
    return np.cumsum([0, *map(len, rows)]).astype(np.int32)


def structs(template: Template, *columns: Values) -> Structs:
    names = zip(template.column_names, template.fields, strict=True)
    schema = Schema(tuple(Column(name, of.type, of.element, of.length) for name, of in names))
    return Structs(schema, columns, len(columns[0]))


def text(*values: str) -> Strings:
    data = [value.encode() for value in values]
    return Strings(np.cumsum([0, *map(len, data)]).astype(np.int32), np.frombuffer(b"".join(data), np.uint8))


def tcp(*numbers: int) -> Structs:
    return structs(TCP, np.array(numbers, "u4"), np.array([7] * len(numbers), "u2"))


def tcp_record(number: int) -> bytes:
    return build.record(build.uint(number), build.uint(7, 2))


def dns(*names: str) -> Structs:
    return structs(DNS, text(*names), np.arange(len(names), dtype="u2"))


def var(*lists: bytes) -> bytes:
    return b"".join(build.var(octets, long=True) for octets in lists)


# ---------------------------------------------------------------- basicList


def test_basic_lists_have_lengths_of_3_octets_and_keep_their_semantic() -> None:
    column = ports([1, 2, 3], [], [65535], semantic=build.ORDERED)
    expected = [
        build.basic_list(PORTS, *(build.uint(port, 2) for port in row), semantic=build.ORDERED)
        for row in ([1, 2, 3], [], [65535])
    ]
    assert octets(BASIC, column) == var(*expected)


def test_items_of_a_basic_list_in_reduced_size_and_of_variable_length() -> None:
    reduced = ports([1, 255], length=1)
    assert octets(BASIC, reduced) == var(build.basic_list(field("sourceTransportPort", 1), b"\1", b"\xff"))
    names = basic("interfaceName", text("eth0", "", "x" * 300), [["eth0", ""], ["x"]], VARIABLE)
    name = field("interfaceName", VARIABLE)
    expected = [
        build.basic_list(name, build.var(b"eth0"), build.var(b"")),
        build.basic_list(name, build.var(b"x" * 300)),
    ]
    assert octets(BASIC, names) == var(*expected)


def test_an_enterprise_element_is_named_with_its_number() -> None:
    element = registries.IANA.get(32473, 7)
    group = ListGroup(element, DataType.OCTET_ARRAY, offsets([["ab"], []]), text("ab"), 2)
    column = Lists(DataType.BASIC_LIST, (group,), None, np.array([0, 255], np.uint8))
    spec = (7, 2, 32473)
    assert octets(BASIC, column) == var(
        build.basic_list(spec, b"ab", semantic=0), build.basic_list(spec, semantic=build.UNDEFINED)
    )


def test_lists_of_several_elements_in_one_column() -> None:
    specs = [field("sourceTransportPort"), field("ipVersion"), field("octetDeltaCount", 3)]
    lists = [
        build.basic_list(specs[n], *(build.uint(n + k, specs[n][1]) for k in range(count)))
        for n, count in ((0, 2), (1, 1), (2, 0), (0, 0), (2, 3), (1, 2))
    ]
    batch = one(message([field("basicList")], *(var(octets) for octets in lists)))
    (column,) = columns_of(batch)
    assert len(column.groups) == 3
    assert octets(BASIC, column) == var(*lists)
    some = subset(column, np.array([1, 2, 5]))
    assert octets(BASIC, some) == var(lists[1], lists[2], lists[5])


def test_one_element_in_several_lengths() -> None:
    specs = [field("octetDeltaCount", length) for length in (8, 3, 1)]
    lists = [build.basic_list(specs[n], *[build.uint(9, specs[n][1])] * n) for n in (0, 1, 2, 1, 0, 2)]
    (column,) = columns_of(one(message([field("basicList")], *(var(octets) for octets in lists))))
    assert len(column.groups) == 1
    assert octets(BASIC, column) == var(*lists)


def test_a_list_field_of_fixed_length_has_exactly_that_length() -> None:
    template = Template.of(256, "basicList[9]", "protocolIdentifier")
    column = ports([1, 2], [3, 4])
    protocol = np.array([6, 17], "u1")
    lists = [build.basic_list(PORTS, *(build.uint(port, 2) for port in row)) for row in ([1, 2], [3, 4])]
    found = Encoder().encode(template, [column, protocol], 2, WHOLE).buffer[HEADER:].tobytes()
    assert found == lists[0] + b"\6" + lists[1] + b"\x11"
    with pytest.raises(EncodeError, match="a list of 7 octets where the field has exactly 9") as refused:
        Encoder().encode(template, [ports([1, 2], [3]), protocol], 2, WHOLE)
    assert (refused.value.column, refused.value.row) == ("basicList", 1)


# ---------------------------------------------------------------- lists of records


def test_records_of_an_inner_template_with_the_id_that_the_session_gives() -> None:
    group = ListGroup(TCP, None, offsets([[1], [], [2, 3]]), tcp(1, 2, 3))
    column = Lists(DataType.SUB_TEMPLATE_LIST, (group,), None, np.array([3, 3, 4], np.uint8))
    asked = []

    def inner(template: Template) -> Template:
        asked.append(template)
        return Template(999, template.fields)

    rows = [(3, [1]), (3, []), (4, [2, 3])]
    for id, options in ((300, {}), (999, {"inner": inner})):
        lists = [build.sub_template_list(id, *map(tcp_record, items), semantic=s) for s, items in rows]
        assert octets(LIST, column, **options) == var(*lists)
    assert asked == [TCP]


def test_a_template_whose_lists_are_in_no_row_is_not_asked_for() -> None:
    groups = (ListGroup(TCP, None, offsets([[1], []]), tcp(1)), ListGroup(DNS, None, offsets([[], ["a"]]), dns("a")))
    column = Lists(DataType.SUB_TEMPLATE_LIST, groups, np.array([0, 1], "u2"), np.array([3, 3], np.uint8))
    asked = []

    def inner(template: Template) -> Template:
        asked.append(template.id)
        return template

    octets(LIST, subset(column, np.array([1])), inner=inner)
    assert asked == [301]


def test_a_template_in_several_columns_is_asked_for_once() -> None:
    template = Template.of(256, "subTemplateList", "subTemplateList")
    columns = [
        Lists(DataType.SUB_TEMPLATE_LIST, (ListGroup(TCP, None, offsets([[1]]), tcp(1)),), None, np.zeros(1, np.uint8))
        for _ in range(2)
    ]
    asked = []

    def inner(template: Template) -> Template:
        asked.append(template.id)
        return template

    Encoder().encode(template, columns, 1, WHOLE, inner)
    assert asked == [300]


def test_groups_of_a_multi_list_keep_their_order() -> None:
    templates = tuple(
        build.template(t.id, *((f.element.id, f.length, f.element.pen) for f in t.fields)) for t in (TCP, DNS)
    )
    name = [build.var(name) + build.uint(5, 2) for name in (b"a", b"", b"x" * 260)]
    lists = [
        build.sub_template_multi_list(build.group(301, *name), build.group(300, tcp_record(1)), semantic=4),
        build.sub_template_multi_list(),
        build.sub_template_multi_list(
            build.group(300),
            build.group(301, name[0]),
            build.group(300, tcp_record(2), tcp_record(3)),
            build.group(301),
        ),
        build.sub_template_multi_list(build.group(300, tcp_record(4))),
    ]
    records = [var(octets) for octets in lists]
    (column,) = columns_of(one(message([field("subTemplateMultiList")], *records, templates=templates)))
    assert octets(MULTI, column) == b"".join(records)
    renumbered = octets(MULTI, column, inner=lambda template: Template(template.id + 100, template.fields))
    assert renumbered.endswith(var(build.sub_template_multi_list(build.group(400, tcp_record(4)))))
    assert octets(MULTI, subset(column, np.array([0, 2]))) == records[0] + records[2]


def test_lists_in_lists_in_lists() -> None:
    outer = Template.of(302, "protocolIdentifier", "subTemplateList", "basicList")
    innermost = ports([1], [2, 3], [], [4])
    middle = Lists(
        DataType.SUB_TEMPLATE_LIST,
        (ListGroup(DNS, None, offsets([["a"], [], ["b", "c"], []]), dns("a", "b", "c")),),
        None,
        np.full(4, 3, np.uint8),
    )
    items = structs(outer, np.array([6, 17, 1, 2], "u1"), middle, innermost)
    column = Lists(
        DataType.SUB_TEMPLATE_LIST,
        (ListGroup(outer, None, offsets([[1, 2, 3], [], [4]]), items),),
        None,
        np.full(3, 3, np.uint8),
    )
    batch = read_again(encoded(LIST, column), TCP, DNS, outer)
    assert batch.faults == ()
    (again,) = columns_of(batch)
    assert again.tolist() == column.tolist()
    assert octets(LIST, again) == octets(LIST, column)


# ---------------------------------------------------------------- empty, null, too long, wrong


def test_an_empty_list_of_nothing_known_has_no_header_and_is_refused() -> None:
    for template, type in ((BASIC, DataType.BASIC_LIST), (LIST, DataType.SUB_TEMPLATE_LIST)):
        with pytest.raises(EncodeError, match="nothing tells what it is a list of"):
            octets(template, Lists(type, (), None, np.zeros(1, np.uint8)))
    empty = MultiLists(DataType.SUB_TEMPLATE_MULTI_LIST, (), None, np.array([3, 255], np.uint8))
    assert octets(MULTI, empty) == var(b"\3", b"\xff")


def test_lists_that_could_not_be_read_go_out_as_they_came() -> None:
    good = build.basic_list(PORTS, build.uint(80, 2))
    spoilt = [b"\3", b"", build.basic_list(PORTS, b"\1")]
    records = [var(octets) for octets in (good, spoilt[0], spoilt[1], good, spoilt[2])]
    (column,) = columns_of(one(message([field("basicList")], *records)))
    assert column.null_count == 3
    assert octets(BASIC, column, lossless=True) == b"".join(records)
    (nulls,) = columns_of(one(message([field("basicList")], *records[1:3])))
    assert octets(BASIC, nulls, lossless=True) == b"".join(records[1:3])
    with pytest.raises(EncodeError, match="lossless=True") as refused:
        octets(BASIC, column)
    assert refused.value.row == 1
    empty = build.basic_list(PORTS, semantic=0)
    assert octets(BASIC, column, nulls="zero") == var(good, empty, empty, good, empty)


def test_a_null_that_nothing_came_for_is_refused_or_sent_as_an_empty_list() -> None:
    for template, type in ((BASIC, DataType.BASIC_LIST), (MULTI, DataType.SUB_TEMPLATE_MULTI_LIST)):
        for options in ({}, {"lossless": True}):
            with pytest.raises(EncodeError, match="null") as refused:
                octets(template, Lists.nulls(type, 2), **options)
            assert refused.value.row == 0
    assert octets(MULTI, Lists.nulls(DataType.SUB_TEMPLATE_MULTI_LIST, 2), nulls="zero") == var(b"\0", b"\0")


def test_a_list_longer_than_any_field_is_refused() -> None:
    column = basic("interfaceName", text("a", "x" * 40000, "y" * 40000), [["a"], ["x", "y"]], VARIABLE)
    with pytest.raises(EncodeError, match="a list of 80011 octets is longer than any field") as refused:
        octets(BASIC, column)
    assert refused.value.row == 1


def test_a_value_inside_a_list_is_named_with_its_row_and_its_path() -> None:
    with pytest.raises(EncodeError, match="256 does not fit 1 octet") as refused:
        octets(BASIC, ports([1], [], [2, 256, 3], length=1))
    assert (refused.value.column, refused.value.row) == ("basicList.sourceTransportPort", 2)
    inner = Template.of(300, "tcpSequenceNumber", "basicList")
    items = structs(inner, np.array([5, 6], "u4"), basic("interfaceName", text("a", "b"), [["a"], ["b"]], 1))
    spoilt = structs(inner, np.array([5, 6], "u4"), basic("interfaceName", text("a", "bc"), [["a"], ["bc"]], 1))
    for content in (items, spoilt):
        group = ListGroup(inner, None, offsets([[], [1, 2]]), content)
        column = Lists(DataType.SUB_TEMPLATE_LIST, (group,), None, np.zeros(2, np.uint8))
        if content is items:
            octets(LIST, column)
            continue
        with pytest.raises(EncodeError, match="2 octets where the field has exactly 1") as refused:
            octets(LIST, column)
        assert (refused.value.column, refused.value.row) == ("subTemplateList.basicList.interfaceName", 1)


def test_items_that_take_no_octets_are_refused() -> None:
    column = basic("interfaceName", text("", ""), [[], ["", ""]], 0)
    with pytest.raises(EncodeError, match="items that take no octets") as refused:
        octets(BASIC, column)
    assert refused.value.row == 1


def test_columns_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(EncodeError, match="2 values for 3 records"):
        Encoder().encode(BASIC, [ports([1], [2])], 3, WHOLE)
    group = ListGroup(TCP, None, offsets([[1], []]), tcp(1), entries=offsets([[1], []]))
    column = MultiLists(
        DataType.SUB_TEMPLATE_MULTI_LIST,
        (group,),
        None,
        np.zeros(2, np.uint8),
        parent=np.array([0], np.intp),
        ids=np.array([300], np.uint16),
    )
    assert octets(MULTI, column) == var(
        build.sub_template_multi_list(build.group(300, tcp_record(1)), semantic=0), b"\0"
    )
    for wrong, words in (
        ({"ids": np.array([999], np.uint16)}, "row 0: a group of Template 999, of which there are no records"),
        ({"parent": np.array([0, 0], np.intp), "ids": np.array([300, 300], np.uint16)}, "number 1 are in lists, and"),
        (
            {"groups": (replace(group, counts=np.array([1, 1], np.int32)),)},
            "1 groups of Template 300, and records for 2",
        ),
    ):
        with pytest.raises(EncodeError, match=words):
            octets(MULTI, replace(column, **wrong))
    null = replace(column, validity=np.array([False, True]))
    with pytest.raises(EncodeError, match="row 0: a null that has groups"):
        octets(MULTI, null, nulls="zero")


def test_records_that_no_group_has_are_left_out() -> None:
    group = ListGroup(TCP, None, np.array([1, 2], np.int32), tcp(1, 2, 3), entries=offsets([[1]]))
    column = MultiLists(
        DataType.SUB_TEMPLATE_MULTI_LIST,
        (group,),
        None,
        np.zeros(1, np.uint8),
        parent=np.array([0], np.intp),
        ids=np.array([300], np.uint16),
    )
    assert octets(MULTI, column) == var(build.sub_template_multi_list(build.group(300, tcp_record(2)), semantic=0))


def test_lists_of_a_slice_of_items_leave_the_others_out() -> None:
    whole = ports([1, 2], [3], [4, 5])
    group = ListGroup(whole.groups[0].of, DataType.UNSIGNED16, np.array([2, 3, 4], np.int32), whole.groups[0].items, 2)
    column = Lists(DataType.BASIC_LIST, (group,), None, np.full(2, 3, np.uint8))
    assert octets(BASIC, column) == var(*(build.basic_list(PORTS, build.uint(port, 2)) for port in (3, 4)))


def test_no_rows_are_no_octets() -> None:
    (column,) = columns_of(one(message([field("basicList")], var(build.basic_list(PORTS)))))
    assert octets(BASIC, subset(column, np.array([], np.intp))) == b""


def test_a_null_in_a_record_of_a_list_is_told_what_helps_there() -> None:
    given = {"subTemplateList": [[], [{"vlanId": 1, "interfaceName": "a"}, {"vlanId": 2}]]}
    refused = r"column 'subTemplateList\.interfaceName', row 1: null, but the records of a list .* subTemplateMultiList"
    with pytest.raises(EncodeError, match=refused):
        encoded(LIST, incoming.columns_of(given).values[0])
