"""Elements that a source itself describes (RFC 5610), so that they can be selected by name before it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headwater.errors import HeadwaterError, UnknownElement
from headwater.model import registry as registries
from headwater.process.ahead import read_ahead
from headwater.transport import find_sources

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.process.manner import Manner


def registry_for(source: Any, resolve: Callable[[Registry], object], manner: Manner) -> Registry:
    """The registry, with the elements that `source` describes if `resolve` raises UnknownElement without them.

    resolve: looks up all names that are wanted. Sources are read, without decoding records, until it succeeds.
    Raises what `resolve` raises; UnknownElement tells where sources cannot be read twice.
    """
    known = registries.IANA if manner.registry is None else manner.registry
    try:
        resolve(known)
    except UnknownElement as bad:
        unknown = bad
    else:
        return known
    try:
        found = list(find_sources(source))
    except (HeadwaterError, TypeError):  # told when the source is read; the name comes first
        raise unknown from None
    if not all(one.can_be_read_twice for one in found):
        hint = "elements described inside the data can be selected by name from files and bytes only, not from streams"
        unknown.args = (f"{unknown} ({hint})",)
        raise unknown
    for one in found:
        feed = read_ahead(one, replace(manner, registry=known))
        if feed is not None and feed.elements:
            known = known.extend(feed.elements)
            try:
                resolve(known)
            except UnknownElement as bad:
                unknown = bad
            else:
                return known
    raise unknown
