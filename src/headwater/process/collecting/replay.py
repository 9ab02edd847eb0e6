"""Sources of a Collecting Process that are no sockets: files, and folders into which files come."""

from __future__ import annotations

import math
import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from headwater.errors import HeadwaterError, TransportError
from headwater.process.collecting.followed import Followed, Stamp
from headwater.process.exporting_replay import Tempo
from headwater.process.feed import feed_of
from headwater.process.manner import Manner
from headwater.process.memory import Memory
from headwater.session.events import DataSets
from headwater.session.key import KeyPolicy, Transport
from headwater.session.limits import Limits
from headwater.transport import WINDOW, Source, find_sources, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headwater.process.collecting.replay_url import ReplayUrl
    from headwater.process.feed import Feed
    from headwater.session.events import Event
    from headwater.session.sequence import DomainLedger
    from headwater.transport import Windows

_PACED_WINDOW: Final = 1 << 16
"""Octets at a time where the pace counts: what is in one window goes at one time."""
_LOOK_S: Final = 0.2
_SHORTEST_S: Final = 0.05
_MOST_AT_ONCE: Final = 64
"""Files after which sinks store what they have, so that the files can be marked as done."""
_FAILED_KEPT: Final = 1000


class Outlet(Protocol):
    """What a replay needs of an outlet; see `transport.incoming.block.Outlet`."""

    def put(self, block: Any) -> None:
        """Take work for the thread that decodes."""

    def wait_for_room(self, timeout: float) -> bool:
        """Whether there is room, after `timeout` seconds at the latest."""


class FeedWork:
    """A window of a file, for the thread that decodes: there `events` is to be called once, and gone through.

    octets: what it counts for in the bound of the queue. ledgers: of the file, once it has ended; final then.
    """

    def __init__(self, reading: FileReading) -> None:
        self.octets = reading.window
        self.ledgers: list[DomainLedger] = []
        self._reading = reading
        self._done = threading.Event()

    def events(self) -> Iterator[Event]:
        """What the sessions tell."""
        try:
            yield from self._reading.step()
        finally:
            if self._reading.is_over:
                self.ledgers = self._reading.end()
            self._done.set()

    def wait(self, timeout: float) -> bool:
        """Whether it is done, after `timeout` seconds at the latest."""
        return self._done.wait(timeout)


class StoreWork:
    """Asks the thread that decodes to have everything before it stored: it flushes all sinks and calls `finish`.

    is_stored: whether that succeeded, None = not known yet.
    """

    octets = 0

    def __init__(self) -> None:
        self.is_stored: bool | None = None
        self._done = threading.Event()

    def finish(self, *, is_stored: bool) -> None:
        """All sinks were flushed; is_stored: and all of them could."""
        self.is_stored = is_stored
        self._done.set()

    def wait(self, timeout: float) -> bool:
        """Whether it is done, after `timeout` seconds at the latest."""
        return self._done.wait(timeout)


class FileReading:
    """One file on its way through sessions. All but the constructor is for the thread that decodes.

    at: when its latest records came or were sent, seconds since 1970. failed: why it could not be read to its end.
    """

    def __init__(self, windows: Windows, manner: Manner, memory: Memory, counters: Counter[str], window: int) -> None:
        self.window = window
        self.is_over = False
        self.at = 0.0
        self.failed: str | None = None
        self._windows, self._memory, self._counters = windows, memory, counters
        self._feed: Feed = feed_of(windows, manner)
        self._steps: Iterator[Iterable[Event]] | None = None
        self._octets = 0

    @property
    def ledgers(self) -> list[DomainLedger]:
        """Of its sessions, at this moment."""
        return [ledger for ledger in self._feed.ledgers if ledger.messages or ledger.malformed]

    def step(self) -> Iterator[Event]:
        """What the next window tells; of the last one, what is told at the end too."""
        if self._steps is None:
            self._memory.recall(self._feed, self._windows.content)
            self._steps = iter(self._feed.events())
        try:
            events = next(self._steps, None)
            if events is not None:
                yield from self._seen(events)
                self._counters["octets"] += self._feed.octets - self._octets
                self._octets = self._feed.octets
                return
            self.is_over = True
            self._memory.keep(self._feed, self._windows.content)
            yield from self._feed.close()
            yield from self._windows.faults
        except HeadwaterError as bad:  # the disk, or a limit
            self.is_over, self.failed = True, str(bad)
        except BaseException as bad:
            self.is_over, self.failed = True, f"{type(bad).__name__}: {bad}"
            raise

    def end(self) -> list[DomainLedger]:
        """Let go of the file; its ledgers."""
        ledgers = self.ledgers
        self._windows.close()
        return ledgers

    def _seen(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, DataSets):
                received = event.messages.received
                arrived = 0 if received is None else int(received[-1])
                self.at = max(self.at, arrived / 1e9 if arrived else float(event.messages.export_time[-1]))
            yield event


class Replay:
    """Files as a listener: `run` puts FeedWork on the queue, and StoreWork where a folder is followed.

    What files teach of Templates holds in those that follow, as when they are read together. limits, policy: of the
    sessions. state: the folder in which it is written down which files of a folder were taken, None = nowhere; then
    all that are there are taken when it begins.
    A file counts as taken, and is deleted or moved, only when sinks have stored its records; after a crash it is taken
    again by the next process, so that records may be there twice but are never missing. One that cannot be read is
    reported and left.
    counters: files, files_failed, octets (decompressed).
    """

    transport = Transport.FILE
    address = ("", 0)

    def __init__(
        self,
        url: ReplayUrl,
        *,
        limits: Limits | None = None,
        policy: KeyPolicy | None = None,
        state: Path | None = None,
    ) -> None:
        self.url = url
        self.counters: Counter[str] = Counter(files=0, files_failed=0, octets=0)
        self.warnings: list[str] = []
        self.latency = 0.25
        self.memory = Memory()
        self.is_over = False
        # files are read long after their Templates were sent
        known = replace(limits or Limits(), template_lifetime_s=math.inf)
        self._manner = Manner(limits=known, policy=policy or KeyPolicy())
        self._state = state
        self._reading: FileReading | None = None
        self._failed: deque[dict[str, Any]] = deque(maxlen=_FAILED_KEPT)
        self._stopping, self._closed = threading.Event(), threading.Event()
        self._tempo = None if url.pace is None else Tempo(url.pace, sleep=self._sleep)
        self._window = WINDOW if url.pace is None else _PACED_WINDOW

    @property
    def num_sessions(self) -> int:
        """Files that are being read."""
        return int(self._reading is not None)

    @property
    def ledgers(self) -> list[DomainLedger]:
        """Of the file that is being read; for the thread that decodes."""
        reading = self._reading
        return [] if reading is None or reading.is_over else reading.ledgers

    def open(self) -> None:
        """See that there is something. Raises TransportError."""
        url = self.url
        if url.is_follow:
            for folder in filter(None, (url.path, url.target)):
                if not Path(folder).is_dir():
                    raise TransportError(f"{url.url}: there is no folder {folder}", url=url.url)
            return
        try:
            list(find_sources(url.path))
        except (HeadwaterError, OSError) as bad:
            raise TransportError(f"{url.url}: {bad}", url=url.url) from bad

    def run(self, outlet: Outlet) -> None:
        """Read until there is nothing more, or until `stop`; raises nothing for the sake of what files hold."""
        if self.url.is_follow:
            self._follow(outlet)
        else:
            self._read_all(outlet)
        self.is_over = True

    def settle(self, done: Callable[[], object]) -> None:
        """Files are not waited for: what was read is handed over at once."""
        done()

    def stop(self) -> None:
        """Let `run` come to its end; of a folder, the file that is being read is read to its end."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._stopping.set()
        self._closed.set()

    def reload(self) -> None:
        """There are no certificates."""

    def sessions(self) -> list[dict[str, Any]]:
        """Files that could not be read, and why: the last ones."""
        return list(self._failed)

    def _read_all(self, outlet: Outlet) -> None:
        try:
            found = list(find_sources(self.url.path))
        except (HeadwaterError, OSError) as bad:
            self._fail(self.url.path, str(bad))
            return
        for source in found:
            if self._stopping.is_set():
                return
            self._read(source, outlet, can_stop=True)

    def _follow(self, outlet: Outlet) -> None:
        url = self.url
        followed = Followed(Path(url.path), url.pattern, settle=url.settle, state=self._state)
        while not self._stopping.is_set():
            taken: list[tuple[Path, Stamp]] = []
            try:
                for path, stamp in followed.complete():
                    if self._stopping.is_set() or len(taken) >= _MOST_AT_ONCE:
                        break
                    if self._read(Source(str(path), str(path), size=stamp.size), outlet):
                        taken.append((path, stamp))
                    elif not self._closed.is_set():
                        followed.take(path, stamp)
                        followed.save()
            except OSError as bad:
                self._warn(f"{url.path} cannot be looked through: {bad.strerror or bad}")
            is_full = len(taken) >= _MOST_AT_ONCE
            if taken:
                is_stored = self._is_stored(outlet)
                for path, stamp in taken:
                    followed.take(path, stamp, is_stored=is_stored)
                    if is_stored:
                        self._dispose(path)
                    else:
                        self._warn(f"{path} was read and could not be stored: the next collector will read it again")
                followed.save()
            for warning in followed.warnings:
                self._warn(warning)
            if not is_full:
                self._stopping.wait(max(url.every, _SHORTEST_S))

    def _read(self, source: Source, outlet: Outlet, *, can_stop: bool = False) -> bool:
        """Put a file on the queue, window by window; whether it could be read to its end."""
        try:
            windows = open_source(source, window=self._window)
        except (HeadwaterError, OSError) as bad:
            self._fail(source.name, str(bad))
            return False
        reading = self._reading = FileReading(windows, self._manner, self.memory, self.counters, self._window)
        try:
            while not reading.is_over:
                if (can_stop and self._stopping.is_set()) or not self._step(reading, outlet):
                    return False
                if self._tempo is not None and reading.at:
                    self._tempo.wait(reading.at)
        finally:
            self._reading = None
        if reading.failed is not None:
            self._fail(source.name, reading.failed)
            return False
        self.counters["files"] += 1
        return True

    def _step(self, reading: FileReading, outlet: Outlet) -> bool:
        """Have the next window decoded; whether it was."""
        while not outlet.wait_for_room(_LOOK_S):
            if self._closed.is_set():
                return False
        work = FeedWork(reading)
        outlet.put(work)
        return self._wait(work.wait)

    def _is_stored(self, outlet: Outlet) -> bool:
        work = StoreWork()
        outlet.put(work)
        return self._wait(work.wait) and bool(work.is_stored)

    def _wait(self, wait: Callable[[float], bool]) -> bool:
        while not wait(_LOOK_S):
            if self._closed.is_set():
                return False
        return True

    def _dispose(self, path: Path) -> None:
        """What is to become of a file whose records are stored."""
        try:
            if self.url.after == "delete":
                path.unlink()
            elif self.url.after == "move":
                target, number = Path(self.url.target, path.name), 0
                while target.exists():
                    number += 1
                    target = Path(self.url.target, f"{path.name}.{number}")
                shutil.move(path, target)
        except OSError as bad:
            self._warn(f"{path} is stored, but cannot be {self.url.after}d: {bad.strerror or bad}")

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _fail(self, name: str, why: str) -> None:
        self.counters["files_failed"] += 1
        self._failed.append({"file": name, "why": why})
        self._warn(f"{name} is left out: {why}")

    def _warn(self, what: str) -> None:
        if what not in self.warnings:
            self.warnings.append(what)
            del self.warnings[:-_FAILED_KEPT]
