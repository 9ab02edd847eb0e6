"""The columns of `flows`, what they mean, and in how many files they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from headwater.batch.derived import DERIVED
from headwater.cli.screen import Painter, safe, terminal_width
from headwater.cli.table import aligned
from headwater.model.registry import IANA

if TYPE_CHECKING:
    import duckdb


def show_columns(con: duckdb.DuckDBPyConnection) -> None:
    """Print them."""
    from headwater.analysis.views import FLOWS, columns_of

    rows = []
    for name, type in columns_of(con, FLOWS):
        element = IANA.find(re.sub(r" \(.*\)$", "", name))
        if element is None or not element.is_known:
            rows.append([safe(name), type, "", "worked out" if name in DERIVED else ""])
            continue
        units = "" if element.units_name in ("", "none") else element.units_name
        meaning = " ".join(filter(None, (element.type.label, units)))
        rows.append([safe(name), type, element.number, meaning])
    headings = ["column", "SQL type", "element", "meaning"]
    for line in aligned(rows, headings, width=terminal_width(), paint=Painter()):
        click.echo(line)
