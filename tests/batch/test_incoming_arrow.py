"""Arrow from any library: every type that can mean an element's, metadata, chunks, slices and lists."""

from __future__ import annotations

import gc
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import hypothesis
import nanoarrow as na
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from headwater.batch import Decoder
from headwater.batch.incoming import chunks_of, columns_of
from headwater.errors import EncodeError, UnknownElement
from headwater.model.types import DataType
from tests import build
from tests.batch.maker import Maker
from tests.batch.source import batches, data_sets, field, message, one

MAC = bytes.fromhex("00005e005301")
V6 = bytes.fromhex("20010db8000000000000000000000001")


def column(name: str, data: Any, **options: Any) -> Any:
    return columns_of({name: data}, **options).values[0]


@pytest.mark.parametrize(
    ("name", "type", "given", "wanted"),
    [
        *[("octetDeltaCount", type, [1, None, 127], [1, None, 127]) for type in (
            pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64(),
            pa.float16(), pa.float32(), pa.float64(), pa.decimal128(38, 0), pa.decimal256(60, 2),
        )],
        ("octetDeltaCount", pa.string(), ["7", None], [7, None]),
        ("octetDeltaCount", pa.null(), [None, None], [None, None]),
        ("octetDeltaCount", pa.dictionary(pa.int8(), pa.int64()), [5, 6, None, 5], [5, 6, None, 5]),
        ("octetDeltaCount", pa.decimal128(20, 0), [2**64 - 1], [2**64 - 1]),
        ("absoluteError", pa.float16(), [0.5, None], [0.5, None]),
        ("absoluteError", pa.int32(), [1], [1.0]),
        ("dataRecordsReliability", pa.bool_(), [True, None, False] * 5, [True, None, False] * 5),
        *[("interfaceName", type, ["a", None, "a longer text than twelve", ""], None) for type in (
            pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()),
            pa.dictionary(pa.uint8(), pa.large_string()),
        )],
        *[("paddingOctets", type, [b"a", None, b"longer than twelve octets", b""], None) for type in (
            pa.binary(), pa.large_binary(), pa.binary_view(),
        )],
        ("paddingOctets", pa.binary(2), [b"ab", None], [b"ab", None]),
        ("paddingOctets", pa.string(), ["00ff"], [b"\0\xff"]),
        ("interfaceName", pa.binary(), [b"\xc3\xbc"], ["ü"]),
        ("sourceIPv4Address", pa.uint32(), [1, None], [1, None]),
        ("sourceIPv4Address", pa.int64(), [2**32 - 1], [2**32 - 1]),
        ("sourceIPv4Address", pa.string(), ["192.0.2.1", None], [0xC0000201, None]),
        ("sourceIPv4Address", pa.binary(4), [b"\xc0\0\2\1", None], [0xC0000201, None]),
        ("sourceIPv4Address", pa.binary(), [b"\xc0\0\2\1"], [0xC0000201]),
        ("sourceIPv4Address", pa.dictionary(pa.int8(), pa.string()), ["192.0.2.1", None, "192.0.2.1"],
         [0xC0000201, None, 0xC0000201]),
        ("sourceIPv6Address", pa.binary(16), [V6, None], [V6, None]),
        ("sourceIPv6Address", pa.string_view(), ["2001:db8::1", None], [V6, None]),
        ("sourceMacAddress", pa.binary(6), [MAC, None], [MAC, None]),
        ("sourceMacAddress", pa.binary(), [MAC], [MAC]),
        ("ipv6ExtensionHeadersFull", pa.uint8(), [3], [bytes(31) + b"\3"]),
    ],
)  # fmt: skip
def test_types_become_those_of_the_element(name: str, type: pa.DataType, given: list[Any], wanted: Any) -> None:
    array = pa.array(given, type)
    expected = given if wanted is None else wanted
    assert list(column(name, array).tolist()) == expected
    assert list(column(name, array.slice(1)).tolist()) == expected[1:]
    assert list(column(name, pa.chunked_array([array, array.slice(1)])).tolist()) == expected + expected[1:]
    assert list(column(name, array.slice(0, 0)).tolist()) == []
    assert list(column(name, pa.chunked_array([], type)).tolist()) == []


@pytest.mark.parametrize(
    "type",
    [
        pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns"),
        pa.date32(), pa.date64(),
    ],
)  # fmt: skip
def test_times_of_any_unit_are_scaled_exactly(type: pa.DataType) -> None:
    array = pa.array([datetime(2024, 1, 2, tzinfo=UTC), None], pa.timestamp("us", "UTC")).cast(type)
    found = column("flowStartMilliseconds", array)
    assert np.ma.getmaskarray(found).tolist() == [False, True]
    assert found.data.view(np.int64).tolist() == [1_704_153_600_000, 0]
    found = column("flowStartMilliseconds", pa.chunked_array([array, array]))
    assert found.dtype == np.dtype("M8[ms]")
    assert np.ma.getmaskarray(found).tolist() == [False, True, False, True]
    assert found.data.view(np.int64).tolist() == [1_704_153_600_000, 0] * 2


def test_a_time_that_would_be_rounded_is_refused_unless_that_is_allowed() -> None:
    array = pa.array([0, 1500], pa.timestamp("ms"))
    with pytest.raises(EncodeError, match="allow_rounding=True cuts it") as refused:
        column("flowStartSeconds", array)
    assert refused.value.row == 1
    assert column("flowStartSeconds", array, allow_rounding=True).view(np.int64).tolist() == [0, 1]


def test_durations_become_counts_of_the_elements_unit() -> None:
    array = pa.array([timedelta(seconds=1), None], pa.duration("us"))
    assert column("flowDurationMilliseconds", array).tolist() == [1000, None]


def test_decimals_must_be_whole() -> None:
    with pytest.raises(EncodeError, match=r"Decimal\('1.5'\) is no unsigned64"):
        column("octetDeltaCount", pa.array([Decimal("1.5")], pa.decimal128(10, 1)))


def test_a_bad_value_of_a_later_chunk_is_refused_with_its_row_of_all() -> None:
    with pytest.raises(EncodeError) as refused:
        column("protocolIdentifier", pa.chunked_array([[6, 17], [6, 256]]))
    assert (refused.value.column, refused.value.row) == ("protocolIdentifier", 3)


def test_a_bad_value_of_a_dictionary_is_refused_where_it_first_comes() -> None:
    array = pa.array(["192.0.2.1", None, "x", "x"]).dictionary_encode()
    with pytest.raises(EncodeError, match="row 2: 'x' is no ipv4Address"):
        column("sourceIPv4Address", array)


def test_values_of_a_dictionary_that_nobody_uses_are_not_looked_at() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int8()), ["nonsense", "192.0.2.1"])
    assert column("sourceIPv4Address", array).tolist() == [0xC0000201] * 2


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.time32("s")),
        pa.array([[1]]),
        pa.RunEndEncodedArray.from_arrays([1], [5]),
        pa.array([{"a": 1}]),
    ],
    ids=str,
)
def test_types_that_cannot_be_the_elements_are_refused(array: pa.Array) -> None:
    with pytest.raises(EncodeError, match="column 'octetDeltaCount': "):
        column("octetDeltaCount", array)


def test_numbers_are_not_copied() -> None:
    array = pa.array([1, 2], pa.uint64())
    assert column("octetDeltaCount", array).__array_interface__["data"][0] == array.buffers()[1].address


def test_memory_of_arrow_lives_as_long_as_a_column_of_it() -> None:
    gc.collect()
    before = pa.total_allocated_bytes()
    text, items = (
        columns_of(pa.table({name: pa.array(values)}), contents={"basicList": "interfaceName"}).values[0]
        for name, values in (("interfaceName", ["a" * 50] * 1000), ("basicList", [["b" * 50]] * 1000))
    )
    assert pa.total_allocated_bytes() - before > 100_000
    assert text.tolist() == ["a" * 50] * 1000
    assert items.tolist() == [["b" * 50]] * 1000
    del text, items
    assert pa.total_allocated_bytes() <= before


# ---------------------------------------------------------------- tables


def test_a_table_becomes_columns() -> None:
    table = pa.table({"sourceIPv4Address": ["192.0.2.1"], "octetDeltaCount[4]": [7]})
    for given in (table, table.to_batches()[0], table.to_reader(), na.c_array_stream(table)):
        incoming = columns_of(given)
        assert incoming.names == ("sourceIPv4Address", "octetDeltaCount")
        assert incoming.lengths == (None, 4)
        assert [column.tolist() for column in incoming.values] == [[0xC0000201], [7]]


def test_chunks_of_a_table_are_one_column_or_parts() -> None:
    table = pa.table({"octetDeltaCount": pa.chunked_array([[1, 2], [3]])})
    assert columns_of(table).values[0].tolist() == [1, 2, 3]
    assert [part.values[0].tolist() for part in chunks_of(table)] == [[1, 2], [3]]


def test_a_slice_of_a_table_has_its_own_rows() -> None:
    table = pa.table({"octetDeltaCount": list(range(20)), "interfaceName": list("abcdefghijklmnopqrst")})
    incoming = columns_of(table.slice(9, 3))
    assert [column.tolist() for column in incoming.values] == [[9, 10, 11], ["j", "k", "l"]]


def test_a_table_without_rows_has_columns() -> None:
    schema = pa.schema([("octetDeltaCount", pa.uint64()), ("interfaceName", pa.string()), ("vlanId", pa.uint8())])
    for given in (schema.empty_table(), pa.Table.from_batches([], schema)):
        incoming = columns_of(given)
        assert (incoming.count, [column.tolist() for column in incoming.values]) == (0, [[], [], []])


def test_a_result_of_duckdb_becomes_columns() -> None:
    query = "select '192.0.2.1' as source_ipv4_address, sum(n) as octet_delta_count, timestamp '2024-01-02' as \
        flow_start_milliseconds from range(4) as t(n)"
    incoming = columns_of(duckdb.sql(query))
    assert incoming.names == ("sourceIPv4Address", "octetDeltaCount", "flowStartMilliseconds")
    assert [column.tolist() for column in incoming.values] == [[0xC0000201], [6], [datetime(2024, 1, 2)]]


def test_an_array_that_is_no_table_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"give it as \{name: array\}"):
        columns_of(pa.array([1]))


def test_unknown_columns_of_a_table_are_refused_or_left_out() -> None:
    table = pa.table({"octetDeltaCount": [7], "colour": ["red"], "__index_level_0__": [0]})
    with pytest.raises(UnknownElement, match="colour"):
        columns_of(table)
    assert columns_of(table, leave_out=["colour"]).names == ("octetDeltaCount",)
    names = ["octetDeltaCount", "interfaceName", ""]
    assert columns_of(table, names=names).names == ("octetDeltaCount", "interfaceName")


# ---------------------------------------------------------------- metadata


def test_metadata_win_over_names() -> None:
    metadata = {"ipfix.pen": "0", "ipfix.id": "1", "ipfix.type": "unsigned64", "ipfix.length": "4"}
    table = pa.table([[7]], schema=pa.schema([pa.field("interfaceName", pa.int64(), metadata=metadata)]))
    incoming = columns_of(table)
    assert (incoming.names, incoming.lengths) == (("octetDeltaCount",), (4,))


def test_metadata_tell_of_an_element_that_the_registry_lacks() -> None:
    metadata = {
        "ipfix.pen": "35566", "ipfix.id": "9", "ipfix.type": "unsigned16", "ipfix.name": "colour",
        "ipfix.semantics": "identifier", "ipfix.units": "octets",
    }  # fmt: skip
    table = pa.table([[7]], schema=pa.schema([pa.field("x", pa.int64(), metadata=metadata)]))
    (element,) = columns_of(table).elements
    assert (element.number, element.name, element.type) == ("35566/9", "colour", DataType.UNSIGNED16)
    assert (element.semantics_name, element.units_name) == ("identifier", "octets")


def test_metadata_need_not_tell_all() -> None:
    metadata = {"ipfix.id": "1", "ipfix.type": ""}
    table = pa.table([[7]], schema=pa.schema([pa.field("x", pa.int64(), metadata=metadata)]))
    assert columns_of(table).types == (DataType.UNSIGNED64,)
    metadata = {"ipfix.id": "1", "ipfix.type": "unsigned16"}
    table = pa.table([[7]], schema=pa.schema([pa.field("x", pa.int64(), metadata=metadata)]))
    assert [element.type for element in columns_of(table).elements] == [DataType.UNSIGNED16]


def test_metadata_that_make_no_sense_are_refused() -> None:
    metadata = {"ipfix.id": "one", "ipfix.type": "unsigned8"}
    table = pa.table([[7]], schema=pa.schema([pa.field("x", pa.int64(), metadata=metadata)]))
    with pytest.raises(EncodeError, match="x: its metadata is not what headwater writes"):
        columns_of(table)


def test_facts_of_a_message_are_no_elements() -> None:
    octets = message([field("octetDeltaCount")], build.uint(7, 8))
    batch = one(octets, decoder=Decoder(["octetDeltaCount", "exportTime"]))
    with pytest.raises(EncodeError, match="exportTime is a fact of the Message"):
        columns_of(batch.to_arrow())
    assert columns_of(batch.to_arrow(), leave_out=["exportTime"]).names == ("octetDeltaCount",)


@pytest.mark.parametrize("octets", [build.flows(9), build.strings(9), build.lists(9), build.mixed_flows(9)])
def test_what_headwater_exported_comes_back_as_it_was(octets: list[bytes]) -> None:
    for batch in batches(*octets):
        was, now = columns_of(batch), columns_of(batch.to_arrow())
        assert (now.names, now.elements, now.types, now.lengths) == (was.names, was.elements, was.types, was.lengths)
        for a, b in zip(was.values, now.values, strict=True):
            assert list(a.tolist()) == list(b.tolist())


@hypothesis.settings(max_examples=80)
@hypothesis.given(st.integers(0, 2**63))
def test_any_batch_comes_back_from_arrow_as_it_was(seed: int) -> None:
    for sets in data_sets(Maker(random.Random(seed)).octets()):
        batch = Decoder().decode(sets)
        was, now = columns_of(batch), columns_of(batch.to_arrow())
        assert (now.names, now.elements, now.types, now.lengths) == (was.names, was.elements, was.types, was.lengths)
        for a, b in zip(was.values, now.values, strict=True):
            assert shown(list(b.tolist())) == shown(list(a.tolist()))


def shown(value: Any) -> str:
    """Cells as text. Multi lists without items are as null: the export cannot always tell them from each other."""
    if isinstance(value, dict):
        items = {str(key): shown(item) for key, item in value.items()}
        is_multi = all(isinstance(key, int) for key in value)
        return str(sorted(item for item in items.items() if not is_multi or item[1] != "[]") or None)
    return str([shown(item) for item in value]) if isinstance(value, list) else repr(value)


def test_octets_of_an_illegal_length_come_back_as_they_were() -> None:
    batch = one(message([field("protocolIdentifier", 3)], b"\1\2\3"))
    incoming = columns_of(batch.to_arrow())
    assert (incoming.elements[0].type, incoming.types, incoming.lengths) == (
        DataType.UNSIGNED8, (DataType.OCTET_ARRAY,), (3,)
    )  # fmt: skip
    assert incoming.values[0].tolist() == [b"\1\2\3"]
