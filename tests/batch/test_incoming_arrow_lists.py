"""Structured data from Arrow, in the shapes that headwater's own export gives it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from headwater.batch.incoming import columns_of
from headwater.batch.lists import MultiLists
from headwater.errors import EncodeError


def column(name: str, data: Any, **options: Any) -> Any:
    return columns_of({name: data}, **options).values[0]


def test_a_list_of_values_is_a_basic_list_of_the_element_its_items_are_named_after() -> None:
    array = pa.array([[1, 2], None, [], [3]], pa.list_(pa.field("octetDeltaCount", pa.int64())))
    found = column("basicList", array)
    assert found.tolist() == [[1, 2], None, [], [3]]
    assert found.semantics.tolist() == [255, 0, 255, 255]
    assert found.groups[0].of.name == "octetDeltaCount"


@pytest.mark.parametrize("type", [pa.list_(pa.int32()), pa.large_list(pa.uint8()), pa.list_(pa.int8(), 2)], ids=str)
def test_the_items_of_a_basic_list_are_what_the_caller_says(type: pa.DataType) -> None:
    array = pa.array([[1, 2], None, [3, 4]], type)
    found = column("basicList", array, contents={"basicList": "octetDeltaCount[4]"})
    assert (found.tolist(), found.groups[0].length) == ([[1, 2], None, [3, 4]], 4)
    sliced = column("basicList", array.slice(2), contents={"basicList": "octetDeltaCount"})
    assert sliced.tolist() == [[3, 4]]


def test_items_nobody_has_named_are_refused() -> None:
    with pytest.raises(EncodeError, match=r"row 1: .*nothing says which element its items are"):
        column("basicList", pa.array([[], [1]]))
    with pytest.raises(EncodeError, match=r"row 0: .*what the items of an empty list would be"):
        column("basicList", pa.array([[]], pa.list_(pa.null())))


def test_nulls_in_lists_are_left_to_the_encoder() -> None:
    found = column("basicList", pa.array([[1], [None]]), contents={"basicList": "octetDeltaCount"})
    assert found.tolist() == [[1], [None]]
    found = column("subTemplateList", pa.array([[{"vlanId": 1}], [{"vlanId": None}]]))
    assert found.tolist() == [[{"vlanId": 1}], [{"vlanId": None}]]


def test_a_bad_item_is_refused_with_the_row_of_its_list() -> None:
    with pytest.raises(EncodeError) as refused:
        column("basicList", pa.array([[1, 2], [3, -1]]), contents={"basicList": "octetDeltaCount"})
    assert (refused.value.column, refused.value.row) == ("basicList.octetDeltaCount", 1)


def test_a_list_of_structs_is_a_sub_template_list() -> None:
    array = pa.array([[{"vlanId": 1, "interfaceName": "a"}], [], None])
    found = column("subTemplateList", array)
    assert found.tolist() == [[{"vlanId": 1, "interfaceName": "a"}], [], None]
    assert str(found.groups[0].of) == "vlanId(58)<unsigned16>[2]\ninterfaceName(82)<string>[v]"


def test_what_stands_under_a_null_list_is_dropped() -> None:
    items = pa.array([{"vlanId": 1}, {"vlanId": 2}, {"vlanId": 3}])
    array = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3]), items, mask=pa.array([False, True, False]))
    assert column("subTemplateList", array).tolist() == [[{"vlanId": 1}], None, [{"vlanId": 3}]]


def test_a_null_in_place_of_a_record_is_refused() -> None:
    type = pa.list_(pa.struct([("vlanId", pa.int8())]))
    with pytest.raises(EncodeError, match=r"row 1: .*a record of a list cannot be null"):
        column("subTemplateList", pa.array([[{"vlanId": 1}], [None]], type))
    items = pa.array([{"vlanId": 1}, None, {"vlanId": 3}, None])
    array = pa.ListArray.from_arrays(pa.array([0, 1, 2, 4]), items, mask=pa.array([False, True, False]))
    with pytest.raises(EncodeError, match=r"row 2: .*a record of a list cannot be null"):
        column("subTemplateList", array)
    assert column("subTemplateList", array.slice(0, 2)).tolist() == [[{"vlanId": 1}], None]


def test_a_struct_of_lists_has_one_for_each_element_or_template() -> None:
    array = pa.array([{"octetDeltaCount": [1, 2], "interfaceName": None}, {"interfaceName": ["a"]}, None])
    found = column("basicList", array)
    assert (found.tolist(), found.which.tolist()) == ([[1, 2], ["a"], None], [0, 1, 0])
    array = pa.array([{"300": [{"vlanId": 1}]}, {"301": [{"interfaceName": "a"}]}, {"301": []}])
    found = column("subTemplateList", array)
    assert found.tolist() == [[{"vlanId": 1}], [{"interfaceName": "a"}], []]
    assert [group.of.id for group in found.groups] == [300, 301]


def test_a_list_of_two_kinds_is_refused() -> None:
    array = pa.array([None, {"octetDeltaCount": [1, 2], "interfaceName": ["a"]}])
    with pytest.raises(EncodeError, match=r"row 1: .*it has items of several kinds"):
        column("basicList", array)


def test_what_is_no_list_is_refused() -> None:
    for array in (pa.array([1]), pa.array([{"octetDeltaCount": 1}])):
        with pytest.raises(EncodeError, match=r"an Arrow array of format '.' cannot be basicList"):
            column("basicList", array)
    with pytest.raises(EncodeError, match="lists of Arrow format 'l' cannot be subTemplateList"):
        column("subTemplateList", pa.array([[1]]))


def test_nulls_can_be_lists() -> None:
    for name in ("basicList", "subTemplateMultiList"):
        assert column(name, pa.nulls(2)).tolist() == [None, None]
    assert column("subTemplateList", pa.array([None, None], pa.list_(pa.null()))).tolist() == [None, None]


def test_a_struct_of_lists_is_a_multi_list_of_their_templates() -> None:
    array = pa.array([{"300": [{"vlanId": 1}, {"vlanId": 2}], "301": [{"interfaceName": "a"}]}, {"301": []}, None])
    found = column("subTemplateMultiList", array)
    assert isinstance(found, MultiLists)
    assert found.tolist() == [
        {300: [{"vlanId": 1}, {"vlanId": 2}], 301: [{"interfaceName": "a"}]},
        {301: []},
        None,
    ]
    assert (found.parent.tolist(), found.ids.tolist()) == ([0, 0, 1], [300, 301, 301])


def test_chunks_of_lists_are_one_column() -> None:
    array = pa.array([{"300": [{"vlanId": 1}, {"vlanId": 2}]}, None, {"301": [{"interfaceName": "a"}]}])
    once, twice = (
        column("subTemplateMultiList", pa.chunked_array(chunks)) for chunks in ([array], [array, array.slice(1)])
    )
    assert twice.tolist() == once.tolist() + once.tolist()[1:]
    assert twice.parent.tolist() == [0, 2, 4]
    lists = pa.array([[{"vlanId": 1}], [], None, [{"vlanId": 7}]])
    found = column("subTemplateList", pa.chunked_array([lists, lists.slice(2)]))
    assert found.tolist() == [*lists.to_pylist(), *lists.to_pylist()[2:]]
    lists = pa.array([{"octetDeltaCount": [1]}, {"interfaceName": ["a", None]}])
    found = column("basicList", pa.chunked_array([lists, lists.slice(1)]))
    assert found.tolist() == [[1], ["a", None], ["a", None]]
    assert found.which.tolist() == [0, 1, 1]
