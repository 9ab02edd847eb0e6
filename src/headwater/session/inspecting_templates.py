"""How an exporter uses Templates: when they are sent, again, too late, or never again (RFC 7011 §8)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.session.key import Transport
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX, OPTIONS_TEMPLATE_SET, TEMPLATE_SET

if TYPE_CHECKING:
    from headwater.session.inspecting import Findings
    from headwater.session.templates import Domain
    from headwater.wire.templates import Specifier, TemplateRecord

REFRESH_S: Final = 600
"""Seconds between repeats of a Template over UDP (RFC 6728: templateRefreshTimeout)."""

_KEPT: Final = 1 << 16
_PAIR: Final = struct.Struct("!HH")
_PEN: Final = struct.Struct("!I")
_ENTERPRISE: Final = 0x8000
_MOST_PADDING: Final = 3


@dataclass(slots=True)
class _Sent:
    """A Template as it was sent last. time: Export Time. is_stale: it has been said that it was not sent again."""

    definition: tuple[int, tuple[Specifier, ...]]
    time: int
    is_stale: bool = False


@dataclass(slots=True)
class DomainUse:
    """One Observation Domain. time, sequence: of its last Message. withdrawn: where, by Template ID."""

    id: int
    key: Any = None
    time: int = 0
    sequence: int = 0
    sent: dict[int, _Sent] = field(default_factory=dict)
    awaited: set[int] = field(default_factory=set)
    withdrawn: dict[int, int] = field(default_factory=dict)


class TemplateUse:
    """Follows the Templates of all domains of a session."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._domains: dict[int, DomainUse] = {}
        self._has_data = False

    def of(self, domain: Domain) -> DomainUse:
        """What is known of a domain."""
        return self._domains.setdefault(domain.index, DomainUse(domain.id, domain.peer.key))

    def knows(self, domain: Domain) -> bool:
        """Whether anything of the domain came before."""
        return domain.index in self._domains

    def look(self, found: Findings) -> None:
        """Look at the Template Sets of a pass, and at which Data Sets have come without."""
        run = found.run
        data = np.flatnonzero((run.tag >= FIRST_DATA_SET) & (run.records > 0))
        first_data = -1 if self._has_data else int(data[0]) if len(data) else len(run.tag)
        awaited = _first_undecodable(found)
        for ordinal in run.low.tolist():
            message = int(run.message[ordinal])
            is_template = int(run.tag[ordinal]) in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET)
            if is_template and not run.bad[message] and run.domain_at(message).index >= 0:
                self._take_set(found, message, ordinal, awaited, is_late=first_data < ordinal)
        for index, id in awaited:
            self._domains.setdefault(index, DomainUse(0)).awaited.add(id)
        self._has_data |= len(data) > 0
        if self._transport.is_unreliable:
            self._look_for_stale(found)

    def at_the_end(self) -> Iterator[tuple[str, int, int, Any, str]]:
        """(rule, offset, domain, key, detail) of what only the end shows."""
        if self._transport is Transport.FILE:
            for use in self._domains.values():
                for id, at in use.withdrawn.items():
                    detail = f"Template {id} is withdrawn, and its ID not used again"
                    yield "file_withdrawal", at, use.id, use.key, detail

    def _take_set(
        self, found: Findings, message: int, ordinal: int, awaited: dict[tuple[int, int], int], *, is_late: bool
    ) -> None:
        """Look at one Template Set. is_late: there are data records before it."""
        run = found.run
        domain, tag, body = run.domain_at(message), int(run.tag[ordinal]), run.body(ordinal)
        use, dialect = self.of(domain), domain.peer.dialect
        for record in run.state.table.parse(dialect, tag, body).records:
            at = int(run.start[ordinal]) + record.at
            if record.is_withdrawal:
                self._withdraw(use, record, run.messages.absolute(message, at))
                continue
            is_new, rule, detail = self._define(use, record, int(run.messages.export_time[message]))
            if record.id in use.awaited or awaited.get((domain.index, record.id), ordinal) < ordinal:
                use.awaited.discard(record.id)
                rule, detail = "template_after_data", f"Template {record.id} comes after its first data"
            elif is_new and is_late and self._transport is Transport.FILE:
                rule, detail = "file_template_late", f"Template {record.id} comes after other data"
            if rule:
                found.add(rule, message, at, detail)
        if dialect is IPFIX:
            _look_at_padding(found, message, ordinal, body, is_options=tag == OPTIONS_TEMPLATE_SET)

    def _define(self, use: DomainUse, record: TemplateRecord, time: int) -> tuple[bool, str, str]:
        """(whether the id had no meaning before, the rule that is violated or "", detail)."""
        definition = record.scope_count, record.specifiers
        sent = use.sent.get(record.id)
        is_new = use.withdrawn.pop(record.id, None) is None and sent is None
        if len(use.sent) < _KEPT or sent is not None:
            use.sent[record.id] = _Sent(definition, time)
        if sent is not None and sent.definition == definition:
            if not self._transport.is_unreliable:
                return is_new, "template_repeated", f"Template {record.id} is sent again"
            if time - sent.time > REFRESH_S and not sent.is_stale:
                return is_new, "template_refresh", f"Template {record.id} is sent again after {time - sent.time} s"
        return is_new, "", ""

    def _withdraw(self, use: DomainUse, record: TemplateRecord, offset: int) -> None:
        if self._transport.is_unreliable:
            return
        if record.id in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET):
            kind = record.id == OPTIONS_TEMPLATE_SET
            gone = [id for id, sent in use.sent.items() if bool(sent.definition[0]) == kind]
        else:
            gone = [record.id] if record.id in use.sent else []
        for id in gone:
            del use.sent[id]
            use.withdrawn[id] = offset

    def _look_for_stale(self, found: Findings) -> None:
        """Templates that are used, but were not sent for long."""
        run = found.run
        times = run.messages.export_time
        oldest = min((s.time for use in self._domains.values() for s in use.sent.values()), default=None)
        if oldest is None or int(times.max()) - oldest <= REFRESH_S:
            return
        data = run.data_sets()
        marks = run.domain_of[run.message[data]].astype(np.int64) << 16 | run.tag[data]
        unique, where = np.unique(marks[::-1], return_index=True)  # the last Set of each
        for mark, back in zip(unique.tolist(), where.tolist(), strict=True):
            message = int(run.message[data[len(data) - 1 - back]])
            sent = self.of(run.domains[mark >> 16]).sent.get(mark & 0xFFFF)
            age = 0 if sent is None else int(times[message]) - sent.time
            if sent is not None and age > REFRESH_S and not sent.is_stale:
                sent.is_stale = True
                detail = f"Template {mark & 0xFFFF} was sent {age} s before"
                found.add("template_refresh", message, int(run.frames.start[message]), detail)


def _first_undecodable(found: Findings) -> dict[tuple[int, int], int]:
    """Ordinal of the first Data Set of each (domain index, Template ID) that is not known."""
    run = found.run
    first: dict[tuple[int, int], int] = {}
    for ordinal in np.flatnonzero(run.undecodable).tolist():
        index = run.domain_at(int(run.message[ordinal])).index
        if index >= 0 and len(first) < _KEPT:
            first.setdefault((index, int(run.tag[ordinal])), ordinal)
    return first


def _look_at_padding(found: Findings, message: int, ordinal: int, body: bytes, *, is_options: bool) -> None:
    """The octets behind the last record of a Template Set, and what is doubtful in specifiers as octets."""
    end, zeros = _walk(body, is_options=is_options)
    at = int(found.run.start[ordinal])
    if zeros:
        found.add("enterprise_zero", message, at, f"{zeros} fields with an enterprise bit have the number 0")
    if len(body) - end > _MOST_PADDING:
        found.add("template_padding", message, at + end, f"{len(body) - end} octets of padding")
    if any(body[end:]):
        found.add("nonzero_padding", message, at + end, "octets behind the last Template are not zero")


@lru_cache(64)  # most Template Sets are repeats
def _walk(body: bytes, *, is_options: bool) -> tuple[int, int]:
    """(where the records end, fields with an enterprise bit and enterprise number 0) of a sound Template Set."""
    at = zeros = 0
    while len(body) - at >= _PAIR.size:
        id, count = _PAIR.unpack_from(body, at)
        if not id and not count:
            break
        at += _PAIR.size + (2 if is_options and count else 0)
        for _ in range(count):
            if len(body) - at < _PAIR.size:
                return len(body), zeros
            if _PAIR.unpack_from(body, at)[0] & _ENTERPRISE:
                at += _PEN.size
                zeros += at + _PAIR.size <= len(body) and _PEN.unpack_from(body, at) == (0,)
            at += _PAIR.size
    return min(at, len(body)), zeros
