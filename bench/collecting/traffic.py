"""What the exporters of `sender` send: the flows of shape S1, of one exporter or of many.

one        one exporter, one Template
same       1,000 exporters that all have the same Template
different  1,000 exporters, each with the fields of S1 in an order of its own
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shapes import FLOW, FLOW_ID, make

EXPORTERS = 1000
OF_EACH = 4  # Messages
PER_MESSAGE = 25
OCTETS = 4 << 20  # of the file that the flows are from
VERSION = 2
HEAD = struct.Struct("=III")  # exporter, records, length
RECORD = sum(length for _, length, _ in FLOW)


def traffic(kind: str, directory: Path) -> Path:
    """The file of a kind; made on first use."""
    path = directory / f"collecting-{kind}-{VERSION}.messages"
    if not path.exists():
        source, _ = make("S1", directory, OCTETS)
        found = _one(source.read_bytes()) if kind == "one" else _many(source.read_bytes(), kind == "different")
        path.write_bytes(b"".join(HEAD.pack(exporter, count, len(m)) + m for exporter, count, m in found))
    return path


def _one(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    yield 0, 0, _template(range(len(FLOW)))
    for records in _records(data):
        yield 0, len(records), _message(FLOW_ID, b"".join(records))


def _many(data: bytes, is_different: bool) -> Iterator[tuple[int, int, bytes]]:
    chance = random.Random(1)
    lengths = [length for _, length, _ in FLOW]
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    orders = [list(range(len(FLOW))) for _ in range(EXPORTERS)]
    for order in orders if is_different else []:
        chance.shuffle(order)
    for exporter, order in enumerate(orders):
        yield exporter, 0, _template(order)
    groups = list(_records(data))
    for number in range(EXPORTERS * OF_EACH):
        exporter = number % EXPORTERS
        cuts = [slice(ends[field] - lengths[field], ends[field]) for field in orders[exporter]]
        records = groups[number % len(groups)]
        yield exporter, len(records), _message(FLOW_ID, b"".join(record[cut] for record in records for cut in cuts))


def _records(data: bytes) -> Iterator[list[bytes]]:
    """The flows of a file, as many as a Message has at a time."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4])
        set_at = at + 16
        while set_at < at + length:
            set_id, size = struct.unpack_from(">HH", data, set_at)
            if set_id == FLOW_ID:
                body = data[set_at + 4 : set_at + size]
                found += [body[i : i + RECORD] for i in range(0, len(body) - RECORD + 1, RECORD)]
            set_at += size
        at += length
        while len(found) >= PER_MESSAGE:
            yield found[:PER_MESSAGE]
            del found[:PER_MESSAGE]


def _template(order: range | list[int]) -> bytes:
    fields = b"".join(struct.pack(">HH", FLOW[field][0], FLOW[field][1]) for field in order)
    return _message(2, struct.pack(">HH", FLOW_ID, len(FLOW)) + fields)


def _message(set_id: int, body: bytes) -> bytes:
    head = struct.pack(">HHIII", 10, 20 + len(body), 1_700_000_000, 0, 7)
    return head + struct.pack(">HH", set_id, 4 + len(body)) + body
