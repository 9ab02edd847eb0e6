"""Blocks of a Collecting Process as octets of a raw spool. The layout is in headwater.wire.spool."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from headwater.wire.spool import MARK, MOST_OCTETS, MOST_ROWS, BlockHeader, Told, ToldFault

if TYPE_CHECKING:
    from headwater.session.datagrams import Datagrams
    from headwater.session.key import SessionKey, Transport
    from headwater.transport.incoming.block import Block

_ENCODER: Final = msgspec.json.Encoder()


def new_mark() -> bytes:
    """What begins the blocks of a new file, or tells a run from others."""
    return secrets.token_bytes(MARK)


def encoded(block: Block, transport: Transport, local: tuple[str, int], mark: bytes) -> Iterator[bytes | memoryview]:
    """The octets of a block, in a few pieces, the last of which is its buffer; one that is too large becomes several.

    The pieces are to be written behind each other; the buffer is not copied.
    """
    parts = list(_small_parts(block.datagrams))
    for number, datagrams in enumerate(parts):
        yield from _encoded(block, datagrams, transport, local, mark, is_last=number == len(parts) - 1)


def _small_parts(datagrams: Datagrams) -> Iterator[Datagrams]:
    """The datagrams in their order, as many at a time as a block can have; those of each lie in ascending order."""
    start, end = datagrams.start, datagrams.end
    if (start[1:] < end[:-1]).any():
        datagrams = _in_order(datagrams)
        start, end = datagrams.start, datagrams.end
    rows = len(datagrams)
    if rows <= 1 or (rows <= MOST_ROWS and int(end[-1]) - int(start[0]) <= MOST_OCTETS):
        yield datagrams
        return
    for half in (slice(rows // 2), slice(rows // 2, None)):
        yield from _small_parts(_rows(datagrams, half))


def _in_order(datagrams: Datagrams) -> Datagrams:
    """With a buffer in which they lie as they came."""
    starts, ends = datagrams.start.tolist(), datagrams.end.tolist()
    buffer = b"".join(datagrams.buffer[start:end] for start, end in zip(starts, ends, strict=True))
    end = np.cumsum(datagrams.end - datagrams.start, dtype=np.int32)
    return replace(
        datagrams, buffer=np.frombuffer(buffer, np.uint8), start=end - (datagrams.end - datagrams.start), end=end
    )


def _rows(datagrams: Datagrams, rows: slice) -> Datagrams:
    names = ("start", "end", "peer", "offset", "received")
    columns = {name: getattr(datagrams, name)[rows] for name in names}
    return replace(datagrams, **columns, stream=None if datagrams.stream is None else datagrams.stream[rows])


def _encoded(
    block: Block, datagrams: Datagrams, transport: Transport, local: tuple[str, int], mark: bytes, *, is_last: bool
) -> Iterator[bytes | memoryview]:
    rows = len(datagrams)
    used, peer = np.unique(datagrams.peer, return_inverse=True)
    peers = _Peers([datagrams.keys[index] for index in used.tolist()])
    told = Told(transport.value, local, peers.told)
    if is_last:
        told.ended = [peers.index(key) for key in block.ended]
        told.dropped = [(peers.index(key), count) for key, count in block.dropped.items()]
        told.faults = [
            ToldFault(
                fault.kind.value,
                fault.domain,
                fault.detail,
                fault.count,
                None if fault.key is None else peers.index(fault.key),
            )
            for fault in block.faults
        ]
    what = _ENCODER.encode(told)
    first, after = (int(datagrams.start[0]), int(datagrams.end[-1])) if rows else (0, 0)
    columns = [datagrams.received, datagrams.start - np.int32(first), datagrams.end - np.int32(first), peer]
    if datagrams.stream is not None:
        columns.append(datagrams.stream)
    buffer = memoryview(np.ascontiguousarray(datagrams.buffer[first:after])).toreadonly()
    header = BlockHeader(0, len(what), rows, len(buffer), datagrams.stream is not None)
    tables = [column.astype(form).tobytes() for column, form in zip(columns, header.forms, strict=True)]
    head = what + b"".join(tables)
    yield header._replace(crc=zlib.crc32(buffer, zlib.crc32(head))).pack(mark) + head
    yield buffer


class _Peers:
    """The peers of a block, with those that only something is told of."""

    def __init__(self, keys: list[SessionKey | None]) -> None:
        self.told = [_told(key) for key in keys]
        self._keys = keys
        self._places: dict[SessionKey | None, int] | None = None

    def index(self, key: SessionKey | None) -> int:
        if self._places is None:
            self._places = {known: place for place, known in enumerate(self._keys)}
        place = self._places.setdefault(key, len(self.told))
        if place == len(self.told):
            self.told.append(_told(key))
        return place


def _told(key: SessionKey | None) -> tuple[str, int, str, int] | None:
    return None if key is None else (key.address, key.port, key.local_address, key.local_port)
