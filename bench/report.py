"""What a run found, as tables for a person or JSON for a program."""

from __future__ import annotations

import math
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import goals
from shapes import SHAPES

Turns = dict[str, list[float]]  # party -> CPU nanoseconds for a record, turn by turn


@dataclass(frozen=True, slots=True)
class Process:
    """Costs of headwater as a process; NaN = not measured."""

    memory_mb: float
    mebibytes: int
    import_ms: float
    help_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured. columns, writes: shape -> turns; rows: turns; notes: what was not measured or wrong."""

    columns: dict[str, Turns]
    rows: Turns
    writes: dict[str, Turns]
    process: Process | None
    notes: list[str]
    turns: int


@dataclass(frozen=True, slots=True)
class Family:
    """Shapes whose files are of one kind, and who is shown beside headwater; the values are formats of numbers."""

    name: str
    title: str
    others: dict[str, str]  # other measurements of headwater
    rivals: dict[str, str]


TITLES = {"tight": "tight C"}
FAMILIES = (
    Family(
        "ipfix",
        "bytes to columns (or to the party's own records)",
        {},
        {"libfixbuf": ".1f", "python-ipfix": ".0f", "netflume": ".0f"},
    ),
    Family(
        "pcap",
        "capture to columns (nfdump: its own stored flows, read; netflume, netflow: payloads to records)",
        {"five columns": ".1f"},
        {"nfdump": ".1f", "netflume": ".0f", "netflow": ".0f"},
    ),
)


def nanoseconds(turns: Turns, party: str) -> float:
    """The median turn of a party, NaN if it was not measured."""
    return statistics.median(turns[party]) if turns.get(party) else math.nan


def ratio(turns: Turns, rival: str) -> float:
    """How many times as fast as the rival headwater is."""
    return nanoseconds(turns, rival) / nanoseconds(turns, "headwater")


def spread(turns: Turns) -> float:
    """Half the range that the middle half of turn-by-turn ratios to the tight loop covers: how far to trust them."""
    pairs = list(zip(turns.get("tight", ()), turns.get("headwater", ()), strict=False))
    if len(pairs) < 4:
        return math.nan
    low, _, high = statistics.quantiles([theirs / ours for theirs, ours in pairs], n=4)
    return (high - low) / 2


def verdict(kept: bool, goal: str, measured: float) -> str:
    return "" if math.isnan(measured) else f"ok ({goal})" if kept else f"MISS ({goal})"


def tight_verdict(shape: str, turns: Turns) -> str:
    goal = goals.SHAPES.get(shape)
    share, speed = ratio(turns, "tight"), 1e9 / nanoseconds(turns, "headwater")
    if goal is None:
        return ""
    text = f"{goal.of_tight:.0%}" + (f" or {goal.records_s / 1e6:.0f} M/s" if goal.records_s else "")
    fast = bool(goal.records_s) and speed >= goal.records_s
    return verdict(share >= goal.of_tight or fast, text, speed if goal.records_s else share)


def fixbuf_verdict(shape: str, turns: Turns) -> str:
    goal, times = goals.SHAPES.get(shape), ratio(turns, "libfixbuf")
    return verdict(times >= goal.times_fixbuf, f"{goal.times_fixbuf:.0f}", times) if goal and goal.times_fixbuf else ""


def number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def table(head: list[str], rows: list[list[str]], left: set[int]) -> list[str]:
    """Aligned lines; columns in `left` are flush left, the others flush right."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]


def to_text(report: Report) -> str:
    lines = [title(report.turns)]
    for family in FAMILIES:
        columns = {shape: turns for shape, turns in report.columns.items() if SHAPES[shape].family == family.name}
        lines += family_lines(family, columns) if columns else []
    if report.rows:
        lines += ["", "Python rows a second, in millions (S1)"]
        lines += table(
            ["rows", "M rows/s", "goal"],
            [row_line(name, report.rows, goals.ROWS_S) for name in report.rows],
            left={0, 2},
        )
    for shape, turns in report.writes.items():
        lines += [
            "",
            f"Records a second written as messages of 1,420 octets, in millions ({shape}: {SHAPES[shape].title})",
        ]
        lines += table(
            ["from", "M rec/s", "goal"], [row_line(name, turns, goals.WRITES_S[shape]) for name in turns], left={0, 2}
        )
    if report.process:
        lines += ["", *table(["process", "measured", "goal"], process_lines(report.process), left={0, 2})]
    return "\n".join([*lines, *(["", "not measured, or wrong:"] if report.notes else []), *report.notes])


def family_lines(family: Family, columns: dict[str, Turns]) -> list[str]:
    """The two tables of the shapes of one family: costs, and headwater against goals and rivals."""
    costs = {"headwater": ".1f", **family.others, "tight": ".1f", **family.rivals}
    lines = ["", f"CPU nanoseconds for a record, {family.title}"]
    lines += table(
        ["shape", *(TITLES.get(party, party) for party in costs), ""],
        [
            [shape, *(number(nanoseconds(turns, party), form) for party, form in costs.items()), SHAPES[shape].title]
            for shape, turns in columns.items()
        ],
        left={0, len(costs) + 1},
    )
    lines += ["", "headwater: records a second, speed as a share of the tight loop's and in multiples of the rivals'"]
    head, left = ["shape", "M rec/s", "of tight", "+-", "goal"], {0, 4}
    rows = [
        [shape, number(1e3 / nanoseconds(turns, "headwater"), ".1f"), number(ratio(turns, "tight"), ".0%"),
         number(spread(turns), ".0%"), tight_verdict(shape, turns)]
        for shape, turns in columns.items()
    ]  # fmt: skip
    for rival, form in family.rivals.items():
        head.append(f"x {rival}")
        for row, turns in zip(rows, columns.values(), strict=True):
            row.append(number(ratio(turns, rival), form))
        if rival == "libfixbuf":
            left.add(len(head))
            head.append("goal")
            for row, (shape, turns) in zip(rows, columns.items(), strict=True):
                row.append(fixbuf_verdict(shape, turns))
    return lines + table(head, rows, left)


def title(turns: int) -> str:
    """What ran where: ratios travel between machines, nanoseconds do not."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    python = f"Python {platform.python_version()}"
    return f"headwater bench: {cpu}, {os.cpu_count()} cores, {python}; CPU time, median of {turns} interleaved turns"


def row_line(name: str, turns: Turns, known: dict[str, float]) -> list[str]:
    speed = 1e9 / nanoseconds(turns, name)
    goal = known.get(name.removeprefix("headwater "))
    return [name, number(speed / 1e6, ".2f"), verdict(speed >= goal, f"{goal / 1e6:.1f}", speed) if goal else ""]


def process_lines(costs: Process) -> list[list[str]]:
    rows = (
        (f"peak memory, streaming {costs.mebibytes} MiB", costs.memory_mb, goals.MEMORY_MB, "MB"),
        ("import headwater, over bare python", costs.import_ms, goals.IMPORT_MS, "ms"),
        ("headwater --help, over bare python", costs.help_ms, goals.HELP_MS, "ms"),
    )
    return [
        [name, f"{number(value, '.1f')} {unit}", verdict(value <= goal, f"{goal} {unit}", value)]
        for name, value, goal, unit in rows
    ]


def to_json(report: Report) -> dict[str, Any]:
    """The same as plain data; what was not measured is null."""

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    shapes = {
        shape: {
            "ns_per_record": {party: known(nanoseconds(turns, party)) for party in turns},
            "turns": turns,
            "ratio": {party: known(ratio(turns, party)) for party in turns if party != "headwater"},
            "tight_goal": tight_verdict(shape, turns),
            "libfixbuf_goal": fixbuf_verdict(shape, turns),
        }
        for shape, turns in report.columns.items()
    }

    def speeds(turns: Turns, unit: str) -> dict[str, dict[str, float | None]]:
        return {name: {unit: known(1e9 / nanoseconds(turns, name))} for name in turns}

    rows = speeds(report.rows, "rows_per_s")
    writes = {shape: speeds(turns, "records_per_s") for shape, turns in report.writes.items()}
    costs = {name: known(value) for name, value in asdict(report.process).items()} if report.process else None
    return {
        "title": title(report.turns), "shapes": shapes, "rows": rows, "writing": writes, "process": costs,
        "notes": report.notes,
    }  # fmt: skip
