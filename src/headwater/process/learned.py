"""Elements that a source itself describes (RFC 5610), so that they can be selected by name before it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headwater.errors import HeadwaterError, UnknownElement
from headwater.model import registry as registries
from headwater.process.report import SourceReport
from headwater.process.source import SourceReading
from headwater.session.collecting import Session
from headwater.session.key import Transport
from headwater.transport import Source, find_sources, open_source

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.session.limits import Limits


def registry_for(
    source: Any,
    registry: Registry | None,
    resolve: Callable[[Registry], object],
    *,
    limits: Limits | None = None,
    trust: bool = False,
    max_octets: int | None = None,
) -> Registry:
    """The registry, with the elements that `source` describes if `resolve` raises UnknownElement without them.

    resolve: looks up all names that are wanted. Sources are read, without decoding records, until it succeeds.
    Raises what `resolve` raises; UnknownElement tells where sources cannot be read twice.
    """
    known = registries.IANA if registry is None else registry
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
    if not all(map(_can_be_read_twice, found)):
        hint = "elements described inside the data can be selected by name from files and bytes only, not from streams"
        unknown.args = (f"{unknown} ({hint})",)
        raise unknown
    for one in found:
        learned = _learned(one, known, limits, trust, max_octets)
        if learned:
            known = known.extend(learned)
            try:
                resolve(known)
            except UnknownElement as bad:
                unknown = bad
            else:
                return known
    raise unknown


def _can_be_read_twice(source: Source) -> bool:
    return isinstance(source.given, memoryview) or (source.path is not None and source.size is not None)


def _learned(
    source: Source, registry: Registry, limits: Limits | None, trust: bool, max_octets: int | None
) -> list[InformationElement]:
    """The elements that one source describes and the registry lacks, as far as it can be read."""
    session = Session(registry, Transport.FILE, limits, resync=trust)
    try:
        windows = open_source(source, trust=trust)
    except HeadwaterError:
        return []
    try:
        report = SourceReport(source.name, windows.compression)
        for _ in SourceReading(windows, session, report, max_octets=max_octets, tell=lambda _: None).runs():
            pass
    except HeadwaterError:  # what can be read counts; the reading itself tells the rest
        pass
    finally:
        windows.close()
    return [element for element in session.registry if element.key not in registry]
