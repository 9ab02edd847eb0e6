"""A dissected Message as a picture (SVG): every octet a cell, its meaning beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from headwater.cli.explain_rows import Row, RowKind, rows
from headwater.cli.screen import display_width, safe, shortened
from headwater.wire.parts import Part, PartKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PER_LINE = 8
_CELL, _HEIGHT, _ROW = 27, 20, 25
_MARGIN, _INDENT = 28, 14
_NAMES_AFTER = _PER_LINE * _CELL + 22
_LETTER = 7.25
"""Width of a letter at 12 px in the fonts below, a little more than most have."""
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_SANS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif"

_CLASSES = {
    PartKind.NUMBER: "number",
    PartKind.SPECIFIER: "spec",
    PartKind.FIELD: "field",
    PartKind.LIST: "field",
    PartKind.PADDING: "padding",
    PartKind.UNREAD: "unread",
}
_MAP_CLASSES = {PartKind.HEADER: "number", PartKind.UNREAD: "unread", PartKind.PADDING: "padding"}
"""Of the parts of a Message, besides Sets: values, or specifiers where they define Templates."""
_LEGEND = (
    ("number", "protocol"),
    ("spec", "field specifier"),
    ("field", "value"),
    ("padding", "padding"),
    ("unread", "not taken apart"),
    ("fault", "fault"),
)
_SHAPES = f"""text{{font:12px {_FONT}}} .sub,.small,tspan.sub{{font:13px {_SANS}}} .small{{font-size:12px}}
.title{{font:600 19px {_SANS}}} .head{{font:600 14px {_SANS}}} .inner{{font:600 12px {_SANS}}} .red{{font-weight:600}}
.at{{text-anchor:end}} .hex{{text-anchor:middle;font-size:11.5px}} .fault{{stroke-width:1.3}} .map{{stroke-width:0}}"""
# no CSS variables: librsvg, Inkscape and others do not know them
_COLOURS = (
    # selector, property, light, dark
    ("text", "fill", "#1b1f24", "#e7eaee"),
    (".sub,.small,.soft,.at", "fill", "#67707b", "#98a2ad"),
    (".red", "fill", "#b3261e", "#ff8a80"),
    (".page", "fill", "#ffffff", "#14171b"),
    (".card", "fill", "#f7f8fa", "#1b1f25"),
    (".card", "stroke", "#e1e5ea", "#2d333b"),
    (".stripe", "fill", "#3b6fb6", "#78a9ea"),
    (".number", "fill", "#cfe3fb", "#1f4470"),
    (".spec", "fill", "#e4d7f8", "#45306b"),
    (".field", "fill", "#cdeed6", "#1f5233"),
    (".padding", "fill", "#e3e6ea", "#343a42"),
    (".unread", "fill", "#fbe3b8", "#6a4a10"),
    (".fault", "fill", "#fac9c5", "#7c2a25"),
    (".fault", "stroke", "#b3261e", "#ff8a80"),
)
_LIGHT = " ".join(f"{selector}{{{name}:{light}}}" for selector, name, light, _ in _COLOURS)
_DARK = " ".join(f"{selector}{{{name}:{dark}}}" for selector, name, _, dark in _COLOURS)
_STYLE = f"{_SHAPES}\n{_LIGHT}\n@media (prefers-color-scheme:dark){{{_DARK}}}"


def picture(message: Part, octets: bytes, title: str, lines: Sequence[str], *, is_all: bool) -> str:
    """The SVG document; title and lines go above. It follows the reader's light or dark colours."""
    found = list(rows(message, octets, is_all=is_all))
    leaves = [row for row in found if row.kind is RowKind.OCTETS]
    drawing = _Drawing(len(str(message.end)), max((_name_end(row) for row in leaves), default=0))
    drawing.top(title, lines, message)
    for block in _blocks(found):
        drawing.card(block)
    drawing.legend()
    return drawing.document()


def _blocks(found: list[Row]) -> Iterator[list[Row]]:
    """Rows of the header, of each Set, and of what stands between them."""
    block: list[Row] = []
    for row in found:
        if row.depth == 0 and block and (row.kind is RowKind.HEADING or block[0].kind is RowKind.HEADING):
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _xml(text: str) -> str:
    return escape(safe(text), {'"': "&quot;"})


def _class_of(part: Part) -> str:
    return "fault" if part.faults else _CLASSES.get(part.kind, "field")


def _name_end(row: Row) -> float:
    """Where a row's name ends, from where names begin."""
    return min(_indent(row) + _LETTER * display_width(safe(row.part.name)), 360)


def _indent(row: Row) -> float:
    return _INDENT * max(row.depth - 1, 0)


class _Drawing:
    """Draws downwards; `y` is where the next thing begins, `width` grows with the longest line."""

    def __init__(self, digits: int, names_end: float) -> None:
        self.out: list[str] = []
        self.at_x = _MARGIN + 16 + _LETTER * max(digits, 4)
        self.octets_x = self.at_x + 14
        self.name_x = self.octets_x + _NAMES_AFTER
        self.value_x = self.name_x + names_end + 18
        self.y = float(_MARGIN)
        self.width = 760.0

    def text(self, x: float, y: float, text: str, style: str = "", *, letter: float = _LETTER, more: str = "") -> None:
        """Text at x, y; `more` follows it in a fainter style."""
        if style != "at":
            self.width = max(self.width, x + letter * display_width(safe(text + more)) + 2 * _MARGIN)
        after = f'<tspan dx="14" class="sub">{_xml(more)}</tspan>' if more else ""
        self.out.append(f'<text x="{x:g}" y="{y:g}" class="{style}" xml:space="preserve">{_xml(text)}{after}</text>')

    def top(self, title: str, lines: Sequence[str], message: Part) -> None:
        self.text(_MARGIN, self.y + 16, title, "title", letter=10.5)
        self.y += 38
        for line in lines:
            self.text(_MARGIN, self.y, line, "sub", letter=7)
            self.y += 19
        self.y -= 3
        self.map(message)

    def map(self, message: Part) -> None:
        """A bar of the whole Message, its parts as long as they are."""
        x = 0.0
        self.out.append(
            f'<svg x="{_MARGIN}" y="{self.y:g}" width="@" height="12" viewBox="0 0 1000 12" preserveAspectRatio="none">'
        )
        for part in message.parts:
            size = 1000 * part.length / max(message.length, 1)
            kind = _MAP_CLASSES.get(part.kind, "field")
            if any(inner.kind is PartKind.TEMPLATE for inner in part.parts):
                kind = "spec"
            if any(inner.faults for inner in part.walk()):
                kind = "fault"
            hint = f"{part.name}: octets {part.at} to {part.end - 1}"
            self.out.append(
                f'<rect x="{x:.1f}" y="0" width="{max(size - 1.5, 1):.1f}" height="12" class="map {kind}">'
                f"<title>{_xml(hint)}</title></rect>"
            )
            x += size
        self.out.append("</svg>")
        self.y += 30

    def card(self, block: list[Row]) -> None:
        start, at = self.y, len(self.out)
        self.y += 12
        for row in block:
            if row.kind is RowKind.HEADING:
                self.heading(row)
            elif row.kind is RowKind.NOTE:
                self.text(self.name_x + _INDENT * row.depth, self.y + 14, f"… {row.text}", "soft")
                self.y += _ROW
            else:
                self.leaf(row)
            for fault in row.part.faults if row.kind is not RowKind.NOTE else ():
                self.text(self.name_x, self.y + 12, f"▲ {fault.kind}: {fault.detail}", "red")
                self.y += _ROW - 3
        self.y += 8
        height = self.y - start
        # the width is known at the end
        self.out.insert(at, f'<rect x="{_MARGIN}" y="{start:g}" width="@" height="{height:g}" rx="8" class="card"/>')
        self.out.insert(
            at + 1, f'<rect x="{_MARGIN}" y="{start:g}" width="4" height="{height:g}" rx="2" class="stripe"/>'
        )
        self.y += 14

    def heading(self, row: Row) -> None:
        part = row.part
        text = f"{part.name}: {part.text}" if part.text else part.name
        if row.depth == 0:
            where = f"octets {part.at} to {part.end - 1}"
            self.text(_MARGIN + 18, self.y + 14, text, "head", letter=8, more=where)
            self.y += _ROW + 4
        else:
            self.text(self.octets_x + _INDENT * (row.depth - 1), self.y + 15, text, "inner", letter=7)
            self.y += _ROW

    def leaf(self, row: Row) -> None:
        part, kind = row.part, _class_of(row.part)
        self.text(self.name_x + _indent(row), self.y + 14, shortened(safe(part.name), 50))
        self.text(self.value_x, self.y + 14, shortened(safe(part.text), 90), "soft")
        for i in range(0, max(len(row.octets), 1), _PER_LINE):
            self.text(self.at_x, self.y + 14, str(part.at + i), "at")
            for k, octet in enumerate(row.octets[i : i + _PER_LINE]):
                x, width = self.octets_x + k * _CELL, _CELL - 3
                self.out.append(
                    f'<rect x="{x:g}" y="{self.y:g}" width="{width}" height="{_HEIGHT}" rx="3.5" class="{kind}"/>'
                    f'<text x="{x + width / 2:g}" y="{self.y + 14:g}" class="hex">{octet:02x}</text>'
                )
            self.y += _ROW

    def legend(self) -> None:
        x = float(_MARGIN)
        for kind, meaning in _LEGEND:
            self.out.append(f'<rect x="{x:g}" y="{self.y:g}" width="14" height="14" rx="3" class="{kind}"/>')
            self.text(x + 20, self.y + 11, meaning, "small", letter=6.5)
            x += 44 + 6.5 * len(meaning)
        self.y += 14 + _MARGIN

    def document(self) -> str:
        width, height = self.width, self.y
        body = "\n".join(self.out).replace('width="@"', f'width="{width - 2 * _MARGIN:g}"')
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img">\n<style>{_STYLE}</style>\n'
            f'<rect width="100%" height="100%" class="page"/>\n{body}\n</svg>\n'
        )
