"""Lists as Python objects: the shapes that Batch.rows gives them, and objects of wire.lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch.cells import RAW, Style
from headwater.batch.incoming import columns_of
from headwater.batch.lists import Lists, MultiLists, Structs
from headwater.errors import EncodeError
from headwater.model.registry import IANA
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE
from headwater.wire.lists import BasicList, SubTemplateList, SubTemplateMultiList
from tests import build
from tests.batch.source import batches

OCTETS = IANA.named("octetDeltaCount")
CONTENTS = {"basicList": "octetDeltaCount[4]"}


def column(name: str, data: Any, **options: Any) -> Lists:
    found = columns_of({name: data}, **options).values[0]
    assert isinstance(found, Lists)
    return found


def column_of_rows(name: str, data: list[Any]) -> Lists:
    found = columns_of([{name: value} for value in data]).values[0]
    assert isinstance(found, Lists)
    return found


@pytest.mark.parametrize("lists", ["plain", "full"])
def test_rows_of_a_batch_become_its_lists_again(lists: Any) -> None:
    for batch in batches(*build.lists(30)):
        contents = {"basicList": batch["basicList"].groups[0].of}  # type: ignore[union-attr]
        again = columns_of(batch.rows(lists=lists), template=batch.template, contents=contents)
        for was, now in zip(batch.columns.values(), again.values, strict=True):
            assert list(now.tolist()) == list(was.tolist())
            if isinstance(was, Lists) and isinstance(now, Lists) and lists == "full":
                assert now.semantics.tolist() == was.semantics.tolist()


# ---------------------------------------------------------------- basicList


def test_a_plain_basic_list_has_the_element_that_the_caller_says() -> None:
    found = column("basicList", [[1, 2], None, (), np.array([3])], contents=CONTENTS)
    assert found.tolist() == [[1, 2], None, [], [3]]
    (group,) = found.groups
    assert (group.of, group.length, group.offsets.tolist()) == (OCTETS, 4, [0, 2, 2, 2, 3])
    assert found.semantics.tolist() == [255, 0, 255, 255]
    assert found.which is None


@pytest.mark.parametrize(
    ("content", "length"),
    [("octetDeltaCount", 8), ("octet_delta_count", 8), (OCTETS, 8), (Field(OCTETS, 2), 2), ("1", 8)],
)
def test_the_element_of_items_can_be_said_in_any_form(content: Any, length: int) -> None:
    (group,) = column("basicList", [[1]], contents={"basicList": content}).groups
    assert (group.of, group.length) == (OCTETS, length)


def test_an_iespec_with_a_member_says_it_too() -> None:
    (group,) = column("basicList\n+octetDeltaCount[4]", [[1]]).groups
    assert (group.of, group.length) == (OCTETS, 4)


def test_an_iespec_with_members_says_what_records_are() -> None:
    (group,) = column("subTemplateList\n+octetDeltaCount[4]\n+vlanId", [[]]).groups
    assert group.of == Template.of(0, "octetDeltaCount[4]", "vlanId")
    with pytest.raises(EncodeError, match="a basicList has items of one element"):
        column("basicList\n+octetDeltaCount[4]\n+vlanId", [])
    assert column("subTemplateMultiList\n+vlanId", [{}]).groups == ()


def test_a_full_basic_list_says_its_element_and_semantic() -> None:
    found = column_of_rows(
        "basicList",
        [
            {"semantic": "allOf", "element": "octetDeltaCount[4]", "items": [1, 2]},
            {"element": "interfaceName", "items": ["eth0"]},
            {"semantic": 9, "element": "octetDeltaCount[4]", "items": []},
        ],
    )
    assert found.tolist() == [[1, 2], ["eth0"], []]
    assert found.semantics.tolist() == [3, 255, 9]
    assert found.which is not None
    assert found.which.tolist() == [0, 1, 0]
    assert [group.length for group in found.groups] == [4, VARIABLE]


def test_objects_of_basic_lists_come_as_they_are() -> None:
    found = column("basicList", [BasicList(4, Field(OCTETS, 2), (7, 8)), None])
    assert (found.tolist(), found.semantics.tolist(), found.groups[0].length) == ([[7, 8], None], [4, 0], 2)


def test_items_take_all_forms_of_their_type() -> None:
    found = column("basicList", [["192.0.2.1"], [b"\xc0\0\2\2", 1]], contents={"basicList": "sourceIPv4Address"})
    assert found.tolist() == [[0xC0000201], [0xC0000202, 1]]


def test_a_bad_item_is_refused_with_the_row_of_its_list() -> None:
    with pytest.raises(EncodeError, match="-1 is no unsigned64: it is out of range") as refused:
        column("basicList", [[1], [], [2, 3, -1]], contents=CONTENTS)
    assert (refused.value.column, refused.value.row) == ("basicList.octetDeltaCount", 2)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([[1]], "nothing says which element its items are; {'element': 'vlanId', 'items': […]} would"),
        ([[]], "nothing says what the items of an empty list would be"),
        ([7], "7 is no basicList; wanted is a list of values"),
        (["text"], "'text' is no basicList"),
        ([{"items": [1]}], "a full list has the keys element, items, semantic"),
        ([{"element": "octetDeltaCount", "items": [1], "colour": "red"}], "a full list has the keys"),
        ([{"element": "octetDeltaCount", "items": [1], "semantic": "someOf"}], "a semantic is one of noneOf, exactly"),
        ([{"element": "octetDeltaCount", "items": [1], "semantic": 256}], "or a number of 8 bits"),
    ],
)
def test_what_is_no_basic_list_is_refused(data: list[Any], why: str) -> None:
    with pytest.raises(EncodeError) as refused:
        column("basicList", data)
    assert why in str(refused.value)
    assert (refused.value.column, refused.value.row) == ("basicList", 0)


# ---------------------------------------------------------------- subTemplateList


def test_dicts_say_which_template_their_list_has() -> None:
    found = column("subTemplateList", [[{"vlanId": 1, "interfaceName": "a"}, {"vlanId": 2, "interfaceName": "b"}], []])
    (group,) = found.groups
    assert str(group.of) == "vlanId(58)<unsigned16>[2]\ninterfaceName(82)<string>[v]"
    assert isinstance(group.items, Structs)
    assert group.items.schema.names == ("vlanId", "interfaceName")
    assert group.offsets.tolist() == [0, 2, 2]
    assert found.tolist() == [[{"vlanId": 1, "interfaceName": "a"}, {"vlanId": 2, "interfaceName": "b"}], []]


def test_lists_of_different_templates_are_groups() -> None:
    data = [[{"vlanId": 1}], [{"interfaceName": "a"}], [{"vlanId": 2}, {"vlanId": 3}], None, []]
    found = column("subTemplateList", data)
    assert found.which is not None
    assert (len(found.groups), found.which.tolist()) == (2, [0, 1, 0, 0, 0])
    assert found.tolist() == data


def test_lengths_of_inner_fields_can_be_said() -> None:
    (group,) = column("subTemplateList", [[{"octetDeltaCount[4]": 1}]]).groups
    assert isinstance(group.of, Template)
    assert group.of.fields[0].length == 4
    assert group.cells(0, 1, RAW) == [{"octetDeltaCount": 1}]


def test_the_template_of_records_can_be_said() -> None:
    template = Template.of(300, "octetDeltaCount[4]", "interfaceName")
    data = [[{"interface_name": "a", "octetDeltaCount": 1}, {"octetDeltaCount": 2, "interfaceName": "b"}], []]
    found = column("subTemplateList", data, contents={"subTemplateList": template})
    assert found.groups[0].of is template
    assert found.tolist()[0] == [
        {"octetDeltaCount": 1, "interfaceName": "a"},
        {"octetDeltaCount": 2, "interfaceName": "b"},
    ]


def test_objects_of_sub_template_lists_come_as_they_are() -> None:
    template = Template.of(300, "octetDeltaCount[4]", "interfaceName")
    found = column("subTemplateList", [SubTemplateList(3, 300, template, ((1, "a"), (2, "b"))), None])
    assert found.groups[0].of == template
    assert found.tolist() == [
        [{"octetDeltaCount": 1, "interfaceName": "a"}, {"octetDeltaCount": 2, "interfaceName": "b"}],
        None,
    ]
    assert found.semantics.tolist() == [3, 0]


def test_lists_nest() -> None:
    inner = {"semantic": "ordered", "template": 300, "items": [{"vlanId": 7}]}
    found = column("subTemplateList", [[{"interfaceName": "a", "subTemplateList": inner}], []])
    assert found.tolist() == [[{"interfaceName": "a", "subTemplateList": [{"vlanId": 7}]}], []]


def test_a_bad_value_deep_inside_is_refused_with_its_path_and_the_row_outside() -> None:
    fine, bad = [{"vlanId": 1}], [{"vlanId": 2}, {"vlanId": 65536}]
    with pytest.raises(EncodeError, match="65536 is no unsigned16") as refused:
        column("subTemplateList", [[], [{"subTemplateList": fine}, {"subTemplateList": bad}]])
    assert (refused.value.column, refused.value.row) == ("subTemplateList.subTemplateList.vlanId", 1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([[1]], "1 is no subTemplateList: a record in a list is a dict"),
        ([[]], "nothing says what the items of an empty list would be"),
        ([{"items": []}], "a full list has the keys items, semantic, template"),
    ],
)
def test_what_is_no_sub_template_list_is_refused(data: list[Any], why: str) -> None:
    with pytest.raises(EncodeError) as refused:
        column("subTemplateList", data)
    assert why in str(refused.value)
    assert refused.value.row == 0


def test_nulls_in_lists_are_left_to_the_encoder() -> None:
    assert column("basicList", [[1, None]], contents=CONTENTS).tolist() == [[1, None]]
    found = column("subTemplateList", [[{"vlanId": 1}, {"interfaceName": "a"}]])
    assert found.tolist() == [[{"vlanId": 1, "interfaceName": None}, {"vlanId": None, "interfaceName": "a"}]]


def test_unknown_names_in_records_are_refused() -> None:
    with pytest.raises(EncodeError, match=r"row 1: .*did you mean 'vlanId'") as refused:
        column("subTemplateList", [[{"vlanId": 1}], [{"vlanid": 1}]])
    assert (refused.value.column, refused.value.row) == ("subTemplateList", 1)
    contents = {"subTemplateList": Template.of(300, "vlanId")}
    for items, words in (
        ([{"vlanId": 1, "interfaceName": "a"}], "the Template has no field 'interfaceName'"),
        ([{"vlanid": 1}], "did you mean 'vlanId'"),
        ([5], "a record in a list is a dict, or a tuple of 1 values"),
        ([{5: 1}], "columns go by name, not by 5"),
        ([(1, 2)], "a record in a list is a dict, or a tuple of 1 values"),
    ):
        with pytest.raises(EncodeError, match=words) as refused:
            column("subTemplateList", [[], [{"vlanId": 1}, (2,)], items], contents=contents)
        assert refused.value.row == 2


def test_an_empty_list_may_say_the_template_that_its_records_would_have() -> None:
    for template in (["vlanId", "interfaceName"], "vlanId\ninterfaceName", Template.of(300, "vlanId", "interfaceName")):
        found = column("subTemplateList", [{"template": template, "items": []}])
        assert found.tolist() == [[]]
        of = found.groups[0].of
        assert isinstance(of, Template)
        assert of.column_names == ("vlanId", "interfaceName")
    for wrong in (["vlanid"], 5.5, ["vlanId["]):
        with pytest.raises(EncodeError) as refused:
            column("subTemplateList", [{"template": wrong, "items": []}])
        assert refused.value.row == 0


# ---------------------------------------------------------------- subTemplateMultiList


def test_a_dict_of_lists_is_a_multi_list() -> None:
    data = [{300: [{"vlanId": 1}, {"vlanId": 2}], 301: [{"interfaceName": "a"}]}, {}, None, {300: [{"vlanId": 3}]}]
    found = column("subTemplateMultiList", data)
    assert isinstance(found, MultiLists)
    assert found.tolist() == data
    assert (found.parent.tolist(), found.ids.tolist()) == ([0, 0, 3], [300, 301, 300])
    vlans, names = found.groups
    assert vlans.entries is not None
    assert (vlans.entries.tolist(), vlans.offsets.tolist()) == ([0, 1, 1, 1, 2], [0, 2, 2, 2, 3])
    assert vlans.counts is not None
    assert (vlans.counts.tolist(), names.counts) == ([2, 1], None)


def test_groups_of_a_full_multi_list_keep_their_order() -> None:
    vlan = {"template": 300, "items": [{"vlanId": 1}]}
    name = {"template": 301, "items": [{"interfaceName": "a"}, {"interfaceName": "b"}]}
    given = [{"semantic": "ordered", "groups": [vlan, name, vlan]}]
    found = column("subTemplateMultiList", given)
    assert isinstance(found, MultiLists)
    assert (found.ids.tolist(), found.semantics.tolist()) == ([300, 301, 300], [4])
    assert found.cells(0, 1, Style(lists="full")) == given


def test_templates_of_a_multi_list_have_different_ids_whatever_they_came_with() -> None:
    vlan, name = Template.of(0, "vlanId"), Template.of(0, "interfaceName")
    found = column("subTemplateMultiList", [SubTemplateMultiList(3, ((0, vlan, ((1,),)), (0, name, (("a",),))))])
    assert isinstance(found, MultiLists)
    assert found.ids.tolist() == [256, 257]
    assert found.tolist() == [{256: [{"vlanId": 1}], 257: [{"interfaceName": "a"}]}]


def test_multi_lists_without_any_group_are_empty() -> None:
    found = column("subTemplateMultiList", [{}, None])
    assert (found.tolist(), found.groups) == ([{}, None], ())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([[1]], "[1] is no subTemplateMultiList; wanted is a dict of lists of dicts by Template ID"),
        ([{300: []}], "nothing says what the records of an empty group would be"),
        ([{300: [1]}], "a record in a list is a dict"),
        ([{"groups": 7}], "7 is no subTemplateMultiList"),
        ([{"groups": [{"items": []}]}], "a group has the keys template, items"),
        ([{"groups": [], "colour": 1}], "a full list has the keys groups, semantic"),
    ],
)
def test_what_is_no_multi_list_is_refused(data: list[Any], why: str) -> None:
    with pytest.raises(EncodeError) as refused:
        column("subTemplateMultiList", data)
    assert why in str(refused.value)
    assert refused.value.row == 0


def test_a_masked_list_is_null_and_an_array_without_items_no_list() -> None:
    found = column("basicList", [[1], np.ma.masked, np.array([2, 3])], contents=CONTENTS)
    assert found.tolist() == [[1], None, [2, 3]]
    for name, value in (
        ("basicList", np.array(5)),
        ("subTemplateList", {"template": 256, "items": np.ma.masked}),
        ("subTemplateMultiList", {300: np.array(5)}),
    ):
        with pytest.raises(EncodeError) as refused:
            column(name, [value])
        assert refused.value.row == 0


def test_a_group_under_a_number_that_is_no_template_id_gets_one() -> None:
    found = column("subTemplateMultiList", [{70000: [{"vlanId": 7}], 1: [{"octetDeltaCount": 8}]}])
    assert isinstance(found, MultiLists)
    assert sorted(found.ids.tolist()) == [256, 257]


def test_groups_may_be_under_ids_as_json_has_them() -> None:
    records = {"4099": [{"vlanId": 7}], "4098": [{"sourceMacAddress": "00:00:5e:00:53:01"}, {}]}
    full = {"groups": [{"template": id, "items": items} for id, items in records.items()]}
    for value in (records, full):
        found = column("subTemplateMultiList", [value])
        assert isinstance(found, MultiLists)
        assert found.ids.tolist() == [4099, 4098]
    with pytest.raises(EncodeError, match="no Information Element is named 'a'"):
        column("subTemplateMultiList", [{"a": [{"vlanId": 7}]}])
