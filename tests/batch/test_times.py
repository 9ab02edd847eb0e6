"""Times (RFC 7011 §6.1.7-10) and their eras (§5.2)."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.model.types import DataType
from headwater.wire.values import decode_value
from tests import build
from tests.batch.source import column, field, kinds, message, one

U32 = st.integers(0, 2**32 - 1)


def test_seconds_are_unsigned_and_have_no_era() -> None:
    seconds = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
    values, batch = column("flowStartSeconds", *map(build.uint, seconds))
    assert values.dtype == np.dtype("M8[s]")
    assert [row[0] for row in batch.tuples()] == seconds


def test_milliseconds_beyond_the_type_are_null() -> None:
    counts = [0, 1_388_534_400_123, 2**63 - 1, 2**63, 2**64 - 1]
    values, batch = column("flowStartMilliseconds", *(build.uint(n, 8) for n in counts))
    assert values.dtype == np.dtype("M8[ms]")
    assert [row[0] for row in batch.tuples()] == [*counts[:3], None, None]
    assert kinds(batch) == {"time_range": 2}


def test_the_low_eleven_bits_count_for_nanoseconds_only() -> None:
    fields = [field("flowStartMicroseconds"), field("flowStartNanoseconds")]
    rows = [build.ntp(1_388_534_400, f) * 2 for f in (0x20000000, 0x200007FF, 0x20000001)]
    at = 1_388_534_400_125_000
    batch = one(message(fields, *rows, export_time=1_388_534_400))
    assert list(batch.tuples()) == [(at, at * 1000), (at, at * 1000 + 477), (at, at * 1000)]


@pytest.mark.parametrize("name", ["flowStartMicroseconds", "flowStartNanoseconds"])
def test_the_era_is_that_of_the_export_time(name: str) -> None:
    reference = 2_085_978_500  # 4 s into NTP era 1
    seconds = [0xFFFF_FFFF, 0, 1]
    ticks = 1_000_000 if name.endswith("Microseconds") else 1_000_000_000
    rows = [build.uint(s, 4) + bytes(4) for s in seconds]
    _, batch = column(name, *rows, export_time=reference)
    assert [row[0] for row in batch.tuples()] == [s * ticks for s in (2_085_978_495, 2_085_978_496, 2_085_978_497)]


def test_each_message_has_its_own_reference() -> None:
    head = build.template_set(build.template(256, field("flowStartMicroseconds")))
    data = build.data_set(256, build.uint(0xE000_0000, 4) + bytes(4))
    times = [0, 1_700_000_000, 2**32 - 1]
    batch = one(*(build.message(head, data, export_time=at) for at in times))
    found = [row[0] // 1_000_000 for row in batch.tuples()]
    assert all(abs(a - b) <= 2**31 for a, b in zip(found, times, strict=True))
    assert len({f % 2**32 for f in found}) == 1
    assert len(set(found)) == 2


@given(st.lists(st.tuples(U32, U32, U32), min_size=1, max_size=8), st.sampled_from(["Microseconds", "Nanoseconds"]))
def test_instants_are_those_of_the_scalar_codec(rows: list[tuple[int, int, int]], unit: str) -> None:
    name = f"flowStart{unit}"
    head = build.template_set(build.template(256, field(name)))
    messages = [
        build.message(head, build.data_set(256, build.uint(s) + build.uint(f)), export_time=at) for at, s, f in rows
    ]
    type = DataType.from_label(f"dateTime{unit}")
    expected = [decode_value(type, build.uint(s) + build.uint(f), reference_s=at) for at, s, f in rows]
    assert [row[0] for row in one(*messages).tuples()] == expected


def test_every_microsecond_survives() -> None:
    micros = np.arange(0, 1_000_000, 7)
    fractions = -(-(micros * 2**32) // 1_000_000)
    fractions = -(-fractions // 2048) * 2048
    octets = np.stack([np.full(len(micros), 2_208_988_800), fractions], axis=1).astype(">u4").tobytes()
    head = build.template_set(build.template(256, field("flowStartMicroseconds")))
    sets = [build.data_set(256, octets[at : at + 60_000]) for at in range(0, len(octets), 60_000)]
    batch = one(build.message(head), *(build.message(part, sequence=k * 7500) for k, part in enumerate(sets)))
    assert np.array_equal(batch.columns["flowStartMicroseconds"].view("i8"), micros)  # type: ignore[union-attr]


def test_times_in_rows_are_counts_datetimes_or_text() -> None:
    batch = one(
        message(
            [field("flowStartSeconds"), field("flowStartMilliseconds"), field("flowStartNanoseconds")],
            build.uint(1) + build.uint(1001, 8) + build.ntp(1, 1 << 31),
            build.uint(0) + build.uint(2**62, 8) + build.ntp(0),
            export_time=0,
        )
    )
    first, second = batch.rows(times="int")
    assert list(first.values()) == [1, 1001, 1_500_000_000]
    first, second = batch.rows(times="datetime")
    assert first["flowStartMilliseconds"] == datetime(1970, 1, 1, 0, 0, 1, 1000, UTC)
    assert first["flowStartNanoseconds"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert second["flowStartMilliseconds"] is None
    first, second = batch.rows(times="text")
    assert list(first.values()) == ["1970-01-01T00:00:01", "1970-01-01T00:00:01.001", "1970-01-01T00:00:01.500000000"]
    assert second["flowStartMilliseconds"] == "+146140482-04-24T15:36:27.904"
