"""What is put on a terminal: safe text, widths, colours."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any, TextIO

import click

_STYLES: dict[str, dict[str, Any]] = {
    "name": {"bold": True},
    "number": {"fg": "cyan"},
    "specifier": {"fg": "magenta"},
    "value": {"fg": "green"},
    "faint": {"dim": True},
    "fault": {"fg": "red", "bold": True},
    "title": {"bold": True, "underline": True},
}


def safe(text: str) -> str:
    """The text without anything that a terminal would obey: control, format and other unprintable characters escaped.

    What comes from the wire must pass here before it is shown: ESC, newlines and text direction marks lie.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def safe_json(text: str) -> str:
    """JSON or CSV in which no character but newlines can harm a terminal; JSON means the same as before."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(c if c.isprintable() or c == "\n" else _json_escaped(c) for c in text)


def echo_json(value: Any) -> None:
    """Print a value as indented JSON."""
    import msgspec

    click.echo(safe_json(msgspec.json.format(msgspec.json.encode(value)).decode()))


def _json_escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def display_width(text: str) -> int:
    """Columns that safe text takes: East Asian wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shortened(text: str, most: int) -> str:
    """The text in at most that many columns; `…` stands for the end that was cut."""
    if display_width(text) <= most:
        return text
    while text and display_width(text) >= most:
        text = text[: most - 1] if len(text) > most else text[:-1]
    return f"{text}…"


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal behind stdout; None when there is none. COLUMNS decides if it is set."""
    stream = stream or sys.stdout
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size().columns if stream.isatty() else None


def has_colour(stream: TextIO | None = None) -> bool:
    """Whether stdout shows colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class SafeOutput:
    """A terminal as a binary file for JSON and CSV."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, octets: bytes) -> int:
        """Show text in UTF-8, whole lines."""
        self._stream.write(safe_json(octets.decode()))
        return len(octets)


class Painter:
    """Colours text if the terminal shows colours. `paint("fault", text)`; the text is safe already."""

    def __init__(self, *, is_on: bool | None = None) -> None:
        self.is_on = has_colour() if is_on is None else is_on

    def __call__(self, style: str, text: str) -> str:
        return click.style(text, **_STYLES[style]) if self.is_on and text else text
