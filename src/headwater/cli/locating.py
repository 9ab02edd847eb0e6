"""One message of a source, and what the messages before it have told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headwater.errors import Fault, FaultKind, SourceError
from headwater.session import SequenceGap, Session
from headwater.session.framing import frame_stream
from headwater.transport.content import Content
from headwater.transport.file import find_sources, open_source
from headwater.transport.windows import MappedWindows
from headwater.wire.dialect import MAX_MESSAGE
from headwater.wire.dissect import DOMAIN_AT, SEQUENCE_AT
from headwater.wire.parts import count_octets, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.framing import Frames, Loss
    from headwater.transport.windows import Windows

_AT_SEQUENCE = {FaultKind.SEQUENCE_SUSPECT, FaultKind.SEQUENCE_RESET, FaultKind.LATE, FaultKind.DUPLICATE}
"""Faults of a whole message that are about its sequence number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message. number: counted from 1; 0 = octets that are no message. at: absolute offset.

    templates, registry: as the messages before it left them. faults: what a session says about it.
    """

    source: str
    number: int
    at: int
    octets: bytes
    templates: Mapping[int, Template]
    registry: Registry
    faults: tuple[Fault, ...]


class NamedWindows:
    """Octets of one source with its name."""

    def __init__(self, name: str, windows: Windows) -> None:
        self.name, self._windows = name, windows
        self.next, self.close = windows.next, windows.close


def open_octets(source: str | None, octets: bytes | None) -> NamedWindows:
    """The octets of a source, or these."""
    if octets is not None:
        return NamedWindows("--hex", MappedWindows(memoryview(octets)))
    found = list(find_sources(source))
    if len(found) > 1:
        raise SourceError(f"{source} has {len(found)} files; explain takes one", source=str(source))
    name = found[0].name
    windows = open_source(found[0], trust=True)
    if windows.content is not Content.IPFIX:
        windows.close()
        what = "a packet capture" if windows.content is Content.CAPTURE else "NetFlow datagrams"
        advice = "give a file of IPFIX, or the octets of one message with --hex"
        raise SourceError(f"explain cannot take {what} apart yet, which {name} is; {advice}", source=name)
    return NamedWindows(name, windows)


def locate(windows: NamedWindows, registry: Registry, *, number: int | None = None, offset: int = 0) -> Found:
    """The message of that number; without one, the message (or the octets between messages) at that offset.

    Raises SourceError if the source ends before it.
    """
    # messages are framed here, so the session is one that takes them whole and never loses its way
    session = Session(registry, "sctp")
    base = count = consumed = 0
    loss: Loss | None = None
    while True:
        window, is_last = windows.next(consumed)
        octets = np.frombuffer(window, np.uint8)
        frames = frame_stream(octets, resync=True, final=is_last, loss=loss)
        for piece in _pieces(frames, octets, is_last=is_last):
            is_wanted = number == count + piece.ordinal if number else piece.start <= offset - base < piece.end
            if is_wanted and (piece.ordinal or not number):
                return _found(windows.name, session, octets, frames, piece, base, count, offset)
        _learn(session, octets, frames, len(frames.start))
        count += len(frames.start)
        consumed = frames.consumed
        loss = None if frames.loss is None else replace(frames.loss, at=frames.loss.at - consumed)
        base += len(octets) if is_last else consumed
        if is_last:
            break
    if number:
        raise SourceError(f"{windows.name} has {counted(count, 'message')}, no message {number}", source=windows.name)
    raise SourceError(f"{windows.name} has {count_octets(base)}, none at offset {offset}", source=windows.name)


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


def _learn(session: Session, octets: npt.NDArray[np.uint8], frames: Frames, count: int) -> None:
    """Let the session have the first `count` messages, run by run of those that lie back to back."""
    start, end = frames.start[:count], frames.end[:count]
    cuts = np.flatnonzero(start[1:] != end[:-1]) + 1
    for run in np.split(np.arange(count), cuts):
        if len(run):
            first, after = int(start[run[0]]), int(end[run[-1]])
            session.receive(octets[first:after], ends=(end[run] - first).tolist())


def _found(
    source: str,
    session: Session,
    octets: npt.NDArray[np.uint8],
    frames: Frames,
    piece: _Piece,
    base: int,
    count: int,
    offset: int,
) -> Found:
    _learn(session, octets, frames, piece.before)
    # of octets that are no message no more are shown than a message could have
    start = piece.start if piece.ordinal else max(piece.start, offset - base - MAX_MESSAGE + 1)
    message = octets[start : min(piece.end, start + MAX_MESSAGE)].tobytes()
    at = base + start
    domain = int.from_bytes(message[DOMAIN_AT : DOMAIN_AT + 4], "big")
    templates, known = dict(session.templates(domain)), session.registry
    faults: list[Fault] = []
    if piece.ordinal:
        moved = at - session.offset
        for event in session.receive(message):
            if isinstance(event, Fault):
                shift = SEQUENCE_AT if event.kind in _AT_SEQUENCE else 0
                faults.append(replace(event, offset=event.offset + moved + shift))
            elif isinstance(event, SequenceGap):
                faults.append(_gap(event, at))
    number = count + piece.ordinal if piece.ordinal else 0
    return Found(source, number, at, message, templates, known, tuple(faults))


def _gap(event: SequenceGap, at: int) -> Fault:
    lost = "" if event.lost is None else f", {event.lost} records lost"
    detail = f"{event.got} where {event.expected} was expected{lost}"
    return Fault(FaultKind.SEQUENCE_GAP, at + SEQUENCE_AT, event.domain, detail)
