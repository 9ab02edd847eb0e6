"""What is wanted of sources, and reading it window by window: select, where, options, the first so many."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from headwater.batch import Batch, Decoder
from headwater.batch.derived import DERIVED
from headwater.batch.facts import FACTS
from headwater.cli.options import added_of, manner_of, names_of, state_of
from headwater.cli.where import parse_where
from headwater.process.arguments import check_source
from headwater.process.learned import registry_for
from headwater.process.manner import Manner
from headwater.process.sources import Sources
from headwater.process.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.batch import Schema
    from headwater.cli.options import ChoosingOptions
    from headwater.cli.where import Condition
    from headwater.model.registry import Registry
    from headwater.process import Report
    from headwater.process.manner import Progress
    from headwater.session import DataSets

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Picked:
    """Records of a batch. mask: which ones; None = all. sets: the Data Sets they came in."""

    batch: Batch
    sets: DataSets
    mask: Mask | None = None

    @property
    def set_counts(self) -> npt.NDArray[np.int64]:
        """int64[s]: records picked of each Set."""
        if self.mask is None:
            return self.sets.count.astype(np.int64)
        ends = np.cumsum(self.sets.count)
        before = np.concatenate([[0], np.cumsum(self.mask)])
        return np.asarray(before[ends] - before[ends - self.sets.count])

    @property
    def count(self) -> int:
        """Records picked."""
        return self.batch.num_rows if self.mask is None else int(np.count_nonzero(self.mask))


@dataclass(slots=True)
class Query:
    """What a verb is to read. report: of the last reading. schema: of the columns that were selected.

    select: names of columns, None = all. where: conditions that all must hold. add: names of facts of the Messages and
    of columns that are worked out, to come after the others. most: records, None = all. The rest is as in `hw.read`.
    """

    source: list[str]
    select: Sequence[str] = ()
    where: Sequence[str] = ()
    add: Sequence[str] = ()
    with_options: bool = False
    manner: Manner = field(default_factory=Manner)
    resolve_time: bool = False
    scale_sampling: bool = False
    join_options: bool = False
    keeps_options: bool = False
    state: str | None = None
    most: int | None = None
    report: Report | None = None
    schema: Schema | None = field(init=False)
    _registry: Registry = field(init=False)
    _condition: Condition | None = field(init=False)
    _added: tuple[str, ...] = field(init=False)
    _facts: tuple[str, ...] = field(init=False)

    @classmethod
    def of(cls, sources: Sequence[str], asked: ChoosingOptions, *, most: int | None) -> Self:
        """The query of a verb with `choosing_options` and `reading_options`."""
        return cls(
            list(sources),
            asked["select"],
            asked["where"],
            asked["add"],
            asked["with_options"],
            manner_of(asked),
            asked["resolve_time"],
            asked["scale_sampling"],
            asked["join_options"],
            state=state_of(asked, sources),
            most=most,
        )

    def __post_init__(self) -> None:
        check_source(self.source)
        facts, derived = added_of(self.add)
        self._added, self._facts = Wanted.of(None, (), derived, **self._flags()).derived, tuple(facts)
        self._registry = registry_for(self.source, self._look_up, self.manner)

    def _look_up(self, registry: Registry) -> None:
        """Find what the names of the selection and of the condition mean."""
        self._condition = parse_where(self.where, registry)
        names = names_of(self.select, "--select")
        # what is added to a selection is a part of it
        self.schema = Decoder([*names, *self._added, *self._facts], registry=registry).schema if names else None

    def _flags(self) -> dict[str, bool]:
        return {
            "resolve_time": self.resolve_time,
            "scale_sampling": self.scale_sampling,
            "join_options": self.join_options,
        }

    @property
    def named(self) -> list[str]:
        """Columns to add that were asked for by name."""
        return names_of(self.add, "--add")

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns that were selected; None = all that there are."""
        return None if self.schema is None else self.schema.names

    def columns_of(self, batch: Batch) -> tuple[str, ...]:
        """Names of the columns of a batch that are to be shown: not those that only the condition needs."""
        if self.schema is not None:
            return self.schema.names
        return (*(column.name for column in batch.schema if column.length is not None), *self.added_to(batch))

    def added_to(self, batch: Batch) -> tuple[str, ...]:
        """Those of them that were added to the fields of the Template; they can have other names than asked for."""
        if self.schema is not None:
            return ()
        wanted = self._wanted()
        others = [column.name for column in batch.schema if column.length is None]
        facts = others[len(wanted.derived) :]
        return (*others[: len(self._added)], *facts[: len(self._facts)])

    def windows(
        self, source: Any = None, *, progress: Progress | None = None, is_last: bool = True
    ) -> Iterator[list[Picked]]:
        """The wanted records, a window at a time; the runs of one window interleave (see `in_order`).

        source: instead of the query's own. is_last: whether this is not to look at columns only; then the state file
        is written.
        """
        wanted = self._wanted()
        sources = Sources(
            source=self.source if source is None else source,
            decoder=wanted.decoder(self._registry),
            manner=replace(self.manner, registry=self._registry, progress=progress),
            wanted=wanted,
            with_options=self.with_options,
            state=self.state,
            is_last=is_last,
        )
        self.report = sources.report
        left = self.most
        for window in sources.windows():
            picked = [p for p in (self._pick(sets, batch) for sets, batch in window) if p.count]
            if left is not None:
                picked = _first(picked, left)
                left -= sum(p.count for p in picked)
            if picked:
                yield picked
            if left == 0:
                return

    def everything(self) -> Query:
        """The same without conditions and without a bound."""
        return replace(self, where=(), most=None)

    def _pick(self, sets: DataSets, batch: Batch) -> Picked:
        if self._condition is None:
            return Picked(batch, sets)
        mask = self._condition.mask(batch)
        return Picked(batch, sets, None if mask.all() else mask)

    def _wanted(self) -> Wanted:
        """What is to be decoded: what is shown, in this order, and behind it what the condition needs."""
        tested = [c.column_name for c in self._condition.comparisons()] if self._condition is not None else []
        if self.schema is not None:
            wanted = Wanted((*self.schema.names, *tested))
        else:
            facts = dict.fromkeys((*self._facts, *(n for n in tested if n in FACTS)))
            derived = dict.fromkeys((*self._added, *(n for n in tested if n in DERIVED and n not in FACTS)))
            wanted = Wanted(None, tuple(facts), tuple(derived))
        return replace(wanted, keeps_options=self.keeps_options)


def in_order(window: Sequence[Picked]) -> Iterator[tuple[int, int]]:
    """(index into the window, records) in the order of the wire: so many records of that run come next."""
    if len(window) == 1:
        yield 0, window[0].count
        return
    runs, counts = _sets_in_order(window)
    # neighbours of one run go together
    cuts = np.flatnonzero(np.diff(runs)) + 1
    starts = np.concatenate([[0], cuts])
    yield from zip(runs[starts].tolist(), np.add.reduceat(counts, starts).tolist(), strict=True)


def _sets_in_order(window: Sequence[Picked]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(run, records picked) of each Set of a window, as the Sets stood on the wire."""
    order = np.argsort(np.concatenate([p.sets.order for p in window]), kind="stable")
    runs = np.repeat(np.arange(len(window)), [len(p.sets.order) for p in window])
    counts = np.concatenate([p.set_counts for p in window])
    return runs[order], counts[order]


def _first(window: list[Picked], most: int) -> list[Picked]:
    """The first records of a window in the order of the wire."""
    if sum(p.count for p in window) <= most:
        return window
    runs, counts = _sets_in_order(window)
    ends = np.cumsum(counts)
    taken = np.minimum(counts, np.maximum(most - (ends - counts), 0))
    out = []
    for number, picked in enumerate(window):
        most_of_run = int(taken[runs == number].sum())
        if not most_of_run:
            continue
        mask = np.ones(picked.batch.num_rows, np.bool_) if picked.mask is None else picked.mask
        # records of a run are in the order of the wire, so the first of them are those of its first Sets
        out.append(Picked(picked.batch, picked.sets, mask & (np.cumsum(mask) <= most_of_run)))
    return out
