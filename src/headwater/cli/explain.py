"""`headwater explain`: one message taken apart, octet by octet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from headwater.cli.options import examples, keep_sources, registry_option, with_registry
from headwater.cli.screen import Painter, echo_json, safe, terminal_width

if TYPE_CHECKING:
    from headwater.cli.locating import Found
    from headwater.wire.parts import Part

_NO_HEX = re.compile(r"0[xX]|[\s:,|-]")


class _Offset(click.ParamType[int]):
    """An octet offset: decimal, or hexadecimal after 0x."""

    name = "offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value, 0) if isinstance(value, str) else int(value)
        except ValueError:
            self.fail(f"{value!r} is no offset; give a number such as 1420 or 0x58c", param, ctx)


@click.command(
    epilog=examples(
        "headwater explain flows.ipfix",
        "headwater explain flows.ipfix --message 3",
        "headwater explain flows.ipfix --offset 204816",
        "headwater explain flows.ipfix --svg message.svg",
        "headwater explain --hex '000a0010 6553f100 00000000 00000001'",
    )
)
@click.argument("source", required=False)
@click.option("-m", "--message", type=click.IntRange(1), help="Which message, counted from 1 (default: the first).")
@click.option("-o", "--offset", type=_Offset(), help="The message in which this octet of the source is.")
@click.option("--hex", "hex_octets", metavar="OCTETS", help="Octets in hexadecimal instead of a source.")
@click.option("--all", "is_all", is_flag=True, help="Show all records and octets; normally 10 records a Set.")
@click.option("--svg", metavar="FILE", help="Draw a picture into FILE; - is stdout.")
@click.option("-f", "--force", is_flag=True, help="Replace the FILE of --svg if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the parts as JSON.")
@registry_option
@click.pass_context
def explain(
    ctx: click.Context,
    source: str | None,
    message: int | None,
    offset: int | None,
    hex_octets: str | None,
    is_all: bool,
    svg: str | None,
    force: bool,
    as_json: bool,
    registry: str | None,
) -> None:
    """Take one message apart, octet by octet.

    Shows the header, sets, templates, records, values, nested lists and padding with their offsets and octets, and
    faults where they are. Templates come from the messages before it in SOURCE (- is stdin). The exit code is 1 if
    the message has faults.
    """
    from headwater.cli.locating import locate, open_octets
    from headwater.wire.dissect import dissect

    if (source is None) == (hex_octets is None):
        raise click.UsageError("give a SOURCE or --hex", ctx)
    if message is not None and offset is not None:
        raise click.UsageError("give --message or --offset, not both", ctx)
    known = with_registry(registry)
    windows = open_octets(source, None if hex_octets is None else _octets_of(hex_octets))
    try:
        found = locate(windows, known, number=message, offset=offset or 0)
    finally:
        windows.close()
    part = dissect(found.octets, found.templates, found.registry, at=found.at)
    told = {fault.kind for inner in part.walk() for fault in inner.faults}
    for fault in found.faults:
        if fault.kind not in told:
            part = part.with_fault(fault)
    if as_json:
        echo_json(_plain(part, found.octets, part.at))
    elif svg is not None:
        if source is not None:
            keep_sources(svg, [source])
        _write_picture(part, found, svg, is_all=is_all, force=force)
    else:
        from headwater.cli.explain_text import text_lines

        paint = Painter()
        click.echo(f"{paint('name', _title(found))}: {_subtitle(found)}")
        for line in text_lines(part, found.octets, is_all=is_all, width=terminal_width(), paint=paint):
            click.echo(line)
    count = sum(len(inner.faults) for inner in part.walk())
    if count:
        click.echo(f"headwater: {count} {'fault' if count == 1 else 'faults'} in this message", err=True)
        ctx.exit(1)


def _octets_of(text: str) -> bytes:
    digits = _NO_HEX.sub("", text)
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        wrong = re.search(r"[^0-9A-Fa-f]", digits)
        why = f"{wrong[0]!r} is no hexadecimal digit" if wrong else "a digit is missing, there is an odd number of them"
        raise click.BadParameter(why, param_hint="--hex") from None
    if not octets:
        raise click.BadParameter("there are no octets", param_hint="--hex")
    return octets


def _title(found: Found) -> str:
    what = f"Message {found.number}" if found.number else "Octets that are no message"
    return safe(f"{what} of {found.source}")


def _subtitle(found: Found) -> str:
    from headwater.model.text import to_text
    from headwater.model.types import DataType

    size = len(found.octets)
    text = f"{size} octets at {found.at}" if size != 1 else f"1 octet at {found.at}"
    if found.number and size >= 16:
        export_s, domain = (int.from_bytes(found.octets[at : at + 4], "big") for at in (4, 12))
        text += f", domain {domain}, exported {to_text(DataType.SECONDS, export_s)}"
    return text


def _write_picture(part: Part, found: Found, path: str, *, is_all: bool, force: bool) -> None:
    from headwater.cli.explain_svg import picture
    from headwater.sinks.output import open_output

    drawing = picture(part, found.octets, _title(found), _subtitle(found), is_all=is_all)
    if path == "-":
        click.echo(drawing, nl=False)
        return
    with open_output(path, force=force) as file:
        file.write(drawing.encode())
    click.echo(f"headwater: drew {safe(path)}", err=True)


def _plain(part: Part, octets: bytes, base: int) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": part.kind.value, "at": part.at, "length": part.length, "name": part.name}
    if part.text:
        out["text"] = part.text
    if part.field is not None:
        element = part.field.element
        out["element"] = {"pen": element.pen, "id": element.id, "type": element.type.label}
    if not part.parts:
        out["octets"] = octets[part.at - base : part.end - base].hex()
        value = part.value
        out["value"] = value.hex() if isinstance(value, bytes) else str(value) if _is_big(value) else value
    if part.faults:
        out["faults"] = [{"kind": f.kind.value, "offset": f.offset, "detail": f.detail} for f in part.faults]
    if part.parts:
        out["parts"] = [_plain(inner, octets, base) for inner in part.parts]
    return out


def _is_big(value: Any) -> bool:
    """Whether it is an integer that JSON encoders refuse."""
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 64
