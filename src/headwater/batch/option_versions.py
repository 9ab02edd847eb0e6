"""What one option record said over time: versions of its values, each valid from when it was first seen."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from headwater.batch.facts import address_of
from headwater.batch.scopes import Key

if TYPE_CHECKING:
    from headwater.session.key import SessionKey

VERSIONS_KEPT: Final = 16
"""Versions of one record's values; older ones are forgotten."""


class Origin(NamedTuple):
    """Whose record it is: the exporter's address ("" = of a file) and port, the Observation Domain, the version.

    Two versions from one address are two Exporting Processes, which know nothing of each other.
    """

    address: str
    port: int
    domain: int
    version: int

    @classmethod
    def of(cls, key: SessionKey | None, domain: int, version: int) -> Self:
        """Of what a transport session sends."""
        if key is None:
            return cls("", 0, domain, version)
        return cls(str(address_of(key) or ""), key.port, domain, version)


@dataclass(slots=True, eq=False)
class Version:
    """Values that stayed the same from first_seen to last_seen (export times, Unix seconds), seen `count` times.

    row: hash of the cells it was made of, so that a repeat is known without a look at them.
    """

    values: dict[str, Any]
    first_seen: int
    last_seen: int
    count: int = 1
    row: int = 0


@dataclass(slots=True, eq=False)
class Option:
    """One thing that option records speak of, told apart by origin, table, `scope` and which columns there are.

    versions: at least one, ascending by first_seen. octets: about what it takes to keep.
    """

    origin: Origin
    table: str
    scope: dict[str, Any]
    keys: tuple[Key, ...]
    versions: list[Version] = field(default_factory=list)
    octets: int = 0

    def observe(self, values: dict[str, Any], at: int) -> Version:
        """Take in that at a time (Unix seconds) the values were these, whatever the order records arrive in."""
        versions = self.versions
        after = bisect_right(versions, at, key=_first_seen)
        before = versions[after - 1] if after else None
        if before is not None and before.values == values:
            before.last_seen = max(before.last_seen, at)
            before.count += 1
            return before
        if after < len(versions) and versions[after].values == values and not (before and at < before.last_seen):
            versions[after].first_seen = at
            versions[after].count += 1
            return versions[after]
        found = Version(values, at, at)
        versions.insert(after, found)
        if before is not None and at < before.last_seen:  # between two sights of the values that were there
            versions.insert(after + 1, Version(before.values, before.last_seen, before.last_seen, 1))
            before.last_seen = before.first_seen
        return found

    def forget(self) -> list[Version]:
        """Drop the oldest versions if there are too many, and tell which."""
        extra = self.versions[: max(0, len(self.versions) - VERSIONS_KEPT)]
        del self.versions[: len(extra)]
        return extra


def _first_seen(version: Version) -> int:
    return version.first_seen
