"""Data Sets of one buffer, grouped by Template into runs, framed and checked (RFC 7011 §3.4.3)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import FaultKind
from headwater.session.events import DataSets, Messages, Scope
from headwater.session.held import HeldSet, joined, messages_of, one_message
from headwater.session.options import find_checksums, is_checksum_right, read_options
from headwater.session.sequence import Waiting
from headwater.session.templates import id_of
from headwater.wire.dialect import OPTIONS_TEMPLATE_SET, SET_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.session.learning import Changes
    from headwater.session.run import Run
    from headwater.session.templates import Domain, Known

I32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]
T = TypeVar("T")

OVERRUN = "a variable-length field reaches beyond its Set"
_FEW = 16
"""Groups of records of one size, below which each is framed by itself."""
_PADDED_SETS = 4096
_PADDING_SEEN = 64


@dataclass(slots=True)
class Group:
    """A run of Data Sets of one Template.

    rest: int32[s], where the last whole record of each Set ends; has_rest: whether there are octets behind any.
    """

    known: Known
    scope: Scope
    sets: Indices
    start: I32
    end: I32
    count: I32
    at: I32 | None
    size: I32 | None
    rest: I32
    has_rest: bool


class DataPass:
    """Turns the Data Sets of a run into DataSets events."""

    def __init__(self, run: Run, changes: Changes) -> None:
        self.run, self.state, self.changes = run, run.state, changes

    def group(self) -> None:
        """Frame, check and tell all Data Sets."""
        run = self.run
        groups, unknown = self._collect()
        for group in groups:
            if group.has_rest:
                self._report_overruns(group)
        self._report_reserved()
        self._check_sums(groups)
        if run.bad.any():
            groups = [self._without_bad(group) for group in groups]
        for group in groups:
            if len(group.sets):
                self._tell(group)
        for domain, id, known, sets in unknown:
            self._tell_unknown(domain, id, known, sets[~run.bad[run.message[sets]]])
        if len(self.state.held):
            self._replay()

    def _report_reserved(self) -> None:
        """Sets with an id that is not assigned are skipped (§3.3.2)."""
        run = self.run
        sets = run.low[(run.tag[run.low] | 1) != OPTIONS_TEMPLATE_SET]
        sets = sets[~run.bad[run.message[sets]]]
        if len(sets):
            first = int(sets[0])
            ids = ", ".join(map(str, np.unique(run.written_ids(sets))[:8].tolist()))
            at = int(run.start[first]) - SET_HEADER
            detail = f"Set ID {ids} is reserved"
            run.fault(FaultKind.RESERVED_SET, int(run.message[first]), first, at, detail, count=len(sets))

    def _collect(self) -> tuple[list[Group], list[tuple[Domain, int, Known | None, Indices]]]:
        """Groups by Template content, and Data Sets without a usable Template by (domain, id)."""
        run = self.run
        data = run.data_sets()
        if run.bad.any():
            data = data[~run.bad[run.message[data]]]
        merged: dict[tuple[int, int], tuple[Known, Scope, list[Indices]]] = {}
        unknown = []
        for domain, id, known, sets in self._by_template(data):
            if known is None or not known.is_usable:
                unknown.append((domain, id, known, sets))
                continue
            for scope, cut in self._scopes(domain, known, sets):
                key = id_of(known), id_of(scope) if known.has_lists else 0
                merged.setdefault(key, (known, scope, []))[2].append(cut)
        pieces = [
            (known, scope, parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts)))
            for known, scope, parts in merged.values()
        ]
        return self._scan_all(pieces), unknown

    def _by_template(self, data: Indices) -> Iterator[tuple[Domain, int, Known | None, Indices]]:
        """Data Sets by (domain, Template ID, what that meant); those of many domains that mean the same come as one."""
        run = self.run
        if len(run.domains) == 1:
            domain = run.domains[0]
            for id, sets in by_key(run.tag[data], data):
                for known, piece in self._pieces(domain, id, sets):
                    yield domain, id, known, piece
            return
        marks = run.domain_of[run.message[data]].astype(np.int64) << 16 | run.tag[data]
        unique, inverse = np.unique(marks, return_inverse=True)
        number_of: dict[int, int] = {}
        shared: list[tuple[Domain, int, Known]] = []
        group = np.empty(len(unique), np.int32)
        for i, mark in enumerate(unique.tolist()):
            domain, id = run.domains[mark >> 16], mark & 0xFFFF
            known = domain.known.get(id)
            if known is None or known.has_lists or (domain.index, id) in self.changes.templates:
                group[i] = -1 - i
                continue
            number = number_of.setdefault(id_of(known), len(shared))
            if number == len(shared):
                shared.append((domain, id, known))
            group[i] = number
        for number, sets in by_key(group[inverse], data):
            if number >= 0:
                domain, id, known = shared[number]
                yield domain, id, known, sets
            else:
                mark = int(unique[-1 - number])
                domain, id = run.domains[mark >> 16], mark & 0xFFFF
                for each, piece in self._pieces(domain, id, sets):
                    yield domain, id, each, piece

    def _pieces(self, domain: Domain, id: int, sets: Indices) -> Iterator[tuple[Known | None, Indices]]:
        history = self.changes.templates.get((domain.index, id))
        if history is None:
            yield domain.known.get(id), sets
        else:
            yield from cut_by_history(history, sets)

    def _scopes(self, domain: Domain, known: Known, sets: Indices) -> Iterator[tuple[Scope, Indices]]:
        history = self.changes.scopes.get(domain.index) if known.has_lists else None
        now = domain.scope()
        if history is None:
            yield now, sets
            return
        yield from cut_by_history(history, sets)

    def _scan_all(self, pieces: list[tuple[Known, Scope, Indices]]) -> list[Group]:
        """Those with records of one size at once: of a thousand exporters there are a thousand, of few Sets each."""
        fixed = [sets for known, _, sets in pieces if known.layout.is_fixed]
        if len(fixed) < _FEW:
            return [self._scan(*piece) for piece in pieces]
        run, together = self.run, np.concatenate(fixed)
        ends = np.cumsum([len(sets) for sets in fixed])
        begins = ends - [len(sets) for sets in fixed]
        least = [known.layout.least for known, _, _ in pieces if known.layout.is_fixed]
        size = np.repeat(np.array(least, np.int32), ends - begins)
        start, end = run.start[together], run.end[together]
        count = (end - start) // size
        rest = start + count * size
        has_rest = np.logical_or.reduceat(rest != end, begins)
        cuts = zip(map(slice, begins.tolist(), ends.tolist()), has_rest.tolist(), strict=True)
        groups = []
        for known, scope, sets in pieces:
            if known.layout.is_fixed:
                cut, is_odd = next(cuts)
                found = start[cut], end[cut], count[cut], None, None, rest[cut]
                groups.append(Group(known, scope, sets, *found, has_rest=is_odd))
            else:
                groups.append(self._scan(known, scope, sets))
        return groups

    def _scan(self, known: Known, scope: Scope, sets: Indices) -> Group:
        run = self.run
        start, end = (run.start, run.end) if len(sets) == len(run.tag) else (run.start[sets], run.end[sets])
        at, size, count, rest = frame(run.buf, known, start, end)
        return Group(known, scope, sets, start, end, count, at, size, rest, has_rest=bool((rest != end).any()))

    def _without_bad(self, group: Group) -> Group:
        run = self.run
        keep = ~run.bad[run.message[group.sets]]
        return group if keep.all() else self._scan(group.known, group.scope, group.sets[keep])

    def _report_overruns(self, group: Group) -> None:
        """Octets enough for a record remain, but its lengths point outside the Set."""
        if group.known.layout.is_fixed:
            return
        run = self.run
        for i in np.flatnonzero(group.end - group.rest >= group.known.layout.least).tolist():
            ordinal = int(group.sets[i])
            message = int(run.message[ordinal])
            run.fault(FaultKind.VARLEN_OVERRUN, message, ordinal, int(group.rest[i]), OVERRUN)

    def _tell(self, group: Group) -> None:
        run, known = self.run, group.known
        run.records[group.sets] = group.count
        if group.has_rest:
            self._report_rests(group)
        if known.describes_session:
            for ordinal in group.sets.tolist():
                for record in read_options(known.template, run.body(ordinal), group.scope):
                    self.state.add_details(record)
        first = int(group.sets[0])
        message, order = run.message[group.sets], group.sets.astype(np.int32)
        run.tell(int(message[0]), first, self._event(group, run.buf, message, order, run.messages))

    def _event(
        self, group: Group, buf: npt.NDArray[np.uint8], message: I32, order: I32, messages: Messages
    ) -> DataSets:
        return DataSets(
            template=group.known.template,
            buffer=buf,
            start=group.start,
            end=group.end,
            count=group.count,
            at=group.at,
            size=group.size,
            message=message,
            order=order,
            messages=messages,
            scope=group.scope,
            limits=self.state.limits,
            salvage=self.state.salvage,
        )

    def _report_rests(self, group: Group) -> None:
        """What follows the last whole record is padding; it should be shorter than a record, and zero (§3.3.1)."""
        left = group.end - group.rest
        padded = np.flatnonzero((left > 0) & (left < group.known.layout.least))
        if not len(padded):
            return
        short = padded[group.count[padded] == 0]
        if len(short):
            self._report(FaultKind.SHORT_SET, group, short, "Sets too short for a record of their Template")
        # in steps, and not all of a long rest: what is looked at is copied
        steps = range(0, len(padded), _PADDED_SETS)
        nonzero = np.concatenate([self._nonzero(group, padded[i : i + _PADDED_SETS]) for i in steps])
        if len(nonzero):
            self._report(FaultKind.NONZERO_PADDING, group, nonzero, "octets after the last record are not zero")

    def _nonzero(self, group: Group, padded: Indices) -> Indices:
        """Those of the Sets whose octets after the last record are not all zero."""
        rest = group.rest[padded].astype(np.int64)
        left = np.minimum(group.end[padded] - rest, _PADDING_SEEN)
        ends = np.cumsum(left)
        octets = self.run.buf[np.repeat(rest - (ends - left), left) + np.arange(ends[-1])]
        return padded[np.maximum.reduceat(octets, ends - left) > 0]

    def _report(self, kind: FaultKind, group: Group, which: Indices, detail: str) -> None:
        i = int(which[0])
        ordinal = int(group.sets[i])
        message = int(self.run.message[ordinal])
        self.run.fault(kind, message, ordinal, int(group.rest[i]), detail, count=len(which))

    def _tell_unknown(self, domain: Domain, id: int, known: Known | None, sets: Indices) -> None:
        if not len(sets):
            return
        run = self.run
        run.undecodable[sets] = True
        streams = np.zeros(len(sets), np.int32) if run.stream is None else run.stream[run.message[sets]]
        for stream, mine in by_key(streams, sets):
            domain.ledger_of(stream).undecodable_sets += len(mine)
        first = int(sets[0])
        message, at = int(run.message[first]), int(run.start[first]) - SET_HEADER
        if known is not None:
            detail = f"records of Template {id} have no octets"
            run.fault(FaultKind.ZERO_LENGTH_RECORD, message, first, at, detail, count=len(sets))
            return
        detail = self._who_knows(domain, id)
        run.fault(FaultKind.UNKNOWN_TEMPLATE, message, first, at, f"no Template {id}{detail}", count=len(sets))
        worth = sets[run.end[sets] > run.start[sets]]
        dropped = len(worth)
        if self.state.limits.held_sets and domain.index >= 0:  # beyond the limits no Template is ever learned
            dropped = sum(self._hold(domain, id, ordinal) for ordinal in worth.tolist())
        if dropped:
            detail = "more Data Sets wait for a Template than the limits allow"
            run.fault(FaultKind.HELD_DROPPED, message, first, at, detail, count=dropped)

    def _who_knows(self, domain: Domain, id: int) -> str:
        """Which key a Template was looked up by, and which other session of that exporter has it."""
        key, peers = domain.peer.key, self.state.table.peers
        if key is None:
            return ""
        has_port = peers.policy.has_port(domain.peer.dialect, key)
        looked_up = f"{key} (address and port)" if has_port else f"{key.address} (address without port)"
        other = peers.with_template(domain, id)
        hint = "" if other is None else f"; {other} has one: key rule 'address' would share it"
        return f" of {looked_up}{hint}"

    def _hold(self, domain: Domain, id: int, ordinal: int) -> int:
        run = self.run
        m = int(run.message[ordinal])
        at = run.messages.absolute(m, int(run.start[ordinal]))
        waiting = run.waiting.setdefault(m, Waiting())
        held = HeldSet(run.body(ordinal), at, one_message(run.messages, m), run.now, run.ledger_at(m), waiting)
        return self.state.held.add((domain.index, id), held)

    def _replay(self) -> None:
        """Data Sets that waited for a Template of this buffer are told where it stands."""
        run = self.run
        for (index, id), history in self.changes.templates.items():
            for ordinal, known in history[1:]:
                if known is not None and known.is_usable:
                    at = run.messages.absolute(int(run.message[ordinal]), int(run.start[ordinal]))
                    taken = self.state.held.take((index, id), before=at)
                    if taken:
                        self._tell_held(self.state.table.by_index[index], known, ordinal, taken)

    def _tell_held(self, domain: Domain, known: Known, ordinal: int, taken: list[HeldSet]) -> None:
        run, message = self.run, int(self.run.message[ordinal])
        ((scope, sets),) = self._scopes(domain, known, np.array([ordinal]))
        buf, start, end = joined(taken)
        at, size, count, rest = frame(buf, known, start, end)
        torn = np.flatnonzero(end - rest >= known.layout.least)
        for i in torn.tolist():
            run.report(FaultKind.VARLEN_OVERRUN, message, ordinal, taken[i].at, OVERRUN)
            if not self.state.salvage:
                taken[i].ledger.give_up(taken[i].waiting)
        if len(torn) and not self.state.salvage:
            whole = [held for held, left in zip(taken, (end - rest).tolist(), strict=True) if left < known.layout.least]
            if whole:
                self._tell_held(domain, known, ordinal, whole)
            return
        records = int(count.sum())
        self.state.counters["held_replayed"] += len(taken)
        self.state.counters["records"] += records
        run.decoded_late += [(message, held, found) for held, found in zip(taken, count.tolist(), strict=True)]
        group = Group(known, scope, sets, start, end, count, at, size, rest, has_rest=len(torn) > 0)
        order = np.full(len(taken), ordinal, np.int32)
        event = self._event(group, buf, np.arange(len(taken), dtype=np.int32), order, messages_of(taken, start))
        run.tell(message, ordinal, event)

    def _check_sums(self, groups: list[Group]) -> None:
        """MD5 checksums of Messages (RFC 5655 §8.1.1); one that fails is a fault, and a reason to drop if so asked."""
        if self.state.checksum == "ignore":
            return
        run = self.run
        found: dict[int, list[tuple[int, int]]] = {}
        for group in groups:
            if group.known.has_checksum:
                for ordinal in group.sets.tolist():
                    cells = found.setdefault(int(run.message[ordinal]), [])
                    if len(cells) < 2:  # of two none is verified, so no more are looked for
                        cells += checksums_in(run, group.known, ordinal)
        for m, cells in sorted(found.items()):
            if run.bad[m] or not cells:
                continue
            if len(cells) == 1 and cells[0][1] >= 0:
                if refuse_wrong_sum(run, m, cells):
                    continue
                self.state.counters["checksums_ok"] += 1
            else:
                why = "its field is not 16 octets" if cells[0][1] < 0 else "the Message has several"
                ordinal = cells[0][0]
                run.fault(FaultKind.CHECKSUM_UNVERIFIED, m, ordinal, int(run.start[ordinal]), f"not verified: {why}")


def checksums_in(run: Run, known: Known, ordinal: int) -> list[tuple[int, int]]:
    """(ordinal, buffer position) of the first two checksums in a Data Set; position -1: it has not 16 octets."""
    if not known.has_checksum:
        return []
    at = int(run.start[ordinal])
    scope = run.domain_at(int(run.message[ordinal])).scope()
    found = islice(find_checksums(known.template, run.body(ordinal), scope), 2)
    return [(ordinal, -1 if cell < 0 else at + cell) for cell in found]


def refuse_wrong_sum(run: Run, message: int, cells: list[tuple[int, int]]) -> bool:
    """Whether a Message's only checksum is wrong; if so it is told, and the Message discarded if so asked."""
    if len(cells) != 1 or cells[0][1] < 0:
        return False
    ordinal, at = cells[0]
    start = int(run.frames.start[message])
    if is_checksum_right(run.buf[start : int(run.frames.end[message])].tobytes(), at - start):
        return False
    number = run.state.counters["messages"] - len(run.messages) + message
    run.fault(FaultKind.CHECKSUM, message, ordinal, at, f"MD5 of Message {number} does not match its octets")
    run.bad[message] |= run.state.checksum == "drop"
    return True


def frame(buf: npt.NDArray[np.uint8], known: Known, start: I32, end: I32) -> tuple[I32 | None, I32 | None, I32, I32]:
    """(at, size, count, rest) of Data Sets: as kernel.scan says, without at and size for records of one size."""
    layout = known.layout
    if layout.is_fixed:
        count = (end - start) // np.int32(layout.least)
        return None, None, count, start + count * np.int32(layout.least)
    return kernel.scan(buf, start, end, layout.gaps)


def by_key(keys: npt.NDArray[np.integer], values: Indices) -> Iterator[tuple[int, Indices]]:
    """(key, values of that key in their order) for every distinct key."""
    if not len(keys):
        return
    if (keys == keys[0]).all():
        yield int(keys[0]), values
        return
    order = np.argsort(keys, kind="stable")  # a radix sort for the 16-bit keys there are
    keys, values = keys[order], values[order]
    cuts = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist()]
    for key, first, stop in zip(keys[cuts].tolist(), cuts, [*cuts[1:], len(keys)], strict=True):
        yield key, values[first:stop]


def cut_by_history(history: list[tuple[int, T]], sets: Indices) -> Iterator[tuple[T, Indices]]:
    """Pieces of ascending `sets` with what held for them, where history tells from which Set on; it begins at -1.

    Of a long history only what holds for a piece is looked at: a flood of definitions makes one for each of them.
    """
    at = 0
    while at < len(sets):
        after = bisect_right(history, int(sets[at]), key=itemgetter(0))
        end = len(sets) if after == len(history) else int(np.searchsorted(sets, history[after][0]))
        yield history[after - 1][1], sets[at:end]
        at = end
