"""Measure headwater against a tight C loop and others that read or write IPFIX and NetFlow: `make bench`.

Every number is process CPU time. The parties take turns on the same bytes and the median turn counts, so what slows
the machine down for a while slows all of them; compare ratios, not nanoseconds of different runs.
Before anything is timed, every party must arrive at the totals that were counted when the traffic was made.
Exit code 1: a party failed or disagreed. A missed goal is reported, not an error.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING

import parties
import process
import report
from shapes import LARGE, SHAPES, SMALL, make

if TYPE_CHECKING:
    from collections.abc import Callable

JUDGED = ("S1", "S7", "S2", "S3", "S4", "S5", "S6")
RIVALS: dict[str, dict[str, Callable[[], parties.Party]]] = {  # by what the file is
    "ipfix": {
        "tight": parties.tight,
        "libfixbuf": parties.libfixbuf,
        "python-ipfix": parties.python_ipfix,
        "netflume": parties.netflume,
    },
    "pcap": {
        "tight": parties.tight_netflow,
        "nfdump": parties.nfdump,
        "netflume": parties.netflume,
        "netflow": parties.netflow,
    },
}
NAMES = tuple(dict.fromkeys(name for family in RIVALS.values() for name in family))
ROWS: dict[str, Callable[[], parties.Party]] = {
    "headwater tuples": lambda: parties.headwater("tuples"),
    "headwater dicts": lambda: parties.headwater("dicts"),
    "headwater dicts, bare numbers": lambda: parties.headwater("plain"),
    "python-ipfix tuples": lambda: parties.python_ipfix("tuples"),
    "python-ipfix dicts": parties.python_ipfix,
    "netflume dicts": parties.netflume,
}
WRITES: dict[str, Callable[[], parties.Party]] = {
    "headwater columns": lambda: parties.headwater_writer("columns"),
    "headwater tuples": lambda: parties.headwater_writer("tuples"),
    "headwater dicts": lambda: parties.headwater_writer("dicts"),
    "libfixbuf structs": lambda: parties.libfixbuf("fixbuf_writer"),
    "python-ipfix tuples": lambda: parties.python_ipfix_writer("tuples"),
    "python-ipfix dicts": lambda: parties.python_ipfix_writer("dicts"),
}
WRITTEN = ("S1", "S3")


class Bench:
    """One run of the benchmark: its settings, and what went wrong in it."""

    def __init__(self, *, turns: int, seconds: float) -> None:
        self.turns = turns
        self.seconds = seconds
        self.notes: list[str] = []
        self.failed = False

    def measure(self, what: str, shape: str, wanted: dict[str, Callable[[], parties.Party]]) -> report.Turns:
        """CPU nanoseconds for a record of every party, turn by turn."""
        workers = {name: worker for name, get in wanted.items() if (worker := self.start(what, name, shape, get))}
        turns: report.Turns = {name: [] for name in workers}
        for _ in range(self.turns):
            for name, worker in list(workers.items()):
                try:
                    turns[name].append(worker.run(self.seconds) * 1e9)
                except parties.Absent as reason:
                    self.note(f"{what} {name}: {reason}", failed=True)
                    workers.pop(name).close()
                    del turns[name]
        for worker in workers.values():
            worker.close()
        return turns

    def start(self, what: str, name: str, shape: str, get: Callable[[], parties.Party]) -> parties.Worker | None:
        """A worker whose totals are right, or None and a note."""
        try:
            party = get()
        except parties.Absent as reason:
            self.note(f"{name}: {reason}")
            return None
        file, truth = make(shape, parties.CACHE, SMALL if party.small else LARGE)
        checker = parties.Worker(party, shape, file)
        try:
            found = checker.check()
        except parties.Absent as reason:
            self.note(f"{what} {name}: {reason}", failed=True)
            return None
        finally:
            checker.close()
        if wrong := [f"{key} {value}, not {truth[key]}" for key, value in found.items() if value != truth[key]]:
            self.note(f"{what} {name}: disagrees with the traffic: {'; '.join(wrong)}", failed=True)
            return None
        return parties.Worker(party, shape, file)  # a fresh process: the check leaves a grown heap behind

    def note(self, text: str, *, failed: bool = False) -> None:
        self.failed |= failed
        if text not in self.notes:
            self.notes.append(text)

    def attempt(self, what: str, measure: Callable[[], float]) -> float:
        """A single number, or NaN and a note."""
        try:
            return measure()
        except parties.Absent as reason:
            self.note(f"{what}: {reason}", failed=True)
            return math.nan

    def process(self, mebibytes: int, starts: int) -> report.Process:
        """Start-up costs and peak memory."""
        imported = helped = math.nan
        try:
            imported, helped = process.startup(starts)
        except parties.Absent as reason:
            self.note(f"start-up: {reason}", failed=True)
        file, _ = make("S1", parties.CACHE)
        memory = self.attempt("memory", lambda: process.peak_memory(file, mebibytes << 20))
        return report.Process(memory_mb=memory, mebibytes=mebibytes, import_ms=imported, help_ms=helped)


def main() -> int:
    options = arguments()
    bench = Bench(turns=options.turns, seconds=options.seconds)
    columns = {}
    for shape in options.shapes:
        rivals = {name: get for name, get in RIVALS[SHAPES[shape].family].items() if name in options.rivals}
        wanted = {"headwater": lambda: parties.headwater("columns"), **rivals}
        if SHAPES[shape].family == "pcap":
            wanted["five columns"] = lambda: parties.headwater("five")
        progress(f"{shape}: {SHAPES[shape].title}")
        columns[shape] = bench.measure(shape, shape, wanted)
    rows: report.Turns = {}
    if "rows" in options.parts:
        progress("rows of S1")
        chosen = {*options.rivals, "headwater"}
        rows = bench.measure("rows", "S1", {name: get for name, get in ROWS.items() if name.split()[0] in chosen})
    writes: dict[str, report.Turns] = {}
    if "writing" in options.parts:
        wanted = {name: get for name, get in WRITES.items() if name.split()[0] in {*options.rivals, "headwater"}}
        for shape in WRITTEN:
            progress(f"writing of {shape}")
            writes[shape] = bench.measure(f"writing {shape}", shape, wanted)
    costs = None
    if "process" in options.parts:
        progress("start-up and memory")
        costs = bench.process(options.mebibytes, options.starts)
    result = report.Report(
        columns=columns, rows=rows, writes=writes, process=costs, notes=bench.notes, turns=options.turns
    )
    print(json.dumps(report.to_json(result), indent=2) if options.json else report.to_text(result))
    return int(bench.failed)


def arguments() -> argparse.Namespace:
    def names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
        def read(text: str) -> list[str]:
            chosen = [name for name in text.split(",") if name]
            if unknown := [name for name in chosen if name not in known]:
                raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
            return chosen

        return read

    parser = argparse.ArgumentParser(description="headwater measured against others, as ratios of CPU time")
    lists = (
        ("--shapes", tuple(SHAPES), list(JUDGED), "shapes to measure"),
        ("--rivals", NAMES, list(NAMES), "whom to measure headwater against"),
        (
            "--parts",
            ("rows", "writing", "process"),
            ["rows", "writing", "process"],
            "what to measure besides the shapes",
        ),
    )
    for option, known, default, text in lists:
        parser.add_argument(
            option, type=names(known), default=default, metavar="A,B", help=f"{text}: of {', '.join(known)}"
        )
    parser.add_argument("--turns", type=int, default=9, help="turns of each party; the median counts (9)")
    parser.add_argument("--seconds", type=float, default=0.15, help="CPU seconds of a turn (0.15)")
    parser.add_argument("--starts", type=int, default=15, help="processes started for the start-up costs (15)")
    parser.add_argument(
        "--mebibytes", type=int, default=1024, help="size of the file that memory is measured on (1024)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def progress(text: str) -> None:
    print(f"measuring {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
