"""The time resolver: which fields count, and what is left undecided."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder
from headwater.batch.times import DERIVED
from headwater.model import registry as registries
from headwater.model.template import Template
from tests import build
from tests.batch.made import Made, data_sets
from tests.batch.timed import AT, BOOT, MS, NAMES, UP, UPTIMES, Boots, S, row, rows, up


def ntp(ns: int) -> int:
    """An NTP timestamp of ns since 1970, exact for multiples of 2^-9 s."""
    return (ns // S + 2_208_988_800 << 32) + (ns % S << 32) // S


# ---------------------------------------------------------------- absolute times, and which counts

T0, T1 = (AT - 20) * S, (AT - 10) * S
ABSOLUTE = [
    ("Nanoseconds", ntp),
    ("Microseconds", ntp),
    ("Milliseconds", lambda ns: ns // MS),
    ("Seconds", lambda ns: ns // S),
]


@pytest.mark.parametrize(("unit", "encode"), ABSOLUTE)
def test_times_of_any_unit_are_nanoseconds(unit: str, encode: Any) -> None:
    fields = {f"flowStart{unit}": encode(T0), f"flowEnd{unit}": encode(T1)}
    assert row(fields) == (T0, T1, 10 * S, f"flowStart{unit}")
    assert row({f"flowEnd{unit}": encode(T1)}) == (None, T1, None, f"flowEnd{unit}")
    assert row({f"flowStart{unit}": encode(T0)}) == (T0, None, None, f"flowStart{unit}")


@pytest.mark.parametrize(("unit", "encode"), ABSOLUTE)
def test_zero_is_no_time(unit: str, encode: Any) -> None:
    for export in (AT, 2**32 - 1, 1):
        assert row({f"flowStart{unit}": 0, f"flowEnd{unit}": 0}, export_time=export) == (None,) * 4
        assert row({f"flowStart{unit}": 0, f"flowEnd{unit}": encode(T1)})[:2] == (None, T1)


def test_microseconds_before_the_export_time() -> None:
    fields = {"flowStartDeltaMicroseconds": 2_000_001, "flowEndDeltaMicroseconds": 0}
    assert row(fields) == (AT * S - 2_000_001_000, AT * S, 2_000_001_000, "flowStartDeltaMicroseconds+exportTime")


def test_the_best_of_all_counts_and_the_next_where_it_is_zero() -> None:
    values = {
        "Nanoseconds": (ntp(T0), ntp(T1)),
        "Microseconds": (ntp(T0 + S), ntp(T1 + S)),
        "Milliseconds": ((T0 + 2 * S) // MS, (T1 + 2 * S) // MS),
        "Seconds": (T0 // S + 3, T1 // S + 3),
        "DeltaMicroseconds": (16_000_000, 6_000_000),
    }
    names = [f"flow{end}{unit}" for unit in reversed(values) for end in ("Start", "End")]
    template = Template.of(256, "flowStartSysUpTime", "flowEndSysUpTime", *names)
    records = []
    for dropped in range(5):
        octets = up((UP - 15_000, UP - 5_000))[0]
        for field, name in zip(template.fields[2:], names, strict=True):
            unit = name.removeprefix("flowStart").removeprefix("flowEnd")
            is_there = list(values).index(unit) >= dropped
            octets += build.uint(values[unit][name.startswith("flowEnd")] if is_there else 0, field.length)
        records.append(octets)
    found = rows(template, Made(tuple(records), AT, UP, 9))
    assert [one[:2] for one in found] == [(T0 + k * S, T1 + k * S) for k in range(5)]
    assert [one[3] for one in found] == [
        "flowStartNanoseconds", "flowStartMicroseconds", "flowStartMilliseconds", "flowStartSeconds",
        "flowStartDeltaMicroseconds+exportTime",
    ]  # fmt: skip


def test_ends_can_come_from_different_fields() -> None:
    fields = {"flowStartMilliseconds": T0 // MS, "flowEndSeconds": T1 // S}
    assert row(fields) == (T0, T1, 10 * S, "flowStartMilliseconds; flowEndSeconds")


@pytest.mark.parametrize(("name", "value"), [("Milliseconds", 10_000), ("Microseconds", 10_000_000)])
def test_a_duration_gives_the_other_end(name: str, value: int) -> None:
    length = {f"flowDuration{name}": value}
    source = f"flowDuration{name}"
    assert row({"flowStartSeconds": T0 // S} | length) == (T0, T1, 10 * S, f"flowStartSeconds; {source}")
    assert row({"flowEndSeconds": T1 // S} | length) == (T0, T1, 10 * S, f"{source}; flowEndSeconds")
    assert row({"flowEndSeconds": T1 // S, "flowStartSeconds": T1 // S} | length)[2] == 0
    assert row({"flowEndSeconds": 0, "flowStartSeconds": 0} | length) == (None,) * 4
    assert row(length) == (None,) * 4


def test_events_happen_when_they_are_observed() -> None:
    at = T0 // MS
    source = "observationTimeMilliseconds"
    assert row({source: at}) == (T0, T0, 0, source)
    assert row({source: at, "observationTimeSeconds": 5}) == (T0, T0, 0, source)
    created = row({source: T1 // MS, "flowStartMilliseconds": at})
    assert created == (T0, T1, 10 * S, f"flowStartMilliseconds; {source}")
    assert row({source: at, "flowEndMilliseconds": T1 // MS}) == (None, T1, None, "flowEndMilliseconds")


def test_milliseconds_beyond_int64_nanoseconds_are_null() -> None:
    last = (2**63 - 1) // MS
    template = Template.of(256, "flowStartMilliseconds", "flowEndMilliseconds")
    values = [(last, last + 1), (1, 2**63 - 1), (2**63, 2**64 - 1), (1, last)]
    made = Made(tuple(build.uint(a, 8) + build.uint(b, 8) for a, b in values), version=10)
    found = rows(template, made)
    assert [one[:2] for one in found] == [(last * MS, None), (MS, None), (None, None), (MS, last * MS)]
    assert found[2] == (None,) * 4


def test_a_duration_beyond_int64_is_null() -> None:
    ends = {"flowStartNanoseconds": ntp(-2_000_000_000 * S), "flowEndMilliseconds": (2**63 - 1) // MS}
    start, end, duration, _ = row(ends, export_time=0)
    assert (start, end, duration) == (-2_000_000_000 * S, (2**63 - 1) // MS * MS, None)
    late = {"flowStartMilliseconds": (2**63 - 1) // MS, "flowDurationMilliseconds": 2**32 - 1}
    assert row(late)[1:3] == (None, None)


def test_originals_are_not_touched() -> None:
    fields = ["flowStartMilliseconds", "flowEndMilliseconds", "flowStartSysUpTime", "systemInitTimeMilliseconds"]
    template = Template.of(256, *fields)
    record = build.uint(2**62, 8) + build.uint(0, 8) + bytes(4) + build.uint(0, 8)
    sets = data_sets(template, Made((record, record), AT, UP))
    before = list(Decoder().decode(sets).tuples())
    assert [one[:4] for one in Decoder(derived=NAMES).decode(sets).tuples()] == before


def test_no_records_have_no_times() -> None:
    names = ["flowStartMilliseconds", "flowEndNanoseconds", "flowStartSysUpTime", "flowEndSysUpTime"]
    names += ["flowStartDeltaMicroseconds", "observationTimeSeconds", "flowDurationMilliseconds"]
    everything = Template.of(256, *names)
    assert rows(everything, Made(())) == []
    assert rows(everything, Made((), version=10), options=Boots(BOOT)) == []


def test_one_column_costs_no_other() -> None:
    sets = data_sets(UPTIMES, Made(up((UP - 10, UP)), AT, UP))
    for name in NAMES:
        (only,) = Decoder([name]).decode(sets).tuples()
        assert len(only) == 1
        assert only[0] is not None
    assert tuple(DERIVED) == NAMES


MIXED = Template.of(256, "flowStartMilliseconds", "flowEndNanoseconds", "flowStartMicroseconds", "flowEndSysUpTime[4]")
OCTETS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63])


@settings(max_examples=40)
@given(st.lists(st.tuples(OCTETS, OCTETS, OCTETS, OCTETS), min_size=1, max_size=4))
def test_records_together_are_what_they_are_alone(values: list[tuple[int, ...]]) -> None:
    records = [
        b"".join(
            build.uint(value % 256**field.length, field.length) for field, value in zip(MIXED.fields, one, strict=True)
        )
        for one in values
    ]
    together = rows(MIXED, Made(tuple(records), AT, UP))
    assert together == [rows(MIXED, Made((record,), AT, UP))[0] for record in records]
    for start, end, duration, source in together:
        assert (source is None) == (start is None and end is None)
        assert duration is None or duration == end - start


TIME_FIELDS = [registries.IANA.get(0, id) for id in (21, 22, *range(150, 163), *range(322, 326))]


@settings(max_examples=60)
@given(st.integers(0, 2**63))
def test_any_octets_have_times_or_none(seed: int) -> None:
    pick = random.Random(seed)
    elements = pick.sample(TIME_FIELDS, pick.randrange(1, 8))
    template = Template.of(256, *elements, "octetDeltaCount[1]")

    def octets() -> bytes:
        return b"".join(
            pick.choice((bytes(f.length), b"\xff" * f.length, pick.randbytes(f.length))) for f in template.fields
        )

    versions = pick.choice(((9,), (10,), (5, 9, 10)))
    made = [
        Made(
            tuple(octets() for _ in range(pick.randrange(4))),
            pick.choice((0, AT, 2**32 - 1)),
            pick.choice((0, 1, 2**32 - 1)),
            pick.choice(versions),
            pick.choice((0, 5, 2**32 - 1)),
        )
        for _ in range(3)
    ]
    boots = pick.choice((None, Boots(pick.choice((1, BOOT, 2**63 - 1)), None), Boots(None)))
    found = rows(template, *made, options=boots)
    assert len(found) == sum(len(one.records) for one in made)
    for start, end, duration, source in found:
        assert (source is None) == (start is None and end is None)
        if start is not None and end is not None:
            assert duration == (end - start if abs(end - start) < 2**63 else None)
        else:
            assert duration is None
