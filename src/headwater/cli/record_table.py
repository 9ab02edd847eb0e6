"""Records on the terminal: aligned columns under headings, a new block for each Template; or one field per line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from headwater.cli.screen import Painter, display_width, safe, shortened
from headwater.cli.shown import NOTHING, shown
from headwater.cli.table import GAP
from headwater.sinks.cells import chunks, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.batch import Batch, Column
    from headwater.cli.query import Picked

_FIRST_ROWS, _ROWS = 200, 2000
_WIDEST = 40
"""Columns a cell takes at most where the width is limited."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])(?!Pv[46])|(?<=[_#])")

_MATTERS = (
    re.compile(r"flowStart|^observationTime|^source(IPv[46]|Mac)Address|^destination(IPv[46]|Mac)Address"),
    re.compile(r"TransportPort$|^protocolIdentifier$"),
    re.compile(r"^(octet|packet)(Delta|Total)Count$|^natEvent$|^firewallEvent$|^icmpTypeCode"),
    re.compile(r"^tcpControlBits$|^flowEndReason$|^flowEnd|^flowDuration"),
    re.compile(r"Interface$|^vlanId$|^applicationName|^interfaceName$"),
)
"""Names of columns that are kept when there is no room for all, the most important first."""

_NO_ADDRESS = "0.0.0.0"  # noqa: S104  # an address in a table, nothing binds to it
_SAYS_NOTHING = frozenset({NOTHING, "", "0", _NO_ADDRESS, "::", "00:00:00:00:00:00", "......"})


class RecordTable:
    """Prints records. width: columns of the terminal, None = no limit."""

    def __init__(self, *, width: int | None, paint: Painter) -> None:
        self._width, self._paint = width, paint
        self._layout: tuple[object, ...] | None = None
        self._columns: list[int] = []
        self._widths: list[int] = []
        self._is_first = True

    def show(self, picked: Picked, names: Sequence[str], *, is_selection: bool) -> None:
        """Print the picked records of a batch, under a new heading if they differ in layout from those before."""
        batch = picked.batch
        columns = columns_of(batch, names)
        layout = names if is_selection else (batch.template, batch.template.id, batch.domain, names)
        size = _FIRST_ROWS if layout != self._layout else _ROWS
        for _, lists in chunks(batch, columns, picked.mask, size=size):
            cells = [self._texts(c, values) for c, values in zip(columns, lists, strict=True)]
            if layout != self._layout:
                self._layout = tuple(layout)
                self._begin(columns, cells, None if is_selection else batch)
            self._rows(columns, cells)

    def _texts(self, column: Column, values: list[object]) -> list[str]:
        texts = shown(column, values)
        return texts if self._width is None else [t if len(t) <= _WIDEST // 2 else shortened(t, _WIDEST) for t in texts]

    def _begin(self, columns: Sequence[Column], cells: list[list[str]], batch: Batch | None) -> None:
        """Choose columns and widths, and print the heading."""
        names = [safe(column.name) for column in columns]
        widest = [max(map(display_width, texts), default=1) for texts in cells]
        if self._width is None:
            headings = [[name] for name in names]
        else:
            headings = [_wrapped(name, width) for name, width in zip(names, widest, strict=True)]
        widths = [max(w, *map(len, lines)) for w, lines in zip(widest, headings, strict=True)]
        said = [not _SAYS_NOTHING.issuperset(texts) for texts in cells]
        self._columns = _chosen(names, widths, said, self._width)
        self._widths = [widths[i] for i in self._columns]
        if not self._is_first:
            click.echo()
        self._is_first = False
        hidden = [name for i, name in enumerate(names) if i not in self._columns]
        for line in self._title(batch, hidden):
            click.echo(line)
        height = max((len(headings[i]) for i in self._columns), default=0)
        for k in range(height):
            parts = []
            for i, width in zip(self._columns, self._widths, strict=True):
                lines = [""] * (height - len(headings[i])) + headings[i]
                parts.append(f"{lines[k]:>{width}}" if _is_right(columns[i]) else f"{lines[k]:<{width}}")
            click.echo(self._paint("name", GAP.join(parts).rstrip()))

    def _title(self, batch: Batch | None, hidden: list[str]) -> Iterator[str]:
        if batch is not None:
            kind = "Options Template" if batch.template.scope_count else "Template"
            domain = "several domains" if batch.domain is None else f"domain {batch.domain}"
            yield self._paint("faint", f"{kind} {batch.template.id}, {domain}")
        if hidden and self._width is not None:
            count = f"{len(hidden)} column does" if len(hidden) == 1 else f"{len(hidden)} columns do"
            text = f"{count} not fit (--long shows all, --select chooses): {', '.join(hidden)}"
            yield self._paint("faint", shortened(text, self._width))

    def _rows(self, columns: Sequence[Column], cells: list[list[str]]) -> None:
        kept = [cells[i] for i in self._columns]
        for k, texts in enumerate(kept):  # later records may need more room; then so do those after them
            self._widths[k] = max(self._widths[k], max(map(display_width, texts), default=0))
        padded = []
        for i, width, texts in zip(self._columns, self._widths, kept, strict=True):
            if _is_right(columns[i]):
                padded.append([text.rjust(width) for text in texts])
            elif all(map(str.isascii, texts)):
                padded.append([text.ljust(width) for text in texts])
            else:
                padded.append([text + " " * (width - display_width(text)) for text in texts])
        lines = [GAP.join(row).rstrip() for row in zip(*padded, strict=True)] if padded else []
        if lines:
            click.echo("\n".join(lines))


class RecordList:
    """Prints records one field per line."""

    def __init__(self, *, paint: Painter) -> None:
        self._paint, self._count = paint, 0

    def show(self, picked: Picked, names: Sequence[str], *, is_selection: bool) -> None:
        """Print the picked records of a batch."""
        batch = picked.batch
        columns = columns_of(batch, names)
        labels = [safe(column.name) for column in columns]
        width = max(map(len, labels), default=0)
        heads = [self._paint("number", f"{label:{width}}") for label in labels]
        where = "" if is_selection else f", Template {batch.template.id}"
        for count, lists in chunks(batch, columns, picked.mask):
            cells = [shown(c, values, with_numbers=True) for c, values in zip(columns, lists, strict=True)]
            for row in range(count):
                self._count += 1
                lines = [f"  {head}  {texts[row]}" for head, texts in zip(heads, cells, strict=True)]
                title = self._paint("name", f"Record {self._count}") + self._paint("faint", where)
                click.echo("\n".join([title, *lines, ""]))


def _is_right(column: Column) -> bool:
    """Whether the column is of numbers, which line up on the right."""
    from headwater.model.enumerations import names

    return column.type.is_numeric and not (column.element is not None and names(column.element))


def _wrapped(name: str, width: int) -> list[str]:
    """The name in lines about as wide as the values under it, broken where its words meet."""
    words = [word for word in _WORDS.split(name) if word]
    if not words:
        return [name]
    most = max(width, *map(len, words))
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) <= most:
            lines[-1] += word
        else:
            lines.append(word)
    return lines


def _chosen(names: list[str], widths: list[int], said: list[bool], width: int | None) -> list[int]:
    """Indices of the columns that fit, those that matter and say something first; at least one."""
    if width is None or sum(widths) + len(GAP) * (len(widths) - 1) <= width:
        return list(range(len(names)))
    ranks = [next((r for r, words in enumerate(_MATTERS) if words.search(n)), len(_MATTERS)) for n in names]
    left = width + len(GAP)
    chosen: list[int] = []
    for i in sorted(range(len(names)), key=lambda i: (not said[i], ranks[i], i)):
        needed = widths[i] + len(GAP)
        if needed <= left or not chosen:
            chosen.append(i)
            left -= needed
    return sorted(chosen)
