"""Datagrams as they arrive: many at once, of any number of transport sessions, without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.session.key import SessionKey


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams that lie in one buffer, in the order of their arrival; columns are over d datagrams.

    Of streams a datagram is whole Messages of one transport session, one after the other.

    buffer: uint8[n]. start, end: int32[d], the payloads in it.
    peer: int32[d], index into `keys`: which transport session each belongs to. A source hands over the same growing
    list every time, so that an index keeps its meaning.
    offset: int64[d], absolute offset of each payload in its source. received: int64[d], arrival in nanoseconds since
    1970 (UTC), 0 = not known.
    stream: int32[d], SCTP stream of each, by which sequence numbers are counted (RFC 7011 §3.1); None = 0 for all.
    """

    buffer: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    peer: npt.NDArray[np.int32]
    keys: Sequence[SessionKey | None]
    offset: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    stream: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.start)
