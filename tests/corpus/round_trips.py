"""Every capture decoded and encoded again, on one line for each protocol and grade: python -m tests.corpus.round_trips.

The exit code is 1 if anything is lost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.corpus.captures import FOLDER, GRADES, LARGE, VERSIONS
from tests.corpus.reading import datagrams
from tests.round_trip import RoundTrip, round_trip

MOST = 1000
"""Datagrams of a capture."""
MOST_OF_LARGE = 150
NAMES = [name for name, versions in VERSIONS.items() if versions != ("sflow5",)]
"""Captures that have a protocol which we write."""

_HEADINGS = (
    "protocols",
    "grade",
    "captures",
    "messages",
    "identical",
    "records",
    "copied",
    "no template",
    "unsendable",
)
_WIDTHS = (9, 5, 8, 8, 9, 8, 8, 11, 10)


def capture_again(corpus: Path, name: str) -> RoundTrip:
    """All transport sessions of a capture, added up."""
    out = RoundTrip()
    sessions: dict[tuple[str, int, str, int], list[bytes]] = {}
    for datagram in datagrams(corpus, name)[: MOST_OF_LARGE if name in LARGE else MOST]:
        sessions.setdefault(datagram.session, []).append(datagram.payload)
    for chunks in sessions.values():
        out.add(round_trip(*chunks))
    return out


def summary(corpus: Path, names: Sequence[str]) -> Iterator[RoundTrip]:
    """Print a line for each kind of captures, and what differs below it."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for name in names:
        kinds.setdefault((" ".join(VERSIONS[name]), GRADES[name]), []).append(name)
    print(_line(_HEADINGS))
    for (versions, grade), members in kinds.items():
        trip = RoundTrip()
        for name in members:
            trip.add(capture_again(corpus, name))
        counts = (len(members), trip.messages, trip.identical, trip.records)
        lost = (trip.copied.total(), trip.undecoded, trip.unsendable.total())
        print(_line((versions, grade, *counts, *lost)), flush=True)
        for text in (*trip.unsendable, *trip.differences):
            print(f"    {text[:200]}")
        yield trip


def _line(cells: Sequence[str | int]) -> str:
    parts = [
        f"{cell:<{width}}" if index < 2 else f"{cell:>{width}}"
        for index, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    ]
    return "  ".join(parts).rstrip()


def main(arguments: list[str]) -> int:
    """Print the table; 1 if anything differs."""
    if not (FOLDER / "catalogue.json").is_file():
        print(f"skipped: no captures of real exporters at {FOLDER}, so nothing to encode again")
        return 0
    return int(any(trip.differences for trip in summary(FOLDER, arguments or NAMES)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
