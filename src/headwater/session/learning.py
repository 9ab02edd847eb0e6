"""Template Sets and type information, applied in the order of the wire (RFC 7011 §8, RFC 5610)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from headwater import kernel
from headwater.errors import FaultKind
from headwater.model.element import InformationElement
from headwater.model.type_information import type_information
from headwater.session.data import OVERRUN, checksums_in, refuse_wrong_sum
from headwater.session.events import Scope, TemplateLearned, TemplateWithdrawn
from headwater.session.options import read_options
from headwater.session.restarts import find_restarts
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX, OPTIONS_TEMPLATE_SET, TEMPLATE_SET

if TYPE_CHECKING:
    import numpy.typing as npt

    from headwater.session.run import Run
    from headwater.session.templates import Domain, Known, ParsedSet
    from headwater.wire.templates import TemplateRecord

Indices: TypeAlias = "npt.NDArray[np.intp]"

_TEMPLATE_SETS = (TEMPLATE_SET, OPTIONS_TEMPLATE_SET)
_TAUGHT_SETS = 4096
_FEW_DOMAINS = 16  # each is compared with all Template Sets of a buffer
_LOOK_AGAIN = {16, 256, 4096}
"""After so many Sets those that wait may be repeats of what was learned meanwhile; often enough, and never costly."""


@dataclass(slots=True)
class Changes:
    """How Templates changed within one buffer: what held from which Set on; ordinal -1 = from before the buffer.

    templates: by (domain index, Template ID). scopes: by domain index, for Templates with lists.
    """

    templates: dict[tuple[int, int], list[tuple[int, Known | None]]] = field(default_factory=dict)
    scopes: dict[int, list[tuple[int, Scope]]] = field(default_factory=dict)


class Learning:
    """Walks the Sets that change what later Sets mean."""

    def __init__(self, run: Run) -> None:
        self.run, self.state, self.table = run, run.state, run.state.table
        self.changes = Changes()
        self._worklist: list[int] = []
        self._unawaited: dict[int, dict[int, list[int]]] = {}
        self._checked: set[int] = set()
        self._restarts = {} if run.is_ipfix else find_restarts(run)
        self._scopes_before = {domain.index: domain.scope() for domain in run.domains if domain.lists}

    def learn(self) -> Changes:
        """Apply them all; returns what changed where."""
        run = self.run
        if len(run.low):
            tags = run.tag[run.low]
            template = run.low[(tags == TEMPLATE_SET) | (tags == OPTIONS_TEMPLATE_SET)]
            self._worklist = self._unsettled(template).tolist()  # ascending, so already a heap
        for domain in run.domains if self.state.teachers else ():
            for id in [id for id, known in domain.known.items() if known.teaches_types]:
                self._await_types(domain.index, id, -1)
        for ordinal in self._restarts:
            heapq.heappush(self._worklist, ordinal)
        done = 0
        while self._worklist:
            ordinal = heapq.heappop(self._worklist)
            done += 1
            if done in _LOOK_AGAIN:
                self._drop_repeats()
            message = int(run.message[ordinal])
            if run.bad[message]:
                continue
            if ordinal in self._restarts:
                self._forget(message, ordinal, self._restarts.pop(ordinal))
            tag = int(run.tag[ordinal])
            if tag not in _TEMPLATE_SETS:
                if self._is_sound(message):
                    self._learn_types(message, ordinal)
                continue
            body, domain = run.body(ordinal), run.domain_at(message)
            repeated = domain.settled.get((tag, body))
            if repeated is not None:
                domain.seen.update(dict.fromkeys(repeated, run.now))
                run.defined[ordinal] = len(repeated)
            elif self._is_sound(message):
                self._apply(message, ordinal, domain, self.table.parse(domain.peer.dialect, tag, body))
        return self.changes

    def _drop_repeats(self) -> None:
        waiting = np.array(sorted(self._worklist), np.intp)
        is_template = np.isin(self.run.tag[waiting], _TEMPLATE_SETS)
        self._worklist = [*self._unsettled(waiting[is_template]).tolist(), *waiting[~is_template].tolist()]
        heapq.heapify(self._worklist)

    def _unsettled(self, template: Indices) -> Indices:
        """Template Sets from the first on that may change something.

        Exporters repeat their Templates every few Messages; the repeats are compared all at once.
        """
        run = self.run
        if self._restarts:
            return template
        if len(run.domains) > _FEW_DOMAINS:
            return self._unsettled_one_by_one(template)
        tag, start = run.tag[template], run.start[template]
        length = run.end[template] - start
        is_settled = np.zeros(len(template), np.bool_)
        for index, domain in enumerate(run.domains):
            for (set_id, body), ids in domain.settled.items():
                rows = np.flatnonzero((tag == set_id) & (length == len(body)))
                if len(run.domains) > 1:
                    rows = rows[run.domain_of[run.message[template[rows]]] == index]
                octets = run.buf[start[rows, None] + np.arange(len(body), dtype=np.int32)]
                same = rows[(octets == np.frombuffer(body, np.uint8)).all(axis=1)]
                if len(same):
                    is_settled[same] = True
                    run.defined[template[same]] = len(ids)
                    domain.seen.update(dict.fromkeys(ids, run.now))
        rest = np.flatnonzero(~is_settled)
        return template[rest[0] :] if len(rest) else template[:0]

    def _unsettled_one_by_one(self, template: Indices) -> Indices:
        """The same for many domains: the Sets of each from the first on that may change something in it."""
        run = self.run
        octets = memoryview(np.ascontiguousarray(run.buf))
        changing: set[int] = set()
        rest = []
        numbers = (template, run.tag[template], run.start[template], run.end[template])
        domains = run.domain_of[run.message[template]]
        for ordinal, tag, start, end, number in zip(*(c.tolist() for c in (*numbers, domains)), strict=True):
            if number not in changing:
                domain = run.domains[number]
                ids = domain.settled.get((tag, bytes(octets[start:end])))
                if ids is not None:
                    domain.seen.update(dict.fromkeys(ids, run.now))
                    run.defined[ordinal] = len(ids)
                    continue
                changing.add(number)
            rest.append(ordinal)
        return np.array(rest, np.intp)

    def _is_sound(self, message: int) -> bool:
        """Whether a Message that teaches may change anything: checked whole before its first Set is applied."""
        if message in self._checked:
            return True
        self._checked.add(message)
        run, salvage = self.run, self.state.salvage
        bounds = np.array((message, message + 1), run.message.dtype)  # or all the others would be widened each time
        first, after = np.searchsorted(run.message, bounds).tolist()
        domain = run.domain_at(message)
        overlay: dict[int, Known | None] = {}
        data: list[tuple[int, Known | None]] = []
        teaches = False
        for ordinal in range(first, after):
            tag = int(run.tag[ordinal])
            if tag in _TEMPLATE_SETS:
                parsed = self.table.parse(domain.peer.dialect, tag, run.body(ordinal))
                if parsed.error is not None and not salvage:
                    self._report_broken(message, ordinal, parsed)
                    return False
                for record in parsed.records:
                    self._foresee(domain, record, tag, overlay)
            elif tag >= FIRST_DATA_SET:
                known = overlay[tag] if tag in overlay else domain.known.get(tag)
                data.append((ordinal, known))
                teaches |= known is not None and known.teaches_types
        if not overlay and not teaches:
            return True  # nothing is changed, and the data pass looks at the data
        for ordinal, known in data if not salvage else ():
            if known is not None and self._overruns(known, ordinal):
                run.fault(FaultKind.VARLEN_OVERRUN, message, ordinal, int(run.start[ordinal]), OVERRUN)
                return False
        if self.state.checksum != "drop":
            return True
        cells = [cell for ordinal, known in data if known for cell in checksums_in(run, known, ordinal)]
        return not refuse_wrong_sum(run, message, cells)

    def _foresee(self, domain: Domain, record: TemplateRecord, tag: int, overlay: dict[int, Known | None]) -> None:
        """Put what `record` would change into `overlay`."""
        known = overlay[record.id] if record.id in overlay else domain.known.get(record.id)
        if not record.is_withdrawal:
            if known is None or not known.is_same(record):
                overlay[record.id] = self.table.intern(domain.peer, record)
        elif domain.peer.dialect is IPFIX and not (
            self.state.transport.is_unreliable or _is_misplaced(record, tag, known)
        ):
            gone = {**domain.known, **overlay} if record.id in _TEMPLATE_SETS else {record.id: known}
            overlay.update((id, None) for id, k in gone.items() if k is not None and _kind(k) == tag)

    def _overruns(self, known: Known, ordinal: int) -> bool:
        if known.layout.is_fixed:
            return False
        run = self.run
        span = slice(ordinal, ordinal + 1)
        *_, rest = kernel.scan(run.buf, run.start[span], run.end[span], known.layout.gaps)
        return int(run.end[ordinal]) - int(rest[0]) >= known.layout.least

    def _report_broken(self, message: int, ordinal: int, parsed: ParsedSet) -> None:
        error = parsed.error
        if error is not None and error.kind is not None:
            at = int(self.run.start[ordinal]) + error.offset
            self.run.fault(error.kind, message, ordinal, at, str(error))

    def _apply(self, message: int, ordinal: int, domain: Domain, parsed: ParsedSet) -> None:
        has_changed = False
        self.run.defined[ordinal] = len(parsed.records)
        for record in parsed.records:
            at = int(self.run.start[ordinal]) + record.at
            if record.is_withdrawal and domain.peer.dialect is not IPFIX:
                detail = f"Template {record.id} has no fields; {domain.peer.dialect.name} has no withdrawals"
                self.run.fault(FaultKind.TEMPLATE_EMPTY, message, ordinal, at, detail)
            elif record.is_withdrawal:
                has_changed |= self._withdraw(message, ordinal, domain, record, at)
            else:
                has_changed |= self._define(message, ordinal, domain, record, at)
        if has_changed:
            self._note_scope(ordinal, domain)
        elif parsed.error is None and all(_repeats(domain, record) for record in parsed.records):
            domain.settle(int(self.run.tag[ordinal]), self.run.body(ordinal), parsed.records)
        if parsed.error is not None:  # only salvage comes here with one: what stood before it is kept
            self._report_broken(message, ordinal, parsed)

    def _define(self, message: int, ordinal: int, domain: Domain, record: TemplateRecord, at: int) -> bool:
        run = self.run
        old = domain.known.get(record.id)
        if old is not None and old.is_same(record):
            domain.seen[record.id] = run.now
            return False
        known = self.table.intern(domain.peer, record)
        if not self.table.put(domain, known, run.now):
            run.fault(FaultKind.TEMPLATE_LIMIT, message, ordinal, at, f"no room for Template {record.id}")
            return False
        self._note_template(ordinal, domain, record.id, old, known)
        if old is not None:
            detail = f"Template {record.id} is not what it was"
            run.fault(FaultKind.TEMPLATE_REPLACED, message, ordinal, at, detail)
        run.state.counters["templates"] += 1
        event = TemplateLearned(
            domain.id,
            known.template,
            run.messages.absolute(message, at),
            old.template if old else None,
            key=run.messages.key(message),
            version=domain.peer.dialect.version,
        )
        run.tell(message, ordinal, event)
        self._inspect(message, ordinal, known, at)
        key = (domain.index, record.id)
        if known.teaches_types:
            self.state.teachers.add(key)
            self._await_types(domain.index, record.id, ordinal)
        else:
            self.state.teachers.discard(key)
        return True

    def _forget(self, message: int, ordinal: int, detail: str) -> None:
        """An exporter has restarted: what its Template ids mean is no longer known (RFC 3954 §5.1)."""
        domain = self.run.domain_at(message)
        for id in list(domain.known):
            old = self.table.drop(domain, id)
            self._note_template(ordinal, domain, id, old, None)
            self.state.teachers.discard((domain.index, id))
        self._note_scope(ordinal, domain)
        self.run.fault(FaultKind.EXPORTER_RESTART, message, ordinal, int(self.run.start[ordinal]), detail)

    def _inspect(self, message: int, ordinal: int, known: Known, at: int) -> None:
        """Report what is doubtful in a definition; it is used all the same."""
        template, fault = known.template, self.run.fault
        illegal = [f for f in template.fields if not f.is_legal]
        if illegal:
            names = ", ".join(f"{f.element.name} ({f.type.label}) in {f.length} octets" for f in illegal[:4])
            detail = f"Template {template.id}: {names}"
            fault(FaultKind.TEMPLATE_BAD_LENGTH, message, ordinal, at, detail, count=len(illegal))
        reserved = sum(f.element.id == 0 for f in template.fields)
        if reserved:
            detail = f"Template {template.id}: Information Element 0"
            fault(FaultKind.IE_RESERVED, message, ordinal, at, detail, count=reserved)
        if not known.is_usable:
            detail = f"Template {template.id}: no field has octets"
            fault(FaultKind.ZERO_LENGTH_RECORD, message, ordinal, at, detail)

    def _withdraw(self, message: int, ordinal: int, domain: Domain, record: TemplateRecord, at: int) -> bool:
        """A withdrawal (§8.1); on UDP it "MUST be ignored" (§8.4)."""
        run = self.run
        tag = int(run.tag[ordinal])
        is_all = record.id in _TEMPLATE_SETS
        known = domain.known.get(record.id)
        is_misplaced = _is_misplaced(record, tag, known)
        if self.state.transport.is_unreliable or is_misplaced:
            why = "in the other kind of Set" if is_misplaced else f"over {self.state.transport}"
            run.fault(FaultKind.WITHDRAWAL_IGNORED, message, ordinal, at, f"withdrawal of {record.id} {why}")
            return False
        if not is_all and known is None:
            detail = f"withdrawal of {record.id}, which is not known"
            run.fault(FaultKind.WITHDRAWAL_UNKNOWN, message, ordinal, at, detail)
            return False
        gone = [id for id, k in domain.known.items() if _kind(k) == tag] if is_all else [record.id]
        for id in gone:
            old = self.table.drop(domain, id)
            self._note_template(ordinal, domain, id, old, None)
            self.state.teachers.discard((domain.index, id))
        run.state.counters["withdrawals"] += 1
        where = run.messages.absolute(message, at)
        run.tell(message, ordinal, TemplateWithdrawn(domain.id, record.id, where, run.messages.key(message)))
        return True

    def _await_types(self, index: int, id: int, after: int) -> None:
        """Put Data Sets of a type information Template on the worklist, once however often it is defined."""
        run = self.run
        unawaited = self._unawaited.get(id)
        if unawaited is None:
            unawaited = self._unawaited[id] = {}
            for ordinal in np.flatnonzero(run.tag == id).tolist():
                unawaited.setdefault(run.domain_at(int(run.message[ordinal])).index, []).append(ordinal)
        for ordinal in unawaited.pop(index, ()):
            if ordinal > after:
                heapq.heappush(self._worklist, ordinal)

    def _learn_types(self, message: int, ordinal: int) -> None:
        run, state = self.run, self.state
        domain = run.domain_at(message)
        known = domain.known.get(int(run.tag[ordinal]))
        if known is None or (domain.index, known.template.id) not in state.teachers:
            return
        body = run.body(ordinal)
        taught = hash((domain.peer.index, known.record.specifiers, body))
        if taught in state.taught:
            return
        if len(state.taught) < _TAUGHT_SETS:
            state.taught.add(taught)
        elements: dict[tuple[int, int], InformationElement] = {}
        at = int(run.start[ordinal])
        peer = domain.peer
        for record in read_options(known.template, body, domain.scope()):
            found = type_information(record, peer.registry)
            if isinstance(found, InformationElement):
                first = elements.setdefault(found.key, found)
                if first.type is not found.type:
                    found = f"type information for {found.pen}/{found.id} says {found.type}, and {first.type} before"
            if isinstance(found, str):
                run.fault(FaultKind.TYPE_INFORMATION, message, ordinal, at, found)
        learned = list(elements.values())[: state.limits.learned_elements - peer.learned]
        if not learned or domain.index < 0:
            return
        peer.learned += len(learned)
        registry = peer.registry.extend(learned)
        state.counters["elements_learned"] += len(learned)
        before = {(d.index, id): k for d in peer.domains.values() for id, k in d.known.items()}
        for where, renewed in self.table.retype(peer, registry, [e.key for e in learned]):
            id = renewed.template.id
            self._note_template(ordinal, where, id, before[where.index, id], renewed)
            event = TemplateLearned(
                where.id,
                renewed.template,
                run.messages.absolute(message, at),
                retyped=True,
                key=run.messages.key(message),
                version=peer.dialect.version,
            )
            run.tell(message, ordinal, event)
        for where in run.domains:
            if where.peer is peer:
                self._note_scope(ordinal, where)

    def _note_template(self, ordinal: int, domain: Domain, id: int, old: Known | None, new: Known | None) -> None:
        self.changes.templates.setdefault((domain.index, id), [(-1, old)]).append((ordinal, new))

    def _note_scope(self, ordinal: int, domain: Domain) -> None:
        """Say what lists can refer to from this Set on, where there are Templates with lists."""
        before = self._scopes_before.get(domain.index)
        if domain.lists or before is not None:
            scope = domain.scope()
            self.changes.scopes.setdefault(domain.index, [(-1, before or scope)]).append((ordinal, scope))


def _kind(known: Known) -> int:
    """Id of the Sets that define and withdraw such a Template."""
    return OPTIONS_TEMPLATE_SET if known.record.scope_count else TEMPLATE_SET


def _is_misplaced(record: TemplateRecord, tag: int, known: Known | None) -> bool:
    """Whether a withdrawal stands in a Set of the other kind than its Template."""
    if record.id in _TEMPLATE_SETS:
        return record.id != tag
    return known is not None and _kind(known) != tag


def _repeats(domain: Domain, record: TemplateRecord) -> bool:
    """Whether `record` says what is known already."""
    known = domain.known.get(record.id)
    return known is not None and not record.is_withdrawal and known.is_same(record)
