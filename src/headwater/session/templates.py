"""Templates of one transport session: learned, replaced, withdrawn, expired; never more than the limits allow."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.errors import DecodeError
from headwater.model.template import Field, Template
from headwater.session.events import Scope
from headwater.session.options import CHECKSUM, DATA_TYPE, SESSION_SCOPE, TYPE_OF
from headwater.session.sequence import DomainLedger
from headwater.wire.dialect import IPFIX
from headwater.wire.layout import Layout
from headwater.wire.templates import TemplateRecord, read_templates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headwater.model.registry import Registry
    from headwater.session.limits import Limits

_PARSED_SETS = 256
_PARSED_OCTETS = 2048
_SETTLED_SETS = 8


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
        template = Template(record.id, fields, record.scope_count)
        elements = frozenset(f.element.key for f in fields)
        scope = {f.element.key for f in fields[: record.scope_count]}
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
    """One Observation Domain. index: small number that stands for it in arrays. lists: Templates that have lists.

    settled: (Set ID, body) of Template Sets that would change nothing now, with the ids of their Templates.
    """

    id: int
    index: int
    ledger: DomainLedger
    known: dict[int, Known] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)
    lists: int = 0
    settled: dict[tuple[int, bytes], tuple[int, ...]] = field(default_factory=dict)
    _scope: Scope | None = None

    def scope(self, registry: Registry) -> Scope:
        """Its Templates at this moment, for lists; a copy that later changes leave alone."""
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
    """All Templates of one transport session, by Observation Domain (RFC 7011 §8: the scope of a Template ID)."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self.registry = registry
        self.domains: dict[int, Domain] = {}
        self.by_index: list[Domain] = []
        self._limits = limits
        self._overflow = Domain(-1, -1, DomainLedger(-1))
        self._count = 0
        self._octets = 0
        self._interned: dict[tuple[int, int, tuple[tuple[int, int, int], ...]], Known] = {}
        self._parsed: OrderedDict[tuple[int, bytes], ParsedSet] = OrderedDict()
        self._fields: dict[tuple[int, int, int], Field] = {}

    def domain(self, id: int) -> Domain:
        """The domain of that id; beyond the limit one that learns nothing."""
        found = self.domains.get(id)
        if found is None:
            if len(self.domains) >= self._limits.domains:
                return self._overflow
            found = self.domains[id] = Domain(id, len(self.by_index), DomainLedger(id))
            self.by_index.append(found)
        return found

    def parse(self, set_id: int, body: bytes) -> ParsedSet:
        """Records of a template set; sets that are sent again are parsed once."""
        key = (set_id, body)
        found = self._parsed.get(key)
        if found is None:
            records, error = [], None
            try:
                for record in read_templates(body, options=set_id == IPFIX.options_template_set):
                    records.append(record)  # noqa: PERF402  # records before the error are kept
            except DecodeError as bad:
                error = bad
            found = ParsedSet(tuple(records), error)
            if len(body) <= _PARSED_OCTETS:
                self._parsed[key] = found
                if len(self._parsed) > _PARSED_SETS:
                    self._parsed.popitem(last=False)
        return found

    def intern(self, record: TemplateRecord) -> Known:
        """The one object for this definition."""
        key = (record.id, record.scope_count, record.specifiers)
        found = self._interned.get(key)
        if found is None:
            found = self._interned[key] = Known.of(record, tuple(map(self._field, record.specifiers)))
            if len(self._interned) > 2 * self._limits.templates:
                self._intern_only_used()
        return found

    def put(self, domain: Domain, known: Known, now: float) -> bool:
        """Make `known` the Template of its id; False if the limits leave no room for it."""
        old = domain.known.get(known.template.id)
        count = self._count + (old is None)
        octets = self._octets + _octets(known) - (_octets(old) if old else 0)
        if domain is self._overflow or count > self._limits.templates or octets > self._limits.template_octets:
            return False
        self._count, self._octets = count, octets
        domain.known[known.template.id] = known
        domain.seen[known.template.id] = now
        domain.lists += known.has_lists - (old.has_lists if old else 0)
        domain.changed()
        return True

    def drop(self, domain: Domain, id: int) -> Known | None:
        """Forget the Template of that id, if there is one."""
        known = domain.known.pop(id, None)
        if known is not None:
            self._count -= 1
            self._octets -= _octets(known)
            domain.lists -= known.has_lists
            del domain.seen[id]
            domain.changed()
        return known

    def expire(self, now: float) -> list[tuple[Domain, Known]]:
        """Forget Templates not sent again within their lifetime (RFC 7011 §8.4)."""
        out = []
        oldest = now - self._limits.template_lifetime_s
        for domain in self.by_index:
            for id in [id for id, seen in domain.seen.items() if seen < oldest]:
                known = self.drop(domain, id)
                if known is not None:
                    out.append((domain, known))
        return out

    def retype(self, registry: Registry, learned: Iterable[tuple[int, int]]) -> list[tuple[Domain, Known]]:
        """Use `registry` from now on; Templates that use `learned` elements get their names and types."""
        self.registry = registry
        self._fields.clear()
        keys = frozenset(learned)
        out = []
        for domain in self.by_index:
            for id, known in list(domain.known.items()):
                if known.elements & keys:
                    renewed = Known.of(known.record, tuple(map(self._field, known.record.specifiers)))
                    domain.lists += renewed.has_lists - known.has_lists
                    domain.known[id] = renewed
                    domain.changed()
                    out.append((domain, renewed))
        self._intern_only_used()
        return out

    def clear(self) -> None:
        """Forget everything (RFC 7011 §8: Templates live as long as their transport session)."""
        for domain in self.by_index:
            domain.known.clear()
            domain.seen.clear()
            domain.lists = 0
            domain.changed()
        self._interned.clear()
        self._count = self._octets = 0

    def _field(self, specifier: tuple[int, int, int]) -> Field:
        found = self._fields.get(specifier)
        if found is None:
            if len(self._fields) > 1 << 16:
                self._fields.clear()
            pen, id, length = specifier
            found = self._fields[specifier] = Field(self.registry.get(pen, id), length)
        return found

    def _intern_only_used(self) -> None:
        self._interned = {
            (k.record.id, k.record.scope_count, k.record.specifiers): k
            for domain in self.by_index
            for k in domain.known.values()
        }


def _octets(known: Known) -> int:
    return 4 * len(known.template.fields)
