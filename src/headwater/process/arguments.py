"""Arguments of the verbs, checked where they are called and not when the first batch is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from headwater.batch.facts import plain_address
from headwater.errors import HeadwaterError, SourceError
from headwater.model.registry import Registry
from headwater.session.key import KeyPolicy
from headwater.session.limits import Limits

CHECKSUMS = ("warn", "drop", "ignore")


def check_source(source: Any) -> None:
    """Raise SourceError for an empty path or a closed file, TypeError for what is no source at all."""
    if isinstance(source, list | tuple):
        if sum(isinstance(one, str) and one == "-" for one in source) > 1:
            raise SourceError("standard input (-) can be read only once")
        for one in source:
            check_source(one)
    elif isinstance(source, str | os.PathLike):
        if not os.fspath(source):
            raise SourceError("the path is empty")
    elif hasattr(source, "read"):
        if getattr(source, "closed", False) is True:
            raise SourceError(f"the file object {getattr(source, 'name', '')!r} is closed; give an open one, or a path")
    else:
        try:
            memoryview(source)
        except TypeError:
            kinds = "a path, a file object, bytes, or a list of these"
            raise TypeError(f"cannot read from {type(source).__name__}: give {kinds}") from None


def checked_select(select: Iterable[str] | None) -> tuple[str, ...] | None:
    """The selected names, None = all. Raises HeadwaterError if there are none."""
    if select is None or isinstance(select, str):
        return select if select is None else _no_list(select)
    try:
        names = tuple(select)
    except TypeError:
        raise HeadwaterError(f"select is a list of names, not {type(select).__name__}") from None
    if not names:
        raise HeadwaterError("select names no column; leave it out for all fields of each Template")
    return names


def checked_names(what: str, given: Iterable[str]) -> tuple[str, ...]:
    """The names of an option. Raises HeadwaterError for what is no list of names."""
    if isinstance(given, str):
        raise HeadwaterError(f"{what} is a list of names: write [{given!r}]")
    try:
        return tuple(given)
    except TypeError:
        raise HeadwaterError(f"{what} is a list of names, not {type(given).__name__}") from None


def checked_ports(given: Iterable[int]) -> frozenset[int]:
    """The ports. Raises HeadwaterError for what is none."""
    try:
        ports = frozenset([given] if isinstance(given, int) else given)
    except TypeError:
        raise HeadwaterError(f"ports is a list of port numbers, not {type(given).__name__}") from None
    for port in ports:
        if not isinstance(port, int) or not 0 < port < 1 << 16:
            raise HeadwaterError(f"{port!r} is no port; ports are numbers from 1 to 65535")
    return ports


def checked_policy(given: KeyPolicy | str | Mapping[str, str] | None) -> KeyPolicy:
    """What Templates are kept by. Raises HeadwaterError for a rule or an address that is none."""
    if given is None or isinstance(given, KeyPolicy):
        return given or KeyPolicy()
    if isinstance(given, str):
        return KeyPolicy(given)  # type: ignore[arg-type]  # it takes names and refuses what is none
    if not isinstance(given, Mapping):
        raise HeadwaterError(f"key_policy is a rule or a mapping from addresses to rules, not {type(given).__name__}")
    try:
        exporters = {str(plain_address(address)): rule for address, rule in given.items()}
    except ValueError as bad:
        raise HeadwaterError(f"key_policy: {bad}") from None
    return KeyPolicy(exporters=exporters)  # type: ignore[arg-type]


def _no_list(select: str) -> tuple[str, ...]:
    raise HeadwaterError(f"select is a list of names: write [{select!r}]")


def check_options(registry: Any, limits: Any, checksum: Any, max_octets: Any, progress: Any) -> None:
    """Raise HeadwaterError for an option that is not what `read` takes."""
    if registry is not None and not isinstance(registry, Registry):
        raise HeadwaterError(f"registry is a headwater.Registry, not {type(registry).__name__}")
    if limits is not None and not isinstance(limits, Limits):
        raise HeadwaterError(f"limits is a headwater.Limits, not {type(limits).__name__}")
    if checksum not in CHECKSUMS:
        raise HeadwaterError(f"checksum is one of {', '.join(map(repr, CHECKSUMS))}, not {checksum!r}")
    if max_octets is not None and (not isinstance(max_octets, int) or max_octets <= 0):
        raise HeadwaterError(f"max_octets is a positive number of octets, not {max_octets!r}")
    if progress is not None and not callable(progress):
        raise HeadwaterError(f"progress is a function of (octets done, octets in all), not {type(progress).__name__}")
