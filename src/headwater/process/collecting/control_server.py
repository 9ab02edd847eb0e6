"""The control socket of a Collecting Process: answers its owner, and is not stopped by whoever else connects."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from headwater.errors import HeadwaterError
from headwater.process.collecting.control import (
    TALKERS,
    remove_pointer,
    runtime_folder,
    write_pointer,
)
from headwater.process.collecting.control_socket import Inode, bound, is_ours, remove
from headwater.process.collecting.talkers import TopTalkers
from headwater.transport.incoming.descriptors import EXHAUSTED

if TYPE_CHECKING:
    from headwater.batch import Batch

_MOST_CLIENTS: Final = 64
_LONGEST_REQUEST: Final = 4096
_MOST_WAITING: Final = 32 << 20
"""Octets of answers that clients have not taken yet, of all together."""
_SLOW: Final = 10.0
"""Seconds without taking anything of an answer, or without asking anything."""
_TALKERS: Final = 20
_EXPORTERS: Final = 1000
"""Exporters in what a watcher is told every second."""
_FLUSH: Final = 30.0
_PIECE: Final = 1 << 16
_TICK: Final = 0.5
_REST: Final = 1.0
"""Seconds without new clients, when no descriptors are left."""


class Report(Protocol):
    """What a CollectorReport can be asked for."""

    def to_dict(self) -> Any: ...


class Asked(Protocol):
    """What a Collector can be asked for."""

    def report(self) -> Report: ...
    def flush(self, timeout: float = ...) -> bool: ...
    def request_stop(self) -> None: ...
    def tap(self, see: Callable[[Batch], object]) -> Callable[[], None]: ...


class _Request(msgspec.Struct):
    do: str
    top: list[str] = list[str]()
    every: float = 1.0


class _Client:
    """One connection. next: when a watcher is told again. quiet: since when nothing has moved.

    is_awaited: it waits for the end of a flush. has_said_all: it may still take answers.
    """

    def __init__(self, socket: sockets.socket, now: float) -> None:
        self.socket = socket
        self.pending = bytearray()
        self.waiting = bytearray()
        self.quiet = now
        self.every = 0.0
        self.next = 0.0
        self.is_awaited = False
        self.has_said_all = False


class ControlServer:
    """Answers on a Unix socket in a thread of its own.

    path: None = in the runtime directory. folders: of sinks, in which it is told where to ask.
    reload: reads the settings again; what waits for a restart. None = there is no file to read them from.
    """

    def __init__(
        self,
        collector: Asked,
        path: str | None = None,
        *,
        folders: Iterable[str | os.PathLike[str]] = (),
        reload: Callable[[], list[str]] | None = None,
    ) -> None:
        self.path = path or ""
        self._collector = collector
        self._reload = reload
        self._folders = [Path(folder) for folder in folders]
        self._clients: dict[sockets.socket, _Client] = {}
        self._talkers = TopTalkers()
        self._remove_tap: Callable[[], None] | None = None
        self._note = ""
        self._flushing: list[_Client] = []
        self._is_flushing = False
        self._done: list[tuple[list[_Client], dict[str, Any]]] = []
        self._is_stopping = False
        self._inode: Inode | None = None
        self._rested = 0.0
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Bind the socket and begin to answer. Raises ControlError."""
        self.path = self.path or str(runtime_folder() / f"{os.getpid()}.sock")
        self._socket, self._inode = bound(self.path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._near, self._far = sockets.socketpair()
        for end in (self._near, self._far):
            end.setblocking(False)
        self._selector.register(self._near, selectors.EVENT_READ)
        for folder in self._folders:
            with contextlib.suppress(OSError):  # then `headwater query` does not find it
                write_pointer(folder, self.path)
        self._thread.start()

    def close(self) -> None:
        """End, and take the socket away."""
        if self._inode is None:
            return
        self._is_stopping = True
        self._wake()
        self._thread.join(5)
        for folder in self._folders:
            remove_pointer(folder, self.path)
        remove(self.path, self._inode)
        self._inode = None

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._far.send(b"!")

    # ---------------------------------------------------------------- the thread

    def _run(self) -> None:
        while not self._is_stopping:
            for key, events in self._selector.select(self._until_next()):
                if key.fileobj is self._socket:
                    self._accept()
                elif key.fileobj is self._near:
                    self._near.recv(_PIECE)
                else:
                    client = self._clients.get(key.fileobj)  # type: ignore[call-overload]  # it is a socket
                    if client is not None:
                        self._serve(client, events)
            self._tell_watchers(time.monotonic())
            while self._done:
                clients, answer = self._done.pop(0)
                for client in clients:
                    client.is_awaited = False
                    self._answer(client, answer)
                    self._obey_all(client)
            self._begin_flush()
            self._drop_slow(time.monotonic())
            if self._rested and time.monotonic() >= self._rested:
                self._rested = 0.0
                self._selector.register(self._socket, selectors.EVENT_READ)
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        for socket in (self._socket, self._near, self._far):
            socket.close()

    def _until_next(self) -> float:
        now = time.monotonic()
        return min([_TICK, *(max(one.next - now, 0.0) for one in self._clients.values() if one.every)])

    def _accept(self) -> None:
        try:
            socket, _ = self._socket.accept()
        except OSError as error:
            if error.errno in EXHAUSTED:  # or else it has gone again; this one waits, so the socket stays ready
                self._selector.unregister(self._socket)
                self._rested = time.monotonic() + _REST
            return
        if not is_ours(socket):
            socket.close()
            return
        if len(self._clients) >= _MOST_CLIENTS:
            idle = [one for one in self._clients.values() if not one.every and not one.waiting and not one.is_awaited]
            if not idle:
                socket.close()
                return
            self._drop(min(idle, key=lambda one: one.quiet))
        socket.setblocking(False)
        client = self._clients[socket] = _Client(socket, time.monotonic())
        self._listen_to(client)

    def _serve(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send(client)
        if events & selectors.EVENT_READ and client.socket in self._clients:
            self._receive(client)
        self._obey_all(client)

    def _receive(self, client: _Client) -> None:
        try:
            octets = client.socket.recv(_LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.pending += octets
        client.has_said_all = not octets

    def _obey_all(self, client: _Client) -> None:
        """What a client asked for, one after the other: nothing more while it has not taken an answer."""
        while client.socket in self._clients and not client.waiting and not client.is_awaited:
            line, newline, rest = client.pending.partition(b"\n")
            if not newline:
                if client.has_said_all or len(line) > _LONGEST_REQUEST:
                    self._drop(client)
                break
            client.pending = rest
            client.quiet = time.monotonic()
            try:
                self._obey(client, bytes(line))
            except Exception as error:  # whatever it is, it must not end the thread that answers
                self._answer(client, {"error": f"{type(error).__name__}: {error}"})
        self._listen_to(client)

    def _listen_to(self, client: _Client) -> None:
        """Wait for what can come of a client next."""
        if client.socket not in self._clients:
            return
        is_busy = client.waiting or client.is_awaited or client.has_said_all
        wanted = 0 if is_busy else selectors.EVENT_READ
        wanted |= selectors.EVENT_WRITE if client.waiting else 0
        is_known = client.socket in self._selector.get_map()
        if wanted and is_known:
            self._selector.modify(client.socket, wanted)
        elif wanted:
            self._selector.register(client.socket, wanted)
        elif is_known:
            self._selector.unregister(client.socket)

    def _obey(self, client: _Client, line: bytes) -> None:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._answer(client, {"error": f"no request: {error}"})
            return
        match request.do:
            case "status":
                self._answer(client, self._collector.report().to_dict())
            case "flush":
                self._flush(client)
            case "reload":
                self._answer(client, self._reloaded())
            case "stop":
                self._collector.request_stop()
                self._answer(client, {"ok": True})
            case "watch":
                self._watch(client, request)
            case _:
                self._answer(client, {"error": "there are status, flush, reload, stop and watch"})

    def _reloaded(self) -> dict[str, Any]:
        if self._reload is None:
            return {"error": "this collector was started without a file of settings"}
        try:
            return {"ok": True, "restart": self._reload()}
        except HeadwaterError as error:
            return {"error": str(error)}

    # ---------------------------------------------------------------- flush

    def _flush(self, client: _Client) -> None:
        """Who comes while a flush is on its way waits for the next one, which does for all of them."""
        if not client.is_awaited:
            client.is_awaited = True
            self._flushing.append(client)
        self._begin_flush()

    def _begin_flush(self) -> None:
        if self._is_flushing or not self._flushing:
            return
        clients, self._flushing = self._flushing, []
        self._is_flushing = True
        threading.Thread(target=self._flush_for, args=(clients,), name="control flush", daemon=True).start()

    def _flush_for(self, clients: list[_Client]) -> None:
        answer: dict[str, Any] = {"ok": True}
        try:
            if not self._collector.flush(_FLUSH):
                answer = {"error": f"not all that has arrived could be stored within {_FLUSH:g} s"}
        except Exception as error:  # who waits gets an answer in any case
            answer = {"error": f"{type(error).__name__}: {error}"}
        self._is_flushing = False
        self._done.append((clients, answer))
        self._wake()

    # ---------------------------------------------------------------- watchers

    def _watch(self, client: _Client, request: _Request) -> None:
        if not 0.1 <= request.every <= 60 or len(request.top) > 32:
            self._answer(client, {"error": "every is from 0.1 to 60 seconds, and top has 32 names at most"})
            return
        self._talkers.want(request.top or TALKERS)
        if self._remove_tap is None:
            try:
                self._remove_tap = self._collector.tap(self._talkers.add)
            except HeadwaterError as error:  # with several workers, records are in other processes
                self._note = str(error)
        client.every, client.next = request.every, time.monotonic()

    def _tell_watchers(self, now: float) -> None:
        due = [one for one in self._clients.values() if one.every and one.next <= now]
        if due:
            report = _shortened(self._collector.report().to_dict())
            answer = msgspec.json.encode({"report": report, "top": self._talkers.take(_TALKERS), "note": self._note})
            for client in due:
                client.next = now + client.every
                if not client.waiting:  # or else it is slower than it asked to be told
                    self._put(client, answer)

    def _end_watching(self) -> None:
        if self._remove_tap is not None and not any(one.every for one in self._clients.values()):
            self._remove_tap()
            self._remove_tap = None

    # ---------------------------------------------------------------- answers

    def _answer(self, client: _Client, answer: Any) -> None:
        self._put(client, msgspec.json.encode(answer))

    def _put(self, client: _Client, answer: bytes) -> None:
        if client.socket not in self._clients:
            return
        if sum(len(one.waiting) for one in self._clients.values()) + len(answer) > _MOST_WAITING:
            self._drop(client)
            return
        if not client.waiting:
            client.quiet = time.monotonic()
        client.waiting += answer
        client.waiting += b"\n"
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.socket.send(memoryview(client.waiting)[:_PIECE].tobytes()) if client.waiting else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        if sent:
            del client.waiting[:sent]
            client.quiet = time.monotonic()
        self._listen_to(client)

    def _drop_slow(self, now: float) -> None:
        for client in list(self._clients.values()):
            is_idle = client.waiting or not (client.every or client.is_awaited)
            if is_idle and now - client.quiet > _SLOW:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.socket, None) is not None:
            if client.socket in self._selector.get_map():
                self._selector.unregister(client.socket)
            client.socket.close()
            self._end_watching()


def _shortened(report: dict[str, Any]) -> dict[str, Any]:
    """The report with no more exporters than can be looked at: those that lose the most, then the fastest."""
    exporters = report.get("exporters", ())
    if len(exporters) <= _EXPORTERS:
        return report
    ranked = sorted(exporters, key=lambda one: (one.get("lost", 0), one.get("records", 0)), reverse=True)
    return {**report, "exporters": ranked[:_EXPORTERS], "exporters_left_out": len(exporters) - _EXPORTERS}
