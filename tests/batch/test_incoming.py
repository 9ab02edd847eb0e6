"""What users hand over: its forms, the names of its columns, and the options of columns_of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch.incoming import ROWS, chunks_of, columns_of
from headwater.batch.incoming_columns import Incoming
from headwater.batch.lists import Lists
from headwater.batch.mapping import ie
from headwater.errors import EncodeError, UnknownElement
from headwater.model.registry import IANA
from headwater.model.template import Template
from headwater.model.types import VARIABLE, DataType
from tests import build
from tests.batch.source import batches, field, message, one


def values(incoming: Incoming) -> dict[str, list[Any]]:
    return {name: list(column.tolist()) for name, column in zip(incoming.names, incoming.values, strict=True)}


ROW = {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1500, "interfaceName": "eth0"}
COLUMNS = {"sourceIPv4Address": [0xC0000201], "octetDeltaCount": [1500], "interfaceName": ["eth0"]}

# ---------------------------------------------------------------- forms


def test_a_mapping_of_arrays_becomes_columns() -> None:
    given = {
        "sourceIPv4Address": np.array([1, 2], "u4"),
        "octetDeltaCount": [3, 4],
        "interfaceName": ("a", "b"),
    }
    incoming = columns_of(given)
    assert incoming.count == 2
    assert [element.id for element in incoming.elements] == [8, 1, 82]
    assert incoming.types == (DataType.IPV4, DataType.UNSIGNED64, DataType.STRING)
    assert values(incoming) == {"sourceIPv4Address": [1, 2], "octetDeltaCount": [3, 4], "interfaceName": ["a", "b"]}


def test_an_array_of_the_right_type_is_not_copied() -> None:
    octets = np.arange(5, dtype="u8")
    assert columns_of({"octetDeltaCount": octets}).values[0] is octets


def test_arrays_that_the_caller_keeps_are_not_changed() -> None:
    given = np.ma.MaskedArray(np.array([7, 8], "u8"), [True, False])
    incoming = columns_of({"octetDeltaCount": given})
    assert values(incoming) == {"octetDeltaCount": [None, 8]}
    assert given.data.tolist() == [7, 8]


def test_dicts_become_columns_and_a_missing_key_is_null() -> None:
    incoming = columns_of([ROW, {"octetDeltaCount": 60, "protocolIdentifier": 6}])
    assert values(incoming) == {
        "sourceIPv4Address": [0xC0000201, None],
        "octetDeltaCount": [1500, 60],
        "interfaceName": ["eth0", None],
        "protocolIdentifier": [None, 6],
    }


def test_one_column_of_dicts_becomes_a_column() -> None:
    assert values(columns_of([{"octetDeltaCount": 1}, {}, {"octetDeltaCount": 3}])) == {"octetDeltaCount": [1, None, 3]}


def test_a_generator_of_dicts_is_read_once() -> None:
    assert values(columns_of(row for row in [ROW])) == COLUMNS


def test_tuples_have_the_names_that_are_given() -> None:
    assert values(columns_of([tuple(ROW.values())], names=list(ROW))) == COLUMNS


def test_tuples_have_the_names_of_the_template() -> None:
    template = Template.of(256, "octetDeltaCount[4]", "octetDeltaCount[4]")
    assert values(columns_of([(1, 2)], template=template)) == {"octetDeltaCount": [1], "octetDeltaCount#2": [2]}


class Flow(NamedTuple):
    octet_delta_count: int
    protocol_identifier: int


def test_named_tuples_have_their_own_names() -> None:
    assert values(columns_of([Flow(1, 6)])) == {"octetDeltaCount": [1], "protocolIdentifier": [6]}


def test_tuples_without_names_are_refused() -> None:
    with pytest.raises(EncodeError, match="tuples have no names; give a template, or dicts"):
        columns_of([(1, 2)])


def test_a_tuple_of_another_length_is_refused_with_its_row() -> None:
    with pytest.raises(EncodeError, match="row 1 has 1 values where 2 are needed") as refused:
        columns_of([(1, 2), (1,)], names=["octetDeltaCount", "packetDeltaCount"])
    assert refused.value.row == 1


def test_no_rows_of_a_template_are_empty_columns() -> None:
    incoming = columns_of([], template=Template.of(256, "octetDeltaCount", "interfaceName"))
    assert values(incoming) == {"octetDeltaCount": [], "interfaceName": []}
    assert incoming.count == 0


def test_no_rows_at_all_are_no_columns() -> None:
    assert columns_of([]).names == ()


@pytest.mark.parametrize("data", ["octets", b"octets", 7, None, np.zeros(3)])
def test_what_has_no_records_is_refused(data: Any) -> None:
    with pytest.raises(EncodeError, match="no records can be made of"):
        columns_of(data)


def test_a_list_of_numbers_is_refused() -> None:
    with pytest.raises(EncodeError, match="row 0: 1 is no record; a record is a dict, a tuple"):
        columns_of([1, 2])


@pytest.mark.parametrize("data", [7, "eth0", b"eth0", {"a": 1}])
def test_what_has_no_values_is_no_column(data: Any) -> None:
    with pytest.raises(EncodeError, match=r"column 'interfaceName' is .*, not an array or a list") as refused:
        columns_of({"octetDeltaCount": [1], "interfaceName": data})
    assert refused.value.column == "interfaceName"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(EncodeError, match="column 'packetDeltaCount': 1 values where 2 are needed") as refused:
        columns_of({"octetDeltaCount": [1, 2], "packetDeltaCount": [1]})
    assert refused.value.column == "packetDeltaCount"


def test_an_array_of_three_dimensions_is_no_column() -> None:
    with pytest.raises(EncodeError, match="3 dimensions"):
        columns_of({"octetDeltaCount": np.zeros((2, 2, 2))})


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("octets", [build.flows(9), build.strings(9), build.lists(9), build.mixed_flows(9)])
def test_a_batch_comes_as_it_is_with_its_template(octets: list[bytes]) -> None:
    for batch in batches(*octets):
        incoming = columns_of(batch)
        assert incoming.template is batch.template
        assert incoming.names == batch.template.column_names
        assert all(a is b for a, b in zip(incoming.values, batch.columns.values(), strict=True))


@pytest.mark.parametrize("octets", [build.flows(9), build.strings(9), build.mixed_flows(9)])
@pytest.mark.parametrize(
    "style", [{}, {"addresses": "object", "times": "datetime"}, {"times": "text"}, {"addresses": "raw"}]
)
def test_rows_of_a_batch_become_its_columns_again(octets: list[bytes], style: dict[str, Any]) -> None:
    for batch in batches(*octets):
        again = columns_of(batch.rows(**style), template=batch.template)
        assert values(again) == values(columns_of(batch))


def test_columns_that_were_selected_keep_their_lengths_and_scope() -> None:
    fields = [field("exportingProcessId"), field("exportedOctetTotalCount", 4), field("exportedMessageTotalCount")]
    head = build.options_template_set(build.options_template(257, *fields, scope=1))
    octets = build.message(head, build.data_set(257, build.uint(9) + build.uint(5) + build.uint(6, 8)))
    decoder = Decoder(["exportedOctetTotalCount", "exportingProcessId"])
    incoming = columns_of(one(octets, decoder=decoder))
    assert incoming.names == ("exportingProcessId", "exportedOctetTotalCount")
    assert (incoming.lengths, incoming.scope_count, incoming.template) == ((4, 4), 1, None)
    assert values(incoming) == {"exportingProcessId": [9], "exportedOctetTotalCount": [5]}


def test_facts_of_a_message_are_no_elements_and_must_be_left_out() -> None:
    octets = message([field("octetDeltaCount")], build.uint(7, 8))
    batch = one(octets, decoder=Decoder(["octetDeltaCount", "sequence"]))
    with pytest.raises(EncodeError, match=r"sequence is a fact of the Message.*leave it out"):
        columns_of(batch)
    assert values(columns_of(batch, leave_out=["sequence"])) == {"octetDeltaCount": [7]}


def test_the_padding_of_netflow_is_no_column() -> None:
    records = [build.netflow5_record("192.0.2.1", "192.0.2.2", octets=n) for n in (1, 2)]
    (batch,) = batches(build.netflow5(*records), transport="udp")
    incoming = columns_of(batch)
    assert incoming.template is batch.template
    assert incoming.names == batch.schema.names
    again = columns_of(batch.rows(), template=batch.template)
    assert again.names == incoming.names
    assert values(again) == values(incoming)


def test_a_batch_is_put_in_the_order_of_another_template() -> None:
    octets = message([field("octetDeltaCount"), field("protocolIdentifier")], build.uint(7, 8) + b"\6")
    template = Template.of(300, "protocolIdentifier", "octetDeltaCount[4]")
    incoming = columns_of(one(octets), template=template)
    assert incoming.template is template
    assert values(incoming) == {"protocolIdentifier": [6], "octetDeltaCount": [7]}


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "number", "length"),
    [
        ("octetDeltaCount", "1", None),
        ("octet_delta_count", "1", None),
        ("source_ipv4_address", "8", None),
        ("1", "1", None),
        ("_0_1", "1", None),
        ("octetDeltaCount[4]", "1", 4),
        ("octetDeltaCount(1)<unsigned64>[3]", "1", 3),
        ("octetDeltaCount<unsigned64>", "1", None),
        ("reverseOctetDeltaCount", "29305/1", None),
        ("reverse_octet_delta_count", "29305/1", None),
        ("mine(35566/1)<string>", "35566/1", None),
        ("_35566_7", "35566/7", None),
        ("35566/7", "35566/7", None),
        ("interfaceName[v]", "82", VARIABLE),
    ],
)
def test_a_name_in_any_form_is_an_element(name: str, number: str, length: int | None) -> None:
    incoming = columns_of({name: []})
    assert (incoming.elements[0].number, incoming.lengths[0]) == (number, length)


def test_an_element_that_comes_again_has_a_number() -> None:
    incoming = columns_of({"octetDeltaCount": [1], "octetDeltaCount#2": [2], "octet_delta_count#3": [3]})
    assert values(incoming) == {"octetDeltaCount": [1], "octetDeltaCount#2": [2], "octetDeltaCount#3": [3]}


def test_an_iespec_can_say_that_a_column_is_scope() -> None:
    incoming = columns_of({"samplingInterval": [100], "selectorId{scope}": [7]})
    assert (incoming.names, incoming.scope_count) == (("selectorId", "samplingInterval"), 1)


def test_columns_can_be_made_scope() -> None:
    given = {"samplingInterval": [100], "selectorId": [7], "exportingProcessId": [9]}
    incoming = columns_of(given, scope=["exportingProcessId", "selectorId"])
    assert incoming.names == ("exportingProcessId", "selectorId", "samplingInterval")
    assert incoming.scope_count == 2


def test_scope_that_is_not_there_is_refused() -> None:
    with pytest.raises(EncodeError, match="no column 'selectorId' to be scope"):
        columns_of({"samplingInterval": [1]}, scope=["selectorId"])


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownElement) as refused:
        columns_of([{"octetDeltacount": 1}])
    assert refused.value.suggestions == ("octetDeltaCount",)


def test_a_column_of_an_unknown_name_can_be_left_out() -> None:
    assert values(columns_of([ROW | {"colour": "red"}], leave_out={"colour"})) == COLUMNS
    assert values(columns_of({"colour": ["red"], "octetDeltaCount": [1]}, leave_out=["colour"])) == {
        "octetDeltaCount": [1]
    }


def test_names_replace_those_the_data_have() -> None:
    given = {"bytes": [1], "port": [443], "colour": ["red"]}
    names = ["octetDeltaCount", "sourceTransportPort", ""]
    assert values(columns_of(given, names=names, leave_out=["colour"])) == {
        "octetDeltaCount": [1],
        "sourceTransportPort": [443],
    }


def test_as_many_names_as_columns_are_needed() -> None:
    with pytest.raises(EncodeError, match="1 names for 2 columns"):
        columns_of({"a": [1], "b": [2]}, names=["octetDeltaCount"])


def test_a_bad_iespec_is_refused() -> None:
    with pytest.raises(EncodeError, match="unsigned64 takes 1 to 8 octets"):
        columns_of({"octetDeltaCount[9]": [1]})


def test_columns_go_by_name() -> None:
    with pytest.raises(EncodeError, match="columns go by name, not by 7"):
        columns_of({7: [1]})


def test_a_registry_of_ones_own_gives_names() -> None:
    mine = IANA.extend([IANA.get(35566, 7).__class__(35566, 7, "colour", DataType.STRING)])
    incoming = columns_of({"colour": ["red"]}, registry=mine)
    assert incoming.elements[0].number == "35566/7"
    assert values(incoming) == {"colour": ["red"]}


# ---------------------------------------------------------------- templates


def test_columns_come_in_the_order_of_the_template() -> None:
    template = Template.of(256, "protocolIdentifier", "octetDeltaCount[4]")
    incoming = columns_of({"octet_delta_count": [1], "protocolIdentifier": [6]}, template=template)
    assert values(incoming) == {"protocolIdentifier": [6], "octetDeltaCount": [1]}
    assert incoming.lengths == (1, 4)


def test_fields_without_a_column_are_null() -> None:
    template = Template.of(256, "protocolIdentifier", "interfaceName")
    assert values(columns_of([{"protocolIdentifier": 6}], template=template)) == {
        "protocolIdentifier": [6],
        "interfaceName": [None],
    }


def test_padding_need_not_be_handed_over() -> None:
    template = Template.of(256, "protocolIdentifier", "paddingOctets[3]")
    assert values(columns_of([(6,)], names=["protocolIdentifier"], template=template)) == {
        "protocolIdentifier": [6],
        "paddingOctets": [bytes(3)],
    }


def test_a_column_without_a_field_is_refused() -> None:
    with pytest.raises(EncodeError, match="no field 'octetDeltaCount'; leave the column out, or add the field"):
        columns_of([{"octetDeltaCount": 1}], template=Template.of(256, "protocolIdentifier"))


def test_two_columns_for_a_field_are_refused() -> None:
    with pytest.raises(EncodeError, match="'octetDeltaCount' and 'octet_delta_count' are the same field"):
        columns_of({"octetDeltaCount": [1], "octet_delta_count": [2]}, template=Template.of(256, "octetDeltaCount"))


def test_repeats_are_matched_by_their_number() -> None:
    template = Template.of(256, "octetDeltaCount", "octetDeltaCount")
    given = {"octet_delta_count#2": [2], "octet_delta_count": [1]}
    assert values(columns_of(given, template=template)) == {"octetDeltaCount": [1], "octetDeltaCount#2": [2]}


def test_a_field_of_an_illegal_length_takes_octets() -> None:
    (batch,) = batches(message([field("protocolIdentifier", 3)], b"\1\2\3"))
    assert values(columns_of([{"protocolIdentifier": b"\4\5\6"}], template=batch.template)) == {
        "protocolIdentifier": [b"\4\5\6"]
    }


# ---------------------------------------------------------------- parts


def test_rows_come_in_parts() -> None:
    def rows() -> Iterator[dict[str, int]]:
        for number in range(ROWS + 1):
            yield {"octetDeltaCount": number}

    parts = list(chunks_of(rows()))
    assert [part.count for part in parts] == [ROWS, 1]
    assert values(parts[1]) == {"octetDeltaCount": [ROWS]}


def test_batches_come_one_by_one() -> None:
    given = batches(*build.mixed_flows(9))
    parts = list(chunks_of(iter(given)))
    assert [part.template for part in parts] == [batch.template for batch in given]


def test_a_table_in_one_piece_is_one_part() -> None:
    (part,) = chunks_of({"octetDeltaCount": [1]})
    assert values(part) == {"octetDeltaCount": [1]}


def test_several_tables_are_not_one() -> None:
    with pytest.raises(EncodeError, match="give them one by one, or to chunks_of"):
        columns_of(batches(*build.mixed_flows(9)))


class Source(NamedTuple):
    octet_delta_count: int
    source: Annotated[str, ie("sourceIPv4Address")]


@dataclass
class Kept:
    vlan_id: int


def test_named_tuples_are_what_their_annotations_say() -> None:
    found = values(columns_of([Source(1, "192.0.2.1")]))
    assert found == {"octetDeltaCount": [1], "sourceIPv4Address": [0xC0000201]}


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        ([None], 0, "row 0: None is no record; a record is a dict, a tuple, or an instance of a mapped class"),
        ([(1,), None], 1, "row 1: None is no record"),
        ([{"vlanId": 1}, "vlanId"], 1, "row 1: 'vlanId' is no record"),
        ([(1, 2), {"vlanId": 5}], 1, "row 1 is a dict and row 0 is a tuple or list: hand them over apart"),
        ([{"vlanId": 5}, (1,)], 1, "row 1 is a tuple or list and row 0 is a dict"),
        ([{"vlanId": 5}, Kept(1)], 1, "row 1 is an object and row 0 is a dict"),
        ([Kept(1), (1,)], 1, "row 1 is a tuple or list and row 0 is an object"),
        ([Kept], 0, "is no record"),
        ([b"x" * 200], 0, "… is no record"),
    ],
)
def test_rows_of_several_kinds_and_what_is_no_row_are_refused(rows: list[Any], row: int, words: str) -> None:
    with pytest.raises(EncodeError) as refused:
        columns_of(rows, template=["vlanId"])
    assert refused.value.row == row
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "template", [["octetDeltaCount[4]", "vlanId"], "octetDeltaCount[4]\nvlanId", (IANA.named("vlanId"),)]
)
def test_a_template_may_be_ie_specs(template: Any) -> None:
    assert "vlanId" in columns_of([], template=template).names


@pytest.mark.parametrize("template", [5, [5], b"vlanId", {"vlanId": 2}, Kept])
def test_what_says_no_template_is_refused(template: Any) -> None:
    with pytest.raises(EncodeError, match="a template is a Template or IESpecs such as"):
        columns_of([], template=template)


def test_one_record_is_told_to_be_a_list_of_one() -> None:
    with pytest.raises(EncodeError, match="give a table, or rows, such as a list of one"):
        columns_of(Kept(1))
    with pytest.raises(EncodeError, match="column 'vlanId' is 5, not an array or a list; a list of dicts is records"):
        columns_of({"vlanId": 5})


def test_an_array_may_be_a_value_of_a_dict() -> None:
    found = columns_of([{"basicList\n+sourceTransportPort": np.array([1, 2])}]).values[0]
    assert isinstance(found, Lists)
    assert found.tolist() == [[1, 2]]


def test_a_numpy_array_with_names_is_columns() -> None:
    data = np.array([(1, 80), (2, 443)], [("octetDeltaCount", "u8"), ("sourceTransportPort", ">u2")])
    wanted = {"octetDeltaCount": [1, 2], "sourceTransportPort": [80, 443]}
    for form in (data, data.view(np.recarray)):
        assert values(columns_of(form)) == wanted
        assert [values(part) for part in chunks_of(form)] == [wanted]


def test_a_numpy_array_of_two_dimensions_needs_names() -> None:
    data = np.array([[1, 80], [2, 443]])
    wanted = {"octetDeltaCount": [1, 2], "sourceTransportPort": [80, 443]}
    assert values(columns_of(data, names=["octetDeltaCount", "sourceTransportPort"])) == wanted
    assert values(columns_of(data, template=["octetDeltaCount", "sourceTransportPort"])) == wanted
    with pytest.raises(EncodeError, match="tuples have no names"):
        columns_of(data)
    with pytest.raises(EncodeError, match="1 names for 2 columns"):
        columns_of(data, names=["octetDeltaCount"])


def test_a_path_is_told_to_be_read_first() -> None:
    with pytest.raises(EncodeError, match=r"no records can be made of str: .*; hw\.read reads files"):
        columns_of("flows.ipfix")
