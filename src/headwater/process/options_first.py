"""Option records of a source, read before its flows: what a flow is joined with may be told only after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError
from headwater.process.feed import feed_of
from headwater.process.report import SourceReport
from headwater.process.source import SourceReading
from headwater.transport import open_source

if TYPE_CHECKING:
    from headwater.batch.options_tables import OptionsTables
    from headwater.process.manner import Manner
    from headwater.process.memory import Memory
    from headwater.transport import Source


def learn_options(source: Source, tables: OptionsTables, manner: Manner, memory: Memory) -> None:
    """Fill `tables` with the option records of a source that can be read twice; flows are framed and not decoded."""
    manner = replace(manner, strict=False, progress=None)
    try:
        windows = open_source(source, trust=manner.resync)
    except HeadwaterError:  # told when it is read
        return
    try:
        feed = feed_of(windows, manner)
        memory.recall(feed, windows.content)
        for _ in SourceReading(windows, feed, SourceReport(source.name), manner=manner, tables=tables).runs():
            pass
    except HeadwaterError:  # what can be read counts; the reading itself tells the rest
        pass
    finally:
        windows.close()
