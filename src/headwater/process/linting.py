"""Linting: every violation of the standards that can be seen in the octets of a source."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from headwater.batch.decode import Decoder
from headwater.errors import Fault, SourceError
from headwater.process.feed import CaptureFeed, feed_of
from headwater.process.lint_properties import CommonProperties
from headwater.process.lint_rows import Rows
from headwater.process.lint_values import check_values
from headwater.process.manner import Manner
from headwater.process.report import Skipped
from headwater.process.time_window import TimeWindow
from headwater.session.events import DataSets
from headwater.session.inspecting import InspectingSession, Remark
from headwater.session.limits import Limits
from headwater.session.rules import RULES, Rule, Severity
from headwater.transport import ForeignContent, Source, Windows, find_sources, open_source

if TYPE_CHECKING:
    from headwater.process.feed import Feed
    from headwater.session.collecting import Session
    from headwater.session.events import Event, Messages
    from headwater.session.key import SessionKey, Transport

PLACES: Final = 3
"""Places of each rule that are kept, if not all are asked for."""
_ONE_BY_ONE: Final = 64
_ALL: Final = 1 << 62


_LIMITS: Final = replace(
    Limits(), template_lifetime_s=math.inf, templates=1 << 16, template_octets=32 << 20, domains=1 << 16
)
"""What is beyond the limits would look as if it had no Templates, so there is room for more than usual."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule is violated, `count` times from there on. offset: of the octet in the source, decompressed.

    message: number of the Message in its session, from 1; None where no Message can be made out.
    """

    offset: int
    message: int | None
    exporter: str | None
    domain: int | None
    detail: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Violation:
    """One rule that is violated, how often, and where: the first places, or all."""

    rule: Rule
    severity: Severity
    count: int = 0
    places: list[Place] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": self.rule.id,
            "severity": str(self.severity),
            "section": self.rule.section,
            "text": self.rule.text,
            "count": self.count,
            "places": [place.to_dict() for place in self.places],
        }


@dataclass(slots=True)
class Linted:
    """What was found in one source. records: all of them, options too."""

    name: str
    octets: int = 0
    messages: int = 0
    records: int = 0
    _violations: dict[tuple[Severity, str], Violation] = field(default_factory=dict)

    @property
    def violations(self) -> list[Violation]:
        """The worst first, and of these the first first."""
        return sorted(self._violations.values(), key=lambda one: (-one.severity, one.places[0].offset))

    def add(self, remark: Remark, most: int) -> None:
        """Count a Remark, and keep its place if fewer than `most` are kept."""
        key = remark.severity, remark.rule
        one = self._violations.get(key)
        if one is None:
            one = self._violations[key] = Violation(RULES[remark.rule], remark.severity)
        one.count += remark.count
        if len(one.places) < most:
            exporter = None if remark.key is None else str(remark.key)
            where = remark.offset, remark.message, exporter, remark.domain
            one.places.append(Place(*where, remark.detail, remark.count))

    def forget(self, rules: Collection[str]) -> None:
        """Leave out what violates these rules."""
        self._violations = {key: one for key, one in self._violations.items() if key[1] not in rules}

    def to_dict(self, least: Severity = Severity.NOTE) -> dict[str, Any]:
        """As JSON, with violations of at least some severity."""
        return {
            "name": self.name,
            "octets": self.octets,
            "messages": self.messages,
            "records": self.records,
            "violations": [one.to_dict() for one in self.violations if one.severity >= least],
        }


@dataclass(frozen=True, slots=True)
class LintManner(Manner):
    """Sessions that inspect. sessions: all that there were. all: tell each violation, not only the first ones."""

    all: bool = False
    sessions: list[InspectingSession] = field(default_factory=list)

    def session(self, transport: Transport, key: SessionKey | None = None) -> Session:
        """A new session."""
        session = InspectingSession(
            self.registry,
            transport,
            self.limits or _LIMITS,
            salvage=True,
            key=key,
            policy=self.policy,
            resync=True,
            most=_ALL if self.all else _ONE_BY_ONE,
        )
        self.sessions.append(session)
        return session


class _Capture(CaptureFeed):
    """A capture whose streams know where their octets stand."""

    def placed(self, fault: Fault) -> Fault:
        """With the offset in the capture in place of the one in a stream."""
        places = self._places.get(fault.key)
        return fault if places is None else replace(fault, offset=places.offset(fault.offset))


def lint(source: Any, manner: LintManner | None = None, skipped: list[Skipped] | None = None) -> Iterator[Linted]:
    """What is wrong in each source; `read` says what that can be. skipped: gets the files that were left out.

    Raises SourceError for what cannot be read at all, or if nothing of a directory can.
    """
    manner, skipped = manner or LintManner(), [] if skipped is None else skipped
    is_any = False
    for one in find_sources(source):
        try:
            windows = open_source(one)
        except SourceError as bad:
            if not one.is_optional:
                raise
            skipped.append(Skipped(one.name, str(bad), isinstance(bad, ForeignContent)))
            continue
        is_any = True
        try:
            manner.sessions.clear()
            yield _Linting(one, feed_of(windows, manner, _Capture), manner).run(windows)
        finally:
            windows.close()
    if not is_any:
        raise SourceError(f"no flow export among {len(skipped)} files: {skipped[0].reason}" if skipped else "no source")


class _Linting:
    """One source, from its first octet to its last."""

    def __init__(self, source: Source, feed: Feed, manner: LintManner) -> None:
        self._feed, self._manner = feed, manner
        self._linted, self._size = Linted(source.name), source.size
        self._decoder = Decoder()
        self._window = TimeWindow()
        self._properties = CommonProperties()
        self._most = _ALL if manner.all else PLACES

    def run(self, windows: Windows) -> Linted:
        """All that is found."""
        progress, size = self._manner.progress, self._size
        for events in self._feed.events():
            self._take(events)
            if progress is not None:
                progress(windows.done, size)
        self._take(self._feed.close())
        for fault in [*windows.faults, *self._window.faults()]:
            self._add(fault)
        linted = self._linted
        linted.octets, linted.messages = self._feed.octets, self._feed.counters["messages"]
        return linted

    def _take(self, events: Iterable[Event]) -> None:
        runs: list[DataSets] = []
        for event in events:
            match event:
                case Fault():
                    self._add(event)
                case DataSets():
                    runs.append(event)
                    self._window.look([event], self._feed.details)
                    self._check(event)
        for session in self._manner.sessions:
            session.numbers.clear()

    def _check(self, sets: DataSets) -> None:
        batch = self._decoder.decode(sets)
        self._linted.records += batch.num_rows
        self._window.check(sets, batch)
        rows = Rows(sets, batch, self._first_of(sets.messages), _ALL if self._manner.all else _ONE_BY_ONE)
        check_values(rows)
        self._properties.check(rows)
        for fault in (*map(rows.remark_of, batch.faults), *rows.remarks):
            self._add(self._placed(fault))

    def _first_of(self, messages: Messages) -> int | None:
        """The number of the first Message of a table."""
        for session in self._manner.sessions:
            found = session.numbers.get(id(messages))
            if found is not None and found[0] is messages:
                return found[1]
        return None

    def _placed(self, fault: Fault) -> Fault:
        """With the offset in the capture, where records count the octets of their stream."""
        feed = self._feed
        return feed.placed(fault) if isinstance(feed, _Capture) else fault

    def _add(self, fault: Fault) -> None:
        if not isinstance(fault, Remark):
            rule = RULES[fault.kind.value]
            told = fault.kind, fault.offset, fault.domain, fault.detail, fault.count, fault.key
            fault = Remark(*told, rule.id, rule.severity)
        self._linted.add(fault, self._most)
