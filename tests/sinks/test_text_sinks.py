"""NDJSON and CSV: exact values, records that are wanted only."""

from __future__ import annotations

import csv
import io
import json
import math

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headwater.batch import Batch, Decoder
from headwater.session import DataSets, Session
from headwater.sinks.csv import CsvSink
from headwater.sinks.ndjson import NdjsonSink, json_rows
from tests import build


def batch_of(*sets: bytes) -> Batch:
    events = Session(transport="file").receive(build.message(*sets))
    (batch,) = [Decoder().decode(event) for event in events if isinstance(event, DataSets)]
    return batch


def texts(*values: str) -> Batch:
    records = [build.var(value.encode()) for value in values]
    return batch_of(build.template_set(build.template(256, (82, build.VARIABLE))), build.data_set(256, *records))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
def test_any_text_comes_back(values: list[str]) -> None:
    batch = texts(*values)
    out = io.BytesIO()
    assert NdjsonSink(out).write(batch) == len(values)
    assert [json.loads(line)["interfaceName"] for line in out.getvalue().splitlines()] == values
    out = io.BytesIO()
    assert CsvSink(out, ["interfaceName"]).write(batch) == len(values)
    rows = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert rows == [["interfaceName"], *([value] for value in values)]


@given(st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_mask_picks_records(picked: list[bool]) -> None:
    batch = batch_of(
        build.template_set(
            build.template(260, *build.LIST_FIELDS),
            build.template(261, *build.TCP_FIELDS),
            build.template(262, *build.DNS_FIELDS),
        ),
        build.data_set(
            260,
            *(
                build.record(
                    build.uint(i, 8),
                    build.var(build.basic_list((11, 2), build.uint(i, 2))),
                    build.var(build.sub_template_multi_list(build.group(261, build.uint(i), build.uint(2, 1)))),
                )
                for i in range(30)
            ),
        ),
    )
    mask = np.array(picked)
    everything = list(json_rows(batch))
    expected = [row for row, is_in in zip(everything, picked, strict=True) if is_in]
    assert list(json_rows(batch, mask)) == expected
    out = io.BytesIO()
    assert NdjsonSink(out).write(batch, mask) == len(expected)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == json.loads(msgspec.json.encode(expected))


def test_values_without_a_json_number_and_nulls() -> None:
    batch = batch_of(
        build.template_set(build.template(256, (320, 8), (276, 1), (313, 2), (82, build.VARIABLE), (1, 8))),
        build.data_set(
            256,
            build.record(
                build.float64(math.nan), build.uint(1, 1), b"\0\xff", build.var(b""), build.uint(2**64 - 1, 8)
            ),
            build.record(build.float64(0.1), build.uint(7, 1), b"ab", build.var(b"\xff"), build.uint(0, 8)),
        ),
    )
    names = list(batch.schema.names)
    assert [list(row.values()) for row in json_rows(batch, names=names[1:])] == [
        [True, "00ff", "", 2**64 - 1],
        [None, "6162", None, 0],
    ]
    out = io.BytesIO()
    NdjsonSink(out).write(batch)
    assert json.loads(out.getvalue().splitlines()[0])["absoluteError"] is None
    out = io.BytesIO()
    CsvSink(out, [*names, "other"]).write(batch)
    assert out.getvalue().decode().splitlines()[1:] == [
        'NaN,true,00ff,"",18446744073709551615,',
        "0.1,,6162,,0,",
    ]


def test_what_fills_up_text_of_a_fixed_length_is_left_out() -> None:
    batch = batch_of(
        build.template_set(build.template(256, (82, 8), (83, build.VARIABLE))),
        build.data_set(256, b"eth\0\0\0\0\0", build.var(b"a\0")),
    )
    assert batch["interfaceName"].tolist() == ["eth\0\0\0\0\0"]
    out = io.BytesIO()
    CsvSink(out, ["interfaceName"]).write(batch)
    assert out.getvalue() == b"interfaceName\neth\n"
    assert list(json_rows(batch)) == [{"interfaceName": "eth", "interfaceDescription": "a\0"}]
