"""What waits for a collector: Messages that are laid out, whose headers are written when they are sent."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from headwater.batch.encode import Encoder
from headwater.process.exporting_report import Amount
from headwater.session.collecting import Session
from headwater.session.events import DataSets
from headwater.session.exporting import ExportSession
from headwater.session.key import Transport
from headwater.session.outgoing import Encoded

if TYPE_CHECKING:
    from headwater.model.template import Template
    from headwater.session.outgoing import Room


@dataclass(slots=True, eq=False)
class Piece:
    """Messages of one Template and domain.

    end: octets of its transport session up to its end, infinite = it is not sent yet. is_again: it was sent before.
    """

    encoded: Encoded
    domain: int
    end: float = math.inf
    is_again: bool = False

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def octets(self) -> int:
        begin = self.encoded.begin
        return int(begin[-1] - begin[0])

    @property
    def amount(self) -> Amount:
        """Records and Messages."""
        return Amount(int(self.encoded.first[-1] - self.encoded.first[0]), len(self.encoded))

    def cut(self, count: int) -> tuple[Self, Self]:
        """(the first so many Messages, the others)."""
        return self._part(0, count), self._part(count, len(self))

    def first_of(self, *, octets: float = math.inf, records: float = math.inf) -> int:
        """How many Messages, at least one, have no more octets and begin within so many records."""
        encoded, most = self.encoded, len(self)
        if octets < self.octets:
            most = int(np.searchsorted(encoded.begin, encoded.begin[0] + octets, side="right")) - 1
        if records < encoded.first[-1] - encoded.first[0]:
            most = min(most, int(np.searchsorted(encoded.first, encoded.first[0] + records)))
        return max(most, 1)

    def goes_with(self, other: Piece) -> bool:
        """Whether the records could be in one Message."""
        mine, its = self.encoded, other.encoded
        return mine.template.id == its.template.id and self.domain == other.domain and mine.room == its.room

    def _part(self, start: int, stop: int) -> Self:
        encoded = self.encoded
        at, end = int(encoded.begin[start]), int(encoded.begin[stop])
        part = Encoded(
            encoded.template,
            encoded.buffer[at:end],
            encoded.first[start : stop + 1] - encoded.first[start],
            encoded.begin[start : stop + 1] - encoded.begin[start],
            encoded.room,
        )
        return type(self)(part, self.domain, self.end, self.is_again)


class Pieces:
    """Pieces in the order in which they are to be sent. octets: of all of them."""

    def __init__(self) -> None:
        self.octets = 0
        self._pieces: deque[Piece] = deque()

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self.octets += piece.octets

    def add_first(self, pieces: Iterable[Piece]) -> None:
        """Pieces that are to be sent before all others."""
        some = list(pieces)
        self._pieces.extendleft(reversed(some))
        self.octets += sum(piece.octets for piece in some)

    def take(self, *, octets: float = math.inf, records: float = math.inf) -> Piece:
        """The first Messages, as many as `Piece.first_of` says."""
        piece = self._pieces.popleft()
        count = piece.first_of(octets=octets, records=records)
        if count < len(piece):
            piece, rest = piece.cut(count)
            self._pieces.appendleft(rest)
        self.octets -= piece.octets
        return piece

    def merge_first(self) -> int:
        """Make one Message of the first ones, as many as have room in it; how many fewer there are now.

        Who writes a few records at a time gets full Messages so, whenever some are waiting.
        """
        count, octets, records = 0, 0, 0
        for piece in self._pieces:
            room = piece.encoded.room
            if len(piece) != 1 or room.align != 1 or piece.is_again or not piece.goes_with(self._pieces[0]):
                break
            octets += piece.octets - room.header
            records += piece.amount.records
            if octets > room.budget or (room.most and records > room.most):
                break
            count += 1
        if count < 2:
            return 0
        some = [self._pieces.popleft() for _ in range(count)]
        merged = _merged(some)
        self._pieces.appendleft(merged)
        self.octets += merged.octets - sum(piece.octets for piece in some)
        return count - 1

    def take_all(self) -> list[Piece]:
        pieces = list(self._pieces)
        self._pieces.clear()
        self.octets = 0
        return pieces


def amount_of(pieces: Iterable[Piece]) -> Amount:
    """Records and Messages of pieces."""
    return sum((piece.amount for piece in pieces), Amount())


def _merged(pieces: list[Piece]) -> Piece:
    """One Message with the records of several."""
    first = pieces[0].encoded
    records = [
        piece.encoded.buffer[piece.encoded.begin[0] + first.room.header : piece.encoded.begin[-1]] for piece in pieces
    ]
    buffer = np.concatenate([np.zeros(first.room.header, np.uint8), *records])
    counts = np.array([0, amount_of(pieces).records], np.int32)
    return Piece(
        Encoded(first.template, buffer, counts, np.array([0, len(buffer)], np.int32), first.room), pieces[0].domain
    )


def laid_again(encoded: Encoded, template: Template, room: Room) -> Encoded:
    """The same records, octet for octet, laid out for Messages of another size."""
    session = ExportSession(Transport.FILE, monotonic=False)
    session.template(encoded.template, 0, encoded.template.id)
    events = Session(transport=Transport.FILE)
    copy = Encoded(encoded.template, encoded.buffer.copy(), encoded.first, encoded.begin, encoded.room)
    octets = b"".join(bytes(outgoing) for outgoing in session.send(copy, now=0))
    (sets,) = [event for event in events.receive(octets) if isinstance(event, DataSets)]
    return Encoder().copy(template, sets, room)
