"""A Session that also tells what a tolerant reader has no reason to mention: for those who test exporters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import Fault, FaultKind
from headwater.session.collecting import Session
from headwater.session.events import DataSets, SequenceGap, TemplateLearned
from headwater.session.inspecting_definitions import violations_of
from headwater.session.inspecting_sets import look_at_data, look_at_messages, look_at_sets
from headwater.session.inspecting_templates import TemplateUse
from headwater.session.rules import RULES, Severity
from headwater.session.run import Run
from headwater.wire.dialect import NETFLOW9

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from headwater.session.events import Event, Messages
    from headwater.session.framing import Frames
    from headwater.session.headers import Arrivals


NO_KIND: Final = FaultKind.VALUE_RANGE
"""Stands for the kind of Remarks that are no faults: a kind they have, for they come where faults come."""


@dataclass(frozen=True, slots=True)
class Remark(Fault):
    """A violation of a rule. kind: NO_KIND where reading has no fault for it.

    rule: its id. message: the number of the Message in its session, from 1; None where octets are in none.
    """

    rule: str = ""
    severity: Severity = Severity.WARNING
    message: int | None = None


class InspectingSession(Session):
    """A Session whose faults and gaps are Remarks, and that has more of them.

    most: how many of one kind are told one by one in each buffer; the others are counted with the last of them.
    numbers: of the first Messages of tables that events refer to, by identity; cleared by whoever takes the events.
    """

    def __init__(self, *arguments: Any, most: int = 64, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.most = most
        self.numbers: dict[int, tuple[Messages, int]] = {}
        self._use = TemplateUse(self.transport)

    def close(self) -> Iterator[Event]:
        """As of Session, and what only the end shows."""
        unused = [
            Remark(NO_KIND, at, domain, detail, 1, key, rule, RULES[rule].severity)
            for rule, at, domain, key, detail in self._use.at_the_end()
        ]
        return chain(super().close(), unused)

    def _run(self, buf: npt.NDArray[np.uint8], frames: Frames, arrivals: Arrivals, now: float) -> list[Event]:
        if not len(frames.start):
            return []
        first = self.counters["messages"] + 1
        run = Run(self._state, buf, frames, arrivals, now)
        found = Findings(run, first, self.transport, self.most)
        kept: list[Event] = []
        for event in run.events():
            match event:
                case Fault():
                    found.take(event)
                case SequenceGap():
                    detail = f"sequence number {event.got} where {event.expected} was expected"
                    if event.lost is not None:
                        detail += f": {event.unit} missing: {event.lost}"
                    found.take(Fault(FaultKind.SEQUENCE_GAP, event.offset, event.domain, detail, 1, event.key))
                case TemplateLearned(retyped=False):
                    for rule, detail in violations_of(event.template, event.domain, event.version):
                        found.take(Fault(NO_KIND, event.offset, event.domain, detail, 1, event.key), rule)
                    kept.append(event)
                case DataSets():
                    look_at_data(found, event)
                    kept.append(event)
        look_at_messages(found, self._use)
        look_at_sets(found)
        self._use.look(found)
        self.numbers[id(run.messages)] = run.messages, first
        return [*sorted(found.remarks, key=lambda remark: remark.offset), *kept]


class Findings:
    """The Remarks of one pass. first: the number of its first Message."""

    def __init__(self, run: Run, first: int, transport: Any, most: int) -> None:
        self.run, self.transport = run, transport
        self.remarks: list[Remark] = []
        self._first, self._most = first, most
        self._order: npt.NDArray[np.intp] | None = None

    def take(self, fault: Fault, rule: str = "") -> None:
        """Make a Remark of a fault; rule: "" = the one of its kind."""
        index = self._message_at(fault.offset)
        rule = rule or fault.kind.value
        if rule == "nonzero_padding" and self.run.messages.version[index] == NETFLOW9.version:
            rule = "flowset_padding"
        self.remarks.append(
            Remark(
                fault.kind,
                fault.offset,
                fault.domain,
                fault.detail,
                fault.count,
                fault.key,
                rule,
                RULES[rule].severity_over(self.transport),
                self._first + index,
            )
        )

    def add(self, rule: str, message: int, at: int, detail: str, count: int = 1) -> None:
        """Add one about buffer position `at` of a Message."""
        messages = self.run.messages
        where = messages.absolute(message, at), int(messages.domain[message])
        severity = RULES[rule].severity_over(self.transport)
        number = self._first + message
        self.remarks.append(Remark(NO_KIND, *where, detail, count, messages.key(message), rule, severity, number))

    def add_sets(self, rule: str, sets: npt.NDArray[np.intp], detail: Any) -> None:
        """Add one for each of these Sets of the pass, at their headers. detail: makes it of a Set's ordinal."""
        told = sets[: self._most].tolist()
        for ordinal in told:
            more = len(sets) - len(told) if ordinal == told[-1] else 0
            message = int(self.run.message[ordinal])
            self.add(rule, message, int(self.run.start[ordinal]) - 4, detail(ordinal), 1 + more)

    def add_messages(self, rule: str, which: npt.NDArray[np.intp], detail: Any) -> None:
        """Add one for each of these Messages. detail: makes it of the Message's index."""
        told = which[: self._most].tolist()
        for message in told:
            more = len(which) - len(told) if message == told[-1] else 0
            self.add(rule, message, int(self.run.frames.start[message]), detail(message), 1 + more)

    def _message_at(self, offset: int) -> int:
        """The Message (index) that an absolute offset is in."""
        offsets = self.run.messages.offset
        if self._order is None:
            self._order = offsets.argsort(kind="stable")
        place = int(offsets[self._order].searchsorted(offset, "right")) - 1
        return int(self._order[max(place, 0)])
