"""One DTLS session of an exporter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from headwater.session.key import SessionKey

HEADER: Final = 13
"""Octets before the body of a DTLS record (RFC 6347 §4.1)."""
DATA: Final = 23
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_PLAIN: Final = b"\0\0"
"""The epoch of what is sent before both sides have keys."""
_RANDOM: Final = slice(27, 59)
"""Where a ClientHello has its random octets: the header of its record, 12 octets of its own, and a version before."""
_FIRST, _LAST = 20, 23
_VERSIONS: Final = (b"\xfe\xff", b"\xfe\xfd")  # a ClientHello may say that it is one of DTLS 1.0
_LONGEST: Final = 1 << 14
_FLIGHT: Final = 1200
"""Octets of the datagrams of a handshake at most; every path has room for them."""

SocketAddress = tuple[Any, ...]


def is_record(datagram: bytes) -> bool:
    """Whether it begins as a record of DTLS."""
    return len(datagram) > HEADER and _FIRST <= datagram[0] <= _LAST and datagram[1:3] in _VERSIONS


def is_hello(datagram: bytes) -> bool:
    """Whether a record is a ClientHello, with which every session begins: in epoch 0, in plain text."""
    return datagram[0] == _HANDSHAKE and datagram[3:5] == _PLAIN and datagram[HEADER] == _CLIENT_HELLO


def random_of(hello: bytes) -> bytes:
    """What tells a ClientHello from those of other sessions, but not from itself with a cookie, or sent again."""
    return hello[_RANDOM]


def is_of_handshake(datagram: bytes) -> bool:
    """Whether a record is of no use to a session whose handshake is over."""
    return datagram[0] == _HANDSHAKE or datagram[3:5] == _PLAIN


class DtlsSession:
    """A session, through memory.

    row: see gathering.Peer. address: of the exporter, as the socket has it. is_up: the handshake is over.
    begun, heard: by time.monotonic(), when it began, and when data came last. random: see random_of.
    """

    __slots__ = ("_dtls", "_ssl", "address", "begun", "heard", "is_up", "key", "messages", "names", "random", "row")

    def __init__(self, ssl: Any, dtls: Any, address: SocketAddress, key: SessionKey, random: bytes) -> None:
        self._ssl, self._dtls = ssl, dtls
        self.random = random
        self.address, self.key = address, key
        self.row = -1
        self.is_up = False
        self.begun = self.heard = time.monotonic()
        self.messages = 0
        self.names: frozenset[str] = frozenset()

    @property
    def dtls(self) -> Any:
        """The connection of pyOpenSSL."""
        return self._dtls

    def shake_hands(self, datagram: bytes = b"") -> bool:
        """Take the handshake as far as it goes; whether it is over. Raises the Error of pyOpenSSL."""
        if datagram:
            self._dtls.bio_write(datagram)
        try:
            self._dtls.do_handshake()
        except self._ssl.WantReadError:
            return False
        self.is_up = True
        return True

    def receive(self, datagram: bytes) -> tuple[list[bytes], Exception | None]:
        """What was sent in a datagram, and what ended the session: ZeroReturnError is orderly, Error is not."""
        self._dtls.bio_write(datagram)
        found: list[bytes] = []
        try:
            found.append(self._dtls.recv(_LONGEST))
            if HEADER + int.from_bytes(datagram[HEADER - 2 : HEADER], "big") != len(datagram):  # more than one record
                while True:
                    found.append(self._dtls.recv(_LONGEST))
        except self._ssl.WantReadError:
            pass
        except self._ssl.Error as error:
            return found, error
        return found, None

    def repeat(self) -> None:
        """Send the last flight of the handshake again, if its time has come. Raises the Error of pyOpenSSL."""
        if self._dtls.DTLSv1_get_timeout() == 0:
            self._dtls.DTLSv1_handle_timeout()

    def shut_down(self) -> None:
        """Tell that the session is over."""
        with suppress(self._ssl.Error):
            self._dtls.shutdown()

    def flight(self) -> Iterator[bytes]:
        """The datagrams that are to be sent, cut at the edges of DTLS records."""
        return flight_of(self._ssl, self._dtls)

    def describe(self) -> dict[str, Any]:
        """For people."""
        told = {"peer": str(self.key), "state": "established" if self.is_up else "handshake"}
        told |= {"seconds": round(time.monotonic() - self.begun, 3), "messages": self.messages}  # type: ignore[dict-item]
        return told | ({"names": sorted(self.names)} if self.names else {})


def flight_of(ssl: Any, dtls: Any) -> Iterator[bytes]:
    """What OpenSSL has to send, in datagrams: as many whole records in each as a flight has room for."""
    try:
        octets = dtls.bio_read(1 << 16)
    except ssl.WantReadError:
        return
    begin = at = 0
    while at < len(octets):
        end = at + HEADER + int.from_bytes(octets[at + HEADER - 2 : at + HEADER], "big")
        if end - begin > _FLIGHT and at > begin:
            yield octets[begin:at]
            begin = at
        at = end
    yield octets[begin:at]


def new_connection(ssl: Any, context: Any) -> Any:
    """The server's side of a session that nobody has begun yet."""
    dtls = ssl.Connection(context, None)
    dtls.set_accept_state()
    dtls.set_ciphertext_mtu(_FLIGHT)
    return dtls
