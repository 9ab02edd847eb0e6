"""The columns of `flows`, and what they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from headwater.batch.derived import DERIVED
from headwater.cli.screen import Painter, safe, shortened, terminal_width
from headwater.cli.table import aligned
from headwater.model.registry import IANA

if TYPE_CHECKING:
    import duckdb

_WIDEST: Final = 24
"""On a terminal; what is in lists of structs takes several lines."""


def show_columns(con: duckdb.DuckDBPyConnection) -> None:
    """Print them."""
    from headwater.analysis.sql_text import columns_of
    from headwater.analysis.views import FLOWS

    width = terminal_width()
    rows = []
    for name, found in columns_of(con, FLOWS):
        type = safe(found) if width is None else shortened(safe(found), _WIDEST)
        element = IANA.find(re.sub(r" \(.*\)$", "", name))
        if element is None or not element.is_known:
            rows.append([safe(name), type, "", "worked out" if name in DERIVED else ""])
            continue
        units = "" if element.units_name in ("", "none") else element.units_name
        meaning = " ".join(filter(None, (element.type.label, units)))
        rows.append([safe(name), type, element.number, meaning])
    headings = ["column", "SQL type", "element", "meaning"]
    for line in aligned(rows, headings, width=width, paint=Painter()):
        click.echo(line)
