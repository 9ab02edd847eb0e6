"""What headwater promises, and whether a measured number keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """The goals of one shape: any of the first two, and the third. 0 = not asked."""

    of_tight: float  # speed as a share of the tight loop's
    records_s: float = 0
    times_fixbuf: float = 0


SHAPES = {
    "S1": Goal(0.45, records_s=60e6),
    "S7": Goal(0.60),
    "S2": Goal(0.50),
    "S3": Goal(0.60, times_fixbuf=3),
    "S4": Goal(0.60, times_fixbuf=3),
    "S5": Goal(0.30, records_s=40e6),
    "S6": Goal(0.30, records_s=35e6),
}
ROWS_S = {"tuples": 4e6, "dicts": 1.7e6}
WRITES_S = {"S1": {"columns": 50e6, "tuples": 6e6, "dicts": 3e6}, "S3": {"columns": 18e6}}
MEMORY_MB = 150
IMPORT_MS = 10
HELP_MS = 100
