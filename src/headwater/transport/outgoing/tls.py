"""Messages out over TLS (RFC 7011 §11): the exporter is the client, and both have certificates."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from headwater.errors import TransportError
from headwater.transport.outgoing.connecting import Deadline
from headwater.transport.outgoing.sender import SessionLost
from headwater.transport.outgoing.tcp import TcpSender

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.transport.outgoing.readiness import Readiness
    from headwater.transport.outgoing.url import Collector

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
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
            raise self._refusal(_reason(error)) from error
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
            raise self._refusal(_reason(error)) from error
        raise super()._ended()

    def _ended(self) -> SessionLost:
        return self._refusal("the collector has cut the connection")

    def _refusal(self, why: str) -> SessionLost:
        return SessionLost(f"{self._collector.name}: {why}", url=self._collector.url)


def tls_context(collector: Collector) -> ssl.SSLContext:
    """The client's side: TLS 1.2 or later, the collector's name and certificate are checked. Raises TransportError."""
    options = collector.options
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS["1.2"]
    if "tls" in options:
        context.minimum_version = context.maximum_version = _VERSIONS[options["tls"]]
    check_files(collector)
    try:
        if "ca" in options:
            context.load_verify_locations(options["ca"])
        else:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(collector, "ca", error) from error
    try:
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"), password=_no_password)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(collector, "key" if "key" in options else "cert", error) from error
    return context


def check_files(collector: Collector) -> None:
    """Raise TransportError if a file of the options cannot be read."""
    if "key" in collector.options and "cert" not in collector.options:
        raise TransportError(f"{collector.name}: key= is without cert=", url=collector.url)
    for name in ("ca", "cert", "key"):
        if name in collector.options:
            try:
                with open(collector.options[name], "rb") as file:  # noqa: PTH123  # a name, for one moment
                    file.read(1)
            except OSError as error:
                raise _unusable(collector, name, error) from error


def _unusable(collector: Collector, name: str, error: OSError) -> TransportError:
    why = _reason(error) if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
    path = collector.options.get(name, "the system's")
    return TransportError(f"{collector.name}: {name}={path} cannot be used: {why}", url=collector.url)


def _no_password() -> str:
    raise OSError("the private key is encrypted; give one that is not")


def _reason(error: ssl.SSLError) -> str:
    """What OpenSSL says, in words."""
    return (error.reason or str(error)).replace("_", " ").lower()
