"""Messages on their way out: records laid out for them, and Messages ready to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from headwater.model.template import Template


@dataclass(frozen=True, slots=True)
class Room:
    """What the Messages of one Template have room for.

    header: octets before the records, of the Message header and the Set header. budget: octets of records and padding
    behind it. align: the records of a Message are padded to a multiple of it; 1 = not at all. most: records in a
    Message, 0 = as many as fit (NetFlow v5 has 30).
    """

    header: int
    budget: int
    align: int = 1
    most: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Records of one Template, laid out as the Messages they go out in; the headers are still empty.

    template: what the records consist of; its id is the one the session gave. buffer: uint8[n], writable.
    first: int32[k+1], the first record of each of k Messages, then the number of all records.
    begin: int32[k+1], where each Message starts in the buffer, then where the last one ends.
    """

    template: Template
    buffer: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int32]
    room: Room

    def __len__(self) -> int:
        return len(self.begin) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """Messages back to back, ready to be sent.

    buffer: uint8[n]. begin: int32[k+1], where each of k Messages starts, then where the last one ends.
    records: data records in all of them. has_templates: there are Template records or withdrawals among them, which no
    transport may give up (RFC 7011 §8).
    """

    buffer: npt.NDArray[np.uint8]
    begin: npt.NDArray[np.int32]
    records: int = 0
    has_templates: bool = False

    def __len__(self) -> int:
        return len(self.begin) - 1

    def __bytes__(self) -> bytes:
        return self.buffer[self.begin[0] : self.begin[-1]].tobytes()

    def messages(self) -> Iterator[memoryview]:
        """Each Message, without a copy."""
        octets = memoryview(self.buffer)
        for start, end in pairwise(self.begin.tolist()):
            yield octets[start:end]
