"""Messages in over SCTP (RFC 7011 §10.2), by the kernel: one socket for all associations."""

from __future__ import annotations

import selectors
import socket as sockets
import sys
import time
from contextlib import suppress
from typing import Any, ClassVar, Final

from headwater.errors import FaultKind
from headwater.session.key import SessionKey
from headwater.transport.incoming.framing import LONGEST
from headwater.transport.incoming.listening import MOST_ROUNDS, plain_address
from headwater.transport.incoming.sessions import SessionListener
from headwater.transport.incoming.udp_socket import LEAST_HELD
from headwater.transport.sctp_constants import (
    ABORT,
    ASSOCIATION,
    CHANGE,
    EVENTS,
    INIT,
    INITMSG,
    NODELAY,
    NOTIFICATION,
    PARTIAL,
    PARTIAL_END,
    RCV,
    RCVINFO,
    RECVRCVINFO,
    RESTARTED,
    SCTP,
    SND,
    SNDINFO,
    UP,
    events,
    require_sctp,
)

_TURN: Final = 256
"""Messages, before time is looked at."""
_MOST: Final = LONGEST + 1
_ANCILLARY: Final = sockets.CMSG_SPACE(RCV.size) if hasattr(sockets, "CMSG_SPACE") else 0
_RECEIVE_BUFFER: Final = 4 << 20
"""Octets; all associations share it."""


class Association:
    """An association of an exporter.

    identity: what the kernel calls it. row: see gathering.Peer. part: of a message that the kernel delivers in parts.
    taken: octets of whole messages. begun: since when a message is waited for, by time.monotonic(), 0 = it is not.
    heard: when octets came last.
    """

    __slots__ = ("begun", "heard", "identity", "is_too_long", "key", "part", "row", "since", "streams", "taken")

    def __init__(self, identity: int, key: SessionKey, streams: int) -> None:
        self.identity, self.key, self.streams = identity, key, streams
        self.row = -1
        self.part = b""
        self.is_too_long = False
        self.taken = 0
        self.begun = self.heard = self.since = time.monotonic()

    def describe(self) -> dict[str, Any]:
        """For people."""
        age = round(time.monotonic() - self.since, 3)
        told: dict[str, Any] = {"peer": str(self.key), "state": "established", "seconds": age, "octets": self.taken}
        return told | {"streams": self.streams}


class SctpListener(SessionListener[Association]):
    """Each message of SCTP is a Message of IPFIX, in a stream of its association.

    The kernel makes and ends associations by itself. With a full queue nothing is read, so that its window closes.
    """

    kind: ClassVar[sockets.SocketKind] = sockets.SOCK_SEQPACKET
    protocol: ClassVar[int] = SCTP
    has_streams: ClassVar[bool] = True

    def open(self) -> None:
        require_sctp(self.url.name, self.url.url)
        super().open()

    def _prepare(self, one: sockets.socket) -> None:
        one.setsockopt(SCTP, INITMSG, INIT.pack(1, self.url.options["streams"], 0, 0))
        one.setsockopt(SCTP, RECVRCVINFO, 1)
        one.setsockopt(SCTP, EVENTS, events())
        one.setsockopt(SCTP, NODELAY, 1)
        with suppress(OSError):
            one.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, _RECEIVE_BUFFER)

    def _begin(self) -> None:
        self._set_reading(on=True)

    def _set_reading(self, *, on: bool) -> None:
        assert self._socket is not None
        if on:
            self._control.register(self._socket, selectors.EVENT_READ, self._receive)
        else:
            self._control.unregister(self._socket)

    # --- messages ---

    @property
    def _most_rounds(self) -> int:
        return MOST_ROUNDS + 2 * _RECEIVE_BUFFER // (LEAST_HELD * _TURN)

    def _receive(self) -> int:
        """Take what has come, a bounded number of messages; how many there were."""
        assert self._socket is not None
        for number in range(_TURN):
            if not self._outlet.has_room:
                self._pause()
                return number
            try:
                octets, ancillary, flags, address = self._socket.recvmsg(_MOST, _ANCILLARY)
            except BlockingIOError:
                return number
            except OSError:
                self.counters["receive_errors"] += 1
                return number
            if flags & NOTIFICATION:
                self._noted(octets, address)
            else:
                self._take(octets, ancillary, is_whole=bool(flags & sockets.MSG_EOR))
        return _TURN

    def _take(self, octets: bytes, ancillary: list[tuple[int, int, bytes]], *, is_whole: bool) -> None:
        stream = identity = -1
        for level, kind, data in ancillary:
            if (level, kind) == (SCTP, RCVINFO) and len(data) >= RCV.size:
                stream, *_, identity = RCV.unpack_from(data)
        association = self._sessions.get(identity)
        if association is None:  # one that was not let in
            self.counters["not_session"] += 1
            return
        now = association.heard = time.monotonic()
        if association.part:
            octets = association.part + octets
            association.part = b""
        if len(octets) > LONGEST or association.is_too_long:  # no Message is so long, so nothing is kept of it
            association.is_too_long = not is_whole
            if is_whole:
                association.begun = 0.0
                detail = f"a message of more than {LONGEST:,} octets"
                self.counters["truncated"] += 1
                self._gathering.fault(association, FaultKind.BAD_LENGTH, association.taken, detail)
            return
        if not is_whole:
            association.part = octets
            association.begun = association.begun or now
            return
        association.begun = 0.0
        if octets:
            self.counters["datagrams"] += 1
            self.counters["octets"] += len(octets)
            association.taken += len(octets)
            self._gathering.add(association, octets, time.time_ns(), stream)

    # --- associations ---

    def _noted(self, octets: bytes, address: tuple[Any, ...]) -> None:
        """The kernel says what has become of an association."""
        kind = int.from_bytes(octets[:2], sys.byteorder)
        if kind == ASSOCIATION and len(octets) >= CHANGE.size:
            _, _, _, state, _, _, streams, identity = CHANGE.unpack_from(octets)
            before = self._sessions.get(identity)
            if before is not None:
                self._finish(before, "the exporter has begun anew" if state == RESTARTED else "its end")
            if state == RESTARTED:
                self.counters["restarts"] += 1
            if state in (UP, RESTARTED):
                self._welcome(identity, address, streams)
        elif kind == PARTIAL and len(octets) >= PARTIAL_END.size:
            association = self._sessions.get(PARTIAL_END.unpack_from(octets)[-1])
            if association is not None:
                self._cut_off(association, "the kernel gave it up")

    def _welcome(self, identity: int, address: tuple[Any, ...], streams: int) -> None:
        self.counters["connections"] += 1
        peer = plain_address(address[0])
        if not self._is_allowed(peer):
            self._abort(identity)
        elif len(self._sessions) >= self.url.options["max_sessions"]:
            self.counters["connection_limit"] += 1
            self._abort(identity)
        else:
            key = SessionKey(peer, address[1], plain_address(self._local[0]), self._local[1])
            self._sessions[identity] = Association(identity, key, streams)

    def _abort(self, identity: int) -> None:
        assert self._socket is not None
        with suppress(OSError):  # it is over already
            self._socket.sendmsg([b""], [(SCTP, SNDINFO, SND.pack(0, ABORT, 0, 0, identity))])

    def _finish(self, association: Association, why: str) -> None:
        del self._sessions[association.identity]
        self._cut_off(association, why)
        self._gathering.end(association)
        self.counters["connections_ended"] += 1

    def _cut_off(self, association: Association, why: str) -> None:
        """Of a message that has begun nothing more will come."""
        if association.part:
            self.counters["truncated"] += 1
            detail = f"{len(association.part)} octets of a Message, then {why}"
            self._gathering.fault(association, FaultKind.TRUNCATED_TAIL, association.taken, detail)
        association.part = b""
        association.is_too_long = False
        association.begun = 0.0

    # --- time ---

    def _time_out(self, association: Association, why: str) -> None:
        self._abort(association.identity)
        super()._time_out(association, why)

    def _drain(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0 and self._outlet.wait_for_room(left):
            if not self._receive() and self._outlet.has_room:
                return
