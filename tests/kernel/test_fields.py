from __future__ import annotations

import gc
import struct
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.kernel.cases import i32


def plan(*rows: tuple[int, int, int, int]) -> npt.NDArray[np.int32]:
    return np.array(rows, np.int32).reshape(-1, 4)


def one(kernel: ModuleType, wire: bytes, dtype: Any, *, signed: bool = False, before: int = 0) -> Any:
    """`wire` as a column of one item, `before` octets after the start of the buffer."""
    column = kernel.columns(
        bytes(before) + wire, np.array([[before]], np.int32), plan((0, 0, len(wire), signed)), [dtype]
    )[0]
    assert column.dtype == np.dtype(dtype)
    return column.tolist()[0]


@pytest.mark.parametrize("before", [0, 3, 20])
@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("signed", [False, True])
def test_integers_of_every_width_are_widened(kernel: ModuleType, width: int, signed: bool, before: int) -> None:
    bits = 8 * width
    values = [-(2 ** (bits - 1)), -1, 0, 1, 2 ** (bits - 1) - 1] if signed else [0, 1, 2 ** (bits - 1), 2**bits - 1]
    for item in (1, 2, 4, 8):
        if item >= width:
            for value in values:
                wire = value.to_bytes(width, "big", signed=signed)
                assert one(kernel, wire, f"{'i' if signed else 'u'}{item}", signed=signed, before=before) == value


def test_floats_and_times_are_read_by_their_bits(kernel: ModuleType) -> None:
    assert one(kernel, struct.pack("!f", 1.5), "f4") == 1.5
    assert one(kernel, struct.pack("!d", -2.25), "f8") == -2.25
    assert one(kernel, struct.pack("!Q", 1_700_000_000_123), "M8[ms]").isoformat() == "2023-11-14T22:13:20.123000"


@pytest.mark.parametrize("width", [1, 2, 5, 6, 8, 16, 32, 65535])
def test_raw_octets_are_taken_as_they_are(kernel: ModuleType, width: int) -> None:
    wire = (bytes(range(256)) * 256)[:width]
    column = kernel.columns(wire + wire, i32([0, width])[None], plan((0, 0, width, 0)), [f"V{width}"])[0]
    assert column.tobytes() == wire + wire


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 33, 1000])
def test_columns_of_any_number_of_records(kernel: ModuleType, count: int) -> None:
    records = [(k % 256, k * 257 % 65536, k * 65537 % 2**32, k * 2**40 + k) for k in range(count)]
    wire = b"".join(struct.pack("!BHIQ", *r) for r in records)
    layout = plan((0, 0, 1, 0), (0, 1, 2, 0), (0, 3, 4, 0), (0, 7, 8, 0))
    dtypes = [np.dtype(t) for t in ("u1", "u2", "u4", "u8")]
    columns = kernel.columns(wire, (15 * np.arange(count, dtype=np.int32))[None], layout, dtypes)
    assert list(zip(*(c.tolist() for c in columns), strict=True)) == records
    runs = kernel.runs(wire, i32([0]), i32([count]), 15, layout, dtypes)
    assert [c.tolist() for c in runs] == [c.tolist() for c in columns]


def test_fields_are_found_from_any_row_of_positions(kernel: ModuleType) -> None:
    at = np.array([[0, 10], [4, 19]], np.int32)
    columns = kernel.columns(bytes(range(30)), at, plan((1, -2, 2, 0), (0, 1, 1, 0), (1, 1, 1, 0)), ["u2", "u1", "u1"])
    assert [c.tolist() for c in columns] == [[0x0203, 0x1112], [1, 11], [5, 20]]


def test_the_rows_of_a_scan_are_accepted_as_they_are(kernel: ModuleType) -> None:
    wire = b"A\x02xxB" * 3 + b"A\x09"
    at, *_ = kernel.scan(wire, i32([0]), i32([len(wire)]), i32([1, 1]))
    columns = kernel.columns(wire, at, plan((0, 0, 1, 0), (1, 0, 1, 0)), ["V1", "V1"])
    assert [c.tobytes() for c in columns] == [b"AAA", b"BBB"]


def test_runs_of_several_spans_join_in_order(kernel: ModuleType) -> None:
    wire = bytes(range(250))
    starts, counts = [200, 0, 7, 3, 100], [9, 0, 1, 5, 20]
    column = kernel.runs(wire, i32(starts), i32(counts), 5, plan((0, 2, 1, 0)), ["u1"])[0]
    assert column.tolist() == [s + 5 * k + 2 for s, n in zip(starts, counts, strict=True) for k in range(n)]


def test_runs_of_no_records_are_no_values_even_of_no_octets(kernel: ModuleType) -> None:
    assert kernel.runs(b"", i32([0, 0, 9]), i32([0, 0, 0]), 8, plan((0, 0, 8, 0)), ["u8"])[0].shape == (0,)


def test_a_template_of_16370_fields_is_decoded(kernel: ModuleType) -> None:
    count = 16370
    layout = np.array([(0, k, 1, 0) for k in range(count)], np.int32)
    wire = bytes(k % 251 for k in range(2 * count))
    for columns in (
        kernel.columns(wire, i32([0, count])[None], layout, ["u1"] * count),
        kernel.runs(wire, i32([0]), i32([2]), count, layout, ["u1"] * count),
    ):
        assert [c.tolist() for c in columns] == [[k % 251, (k + count) % 251] for k in range(count)]


def test_no_fields_give_no_columns(kernel: ModuleType) -> None:
    assert kernel.columns(b"abc", i32([0, 1])[None], plan(), []) == []
    assert kernel.runs(b"abc", i32([0]), i32([2**31 - 1]), 1, plan(), []) == []


@pytest.mark.parametrize(
    ("position", "delta"),
    [(-1, 0), (0, -1), (97, 0), (0, 97), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (2**31 - 1, -5)],
)
def test_fields_outside_the_buffer_are_refused(kernel: ModuleType, position: int, delta: int) -> None:
    with pytest.raises(IndexError):
        kernel.columns(bytes(100), i32([50, position])[None], plan((0, delta, 4, 0)), ["u4"])
    with pytest.raises(IndexError):
        kernel.runs(bytes(100), i32([position]), i32([1]), 4, plan((0, delta, 4, 0)), ["u4"])


@pytest.mark.parametrize("count", [-1, 26, 2**31 - 1])
def test_runs_outside_the_buffer_are_refused(kernel: ModuleType, count: int) -> None:
    with pytest.raises(IndexError):
        kernel.runs(bytes(100), i32([0]), i32([count]), 4, plan((0, 0, 4, 0)), ["u4"])


@pytest.mark.parametrize("row", [-1, 1, 2**31 - 1])
def test_a_row_that_is_not_there_is_refused_even_without_records(kernel: ModuleType, row: int) -> None:
    for n in (0, 3):
        with pytest.raises(IndexError):
            kernel.columns(bytes(100), np.zeros((1, n), np.int32), plan((row, 0, 4, 0)), ["u4"])
        with pytest.raises(IndexError):
            kernel.runs(bytes(100), i32([0]), i32([n]), 4, plan((row, 0, 4, 0)), ["u4"])


@pytest.mark.parametrize(
    ("width", "dtype"),
    [
        *((0, "u1"), (-1, "u4"), (5, "u4"), (9, "u8"), (4, "V5"), (65536, "V65536"), (0, "V0")),
        *((4, ">u4"), (8, "O"), (1, "?"), (8, "c8"), (4, "S4"), (4, "U1"), (4, "i2,i2")),
    ],
)
def test_a_field_that_does_not_fit_its_column_is_refused(kernel: ModuleType, width: int, dtype: str) -> None:
    with pytest.raises(ValueError, match=r"octets|column"):
        kernel.columns(bytes(100), i32([0])[None], plan((0, 0, width, 0)), [dtype])


def test_a_plan_must_have_four_numbers_for_every_column(kernel: ModuleType) -> None:
    at = i32([0])[None]
    for wrong, dtypes in ((plan((0, 0, 1, 0)), []), (plan(), ["u1"]), (np.zeros((1, 3), np.int32), ["u1"])):
        with pytest.raises(ValueError, match="plan"):
            kernel.columns(bytes(10), at, wrong, dtypes)


def test_columns_stay_as_they_are_while_others_come_and_go(kernel: ModuleType) -> None:
    count = 50_000  # more than the blocks of memory that are kept for the next result
    kept = []
    for value in range(6):
        wire = bytes((value,)) * (8 * count)
        kept += kernel.runs(wire, i32([0]), i32([count]), 8, plan((0, 0, 8, 0), (0, 0, 1, 0)), ["u8", "u1"])
        del kept[2 * value :: 2]
    gc.collect()
    assert [int(c[0]) & 0xFF for c in kept] == [int(c[-1]) & 0xFF for c in kept]
    assert all((c == c[0]).all() for c in kept)


def test_columns_can_be_written_and_start_on_cache_lines(kernel: ModuleType) -> None:
    columns = kernel.runs(bytes(300), i32([0]), i32([30]), 10, plan((0, 0, 1, 0), (0, 1, 8, 0)), ["u1", "u8"])
    for column in columns:
        column[:] = 7
        assert column.flags.c_contiguous
        if kernel.__name__.endswith("_kernel"):
            assert column.__array_interface__["data"][0] % 64 == 0
