"""Messages out over TLS (RFC 7011 §11): the exporter is the client, and both have certificates."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from headwater.transport.certificates import VERSIONS, check_files, load_own, reason_of, unusable
from headwater.transport.outgoing.connecting import Deadline, lost
from headwater.transport.outgoing.sender import SessionLost
from headwater.transport.outgoing.tcp import TcpSender

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

_CONNECT_S: Final = 10.0
_READ: Final = 1 << 16


class TlsSender(TcpSender):
    """TLS over a TcpSender, which goes on counting what is acknowledged: octets of TLS.

    In TLS 1.3 the client may send before the collector has looked at its certificate, so what was sent may turn out to
    be for nobody; the session is orderly only if the collector ends it with a close_notify.
    """

    def __init__(self, collector: Collector, readiness: Readiness) -> None:
        super().__init__(collector, readiness)
        self._context = tls_context(collector)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    def open(self) -> None:
        super().open()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = self._collector.options.get("name", self._collector.host)
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        deadline = Deadline(self._collector.options.get("connect_timeout", _CONNECT_S))
        while not self._shake_hands():
            if deadline.is_over:
                raise self._refusal("the TLS handshake takes too long")
            if self._readiness.wait(self._socket, read=True, timeout=deadline.left):
                self._check()

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        assert self._tls is not None
        self._check()
        octets = memoryview(outgoing.buffer)[outgoing.begin[0] : outgoing.begin[-1]]
        while octets:
            octets = octets[self._tls.write(octets) :]
        self._flush()

    def close(self) -> None:
        if self._tls is not None and self._socket is not None:
            with suppress(ssl.SSLError, ValueError):  # our close_notify is written, that of the collector has not come
                self._tls.unwrap()
            with suppress(OSError):
                self._socket.send(self._outgoing.read())
        self._tls = None
        super().close()

    def _shake_hands(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLCertVerificationError as error:
            raise self._refusal(f"the certificate is not accepted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise self._refusal(reason_of(error)) from error
        self._flush()
        return True

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._put(self._outgoing.read())

    def _received(self, octets: bytes) -> None:
        assert self._tls is not None
        self._incoming.write(octets)
        if self._tls.version() is None:  # the handshake goes on
            return
        try:
            while self._tls.read(_READ):
                pass
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError as error:
            raise self._refusal(reason_of(error)) from error
        raise super()._ended()

    def _ended(self) -> SessionLost:
        return self._refusal("the collector has cut the connection")

    def _lost(self, error: OSError) -> SessionLost:
        return lost(self._collector, error)  # a FIN without close_notify says nothing about what was read

    def _refusal(self, why: str) -> SessionLost:
        return SessionLost(f"{self._collector.name}: {why}", url=self._collector.url)


def tls_context(collector: Collector) -> ssl.SSLContext:
    """The client's side: TLS 1.2 or later, the collector's name and certificate are checked. Raises TransportError."""
    options = collector.options
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS["1.2"]
    if "tls" in options:
        context.minimum_version = context.maximum_version = VERSIONS[options["tls"]]
    check_files(collector)
    try:
        if "ca" in options:
            context.load_verify_locations(options["ca"])
        else:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    except (OSError, ssl.SSLError) as error:
        raise unusable(collector, "ca", error) from error
    load_own(context, collector)
    return context
