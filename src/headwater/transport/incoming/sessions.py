"""Listeners whose Transport Sessions the kernel keeps: connections of TCP and TLS, associations of SCTP."""

from __future__ import annotations

import socket as sockets
from collections.abc import Hashable
from typing import Any, Generic, Protocol, TypeVar

from headwater.session.key import SessionKey
from headwater.transport.incoming.listening import SelectorListener
from headwater.transport.incoming.url import ListenUrl


class KernelSession(Protocol):
    """begun: since when a whole Message is waited for, by time.monotonic(), 0 = it is not. heard: octets came last."""

    key: SessionKey
    begun: float
    heard: float

    def describe(self) -> dict[str, Any]: ...


S = TypeVar("S", bound=KernelSession)


class SessionListener(SelectorListener, Generic[S]):
    """Ends sessions that are silent, or that begin a Message and do not end it."""

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        super().__init__(url, socket)
        self._idle_s: float = url.options["idle"]
        self._message_s: float = url.options["message_timeout"]
        self._watch(self._idle_s, self._message_s)
        self._sessions: dict[Hashable, S] = {}

    @property
    def num_sessions(self) -> int:
        return len(self._sessions)

    def sessions(self) -> list[dict[str, Any]]:
        return [one.describe() for one in list(self._sessions.values())]

    def _listen(self, one: sockets.socket) -> None:
        one.listen(self.url.options["backlog"])

    def _finish(self, session: S, why: str) -> None:
        """End a session; of a Message that has begun nothing more will come."""
        raise NotImplementedError

    def _sweep(self, now: float) -> None:
        if self._is_paused:  # who waits for us is not late
            return
        for one in list(self._sessions.values()):
            if one.begun and self._message_s and now - one.begun > self._message_s:
                self._time_out(one, f"no whole Message for {self._message_s:g} s")
            elif self._idle_s and now - one.heard > self._idle_s:
                self._time_out(one, f"nothing for {self._idle_s:g} s")

    def _time_out(self, session: S, why: str) -> None:
        self.counters["timed_out"] += 1
        self._note(session.key, f"ended, it sent {why}")
        self._finish(session, why)

    def _delay(self, seconds: float) -> None:
        for one in self._sessions.values():
            one.heard += seconds
            if one.begun:
                one.begun += seconds

    def _end(self) -> None:
        for one in list(self._sessions.values()):
            self._finish(one, "the collector was stopped")
