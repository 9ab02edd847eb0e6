"""Session details are promises about the file; what breaks them is reported (RFC 5655 §8.1.2-3)."""

from __future__ import annotations

from typing import Any

import pytest

import headwater as hw
from headwater.errors import FaultKind
from headwater.process.time_window import _same
from tests import build

NOW = build.EXPORT_TIME
UNITS = {"Seconds": 1, "Milliseconds": 10**3, "Microseconds": 10**6, "Nanoseconds": 10**9}
STARTS = {"Seconds": 150, "Milliseconds": 152, "Microseconds": 154, "Nanoseconds": 156}
MINIMA = {"Seconds": 265, "Milliseconds": 272, "Microseconds": 271, "Nanoseconds": 273}
MAXIMA = {"Seconds": 261, "Milliseconds": 269, "Microseconds": 268, "Nanoseconds": 270}


def time(unit: str, seconds: int, fraction: int = 0) -> bytes:
    """Seconds and thousandths in the wire form of a unit."""
    if unit == "Seconds":
        return build.uint(seconds)
    if unit == "Milliseconds":
        return build.uint(seconds * 1000 + fraction, 8)
    return build.ntp(seconds, (fraction << 32) // 1000 + (fraction > 0))


def flows(*times: tuple[bytes, bytes], unit: str, sequence: int = 0, export_time: int = NOW) -> bytes:
    start = STARTS[unit]
    width = 4 if unit == "Seconds" else 8
    template = build.template_set(build.template(256, (start, width), (start + 1, width)))
    sets = [template, build.data_set(256, *(first + last for first, last in times))]
    return build.message(*sets, sequence=sequence, export_time=export_time)


def details(*fields: tuple[int, bytes]) -> list[bytes]:
    specs = [(id, len(octets)) for id, octets in fields]
    template = build.options_template_set(build.options_template(300, (267, 1), *specs, scope=1))
    return [template, build.data_set(300, build.uint(0, 1), *(octets for _, octets in fields))]


def faults(*parts: bytes, window: int = 1 << 22, **how: Any) -> list[tuple[int, int, str]]:
    reading = hw.read(b"".join(parts), **how)
    reading._sources.window = window
    for _ in reading:
        pass
    assert reading.report.is_complete
    assert set(reading.report.faults) <= {FaultKind.SESSION_DETAILS}
    return [(fault.offset, fault.count, fault.detail) for fault in reading.report.sources[0].fault_list]


@pytest.mark.parametrize("stated", UNITS)
@pytest.mark.parametrize("used", UNITS)
def test_flows_outside_the_window_are_counted_from_the_first_message(stated: str, used: str) -> None:
    said = build.message(*details((MINIMA[stated], time(stated, NOW)), (MAXIMA[stated], time(stated, NOW + 10))))
    inside = time(used, NOW), time(used, NOW + 10)
    early, late = (time(used, NOW - 1), time(used, NOW + 1)), (time(used, NOW), time(used, NOW + 11))
    good = flows(inside, inside, unit=used, sequence=1)
    bad = flows(inside, early, late, early, unit=used, sequence=3)
    assert faults(said, good) == []
    at = len(said + good)
    for window in (1 << 22, 100):
        assert faults(said, good, bad, bad[:8] + build.uint(7) + bad[12:], window=window) == [
            (at, 4, f"flowStart{used} outside minFlowStart{stated}"),
            (at, 2, f"flowEnd{used} outside maxFlowEnd{stated}"),
        ]


def test_a_coarse_limit_holds_for_the_whole_of_its_second() -> None:
    said = build.message(*details((MAXIMA["Seconds"], time("Seconds", NOW))))
    flow = time("Milliseconds", NOW), time("Milliseconds", NOW, 999)
    assert faults(said, flows(flow, unit="Milliseconds", sequence=1)) == []
    fine = build.message(*details((MINIMA["Milliseconds"], time("Milliseconds", NOW, 500))))
    assert faults(fine, flows((build.uint(NOW), build.uint(NOW)), unit="Seconds", sequence=1)) == []


def test_messages_outside_the_export_times_are_counted() -> None:
    said = details((264, build.uint(NOW)), (260, build.uint(NOW + 5)))
    first = build.message(*said)
    flow = (build.uint(NOW), build.uint(NOW))
    messages = [
        flows(flow, unit="Seconds", sequence=1 + number, export_time=NOW + extra)
        for number, extra in enumerate((0, 5, 6, 2, -1, 99))
    ]
    what = "Messages with an Export Time outside minExportSeconds..maxExportSeconds"
    at = len(first) + 2 * len(messages[0])
    for window in (1 << 22, 60):
        assert faults(first, *messages, window=window) == [(at, 3, what)]


def test_what_came_before_the_details_is_not_held_against_the_file() -> None:
    early = flows((build.uint(1), build.uint(1)), unit="Seconds", export_time=NOW - 100)
    said = build.message(*details((264, build.uint(NOW)), (MINIMA["Seconds"], build.uint(NOW))), sequence=1)
    for window in (1 << 22, 60):
        assert faults(early, said, window=window) == []
    late = early[:8] + build.uint(2) + early[12:]
    for window in (1 << 22, 60):
        assert [(at, count) for at, count, _ in faults(early, said, late, window=window)] == [
            (len(early + said), 1),
            (len(early + said), 1),
        ]


def test_flows_of_the_same_message_are_held_to_its_details() -> None:
    template = build.template_set(build.template(256, (150, 4)))
    both = [template, build.data_set(256, build.uint(1)), *details((MINIMA["Seconds"], build.uint(NOW)))]
    assert faults(build.message(*both)) == [(0, 1, "flowStartSeconds outside minFlowStartSeconds")]


def test_only_columns_that_were_read_are_compared() -> None:
    said = build.message(*details((MINIMA["Seconds"], build.uint(NOW))))
    bad = flows((build.uint(1), build.uint(NOW)), unit="Seconds", sequence=1)
    assert len(faults(said, bad)) == 1
    assert len(faults(said, bad, select=["flowStartSeconds"])) == 1
    assert faults(said, bad, select=["flowEndSeconds", "flowStartMilliseconds"]) == []


def test_a_time_of_illegal_length_is_not_compared() -> None:
    template = build.template_set(build.template(256, (150, 3)))
    said = build.message(*details((MINIMA["Seconds"], build.uint(NOW))))
    reading = hw.read(said + build.message(template, build.data_set(256, b"abc"), sequence=1))
    for _ in reading:
        pass
    assert FaultKind.SESSION_DETAILS not in reading.report.faults


@pytest.mark.parametrize(
    ("value", "unit", "column", "span"),
    [
        (7, 1, 1, (7, 7)),
        (7, 1, 1000, (7000, 7999)),
        (7999, 1000, 1, (7, 7)),
        (1 << 62, 1, 1000, ((1 << 63) - 1, (1 << 63) - 1)),
    ],
)
def test_values_are_compared_in_the_coarser_unit(value: int, unit: int, column: int, span: tuple[int, int]) -> None:
    assert _same(value, unit, column) == span
