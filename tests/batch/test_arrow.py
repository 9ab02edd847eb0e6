"""Arrow: without pyarrow through the C data interface, read back by pyarrow and DuckDB."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import duckdb
import nanoarrow as na
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder
from tests import build
from tests.batch.maker import Maker
from tests.batch.source import batches, data_sets, field, message, one


def test_types_are_those_of_the_model() -> None:
    names = {
        "octetDeltaCount": "uint64", "ingressInterface": "uint32", "vlanId": "uint16", "protocolIdentifier": "uint8",
        "mibObjectValueInteger": "int32", "absoluteError": "double", "dataRecordsReliability": "bool",
        "interfaceName": "string", "paddingOctets": "binary", "sourceMacAddress": "fixed_size_binary[6]",
        "sourceIPv4Address": "uint32", "sourceIPv6Address": "fixed_size_binary[16]",
        "flowStartSeconds": "timestamp[s]", "flowStartMilliseconds": "timestamp[ms]",
        "flowStartMicroseconds": "timestamp[us]", "flowStartNanoseconds": "timestamp[ns]",
        "ipv6ExtensionHeadersFull": "fixed_size_binary[32]",
    }  # fmt: skip
    batch = one(message([field("octetDeltaCount")], bytes(8)), decoder=Decoder(names)).to_arrow()
    assert {f.name: str(f.type) for f in batch.schema} == names
    assert batch.num_rows == 1
    assert pa.schema(Decoder(names).schema) == batch.schema


def test_fields_carry_what_an_exporter_needs() -> None:
    batch = one(message([field("octetDeltaCount", 4)], bytes(4))).to_arrow()
    metadata = {k.decode(): v.decode() for k, v in batch.schema.field(0).metadata.items()}
    assert metadata["ipfix.length"] == "4"
    assert metadata["ipfix.semantics"] == "deltaCounter"


def test_buffers_are_not_copied() -> None:
    batch = one(message([field("octetDeltaCount")], bytes(8), bytes(8)))
    column = batch.columns["octetDeltaCount"]
    address = column.__array_interface__["data"][0]  # type: ignore[union-attr]
    assert batch.to_arrow().column(0).buffers()[1].address == address


def test_pyarrow_is_not_needed() -> None:
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import nanoarrow as na\n"
        "from tests import build\n"
        "from tests.batch.source import batches\n"
        "for octets in (build.flows(9), build.strings(9), build.lists(9)):\n"
        "    (batch,) = batches(*octets)\n"
        "    assert na.Array(batch).to_pylist() and na.ArrayStream(batch).read_all().to_pylist()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)


def test_a_stream_is_the_batch() -> None:
    (batch,) = batches(*build.flows(100))
    table = pa.table(batch)
    assert table.to_batches() == [batch.to_arrow()]
    assert na.ArrayStream(batch).read_all().to_pylist() == batch.to_arrow().to_pylist()


@pytest.mark.parametrize("octets", [build.flows(50), build.strings(50), build.lists(50)])
def test_duckdb_reads_a_batch(octets: list[bytes]) -> None:
    (batch,) = batches(*octets)
    found = duckdb.sql("SELECT * FROM batch")
    assert found is not None
    assert found.fetchall() == [tuple(row.values()) for row in batch.to_arrow().to_pylist()]


def test_no_octet_that_is_not_text_leaves_as_text() -> None:
    batch = one(message([field("interfaceName")], build.var(b"\xffbad"), build.var(b"ok"), build.var(b"\xc0")))
    column = batch.to_arrow().column(0)
    assert column.to_pylist() == [None, "ok", None]
    assert column.buffers()[2].to_pybytes()[: column.buffers()[2].size] == b"ok"


def test_lists_of_one_element_are_lists_and_of_several_are_structs() -> None:
    numbers = build.var(build.basic_list((14, 4), build.uint(1)))
    names = build.var(build.basic_list((82, 65535), build.var(b"a")))
    plain = one(message([(291, 65535)], numbers, build.var(b""))).to_arrow()
    assert plain.column(0).to_pylist() == [[1], None]
    assert plain.schema.field(0).type.value_field.metadata[b"ipfix.id"] == b"14"
    mixed = one(message([(291, 65535)], numbers, names, build.var(b""))).to_arrow()
    assert mixed.column(0).to_pylist() == [
        {"egressInterface": [1], "interfaceName": None},
        {"egressInterface": None, "interfaceName": ["a"]},
        None,
    ]


def test_octets_of_an_illegal_length_are_beside_the_values() -> None:
    legal = build.var(build.basic_list((276, 1), b"\x01"))
    illegal = build.var(build.basic_list((276, 2), b"ab"))
    batch = one(message([(291, 65535)], legal, illegal)).to_arrow()
    assert batch.column(0).to_pylist() == [
        {"dataRecordsReliability": [True], "dataRecordsReliability#2": None},
        {"dataRecordsReliability": None, "dataRecordsReliability#2": [b"ab"]},
    ]


def test_lists_without_any_content_have_a_type_still() -> None:
    fields = [(291, 65535), (292, 65535), (293, 65535)]
    batch = one(message(fields, bytes(3))).to_arrow()
    batch.validate(full=True)
    assert batch.to_pylist() == [{"basicList": None, "subTemplateList": None, "subTemplateMultiList": None}]


def test_an_empty_batch_is_an_empty_table() -> None:
    (sets,) = data_sets(message([field("octetDeltaCount"), field("interfaceName")], bytes(8) + build.var(b"a")))
    assert sets.at is not None
    assert sets.size is not None
    sets = replace(sets, count=sets.count * 0, at=sets.at[:, :0], size=sets.size[:, :0])
    table = Decoder().decode(sets).to_arrow()
    table.validate(full=True)
    assert table.num_rows == 0


@settings(max_examples=80)
@given(st.integers(0, 2**63))
def test_arrow_gives_back_what_the_rows_have(seed: int) -> None:
    for sets in data_sets(Maker(random.Random(seed)).octets()):
        batch = Decoder().decode(sets)
        table = batch.to_arrow()
        table.validate(full=True)
        assert table.schema.names == list(batch.columns)
        rows = zip(*(told(f, table.column(f.name)) for f in table.schema), strict=True)
        assert ordered(list(rows)) == ordered(list(batch.tuples()))


def told(of: pa.Field, values: pa.Array) -> list[Any]:
    """An Arrow column as Batch.tuples() has it."""
    kind = (of.metadata or {}).get(b"ipfix.type", b"").decode()
    type = values.type
    if pa.types.is_null(type):  # subTemplateMultiLists without a single group
        return [{}] * len(values)
    if pa.types.is_timestamp(type):
        return values.view(pa.int64()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_list(type):
        items = [told(type.value_field, value.values) if value.is_valid else None for value in values]
        return items
    if not pa.types.is_struct(type):
        found = values.to_pylist()
        return [v and int.from_bytes(v, "big") for v in found] if kind == "unsigned256" else found
    parts = {f.name: told(f, values.field(f.name)) for f in type}
    found = [{name: part[k] for name, part in parts.items()} if v.is_valid else None for k, v in enumerate(values)]
    if kind == "subTemplateMultiList":
        return [v and {int(id): items for id, items in v.items() if items is not None} for v in found]
    if kind:  # one list for each element or Template, of which each row has one
        return [v and next(items for items in v.values() if items is not None) for v in found]
    return found


def ordered(value: Any) -> str:
    """Its repr with the keys of dicts in order, and of nothing sent as if it was null."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key!r}:{ordered(item)}" for key, item in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(ordered, value)) + "]"
    return "{}" if value is None else repr(value)
