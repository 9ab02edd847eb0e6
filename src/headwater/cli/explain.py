"""`headwater explain`: one message taken apart, octet by octet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from headwater.cli.options import (
    ReadingOptions,
    examples,
    keep_sources,
    key_rule_option,
    manner_of,
    port_option,
    registry_option,
)
from headwater.cli.screen import Painter, echo_json, safe, terminal_width

if TYPE_CHECKING:
    from collections.abc import Collection

    from headwater.cli.located import Found
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
        "headwater explain netflow.pcap --message 12",
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
@port_option
@key_rule_option
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
    port: tuple[tuple[int, ...], ...],
    key_rule: tuple[tuple[str, str], ...],
    registry: str | None,
) -> None:
    """Take one message apart, octet by octet.

    Shows the header, sets, templates, records, values, nested lists and padding with their offsets and octets, and
    faults where they are. SOURCE (- is stdin) is a file of IPFIX, a packet capture, a raw spool or NetFlow datagrams
    one after the other; --hex takes IPFIX or one NetFlow message. Templates come from the messages of the same
    exporter before it. The exit code is 1 if the message has faults.
    """
    from headwater.cli.explain_head import plain_head, subtitles, title
    from headwater.cli.located import missing_templates
    from headwater.cli.locating import locate, open_octets
    from headwater.errors import FaultKind

    if (source is None) == (hex_octets is None):
        raise click.UsageError("give a SOURCE or --hex", ctx)
    if message is not None and offset is not None:
        raise click.UsageError("give --message or --offset, not both", ctx)
    manner = manner_of(
        ReadingOptions(
            port=port, key_rule=key_rule, state=None, salvage=False, resync=True, strict=False, registry=registry
        )
    )
    octets = open_octets(source, None if hex_octets is None else _octets_of(hex_octets))
    try:
        found = locate(octets, manner, number=message, offset=offset)
        part = found.dissected(found.templates)
        later = found.later(missing_templates(part))
        if later:
            part = found.dissected({**found.templates, **later})
    finally:
        octets.close()
    told = {fault.kind for inner in part.walk() for fault in inner.faults}
    for fault in found.faults:
        # only the session knows which other exporter has a Template that is missing
        if fault.kind not in told or (fault.kind is FaultKind.UNKNOWN_TEMPLATE and found.key is not None):
            part = part.with_fault(fault)
    if as_json:
        echo_json(plain_head(found, later) | _plain(part, found.octets, part.at))
    elif svg is not None:
        if source is not None:
            keep_sources(svg, [source])
        _write_picture(part, found, later, svg, is_all=is_all, force=force)
    else:
        from headwater.cli.explain_text import text_lines

        paint, width = Painter(), terminal_width()
        name, (facts, *more) = title(found), subtitles(found, later)
        is_short = width is None or len(name) + len(facts) + 2 <= width
        click.echo(f"{paint('name', name)}:{' ' if is_short else chr(10)}{facts}")
        for line in (*more, *text_lines(part, found.octets, is_all=is_all, width=width, paint=paint)):
            click.echo(line)
    count = sum(fault.kind is not FaultKind.SFLOW for inner in part.walk() for fault in inner.faults)
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


def _write_picture(part: Part, found: Found, later: Collection[int], path: str, *, is_all: bool, force: bool) -> None:
    from headwater.cli.explain_head import subtitles, title
    from headwater.cli.explain_svg import picture
    from headwater.sinks.output import open_output

    drawing = picture(part, found.octets, title(found), subtitles(found, later), is_all=is_all)
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
