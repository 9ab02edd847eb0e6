"""Templates of one exporter as they stood on the wire, to begin a file with (RFC 5655 §7.2)."""

from __future__ import annotations

import struct
from typing import Final

from headwater.errors import DecodeError
from headwater.wire.dialect import IPFIX, MAX_MESSAGE, OPTIONS_TEMPLATE_SET, SET_HEADER, TEMPLATE_SET
from headwater.wire.templates import TemplateRecord, read_templates

_HEADER: Final = struct.Struct("!HHIII")
_SET: Final = struct.Struct("!HH")
_MOST_OCTETS: Final = 4 << 20
"""Of the Templates of one exporter; later ones are not kept, and files that begin later lack them."""
_AROUND: Final = 180
"""Octets in memory around those of each Template, of each body that was seen and, as much again, of each domain."""
_MOST_SETTLED: Final = 32
_LONGEST_SETTLED: Final = 2048
_ENTERPRISE: Final = 0x80


class KnownTemplates:
    """What an exporter has defined, by Observation Domain.

    octets: what it takes in memory, about. left_out: Templates for which there was no room.
    """

    def __init__(self) -> None:
        self.octets = self.left_out = 0
        self._domains: dict[int, dict[int, tuple[int, bytes]]] = {}
        self._settled: set[tuple[int, int, bytes]] = set()

    def learn(self, domain: int, set_id: int, body: bytes) -> None:
        """Take in a Set of Templates; one that is malformed changes nothing."""
        mark = domain, set_id, body
        if mark in self._settled:  # exporters repeat theirs for ever
            return
        try:
            records = list(read_templates(body, options=set_id == OPTIONS_TEMPLATE_SET))
        except DecodeError:
            return
        known = self._domains.get(domain)
        if known is None:
            known = self._domains[domain] = {}
            self.octets += _AROUND
        is_other = [
            self._withdraw(known, record.id) if record.is_withdrawal else self._put(known, record, set_id, body)
            for record in records
        ]
        if not known:
            del self._domains[domain]
            self.octets -= _AROUND
        if any(is_other) or len(self._settled) >= _MOST_SETTLED:
            self.octets -= sum(len(octets) + _AROUND for _, _, octets in self._settled)
            self._settled.clear()
        if len(body) <= _LONGEST_SETTLED:
            self._settled.add(mark)
            self.octets += len(body) + _AROUND

    def messages(self, domain: int, export_time: int, sequence: int) -> bytes:
        """Messages with the Templates of a domain; they count no records, so all have the same sequence number."""
        sets = {TEMPLATE_SET: [b""], OPTIONS_TEMPLATE_SET: [b""]}
        most = MAX_MESSAGE - IPFIX.header - SET_HEADER
        for set_id, octets in self._domains.get(domain, {}).values():
            if len(sets[set_id][-1]) + len(octets) > most:
                sets[set_id].append(b"")
            sets[set_id][-1] += octets
        return b"".join(
            _HEADER.pack(IPFIX.version, IPFIX.header + SET_HEADER + len(body), export_time, sequence, domain)
            + _SET.pack(set_id, SET_HEADER + len(body))
            + body
            for set_id, bodies in sets.items()
            for body in bodies
            if body
        )

    def _put(self, known: dict[int, tuple[int, bytes]], record: TemplateRecord, set_id: int, body: bytes) -> bool:
        """Whether the id was another Template's."""
        new = set_id, body[record.at : record.at + _size(body, record, set_id)]
        old = known.get(record.id)
        if old == new:
            return False
        self._drop(known, record.id)
        size = len(new[1]) + _AROUND
        if self.octets + size > _MOST_OCTETS:
            self.left_out += 1
        else:
            known[record.id] = new
            self.octets += size
        return old is not None

    def _withdraw(self, known: dict[int, tuple[int, bytes]], id: int) -> bool:
        """The id of a kind of Sets withdraws all Templates of that kind (RFC 7011 §8.1)."""
        is_all = id in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET)
        for one in [one for one, (set_id, _) in known.items() if one == id or (is_all and set_id == id)]:
            self._drop(known, one)
        return True

    def _drop(self, known: dict[int, tuple[int, bytes]], id: int) -> None:
        gone = known.pop(id, None)
        if gone is not None:
            self.octets -= len(gone[1]) + _AROUND


def _size(body: bytes, record: TemplateRecord, set_id: int) -> int:
    """Octets of a record that has been read."""
    at = record.at + (6 if set_id == OPTIONS_TEMPLATE_SET else 4)
    for _ in record.specifiers:
        at += 8 if body[at] & _ENTERPRISE else 4
    return at - record.at
