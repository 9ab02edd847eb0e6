"""Exporters: whose Templates are whose (RFC 7011 §8, §8.4; RFC 3954 §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.session.key import KeyPolicy, SessionKey
    from headwater.session.templates import Domain
    from headwater.wire.dialect import Dialect

I32 = npt.NDArray[np.int32]

_ASKED = 64
"""Sessions of one address that are asked for a Template; it is a hint, and there may be 65,536."""


@dataclass(slots=True, eq=False)
class Peer:
    """One exporter that speaks one protocol: the transport session of IPFIX, the address of NetFlow v9.

    key: the transport session it was first heard in. registry: names and types, with what it taught (RFC 5610).
    learned: how many elements that is. templates, octets: of all its domains, for the limits.
    heard: when a Message came last, by the clock of the session.
    """

    index: int
    dialect: Dialect
    key: SessionKey | None
    registry: Registry
    domains: dict[int, Domain] = field(default_factory=dict)
    learned: int = 0
    templates: int = 0
    octets: int = 0
    heard: float = 0.0

    def __str__(self) -> str:
        return "this source" if self.key is None else str(self.key)


class Peers:
    """Every exporter that was heard of, up to a limit; found for whole buffers of Messages at a time."""

    def __init__(self, registry: Registry, policy: KeyPolicy, limit: int) -> None:
        self.all: dict[int, Peer] = {}  # by index
        self.registry = registry
        self.policy, self._limit = policy, limit
        self._by_key: dict[tuple[int, SessionKey | str | None], Peer] = {}
        self._by_address: dict[tuple[int, str], list[Peer]] = {}
        self._known: dict[int, I32] = {}  # by version: index of the Peer of each key, -1 = not looked up yet
        self._keys: Sequence[SessionKey | None] | None = None
        self._free: list[int] = []

    def find(self, dialect: Dialect, key: SessionKey | None) -> Peer | None:
        """The exporter with that key, if it was heard of."""
        return self._by_key.get(self._mark(dialect, key))

    def of(self, dialect: Dialect, key: SessionKey | None) -> Peer | None:
        """The exporter with that key, made if it is new; None beyond the limit."""
        mark = self._mark(dialect, key)
        found = self._by_key.get(mark)
        if found is None and len(self.all) < self._limit:
            index = self._free.pop() if self._free else len(self.all)
            found = self._by_key[mark] = self.all[index] = Peer(index, dialect, key, self.registry)
            if key is not None:
                self._by_address.setdefault((dialect.version, key.address), []).append(found)
        return found

    def forget(self, peers: Iterable[Peer]) -> None:
        """Know nothing of them any more; their indices are given to others."""
        gone: set[int] = set()
        addresses: set[tuple[int, str]] = set()
        for peer in peers:
            gone.add(peer.index)
            del self.all[peer.index]
            del self._by_key[self._mark(peer.dialect, peer.key)]
            if peer.key is not None:
                addresses.add((peer.dialect.version, peer.key.address))
        for address in addresses:  # once for each: one address can have thousands of sessions
            left = [peer for peer in self._by_address.pop(address) if peer.index not in gone]
            if left:
                self._by_address[address] = left
        self._free.extend(gone)
        for known in self._known.values():
            known[np.isin(known, list(gone))] = -1

    def of_messages(self, dialect: Dialect, peer: I32, keys: Sequence[SessionKey | None]) -> I32:
        """Index into `all` of each Message's exporter, -1 beyond the limit. peer: index into `keys`."""
        if self._keys is not keys:
            self._keys = keys
            self._known.clear()
        known = self._known.get(dialect.version)
        if known is None or len(known) < len(keys):
            grown = np.full(2 * len(keys), -1, np.int32)
            if known is not None:
                grown[: len(known)] = known
            known = self._known[dialect.version] = grown
        found = known[peer]
        if (found < 0).any():
            new, first = np.unique(peer[found < 0], return_index=True)
            for number in new[np.argsort(first)].tolist():  # as they come, so that the first are within the limit
                exporter = self.of(dialect, keys[number])
                known[number] = -1 if exporter is None else exporter.index
            found = known[peer]
        return found

    def _mark(self, dialect: Dialect, key: SessionKey | None) -> tuple[int, SessionKey | str | None]:
        return dialect.version, key if key is None or self.policy.has_port(dialect, key) else key.address

    def with_template(self, domain: Domain, id: int) -> Peer | None:
        """Another transport session of the same address, whose domain of that id knows the Template."""
        mine = domain.peer
        same = [] if mine.key is None else self._by_address[mine.dialect.version, mine.key.address]
        for peer in islice(same, _ASKED):
            other = peer.domains.get(domain.id)
            if peer is not mine and other is not None and id in other.known:
                return peer
        return None
