"""Templates of transport sessions: learned, replaced, withdrawn, expired; never more than the limits allow."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from headwater.errors import DecodeError
from headwater.model.netflow import netflow_key, widened
from headwater.model.template import Field, Template
from headwater.session.events import Scope
from headwater.session.options import CHECKSUM, DATA_TYPE, SESSION_SCOPE, TYPE_OF
from headwater.session.peers import Peer, Peers
from headwater.session.sequence import DomainLedger
from headwater.wire.dialect import IPFIX, OPTIONS_TEMPLATE_SET
from headwater.wire.layout import Layout
from headwater.wire.legacy import fixed_templates
from headwater.wire.netflow import read_netflow_templates
from headwater.wire.templates import Specifier, TemplateRecord, read_templates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headwater.model.registry import Registry
    from headwater.session.key import KeyPolicy
    from headwater.session.limits import Limits
    from headwater.wire.dialect import Dialect

_PARSED_SETS = 256
_PARSED_OCTETS = 2048
_SETTLED_SETS = 8
_MOST_STREAMS = 256
"""SCTP streams of a domain whose Messages are counted apart; a peer can have 65,536."""

InternKey = tuple[int, int, int, tuple[Specifier, ...]]
"""Version, Template ID, scope count and specifiers."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A Template with its layout; equal ones in one session are one object.

    teaches_types, describes_session, has_checksum: what its records mean to the session (see session/options.py).
    """

    template: Template
    record: TemplateRecord
    layout: Layout
    has_lists: bool
    elements: frozenset[tuple[int, int]]
    teaches_types: bool
    describes_session: bool
    has_checksum: bool

    @classmethod
    def of(cls, record: TemplateRecord, fields: tuple[Field, ...]) -> Known:
        """What is known of the Template in `record`."""
        return cls.of_template(Template(record.id, fields, record.scope_count), record)

    @classmethod
    def of_template(cls, template: Template, record: TemplateRecord) -> Known:
        """What is known of a Template."""
        fields = template.fields
        elements = frozenset(f.element.key for f in fields)
        scope = {f.element.key for f in fields[: template.scope_count]}
        return cls(
            template,
            record,
            Layout.of(template),
            template.has_lists,
            elements,
            teaches_types=TYPE_OF in scope and DATA_TYPE in elements,
            describes_session=SESSION_SCOPE in scope,
            has_checksum=CHECKSUM in elements,
        )

    def is_same(self, record: TemplateRecord) -> bool:
        """Whether `record` defines this Template once more."""
        mine = self.record
        return mine is record or (mine.specifiers == record.specifiers and mine.scope_count == record.scope_count)

    @property
    def is_usable(self) -> bool:
        """Whether its records have octets at all (a template of zero-length fields frames nothing)."""
        return self.layout.least > 0


@dataclass(slots=True)
class Domain:
    """One Observation Domain of a peer. index: small number that stands for it in arrays, -1 = beyond the limits.

    lists: Templates that have lists.
    clock: sysUpTime of the last Message of NetFlow v9 and the boot that it tells since 1970, in milliseconds.
    ledger: of stream 0, which is the only one but for SCTP; streams: of the others, by stream.
    settled: (Set ID, body) of Template Sets that would change nothing now, with the ids of their Templates.
    """

    id: int
    index: int
    peer: Peer
    ledger: DomainLedger
    known: dict[int, Known] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    lists: int = 0
    clock: tuple[int, int] | None = None
    settled: dict[tuple[int, bytes], tuple[int, ...]] = field(default_factory=dict)
    streams: dict[int, DomainLedger] = field(default_factory=dict)
    _scope: Scope | None = None

    @property
    def ledgers(self) -> list[DomainLedger]:
        """Its ledgers, one for each SCTP stream."""
        return [self.ledger, *self.streams.values()]

    def ledger_of(self, stream: int) -> DomainLedger:
        """The ledger in which the Messages of a stream are counted; those beyond the limit share one."""
        if stream == 0 or self.index < 0:
            return self.ledger
        found = self.streams.get(stream)
        if found is None:
            if len(self.streams) >= _MOST_STREAMS:
                return self.ledger
            mine = self.ledger
            found = DomainLedger(self.id, key=mine.key, version=mine.version, unit=mine.unit, stream=stream)
            self.streams[stream] = found
        return found

    def scope(self) -> Scope:
        """Its Templates at this moment, for lists; a copy that later changes leave alone."""
        registry = self.peer.registry
        if self._scope is None or self._scope.registry is not registry:
            self._scope = Scope({id: known.template for id, known in self.known.items()}, registry)
        return self._scope

    def changed(self) -> None:
        """Templates are not what they were: the next scope is a new one."""
        self._scope = None
        self.settled.clear()

    def settle(self, set_id: int, body: bytes, records: tuple[TemplateRecord, ...]) -> None:
        """Note that this Template Set repeats what is known, so that its repeats need not be read."""
        if len(self.settled) < _SETTLED_SETS and len(body) <= _PARSED_OCTETS:
            self.settled[set_id, body] = tuple(record.id for record in records)


@dataclass(frozen=True, slots=True)
class ParsedSet:
    """Records of one (Options) Template Set, up to an error if there is one."""

    records: tuple[TemplateRecord, ...]
    error: DecodeError | None


class TemplateTable:
    """All Templates, by transport session and Observation Domain (RFC 7011 §8: the scope of a Template ID)."""

    def __init__(self, registry: Registry, limits: Limits, policy: KeyPolicy) -> None:
        self.peers = Peers(registry, policy, limits.sessions)
        self.by_index: dict[int, Domain] = {}
        self._next_index = 0
        self._limits = limits
        self._templates = self._octets = 0
        self._overflow: dict[int, Domain] = {}
        self._interned: dict[int, dict[InternKey, Known]] = {}
        self._num_interned, self._most_interned = 0, 2 * limits.templates
        self._parsed: OrderedDict[tuple[int, int, bytes], ParsedSet] = OrderedDict()
        self._fields: dict[tuple[int, bool, Specifier], Field] = {}

    def domain(self, peer: Peer, id: int) -> Domain:
        """The domain of that id; beyond the limit one that learns nothing."""
        found = peer.domains.get(id)
        if found is None:
            if len(peer.domains) >= self._limits.domains or len(self.by_index) >= self._limits.domains_in_all:
                return self.overflow(peer.dialect)
            ledger = DomainLedger(id, key=peer.key, version=peer.dialect.version, unit=peer.dialect.sequence_unit)
            found = peer.domains[id] = Domain(id, self._next_index, peer, ledger)
            if not peer.dialect.has_sets:
                found.known = dict(_fixed(peer.dialect.version))
            self.by_index[self._next_index] = found
            self._next_index += 1
        return found

    def overflow(self, dialect: Dialect) -> Domain:
        """Stands for all domains beyond the limits."""
        found = self._overflow.get(dialect.version)
        if found is None:
            peer = Peer(-1, dialect, None, self.peers.registry)
            found = self._overflow[dialect.version] = Domain(-1, -1, peer, DomainLedger(-1))
            if not dialect.has_sets:
                found.known = dict(_fixed(dialect.version))
        return found

    def parse(self, dialect: Dialect, set_id: int, body: bytes) -> ParsedSet:
        """Records of a template set; sets that are sent again are parsed once. set_id: as IPFIX has it."""
        key = (dialect.version, set_id, body)
        found = self._parsed.get(key)
        if found is None:
            read = read_templates if dialect is IPFIX else read_netflow_templates
            records, error = [], None
            try:
                for record in read(body, options=set_id == OPTIONS_TEMPLATE_SET):
                    records.append(record)  # noqa: PERF402  # records before the error are kept
            except DecodeError as bad:
                error = bad
            found = ParsedSet(tuple(records), error)
            if len(body) <= _PARSED_OCTETS:
                self._parsed[key] = found
                if len(self._parsed) > _PARSED_SETS:
                    self._parsed.popitem(last=False)
        return found

    def intern(self, peer: Peer, record: TemplateRecord) -> Known:
        """The one object for this definition."""
        interned = self._interned.setdefault(id_of(peer.registry), {})
        key = _intern_key(peer, record)
        found = interned.get(key)
        if found is None:
            found = interned[key] = Known.of(record, self._fields_of(peer, record))
            self._num_interned += 1
            if self._num_interned > self._most_interned:
                self._intern_only_used()
        return found

    def put(self, domain: Domain, known: Known, now: float) -> bool:
        """Make `known` the Template of its id; False if the limits leave no room for it."""
        old = domain.known.get(known.template.id)
        count, octets = int(old is None), _octets(known) - (_octets(old) if old else 0)
        if domain.index < 0 or not self._has_room(domain.peer, count, octets):
            return False
        self._account(domain.peer, count, octets)
        domain.known[known.template.id] = known
        domain.seen[known.template.id] = now
        domain.lists += known.has_lists - (old.has_lists if old else 0)
        domain.changed()
        return True

    def drop(self, domain: Domain, id: int) -> Known | None:
        """Forget the Template of that id, if there is one."""
        known = domain.known.pop(id, None)
        if known is not None:
            self._account(domain.peer, -1, -_octets(known))
            domain.lists -= known.has_lists
            domain.seen.pop(id, None)
            domain.changed()
        return known

    def expire(self, now: float) -> list[tuple[Domain, Known]]:
        """Forget Templates not sent again within their lifetime (RFC 7011 §8.4)."""
        out = []
        oldest = now - self._limits.template_lifetime_s
        for domain in self.by_index.values():
            for id in [id for id, seen in domain.seen.items() if seen < oldest]:
                known = self.drop(domain, id)
                if known is not None:
                    out.append((domain, known))
        return out

    def forget(self, peers: Iterable[Peer]) -> list[Domain]:
        """Know nothing of these exporters any more; the domains that they had."""
        gone = list(peers)
        domains = [domain for peer in gone for domain in peer.domains.values()]
        for domain in domains:
            for id in list(domain.seen):
                self.drop(domain, id)
            del self.by_index[domain.index]
        for peer in gone:
            if peer.registry is not self.peers.registry:  # as in `retype`
                self._num_interned -= len(self._interned.pop(id_of(peer.registry), ()))
                self._fields.clear()
        self.peers.forget(gone)
        return domains

    def retype(self, peer: Peer, registry: Registry, learned: Iterable[tuple[int, int]]) -> list[tuple[Domain, Known]]:
        """Use `registry` for a peer from now on; its Templates with `learned` elements get their names and types."""
        if peer.registry is not self.peers.registry:  # then it was of this peer only, and its identity may come again
            self._num_interned -= len(self._interned.pop(id_of(peer.registry), ()))
        peer.registry = registry
        self._fields.clear()
        keys = frozenset(learned)
        out = []
        for domain in peer.domains.values():
            for id, known in list(domain.known.items()):
                if known.elements & keys:
                    renewed = Known.of(known.record, self._fields_of(peer, known.record))
                    domain.lists += renewed.has_lists - known.has_lists
                    domain.known[id] = renewed
                    domain.changed()
                    out.append((domain, renewed))
        return out

    def clear(self) -> None:
        """Forget everything (RFC 7011 §8: Templates live as long as their transport session)."""
        for domain in self.by_index.values():
            for id in list(domain.seen):
                self.drop(domain, id)
        self._interned.clear()
        self._num_interned = 0

    def _has_room(self, peer: Peer, count: int, octets: int) -> bool:
        limits = self._limits
        return (
            peer.templates + count <= limits.templates
            and peer.octets + octets <= limits.template_octets
            and self._templates + count <= limits.templates_in_all
            and self._octets + octets <= limits.template_octets_in_all
        )

    def _account(self, peer: Peer, count: int, octets: int) -> None:
        peer.templates += count
        peer.octets += octets
        self._templates += count
        self._octets += octets

    def _fields_of(self, peer: Peer, record: TemplateRecord) -> tuple[Field, ...]:
        is_ipfix = peer.dialect is IPFIX
        return tuple([self._field(peer.registry, is_ipfix, specifier) for specifier in record.specifiers])

    def _field(self, registry: Registry, is_ipfix: bool, specifier: Specifier) -> Field:
        key = (id_of(registry), is_ipfix, specifier)
        found = self._fields.get(key)
        if found is None:
            if len(self._fields) > 1 << 16:
                self._fields.clear()
            pen, id, length = specifier
            if is_ipfix:
                found = Field(registry.get(pen, id), length)
            else:
                element = registry.get(*((pen, id) if pen else netflow_key(id, registry)))
                found = Field(widened(element, length), length)
            self._fields[key] = found
        return found

    def _intern_only_used(self) -> None:
        self._interned = {}
        for domain in self.by_index.values():
            interned = self._interned.setdefault(id_of(domain.peer.registry), {})
            interned.update((_intern_key(domain.peer, known.record), known) for known in domain.known.values())
        self._num_interned = sum(map(len, self._interned.values()))
        self._most_interned = 2 * max(self._limits.templates, self._num_interned)


def _intern_key(peer: Peer, record: TemplateRecord) -> InternKey:
    """What makes definitions the same, besides the registry."""
    return peer.dialect.version, record.id, record.scope_count, record.specifiers


@cache
def _fixed(version: int) -> dict[int, Known]:
    """What is known without being told: the records of NetFlow v1, v5, v7 and v8, the same for all exporters."""
    return {
        id: Known.of_template(template, TemplateRecord(id, 0, (), 0))
        for id, template in fixed_templates(version).items()
    }


def id_of(thing: object) -> int:
    """Identity as a key; the thing must be kept alive beside it."""
    return id(thing)


def _octets(known: Known) -> int:
    return 4 * len(known.template.fields)
