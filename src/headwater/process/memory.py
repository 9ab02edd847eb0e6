"""What captures and spools have taught, for those that follow and for the next time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.batch.options_tables import OptionsTables
from headwater.process.feed import SpoolFeed
from headwater.process.state_file import StateFile
from headwater.transport.content import Content

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from headwater.process.feed import Feed, Lane
    from headwater.process.manner import Manner
    from headwater.session.collecting import Session
    from headwater.session.events import Event
    from headwater.session.saved import SavedTemplate


@dataclass(slots=True)
class Memory:
    """Templates by transport session, as they were at the end of the last capture, and tables of options.

    sessions: those of the last spool, which go on in the next one.
    """

    tables: OptionsTables = field(default_factory=OptionsTables)
    templates: list[SavedTemplate] = field(default_factory=list)
    sessions: dict[Lane, Session] = field(default_factory=dict)
    _file: StateFile | None = None

    def load(self, path: str | os.PathLike[str]) -> list[str]:
        """Begin with what a state file says; what is wrong with it."""
        self._file = StateFile(path)
        state = self._file.load()
        self.templates = list(state.templates)
        self.tables.restore(state.options)
        return [] if state.warning is None else [str(state.warning)]

    def save(self) -> None:
        """Write what is known to the state file that was loaded. Raises SourceError if it cannot be written."""
        assert self._file is not None
        self._file.save(self.templates, self.tables.snapshot(), now=time.time())

    def recall(self, feed: Feed, content: Content, manner: Manner | None = None) -> None:
        """Tell a source's sessions what is known.

        manner: of a feed that reads ahead, whose sessions must not be those that go on.
        """
        if isinstance(feed, SpoolFeed):
            feed.restore(self.templates)
            feed.go_on(self.sessions if manner is None else self._copies(manner))
        elif content is not Content.IPFIX:
            feed.sessions[0].restore(self.templates)

    def keep(self, feed: Feed, content: Content) -> None:
        """Take over what they know at the end."""
        if isinstance(feed, SpoolFeed):
            self.sessions, feed.is_kept = feed.sessions_by_lane, True
            for session in self.sessions.values():
                session.count_anew(feed.octets)
        elif content is not Content.IPFIX:
            self.templates = feed.sessions[0].snapshot()

    def close(self) -> Iterator[Event]:
        """Nothing follows: what sessions that went on tell at their end."""
        for session in self.sessions.values():
            yield from session.close()
        self.sessions = {}

    def _copies(self, manner: Manner) -> dict[Lane, Session]:
        """Sessions that know the same Templates."""
        copies = {}
        for lane, session in self.sessions.items():
            copies[lane] = manner.session(session.transport)
            copies[lane].restore(session.snapshot())
        return copies
