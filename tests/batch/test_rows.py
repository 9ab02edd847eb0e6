"""Rows are what the columns are."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder, Schema, Strings
from headwater.batch import rows as rows_of
from headwater.batch.cells import Style
from headwater.batch.schema import Column
from headwater.model.types import DataType
from tests import build
from tests.batch.maker import Maker
from tests.batch.source import batches, data_sets, field, message, one


@pytest.mark.parametrize("count", [1, rows_of.CHUNK - 1, rows_of.CHUNK, rows_of.CHUNK + 1, 3 * rows_of.CHUNK])
def test_tuples_and_dicts_are_the_values_sent(count: int) -> None:
    (batch,) = batches(*build.flows(count))
    assert list(batch.tuples()) == build.flow_values(count)
    expected = [dict(zip(build.FLOW_NAMES, row, strict=True)) for row in build.flow_values(count)]
    assert list(batch.rows(addresses="raw")) == expected
    assert len(batch) == batch.num_rows == count


def test_strings_are_the_values_sent_in_every_chunk() -> None:
    count = 2 * rows_of.CHUNK + 7
    (batch,) = batches(*build.strings(count))
    assert list(batch.tuples()) == build.string_values(count)


def test_addresses_are_text_objects_or_raw() -> None:
    octets = build.ipv4("192.0.2.1") + build.ipv6("2001:db8::1") + build.mac("00:00:5e:00:53:01")
    batch = one(message([field(f"source{kind}Address") for kind in ("IPv4", "IPv6", "Mac")], octets))
    values = [list(next(batch.rows(addresses=style)).values()) for style in ("text", "object", "raw")]
    assert values[0] == ["192.0.2.1", "2001:db8::1", "00:00:5e:00:53:01"]
    assert values[1] == [ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1"), "00:00:5e:00:53:01"]
    assert values[2] == [0xC0000201, build.ipv6("2001:db8::1"), build.mac("00:00:5e:00:53:01")]


def test_address_texts_are_right_when_there_are_more_than_are_kept() -> None:
    count = 70_000
    head = build.message(build.template_set(build.template(256, field("sourceMacAddress"))))
    octets = b"".join(build.uint(n, 6) for n in range(count))
    parts = [build.message(build.data_set(256, octets[at : at + 60_000])) for at in range(0, len(octets), 60_000)]
    texts = [row["sourceMacAddress"] for row in one(head, *parts).rows()]
    assert texts == [build.uint(n, 6).hex(":") for n in range(count)]


def test_ipv4_texts_are_those_of_the_standard_library() -> None:
    addresses = [0, 1, 255, 256, 0x0A0B0C0D, 0x7F000001, 0xFFFFFFFE, 0xFFFFFFFF]
    batch = one(message([field("sourceIPv4Address")], *map(build.uint, addresses)))
    assert [row["sourceIPv4Address"] for row in batch.rows()] == [str(ipaddress.IPv4Address(a)) for a in addresses]


HOSTILE = ["__class__", "a'b", 'a"b', "x}for y in()]#", "{v0}", "a\nb", "é\u202e", "\\", "", "None", "a" * 5000]


def test_hostile_names_are_only_names() -> None:
    schema = Schema(tuple(Column(name, DataType.UNSIGNED8) for name in HOSTILE))
    parts = [[n, n + 1] for n in range(len(HOSTILE))]
    first, second = rows_of.dict_maker(schema.names)(parts)
    assert first == {name: n for n, name in enumerate(HOSTILE)}
    assert second == {name: n + 1 for n, name in enumerate(HOSTILE)}


def test_one_column_makes_rows_too() -> None:
    batch = one(message([field("protocolIdentifier")], b"\x06", b"\x07"))
    assert list(batch.tuples()) == [(6,), (7,)]
    assert list(batch.rows()) == [{"protocolIdentifier": 6}, {"protocolIdentifier": 7}]


def test_the_repr_says_what_it_is() -> None:
    text = repr(one(message([field("octetDeltaCount")] * 9, bytes(72))))
    assert text == (
        "<Batch: 1 records of Template 256, domain 1: octetDeltaCount, octetDeltaCount#2, octetDeltaCount#3, "
        "octetDeltaCount#4, octetDeltaCount#5, octetDeltaCount#6, … 3 more>"
    )


def test_a_column_is_found_by_name() -> None:
    batch = one(message([field("octetDeltaCount"), field("interfaceName")], bytes(8) + build.var(b"a")))
    assert batch["interfaceName"] is batch.columns["interfaceName"]
    with pytest.raises(KeyError):
        batch["nothing"]
    with pytest.raises(KeyError):
        batch.schema["nothing"]
    with pytest.raises(TypeError):
        batch.columns["new"] = 1  # type: ignore[index]


def test_strings_are_a_sequence() -> None:
    values = one(message([field("interfaceName")], build.var(b"ab"), build.var(b"\xff"), build.var(b""))).columns[
        "interfaceName"
    ]
    assert isinstance(values, Strings)
    assert (len(values), list(values), values[0], values[1], values[-1]) == (3, ["ab", None, ""], "ab", None, "")
    assert values.raw(-2) == b"\xff"
    for index in (3, -4):
        with pytest.raises(IndexError):
            values.raw(index)
    assert repr(values) == "<Strings: 3 values of text, 1 null>"


def test_lists_are_a_sequence() -> None:
    rows = [build.var(build.basic_list((14, 4), *map(build.uint, range(n)))) for n in range(3)]
    values = one(message([(291, 65535)], *rows, build.var(b""))).columns["basicList"]
    assert (len(values), list(values)) == (4, [[], [0], [0, 1], None])
    assert (values[2], values[-1], values[-2]) == ([0, 1], None, [0, 1])
    with pytest.raises(IndexError):
        values[4]
    assert repr(values) == "<Lists: 4 basicList of egressInterface, 1 null>"


@settings(max_examples=60)
@given(st.integers(0, 2**63))
def test_columns_equal_rows(seed: int) -> None:
    for sets in data_sets(Maker(random.Random(seed)).octets()):
        batch = Decoder().decode(sets)
        names = tuple(batch.columns)
        rows = list(batch.tuples())
        assert repr([tuple(row.values()) for row in batch.rows(addresses="raw")]) == repr(rows)
        columns: list[list[Any]] = []
        for column, values in zip(batch.schema, batch.columns.values(), strict=True):
            is_listed = not hasattr(values, "dtype") or (not column.type.is_time and column.type.label != "unsigned256")
            columns.append(values.tolist() if is_listed else [row[len(columns)] for row in rows])
        assert repr(list(zip(*columns, strict=True))) == repr(rows)
        for style in (Style("text", "text"), Style("object", "datetime")):
            shown = list(batch.rows(addresses=style.addresses, times=style.times))
            assert [tuple(row) for row in shown] == [names] * len(rows)
            for row, raw in zip(shown, rows, strict=True):
                assert all(value is None for value, sent in zip(row.values(), raw, strict=True) if sent is None)


def test_a_batch_tells_how_to_iterate_and_which_columns_it_has() -> None:
    (batch,) = batches(*build.flows(3))
    with pytest.raises(TypeError, match=r"batch\.rows\(\)"):
        list(batch)
    for get in (batch.__getitem__, batch.columns.__getitem__, batch.schema.__getitem__):
        with pytest.raises(KeyError, match="did you mean 'octetDeltaCount'"):
            get("octetDeltaCout")
    assert batch.columns.get("nope") is None
