"""Records that Messages of a file carry about themselves: checksums and details (RFC 5655 §8.1.1, §8.1.4)."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.model.template import Template
from headwater.session.outgoing import Outgoing
from headwater.wire.dialect import SET_HEADER

if TYPE_CHECKING:
    from headwater.model.registry import Registry

_SET: Final = struct.Struct("!HH")
_LENGTH: Final = struct.Struct("!H")
_NUMBER: Final = struct.Struct("!I")
_TIME: Final = struct.Struct("!Q")
_LENGTH_AT, _SEQUENCE_AT, _DOMAIN_AT = 2, 8, 12
_DIGEST: Final = 16
_WRAP: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """An options record that each Message has once, scoped to that Message.

    octets: of the record. time_at: where in them collectionTimeMilliseconds is, to be filled in; -1 = nowhere.
    is_checksum: whether they end with the MD5 of the Message.
    """

    template: Template
    octets: bytes
    time_at: int = -1
    is_checksum: bool = False

    def set_of(self, id: int, now: float) -> bytes:
        """Its Data Set in a Message of that time; a checksum is still zero."""
        octets = bytearray(_SET.pack(id, SET_HEADER + len(self.octets)) + self.octets)
        if self.time_at >= 0:
            _TIME.pack_into(octets, SET_HEADER + self.time_at, round(now * 1000))
        return bytes(octets)


def checksum_record(registry: Registry | None = None) -> MessageRecord:
    """The MD5 of the Message with these 16 octets zero (RFC 5655 §8.1.1)."""
    template = Template.of(256, "messageScope{scope}", "messageMD5Checksum[16]", registry=registry)
    return MessageRecord(template, bytes(1 + _DIGEST), is_checksum=True)


def octets_of(records: Sequence[MessageRecord]) -> int:
    """Octets that records need in each Message."""
    return sum(SET_HEADER + len(record.octets) for record in records)


class MessageRecords:
    """Puts records about it at the end of each Message, and numbers Messages so that these records count.

    records: a checksum is the last. ids: the Template IDs of the records in an Observation Domain.
    """

    def __init__(self, records: Sequence[MessageRecord], ids: Callable[[int], Sequence[int]]) -> None:
        self._records, self._ids = tuple(records), ids
        self._ahead: Counter[int] = Counter()  # by domain: records that the session does not know of

    def __len__(self) -> int:
        return len(self._records)

    @property
    def room(self) -> int:
        """Octets that they need in each Message."""
        return octets_of(self._records)

    def begin(self) -> None:
        """Another file begins, whose Messages are numbered from 0."""
        self._ahead.clear()

    def added(self, outgoing: Outgoing, now: float) -> Outgoing:
        """The Messages with their records."""
        if not self._records:
            return outgoing
        out, begin = bytearray(), [0]
        for message in outgoing.messages():
            out += self._one(bytearray(message), now)
            begin.append(len(out))
        records = outgoing.records + len(outgoing) * len(self._records)
        return Outgoing(np.frombuffer(out, np.uint8), np.array(begin, np.int32), records)

    def _one(self, message: bytearray, now: float) -> bytearray:
        (domain,) = _NUMBER.unpack_from(message, _DOMAIN_AT)
        (sequence,) = _NUMBER.unpack_from(message, _SEQUENCE_AT)
        for record, id in zip(self._records, self._ids(domain), strict=True):
            message += record.set_of(id, now)
        _LENGTH.pack_into(message, _LENGTH_AT, len(message))
        _NUMBER.pack_into(message, _SEQUENCE_AT, (sequence + self._ahead[domain]) % _WRAP)
        self._ahead[domain] += len(self._records)
        if self._records[-1].is_checksum:
            message[-_DIGEST:] = hashlib.md5(message, usedforsecurity=False).digest()
        return message
