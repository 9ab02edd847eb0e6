"""Records laid out for an exporting session in plain Python, and what it sends as a list of Messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headwater.model.template import Template
from headwater.session.exporting import ExportSession
from headwater.session.outgoing import Encoded, Outgoing
from tests import build as b
from tests.oracle import Account, listen

NOW = float(b.EXPORT_TIME)


def encoded(session: ExportSession, template: Template, records: Sequence[bytes]) -> Encoded:
    """What an encoder makes of records that are octets already."""
    room = session.room(template)
    buffer, first, begin = bytearray(), [0], [0]
    for number, octets in enumerate(records):
        used = len(buffer) - begin[-1] - room.header
        full = used + len(octets) > room.budget - room.budget % room.align
        if number and (full or number - first[-1] == room.most):
            buffer += bytes(-used % room.align)
            first.append(number)
            begin.append(len(buffer))
        if begin[-1] == len(buffer):
            buffer += bytes(room.header)
        buffer += octets
    if records:
        buffer += bytes(-(len(buffer) - begin[-1] - room.header) % room.align)
        first.append(len(records))
        begin.append(len(buffer))
    octets_ = np.frombuffer(buffer, np.uint8)
    return Encoded(template, octets_, np.array(first, np.int32), np.array(begin, np.int32), room)


def messages(sent: Iterable[Outgoing]) -> list[bytes]:
    """Every Message, in order."""
    return [bytes(message) for outgoing in sent for message in outgoing.messages()]


def send(
    session: ExportSession,
    template: Template,
    *records: bytes,
    domain: int = 0,
    now: float = NOW,
    stream: int = 0,
) -> list[bytes]:
    """The Messages that go out for these records."""
    return messages(session.send(encoded(session, template, records), domain, now=now, stream=stream))


def read(*sent: bytes, transport: str = "tcp") -> Account:
    """What a collector is told, who must find nothing wrong."""
    told = listen(*sent, transport=transport)
    assert told.faults == []
    assert told.gaps == []
    assert told.value_faults == []
    return told
