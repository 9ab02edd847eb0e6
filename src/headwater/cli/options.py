"""Options that several verbs have, and what they mean."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from headwater.model.registry import Registry

Verb = TypeVar("Verb", bound="Callable[..., Any]")

sources_argument = click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
"""Files, directories, patterns, or - for stdin."""

registry_option = click.option(
    "--registry",
    metavar="FILE",
    help="Also know the elements of FILE: a table (CSV), or XML as IANA and CERT publish it.",
)


def examples(*lines: str) -> str:
    """The end of a verb's help: command lines to copy."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def reading_options(verb: Verb) -> Verb:
    """--salvage --resync --strict --registry: how sources are read."""
    for option in (
        registry_option,
        click.option("--strict", is_flag=True, help="Stop with an error at the first fault that costs records."),
        click.option("--resync", is_flag=True, help="Search for the next message where the framing is lost."),
        click.option("--salvage", is_flag=True, help="Keep the whole records of malformed messages."),
    ):
        verb = option(verb)
    return verb


def choosing_options(verb: Verb) -> Verb:
    """--select --where --options: what of the records is wanted."""
    for option in (
        click.option("--options", "with_options", is_flag=True, help="Options records too, not only data records."),
        click.option(
            "-w",
            "--where",
            metavar="EXPR",
            multiple=True,
            help="Only records that fulfil EXPR; all of them if repeated.",
        ),
        click.option("-s", "--select", metavar="NAME,...", multiple=True, help="Only these columns, in this order."),
    ):
        verb = option(verb)
    return verb


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
