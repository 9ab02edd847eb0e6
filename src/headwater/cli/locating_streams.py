"""One message of a stream of IPFIX: of a file, or of one direction of a TCP connection in a capture."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headwater.cli.located import Found, Target, dialect_of, domain_of, faults_of
from headwater.errors import FaultKind
from headwater.session.framing import frame_stream
from headwater.session.key import Transport
from headwater.wire.dialect import IPFIX, MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from headwater.errors import Fault
    from headwater.process.manner import Manner
    from headwater.session.framing import Frames, Loss
    from headwater.session.key import SessionKey
    from headwater.transport.capture import StreamPart


@dataclass(frozen=True, slots=True)
class Places:
    """Where the octets of a stream are in the source: runs of them, by position in the stream and absolute offset.

    positions: ascending, the first is 0 if there are any octets. size: of all of them.
    """

    positions: tuple[int, ...]
    offsets: tuple[int, ...]
    size: int

    def offset(self, position: int) -> int:
        """The absolute offset of an octet."""
        run = bisect_right(self.positions, position) - 1
        return self.offsets[run] + position - self.positions[run]

    def position(self, offset: int) -> int | None:
        """Which octet is at that absolute offset, if any."""
        ends = (*self.positions, self.size)[1:]
        for first, start, end in zip(self.positions, self.offsets, ends, strict=True):
            if start <= offset < start + end - first:
                return first + offset - start
        return None

    def count(self, start: int, end: int) -> int:
        """How many runs the octets start..end are in."""
        return bisect_right(self.positions, end - 1) - bisect_right(self.positions, start) + 1

    def behind(self, position: int) -> Places:
        """Those from a position on, which becomes 0."""
        if position >= self.size:
            return NOWHERE
        run = bisect_right(self.positions, position)
        positions = (0, *(at - position for at in self.positions[run:]))
        return Places(positions, (self.offset(position), *self.offsets[run:]), self.size - position)

    def joined(self, other: Places) -> Places:
        """These, and others that follow them."""
        positions = (*self.positions, *(self.size + at for at in other.positions))
        return Places(positions, self.offsets + other.offsets, self.size + other.size)


NOWHERE = Places((), (), 0)


class StreamSearch:
    """Goes through a stream and learns what its messages tell, up to the one that is target.

    Messages are framed here, so the session is one that takes them whole and never loses its way.
    messages, consumed: how many messages and octets the last `search` has gone through.
    """

    def __init__(self, source: str, manner: Manner, key: SessionKey | None = None) -> None:
        self.messages = self.consumed = 0
        self._source, self._key = source, key
        self._session = manner.session(Transport.SCTP, key)
        self._loss: Loss | None = None

    def search(
        self, octets: npt.NDArray[np.uint8], places: Places, target: Target, count: int, *, is_last: bool
    ) -> Found | None:
        """The wanted message, if it is here. octets: those behind the consumed ones. count: messages before them."""
        frames = frame_stream(octets, resync=True, final=is_last, loss=self._loss)
        position = places.position(target.offset) if target.number is None else None
        ordinal = 0
        for piece in _pieces(frames, octets, is_last=is_last):
            ordinal = max(ordinal, piece.ordinal)
            is_wanted = position is not None and piece.start <= position < piece.end
            if is_wanted or (piece.ordinal and target.number == count + piece.ordinal):
                return self._found(octets, frames, piece, places, count, position or 0)
        self._learn(octets, frames, len(frames.start))
        self.messages, self.consumed = ordinal, len(octets) if is_last else frames.consumed
        self._loss = None if frames.loss is None or is_last else replace(frames.loss, at=frames.loss.at - self.consumed)
        return None

    def _learn(self, octets: npt.NDArray[np.uint8], frames: Frames, count: int) -> None:
        """Let the session have the first `count` messages, run by run of those that lie back to back."""
        start, end = frames.start[:count], frames.end[:count]
        cuts = np.flatnonzero(start[1:] != end[:-1]) + 1
        for run in np.split(np.arange(count), cuts):
            if len(run):
                first, after = int(start[run[0]]), int(end[run[-1]])
                self._session.receive(octets[first:after], ends=(end[run] - first).tolist())

    def _found(
        self, octets: npt.NDArray[np.uint8], frames: Frames, piece: _Piece, places: Places, count: int, position: int
    ) -> Found:
        session = self._session
        self._learn(octets, frames, piece.before)
        # of octets that are no message no more are shown than a message could have
        start = piece.start if piece.ordinal else max(piece.start, position - MAX_MESSAGE + 1)
        end = min(piece.end, start + MAX_MESSAGE)
        message, at = octets[start:end].tobytes(), places.offset(start)
        templates, known = session.templates(domain_of(IPFIX, message)), session.registry_of()
        faults: tuple[Fault, ...] = ()
        if piece.ordinal:
            moved = at - session.offset
            faults = tuple(faults_of(session.receive(message), dialect_of(message), at, len(message), moved=moved))
        number = count + piece.ordinal if piece.ordinal else 0
        pieces = places.count(start, end)
        return Found(
            self._source, number, at, message, templates, known, faults, key=self._key, pieces=pieces, only=IPFIX
        )


class ConnectionSearch:
    """Goes through one direction of a TCP connection, part by part."""

    def __init__(self, source: str, manner: Manner, key: SessionKey) -> None:
        self._search = StreamSearch(source, manner, key)
        self._octets = b""
        self._places = NOWHERE

    def take(self, part: StreamPart, target: Target, count: int) -> tuple[Found | None, int]:
        """(the wanted message if the part completes it, how many messages it completes). count: messages before."""
        before = 0
        if part.lost:  # what comes before the missing octets will not be whole any more
            found, before = self.finish(target, count)
            if found is not None:
                return found, before
        known = len(self._octets)
        self._octets += part.octets
        self._places = self._places.joined(Places(part.positions, part.offsets, len(part.octets)))
        found, messages = self._go_on(target, count + before, is_last=part.is_end)
        if found is not None and self._holds(found, known):  # only of this octet the arrival is known
            found = replace(found, received=part.received)
        return found, before + messages

    def finish(self, target: Target, count: int) -> tuple[Found | None, int]:
        """As `take`, of what is left when nothing will follow."""
        return self._go_on(target, count, is_last=True)

    def _go_on(self, target: Target, count: int, *, is_last: bool) -> tuple[Found | None, int]:
        octets = np.frombuffer(self._octets, np.uint8) if self._octets else np.empty(0, np.uint8)
        found = self._search.search(octets, self._places, target, count, is_last=is_last)
        if found is None:
            self._octets = self._octets[self._search.consumed :]
            self._places = self._places.behind(self._search.consumed)
        return found, self._search.messages

    def _holds(self, found: Found, position: int) -> bool:
        start = self._places.position(found.at)
        return start is not None and start <= position < start + len(found.octets)


class _Piece(NamedTuple):
    """Octets start..end of a window. ordinal: of a message among those of the window, from 1; 0 = no message.

    before: messages of the window before it.
    """

    start: int
    end: int
    ordinal: int
    before: int


def _pieces(frames: Frames, octets: npt.NDArray[np.uint8], *, is_last: bool) -> Iterator[_Piece]:
    """Messages and what is between and after them, in order."""
    at = ordinal = 0
    for start, end in zip(frames.start.tolist(), frames.end.tolist(), strict=True):
        if at < start:
            yield _Piece(at, start, 0, ordinal)
        ordinal += 1
        yield _Piece(start, end, ordinal, ordinal - 1)
        at = end
    stop = len(octets) if is_last else frames.consumed
    if at < stop:
        is_torn = any(t.kind is FaultKind.TRUNCATED_TAIL and t.at == at for t in frames.troubles)
        yield _Piece(at, stop, ordinal + 1 if is_torn else 0, ordinal)
