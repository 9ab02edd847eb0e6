"""`headwater elements`: search the registry of Information Elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli.options import examples, registry_option, with_registry
from headwater.cli.screen import Painter, echo_json, safe, terminal_width
from headwater.cli.table import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry

_SHOWN = 40
_HEADINGS = ("number", "name", "type", "units", "semantics", "also called")


@click.command(
    epilog=examples(
        "headwater elements transportport",
        "headwater elements protocolIdentifier",
        "headwater elements IN_BYTES",
        "headwater elements 9/9252",
        "headwater elements --pen 6871 --type string",
    )
)
@click.argument("text", required=False, default="")
@click.option("--pen", type=click.IntRange(0, 0xFFFFFFFF), help="Only elements of this enterprise; 0 = IANA.")
@click.option("--type", "label", metavar="TYPE", help="Only elements of this abstract data type, e.g. ipv4Address.")
@click.option("--all", "show_all", is_flag=True, help=f"List all that match, not only the first {_SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@registry_option
def elements(
    text: str, pen: int | None, label: str | None, show_all: bool, as_json: bool, registry: str | None
) -> None:
    """Search the registry of Information Elements.

    TEXT is part of a name or of another name (NetFlow v9's, earlier RFCs'), or a number such as 8 or 9/9252. The
    exact one, if there is one, is described with the names of its values.
    """
    from headwater.model.element import unknown_key

    known = with_registry(registry)
    wanted = _data_type(label)
    found = known.search(text) if text else list(known)
    nameless = [e for e in found if unknown_key(e.name) is not None]
    if nameless and len(nameless) == len(found):
        number = nameless[0].number
        raise click.ClickException(
            f"element {number} is not in the registry; search for a part of a name, as in 'headwater elements octet'"
        )
    hits = [e for e in found if (pen is None or e.pen == pen) and (label is None or e.type.label == wanted)]
    hits.sort(key=lambda e: e.pen != 0)  # otherwise as found: the closest first
    if not hits and text:
        if not found:
            known.named(text)  # raises, with the nearest names
        raise click.ClickException(f"{text!r} matches {len(found)} elements, but none of that enterprise and type")
    if not hits:
        what = " and ".join([f"of enterprise {pen}"] * (pen is not None) + [f"of type {wanted}"] * (wanted is not None))
        raise click.ClickException(f"there are no elements {what}".rstrip())
    if as_json:
        _print_json(known, hits)
        return
    paint = Painter()
    exact = known.find(text) if text else None
    if exact is not None and exact in hits:
        click.echo("\n".join(_details(known, exact, paint)))
        hits = [e for e in hits if e != exact]
        if hits:
            click.echo(f"\n{paint('faint', 'Other elements that match:')}")
    shown = hits if show_all or not paint.is_on else hits[:_SHOWN]
    rows = [_row(known, e) for e in shown]
    for line in aligned(rows, _HEADINGS, right={0}, width=terminal_width(), paint=paint):
        click.echo(line)
    if len(shown) < len(hits):
        click.echo(paint("faint", f"… and {len(hits) - len(shown)} more; --all lists them"))


def _data_type(label: str | None) -> str | None:
    from headwater.model.types import DataType

    if label is None:
        return None
    names = {t.label.lower(): t.label for t in DataType}
    if label.lower() not in names:
        raise click.BadParameter(f"{label!r} is not one of {', '.join(names.values())}", param_hint="--type")
    return names[label.lower()]


def _row(known: Registry, e: InformationElement) -> tuple[str, ...]:
    units = e.units_name if e.units else ""
    semantics = e.semantics_name if e.semantics else ""
    status = "" if e.status == "current" else f" ({e.status})"
    return (e.number, safe(e.name) + status, e.type.label, units, semantics, ", ".join(known.aliases(e)))


def _details(known: Registry, e: InformationElement, paint: Painter) -> Iterator[str]:
    from headwater.model.enumerations import names
    from headwater.wire.parts import count_octets

    yield paint("name", safe(e.name))
    size = count_octets(e.type.width) if e.type.width else "variable length"
    reduced = ", may be sent shorter" if e.type.reducible or e.type.label == "float64" else ""
    rows = [
        ("number", e.number if e.pen else f"{e.id} (IANA)"),
        ("type", f"{e.type.label}, {size}{reduced}"),
        ("units", e.units_name if e.units else ""),
        ("semantics", e.semantics_name if e.semantics else ""),
        ("range", f"{e.range[0]} to {e.range[1]}" if e.range else ""),
        ("status", e.status),
        ("also called", ", ".join(known.aliases(e))),
        ("reverse", f"{e.reverse().name} ({e.reverse().number})" if e.is_reversible else ""),
    ]
    yield from aligned([row for row in rows if row[1]], indent="  ", paint=paint)
    values = names(e)
    if values:
        yield "  values"
        rows = [(str(value), safe(name)) for value, name in sorted(values.items())]
        yield from aligned(rows, right={0}, indent="    ", paint=paint)


def _print_json(known: Registry, hits: list[InformationElement]) -> None:
    from headwater.model.enumerations import names

    def plain(e: InformationElement) -> dict[str, Any]:
        return {
            "pen": e.pen,
            "id": e.id,
            "name": e.name,
            "type": e.type.label,
            "semantics": e.semantics_name,
            "units": e.units_name,
            "range": e.range,
            "status": e.status,
            "aliases": known.aliases(e),
            "values": dict(names(e)),
        }

    echo_json([plain(e) for e in hits])
