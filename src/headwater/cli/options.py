"""Options that several verbs have, and what they mean."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from headwater.model.registry import Registry
    from headwater.process.manner import Manner

Verb = TypeVar("Verb", bound="Callable[..., Any]")

_RULES = ("auto", "rfc", "address")


class ReadingOptions(TypedDict):
    """What `reading_options` gives to a verb. key_rule: (address, rule) pairs; the address "" is that of all others."""

    port: tuple[tuple[int, ...], ...]
    key_rule: tuple[tuple[str, str], ...]
    state: str | None
    salvage: bool
    resync: bool
    strict: bool
    registry: str | None


class ChoosingOptions(ReadingOptions):
    """What `choosing_options` and `reading_options` give to a verb."""

    select: tuple[str, ...]
    where: tuple[str, ...]
    add: tuple[str, ...]
    resolve_time: bool
    scale_sampling: bool
    join_options: bool
    with_options: bool


class _Ports(click.ParamType[tuple[int, ...]]):
    """Port numbers with commas between them."""

    name = "ports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if not isinstance(value, str):
            return tuple(value)
        ports = []
        for text in value.split(","):
            word = text.strip()
            port = int(word) if word.isdecimal() and len(word) <= 5 else 0
            if not 0 < port < 1 << 16:
                self.fail(f"{word!r} is no port; ports are numbers from 1 to 65535", param, ctx)
            ports.append(port)
        return tuple(ports)


class _KeyRule(click.ParamType[tuple[str, str]]):
    """A rule, or ADDRESS=RULE."""

    name = "rule"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from headwater.batch.facts import plain_address

        if not isinstance(value, str):
            address, rule = value
            return str(address), str(rule)
        address, is_single, rule = value.rpartition("=")
        if rule not in _RULES:
            self.fail(f"{rule!r} is no rule; there are {', '.join(_RULES)}", param, ctx)
        if not is_single:
            return "", rule
        try:
            return str(plain_address(address)), rule
        except ValueError:
            self.fail(f"{address!r} is no address; write a rule alone, or as in 192.0.2.1=rfc", param, ctx)


sources_argument = click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
"""Files, directories, patterns, or - for stdin."""

registry_option = click.option(
    "--registry",
    metavar="FILE",
    help="Also know the elements of FILE: a table (CSV), or XML as IANA and CERT publish it.",
)

port_option = click.option(
    "-p",
    "--port",
    type=_Ports(),
    metavar="PORT,...",
    multiple=True,
    help="Of captures, take just what is sent to these ports; otherwise flow export is recognised by content.",
)

key_rule_option = click.option(
    "--key-rule",
    type=_KeyRule(),
    metavar="RULE",
    multiple=True,
    help="What templates are kept by: rfc (address and port), address, or auto (the port counts for IPFIX only); "
    "ADDRESS=RULE for one exporter.",
)


def examples(*lines: str) -> str:
    """The end of a verb's help: command lines to copy."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def reading_options(verb: Verb) -> Verb:
    """The options of ReadingOptions: how sources are read."""
    for option in (
        registry_option,
        click.option("--strict", is_flag=True, help="Stop with an error at the first fault that costs records."),
        click.option("--resync", is_flag=True, help="Search for the next message where the framing is lost."),
        click.option("--salvage", is_flag=True, help="Keep the whole records of malformed messages."),
        click.option(
            "--state",
            metavar="FILE",
            help="Templates and options that captures taught: read from FILE before, written to it when all is read.",
        ),
        key_rule_option,
        port_option,
    ):
        verb = option(verb)
    return verb


_COLUMNS = (
    click.option("--options", "with_options", is_flag=True, help="Options records too, not only data records."),
    click.option(
        "--add",
        metavar="NAME,...",
        multiple=True,
        help="These columns too: exporterIPv4Address, exportTime, samplingRate, …; a wrong name shows all.",
    ),
    click.option(
        "--join-options",
        is_flag=True,
        help="Add what options records say: names of interfaces, applications, VRFs and samplers.",
    ),
    click.option(
        "--scale-sampling",
        is_flag=True,
        help="Add samplingRate, where it is from, and counters scaled by it.",
    ),
    click.option(
        "--resolve-time",
        is_flag=True,
        help="Add flowStart, flowEnd (UTC) and flowDuration, whatever times were sent.",
    ),
)
_WHERE = click.option(
    "-w",
    "--where",
    metavar="EXPR",
    multiple=True,
    help="Only records that fulfil EXPR; all of them if repeated.",
)
_SELECT = click.option("-s", "--select", metavar="NAME,...", multiple=True, help="Only these columns, in this order.")


def column_options(verb: Verb) -> Verb:
    """What of the records is wanted, as choosing_options, but all records."""
    for option in (*_COLUMNS, _SELECT):
        verb = option(verb)
    return verb


def choosing_options(verb: Verb) -> Verb:
    """The options that ChoosingOptions has beside those of ReadingOptions: what of the records is wanted."""
    for option in (*_COLUMNS, _WHERE, _SELECT):
        verb = option(verb)
    return verb


def names_of(texts: Iterable[str], option: str) -> list[str]:
    """The names of an option that takes several of them with commas between. Raises click.BadParameter for none."""
    given = list(texts)
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    if given and not names:
        raise click.BadParameter("no column is named", param_hint=option)
    return names


def added_of(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """What `--add` names: facts of Messages, and columns that are worked out. Raises click.BadParameter."""
    from headwater.batch.derived import DERIVED
    from headwater.batch.facts import FACTS

    names = names_of(texts, "--add")
    for name in names:
        if name not in FACTS and name not in DERIVED:
            known = ", ".join((*FACTS, *DERIVED))
            raise click.BadParameter(f"{name!r} is none of {known}", param_hint="--add")
    return [name for name in names if name not in DERIVED], [name for name in names if name in DERIVED]


def manner_of(asked: ReadingOptions) -> Manner:
    """How sources are to be read."""
    from headwater.process.manner import Manner
    from headwater.session.key import KeyPolicy, KeyRule

    for lenient in ("salvage", "resync"):
        if asked["strict"] and asked[lenient]:
            raise click.UsageError(f"--strict and --{lenient} exclude each other")
    rules = {address: KeyRule(rule) for address, rule in asked["key_rule"]}
    return Manner(
        with_registry(asked["registry"]),
        strict=asked["strict"],
        salvage=asked["salvage"],
        resync=asked["resync"],
        ports=frozenset(port for ports in asked["port"] for port in ports),
        policy=KeyPolicy(rules.pop("", KeyRule.AUTO), rules),
    )


def state_of(asked: ReadingOptions, sources: Iterable[str]) -> str | None:
    """The state file. Raises click.ClickException if it is one of the sources: it will be written."""
    state = asked["state"]
    if state == "-":
        raise click.BadParameter("it is read and written, so it is a file and not -", param_hint="--state")
    if state is not None:
        keep_sources(state, sources)
    return state


def keep_sources(destination: str, sources: Iterable[str]) -> None:
    """Raise click.ClickException if the destination is one of the sources: it would be lost."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):  # what is not there is not the same
            if source != "-" and os.path.samefile(source, destination):  # noqa: PTH121  # pathlib costs 5 ms more
                raise click.ClickException(f"{destination} is one of the sources; give another name")


def with_registry(path: str | None) -> Registry:
    """The shipped registry, with the elements of a file if there is one."""
    from headwater.model.registry import IANA

    if path is None:
        return IANA
    from headwater.model.loading import load_elements

    return IANA.extend(load_elements(path))
