"""What a Collecting Process tells while it runs: rate-limited, one line each, safe against what peers send.

Whoever logs may say `extra={"kind": …, "exporter": …}`; lines of one kind and exporter are alike.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from headwater.errors import Fault
from headwater.process.source_report import COSTLY
from headwater.session.events import SequenceGap

if TYPE_CHECKING:
    from headwater.process.collecting.settings import LogSettings

NAME: Final = "headwater.collector"
"""The logger of a Collecting Process."""
_ALIKE: Final = 5
"""Lines that are alike and told within a window."""
_IN_ALL: Final = 200
_WINDOW: Final = 60.0
_KINDS: Final = 4096
"""What is told apart; whoever is beyond shares one bound."""
_LONGEST: Final = 2000


@dataclass(slots=True)
class _Window:
    """begin: seconds. told, suppressed: lines since. text: of the last line that was suppressed."""

    begin: float
    told: int = 0
    suppressed: int = 0
    text: str = ""
    level: int = logging.WARNING


class RateLimit(logging.Filter):
    """Lets some lines of each kind and exporter pass in a minute, and counts the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[Any, _Window] = {}
        self._all = _Window(clock())

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is told."""
        now = self._clock()
        with self._lock:
            window = self._window(record, now)
            if now - self._all.begin >= _WINDOW:
                self._all = _Window(now)
            if record.levelno >= logging.CRITICAL or (window.told < _ALIKE and self._all.told < _IN_ALL):
                window.told += 1
                self._all.told += 1
                return True
            window.suppressed += 1
            window.text, window.level = record.getMessage(), record.levelno
            return False

    def suppressed(self, *, is_end: bool = False) -> list[tuple[int, str]]:
        """Level and sentence for each kind of which lines were left out, once its minute is over, or all at the end."""
        now = self._clock()
        lines = []
        with self._lock:
            for key, window in list(self._windows.items()):
                if is_end or now - window.begin >= _WINDOW:
                    del self._windows[key]
                    if window.suppressed:
                        lines.append((window.level, f"{window.suppressed:,} more like: {window.text}"))
        return lines[:_IN_ALL]

    def _window(self, record: logging.LogRecord, now: float) -> _Window:
        kind = getattr(record, "kind", None) or record.msg
        key = (record.name, str(kind)[:200], str(getattr(record, "exporter", ""))[:100])
        if key not in self._windows and len(self._windows) >= _KINDS:
            key = ("", "", "")
        return self._windows.setdefault(key, _Window(now))


class _Lines(logging.Formatter):
    """Lines for people; syslog and journald put the time before them, a terminal gets it from us."""

    def __init__(self, *, has_time: bool) -> None:
        super().__init__()
        self._has_time = has_time

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        when = time.strftime("%H:%M:%S", time.localtime(record.created)) if self._has_time else "headwater:"
        return f"{when} {level}{_one_line(record)}"


class _JsonLines(logging.Formatter):
    """Lines for programs."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "kind": str(getattr(record, "kind", "")),
            "exporter": str(getattr(record, "exporter", "")),
            "message": _one_line(record),
        }
        return json.dumps({name: value for name, value in said.items() if value != ""})


def _one_line(record: logging.LogRecord) -> str:
    """The message without anything that a terminal or a reader of lines would obey."""
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Logs:
    """Shows what "headwater" logs on a stream, while it is open.

    clear: called before each line, so that a line of status on the same terminal is not torn.
    """

    def __init__(
        self,
        settings: LogSettings,
        stream: TextIO | None = None,
        *,
        clear: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = RateLimit(clock)
        self._stream = stream or sys.stderr
        self._handler = _Handler(self._stream, clear)
        self._handler.addFilter(self.limit)
        self._logger = logging.getLogger("headwater")
        self._was = (self._logger.level, self._logger.propagate)
        self.change(settings)
        self._logger.propagate = False
        self._logger.addHandler(self._handler)

    def change(self, settings: LogSettings) -> None:
        """Go on with other settings."""
        self._logger.setLevel(settings.level.upper())
        has_time = self._stream.isatty()
        self._handler.setFormatter(_JsonLines() if settings.json else _Lines(has_time=has_time))

    def tick(self, *, is_end: bool = False) -> None:
        """Tell how many lines were left out."""
        for level, text in self.limit.suppressed(is_end=is_end):
            self._handler.emit(logging.LogRecord(NAME, level, "", 0, text, None, None))

    def close(self) -> None:
        """Tell what is left, and show nothing more."""
        self.tick(is_end=True)
        self._logger.removeHandler(self._handler)
        level, self._logger.propagate = self._was
        self._logger.setLevel(level)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; a stream that is gone is no reason to end."""

    def __init__(self, stream: TextIO, clear: Callable[[], object]) -> None:
        super().__init__(stream)
        self._clear = clear

    def emit(self, record: logging.LogRecord) -> None:
        self._clear()
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing can be told where telling fails."""


class Note(str):
    """A sentence about a peer that is no fault of its records. kind: notes of one kind are alike for the log."""

    __slots__ = ()
    kind = "connection"


def log_event(event: object) -> None:
    """Tell what a Collector tells: a fault or gap of an exporter, or a sentence.

    What costs no records is INFO, all else is a WARNING.
    """
    exporter = getattr(event, "key", None)
    kind = getattr(event, "kind", None) or (None if isinstance(event, str) else type(event).__name__)
    text = str(event) if exporter is None else f"{exporter}: {event}"
    is_doubtful_only = isinstance(event, Fault) and event.kind not in COSTLY
    is_unknown = isinstance(event, SequenceGap) and event.lost is None  # behind data that wait for their Template
    level = logging.INFO if is_doubtful_only or is_unknown else logging.WARNING
    logging.getLogger(NAME).log(level, "%s", text, extra={"kind": kind or text, "exporter": exporter or ""})
