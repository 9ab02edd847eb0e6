"""What captures have taught of Templates and options, for the captures that follow and for the next time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.batch.options_tables import OptionsTables
from headwater.process.state_file import StateFile
from headwater.transport.content import Content

if TYPE_CHECKING:
    import os

    from headwater.process.feed import Feed
    from headwater.session.saved import SavedTemplate


@dataclass(slots=True)
class Memory:
    """Templates by transport session, as they were at the end of the last source, and tables of options."""

    tables: OptionsTables = field(default_factory=OptionsTables)
    templates: list[SavedTemplate] = field(default_factory=list)
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

    def recall(self, feed: Feed, content: Content) -> None:
        """Tell a source's sessions what is known."""
        if content is not Content.IPFIX:
            feed.sessions[0].restore(self.templates)

    def keep(self, feed: Feed, content: Content) -> None:
        """Take over what they know at the end."""
        if content is not Content.IPFIX:
            self.templates = feed.sessions[0].snapshot()
