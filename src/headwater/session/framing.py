"""Where Messages begin and end, and how that is in streams that can be cut anywhere (RFC 7011 §3.1, §10.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import FaultKind
from headwater.wire.dialect import DIALECTS, IPFIX, MAX_MESSAGE

I32 = npt.NDArray[np.int32]
Octets = npt.NDArray[np.uint8]

_MAGIC = IPFIX.version.to_bytes(2, "big")
_RESYNC_WINDOW = 4 * MAX_MESSAGE


class Trouble(NamedTuple):
    """What is wrong with octets that are no Message: kind, position in the buffer, how many there are, words.

    datagram: the number of the datagram they are in. is_message: whether a Message is discarded for it.
    domain: the Observation Domain, where the octets tell it.
    """

    kind: FaultKind
    at: int
    number: int
    detail: str
    datagram: int = 0
    is_message: bool = True
    domain: int | None = None


@dataclass(slots=True)
class Loss:
    """A place in a stream where a Message should begin and none does; what follows is skipped until one is found.

    at: position in the buffer, negative if it was in an earlier one. detail: what stands there.
    is_zero: whether only zero octets were skipped so far.
    """

    at: int
    detail: str
    is_zero: bool = True


@dataclass(slots=True)
class Frames:
    """Messages of one buffer: int32[n] positions of header, end of header, end; and what was no Message.

    version: uint16[n], None = all are IPFIX. datagram: int32[n], the datagram each is in, ascending; None in streams.
    consumed: octets done with; in a stream the rest is to be presented again with what follows it.
    loss: the place where framing was lost, while the search for the next Message goes on.
    is_lost: the stream's framing is lost for good: nothing that follows can be read.
    torn: headers of Messages that end where their octets do, before their length says; only with salvage.
    """

    start: I32
    body: I32
    end: I32
    consumed: int
    troubles: list[Trouble] = field(default_factory=list)
    loss: Loss | None = None
    is_lost: bool = False
    torn: list[int] = field(default_factory=list)
    version: npt.NDArray[np.uint16] | None = None
    datagram: I32 | None = None


def frame_stream(buf: Octets, *, resync: bool, final: bool, loss: Loss | None = None, salvage: bool = False) -> Frames:
    """Messages at the start of `buf`, as many as are whole; the same ones however the stream is cut into buffers.

    resync: after a loss of framing go on at the next octets 00 0A whose length leads to another 00 0A or to the
    end (RFC 5655 §10.3). final: nothing will follow `buf`. loss: what the frames of the buffer before said.
    salvage: take what there is of a last Message.
    """
    bodies, ends, troubles = [np.empty(0, np.int32)], [np.empty(0, np.int32)], []
    torn: list[int] = []
    at, window, size = 0, len(buf), len(buf)
    is_lost = False
    while True:
        if loss is not None and not resync:
            is_lost = bool(buf[at:].any())
            if is_lost:
                troubles.append(Trouble(FaultKind.FRAMING_LOST, loss.at, 1, loss.detail))
            elif final:
                troubles.append(_zeros(loss.at, size))
            at = size
            break
        if loss is not None:
            found = _resync(buf, at, final=final)
            loss.is_zero &= not buf[at : found.at].any()
            at = found.at
            if not found.is_valid:
                if final:
                    troubles.append(_zeros(loss.at, size) if loss.is_zero else _skipped(loss.at, size))
                break
            troubles.append(_skipped(loss.at, at))
            loss, window = None, _RESYNC_WINDOW
        limit = min(size, at + window)
        body, end, at = _whole(buf, at, limit)
        bodies.append(body)
        ends.append(end)
        if not _is_waiting(buf, at, size):
            loss = Loss(at, _foreign(buf, at), is_zero=buf[at] == 0)
            at += resync
        elif limit < size:
            window *= 2  # small at first after a resync, so that many of them stay linear
        elif not final or at == size:
            break
        else:
            found = _resync(buf, at + 1, final=True) if resync else _Candidate(size, is_valid=False)
            if not found.is_valid:
                troubles.append(_tail(buf, at))
                if salvage and size - at >= IPFIX.header:
                    torn.append(at)
                    bodies.append(np.array([at + IPFIX.header], np.int32))
                    ends.append(np.array([size], np.int32))
                    at = size
                break
            loss = Loss(at, "")
            at = found.at
    body = np.concatenate(bodies)
    return Frames(body - np.int32(IPFIX.header), body, np.concatenate(ends), at, troubles, loss, is_lost, torn)


def _whole(buf: Octets, at: int, limit: int) -> tuple[I32, I32, int]:
    """(ends of headers, ends of Messages, where the run stops)."""
    run = kernel.chain(buf, np.array([at], np.int32), np.array([limit], np.int32), IPFIX.header)
    _, version, body, end, rest = run
    wrong = np.flatnonzero(version != IPFIX.version)
    if len(wrong):
        first = int(wrong[0])
        return body[:first], end[:first], int(body[first]) - IPFIX.header
    return body, end, int(rest[0])


def _is_waiting(buf: Octets, at: int, size: int) -> bool:
    """Whether what is left could be the beginning of a Message."""
    left = size - at
    if left < 2:
        return True
    version, length = header_of(buf, at, size)
    return version == IPFIX.version and (left < 4 or length >= IPFIX.header)


class _Candidate(NamedTuple):
    at: int
    is_valid: bool


def _resync(buf: Octets, at: int, *, final: bool) -> _Candidate:
    """The next plausible Message from `at`, or where a search must go on when more has come."""
    size = len(buf)
    octets = memoryview(buf)
    step = 1 << 16
    position = at
    while position < size:
        block = bytes(octets[position : position + step + 1])
        found = block.find(_MAGIC)
        while found >= 0:
            here = position + found
            _, length = header_of(buf, here, size)
            after = here + length
            if size - here < 4 or (length >= IPFIX.header and after + 2 > size and not (final and after == size)):
                if not final:
                    return _Candidate(here, is_valid=False)
            elif length >= IPFIX.header and (after == size or bytes(octets[after : after + 2]) == _MAGIC):
                return _Candidate(here, is_valid=True)
            found = block.find(_MAGIC, found + 2)
        position += step
    keep = 0 if final else int(size > at and buf[-1] == _MAGIC[0])
    return _Candidate(size - keep, is_valid=False)


def header_of(buf: Octets, at: int, end: int) -> tuple[int, int]:
    """(version, length) of a header that may be cut short; missing octets count as 0."""
    octets = bytes(buf[at : min(at + 4, end)]).ljust(4, b"\0")
    return int.from_bytes(octets[:2], "big"), int.from_bytes(octets[2:], "big")


def _foreign(buf: Octets, at: int) -> str:
    """What stands where a Message should begin."""
    version, length = header_of(buf, at, len(buf))
    if version == IPFIX.version:
        return f"Message length {length}"
    name = f" ({DIALECTS[version].name})" if version in DIALECTS else ""
    return f"version {version}{name} where an IPFIX Message should begin"


def _skipped(at: int, end: int) -> Trouble:
    return Trouble(FaultKind.RESYNC, at, end - at, f"{end - at} octets skipped")


def _zeros(at: int, end: int) -> Trouble:
    return Trouble(FaultKind.TRAILING_GARBAGE, at, end - at, f"{end - at} zero octets where a Message should begin")


def _tail(buf: Octets, at: int) -> Trouble:
    left = len(buf) - at
    if not buf[at:].any():
        return _zeros(at, len(buf))
    version, length = header_of(buf, at, len(buf))
    if version == IPFIX.version and left >= 4:
        detail = f"the last Message has {left} of {length} octets, {length - left} are missing"
    else:
        detail = f"{left} octets where a Message should begin"
    return Trouble(FaultKind.TRUNCATED_TAIL, at, 1, detail)
