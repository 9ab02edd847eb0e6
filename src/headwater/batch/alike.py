"""Templates that have the same fields in different orders: their records are decoded as those of one Template.

A thousand exporters with Templates of their own make a thousand runs of Data Sets out of one buffer, of some ten
records each, and a run costs 100 us however few it has. But devices mostly send the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.batch.plan import Plan
from headwater.batch.strings import I32
from headwater.wire.layout import Layout

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.template import Template
    from headwater.session.events import DataSets

Cells = Sequence[tuple[int, int]]
_Content = frozenset[tuple[str, "InformationElement", int]]

_KEPT: Final = 8192
"""Templates that are known at a time."""
_MOST_FIELDS: Final = 256
_MANY: Final = 16
"""Runs, below which nothing is looked for."""
_SMALL: Final = 2048
"""Records of a run that is better decoded alone: where each field of each record is takes four octets."""
_POSITIONS: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Templates of the same fields. plan: in which each field has an anchor of its own; names: of these, in order."""

    plan: Plan
    names: tuple[str, ...]


class Alike:
    """Finds runs of Data Sets that can be decoded as one.

    compile: makes a plan of a Template, and of the (anchor, delta) of each of its fields.
    """

    def __init__(self, compile: Callable[[Template, Cells], Plan]) -> None:
        self._compile = compile
        self._kinds: dict[_Content, Kind] = {}
        self._known: dict[int, tuple[Template, Kind | None, I32]] = {}

    def joined(self, runs: Sequence[DataSets]) -> Iterator[tuple[DataSets, Plan | None]]:
        """The runs, those of the same fields joined to one, in the order of arrival; its plan, None = the usual one.

        The Template of a joined run is that of its first.
        """
        groups: dict[tuple[int, ...], tuple[Kind | None, list[DataSets], list[I32]]] = {}
        for number, sets in enumerate(runs):
            kind, offsets = self._of(sets.template) if len(runs) >= _MANY else (None, _NONE)
            key = (-1, number) if kind is None else (id(kind), id(sets.messages), id(sets.buffer))
            _, parts, where = groups.setdefault(key, (kind, [], []))
            parts.append(sets)
            where.append(offsets)
        for kind, parts, where in groups.values():
            if kind is None or len(parts) == 1 or sum(one.num_records for one in parts) > _SMALL * len(parts):
                yield from ((sets, None) for sets in parts)
            else:
                yield from ((sets, kind.plan) for sets in _joined(parts, np.stack(where, axis=1)))

    def _of(self, template: Template) -> tuple[Kind | None, I32]:
        """(its kind, where its fields are in the order of that)."""
        known = self._known.get(id(template))
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
                self._kinds.clear()
            known = self._known[id(template)] = template, *self._look_at(template)
        return known[1:]

    def _look_at(self, template: Template) -> tuple[Kind | None, I32]:
        fields, names = template.fields, template.column_names
        if template.scope_count or template.has_lists or len(fields) > _MOST_FIELDS:
            return None, _NONE
        layout = Layout.of(template)
        if not layout.is_fixed or not layout.least:
            return None, _NONE
        content = frozenset([(name, one.element, one.length) for name, one in zip(names, fields, strict=True)])
        kind = self._kinds.get(content)
        if kind is None:
            cells = [(number, 0) for number in range(len(fields))]
            kind = self._kinds[content] = Kind(self._compile(template, cells), names)
        delta = {name: delta for name, (_, delta) in zip(names, layout.cells, strict=True)}
        return kind, np.array([delta[name] for name in kind.names], np.int32)


_NONE: Final[I32] = np.zeros(0, np.int32)


def _joined(parts: list[DataSets], offsets: I32) -> Iterator[DataSets]:
    """One run of all, in a few pieces. offsets: int32[f, p], where the f fields are in the records of each part."""
    which = np.repeat(np.arange(len(parts)), [len(one.start) for one in parts])
    start, end, count, message, order = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("start", "end", "count", "message", "order")
    )
    by_place = np.argsort(start, kind="stable")
    stride = parts[0].template.min_length
    most = max(_POSITIONS // max(len(offsets), 1), 1)
    cuts = np.flatnonzero(np.diff(np.cumsum(count[by_place]) // most)) + 1
    for sets in np.split(by_place, cuts):
        counts = count[sets]
        before = np.cumsum(counts) - counts
        first = np.repeat(start[sets] - before * stride, counts) + np.arange(int(counts.sum())) * stride
        at = np.repeat(offsets[:, which[sets]], counts, axis=1)
        at += first.astype(np.int32)
        yield replace(
            parts[0],
            start=start[sets],
            end=end[sets],
            count=counts,
            message=message[sets],
            order=order[sets],
            at=at,
            size=_NO_SIZES,
        )


_NO_SIZES: Final = np.zeros((0, 0), np.int32)
