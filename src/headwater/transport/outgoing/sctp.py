"""Messages out over SCTP (RFC 7011 §10.2), by the kernel: one-to-one sockets, streams, and PR-SCTP for data."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from headwater.transport.outgoing.connecting import connected, lost
from headwater.transport.outgoing.sender import HEAD, Failure, SessionLost
from headwater.transport.sctp_constants import (
    DRY,
    EVENTS,
    INIT,
    INITMSG,
    NODELAY,
    NOTIFICATION,
    PR,
    PRINFO,
    SCTP,
    SEND_FAILED,
    SHUTDOWN,
    SND,
    SNDINFO,
    STATUS,
    TTL,
    events,
    require_sctp,
)

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

_STREAMS_AT: Final = 18  # sstat_outstrms of struct sctp_status
_STATUS_OCTETS: Final = 176
_FAILED_DATA: Final = 48  # where struct sctp_send_failed has the Message
_NO_DRY: Final = events(is_sending=True)
_WITH_DRY: Final = events(is_sending=True, is_dry=True)
_MOST: Final = 1 << 16


class SctpSender:
    """An SCTP association. Templates are reliable and ordered; data with a `ttl` are given up when it is over."""

    def __init__(self, collector: Collector, readiness: Readiness) -> None:
        self.sent = 0
        self._collector, self._readiness = collector, readiness
        self._socket: socket.socket | None = None
        self._failures: list[Failure] = []
        self._acknowledged = 0
        self._is_dry = False
        self._lost: SessionLost | None = None
        require_sctp(collector.name, collector.url)

    @property
    def acknowledged(self) -> int:
        """The kernel does not count it, but can tell that nothing is left; asked for that event, it says so at once."""
        if self._acknowledged < self.sent and self._lost is None:
            try:
                self._ask()
            except OSError as error:  # whoever sends or waits next hears of it
                self._lost = error if isinstance(error, SessionLost) else lost(self._collector, error)
        return self._acknowledged

    @property
    def mtu(self) -> int | None:
        return None

    @property
    def is_stale(self) -> bool:
        return False

    def open(self) -> None:
        self.sent = self._acknowledged = 0
        self._lost = None
        self._socket = connected(self._collector, self._readiness, socket.SOCK_STREAM, SCTP, self._prepare)
        streams = self._collector.options.get("streams", 1)
        status = self._socket.getsockopt(SCTP, STATUS, _STATUS_OCTETS)
        allowed = int.from_bytes(status[_STREAMS_AT : _STREAMS_AT + 2], sys.byteorder)
        if allowed < streams:
            message = f"{self._collector.name}: the collector takes {allowed} streams, not {streams}"
            raise SessionLost(message, url=self._collector.url)

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        assert self._socket is not None
        self._check()
        control = [(SCTP, SNDINFO, SND.pack(stream, 0, 0, 0, 0))]
        ttl = self._collector.options.get("ttl")
        if ttl and not outgoing.has_templates:  # type information can come with Templates
            control.append((SCTP, PRINFO, PR.pack(TTL, ttl)))
        for message in outgoing.messages():
            self._put(message, control)
        self.sent += int(outgoing.begin[-1] - outgoing.begin[0])

    def failures(self) -> list[Failure]:
        found, self._failures = self._failures, []
        return found

    def wait(self, timeout: float | None) -> None:
        if self._readiness.wait(self._socket, read=True, timeout=timeout):
            self._check()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _prepare(self, connection: socket.socket) -> None:
        streams = self._collector.options.get("streams", 1)
        connection.setsockopt(SCTP, INITMSG, INIT.pack(streams, 1, 0, 0))
        connection.setsockopt(SCTP, EVENTS, _NO_DRY)
        connection.setsockopt(SCTP, NODELAY, 1)  # or else a small Message waits for the acknowledgement of the last

    def _put(self, message: memoryview, control: list[tuple[int, int, bytes]]) -> None:
        assert self._socket is not None
        while True:
            try:
                self._socket.sendmsg([message], control)
            except BlockingIOError:
                if self._readiness.wait(self._socket, read=True, write=True):
                    self._check()
            except OSError as error:
                raise lost(self._collector, error) from error
            else:
                return

    def _ask(self) -> None:
        assert self._socket is not None
        self._check()
        self._is_dry = False
        self._socket.setsockopt(SCTP, EVENTS, _NO_DRY)
        self._socket.setsockopt(SCTP, EVENTS, _WITH_DRY)
        self._check()
        if self._is_dry:
            self._acknowledged = self.sent

    def _check(self) -> None:
        """Read what the kernel has to tell. Raises SessionLost."""
        assert self._socket is not None
        if self._lost is not None:
            raise self._lost
        while True:
            try:
                octets, _, flags, _ = self._socket.recvmsg(_MOST)
            except BlockingIOError:
                return
            except OSError as error:
                raise lost(self._collector, error) from error
            if not octets:
                raise self._ended()
            if flags & NOTIFICATION:
                self._noted(octets)

    def _noted(self, octets: bytes) -> None:
        (kind,) = struct.unpack_from("=H", octets)
        if kind == DRY:
            self._is_dry = True
        elif kind == SHUTDOWN:
            raise self._ended()
        elif kind == SEND_FAILED and octets[_FAILED_DATA : _FAILED_DATA + 1] == b"\0":  # not a later fragment
            self._failures.append(Failure("expired", octets[_FAILED_DATA : _FAILED_DATA + HEAD]))

    def _ended(self) -> SessionLost:
        url = self._collector.url
        return SessionLost(f"{self._collector.name}: the collector has ended the association", url=url, is_orderly=True)
