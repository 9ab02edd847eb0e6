"""Arguments of the verbs, checked where they are called and not when the first batch is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from headwater.errors import HeadwaterError, SourceError
from headwater.model.registry import Registry
from headwater.session.limits import Limits

CHECKSUMS = ("warn", "drop", "ignore")


def check_source(source: Any) -> None:
    """Raise SourceError for an empty path or a closed file, TypeError for what is no source at all."""
    if isinstance(source, list | tuple):
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


def checked_facts(provenance: Iterable[str]) -> tuple[str, ...]:
    """The names of facts."""
    if isinstance(provenance, str):
        raise HeadwaterError(f"provenance is a list of names: write [{provenance!r}]")
    try:
        return tuple(provenance)
    except TypeError:
        raise HeadwaterError(f"provenance is a list of names, not {type(provenance).__name__}") from None


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
