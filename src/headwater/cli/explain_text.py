"""A dissected Message as text: offset, octets, meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.cli.explain_rows import Row, RowKind, rows
from headwater.cli.screen import Painter, display_width, safe, shortened
from headwater.wire.parts import Part, PartKind

if TYPE_CHECKING:
    from collections.abc import Iterator

_STYLES = {
    PartKind.NUMBER: "number",
    PartKind.SPECIFIER: "specifier",
    PartKind.FIELD: "value",
    PartKind.LIST: "value",
    PartKind.PADDING: "faint",
    PartKind.UNREAD: "faint",
}
_MOST_OCTETS = 8
"""Octets in a line where there is room."""
_USUAL_TEXT = 40
_LONGEST_NAME = 44
_SHORTEST_TEXT = 28


def text_lines(message: Part, octets: bytes, *, is_all: bool, width: int | None, paint: Painter) -> Iterator[str]:
    """Lines of at most `width` columns; None = as wide as they are."""
    found = list(rows(message, octets, is_all=is_all))
    at_width = max(4, len(str(message.end)))
    leaves = [row for row in found if row.kind is RowKind.OCTETS]
    names = max((display_width(_name(row)) for row in leaves), default=0)
    texts = max((display_width(safe(row.part.text)) for row in leaves), default=0)
    needed = at_width + 3 * _MOST_OCTETS + min(names, _LONGEST_NAME) + min(texts, _USUAL_TEXT) + 5
    per_line = _MOST_OCTETS if width is None or needed <= width else _MOST_OCTETS // 2
    names = min(names, _LONGEST_NAME if width is None else max(width - at_width - 3 * per_line - 12, 16))
    left = at_width + 2 + 3 * per_line + 1
    room = None if width is None else max(width - left - names - 2, _SHORTEST_TEXT)
    for row in found:
        if row.kind is RowKind.HEADING:
            if row.depth == 0:
                yield ""
            yield _heading(row, left, paint)
        elif row.kind is RowKind.NOTE:
            yield " " * left + paint("faint", f"{'  ' * row.depth}… {row.text}; --all shows all")
        else:
            yield from _leaf(row, per_line, at_width, names, room, paint)
        for fault in row.part.faults if row.kind is not RowKind.NOTE else ():
            marks = " ".join(["^^"] * min(len(row.octets), per_line))
            detail = paint("fault", safe(f"{fault.kind}: {fault.detail}" if fault.detail else f"{fault.kind}"))
            yield f"{'':{at_width}}  {paint('fault', f'{marks:{3 * per_line}}')} {detail}"


def _heading(row: Row, left: int, paint: Painter) -> str:
    part = row.part
    name = paint("title" if row.depth == 0 else "name", safe(part.name))
    where = f"octets {part.at} to {part.end - 1}" if part.length else f"at octet {part.at}"
    text = f", {safe(part.text)}" if part.text else ""
    if row.depth > 1:
        return f"{'':{left}}{'  ' * (row.depth - 1)}{name}{text}"
    if row.depth == 1:
        return f"  {name}{text}"
    return f"{name}{text} {paint('faint', f'({where})')}"


def _name(row: Row) -> str:
    return "  " * max(row.depth - 1, 0) + safe(row.part.name)


def _leaf(row: Row, per_line: int, at_width: int, names: int, room: int | None, paint: Painter) -> Iterator[str]:
    style = "fault" if row.part.faults else _STYLES.get(row.part.kind, "value")
    name, text = shortened(_name(row), names), safe(row.part.text)
    text = text if room is None else shortened(text, room)
    pieces = [row.octets[i : i + per_line] for i in range(0, len(row.octets), per_line)] or [b""]
    for i, piece in enumerate(pieces):
        octets = paint(style, piece.hex(" ")) + " " * (3 * per_line - len(piece.hex(" ")))
        line = f"{paint('faint', f'{row.part.at + i * per_line:{at_width}}')}  {octets} "
        if i == 0:
            line += name + " " * (names - display_width(name)) + "  " + paint(style, text)
        yield line.rstrip()
