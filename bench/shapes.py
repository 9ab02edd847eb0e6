"""The traffic every party of the benchmark reads, made from a seed with plain `struct`.

A shape is one file of IPFIX messages, or a capture of NetFlow, and the totals that an honest decoder must arrive at.
The totals are counted while the records are made, so no decoder is the judge of another. Nothing here uses headwater.

S1  12-field IPv4 flows in messages of at most 1,420 octets, as a UDP exporter sends them
S7  the same flows in messages of at most 65,000 octets, as a file or a stream holds them
S2  IPv4 flows, IPv6 flows and two kinds of options records, about four data sets to a message of 1,420 octets
    (what the mixed captures of real exporters show); reduced-size counters; every 20th message sends the templates
    again, an exporter-statistics record and a run of interface names
S3  the flows of S1 with a user name (about 14 octets, 1 % beyond ASCII) and a request target (about 55 octets,
    2 % with the 3-octet length prefix)
S4  YAF-like: the flows of S1, biflow fields, a basicList of 0-3 user agents, and a subTemplateMultiList of a TCP
    record (70 %) and a DNS record (40 %) that holds a subTemplateList of 1-4 questions and answers with names
S3L, S4L  S3 and S4 in messages of at most 65,000 octets
S5  a capture (pcap, Ethernet, IPv4, UDP) of NetFlow v9: 20-field IPv4 flows in datagrams of at most 1,420 octets
S5M the same from 64 exporters in random order
S6  a capture of NetFlow v5, 30 records to a datagram
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import captures
from totals import Totals, prefixed

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 32 << 20  # octets of a file: eight times the window that headwater decodes at once, more than the caches hold
SMALL = 1 << 20  # for parties that need microseconds for a record
VERSION = 1  # of the files; a change of the generator must change it
VARIABLE = 65535
CERT = 6871
REVERSE = 29305
DOMAIN = 7

Spec = tuple[int, int, int]  # (element id, length, enterprise number)

FLOW: tuple[Spec, ...] = tuple(
    (element, length, 0)
    for element, length in (
        (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 8), (2, 8), (152, 8), (153, 8), (10, 4), (14, 4),
    )
)  # fmt: skip
USER_AND_TARGET: tuple[Spec, ...] = ((371, VARIABLE, 0), (461, VARIABLE, 0))
YAF: tuple[Spec, ...] = (
    (1, 8, REVERSE), (2, 8, REVERSE), (21, 4, CERT), (14, 1, CERT), (291, VARIABLE, 0), (293, VARIABLE, 0),
)  # fmt: skip
TCP: tuple[Spec, ...] = (
    (184, 4, 0), (14, 1, CERT), (15, 1, CERT), (184, 4, REVERSE), (16398, 1, CERT), (16399, 1, CERT),
)  # fmt: skip
DNS: tuple[Spec, ...] = ((292, VARIABLE, 0),)
QUERY: tuple[Spec, ...] = (
    (199, 4, CERT), (175, 2, CERT), (226, 2, CERT), (174, 1, CERT), (176, 1, CERT), (177, 1, CERT), (178, 1, CERT),
    (179, VARIABLE, CERT),
)  # fmt: skip
EDGE_TAIL: tuple[Spec, ...] = tuple(
    (element, length, 0)
    for element, length in (
        (10, 4), (14, 4), (2, 4), (1, 4), (152, 8), (153, 8), (7, 2), (11, 2), (6, 1), (4, 1), (5, 1), (136, 1),
        (16, 4), (17, 4),
    )
)  # fmt: skip
EDGE4: tuple[Spec, ...] = ((8, 4, 0), (12, 4, 0), (15, 4, 0), *EDGE_TAIL, (9, 1, 0), (13, 1, 0))
EDGE6: tuple[Spec, ...] = ((27, 16, 0), (28, 16, 0), (62, 16, 0), *EDGE_TAIL, (29, 1, 0), (30, 1, 0), (31, 4, 0))
STATISTICS: tuple[Spec, ...] = ((144, 4, 0), (41, 8, 0), (40, 8, 0), (42, 8, 0))
INTERFACE: tuple[Spec, ...] = ((10, 4, 0), (82, VARIABLE, 0), (83, VARIABLE, 0))

FLOW_ID, STRINGS_ID, YAF_ID, TCP_ID, DNS_ID, QUERY_ID = 256, 257, 0xB000, 0xC003, 0xCE00, 0xCF00
EDGE4_ID, EDGE6_ID, STATISTICS_ID, INTERFACE_ID = 260, 261, 262, 263

FLOW_RECORD = struct.Struct(">IIHHBBQQQQII")
BIFLOW = struct.Struct(">QQIB")
TCP_RECORD = struct.Struct(">IBBIBB")
QUERY_RECORD = struct.Struct(">IHHBBBB")
EDGE4_RECORD = struct.Struct(">IIIIIIIQQHHBBBBIIBB")
EDGE6_RECORD = struct.Struct(">QQQQQQIIIIQQHHBBBBIIBBI")
STATISTICS_RECORD = struct.Struct(">IQQQ")


Build = Callable[[int, random.Random], tuple[bytes, Totals]]  # about so many octets of a file, and its totals
Records = Callable[["Message", random.Random, Totals], Iterator[None]]


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: what it is and how its file is made. family: what the file is, and its suffix."""

    name: str
    title: str
    build: Build
    family: str = "ipfix"


class Message:
    """Greedy packing of records into messages of at most `mtu` octets, with running sequence numbers."""

    def __init__(self, mtu: int) -> None:
        self.mtu = mtu
        self.done: list[bytes] = []
        self.sequence = 0
        self.export_time = 1_700_000_000
        self._sets: list[tuple[int, list[bytes]]] = []
        self._length = 16
        self._records = 0

    def template_set(self, set_id: int, *records: bytes) -> None:
        self._open(set_id, sum(map(len, records)))
        self._sets[-1][1].extend(records)

    def record(self, template_id: int, content: bytes) -> None:
        if not self._sets or self._sets[-1][0] != template_id or self._length + len(content) > self.mtu:
            self._open(template_id, len(content))
        self._sets[-1][1].append(content)
        self._length += len(content)
        self._records += 1

    def flush(self) -> None:
        if not self._sets:
            return
        bodies = [(set_id, b"".join(parts)) for set_id, parts in self._sets]
        body = b"".join(struct.pack(">HH", set_id, len(content) + 4) + content for set_id, content in bodies)
        head = struct.pack(">HHIII", 10, len(body) + 16, self.export_time, self.sequence & 0xFFFFFFFF, DOMAIN)
        self.done.append(head + body)
        self.sequence += self._records
        self.export_time += 1
        self._sets, self._length, self._records = [], 16, 0

    def _open(self, set_id: int, length: int) -> None:
        if self._length + 4 + length > self.mtu:
            self.flush()
        self._sets.append((set_id, []))
        self._length += 4 + (length if set_id < 256 else 0)


def template(template_id: int, fields: tuple[Spec, ...], scopes: int = 0) -> bytes:
    """A Template Record, or with scopes an Options Template Record (RFC 7011 §3.4)."""
    head = struct.pack(">HH", template_id, len(fields)) + (struct.pack(">H", scopes) if scopes else b"")
    return head + b"".join(
        struct.pack(">HHI", element | 0x8000, length, pen) if pen else struct.pack(">HH", element, length)
        for element, length, pen in fields
    )


def flow(r: random.Random, number: int, totals: Totals) -> bytes:
    start = 1_700_000_000_000 + number
    octets = r.getrandbits(30)
    values = (
        r.getrandbits(32), r.getrandbits(32), r.getrandbits(16), 443, 6, 0x1B, octets, r.getrandbits(12),
        start, start + r.getrandbits(14), 3, 9,
    )  # fmt: skip
    totals.add(octets, *values)
    return FLOW_RECORD.pack(*values)


def flows(out: Message, r: random.Random, totals: Totals) -> Iterator[None]:
    out.template_set(2, template(FLOW_ID, FLOW))
    while True:
        out.record(FLOW_ID, flow(r, totals.records, totals))
        totals.records += 1
        yield


NAMES = ["alice", "svc-backup", "m.rodriguez@corp.example.net", "host/db-04.internal.example.org", "x"]
FOREIGN = ["björn.åström", "Ольга Иванова", "田中太郎", "zoë🙂"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789/-_.=&?"


def strings(out: Message, r: random.Random, totals: Totals) -> Iterator[None]:
    pool = "".join(r.choices(LETTERS, k=8192)).encode()
    names, foreign = [name.encode() for name in NAMES], [name.encode() for name in FOREIGN]
    out.template_set(2, template(STRINGS_ID, FLOW + USER_AND_TARGET))
    while True:
        user = r.choice(foreign) if r.random() < 0.01 else r.choice(names) + pool[: r.randrange(4)]
        length = r.randrange(8, 88) if r.random() < 0.98 else r.randrange(255, 400)
        at = r.randrange(len(pool) - length)
        record = flow(r, totals.records, totals) + totals.string(user) + totals.string(pool[at : at + length])
        out.record(STRINGS_ID, record)
        totals.records += 1
        yield


HOSTS = [
    "www.example.com.",
    "a.b.",
    "very-long-host-name-label.cdn.provider.example.net.",
    "x.org.",
    "mail.example.org.",
]
AGENTS = [
    "curl/8.5.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
]


def yaf(out: Message, r: random.Random, totals: Totals) -> Iterator[None]:
    hosts, agents = [host.encode() for host in HOSTS], [agent.encode() for agent in AGENTS]
    out.template_set(
        2, template(YAF_ID, FLOW + YAF), template(TCP_ID, TCP), template(DNS_ID, DNS), template(QUERY_ID, QUERY)
    )
    while True:
        content = flow(r, totals.records, totals)
        biflow = (r.getrandbits(24), r.getrandbits(10), r.getrandbits(16), 0x12)
        totals.add(0, *biflow)
        listed = [totals.string(r.choice(agents)) for _ in range(r.choice((0, 0, 1, 1, 2, 3)))]
        totals.inner += len(listed)
        basic = struct.pack(">BHHI", 3, 111 | 0x8000, VARIABLE, CERT) + b"".join(listed)
        entries = [tcp_entry(r, totals)] if r.random() < 0.7 else []
        if r.random() < 0.4:
            entries.append(dns_entry(r, hosts, totals))
        content += BIFLOW.pack(*biflow) + prefixed(basic)
        multi = b"\x03" + b"".join(entries)
        out.record(YAF_ID, content + b"\xff" + struct.pack(">H", len(multi)) + multi)  # lists use the long form
        totals.records += 1
        yield


def tcp_entry(r: random.Random, totals: Totals) -> bytes:
    values = (r.getrandbits(32), 0x02, 0x1B, r.getrandbits(32), 0x12, 0x1B)
    totals.add(0, *values)
    totals.inner += 1
    return struct.pack(">HH", TCP_ID, 4 + TCP_RECORD.size) + TCP_RECORD.pack(*values)


def dns_entry(r: random.Random, hosts: list[bytes], totals: Totals) -> bytes:
    queries = b""
    for section in range(r.randrange(1, 5)):
        values = (r.getrandbits(12), 1, r.getrandbits(16), 1, 0, r.getrandbits(1), section)
        totals.add(0, *values)
        queries += QUERY_RECORD.pack(*values) + totals.string(r.choice(hosts))
        totals.inner += 1
    totals.inner += 1
    content = struct.pack(">BH", 3, QUERY_ID) + queries
    record = b"\xff" + struct.pack(">H", len(content)) + content
    return struct.pack(">HH", DNS_ID, 4 + len(record)) + record


def edge_tail(r: random.Random, number: int, totals: Totals) -> tuple[int, ...]:
    octets, start = r.getrandbits(28), 1_700_000_000_000 + number
    totals.octets += octets
    return (
        r.randrange(1, 48), r.randrange(1, 48), r.getrandbits(12), octets, start, start + r.getrandbits(14),
        r.getrandbits(16), 443, 0x1B, 6, 0, 3, r.getrandbits(16), r.getrandbits(16),
    )  # fmt: skip


def edge(out: Message, r: random.Random, totals: Totals) -> Iterator[None]:
    """A router's flows of both families, in runs, as its caches expire them."""
    told, four = -1, False
    while True:
        four = not four
        for _ in range(int(r.expovariate(1 / (6 if four else 3))) + 1):
            if len(out.done) % 20 == 0 and told != len(out.done):
                told = len(out.done)
                yield from options(out, r, told, totals)
            tail = edge_tail(r, totals.records, totals)
            if four:
                values = (*(r.getrandbits(32) for _ in range(3)), *tail, 24, 16)
                out.record(EDGE4_ID, EDGE4_RECORD.pack(*values))
            else:
                values = (*(r.getrandbits(64) for _ in range(6)), *tail, 48, 64, r.getrandbits(20))
                out.record(EDGE6_ID, EDGE6_RECORD.pack(*values))
            totals.values += sum(values)
            totals.records += 1
            yield


def options(out: Message, r: random.Random, number: int, totals: Totals) -> Iterator[None]:
    out.template_set(2, template(EDGE4_ID, EDGE4), template(EDGE6_ID, EDGE6))
    out.template_set(3, template(STATISTICS_ID, STATISTICS, scopes=1), template(INTERFACE_ID, INTERFACE, scopes=1))
    values = (1, number, number * 1400, totals.records)
    totals.values += sum(values)
    totals.records += 1
    out.record(STATISTICS_ID, STATISTICS_RECORD.pack(*values))
    yield
    for index in range(8):
        interface = (number + index) % 48 + 1
        totals.values += interface
        name, text = f"xe-0/0/{interface}".encode(), f"uplink {interface} Zürich".encode()
        record = struct.pack(">I", interface) + totals.string(name) + totals.string(text)
        out.record(INTERFACE_ID, record)
        totals.records += 1
        yield


def messages(mtu: int, records: Records) -> Build:
    """A maker of files of IPFIX messages of at most `mtu` octets."""

    def build(octets: int, r: random.Random) -> tuple[bytes, Totals]:
        out, totals = Message(mtu), Totals()
        written = records(out, r, totals)
        while len(out.done) * mtu < octets:
            next(written)
        out.flush()
        return b"".join(out.done), totals

    return build


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("S1", "12-field IPv4, 1,420-octet messages", messages(1420, flows)),
        Shape("S7", "12-field IPv4, 65,000-octet messages", messages(65000, flows)),
        Shape("S2", "IPv4, IPv6 and options mixed, 1,420", messages(1420, edge)),
        Shape("S3", "12 fields and 2 strings, 1,420", messages(1420, strings)),
        Shape("S4", "YAF-like, basicList and STML, 1,420", messages(1420, yaf)),
        Shape("S3L", "12 fields and 2 strings, 65,000", messages(65000, strings)),
        Shape("S4L", "YAF-like, basicList and STML, 65,000", messages(65000, yaf)),
        Shape("S5", "v9, 20-field IPv4, one exporter", captures.v9(1), "pcap"),
        Shape("S5M", "v9, 20-field IPv4, 64 exporters", captures.v9(64), "pcap"),
        Shape("S6", "v5, 30 records a datagram", captures.v5, "pcap"),
    )
}


def make(name: str, directory: Path, octets: int = LARGE) -> tuple[Path, dict[str, int]]:
    """The file of a shape, of about `octets`, and its totals; made on first use."""
    shape = SHAPES[name]
    path = directory / f"{name}-{octets >> 20}-{VERSION}.{shape.family}"
    facts = path.with_suffix(".json")
    if not facts.exists():
        directory.mkdir(parents=True, exist_ok=True)
        data, totals = shape.build(octets, random.Random(name))
        path.write_bytes(data)
        facts.write_text(json.dumps(totals.wrapped()))
    return path, json.loads(facts.read_text())
