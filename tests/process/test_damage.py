"""Damaged and cut files: all before the fault, the fault with its offset, and more when asked (H80-H82, RFC 5655)."""

from __future__ import annotations

import gzip
import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.errors import FaultKind
from tests import build

VECTORS = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parent.parent / "vectors" / "vectors.json").read_text())
}
MESSAGES = build.flows(100)
DATA = b"".join(MESSAGES)
MIXED = b"".join(build.mixed_flows(120))
LISTS = b"".join(build.lists(40))
ENDS = list(accumulate(map(len, MESSAGES)))


def octets(id: str) -> bytes:
    return bytes.fromhex("".join(VECTORS[id]["hex"]))


def read_all(data: Any, **how: Any) -> tuple[list[tuple[Any, ...]], hw.Report]:
    reading = hw.read(data, **how)
    rows = [row for batch in reading for row in batch.tuples()]
    return rows, reading.report


def collect(reading: hw.Reading, rows: list[tuple[Any, ...]]) -> None:
    for batch in reading:
        rows += batch.tuples()


def faults(report: hw.Report) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.offset) for fault in report.sources[0].fault_list]


# --- cut short -------------------------------------------------------------------------------------------------------


def test_a_file_cut_at_any_octet_gives_all_messages_before() -> None:
    messages = build.flows(10, mtu=200)
    data, ends = b"".join(messages), list(accumulate(map(len, messages)))
    for cut in range(1, len(data)):
        whole = sum(end <= cut for end in ends)
        rows, report = read_all(data[:cut])
        assert report.messages == whole
        assert rows == build.flow_values(10)[: len(rows)]
        at = ends[whole - 1] if whole else 0
        if cut == at + 1:  # one zero octet: the beginning of a Message, or padding of the file
            assert [offset for _, offset in faults(report)] == [at]
            continue
        expected = [] if cut == at else [(FaultKind.TRUNCATED_TAIL, at)]
        assert faults(report) == expected
        assert report.is_complete is (not expected)


def test_a_torn_message_tells_how_much_is_missing() -> None:
    """H81."""
    _, report = read_all(octets_of_h81())
    assert report.messages == 1
    (fault,) = report.sources[0].fault_list
    assert (fault.kind, fault.offset) == (FaultKind.TRUNCATED_TAIL, 44)
    assert fault.detail == "the last Message has 20 of 28 octets, 8 are missing"


def octets_of_h81() -> bytes:
    first = build.message(
        build.template_set(build.template(256, (8, 4), (1, 4))),
        build.data_set(256, build.ipv4("10.0.0.1"), build.uint(5)),
    )
    return first + build.message(build.data_set(256, build.ipv4("10.0.0.1"), build.uint(5)), sequence=1)[:-8]


def test_a_compressed_file_cut_at_any_octet_gives_all_messages_before() -> None:
    packed = gzip.compress(DATA)
    for cut in range(2, len(packed), 7):
        rows, report = read_all(packed[:cut])
        assert rows == build.flow_values(100)[: len(rows)]
        assert report.faults[FaultKind.TRUNCATED_TAIL] in (1, 2)  # of gzip, and of the Message
        assert not report.is_complete
        assert "gzip data is cut short" in report.sources[0].fault_list[-1].detail


def test_members_that_follow_each_other_and_zeros_after_the_last() -> None:
    """H82."""
    rows, report = read_all(b"".join(map(gzip.compress, MESSAGES)) + bytes(512))
    assert rows == build.flow_values(100)
    assert faults(report) == [(FaultKind.TRAILING_GARBAGE, len(DATA))]
    assert report.faults == {FaultKind.TRAILING_GARBAGE: 512}
    assert report.is_complete


def test_zeros_after_the_last_message_are_trailing_garbage() -> None:
    rows, report = read_all(DATA + bytes(512))
    assert rows == build.flow_values(100)
    assert faults(report) == [(FaultKind.TRAILING_GARBAGE, len(DATA))]


def test_a_bomb_after_a_message_is_read_in_bounded_windows() -> None:
    """H80: the memory it takes is measured by `make bench`; here, that a limit stops it."""
    bomb = gzip.compress(DATA + bytes(64 << 20))
    reading = hw.read(bomb, max_octets=1 << 20)
    with pytest.raises(hw.LimitExceeded):
        list(reading)
    assert reading.report.messages == len(MESSAGES)
    assert hw.read(bomb, max_octets=1 << 30).__class__ is hw.Reading


# --- damaged ---------------------------------------------------------------------------------------------------------


def test_without_resync_reading_ends_where_framing_is_lost() -> None:
    rows, report = read_all(MESSAGES[0] + b"garbage" + b"".join(MESSAGES[1:]))
    assert rows == build.flow_values(100)[: len(rows)]
    assert report.messages == 1
    assert faults(report) == [(FaultKind.FRAMING_LOST, len(MESSAGES[0]))]
    assert report.octets == len(MESSAGES[0])


def test_with_resync_it_goes_on_at_the_next_message() -> None:
    rows, report = read_all(MESSAGES[0] + b"garbage" + b"".join(MESSAGES[1:]), resync=True)
    assert rows == build.flow_values(100)
    assert faults(report) == [(FaultKind.RESYNC, len(MESSAGES[0]))]
    assert report.faults == {FaultKind.RESYNC: 7}
    assert not report.is_complete


def test_with_resync_a_file_may_begin_with_garbage() -> None:
    data = b"\x93garbage" + DATA
    with pytest.raises(hw.SourceError, match="begins with the octets 93 67"):
        read_all(data)
    rows, report = read_all(data, resync=True)
    assert rows == build.flow_values(100)
    assert faults(report) == [(FaultKind.RESYNC, 0)]


def test_the_file_of_rfc_5655_with_damage_between_messages() -> None:
    rows, report = read_all(octets("RFC5655-RESYNC"), resync=True)
    clean, _ = read_all(octets("RFC5655-A"))
    assert rows == clean
    assert (report.messages, report.faults) == (3, {FaultKind.RESYNC: 28})


def test_strict_raises_after_what_came_before_the_fault_with_name_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "cut.ipfix"
    path.write_bytes(DATA[:-10])
    reading = hw.read(path, strict=True)
    rows: list[tuple[Any, ...]] = []
    with pytest.raises(hw.DecodeError) as caught:
        collect(reading, rows)
    assert rows == build.flow_values(100)[: len(rows)]
    assert len(rows) > 50
    assert str(caught.value).startswith(f"{path}: truncated_tail at octet {ENDS[-2]}")
    assert (caught.value.offset, caught.value.kind) == (ENDS[-2], FaultKind.TRUNCATED_TAIL)
    assert reading.report.faults == {FaultKind.TRUNCATED_TAIL: 1}


def test_strict_raises_for_a_compressed_stream_that_is_damaged_or_cut() -> None:
    packed = gzip.compress(DATA)
    broken = bytearray(packed)
    broken[-6] ^= 1
    for data, words in ((packed[:-4], "cut short"), (bytes(broken), "damaged")):
        with pytest.raises(hw.DecodeError, match=words):
            read_all(data, strict=True)
    assert read_all(packed + bytes(8), strict=True)[0] == build.flow_values(100)


def test_salvage_keeps_the_records_before_the_fault() -> None:
    whole, cut = build.var(b"eth0"), build.var(b"eth1", length=200)
    data = build.message(build.template_set(build.template(256, (82, build.VARIABLE))), build.data_set(256, whole, cut))
    assert read_all(data)[0] == []
    rows, report = read_all(data, salvage=True)
    assert rows == [("eth0",)]
    assert report.faults == {FaultKind.VARLEN_OVERRUN: 1}
    assert not report.is_complete


# --- checksums (RFC 5655 §8.1.1) -------------------------------------------------------------------------------------


def test_right_checksums_are_counted() -> None:
    for id, right in (("RFC5655-A", 3), ("RFC5655-MD5", 1)):
        _, report = read_all(octets(id))
        assert (report.checksums_ok, report.checksums_bad) == (right, 0)
        assert report.is_complete


def test_a_wrong_checksum_is_a_fault_of_its_message() -> None:
    rows, report = read_all(octets("RFC5655-BADSUM"))
    assert (report.checksums_ok, report.checksums_bad) == (2, 1)
    assert not report.is_complete
    (fault,) = report.sources[0].fault_list
    assert fault.kind is FaultKind.CHECKSUM
    assert fault.detail.startswith("MD5 of Message 2 ")
    assert len(rows) == 55
    dropped, _ = read_all(octets("RFC5655-BADSUM"), checksum="drop")
    assert len(dropped) < 55
    ignored, report = read_all(octets("RFC5655-BADSUM"), checksum="ignore")
    assert (len(ignored), report.faults) == (55, {})


# --- anything --------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(octets=st.binary(max_size=300), resync=st.booleans(), salvage=st.booleans())
def test_any_octets_give_only_faults(octets: bytes, resync: bool, salvage: bool) -> None:
    rows, report = read_all(b"\x00\x0a" + octets, resync=resync, salvage=salvage)
    assert len(rows) == report.records + report.options_records
    assert report.messages or report.faults
    assert report.to_dict()["octets"] <= len(octets) + 2


@settings(max_examples=100, deadline=None)
@given(data=st.data(), resync=st.booleans(), salvage=st.booleans())
def test_any_change_to_a_file_gives_only_faults(data: st.DataObject, resync: bool, salvage: bool) -> None:
    whole = bytearray(data.draw(st.sampled_from([DATA[:3000], octets("RFC5655-A"), MIXED, LISTS])))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(2, len(whole) - 1))] = data.draw(st.integers(0, 255))
    rows, report = read_all(whole, resync=resync, salvage=salvage)
    assert len(rows) == report.records + report.options_records
    assert sum(1 for _ in hw.records(whole, resync=resync, salvage=salvage)) == len(rows)
