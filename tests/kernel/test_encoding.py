from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernel.cases import i32

both_backends = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_memory_for_messages_is_octets_of_the_wanted_number(kernel: ModuleType) -> None:
    for size in (0, 1, 100_000):
        octets = kernel.fresh(size)
        octets[:] = 7
        assert octets.dtype == np.uint8
        assert octets.tolist() == [7] * size
    assert kernel.fresh(100_000) is not octets
    for wrong in (-1, 2**31):
        with pytest.raises(ValueError, match="octets"):
            kernel.fresh(wrong)


def test_records_fill_messages_greedily(kernel: ModuleType) -> None:
    at, first, begin = kernel.pack(i32([4, 4, 3, 10, 1]), 10, 20)
    assert at.tolist() == [20, 24, 48, 71, 101]
    assert first.tolist() == [0, 2, 3, 4, 5]
    assert begin.tolist() == [0, 28, 51, 81, 102]


def test_the_records_of_a_message_are_padded_to_whole_steps_within_the_budget(kernel: ModuleType) -> None:
    at, first, begin = kernel.pack(i32([5, 5, 3, 8]), 11, 20, align=4)  # two steps of four octets
    assert at.tolist() == [20, 48, 53, 76]
    assert first.tolist() == [0, 1, 3, 4]
    assert begin.tolist() == [0, 28, 56, 84]


def test_a_message_has_so_many_records_at_most(kernel: ModuleType) -> None:
    at, first, begin = kernel.pack(i32([2] * 5), 100, 24, most=2)
    assert at.tolist() == [24, 26, 52, 54, 80]
    assert first.tolist() == [0, 2, 4, 5]
    assert begin.tolist() == [0, 28, 56, 82]


@pytest.mark.parametrize(("align", "most"), [(0, 0), (11, 0), (1, -1), (-4, 0)])
def test_steps_larger_than_the_budget_and_negative_numbers_are_refused(
    kernel: ModuleType, align: int, most: int
) -> None:
    with pytest.raises(ValueError, match="aligned"):
        kernel.pack(i32([1]), 10, 0, align=align, most=most)


def test_no_records_need_no_message(kernel: ModuleType) -> None:
    assert [a.tolist() for a in kernel.pack(i32([]), 10, 20)] == [[], [0], [0]]


@pytest.mark.parametrize(
    ("sizes", "budget", "header"), [([0], 10, 0), ([-1], 10, 0), ([11], 10, 0), ([1], 0, 0), ([1], 9, -1)]
)
def test_records_that_fit_no_message_are_refused(
    kernel: ModuleType, sizes: list[int], budget: int, header: int
) -> None:
    with pytest.raises(ValueError, match="budget"):
        kernel.pack(i32(sizes), budget, header)


def test_messages_of_more_than_two_gibioctets_are_refused(kernel: ModuleType) -> None:
    for sizes, header in (([2**30, 2**30, 2**30], 16), ([1], 2**31 - 1), ([2**31 - 1], 1)):
        with pytest.raises(ValueError, match="2 GiB"):
            kernel.pack(i32(sizes), 2**31 - 1, header)


@given(sizes=st.lists(st.integers(1, 50)), budget=st.integers(50, 200), header=st.integers(0, 30))
@both_backends
def test_packed_messages_are_within_budget_and_full(
    kernel: ModuleType, sizes: list[int], budget: int, header: int
) -> None:
    at, first, begin = (a.tolist() for a in kernel.pack(i32(sizes), budget, header))
    for k in range(len(begin) - 1):
        mine = sizes[first[k] : first[k + 1]]
        assert at[first[k]] == begin[k] + header
        assert begin[k + 1] - begin[k] == header + sum(mine)
        assert 0 < sum(mine) <= budget
        following = sizes[first[k + 1] : first[k + 1] + 1]
        assert not following or sum(mine) + following[0] > budget


def test_values_are_cut_to_the_width_of_the_field(kernel: ModuleType) -> None:
    buf = bytearray(b"." * 20)
    columns = [
        np.array([0x0102030405060708], "u8"),
        np.array([-2], "i4"),
        np.array([b"abc"], "V3"),
        np.array([300], "u2"),
    ]
    plan = np.array([(0, 0, 3, 0), (0, 4, 2, 1), (0, 7, 3, 0), (0, 11, 1, 0)], np.int32)
    kernel.scatter(buf, i32([1])[None], plan, columns)
    assert bytes(buf) == b"." + b"\x06\x07\x08" + b"." + b"\xff\xfe" + b"." + b"abc" + b"." + b"\x2c" + b"." * 7


def test_lists_and_strided_arrays_are_columns_too(kernel: ModuleType) -> None:
    buf = bytearray(6)
    columns: list[Any] = [np.arange(6, dtype="u2")[::2]]
    kernel.scatter(buf, i32([0, 2, 4])[None], np.array([(0, 0, 2, 0)], np.int32), columns)
    assert bytes(buf) == struct.pack("!3H", 0, 2, 4)


@given(data=st.data(), n=st.integers(0, 40))
@both_backends
def test_columns_undo_scatter(kernel: ModuleType, data: st.DataObject, n: int) -> None:
    dtypes = data.draw(st.lists(st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f8", "V16", "V5"])))
    widths = [np.dtype(t).itemsize for t in dtypes]
    stride = sum(widths) + 1
    arrays = [
        np.frombuffer(data.draw(st.binary(min_size=n * w, max_size=n * w)), t)
        for w, t in zip(widths, dtypes, strict=True)
    ]
    plan = np.array(
        [(0, sum(widths[:k]), w, t[0] == "i") for k, (w, t) in enumerate(zip(widths, dtypes, strict=True))], np.int32
    )
    at = (stride * np.arange(n, dtype=np.int32))[None]
    buf = bytearray(stride * n)
    kernel.scatter(buf, at, plan.reshape(-1, 4), arrays)
    back = kernel.columns(buf, at, plan.reshape(-1, 4), dtypes)
    assert [c.tobytes() for c in back] == [a.tobytes() for a in arrays]


@given(values=st.lists(st.one_of(st.binary(max_size=20), st.integers(250, 300).map(bytes), st.just(bytes(65535)))))
@both_backends
def test_scan_and_strings_undo_scatter_strings(kernel: ModuleType, values: list[bytes]) -> None:
    ends = np.cumsum([len(v) + (1 if len(v) < 255 else 3) for v in values]).astype(np.int32)
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    buf = bytearray(int(ends[-1]) if values else 0)
    kernel.scatter_strings(buf, ends, offsets, b"".join(values))
    at, size, *_ = kernel.scan(buf, i32([0]), i32([len(buf)]), i32([0, 0]))
    assert at[1].tolist() == ends.tolist()
    found, data = kernel.strings(buf, at[1], size[0])
    assert (found.tolist(), data.tobytes()) == (offsets.tolist(), b"".join(values))


@pytest.mark.parametrize(
    ("length", "end", "total"), [(3, 3, 10), (3, 11, 10), (254, 254, 300), (255, 257, 300), (0, 0, 5)]
)
def test_values_and_their_lengths_must_fit_the_buffer(kernel: ModuleType, length: int, end: int, total: int) -> None:
    with pytest.raises(IndexError):
        kernel.scatter_strings(bytearray(total), i32([end]), i32([0, length]), bytes(length))
    if end <= total:
        kernel.scatter_strings(bytearray(total), i32([end + 1]), i32([0, length]), bytes(length))


def test_a_value_of_more_than_65535_octets_is_refused(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"65536|65535"):
        kernel.scatter_strings(bytearray(70000), i32([69000]), i32([0, 65536]), bytes(65536))


@pytest.mark.parametrize("buf", [b"1234", memoryview(b"1234"), np.frombuffer(b"1234", np.uint8)])
def test_what_cannot_be_written_is_refused(kernel: ModuleType, buf: Any) -> None:
    with pytest.raises(ValueError, match=r"writ|read-only"):
        kernel.scatter(buf, i32([0])[None], np.array([(0, 0, 1, 0)], np.int32), [np.array([1], "u1")])
    with pytest.raises(ValueError, match=r"writ|read-only"):
        kernel.scatter_strings(buf, i32([2]), i32([0, 1]), b"a")


def test_columns_must_be_one_value_per_record(kernel: ModuleType) -> None:
    at, plan = i32([0, 1])[None], np.array([(0, 0, 1, 0)], np.int32)
    for wrong in (np.zeros(1, "u1"), np.zeros(3, "u1"), np.zeros((2, 1), "u1")):
        with pytest.raises(ValueError, match="shape"):
            kernel.scatter(bytearray(4), at, plan, [wrong])


def test_short_values_get_a_length_of_three_octets_where_that_is_wanted(kernel: ModuleType) -> None:
    for shortest, written in ((0, b"\xff\0\x02ab\xff\0\0"), (1, b"\xff\0\x02ab\0"), (3, b"\x02ab\0")):
        buf = bytearray(len(written))
        ends = i32([written.index(b"b") + 1, len(written)])
        kernel.scatter_strings(buf, ends, i32([0, 2, 2]), b"ab", shortest=shortest)
        assert bytes(buf) == written
    with pytest.raises(ValueError, match="256"):
        kernel.scatter_strings(buf, ends, i32([0, 2, 2]), b"ab", shortest=256)
