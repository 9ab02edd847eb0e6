"""Uptimes as times: the clock of a header, the boot time of a record or of option records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.batch import Batch, Decoder
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.model import registry as registries
from headwater.model.netflow import widened
from headwater.model.template import Field, Template
from headwater.session import Session
from headwater.session.events import DataSets
from tests import build
from tests.batch.made import Made
from tests.batch.timed import AT, BOOT, DECODER, MS, UP, UPTIMES, Boots, S, row, rows, up
from tests.pcap import read_pcap

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "data"
VECTORS = Path(__file__).parents[1] / "vectors"


def vector(name: str, file: str) -> tuple[bytes, Any]:
    (found,) = [one for one in json.loads((VECTORS / file).read_text()) if one["id"] == name]
    return bytes.fromhex("".join(found["hex"]) if isinstance(found["hex"], list) else found["hex"]), found["expect"]


def decoded(octets: bytes) -> Batch:
    (sets,) = [e for e in Session(transport="udp").receive(octets) if isinstance(e, DataSets)]
    return DECODER.decode(sets)


# ---------------------------------------------------------------- uptime of a NetFlow header


def test_the_vector_of_netflow_9_times() -> None:
    octets, expect = vector("NFV9-TIME", "vectors.json")
    batch = decoded(octets)
    assert [(start // MS, end // MS) for start, end, *_ in batch.tuples()] == [
        (one["start_ms"], one["end_ms"]) for one in expect["derived"]
    ]
    assert {source for *_, source in batch.tuples()} == {"flowStartSysUpTime+header"}


def test_a_time_after_the_header_is_suspect_and_not_49_days_ago() -> None:
    octets, expect = vector("H75", "hostile.json")
    assert expect == "time marked suspect, not year 457400"
    export_ns = 0x45D48CFB * S
    ((start, end, duration, source),) = decoded(octets).tuples()
    assert (start, end) == (export_ns + MS, export_ns + (0x395F80 - 0x393A05) * MS)
    assert duration == end - start
    assert source == "flowStartSysUpTime+header (suspect)"


def test_one_end_can_be_suspect() -> None:
    found = rows(UPTIMES, Made(up((UP - 10, UP + 5), (UP - 10, UP - 5)), AT, UP))
    assert found == [
        (AT * S - 10 * MS, AT * S + 5 * MS, 15 * MS, "flowStartSysUpTime+header; flowEndSysUpTime+header (suspect)"),
        (AT * S - 10 * MS, AT * S - 5 * MS, 5 * MS, "flowStartSysUpTime+header"),
    ]


@pytest.mark.parametrize("version", [1, 5, 7, 8])
def test_the_nanoseconds_of_a_header_count(version: int) -> None:
    made = Made(up((UP - 2000, UP)), AT, UP, version, nanoseconds=123_456_789)
    assert rows(UPTIMES, made)[0][:2] == (AT * S - 2 * S + 123_456_789, AT * S + 123_456_789)


def test_nanoseconds_that_are_more_than_a_second_do_not() -> None:
    made = Made(up((UP - 2000, UP)), AT, UP, 5, nanoseconds=S)
    assert rows(UPTIMES, made)[0][:2] == (AT * S - 2 * S, AT * S)


def test_the_times_of_a_clock_that_was_never_set_are_suspect() -> None:
    found = rows(UPTIMES, Made(up((UP - 2000, UP)), 0, UP, 5, nanoseconds=5), Made(up((UP - 2000, UP)), AT, UP, 5))
    assert [source for *_, source in found] == [
        "flowStartSysUpTime+header (suspect)", "flowStartSysUpTime+header",
    ]  # fmt: skip
    assert found[0][2] == 2000 * MS


@given(st.integers(1, 2**32 - 1), st.integers(0, 2**31), st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1))
def test_uptimes_wrap(export: int, first: int, last: int, uptime: int) -> None:
    pair = (uptime - first) % 2**32, (uptime - last) % 2**32
    if pair == (0, 0) or first == 2**31:  # no uptime at all; half way round nobody can tell
        return
    start, end, duration, source = rows(UPTIMES, Made(up(pair), export, uptime))[0]
    assert (start, end) == (export * S - first * MS, export * S - last * MS)
    assert duration == end - start
    assert source == "flowStartSysUpTime+header"


def test_each_record_has_the_clock_of_its_message() -> None:
    made = [Made(up((UP + k, UP + 10 * k), (UP, UP)), AT + k, UP + 1000 * k) for k in range(4)]
    expected = []
    for k in range(4):
        now = (AT + k) * S
        expected += [(now - 999 * k * MS, now - 990 * k * MS), (now - 1000 * k * MS,) * 2]
    assert [found[:2] for found in rows(UPTIMES, *made)] == expected


def test_zero_uptimes_are_none_except_in_the_first_hour() -> None:
    old, young = Made(up((0, 0), (0, 7)), AT, 3_600_001), Made(up((0, 0), (0, 7)), AT, 3_600_000)
    found = rows(UPTIMES, old, young)
    assert found[0] == (None, None, None, None)
    boots = AT * S - 3_600_001 * MS, AT * S - 3_600_000 * MS
    assert found[1][:3] == (boots[0], boots[0] + 7 * MS, 7 * MS)
    assert found[2] == (boots[1], boots[1], 0, "flowStartSysUpTime+header")
    assert found[3][:3] == (boots[1], boots[1] + 7 * MS, 7 * MS)


def test_uptimes_of_reduced_size_are_uptimes() -> None:
    template = Template.of(256, "flowStartSysUpTime[2]", "flowEndSysUpTime[3]")
    assert rows(template, Made((b"\x00\x0a\x00\x00\x14",), AT, 100))[0][:3] == (
        AT * S - 90 * MS, AT * S - 80 * MS, 10 * MS,
    )  # fmt: skip


def wide(*specs: tuple[int, int]) -> Template:
    """A NetFlow v9 Template of elements in more octets than they have."""
    return Template(256, tuple(Field(widened(registries.IANA.get(0, id), size), size) for id, size in specs))


def test_uptimes_in_8_octets_are_uptimes_and_what_is_no_uptime_is_null() -> None:
    template = wide((22, 8), (21, 8), (160, 8))
    boot = build.uint(BOOT, 8)
    records = [
        build.uint(UP - 10, 8) + build.uint(UP, 8) + boot,
        build.uint(0, 8) + build.uint(0, 8) + boot,
        build.uint((1 << 32) + UP - 10, 8) + build.uint(AT * 1000, 8) + boot,  # beyond 20 years, here: since 1970
    ]
    assert rows(template, Made(tuple(records), AT, UP)) == [
        (AT * S - 10 * MS, AT * S, 10 * MS, "flowStartSysUpTime+header"),
        (None, None, None, None),
        (AT * S - 10 * MS, None, None, "flowStartSysUpTime+header"),
    ]


def test_deltas_and_durations_beyond_32_bits_are_null() -> None:
    most = 2**32 - 1
    deltas = Made((build.uint(2**64 - 1, 8) + build.uint(most, 8),), AT)
    assert rows(wide((158, 8), (159, 8)), deltas)[0][:2] == (None, AT * S - most * 1000)
    durations = Made(tuple(build.uint(AT * 1000, 8) + build.uint(n, 8) for n in (most, most + 1, 1 << 62)), AT)
    assert [found[1] for found in rows(wide((152, 8), (161, 8)), durations)] == [AT * S + most * MS, None, None]


# ---------------------------------------------------------------- uptime after systemInitTimeMilliseconds


def test_the_boot_time_of_the_record_counts() -> None:
    fields = {"flowStartSysUpTime": 1000, "flowEndSysUpTime": 3000, "systemInitTimeMilliseconds": BOOT}
    source = "flowStartSysUpTime+systemInitTimeMilliseconds"
    expected = (BOOT + 1000) * MS, (BOOT + 3000) * MS, 2000 * MS, source
    assert row(fields) == expected
    assert row(fields, options=Boots(BOOT + 77)) == expected


def test_the_boot_time_of_option_records_counts_where_the_record_has_none() -> None:
    fields = {"flowStartSysUpTime": 1000, "flowEndSysUpTime": 3000}
    assert row(fields) == (None,) * 4
    assert row(fields, options=Boots(None)) == (None,) * 4
    assert row(fields, options=Boots(BOOT))[:2] == ((BOOT + 1000) * MS, (BOOT + 3000) * MS)
    zero = fields | {"systemInitTimeMilliseconds": 0}
    assert row(zero) == (None,) * 4
    assert row(zero, options=Boots(BOOT)) == row(fields, options=Boots(BOOT))


def test_boot_times_of_option_records_are_those_of_each_message() -> None:
    made = [Made(up((1000, 3000)), AT, version=10) for _ in range(4)]
    found = rows(UPTIMES, *made, options=Boots(BOOT, None, BOOT + 5))
    assert [one[0] for one in found] == [(BOOT + 1000) * MS, None, (BOOT + 1005) * MS, (BOOT + 1000) * MS]


def test_uptimes_of_a_device_that_is_up_for_long_are_those_near_the_export_time() -> None:
    boot = AT * 1000 - 3 * 2**32 - 50_000
    fields = {"flowStartSysUpTime": 40_000, "flowEndSysUpTime": 49_000, "systemInitTimeMilliseconds": boot}
    start, end, _, source = row(fields)
    assert (start, end) == (AT * S - 10_000 * MS, AT * S - 1000 * MS)
    assert source == "flowStartSysUpTime+systemInitTimeMilliseconds"


def test_what_is_later_than_the_export_time_or_after_20_years_is_suspect() -> None:
    fields = {"flowStartSysUpTime": 5_001_000, "flowEndSysUpTime": 5_001_001, "systemInitTimeMilliseconds": BOOT}
    assert row(fields)[3] == (
        "flowStartSysUpTime+systemInitTimeMilliseconds; flowEndSysUpTime+systemInitTimeMilliseconds (suspect)"
    )
    assert row(fields | {"systemInitTimeMilliseconds": AT})[3].endswith("Milliseconds (suspect)")
    future = row(fields | {"systemInitTimeMilliseconds": 10**12 * 5})
    assert future[0] == (10**12 * 5 + 5_001_000) * MS
    assert future[3].endswith("Milliseconds (suspect)")


def test_uptimes_that_begin_below_2_to_the_32_are_before_the_boot_and_suspect() -> None:
    fields = {"flowStartSysUpTime": 2**32 - 8000, "flowEndSysUpTime": 3000, "systemInitTimeMilliseconds": BOOT}
    start, end, duration, source = row(fields)
    assert (start, end, duration) == ((BOOT - 8000) * MS, (BOOT + 3000) * MS, 11 * S)
    assert source.startswith("flowStartSysUpTime+systemInitTimeMilliseconds (suspect); ")
    assert not source.endswith("(suspect)")


def times_of(capture: str) -> set[tuple[int, int]]:
    """(start, end) of all flows of a capture of one exporter."""
    sets: list[DataSets] = []
    session = Session(transport="udp")
    for datagram in read_pcap(CORPUS / f"{capture}.pcap"):
        sets += [event for event in session.receive(datagram.payload) if isinstance(event, DataSets)]
    tables = OptionsTables()
    for one in sets:
        if one.template.scope_count:
            tables.learn(Decoder(None, OPTIONS_FACTS).decode(one))
    decoder = Decoder(["flowStart", "flowEnd"], options=tables)
    return {pair for one in sets if not one.template.scope_count for pair in decoder.decode(one).tuples()}


@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus")
def test_uptimes_and_option_records_of_softflowd_are_the_milliseconds_it_sends_elsewhere() -> None:
    found = times_of("gen_sf_ipfix")
    assert found == times_of("gen_sf_ipfix_bidir_milli")
    assert len(found) > 20


@pytest.mark.parametrize("boot", [2**63 - 1, 2**63, 2**64 - 1, 9_223_372_036_854])
def test_a_boot_time_beyond_int64_nanoseconds_is_none(boot: int) -> None:
    fields = {"flowStartSysUpTime": 1000, "flowEndSysUpTime": 3000, "systemInitTimeMilliseconds": boot}
    assert row(fields) == (None,) * 4


def test_the_header_counts_before_the_boot_time_and_ipfix_has_none() -> None:
    fields = {"flowStartSysUpTime": 1000, "flowEndSysUpTime": 3000, "systemInitTimeMilliseconds": BOOT}
    assert row(fields, version=9, uptime=4000)[:2] == (AT * S - 3000 * MS, AT * S - 1000 * MS)
    template = Template.of(256, *fields)
    record = b"".join(build.uint(v, f.length) for f, v in zip(template.fields, fields.values(), strict=True))
    both = Made((record, record), AT, 4000, 9), Made((record,), AT, version=10)
    assert [(one[0], one[3]) for one in rows(template, *both)] == [
        (AT * S - 3000 * MS, "flowStartSysUpTime+header"),
        (AT * S - 3000 * MS, "flowStartSysUpTime+header"),
        ((BOOT + 1000) * MS, "flowStartSysUpTime+systemInitTimeMilliseconds"),
    ]
