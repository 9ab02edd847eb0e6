"""Every capture of the corpus on one line each, compared with its truth: python -m tests.corpus.summary [name …].

The exit code is 1 if anything differs that tests/corpus/captures.py does not explain.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from tests.corpus.captures import FOLDER, GRADES
from tests.corpus.reading import Outcome, compare_capture
from tests.corpus.truth import Difference

HEADINGS = ("capture", "versions", "grade", "expected", "decoded", "fields", "explained", "differences", "remark")
_TEXTS = (0, 1, 2, 8)
_SHOWN = 5


def summary(names: Sequence[str]) -> list[Outcome]:
    """Print the table of those captures, a line as soon as it is known, and what differs below it."""
    width = max(map(len, names))
    print(_line(HEADINGS, width), "-" * 120, sep="\n")
    outcomes = []
    for name in names:
        outcomes.append(_compared(name))
        print(_line(_cells(outcomes[-1]), width), flush=True)
    print("-" * 120, _line(_total(outcomes), width), sep="\n")
    print(*differences(outcomes), sep="\n")
    return outcomes


def _compared(name: str) -> Outcome:
    try:
        return compare_capture(FOLDER, name)
    except Exception as bad:  # one capture that cannot be read is one line, and the others follow
        return Outcome(name, differences=[Difference(0, 0, "(exception)", None, repr(bad))])


def differences(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What nothing explains, the first few of each capture."""
    for outcome in outcomes:
        for difference in outcome.differences[:_SHOWN]:
            yield f"{outcome.name}: {difference}"
        if len(outcome.differences) > _SHOWN:
            yield f"{outcome.name}: … and {len(outcome.differences) - _SHOWN} more"


def _cells(outcome: Outcome) -> tuple[str | int, ...]:
    return (
        outcome.name,
        " ".join(outcome.versions),
        outcome.grade,
        outcome.expected,
        outcome.decoded,
        outcome.fields,
        outcome.explained,
        len(outcome.differences),
        outcome.remark,
    )


def _total(outcomes: Sequence[Outcome]) -> tuple[str | int, ...]:
    return (
        f"{len(outcomes)} captures",
        "",
        "",
        sum(o.expected for o in outcomes),
        sum(o.decoded for o in outcomes),
        sum(o.fields for o in outcomes),
        sum(o.explained for o in outcomes),
        sum(len(o.differences) for o in outcomes),
        f"{sum(o.sflow for o in outcomes)} sFlow datagrams counted",
    )


def _line(cells: Sequence[str | int], width: int) -> str:
    widths = (width, 9, 5, 8, 8, 8, 9, 11, 0)
    parts = [
        f"{cell:<{size}}" if i in _TEXTS else f"{cell:>{size}}"
        for i, (cell, size) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def main(arguments: list[str]) -> int:
    """Print the table; 1 if anything unexplained differs."""
    if not (FOLDER / "catalogue.json").is_file():
        print(f"skipped: no captures of real exporters at {FOLDER}, so nothing to compare with")
        return 0
    unknown = [name for name in arguments if name not in GRADES]
    if unknown:
        print(f"no capture is named {', '.join(unknown)}", file=sys.stderr)
        return 2
    start = time.monotonic()
    outcomes = summary(arguments or list(GRADES))
    print(f"{time.monotonic() - start:.0f} s")
    return int(any(outcome.differences for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
