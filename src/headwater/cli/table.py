"""Small tables of text, all rows known: what `info`, `elements` and `doctor` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.cli.screen import Painter, display_width, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

GAP = "  "


def aligned(
    rows: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    *,
    right: Collection[int] = (),
    indent: str = "",
    width: int | None = None,
    paint: Painter | None = None,
) -> Iterator[str]:
    """Lines of a table. Cells are safe text; `right` are columns of numbers; `width` cuts the last column."""
    paint = paint or Painter()
    if not rows:
        return
    measured = [headings, *rows] if headings else rows
    widths = [max(display_width(row[i]) for row in measured) for i in range(len(rows[0]))]
    room = None if width is None else width - len(indent) - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
    if headings:
        yield indent + paint("faint", _line(headings, widths, right, room))
    for row in rows:
        yield indent + _line(row, widths, right, room)


def _line(row: Sequence[str], widths: Sequence[int], right: Collection[int], room: int | None) -> str:
    last = len(row) - 1
    cells = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        pad = " " * (width - display_width(cell))
        if i == last and room is not None and width > room:
            cells.append(shortened(cell, max(room, 8)))
        else:
            cells.append(pad + cell if i in right else cell + pad)
    return GAP.join(cells).rstrip()
