"""Sender: what every transport out is for the exporting process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from headwater.errors import TransportError

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing

HEAD = 20
"""Octets of a Message that tell which one it was: the headers of all versions have their sequence number in them."""


class SessionLost(TransportError):
    """A transport session could not be opened, or has ended.

    is_orderly: the peer has ended it after having read all that its host acknowledged; nothing else has been read.
    """

    def __init__(self, message: str, *, url: str = "", is_orderly: bool = False) -> None:
        super().__init__(message, url=url)
        self.is_orderly = is_orderly


class Failure(NamedTuple):
    """A Message that did not get through. cause: one word. head: its first octets, or less if nobody knows them."""

    cause: str
    head: bytes


class Sender(Protocol):
    """One transport session after the other, to one collector. One thread uses it.

    sent: octets given to the kernel in this session. acknowledged: how many of them the collector's host has confirmed
    to have; all, where the transport cannot tell. mtu: octets of a Message at most, None = as the session likes.
    is_stale: it is time for a new session.
    What blocks does so in the Readiness that the sender was made with, and so raises Stopped.
    """

    sent: int

    @property
    def acknowledged(self) -> int: ...

    @property
    def mtu(self) -> int | None: ...

    @property
    def is_stale(self) -> bool: ...

    def open(self) -> None:
        """Begin a transport session; one that there is ends when the new one is there. Raises SessionLost."""

    def send(self, outgoing: Outgoing, stream: int = 0) -> None:
        """Give all Messages to the kernel. Raises SessionLost."""

    def failures(self) -> list[Failure]:
        """Messages that were lost, as far as somebody has told, since this was last asked."""

    def wait(self, timeout: float | None) -> None:
        """Do nothing until somebody wakes us, or the time is over. Raises SessionLost if the session has ended."""

    def close(self) -> None:
        """End the session, if there is one. Raises nothing."""
