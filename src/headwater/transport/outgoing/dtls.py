"""Messages out over DTLS 1.2 (RFC 7011 §11) by pyOpenSSL: `pip install headwater[dtls]`."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from importlib import import_module
from ipaddress import ip_address
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import TYPE_CHECKING, Any, Final

from headwater.errors import TransportError
from headwater.transport.certificates import (
    DTLS_1_2,
    DTLS_CIPHERS,
    alternative_names,
    check_files,
    dtls_reason_of,
    load_own,
)
from headwater.transport.outgoing.connecting import Deadline, lost
from headwater.transport.outgoing.sender import HEAD, Failure, SessionLost
from headwater.transport.outgoing.udp import UdpSender

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

_FLIGHT: Final = 1200
"""Octets of the datagrams of a handshake at most, which fragments itself; the path has room for IPv6's 1280."""
_CONNECT_S: Final = 15.0
_RENEW_S: Final = 600.0
_HEADER: Final = 13
_NUMBER: Final = 11
"""Octets of a DTLS record that number it."""
_REMEMBERED: Final = 8192
_MOST: Final = 1 << 16


class DtlsSender(UdpSender):
    """DTLS over a connected UDP socket, through memory.

    A collector that was restarted drops what it has no session for, and nobody hears of it. So sessions are made anew
    from time to time; the old one is kept until the new one is there.
    """

    def __init__(self, collector: Collector, readiness: Readiness) -> None:
        super().__init__(collector, readiness)
        try:
            self._ssl: Any = import_module("OpenSSL.SSL")
        except ImportError:
            message = f"{collector.name}: DTLS needs pyOpenSSL (pip install 'headwater[dtls]')"
            raise TransportError(message, url=collector.url) from None
        self._context = self._make_context()
        self._dtls: Any = None
        self._opened = 0.0
        self._heads: OrderedDict[bytes, bytes] = OrderedDict()

    @property
    def is_stale(self) -> bool:
        renew_s = self._collector.options.get("renew", _RENEW_S)
        return bool(renew_s) and self._dtls is not None and time.monotonic() - self._opened > renew_s

    def open(self) -> None:
        before, self._socket = self._socket, None
        old, self._dtls = self._dtls, None
        try:
            super().open()
            self._dtls = self._ssl.Connection(self._context, None)
            self._dtls.set_connect_state()
            self._dtls.set_ciphertext_mtu(_FLIGHT)
            self._set_name()
            self._handshake()
        finally:
            if before is not None:
                self._end(before, old)
        self._opened = time.monotonic()

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        for message in outgoing.messages():
            try:
                self._dtls.send(bytes(message))
            except self._ssl.Error as error:
                raise self._refusal(dtls_reason_of(error)) from error
            for record in self._records():
                self._heads[record[:_NUMBER]] = bytes(message[:HEAD])
                self._put(record)
        while len(self._heads) > _REMEMBERED:
            self._heads.popitem(last=False)
        self.sent += int(outgoing.begin[-1] - outgoing.begin[0])

    def failures(self) -> list[Failure]:
        """Records that were lost, told as the Messages in them."""
        return [Failure(cause, self._heads.pop(head[:_NUMBER], b"")) for cause, head in super().failures()]

    def wait(self, timeout: float | None) -> None:
        if self._readiness.wait(self._socket, read=True, timeout=timeout) and self._socket is not None:
            self._learn(self._socket)
            self._read()

    def close(self) -> None:
        if self._socket is not None:
            self._end(self._socket, self._dtls)
        self._dtls = self._socket = None

    # --- the session ---

    def _handshake(self) -> None:
        deadline = Deadline(self._collector.options.get("connect_timeout", _CONNECT_S))
        while not self._is_agreed():
            if deadline.is_over:
                raise self._refusal("the DTLS handshake takes too long")
            left = self._dtls.DTLSv1_get_timeout()
            timeout = deadline.left if left is None else min(deadline.left, left)
            if not self._readiness.wait(self._socket, read=True, timeout=timeout):
                self._dtls.DTLSv1_handle_timeout()
            elif not self._receive():
                raise self._refusal("connection refused")
        self._check_name()

    def _is_agreed(self) -> bool:
        """Take the handshake as far as it goes. Raises SessionLost."""
        try:
            self._dtls.do_handshake()
        except self._ssl.WantReadError:
            return False
        except self._ssl.Error as error:
            raise self._refusal(dtls_reason_of(error)) from error
        finally:
            self._flush()
        return True

    def _receive(self) -> bool:
        """Take the datagrams that have come, one by one; False if the network says that nobody is there."""
        assert self._socket is not None
        try:
            while True:
                if self._take(self._socket) and self._is_agreed():
                    return True
        except BlockingIOError:
            return True
        except SessionLost:
            raise
        except ConnectionRefusedError:
            before = len(self._failures)
            self._learn(self._socket)
            del self._failures[before:]  # of the handshake, not of Messages
            return False
        except OSError as error:
            raise lost(self._collector, error) from error

    def _take(self, connection: socket.socket) -> bool:
        """Whether a datagram says anything; OpenSSL takes an empty one for an error, and anybody can send one."""
        octets = connection.recv(_MOST)
        if octets:
            self._dtls.bio_write(octets)
        return bool(octets)

    def _read(self) -> None:
        """A collector says nothing but that it ends the session. Raises SessionLost."""
        assert self._socket is not None
        try:
            with suppress(OSError):  # no more; or what the network tells of Messages, which counts as that
                while True:
                    with suppress(self._ssl.WantReadError):
                        if self._take(self._socket):
                            self._dtls.recv(_MOST)
        except self._ssl.ZeroReturnError:
            message = f"{self._collector.name}: the collector has ended the session"
            raise SessionLost(message, url=self._collector.url, is_orderly=True) from None
        except self._ssl.Error as error:
            raise self._refusal(dtls_reason_of(error)) from error

    def _records(self) -> Iterator[bytes]:
        """What OpenSSL has to send, cut at the edges of DTLS records."""
        try:
            octets = self._dtls.bio_read(_MOST)
        except self._ssl.WantReadError:
            return
        at = 0
        while at < len(octets):
            end = at + _HEADER + int.from_bytes(octets[at + _HEADER - 2 : at + _HEADER], "big")
            yield octets[at:end]
            at = end

    def _flush(self) -> None:
        for record in self._records():
            with suppress(OSError):  # a handshake repeats what was lost
                assert self._socket is not None
                self._socket.send(record)

    def _end(self, connection: socket.socket, dtls: Any) -> None:
        """Say goodbye, and close."""
        if dtls is not None:
            current = self._dtls
            self._dtls = dtls
            with suppress(self._ssl.Error):
                dtls.shutdown()
            for record in self._records():
                with suppress(OSError):
                    connection.send(record)
            self._dtls = current
        self._learn(connection)
        connection.close()

    # --- certificates ---

    def _make_context(self) -> Any:
        ssl, options = self._ssl, self._collector.options
        check_files(self._collector)
        context = ssl.Context(ssl.DTLS_CLIENT_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        context.set_max_proto_version(DTLS_1_2)
        context.set_cipher_list(DTLS_CIPHERS)
        context.set_options(ssl.OP_NO_QUERY_MTU)
        context.set_verify(ssl.VERIFY_PEER, lambda _connection, _certificate, _error, _depth, ok: bool(ok))
        try:
            if "ca" in options:
                context.load_verify_locations(options["ca"])
            else:
                context.set_default_verify_paths()
            if "cert" in options:
                load_own(SSLContext(PROTOCOL_TLS_CLIENT), self._collector)  # pyOpenSSL would ask for a password
                context.use_certificate_chain_file(options["cert"])
                context.use_privatekey_file(options.get("key", options["cert"]))
                context.check_privatekey()
        except ssl.Error as error:
            what = ", ".join(f"{name}={options[name]}" for name in ("ca", "cert", "key") if name in options)
            message = f"{self._collector.name}: {what} cannot be used: {dtls_reason_of(error)}"
            raise TransportError(message, url=self._collector.url) from error
        return context

    @property
    def _name(self) -> str:
        name: str = self._collector.options.get("name", self._collector.host)
        return name.lower().rstrip(".")

    def _set_name(self) -> None:
        if not _is_address(self._name):
            self._dtls.set_tlsext_host_name(self._name.encode("idna"))

    def _check_name(self) -> None:
        names = self._names()
        if self._name not in names:
            raise self._refusal(f"the certificate is for {', '.join(sorted(names)) or 'nobody'}, not for {self._name}")

    def _names(self) -> set[str]:
        """The names and addresses in the collector's certificate (RFC 7011 §11.3: subjectAltName)."""
        return alternative_names(self._dtls.get_peer_certificate().to_cryptography())

    def _refusal(self, why: str) -> SessionLost:
        return SessionLost(f"{self._collector.name}: {why}", url=self._collector.url)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
