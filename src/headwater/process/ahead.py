"""Reading a source once before it is read: what its flows need may be told only after them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError
from headwater.process.feed import feed_of
from headwater.process.source import SourceReading
from headwater.process.source_report import SourceReport
from headwater.transport import open_source

if TYPE_CHECKING:
    from headwater.batch.options_tables import OptionsTables
    from headwater.process.feed import Feed
    from headwater.process.manner import Manner
    from headwater.process.memory import Memory
    from headwater.transport import Source


def read_ahead(
    source: Source, manner: Manner, *, tables: OptionsTables | None = None, memory: Memory | None = None
) -> Feed | None:
    """Read all of a source that can be read twice; its flows are framed and not decoded. None if it cannot be opened.

    tables: take in what its option records say. memory: what is known before.
    """
    manner = replace(manner, strict=False, progress=None)
    try:
        windows = open_source(source, trust=manner.resync)
    except HeadwaterError:  # told when it is read
        return None
    feed = feed_of(windows, manner)
    try:
        if memory is not None:
            memory.recall(feed, windows.content, manner)
        for _ in SourceReading(windows, feed, SourceReport(source.name), manner=manner, tables=tables).runs():
            pass
    except HeadwaterError:  # what can be read counts; the reading itself tells the rest
        pass
    finally:
        windows.close()
    return feed
