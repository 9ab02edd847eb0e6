"""One Arrow schema over the batches of many Templates."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headwater.batch import Batch, Decoder
from headwater.session import DataSets, Session
from headwater.sinks.arrow import Union, conformed, merged
from tests import build

U16, TEXT = pa.uint16(), pa.string()


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        (U16, U16, U16),
        (pa.null(), U16, U16),
        (U16, pa.null(), U16),
        (pa.list_(pa.null()), pa.list_(U16), pa.list_(U16)),
        (pa.list_(U16), pa.list_(TEXT), None),
        (pa.list_(U16), pa.struct([("x", U16)]), None),
        (pa.struct([("x", U16)]), pa.struct([("y", U16)]), pa.struct([("x", U16), ("y", U16)])),
        (
            pa.struct([("x", pa.list_(pa.struct([("a", U16)])))]),
            pa.struct([("x", pa.list_(pa.struct([("b", TEXT)])))]),
            pa.struct([("x", pa.list_(pa.struct([("a", U16), ("b", TEXT)])))]),
        ),
        (pa.struct([("x", pa.list_(U16))]), pa.struct([("x", pa.list_(TEXT))]), None),
    ],
)
def test_types_grow_until_they_do_not_go_together(a: pa.DataType, b: pa.DataType, both: pa.DataType | None) -> None:
    assert merged(a, b) == both


def test_batches_of_all_templates_fit_the_union() -> None:
    session = Session(transport="file")
    octets = build.file(*build.mixed_flows(30), *build.lists(30, domain=2, mtu=500))
    batches = [Decoder().decode(event) for event in session.receive(octets) if isinstance(event, DataSets)]
    union = Union()
    for batch in batches:
        union.add(batch, batch.schema.names)
    tables = [conformed(batch, union.schema) for batch in batches]
    assert {table.schema for table in tables} == {union.schema}
    for batch, table in zip(batches, tables, strict=True):
        table.validate(full=True)
        assert values(batch.to_arrow()) == [
            {name: prune(value) for name, value in row.items() if name in batch.columns} for row in values(table)
        ]


def values(table: pa.RecordBatch) -> list[dict[str, object]]:
    return [{name: prune(value) for name, value in row.items()} for row in table.to_pylist()]


def prune(value: object) -> object:
    """A value without what another batch added: null children of structs."""
    if isinstance(value, dict):
        return {name: prune(child) for name, child in value.items() if child is not None and child != []}
    if isinstance(value, list):
        return [prune(item) for item in value]
    return value


def test_columns_that_never_come_are_null() -> None:
    union = Union(["octetDeltaCount", "sourceIPv6Address"])
    batch: Batch
    (batch, *_) = [
        Decoder().decode(event)
        for event in Session(transport="file").receive(build.flows(3)[0])
        if isinstance(event, DataSets)
    ]
    union.add(batch, ["octetDeltaCount"])
    assert union.schema.types == [pa.uint64(), pa.null()]
    assert conformed(batch, union.schema)["sourceIPv6Address"].null_count == 3
