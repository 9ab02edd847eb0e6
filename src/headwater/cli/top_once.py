"""One look at a running collector, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

import click

from headwater.cli.progress import size
from headwater.cli.screen import Painter, safe, terminal_width
from headwater.cli.status_text import Pace, exporter_lines, one_line, sink_lines
from headwater.cli.table import aligned

_GROUPS: Final = {
    "SOURCE": ("sourceIPv4Address", "sourceIPv6Address"),
    "DESTINATION": ("destinationIPv4Address", "destinationIPv6Address"),
    "SOURCE PORT": ("sourceTransportPort",),
    "DESTINATION PORT": ("destinationTransportPort",),
}
_SHOWN: Final = 5


def grouped(top: Mapping[str, Sequence[Mapping[str, Any]]], most: int) -> dict[str, list[Mapping[str, Any]]]:
    """Top talkers under few headings, those with the most octets first; headings without any left out."""
    found = {}
    for heading, names in _GROUPS.items():
        rows = sorted((one for name in names for one in top.get(name, ())), key=_weight, reverse=True)
        if rows:
            found[heading] = rows[:most]
    return found


def _weight(row: Mapping[str, Any]) -> tuple[int, int]:
    return int(row.get("octets", 0)), int(row.get("records", 0))


def show_once(path: str, every: float) -> None:
    """Print what there was within `every` seconds."""
    from headwater.process.collecting.control import watch

    pace = Pace()
    with closing(watch(path, every=every)) as told:
        last: dict[str, Any] = {}
        for last in islice(told, 2):
            line = one_line(last["report"], pace)
    if last:
        for text in _lines(last, line):
            click.echo(text)


def _lines(told: Mapping[str, Any], line: str) -> Iterator[str]:
    width, paint = terminal_width(), Painter()
    yield line
    yield ""
    yield from exporter_lines(told["report"], width, paint)
    yield ""
    yield from sink_lines(told["report"], width, paint)
    for heading, rows in grouped(told["top"], _SHOWN).items():
        yield ""
        cells = [(safe(str(one["value"])), f"{one['records']:,}", size(one["octets"])) for one in rows]
        yield from aligned(cells, (heading, "RECORDS", "SIZE"), right=(1, 2), width=width, paint=paint)
    if told.get("note"):
        yield safe(str(told["note"]))
