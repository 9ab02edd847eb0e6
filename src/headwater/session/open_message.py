"""One Message being written, Set by Set and record by record; its header is left empty (RFC 7011 §3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

from headwater.errors import EncodeError
from headwater.wire.dialect import SET_HEADER, Dialect

_PAIR: Final = struct.Struct("!HH")


class Mark(NamedTuple):
    """What a Message was when the mark was taken: to go back to."""

    size: int
    set_at: int
    set_id: int
    least: int
    counts: tuple[int, int, int]


class Kind(Enum):
    """What a record is, as far as Messages count them."""

    TEMPLATE = 0
    OPTION = 1
    FLOW = 2


class Item(NamedTuple):
    """One record for a Set."""

    set_id: int
    octets: bytes
    kind: Kind


class Part(NamedTuple):
    """A Message whose header is empty; templates, options, flows: records of each kind in it."""

    octets: bytes
    templates: int
    options: int
    flows: int

    @property
    def records(self) -> int:
        """Data Records."""
        return self.options + self.flows


class OpenMessage:
    """The octets of a Message so far. A Set without records is left out when it is closed.

    align: Sets are padded to a multiple of so many octets, as long as no padding could be taken for a record (§3.3.1).
    """

    def __init__(self, dialect: Dialect, mtu: int, align: int = 1) -> None:
        self.header = dialect.header
        self.mtu = mtu
        self.align = align
        self.octets = bytearray(dialect.header)
        self.set_at = 0  # where the open Set starts, 0 = none is open
        self.set_id = 0
        self._least = 0  # octets of the shortest record of the open Set
        self._counts = [0, 0, 0]

    @property
    def is_empty(self) -> bool:
        """Whether there is no record in it."""
        return not any(self._counts)

    def fits(self, set_id: int, size: int, *, new_set: bool = False) -> bool:
        """Whether a record of `size` octets, and the Set header that it may need, still fit."""
        total = len(self.octets) + size
        if new_set or not self.set_at or set_id != self.set_id:
            total += SET_HEADER + (-len(self.octets) % self.align if self.set_at else 0)
        return total + -total % self.align <= self.mtu

    def open_set(self, set_id: int) -> None:
        """Close the Set that is open and start another."""
        self.close_set()
        self.set_at, self.set_id, self._least = len(self.octets), set_id, 0
        self.octets += _PAIR.pack(set_id, SET_HEADER)

    def add(self, item: Item) -> None:
        """Put a record into the open Set if it is of that id, else into a new one; the caller asks first if it fits."""
        if not self.set_at or item.set_id != self.set_id:
            self.open_set(item.set_id)
        self.octets += item.octets
        self._least = min(self._least or len(item.octets), len(item.octets))
        self._counts[item.kind.value] += 1

    def close_set(self) -> None:
        """Write the length of the open Set, and its padding in front of what follows."""
        if not self.set_at:
            return
        if len(self.octets) == self.set_at + SET_HEADER:
            del self.octets[self.set_at :]
        else:
            padding = -len(self.octets) % self.align
            if padding < self._least:
                self.octets += bytes(padding)
            _PAIR.pack_into(self.octets, self.set_at, self.set_id, len(self.octets) - self.set_at)
        self.set_at = 0

    def finish(self) -> Part:
        """The Message, which is not to be written to any more."""
        self.close_set()
        return Part(bytes(self.octets), *self._counts)

    def mark(self) -> Mark:
        """A point to go back to."""
        templates, options, flows = self._counts
        return Mark(len(self.octets), self.set_at, self.set_id, self._least, (templates, options, flows))

    def rollback(self, mark: Mark) -> None:
        """Forget all that came after the mark."""
        del self.octets[mark.size :]
        _, self.set_at, self.set_id, self._least, counts = mark
        self._counts = [*counts]


def lay_out(items: Iterable[Item], dialect: Dialect, mtu: int, align: int) -> Iterator[Part]:
    """The records in as few Messages as hold them in this order.

    Raises EncodeError for a record that is longer than any Message.
    """
    message = OpenMessage(dialect, mtu, align)
    for item in items:
        if not message.fits(item.set_id, len(item.octets)):
            if not message.is_empty:
                yield message.finish()
                message = OpenMessage(dialect, mtu, align)
            if not message.fits(item.set_id, len(item.octets)):
                raise EncodeError(too_long(item, dialect, mtu))
        message.add(item)
    if not message.is_empty:
        yield message.finish()


def too_long(item: Item, dialect: Dialect, mtu: int) -> str:
    """Why the record goes into no Message."""
    what = "a Template" if item.kind is Kind.TEMPLATE else f"a record of Template {item.set_id}"
    room = mtu - dialect.header - SET_HEADER
    return f"{what} has {len(item.octets)} octets; a Message of at most {mtu} octets has room for {room}"
