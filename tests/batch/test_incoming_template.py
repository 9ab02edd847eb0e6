"""Templates for columns, and records that lack a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch.incoming import columns_of, split_nulls, template_for
from headwater.batch.incoming_columns import Incoming
from headwater.errors import EncodeError
from headwater.model.registry import IANA
from headwater.model.template import Template
from tests import build
from tests.batch.source import batches


def rows(incoming: Incoming) -> list[dict[str, Any]]:
    columns = [list(values.tolist()) for values in incoming.values]
    return [dict(zip(incoming.names, row, strict=True)) for row in zip(*columns, strict=True)]


# ---------------------------------------------------------------- template_for


def test_lengths_are_native_unless_something_is_said() -> None:
    incoming = columns_of({"octetDeltaCount": [1], "packetDeltaCount[4]": [1], "interfaceName": ["a"]})
    assert template_for(incoming, 300) == Template.of(
        300, "octetDeltaCount[8]", "packetDeltaCount[4]", "interfaceName[v]"
    )
    assert template_for(incoming, 300).id == 300
    assert template_for(incoming).id == 0


@pytest.mark.parametrize(
    ("name", "values", "length"),
    [
        ("octetDeltaCount", [0], 1),
        ("octetDeltaCount", [255, 0], 1),
        ("octetDeltaCount", [256], 2),
        ("octetDeltaCount", [2**24 - 1], 3),
        ("octetDeltaCount", [2**24], 4),
        ("octetDeltaCount", [2**56], 8),
        ("octetDeltaCount", [2**64 - 1], 8),
        ("octetDeltaCount", [None, 256], 2),
        ("octetDeltaCount", [], 8),
        ("protocolIdentifier", [1], 1),
        ("mibObjectValueInteger", [127], 1),
        ("mibObjectValueInteger", [128], 2),
        ("mibObjectValueInteger", [-128], 1),
        ("mibObjectValueInteger", [-129, 5], 2),
        ("mibObjectValueInteger", [-(2**31)], 4),
        ("flowStartSeconds", [0], 4),
        ("sourceIPv4Address", [0], 4),
        ("absoluteError", [0.5], 8),
        ("ipv6ExtensionHeadersFull", [1, 2**16], 3),
        ("ipv6ExtensionHeadersFull", [0], 1),
        ("interfaceName", ["a"], 65535),
    ],
)
def test_auto_is_the_fewest_octets_that_hold_all_values(name: str, values: list[Any], length: int) -> None:
    (field,) = template_for(columns_of({name: values}), 256, lengths="auto").fields
    assert field.length == length
    assert field.is_legal


def test_auto_leaves_lengths_that_were_said() -> None:
    (field,) = template_for(columns_of({"octetDeltaCount[4]": [1]}), 256, lengths="auto").fields
    assert field.length == 4


def test_lengths_can_be_given_by_name() -> None:
    incoming = columns_of({"octetDeltaCount[4]": [1], "octetDeltaCount#2": [1], "vlanId": [1]})
    template = template_for(incoming, 256, lengths={"octetDeltaCount": 2, "octetDeltaCount#2": 3})
    assert [field.length for field in template.fields] == [2, 3, 2]


@pytest.mark.parametrize("length", [0, 9, 65535, "4"])
def test_a_length_that_the_type_cannot_have_is_refused(length: Any) -> None:
    incoming = columns_of({"octetDeltaCount": [1]})
    with pytest.raises(EncodeError, match="unsigned64 cannot be sent in") as refused:
        template_for(incoming, 256, lengths={"octetDeltaCount": length})
    assert refused.value.column == "octetDeltaCount"


def test_lengths_for_columns_that_are_not_there_are_refused() -> None:
    with pytest.raises(EncodeError, match="lengths for columns that are not there: vlanId"):
        template_for(columns_of({"octetDeltaCount": [1]}), 256, lengths={"vlanId": 2})


def test_lengths_is_one_of_two_words_or_a_mapping() -> None:
    with pytest.raises(EncodeError, match="'native', 'auto' or a mapping"):
        template_for(columns_of({"octetDeltaCount": [1]}), 256, lengths="short")  # type: ignore[arg-type]


def test_scope_comes_first() -> None:
    incoming = columns_of({"samplingInterval": [100], "selectorId": [7]}, scope=["selectorId"])
    assert template_for(incoming, 256) == Template.of(256, "selectorId", "samplingInterval", scope=1)


@pytest.mark.parametrize("octets", [build.flows(9), build.strings(9), build.lists(9), build.mixed_flows(9)])
def test_the_template_of_a_batch_is_its_own(octets: list[bytes]) -> None:
    for batch in batches(*octets):
        assert template_for(columns_of(batch), 300) == batch.template
        assert template_for(columns_of(batch), 300, lengths="auto") == batch.template


# ---------------------------------------------------------------- split_nulls


def test_records_that_lack_nothing_come_as_they_are() -> None:
    incoming = columns_of([{"octetDeltaCount": 1}])
    ((found, part),) = split_nulls(incoming)
    assert found.tolist() == [0]
    assert part is incoming


def test_records_are_grouped_by_what_they_lack_in_the_order_of_their_first() -> None:
    given = [
        {"octetDeltaCount": 1, "interfaceName": "a"},
        {"octetDeltaCount": 2},
        {"interfaceName": "c", "octetDeltaCount": 3},
        {"interfaceName": "d"},
        {"octetDeltaCount": 5},
    ]
    parts = list(split_nulls(columns_of(given)))
    assert [found.tolist() for found, _ in parts] == [[0, 2], [1, 4], [3]]
    assert [part.names for _, part in parts] == [
        ("octetDeltaCount", "interfaceName"), ("octetDeltaCount",), ("interfaceName",)
    ]  # fmt: skip
    for found, part in parts:
        assert rows(part) == [given[row] for row in found]
        assert not any(np.ma.is_masked(values) for values in part.values if isinstance(values, np.ndarray))


def test_more_than_eight_columns_can_lack_values() -> None:
    names = [IANA.get(0, id).name for id in (1, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14, 16)]
    given = [{name: row for place, name in enumerate(names) if place != row} for row in range(12)]
    parts = list(split_nulls(columns_of(given, names=None)))
    assert [found.tolist() for found, _ in parts] == [[row] for row in range(12)]
    assert all(len(part.names) == 11 for _, part in parts)


def test_lists_can_be_lacking_too() -> None:
    given = {"vlanId": [1, 2], "subTemplateList": [None, [{"vlanId": 7}]]}
    parts = list(split_nulls(columns_of(given)))
    assert [rows(part) for _, part in parts] == [[{"vlanId": 1}], [{"vlanId": 2, "subTemplateList": [{"vlanId": 7}]}]]


def test_records_that_lack_nothing_keep_their_template_and_others_its_lengths() -> None:
    template = Template.of(256, "octetDeltaCount[4]", "vlanId")
    incoming = columns_of([(1, 2), (1, None)], template=template)
    (_, whole), (_, part) = split_nulls(incoming)
    assert whole.template is template
    assert part.template is None
    assert template_for(part, 257) == Template.of(257, "octetDeltaCount[4]")


def test_scope_may_lack_a_part_but_not_all() -> None:
    given = {"selectorId": [1, None], "exportingProcessId": [None, 2], "samplingInterval": [5, 6]}
    parts = list(split_nulls(columns_of(given, scope=["selectorId", "exportingProcessId"])))
    assert [part.scope_count for _, part in parts] == [1, 1]
    given = {"selectorId": [1, None], "samplingInterval": [5, 6]}
    with pytest.raises(EncodeError, match="row 1: null, but options need a scope") as refused:
        list(split_nulls(columns_of(given, scope=["selectorId"])))
    assert (refused.value.column, refused.value.row) == ("selectorId", 1)


def test_a_record_without_any_value_is_refused() -> None:
    with pytest.raises(EncodeError, match="row 1 has no value at all") as refused:
        list(split_nulls(columns_of([{"octetDeltaCount": 1}, {}])))
    assert refused.value.row == 1


def test_no_column_is_read_in_the_place_of_another_of_its_element() -> None:
    incoming = columns_of([{"vlanId": 1, "vlanId#2": None, "octetDeltaCount": 5}])
    assert [rows(part) for _, part in split_nulls(incoming)] == [[{"vlanId": 1, "octetDeltaCount": 5}]]
    incoming = columns_of([{"vlanId": 1, "vlanId#2": 2}, {"vlanId": None, "vlanId#2": 2}])
    with pytest.raises(EncodeError, match="row 1: null, and 'vlanId#2' would be read in its place") as refused:
        list(split_nulls(incoming))
    assert (refused.value.column, refused.value.row) == ("vlanId", 1)


def test_columns_of_an_element_are_in_the_order_of_their_numbers() -> None:
    incoming = columns_of([{"vlanId#2": 2, "octetDeltaCount": 5, "vlanId#3": 3, "vlanId": 1}])
    assert rows(incoming) == [{"vlanId": 1, "octetDeltaCount": 5, "vlanId#2": 2, "vlanId#3": 3}]
