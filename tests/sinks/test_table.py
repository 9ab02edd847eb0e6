"""All batches as one pyarrow Table."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest

import headwater as hw
from tests import build

MIXED = b"".join(build.mixed_flows(1000))


def test_a_selection_has_the_columns_selected() -> None:
    table = hw.read_table(MIXED, ["octetDeltaCount", "sourceIPv4Address"])
    assert table.schema.names == ["octetDeltaCount", "sourceIPv4Address"]
    assert table.num_rows == 1000
    assert sorted(table["octetDeltaCount"].to_pylist()) == sorted(row[6] for row in build.flow_values(1000))


def test_without_selection_the_columns_are_the_union_of_all_templates() -> None:
    table = hw.read_table(MIXED)
    assert table.schema.names == list(dict.fromkeys([*build.FLOW_NAMES, *build.FLOW6_NAMES, *build.OPTIONS_NAMES]))
    assert table.num_rows == 1010
    assert table["sourceIPv4Address"].null_count == 385
    assert table["exportedFlowRecordTotalCount"].to_pylist().count(None) == 1000


def test_no_records_make_an_empty_table_of_the_selection() -> None:
    nothing = build.message(build.template_set(build.template(256, (1, 4))))
    assert hw.read_table(nothing, ["octetDeltaCount"]).schema == pa.schema([("octetDeltaCount", pa.uint64())])
    assert hw.read_table(nothing).num_rows == 0


def test_lists_of_different_content_share_a_column_where_they_can() -> None:
    def one(element: tuple[int, int], *values: bytes) -> bytes:
        template = build.template_set(build.template(256, (291, build.VARIABLE)))
        return build.message(template, build.data_set(256, build.var(build.basic_list(element, *values))))

    ports, none, names = one((11, 2), build.uint(80, 2)), one((11, 2)), one((82, 4), b"eth0")
    table = hw.read_table([none, ports], select=["basicList"])
    assert table["basicList"].to_pylist() == [[], [80]]
    table = hw.read_table([ports, names, ports])
    assert table.num_rows == 3
    assert [name.split(" ")[0] for name in table.schema.names] == ["basicList", "basicList"]
    assert table.column(0).to_pylist() == [[80], None, [80]]
    assert table.column(1).to_pylist() == [None, ["eth0"], None]


def test_a_field_in_an_illegal_length_has_a_column_of_its_own() -> None:
    good = build.message(build.template_set(build.template(256, (4, 1))), build.data_set(256, b"\x06"))
    odd = build.message(build.template_set(build.template(256, (4, 3))), build.data_set(256, b"abc"))
    table = hw.read_table([good, odd])
    assert table.to_pydict() == {"protocolIdentifier": [6, None], "protocolIdentifier (binary)": [None, b"abc"]}


def test_without_pyarrow_the_extra_that_brings_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(hw.SourceError, match=r"tables need pyarrow: pip install 'headwater\[arrow\]'"):
        hw.read_table(MIXED)
