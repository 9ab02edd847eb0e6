"""Messages in over DTLS 1.2 (RFC 7011 §10.3, §11): many exporters on one UDP socket.

An exporter notices nothing of a collector that was restarted: its records belong to a session that nobody knows, they
are counted as not_session and dropped. It has to begin a new session by itself from time to time (`renew` of ours).
"""

from __future__ import annotations

import os
import selectors
import socket as sockets
import time
from contextlib import suppress
from typing import Any, ClassVar, Final

from headwater.session.key import SessionKey
from headwater.transport.certificates import dtls_reason_of
from headwater.transport.incoming.certificates import may_export, plain_names
from headwater.transport.incoming.dtls_context import Caller, dtls_context, dtls_names, pyopenssl
from headwater.transport.incoming.dtls_session import (
    DATA,
    DtlsSession,
    SocketAddress,
    flight_of,
    is_hello,
    is_of_handshake,
    is_record,
    new_connection,
    random_of,
)
from headwater.transport.incoming.handshakes import Handshakes, count_failure
from headwater.transport.incoming.listening import MOST_ROUNDS, SelectorListener, plain_address
from headwater.transport.incoming.udp_socket import LEAST_HELD, KernelDrops, granted, prepare
from headwater.transport.incoming.url import ListenUrl

_TURN: Final = 256
"""Datagrams, before time is looked at."""
_MOST: Final = 1 << 16
_LONGEST_HELLO: Final = 1 << 12
_RETRY_S: Final = 1.0
"""After which a flight of a handshake is sent again (RFC 6347 §4.2.4.1)."""


class DtlsListener(SelectorListener):
    """Sessions by address, each of which begins with a cookie: what was not answered by its owner leaves no state.

    With a full queue it goes on receiving, and counts by exporter what it has no room for.
    """

    kind: ClassVar[sockets.SocketKind] = sockets.SOCK_DGRAM

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        super().__init__(url, socket)
        options = url.options
        self._ssl: Any = None
        self._secret = os.urandom(32)
        self._context: Any = None
        self._spare: Any = None
        self._allowed = plain_names(options["allow_name"])
        self._idle_s: float = options["idle"]
        self._handshake_s: float = options["handshake_timeout"]
        self._watch(self._idle_s, self._handshake_s, _RETRY_S)
        self._handshakes: Handshakes[DtlsSession] = Handshakes(options["max_handshakes"])
        self._sessions: dict[SocketAddress, DtlsSession] = {}
        self._greetings: dict[SocketAddress, DtlsSession] = {}
        self._has_room = True
        self._kernel_drops: KernelDrops | None = None

    @property
    def num_sessions(self) -> int:
        return len(self._sessions)

    def open(self) -> None:
        self._ssl = pyopenssl(self.url)
        self.reload()
        super().open()

    def _listen(self, one: sockets.socket) -> None:
        self.warnings += prepare(one, self.url)
        self.counters["receive_buffer"] = granted(one)
        self._kernel_drops = KernelDrops(one)

    def reload(self) -> None:
        self._context = dtls_context(self.url, self._secret)

    def sessions(self) -> list[dict[str, Any]]:
        return [one.describe() for one in [*self._sessions.values(), *self._greetings.values()]]

    def _begin(self) -> None:
        assert self._socket is not None
        self._control.register(self._socket, selectors.EVENT_READ, self._receive)

    # --- datagrams ---

    @property
    def _most_rounds(self) -> int:
        return MOST_ROUNDS + 2 * self.counters["receive_buffer"] // (LEAST_HELD * _TURN)

    def _receive(self) -> int:
        """Take what has come, a bounded number of datagrams; how many there were."""
        assert self._socket is not None
        self._has_room = self._outlet.has_room
        for number in range(_TURN):
            try:
                datagram, address = self._socket.recvfrom(_MOST)
            except BlockingIOError:
                return number
            except OSError:
                self.counters["receive_errors"] += 1
                return number
            self._take(datagram, address)
        return _TURN

    def _take(self, datagram: bytes, address: SocketAddress) -> None:
        if not is_record(datagram):
            self.counters["not_export"] += 1
            return
        session, greeting = self._sessions.get(address), self._greetings.get(address)
        known = [one.random for one in (session, greeting) if one is not None]
        if is_hello(datagram) and random_of(datagram) not in known:  # a new session, of a new exporter or an old one
            self._answer_hello(datagram, address)
        elif greeting is not None and (session is None or is_of_handshake(datagram)):
            self._shake_hands(greeting, datagram)
        elif session is not None:
            self._read(session, datagram)
        else:
            self.counters["not_session"] += 1

    def _read(self, session: DtlsSession, datagram: bytes) -> None:
        messages, end = session.receive(datagram)
        for message in messages:
            self._keep(session, message)
        if isinstance(end, self._ssl.ZeroReturnError):
            session.shut_down()
        elif end is not None:
            self.counters["session_errors"] += 1
            self._note(session.key, f"ended, {dtls_reason_of(end)}")
        if end is not None or datagram[0] != DATA:  # OpenSSL may want to say something
            self._send(session)
        if end is not None:
            self._finish(session)

    def _keep(self, session: DtlsSession, message: bytes) -> None:
        session.heard = time.monotonic()
        session.messages += 1
        self.counters["datagrams"] += 1
        self.counters["octets"] += len(message)
        if self._has_room:
            self._gathering.add(session, message, time.time_ns())
        else:
            self.counters["dropped_datagrams"] += 1
            self.counters["dropped_octets"] += len(message)
            self._gathering.drop(session.key)

    # --- sessions begin ---

    def _answer_hello(self, datagram: bytes, address: SocketAddress) -> None:
        """Send a cookie, and nothing else, to who has none; begin a session with who has (RFC 6347 §4.2.1, §4.2.8)."""
        if len(datagram) > _LONGEST_HELLO or not self._is_allowed(plain_address(address[0])):
            return
        dtls, self._spare = self._spare, None
        if dtls is None or dtls.get_context() is not self._context:
            dtls = new_connection(self._ssl, self._context)
        dtls.set_app_data(Caller(address))
        dtls.bio_write(datagram)
        try:
            dtls.DTLSv1_listen()
        except self._ssl.WantReadError:
            self.counters["cookies"] += 1
            self._send_all(flight_of(self._ssl, dtls), address)
            self._spare = dtls
            return
        except self._ssl.Error:  # no ClientHello after all
            self.counters["not_export"] += 1
            return
        before = self._greetings.get(address)
        if before is not None:
            self._leave(before)
            self.counters["handshakes_displaced"] += 1
        self.counters["connections"] += 1
        key = SessionKey(plain_address(address[0]), address[1], plain_address(self._local[0]), self._local[1])
        session = self._greetings[address] = DtlsSession(self._ssl, dtls, address, key, random_of(datagram))
        given_up = self._handshakes.add(key.address, session)
        if given_up is not None:
            self.counters["handshakes_displaced"] += 1
            self._leave(given_up)
        self._shake_hands(session)

    def _shake_hands(self, session: DtlsSession, datagram: bytes = b"") -> None:
        try:
            is_over = session.shake_hands(datagram)
        except self._ssl.Error as error:
            reason = session.dtls.get_app_data().problem or dtls_reason_of(error)
            self._refuse(session, reason, reason)
            return
        self._send(session)
        if not is_over:
            return
        try:
            session.names = dtls_names(session.dtls)
        except Exception:  # of a certificate; `cryptography` has errors of many kinds, which have nothing in common
            self._refuse(session, "unreadable certificate", "its certificate cannot be read")
            return
        if not may_export(session.names, self._allowed):
            session.shut_down()
            self._refuse(session, "name not allowed", f"it is {', '.join(sorted(session.names)) or 'nobody'}")
        else:
            self._leave(session)
            self._welcome(session)

    def _welcome(self, session: DtlsSession) -> None:
        """Take in a session that may speak; it takes the place of the one before of that address and port.

        Not earlier: a ClientHello can be sent again by others, with its cookie, but nobody else can end the handshake.
        """
        before = self._sessions.get(session.address)
        if before is not None:
            self.counters["restarts"] += 1
            self._finish(before)
        if len(self._sessions) >= self.url.options["max_sessions"]:
            self.counters["connection_limit"] += 1
            self._say_goodbye(session)
            return
        self.counters["handshakes"] += 1
        session.heard = time.monotonic()
        self._sessions[session.address] = session

    def _refuse(self, session: DtlsSession, reason: str, words: str) -> None:
        self._send(session)  # an alert
        count_failure(self.counters, reason)
        self._note(session.key, f"refused, {words}")
        self._leave(session)

    def _leave(self, session: DtlsSession) -> None:
        """End a handshake, one way or the other."""
        self._handshakes.discard(session.key.address, session)
        self._greetings.pop(session.address, None)

    def _finish(self, session: DtlsSession) -> None:
        del self._sessions[session.address]
        self._gathering.end(session)
        self.counters["connections_ended"] += 1

    # --- datagrams out ---

    def _send(self, session: DtlsSession) -> None:
        self._send_all(session.flight(), session.address)

    def _send_all(self, flight: Any, address: SocketAddress) -> None:
        assert self._socket is not None
        for datagram in flight:
            with suppress(OSError):  # who misses it asks again
                self._socket.sendto(datagram, address)

    # --- time ---

    def _sweep(self, now: float) -> None:
        for one in self._handshakes:
            if self._handshake_s and now - one.begun > self._handshake_s:
                self.counters["handshakes_timed_out"] += 1
                self._leave(one)
                continue
            try:
                one.repeat()
            except self._ssl.Error as error:
                self._refuse(one, dtls_reason_of(error), "it does not answer")
            else:
                self._send(one)
        if self._idle_s:
            for one in list(self._sessions.values()):
                if now - one.heard > self._idle_s:
                    self.counters["timed_out"] += 1
                    self._say_goodbye(one)
                    self._finish(one)
        self._count_kernel_drops()

    def _count_kernel_drops(self) -> None:
        assert self._kernel_drops is not None
        self.counters["kernel_drops"] += self._kernel_drops.more()

    def _drain(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0 and self._outlet.wait_for_room(left):
            if not self._receive():
                return

    def _end(self) -> None:
        self._count_kernel_drops()
        for one in list(self._sessions.values()):
            self._say_goodbye(one)
            self._finish(one)
        for one in self._handshakes:
            self._leave(one)

    def _say_goodbye(self, session: DtlsSession) -> None:
        session.shut_down()
        self._send(session)
