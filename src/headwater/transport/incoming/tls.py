"""Messages in over TLS (RFC 7011 §10.4, §11): the collector is the server, and both have certificates."""

from __future__ import annotations

import selectors
import socket as sockets
import ssl
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from headwater.transport.certificates import reason_of
from headwater.transport.incoming.certificates import may_export, names_of, plain_names, server_context
from headwater.transport.incoming.connection import Connection, words_of
from headwater.transport.incoming.connections import ConnectionListener
from headwater.transport.incoming.handshakes import Handshakes, count_failure
from headwater.transport.incoming.url import ListenUrl

_RECORD: Final = 1 << 14
"""Octets of a TLS record at most. Never reading into less leaves nothing with OpenSSL, where no selector sees it."""
_EVENTS: Final = {ssl.SSLWantReadError: selectors.EVENT_READ, ssl.SSLWantWriteError: selectors.EVENT_WRITE}


class TlsConnection(Connection):
    """A connection whose octets are those within TLS."""

    __slots__ = ()

    @property
    def tls(self) -> ssl.SSLSocket:
        return cast("ssl.SSLSocket", self.socket)

    def receive(self, room: memoryview) -> tuple[int, str | None]:
        count = 0
        while len(room) - count >= _RECORD:
            try:
                got = self.socket.recv_into(room[count:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if not count:
                    raise BlockingIOError from None
                break
            except ssl.SSLError as error:
                return count, reason_of(error)
            except (OSError, ValueError) as error:
                return count, words_of(error) if isinstance(error, OSError) else str(error)
            if not got:
                return count, ""
            count += got
        return count, None

    def say_goodbye(self) -> None:
        with suppress(OSError, ValueError):  # ours is written, whether theirs comes or not
            self.tls.unwrap()


class TlsListener(ConnectionListener):
    """Connections that begin with a handshake, in which exporters show who they are."""

    def __init__(self, url: ListenUrl, socket: sockets.socket | None = None) -> None:
        super().__init__(url, socket)
        self._allowed = plain_names(url.options["allow_name"])
        self._handshake_s: float = url.options["handshake_timeout"]
        self._handshakes: Handshakes[TlsConnection] = Handshakes(url.options["max_handshakes"])
        self._context: ssl.SSLContext | None = None
        self._watch(self._handshake_s)

    def open(self) -> None:
        self.reload()
        super().open()

    def reload(self) -> None:
        self._context = server_context(self.url)

    def sessions(self) -> list[dict[str, Any]]:
        return super().sessions() + [one.describe() | {"state": "handshake"} for one in self._handshakes]

    # --- handshakes ---

    def _welcome(self, connection: Connection) -> None:
        if isinstance(connection, TlsConnection):  # the handshake is over
            super()._welcome(connection)
            return
        assert self._context is not None
        try:
            tls = self._context.wrap_socket(
                connection.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except (OSError, ValueError) as error:  # it is over already
            count_failure(self.counters, words_of(error) if isinstance(error, OSError) else "closed")
            connection.close()
            return
        begun = TlsConnection(tls, connection.key, time.monotonic())
        given_up = self._handshakes.add(begun.key.address, begun)
        self._control.register(tls, selectors.EVENT_READ, partial(self._shake_hands, begun))
        if given_up is not None:
            self.counters["handshakes_displaced"] += 1
            self._leave(given_up)
            given_up.close()

    def _shake_hands(self, connection: TlsConnection) -> None:
        if not connection.is_open:
            return
        try:
            connection.tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            waiting = self._control.get_key(connection.socket)
            if waiting.events != _EVENTS[type(error)]:
                self._control.modify(connection.socket, _EVENTS[type(error)], waiting.data)
        except ssl.SSLError as error:
            self._fail(connection, reason_of(error))
        except (OSError, ValueError) as error:
            self._fail(connection, words_of(error) if isinstance(error, OSError) else "closed")
        else:
            self._agreed(connection)

    def _agreed(self, connection: TlsConnection) -> None:
        try:
            connection.names = names_of(connection.tls.getpeercert() or {})
        except (OSError, ValueError):  # names that are no text
            self._fail(connection, "unreadable certificate")
            return
        self._leave(connection)
        if may_export(connection.names, self._allowed):
            self.counters["handshakes"] += 1
            self._welcome(connection)
            return
        self._refuse(connection, "name not allowed", f"it is {', '.join(sorted(connection.names)) or 'nobody'}")

    def _fail(self, connection: TlsConnection, reason: str) -> None:
        self._leave(connection)
        self._refuse(connection, reason, reason)

    def _refuse(self, connection: TlsConnection, reason: str, words: str) -> None:
        count_failure(self.counters, reason)
        self._note(connection.key, f"refused, {words}")
        connection.close()

    def _leave(self, connection: TlsConnection) -> None:
        self._handshakes.discard(connection.key.address, connection)
        self._control.unregister(connection.socket)

    # --- time ---

    def _sweep(self, now: float) -> None:
        super()._sweep(now)
        for one in self._handshakes:
            if self._handshake_s and now - one.begun > self._handshake_s:
                self.counters["handshakes_timed_out"] += 1
                self._leave(one)
                one.close()

    def _end(self) -> None:
        for one in self._handshakes:
            self._leave(one)
            one.close()
        super()._end()
