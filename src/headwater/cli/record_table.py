"""Records on the terminal: aligned columns under headings, a new block for each Template; or one field per line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import numpy as np

from headwater.batch import Column
from headwater.cli.layout import (
    EXPORTER,
    HAS_TEMPLATES,
    arranged,
    exporters,
    format_of,
    has_values,
    protocol,
    ranks,
    version_of,
)
from headwater.cli.screen import Painter, display_width, safe, shortened
from headwater.cli.shown import NOTHING, shown
from headwater.cli.table import GAP
from headwater.model.types import DataType
from headwater.sinks.cells import chunks, columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from headwater.cli.query import Picked

_FIRST_ROWS, _ROWS = 200, 2000
_LIKES = 1 << 12
_WIDEST = 40
"""Columns a cell takes at most where the width is limited."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])(?!Pv[46])|(?<=[_#])")

_NO_ADDRESS = "0.0.0.0"  # noqa: S104  # an address in a table, nothing binds to it
_SAYS_NOTHING = frozenset({NOTHING, "", "0", _NO_ADDRESS, "::", "00:00:00:00:00:00", "......"})


class RecordTable:
    """Prints records. width: columns of the terminal, None = no limit. kept: columns to show before all others."""

    def __init__(self, *, width: int | None, paint: Painter, kept: Collection[str] = ()) -> None:
        self._width, self._paint, self._kept = width, paint, kept
        self._layout: tuple[object, ...] | None = None
        self._columns: list[int] = []
        self._widths: list[int] = []
        self._is_first = True
        self._filled: dict[tuple[object, ...], set[str]] = {}

    def show(self, picked: Picked, names: Sequence[str], *, is_selection: bool, added: Sequence[str] = ()) -> None:
        """Print the picked records of a batch, under a new heading if they differ in layout from those before.

        added: the last of the names, which are no fields; they move, and are left out while they have no values.
        """
        batch = picked.batch
        origin = () if is_selection else self._origin(picked)
        if not is_selection:
            names = arranged(names, added)
            empty = set(added) - self._filled_of((batch.template, *origin), picked, added)
            names = [name for name in names if name not in empty]
        columns = columns_of(batch, names)
        who, which = ([], None) if is_selection else exporters(picked)
        if which is not None:
            columns.insert(0, Column(EXPORTER, DataType.STRING))
        layout = (*names,) if is_selection else (batch.template, batch.template.id, *origin, *names, which is None)
        size, at = _FIRST_ROWS if layout != self._layout else _ROWS, 0
        for count, lists in chunks(batch, columns if which is None else columns[1:], picked.mask, size=size):
            if which is not None:
                lists.insert(0, [who[one] for one in which[at : at + count]])
            at += count
            cells = [self._texts(c, values) for c, values in zip(columns, lists, strict=True)]
            if layout != self._layout:
                self._layout = layout
                self._begin(columns, cells, "" if is_selection else self._title(picked, who))
            self._rows(columns, cells)

    def _filled_of(self, mark: tuple[object, ...], picked: Picked, added: Sequence[str]) -> set[str]:
        """Those of the added columns that had values in these records or those of their like before."""
        if len(self._filled) > _LIKES:
            self._filled.clear()
        filled = self._filled.setdefault(mark, set())
        filled.update(n for n in added if n not in filled and has_values(picked.batch[n], picked.mask))
        return filled

    @staticmethod
    def _origin(picked: Picked) -> tuple[object, ...]:
        """What tells tables of the same Template apart."""
        messages, of_sets = picked.sets.messages, picked.sets.message
        peers = None if messages.peer is None else tuple(np.unique(messages.peer[of_sets]).tolist())
        return picked.batch.domain, version_of(picked), peers if peers is None or len(peers) == 1 else len(peers)

    def _texts(self, column: Column, values: list[object]) -> list[str]:
        texts = shown(column, values, is_short=self._width is not None)
        return texts if self._width is None else [t if len(t) <= _WIDEST // 2 else shortened(t, _WIDEST) for t in texts]

    def _begin(self, columns: Sequence[Column], cells: list[list[str]], title: str) -> None:
        """Choose columns and widths, and print the heading."""
        names = [safe(column.name) for column in columns]
        widest = [max(map(display_width, texts), default=1) for texts in cells]
        if self._width is None:
            headings = [[name] for name in names]
        else:
            headings = [_wrapped(name, width) for name, width in zip(names, widest, strict=True)]
        widths = [max(w, *map(len, lines)) for w, lines in zip(widest, headings, strict=True)]
        said = [not _SAYS_NOTHING.issuperset(texts) for texts in cells]
        self._columns = chosen(ranks(names, self._kept), widths, said, self._width)
        self._widths = [widths[i] for i in self._columns]
        if not self._is_first:
            click.echo()
        self._is_first = False
        hidden = [name for i, name in enumerate(names) if i not in self._columns]
        if title:
            click.echo(self._paint("faint", title))
        if hidden and self._width is not None:
            click.echo(self._paint("faint", self._hiding(hidden, self._width)))
        height = max((len(headings[i]) for i in self._columns), default=0)
        for k in range(height):
            parts = []
            for i, width in zip(self._columns, self._widths, strict=True):
                lines = [""] * (height - len(headings[i])) + headings[i]
                parts.append(f"{lines[k]:>{width}}" if _is_right(columns[i]) else f"{lines[k]:<{width}}")
            click.echo(self._paint("name", GAP.join(parts).rstrip()))

    @staticmethod
    def _title(picked: Picked, who: Sequence[str]) -> str:
        """What the records of a table are."""
        batch, version = picked.batch, version_of(picked)
        domain = "several domains" if batch.domain is None else f"domain {batch.domain}"
        what = format_of(batch.template, version)
        if not who:
            return f"{what}, {domain}"
        from_whom = f"{protocol(version)} from {who[0] if len(who) == 1 else f'{len(who)} exporters'}"
        return f"{from_whom}, {domain}" if version < HAS_TEMPLATES else f"{from_whom}, {what}, {domain}"

    @staticmethod
    def _hiding(hidden: list[str], width: int) -> str:
        count = f"{len(hidden)} column does" if len(hidden) == 1 else f"{len(hidden)} columns do"
        return shortened(f"{count} not fit (--long shows all, --select chooses): {', '.join(hidden)}", width)

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

    def show(self, picked: Picked, names: Sequence[str], *, is_selection: bool, added: Sequence[str] = ()) -> None:
        """Print the picked records of a batch; the last of the names are those `added`."""
        batch = picked.batch
        names = names if is_selection else arranged(names, added)
        columns = columns_of(batch, names)
        labels = [safe(column.name) for column in columns]
        width = max(map(len, labels), default=0)
        heads = [self._paint("number", f"{label:{width}}") for label in labels]
        where = "" if is_selection else f", {format_of(batch.template, version_of(picked))}"
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


def chosen(rank: list[int], widths: list[int], said: list[bool], width: int | None) -> list[int]:
    """Indices of the columns that fit, those that matter and say something first; at least one."""
    if width is None or sum(widths) + len(GAP) * (len(widths) - 1) <= width:
        return list(range(len(widths)))
    left = width + len(GAP)
    chosen: list[int] = []
    for i in sorted(range(len(widths)), key=lambda i: (not said[i], rank[i], i)):
        needed = widths[i] + len(GAP)
        if needed <= left or not chosen:
            chosen.append(i)
            left -= needed
    return sorted(chosen)
