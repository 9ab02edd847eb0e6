from __future__ import annotations

import struct
from types import ModuleType

import numpy as np
import pytest

from tests import build
from tests.kernel.cases import i32


def test_chain_walks_messages_and_their_sets(kernel: ModuleType) -> None:
    sets = [build.data_set(256, b"abcd"), build.data_set(257, b""), build.data_set(258, b"ef")]
    stream = build.file(build.message(sets[0]), build.message(sets[1], sets[2]))
    parent, tag, body, end, rest = kernel.chain(stream, i32([0]), i32([len(stream)]), 16)
    assert parent.tolist() == [0, 0]
    assert tag.tolist() == [10, 10]
    assert body.tolist() == [16, 40]
    assert end.tolist() == [24, len(stream)]
    assert rest.tolist() == [len(stream)]
    parent, tag, body, end, rest = kernel.chain(stream, body, end, 4)
    assert parent.tolist() == [0, 1, 1]
    assert tag.tolist() == [256, 257, 258]
    assert [stream[a:b] for a, b in zip(body, end, strict=True)] == [b"abcd", b"", b"ef"]
    assert rest.tolist() == [24, len(stream)]


@pytest.mark.parametrize(
    "tail", [b"\x01", b"\x01\x00\x00", b"\x01\x00\x00\x03", b"\x01\x00\x00\x05", b"\x01\x00\xff\xff"]
)
def test_chain_stops_where_a_structure_is_torn_or_its_length_wrong(kernel: ModuleType, tail: bytes) -> None:
    data = build.data_set(256, b"abcd") + tail
    parent, tag, _, _, rest = kernel.chain(data, i32([0]), i32([len(data)]), 4)
    assert (parent.tolist(), tag.tolist(), rest.tolist()) == ([0], [256], [8])


def test_chain_goes_on_with_the_next_span_after_a_torn_one(kernel: ModuleType) -> None:
    data = struct.pack("!HHHH", 1, 2, 3, 4)
    parent, tag, *_, rest = kernel.chain(data, i32([0, 4]), i32([4, 8]), 4)
    assert (parent.tolist(), tag.tolist(), rest.tolist()) == ([1], [3], [0, 8])


def test_chain_of_many_small_structures(kernel: ModuleType) -> None:
    data = build.data_set(300, b"") * 5000
    _, tag, body, end, rest = kernel.chain(data, i32([0]), i32([len(data)]), 4)
    assert (tag == 300).all()
    assert body.tolist() == end.tolist() == list(range(4, 20001, 4))
    assert rest.tolist() == [20000]


def test_results_have_the_dtypes_of_the_contract(kernel: ModuleType) -> None:
    assert [a.dtype.name for a in kernel.chain(b"", i32([]), i32([]), 4)] == [
        "int32",
        "uint16",
        "int32",
        "int32",
        "int32",
    ]
    assert [a.dtype.name for a in kernel.scan(b"", i32([]), i32([]), i32([1, 0]))] == ["int32"] * 4


@pytest.mark.parametrize("header", [3, 0, -1, 65536, 2**70])
def test_chain_refuses_a_header_without_a_length(kernel: ModuleType, header: int) -> None:
    with pytest.raises(ValueError, match=r"65535|header"):
        kernel.chain(b"", i32([]), i32([]), header)


def test_scan_of_fixed_records_leaves_padding(kernel: ModuleType) -> None:
    at, size, count, rest = kernel.scan(bytes(30), i32([2, 20]), i32([17, 30]), i32([4]))
    assert at.tolist() == [[2, 6, 10, 20, 24]]
    assert size.shape == (0, 5)
    assert (count.tolist(), rest.tolist()) == ([3, 2], [14, 28])


def test_scan_finds_both_forms_of_variable_length(kernel: ModuleType) -> None:
    values = [b"", b"abc", bytes(254), bytes(255), bytes(1000)]
    data = b"".join(b"HH" + build.var(v) + b"x" + build.var(v, long=True) + b"T" for v in values)
    at, size, count, rest = kernel.scan(data, i32([0]), i32([len(data)]), i32([2, 1, 1]))
    assert size.tolist() == [[len(v) for v in values]] * 2
    for j in (0, 1):
        assert [data[e - n : e] for e, n in zip(at[j + 1], size[j], strict=True)] == values
    assert [data[p : p + 2] for p in at[0]] == [b"HH"] * 5
    assert (count.tolist(), rest.tolist()) == ([5], [len(data)])


@pytest.mark.parametrize("kept", range(1, 8))
def test_scan_stops_before_a_record_that_runs_past_its_span(kernel: ModuleType, kept: int) -> None:
    record = b"A" + build.var(b"xyz") + b"BB"
    data = record + record[:kept] if kept < 7 else record + record
    _, _, count, rest = kernel.scan(data, i32([0]), i32([len(data)]), i32([1, 2]))
    whole = 2 if kept == 7 else 1
    assert (count.tolist(), rest.tolist()) == ([whole], [7 * whole])


@pytest.mark.parametrize("tail", [b"\xff", b"\xff\x00", b"\xff\x00\x01", b"\x02a"])
def test_scan_never_reads_a_length_beyond_the_span(kernel: ModuleType, tail: bytes) -> None:
    data = tail + b"\x01\x01\x01\x01"
    _, _, count, rest = kernel.scan(data, i32([0]), i32([len(tail)]), i32([0, 0]))
    assert (count.tolist(), rest.tolist()) == ([0], [0])


@pytest.mark.parametrize("fields", [1, 3])
@pytest.mark.parametrize("spans", [1, 7])
def test_scan_finds_many_records_of_empty_values(kernel: ModuleType, fields: int, spans: int) -> None:
    """Many times what the octets let expect."""
    count = 7 * 500
    bounds = np.arange(spans + 1, dtype=np.int32) * (fields * count // spans)
    at, size, found, rest = kernel.scan(
        bytes(fields * count), bounds[:-1].copy(), bounds[1:].copy(), i32([0] * (fields + 1))
    )
    starts = fields * np.arange(count)
    assert (at == np.stack([starts + j for j in range(fields + 1)])).all()
    assert size.shape == (fields, count)
    assert not size.any()
    assert (found.tolist(), rest.tolist()) == ([count // spans] * spans, bounds[1:].tolist())


def test_gaps_that_add_up_to_more_than_32_bits_hold_no_record(kernel: ModuleType) -> None:
    gaps = i32([2**31 - 1, 2**31 - 1, 2**31 - 1])
    at, size, count, rest = kernel.scan(bytes(100), i32([0]), i32([100]), gaps)
    assert (at.shape, size.shape, count.tolist(), rest.tolist()) == ((3, 0), (2, 0), [0], [0])


@pytest.mark.parametrize("gaps", [[], [0], [-1, 5], [2, -1]])
def test_scan_refuses_gaps_that_describe_no_record(kernel: ModuleType, gaps: list[int]) -> None:
    with pytest.raises(ValueError, match=r"gap|no octets"):
        kernel.scan(b"", i32([]), i32([]), i32(gaps))


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2), (0, 11), (11, 11), (-(2**31), 2**31 - 1)])
def test_spans_outside_the_buffer_are_refused(kernel: ModuleType, start: int, end: int) -> None:
    with pytest.raises(IndexError):
        kernel.chain(bytes(10), i32([start]), i32([end]), 4)
    with pytest.raises(IndexError):
        kernel.scan(bytes(10), i32([start]), i32([end]), i32([1]))


def test_starts_and_ends_must_be_as_many(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="2 starts but 1 ends"):
        kernel.chain(bytes(10), i32([0, 1]), i32([1]), 4)


def test_a_span_may_begin_in_any_buffer(kernel: ModuleType) -> None:
    data = build.data_set(256, b"abcd")
    for buffer in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert kernel.chain(buffer, i32([0]), i32([8]), 4)[1].tolist() == [256]
