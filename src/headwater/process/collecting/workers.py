"""Several processes that share the work: the parent binds the addresses, and each worker is a collector of its own.

Datagrams are shared out by the kernel by the address that they come from, so Templates and data of an exporter meet in
one worker. The sockets are the parent's too: a worker that dies is replaced without losing what the kernel holds.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headwater.errors import HeadwaterError, TransportError
from headwater.process.collecting.ledger import CollectorReport
from headwater.process.collecting.settings_checks import LEAST_BUFFER
from headwater.session.key import Transport
from headwater.transport.incoming.udp_socket import kernel_drops
from headwater.transport.url_options import host_and_port

if TYPE_CHECKING:
    from headwater.process.collecting.settings import CollectingSettings
    from headwater.transport.incoming.url import ListenUrl

_START_S: Final = 30.0
_ASK_S: Final = 5.0
_LOOK_S: Final = 1.0
_SHARE: Final = 0.03
"""Of the time, that looking at workers may take."""
_RESTARTS: Final = 5
"""Of a worker within a minute; after that something is wrong that starting it again does not mend."""
_SHARED: Final = frozenset({Transport.TCP, Transport.TLS})
"""Each worker accepts what it has time for."""
_MOST_WARNINGS: Final = 100
_GROUPED: Final = frozenset({Transport.UDP, Transport.DTLS})


def num_workers(settings: CollectingSettings) -> int:
    """How many processes are asked for: by `workers`, or by the URL that asks for the most."""
    return max([settings.workers, *(int(url.options.get("workers", 1)) for url in settings.urls)])


class Workers:
    """The processes, in place of an Engine."""

    def __init__(
        self, settings: CollectingSettings, inherited: list[socket.socket], tell: Callable[[str], object]
    ) -> None:
        self.settings = settings
        self.warnings: list[str] = []
        self.addresses: list[str] = []
        self.decoded_records = self.received_records = 0
        self._inherited, self._tell = inherited, tell
        self._workers: list[_Worker] = []
        self._last: dict[int, CollectorReport] = {}
        self._before: dict[int, CollectorReport] = {}
        self._progress: dict[int, float] = {}
        self._is_ending = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock, self._stopping = threading.Lock(), threading.Lock()
        self._report: CollectorReport | None = None
        self._is_whole = True

    @property
    def progress(self) -> float:
        """That of the worker that has made none for the longest time."""
        return min(self._progress.values(), default=0.0)

    def start(self) -> None:
        """Bind, and start all. Raises HeadwaterError, and then nothing is left."""
        from headwater.transport.incoming.opening import earlier_drops

        count = num_workers(self.settings)
        shares: list[list[socket.socket]] = [[] for _ in range(count)]
        urls: list[list[str]] = [[] for _ in range(count)]
        urls[0] += [one.url for one in self.settings.replays]  # files are read by one
        try:
            for position, url in enumerate(self.settings.urls):
                for number, (one, where) in self._bound(url, count, position):
                    if one is not None:
                        shares[number].append(one)
                    urls[number].append(where)
            settings = self.settings.to_dict()
            self.warnings += earlier_drops(self._inherited)
            busy = [number for number in range(count) if urls[number]]
            if len(busy) < count:  # as a socket that was passed is one socket
                self.warnings.append(f"{count} workers were asked for, and there is something to do for {len(busy)}")
            for number in busy:
                mine = {
                    **settings,
                    "workers": 1,
                    "listen": urls[number],
                    "control": "",
                    "buffer": _share(self.settings, len(busy)),
                }
                mine.pop("metrics", None)
                self._workers.append(_Worker(number, mine, shares[number]))
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(_Worker.start, self._workers))
        except BaseException:
            for worker in self._workers:
                worker.kill()
            for one in {one for share in shares for one in share}:
                one.close()
            raise
        self._look()
        self._watcher = threading.Thread(target=self._watch, name="headwater-workers", daemon=True)
        self._watcher.start()

    def stop(self, drain_s: float) -> bool:
        """Let all drain and end; whether all of them stored what had come. Whoever asks again gets the same answer."""
        with self._stopping:
            if self._report is None:
                self._is_whole = self._stop(drain_s)
            return self._is_whole

    def _stop(self, drain_s: float) -> bool:
        self._is_ending.set()
        with ThreadPoolExecutor(max(1, len(self._workers))) as pool:
            try:
                if self._watcher is not None:
                    self._watcher.join()
                answers = list(pool.map(lambda worker: worker.stop(drain_s), self._workers))
            except BaseException:  # of a signal handler: nobody wants to wait
                for worker in self._workers:
                    worker.end()
                raise
        for worker, answer in zip(self._workers, answers, strict=True):
            if answer is not None and "report" in answer:
                report = self._last[worker.number] = CollectorReport.from_dict(answer["report"])
                self._count_drops(worker, worker.drops_at_end, report.listeners)
            else:
                if not worker.is_buried:
                    self._bury(worker)
                self._count_drops(worker, worker.drops_at_end, ())
        self._report = self._merged()
        return all(answer is not None and answer.get("is_whole", False) for answer in answers)

    def report(self) -> CollectorReport:
        """Counts of all, at this moment."""
        if self._report is not None:
            return self._report
        self._look()
        return self._merged()

    def flush(self, timeout: float) -> bool:
        """Store all that has arrived by now; whether that was done in time."""
        if self._report is not None:
            return self._is_whole
        with ThreadPoolExecutor(len(self._workers)) as pool:
            question = {"do": "flush", "timeout": timeout}
            answers = list(pool.map(lambda worker: worker.ask(question, timeout + _ASK_S), self._workers))
        return all(answer is not None and answer.get("is_whole", False) for answer in answers)

    def change(self, settings: CollectingSettings) -> None:
        """Go on with other settings, as an Engine does."""
        count = len(self._workers)
        for worker in self._workers:
            mine = {**settings.to_dict(), "workers": 1, "listen": worker.settings["listen"], "control": ""}
            mine["buffer"] = _share(settings, count)
            mine.pop("metrics", None)
            answer = worker.ask({"do": "reload", "settings": mine}, _ASK_S)
            if answer is not None and "error" in answer:
                raise TransportError(answer["error"])
            worker.settings = mine
        self.settings = settings

    def tap(self, see: Callable[[Any], object]) -> Callable[[], None]:
        """Records are in other processes."""
        raise HeadwaterError("records cannot be looked at where several workers share the load")

    def _bound(self, url: ListenUrl, count: int, position: int) -> list[tuple[int, tuple[socket.socket | None, str]]]:
        """(worker, (socket, URL)) of each worker that listens there."""
        from headwater.transport.incoming.binding import bound
        from headwater.transport.incoming.opening import take_inherited
        from headwater.transport.incoming.reuseport import bound_group

        mine = take_inherited(url, self._inherited)
        chosen: list[tuple[int, socket.socket | None]]
        if mine is None and url.transport in _GROUPED:
            sockets, warnings = bound_group(url, count)
            self.warnings += warnings
            chosen = list(enumerate(sockets))
        elif url.transport in _SHARED:
            shared = bound(url, socket.SOCK_STREAM) if mine is None else mine
            chosen = [(number, shared) for number in range(count)]
        else:  # an SCTP socket has all associations, and a datagram socket of somebody else's is one
            chosen = [(position % count, mine)]
        first = chosen[0][1]
        if first is None:
            self.addresses.append(url.name)
            return [(number, (None, _without_workers(url))) for number, _ in chosen]
        host, port = first.getsockname()[:2]
        self.addresses.append(url.bound_to((host, port)))
        return [(number, (one, _without_workers(url.at_port(port)))) for number, one in chosen]

    def _watch(self) -> None:
        next_look = 0.0
        while not self._is_ending.wait(_LOOK_S):
            begin = time.monotonic()
            if begin >= next_look:
                self._look()
                next_look = begin + (time.monotonic() - begin) / _SHARE  # reports of 10,000 exporters are work
            for worker in self._workers:
                if worker.has_died:
                    self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        if not worker.is_buried:
            self._bury(worker)
        if worker.may_restart:
            try:
                worker.start()
            except HeadwaterError as error:
                self._tell(f"worker {worker.number} cannot be started again: {error}")
            else:
                self._progress[worker.number] = time.monotonic()
                drops = worker.kernel_drops
                answer = worker.ask({"do": "report"}, _ASK_S)
                if answer is not None and "report" in answer:
                    self._count_drops(worker, drops, answer["report"]["listeners"])

    def _count_drops(self, worker: _Worker, drops: int, listeners: Sequence[Mapping[str, Any]]) -> None:
        """What the kernel dropped while no worker was there to count it; the number is exact when all have ended.

        drops: of the sockets. listeners: what the worker tells of them.
        """
        with self._lock:
            before = self._before.get(worker.number)
            if before is not None:
                told = sum(one.get("kernel_drops", 0) for one in (*before.listeners, *listeners))
                before.pipeline["kernel_drops"] = max((drops - worker.drops_before) % (1 << 32) - told, 0)

    def _bury(self, worker: _Worker) -> None:
        """What a worker that has died said last counts on; what waited in it is lost."""
        worker.is_buried = True
        number, now = worker.number, time.time()
        with self._lock:
            last = self._last.pop(number, None) or CollectorReport("stopped", now, now, 0, number)
            gone, before = last.cut_off(), self._before.get(number)
            self._before[number] = gone if before is None else gone.following(before)
        text = f"worker {number} has died ({worker.why}); what it had not stored is lost"
        self._tell(text)
        if text not in self.warnings and len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(text)

    def _look(self) -> None:
        for worker in self._workers:
            answer = worker.ask({"do": "report"}, _ASK_S, patience=_LOOK_S)
            with self._lock:
                if answer is not None and "report" in answer:
                    self._last[worker.number] = CollectorReport.from_dict(answer["report"])
                    self._progress[worker.number] = answer["progress"]
                elif worker.is_busy:  # with a question that has a time limit of its own
                    self._progress[worker.number] = time.monotonic()
        with self._lock:
            said = [*self._last.values(), *self._before.values()]
        self.decoded_records = sum(one.pipeline.get("decoded_records", 0) for one in said)
        self.received_records = sum(one.pipeline.get("received_records", 0) for one in said)

    def _merged(self) -> CollectorReport:
        with self._lock:
            last, before = dict(self._last), dict(self._before)
        living = list(last.values())
        said = [one if number not in before else one.following(before[number]) for number, one in last.items()]
        said += [one for number, one in before.items() if number not in last]
        merged = CollectorReport.merged(said, pid=os.getpid())
        merged.warnings.extend(self.warnings)
        merged.workers.extend(
            {"worker": one.worker, "pid": one.pid, "records": one.totals.get("records", 0), "is_stale": one.is_stale}
            for one in living
        )
        return merged


class _Worker:
    """One process. sockets: stay open here too, for the next one."""

    def __init__(self, number: int, settings: dict[str, Any], sockets: list[socket.socket]) -> None:
        self.number, self.settings, self.sockets = number, settings, sockets
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: Any = None
        self._lock = threading.Lock()
        self._starts: list[float] = []
        self._socket: socket.socket | None = None
        self.is_buried = False
        self.drops_before = self.drops_at_end = self.kernel_drops

    @property
    def kernel_drops(self) -> int:
        """Datagrams that its sockets had no room for."""
        datagrams = [one for one in self.sockets if one.type == socket.SOCK_DGRAM]
        return sum(kernel_drops(one) or 0 for one in datagrams)

    @property
    def is_busy(self) -> bool:
        """Whether it is about to answer somebody."""
        return self._lock.locked()

    @property
    def has_died(self) -> bool:
        """Whether it is there no more."""
        return self._process is not None and self._process.poll() is not None

    @property
    def why(self) -> str:
        """How it ended."""
        code = 0 if self._process is None else self._process.returncode
        if code >= 0:
            return f"exit code {code}"
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"

    @property
    def may_restart(self) -> bool:
        """Whether it has not been started too often of late."""
        return sum(start > time.monotonic() - 60 for start in self._starts) <= _RESTARTS

    def start(self) -> None:
        """Start it, and wait until it listens. Raises HeadwaterError if it does not."""
        self._starts.append(time.monotonic())
        mine, its = socket.socketpair()
        fds = [one.fileno() for one in self.sockets]
        command = [sys.executable, "-P", "-m", "headwater.process.collecting.worker", str(its.fileno())]
        try:
            self._process = subprocess.Popen(  # noqa: S603  # ourselves
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[its.fileno(), *fds]
            )
        except OSError as error:
            mine.close()
            raise HeadwaterError(f"a worker cannot be started: {(error.strerror or str(error)).lower()}") from error
        finally:
            its.close()
        self.is_buried = False
        with self._lock:
            self._socket, self._lines = mine, mine.makefile("rwb")
        first = {"settings": self.settings, "sockets": fds, "worker": self.number}
        answer = self.ask(first, _START_S)
        if answer is None or "error" in answer:
            self.kill()
            raise HeadwaterError("a worker did not start" if answer is None else answer["error"])

    def ask(self, question: dict[str, Any], timeout: float, *, patience: float = -1) -> dict[str, Any] | None:
        """Its answer, None if it gives none, or if others are asking for longer than `patience` seconds."""
        if not self._lock.acquire(timeout=patience):
            return None
        try:
            if self._socket is None:
                return None
            self._socket.settimeout(timeout)
            self._lines.write(msgspec.json.encode(question) + b"\n")
            self._lines.flush()
            answer: dict[str, Any] = msgspec.json.decode(self._lines.readline())
        except (OSError, msgspec.DecodeError, ValueError):
            answer = {}
        finally:
            self._lock.release()
        if not answer:  # it hangs or is gone; an answer that comes late would be taken for the next one
            self.kill()
            return None
        return answer

    def stop(self, drain_s: float) -> dict[str, Any] | None:
        """Let it drain and end; its last answer."""
        answer = self.ask({"do": "stop", "drain": drain_s}, drain_s + 2 * _ASK_S)
        with suppress(subprocess.TimeoutExpired):
            if self._process is not None and answer is not None:
                self._process.wait(_ASK_S)
        self.kill()
        self.drops_at_end = self.kernel_drops
        for one in self.sockets:
            one.close()
        return answer

    def kill(self) -> None:
        """End it at once, if it lives."""
        self.end()
        with self._lock:
            if self._socket is not None:
                with suppress(OSError, ValueError):  # what was not sent yet nobody will hear
                    self._lines.close()
                self._socket.close()
                self._socket = None

    def end(self) -> None:
        """As `kill`, but who is asking it hears that for himself."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _share(settings: CollectingSettings, count: int) -> int:
    """Of the buffer, for one of so many workers."""
    return max(LEAST_BUFFER, int(settings.buffer) // count)


def _without_workers(url: ListenUrl) -> str:
    from urllib.parse import parse_qsl, urlencode

    left = urlencode([(name, value) for name, value in parse_qsl(url.url.partition("?")[2]) if name != "workers"])
    base = f"{url.transport}://{host_and_port(url.host or '*', url.port)}"
    return f"{base}?{left}" if left else base
