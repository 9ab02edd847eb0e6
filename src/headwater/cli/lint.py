"""`headwater lint`: where messages violate the standards."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import FAILED, PARTIAL
from headwater.cli.options import examples, key_rule_option, port_option, registry_option
from headwater.cli.screen import Painter, echo_json, safe, terminal_width
from headwater.cli.table import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.cli.progress import Progress
    from headwater.process.linting import Linted, Place, Violation
    from headwater.session.rules import Severity

_SEVERITIES = ("note", "warning", "error")
_STYLES = {"error": "fault", "warning": "value", "note": "faint"}


@click.command(
    epilog=examples(
        "headwater lint flows.ipfix",
        "headwater lint --all --severity note trace.pcapng",
        "headwater lint --port 4739 --ignore sequence_gap,late trace.pcap",
        "headwater lint --json captures/ | jq -r '.sources[].violations[].rule'",
        "headwater lint --rules",
    )
    + "\n\nExit codes: 0 nothing found, 1 violations, 2 a source that cannot be read."
)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@click.option("--all", "show_all", is_flag=True, help="List every place, not only the first ones of each rule.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--severity",
    type=click.Choice(_SEVERITIES),
    default="warning",
    show_default=True,
    help="The least severity that is shown, and that makes the exit code 1.",
)
@click.option("--ignore", metavar="RULE,...", multiple=True, help="Rules that do not matter.")
@click.option("--rules", "show_rules", is_flag=True, help="List all rules, and look at no source.")
@registry_option
@key_rule_option
@port_option
@click.pass_context
def lint(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    show_all: bool,
    as_json: bool,
    severity: str,
    ignore: tuple[str, ...],
    show_rules: bool,
    registry: str | None,
    **asked: Any,
) -> None:
    """Tell where the messages in SOURCE violate the standards: files, directories, patterns, or - for stdin.

    SOURCE holds IPFIX, NetFlow, or a packet capture with these in it (pcap, pcapng), compressed or not.

    An error breaks a MUST of RFC 7011, its companions or RFC 3954; a warning breaks a SHOULD, or tells of lost data; a
    note is worth knowing. Octets are counted from 0, after decompression, messages from 1 in each file or session;
    'headwater explain SOURCE --offset OCTET' takes such a message apart.
    """
    from headwater.cli.progress import Progress
    from headwater.session.rules import RULES, Severity

    ignored = {name.strip() for names in ignore for name in names.split(",")}
    for name in sorted(ignored - RULES.keys()):
        raise click.UsageError(f"there is no rule {name!r}; 'headwater lint --rules' lists them")
    if show_rules:
        _show_rules(as_json=as_json)
        return
    if not sources:
        raise click.UsageError("missing argument 'SOURCE...'")
    least = Severity[severity.upper()]
    progress = Progress(is_on=not as_json and sys.stderr.isatty())
    found, skipped = _lint(sources, registry, asked, progress, show_all=show_all)
    is_clean = True
    shown = []
    for linted in _with_progress(found, progress):
        linted.forget(ignored)
        is_clean &= not any(one.severity >= least for one in linted.violations)
        if as_json:
            shown.append(linted.to_dict(least))
            continue
        for line in _lines(linted, least, Painter()):
            click.echo(line)
    if as_json:
        echo_json({"sources": shown, "skipped": [{"name": one.name, "reason": one.reason} for one in skipped]})
    broken = [one for one in skipped if not one.is_foreign]
    for one in broken:
        click.echo(f"headwater: {safe(one.reason)}; left out", err=True)
    if broken or not is_clean:
        ctx.exit(FAILED if broken else PARTIAL)


def _lint(
    sources: tuple[str, ...], registry: str | None, asked: dict[str, Any], progress: Progress, *, show_all: bool
) -> tuple[Iterator[Linted], list[Any]]:
    """(what is found in each source, the files that were left out, complete in the end)."""
    from headwater.cli.options import with_registry
    from headwater.process.linting import LintManner, lint
    from headwater.session.key import KeyPolicy, KeyRule

    rules = {address: KeyRule(rule) for address, rule in asked["key_rule"]}
    manner = LintManner(
        with_registry(registry),
        ports=frozenset(port for ports in asked["port"] for port in ports),
        policy=KeyPolicy(rules.pop("", KeyRule.AUTO), rules),
        progress=progress.begin("reading"),
        all=show_all,
    )
    skipped: list[Any] = []
    return lint(list(sources), manner, skipped), skipped


def _with_progress(found: Iterator[Linted], progress: Progress) -> Iterator[Linted]:
    try:
        for linted in found:
            progress.end()
            yield linted
    finally:
        progress.end()


def _show_rules(*, as_json: bool) -> None:
    from headwater.session.rules import RULES

    if as_json:
        echo_json([rule.to_dict() for rule in RULES.values()])
        return
    rows = [(rule.id, rule.severities, rule.section, rule.text) for rule in RULES.values()]
    for line in aligned(rows, ("rule", "severity", "section", "what is right"), width=terminal_width()):
        click.echo(line)


def _lines(linted: Linted, least: Severity, paint: Painter) -> Iterator[str]:
    from headwater.cli.outcome import counted

    size = f"{counted(linted.messages, 'message')}, {counted(linted.records, 'record')}"
    kinds = Counter(one.severity for one in linted.violations)  # the worst first
    shown = [counted(count, str(kind)) for kind, count in kinds.items() if kind >= least]
    hidden = [counted(count, str(kind)) for kind, count in kinds.items() if kind < least]
    more = f"; {', '.join(hidden)} not shown" if hidden else ""
    yield f"{paint('title', safe(linted.name))}: {size}: {', '.join(shown) or 'nothing found'}{more}"
    for one in linted.violations:
        if one.severity >= least:
            yield from _violation(one, paint)


def _violation(one: Violation, paint: Painter) -> Iterator[str]:
    severity = str(one.severity)
    times = "" if one.count == 1 else f", {one.count:,} times"
    section = f" ({one.rule.section})" if one.rule.section else ""
    yield f"  {paint(_STYLES[severity], severity)} {paint('name', one.rule.id)}{times}: {one.rule.text}{section}"
    for place in one.places:
        yield f"    {_where(place)}"
    rest = one.count - sum(place.count for place in one.places)
    if rest:
        yield paint("faint", f"    and {rest:,} more (--all shows them)")


def _where(place: Place) -> str:
    parts = [f"octet {place.offset}"]
    if place.message is not None:
        parts.append(f"message {place.message}")
    if place.exporter is not None:
        parts.append(place.exporter)
    if place.domain is not None:
        parts.append(f"domain {place.domain}")
    times = f" ({place.count:,} times)" if place.count > 1 else ""
    return f"{', '.join(parts)}{times}: {safe(place.detail)}" if place.detail else f"{', '.join(parts)}{times}"
