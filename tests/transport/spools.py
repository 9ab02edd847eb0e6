"""Raw spools for tests: blocks of datagrams, and files of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from headwater.errors import Fault
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey, Transport
from headwater.sinks.spool_blocks import encoded
from headwater.transport.incoming.block import Block
from headwater.wire.spool import FileHeader
from tests import build as b

MARK, RUN = b"\x81markm\xe4r", b"one run."
LOCAL = ("192.0.2.9", 4739)
EXPORTER = SessionKey("192.0.2.1", 50001, *LOCAL)
OTHER = SessionKey("2001:db8::1", 50002, *LOCAL)
RECEIVED = b.EXPORT_TIME * 10**9

Lane = tuple[Transport, tuple[str, int]]
UDP: Lane = (Transport.UDP, LOCAL)


def block(
    *datagrams: bytes,
    keys: Sequence[SessionKey | None] = (EXPORTER,),
    received: int = RECEIVED,
    streams: Sequence[int] | None = None,
    ended: Sequence[SessionKey] = (),
    dropped: Mapping[SessionKey, int] | None = None,
    faults: Sequence[Fault] = (),
) -> Block:
    """Datagrams that came a microsecond apart. keys: whose each is; the last is that of the rest too."""
    sizes = np.array([len(datagram) for datagram in datagrams], np.int32)
    end = np.cumsum(sizes, dtype=np.int32)
    whose = [keys[min(i, len(keys) - 1)] for i in range(len(datagrams))]
    known = list(dict.fromkeys(whose))
    peer = np.array([known.index(key) for key in whose], np.int32)
    buffer = np.frombuffer(b"".join(datagrams), np.uint8) if end.size and end[-1] else np.empty(0, np.uint8)
    rows = np.arange(len(datagrams), dtype=np.int64)
    stream = None if streams is None else np.array(streams, np.int32)
    given = Datagrams(
        buffer, end - sizes, end, peer, known, (end - sizes).astype(np.int64), received + rows * 1000, stream
    )
    return Block(given, ended, faults, dropped or {})


def pieces(*blocks: Block, lane: Lane = UDP, mark: bytes = MARK, run: bytes = RUN) -> list[bytes]:
    """The header of a spool, and each of the blocks."""
    return [FileHeader(mark, run, RECEIVED).pack(), *(b"".join(encoded(one, *lane, mark)) for one in blocks)]


def spool(*blocks: Block, lane: Lane = UDP, mark: bytes = MARK, run: bytes = RUN) -> bytes:
    """A spool of one listener."""
    return b"".join(pieces(*blocks, lane=lane, mark=mark, run=run))


def payloads(datagrams: Datagrams) -> list[bytes]:
    """The octets of each."""
    ends: Iterable[tuple[int, int]] = zip(datagrams.start.tolist(), datagrams.end.tolist(), strict=True)
    return [datagrams.buffer[start:end].tobytes() for start, end in ends]
