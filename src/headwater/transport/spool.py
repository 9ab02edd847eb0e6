"""Raw spools as sources: block by block, as listeners handed them over. The layout is in headwater.wire.spool."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from headwater.errors import Fault, FaultKind, HeadwaterError
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey, Transport
from headwater.wire.spool import BLOCK_HEADER, FILE_HEADER, MARK, BlockHeader, FileHeader, Told, ToldFault

if TYPE_CHECKING:
    from headwater.transport.windows import Windows

Local = tuple[str, int]
_MOST_STREAM: Final = 0xFFFF
_MOST_STRAY: Final = 1 << 16
"""Marks in a file that begin no block. Marks are random, so that more are only in files made to keep us busy."""
_TOLD: Final = msgspec.json.Decoder(Told)
_TRANSPORTS: Final = frozenset(Transport) - {Transport.FILE}
_KINDS: Final = frozenset(FaultKind)


@dataclass(frozen=True, slots=True)
class SpoolBlock:
    """A block as it was received; see `transport.incoming.block.Block`. Offsets are those of the spool.

    run: which run of a collector it is of. transport, local: of the listener, whose datagrams all go through one
    Session in that run.
    """

    run: bytes
    transport: Transport
    local: Local
    datagrams: Datagrams
    ended: list[SessionKey]
    dropped: dict[SessionKey | None, int]
    faults: list[Fault]


class Spool:
    """Yields the blocks of `windows`, and a Fault for each place where there should be one and is none.

    offset: of what comes next, decompressed. counters: blocks, datagrams, ended (sessions), dropped (datagrams that
    the collector gave up), damaged_blocks.
    """

    def __init__(self, windows: Windows) -> None:
        self.offset = 0
        self.counters: Counter[str] = Counter()
        self._windows = windows
        self._window, self._is_last = memoryview(b""), False
        self._at = 0  # in the window
        self._mark = self._run = b""
        self._stray_marks = 0

    def __iter__(self) -> Iterator[SpoolBlock | Fault]:
        fault = self._begin()
        if fault is not None:
            yield fault
            return
        while self._has(1):
            head = self._head()
            if head is None:
                yield self._search()
            elif not self._has(BLOCK_HEADER.size + head.size):
                yield self._torn(head)
            else:
                yield self._block(head)

    def _has(self, size: int) -> bool:
        """Whether there are so many octets from here on, which are in the window then."""
        while len(self._window) - self._at < size and not self._is_last:
            self._window, self._is_last = self._windows.next(self._at)
            self._at = 0
        return len(self._window) - self._at >= size

    def _skip(self, size: int) -> None:
        self._at += size
        self.offset += size

    def _begin(self) -> Fault | None:
        """Read the header of the file; what is wrong with it, and then it cannot be read."""
        if not self._has(FILE_HEADER.size):
            self._skip(len(self._window) - self._at)
            return Fault(FaultKind.TRUNCATED_TAIL, 0, detail="the spool ends within its header")
        try:
            self._mark, self._run, _ = FileHeader.unpack(self._window[self._at : self._at + FILE_HEADER.size])
        except ValueError as bad:
            return Fault(FaultKind.CAPTURE_DAMAGED, 0, detail=str(bad))
        self._skip(FILE_HEADER.size)
        return None

    def _head(self) -> BlockHeader | None:
        """The header of the block that begins here, if one does."""
        if not self._has(BLOCK_HEADER.size):
            return None
        return BlockHeader.unpack(self._window[self._at : self._at + BLOCK_HEADER.size], self._mark)

    def _search(self) -> Fault:
        """Go to where the next block begins, or to the end; what was skipped."""
        begin, mark = self.offset, re.compile(re.escape(self._mark))
        self._skip(1)
        while self._stray_marks < _MOST_STRAY and self._has(MARK):
            found = mark.search(self._window, self._at)
            if found is None:
                self._skip(len(self._window) - self._at - MARK + 1)
                continue
            self._skip(found.start() - self._at)
            if self._head() is not None:
                count = self.offset - begin
                self.counters["damaged_blocks"] += 1
                detail = f"{count} octets of the spool are no block and were skipped"
                return Fault(FaultKind.CAPTURE_DAMAGED, begin, detail=detail)
            self._stray_marks += 1
            self._skip(1)
        while self._has(1):
            self._skip(len(self._window) - self._at)
        detail = f"the spool ends with {self.offset - begin} octets that are no whole block"
        return Fault(FaultKind.TRUNCATED_TAIL, begin, detail=detail)

    def _torn(self, head: BlockHeader) -> Fault:
        begin, left = self.offset, len(self._window) - self._at
        self._skip(left)
        detail = f"the last block has {left} of {BLOCK_HEADER.size + head.size} octets, with {head.rows} datagrams"
        return Fault(FaultKind.TRUNCATED_TAIL, begin, detail=detail)

    def _block(self, head: BlockHeader) -> SpoolBlock | Fault:
        begin, at = self.offset, self._at + BLOCK_HEADER.size
        body = self._window[at : at + head.size]
        self._skip(BLOCK_HEADER.size + head.size)
        why = "its check sum does not match"
        if zlib.crc32(body) == head.crc:
            try:
                block = _decode(head, body, begin, self._run)
            except (HeadwaterError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as bad:
                why = str(bad)
            else:
                self.counters["blocks"] += 1
                self.counters["datagrams"] += head.rows
                self.counters["ended"] += len(block.ended)
                self.counters["dropped"] += sum(block.dropped.values())
                return block
        self.counters["damaged_blocks"] += 1
        self.counters["damaged_datagrams"] += head.rows
        detail = f"a block with {head.rows} datagrams is damaged: {why}"
        return Fault(FaultKind.CAPTURE_DAMAGED, begin, detail=detail)


def _decode(head: BlockHeader, body: memoryview, begin: int, run: bytes) -> SpoolBlock:
    """The block in `body`. begin: offset of its header. Raises HeadwaterError, msgspec.DecodeError: it is none."""
    told = _TOLD.decode(body[: head.told])
    if told.transport not in _TRANSPORTS:
        raise HeadwaterError(f"there is no transport {told.transport!r}")
    keys = [None if peer is None else _key(*peer) for peer in told.peers]
    at, rows = head.told, head.rows
    columns = []
    for form in head.forms:
        size = rows * int(form[2])
        columns.append(np.frombuffer(body[at : at + size], form).astype(form[1:]))  # a copy that lies well in memory
        at += size
    received, start, end, peer = columns[:4]
    stream = columns[4] if head.has_streams else None
    _check(start, end, peer, stream, octets=head.octets, peers=len(keys))
    buffer = np.frombuffer(body[at:], np.uint8) if head.octets else np.empty(0, np.uint8)
    offset = start + np.int64(begin + BLOCK_HEADER.size + at)
    return SpoolBlock(
        run,
        Transport(told.transport),
        (_address(told.local[0]), told.local[1]),
        Datagrams(buffer, start, end, peer, keys, offset, np.maximum(received, 0), stream),
        [key for key in (_one(keys, index) for index in told.ended) if key is not None],
        {_one(keys, index): count for index, count in told.dropped},
        [_fault(fault, begin, keys) for fault in told.faults],
    )


def _check(
    start: npt.NDArray[Any],
    end: npt.NDArray[Any],
    peer: npt.NDArray[Any],
    stream: npt.NDArray[Any] | None,
    *,
    octets: int,
    peers: int,
) -> None:
    """Datagrams follow each other, so that there is no more to decode than there are octets."""
    if not len(start):
        return
    is_placed = start[0] >= 0 and end[-1] <= octets and (start <= end).all() and (start[1:] >= end[:-1]).all()
    if not is_placed:
        raise HeadwaterError("datagrams lie outside of it")
    if peer.min() < 0 or peer.max() >= peers:
        raise HeadwaterError("datagrams are of a peer that it has not")
    if stream is not None and (stream.min() < 0 or stream.max() > _MOST_STREAM):
        raise HeadwaterError("there is no such SCTP stream")


@lru_cache(maxsize=1 << 16)
def _key(address: str, port: int, local_address: str, local_port: int) -> SessionKey:
    return SessionKey(_address(address), port, _address(local_address), local_port)


def _address(text: str) -> str:
    if not text.isprintable():  # it comes to terminals
        raise HeadwaterError("an address has characters that are none")
    return text


def _one(keys: list[SessionKey | None], index: int) -> SessionKey | None:
    if index >= len(keys):
        raise HeadwaterError("it tells of a peer that it has not")
    return keys[index]


def _fault(told: ToldFault, begin: int, keys: list[SessionKey | None]) -> Fault:
    if told.kind not in _KINDS:
        raise HeadwaterError(f"there is no fault {told.kind!r}")
    key = None if told.peer is None else _one(keys, told.peer)
    return Fault(FaultKind(told.kind), begin, told.domain, told.detail, told.count, key)
