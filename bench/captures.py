"""Captures of NetFlow v9 and v5 as a router's exports look on the wire: pcap, Ethernet, IPv4, UDP, payload.

Made from a seed with plain `struct`; the totals are counted while the records are made. Nothing here uses headwater.

v9: datagrams of at most 1,420 octets with 20-field IPv4 flows of 55 octets, sent by one exporter or by many in random
    order. Every 20th datagram of an exporter begins with its Template, every 100th of them with an Options Template
    and a sampler record too (RFC 3954 §5-6). FlowSets are padded to 4 octets; the count of a header is that of all
    records, the Templates too; the sequence number counts datagrams.
v5: datagrams of 30 records; the sequence number counts flows.
Checksums of IPv4 and UDP are right. Times of arrival have microseconds.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from totals import Totals

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MTU = 1420  # octets of UDP payload, for v9
TEMPLATES_EVERY = 20  # datagrams of an exporter
OPTIONS_EVERY = 100
COLLECTOR = 0xC6336401  # 198.51.100.1
EPOCH_MS = 1_700_000_000_000
UPTIME_MS = 90 * 86_400_000 % (1 << 32)
FLOW_ID, SAMPLER_ID = 256, 257

FLOW9 = (
    (8, 4), (12, 4), (15, 4), (10, 4), (14, 4), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (6, 1), (4, 1),
    (5, 1), (16, 4), (17, 4), (9, 1), (13, 1), (61, 1), (48, 1),
)  # fmt: skip
SAMPLER_SCOPE, SAMPLER = ((1, 4),), ((48, 1), (49, 1), (50, 4))  # System; id, mode, random interval

FLOW9_RECORD = struct.Struct(">IIIIIIIIIHHBBBIIBBBB")
SAMPLER_RECORD = struct.Struct(">IBBI")
FLOW5_RECORD = struct.Struct(">IIIHHIIIIHHxBBBHHBBxx")
HEADER9 = struct.Struct(">HHIIII")
HEADER5 = struct.Struct(">HHIIIIBBH")


class Capture:
    """A pcap file of UDP datagrams over Ethernet, in order of arrival."""

    def __init__(self) -> None:
        self.parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
        self.octets = len(self.parts[0])

    def datagram(self, source: int, port: int, number: int, payload: bytes, time_us: int) -> None:
        """Append one datagram. number: of the exporter's datagrams, for the identification of IPv4."""
        length = 8 + len(payload)
        pseudo = struct.pack(">IIHH", source, COLLECTOR, 17, length)
        head = struct.pack(">HHHH", port, 2055, length, 0)
        head = struct.pack(">HHHH", port, 2055, length, checksum(pseudo + head + payload) or 0xFFFF)
        fields = (0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 62, 17)
        internet = struct.pack(">BBHHHBBHII", *fields, 0, source, COLLECTOR)
        internet = struct.pack(">BBHHHBBHII", *fields, checksum(internet), source, COLLECTOR)
        frame = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00" + internet + head + payload
        self.parts += struct.pack("<IIII", time_us // 1_000_000, time_us % 1_000_000, len(frame), len(frame)), frame
        self.octets += 16 + len(frame)


def checksum(content: bytes) -> int:
    """The Internet checksum (RFC 1071): a sum of 16-bit words modulo 65535, inverted."""
    rest = int.from_bytes(content + b"\0" * (len(content) % 2), "big") % 0xFFFF
    return 0xFFFF - rest


class Exporter:
    """One exporter: where it sends from, and what it has sent."""

    def __init__(self, number: int) -> None:
        self.address = 0x0A010001 + (number << 8)
        self.port = 50_000 + number
        self.domain = 256 + number
        self.datagrams = 0
        self.flows = 0
        self.boot_ms = EPOCH_MS - UPTIME_MS + number * 12_345


def v9(exporters: int) -> Callable[[int, random.Random], tuple[bytes, Totals]]:
    """A maker of captures of so many exporters; it is given the octets wanted and the source of randomness."""

    def build(octets: int, r: random.Random) -> tuple[bytes, Totals]:
        out, totals, now_us = Capture(), Totals(), EPOCH_MS * 1000
        senders = [Exporter(number) for number in range(exporters)]
        while out.octets < octets:
            sender = r.choice(senders)
            payload = datagram9(sender, r, now_us // 1000, totals)
            out.datagram(sender.address, sender.port, sender.datagrams, payload, now_us)
            sender.datagrams += 1
            now_us += r.randrange(200, 1800)
        return b"".join(out.parts), totals

    return build


def datagram9(sender: Exporter, r: random.Random, now_ms: int, totals: Totals) -> bytes:
    """One export packet, full."""
    sets, count = [], 0
    if sender.datagrams % TEMPLATES_EVERY == 0:
        fields = b"".join(struct.pack(">HH", *field) for field in FLOW9)
        sets.append(flowset(0, struct.pack(">HH", FLOW_ID, len(FLOW9)) + fields))
        count += 1
    if sender.datagrams % OPTIONS_EVERY == 0:
        fields = b"".join(struct.pack(">HH", *field) for field in SAMPLER_SCOPE + SAMPLER)
        sets.append(flowset(1, struct.pack(">HHH", SAMPLER_ID, 4 * len(SAMPLER_SCOPE), 4 * len(SAMPLER)) + fields))
        values = (0, 1, 2, 1000)
        totals.add(0, *values)
        totals.records += 1
        sets.append(flowset(SAMPLER_ID, SAMPLER_RECORD.pack(*values)))
        count += 2
    room = MTU - HEADER9.size - sum(map(len, sets)) - 4
    uptime = (now_ms - sender.boot_ms) & 0xFFFFFFFF
    flows = [flow9(r, uptime, totals) for _ in range((room & ~3) // FLOW9_RECORD.size)]
    sets.append(flowset(FLOW_ID, b"".join(flows)))
    count += len(flows)
    totals.records += len(flows)
    head = HEADER9.pack(9, count, uptime, now_ms // 1000, sender.datagrams & 0xFFFFFFFF, sender.domain)
    return head + b"".join(sets)


def flowset(set_id: int, content: bytes) -> bytes:
    """A FlowSet, padded to 4 octets (RFC 3954 §5.3)."""
    padding = -len(content) % 4
    return struct.pack(">HH", set_id, 4 + len(content) + padding) + content + bytes(padding)


def flow9(r: random.Random, uptime: int, totals: Totals) -> bytes:
    octets, end = r.getrandbits(24), (uptime - r.getrandbits(12)) & 0xFFFFFFFF
    values = (
        r.getrandbits(32), r.getrandbits(32), r.getrandbits(32), r.randrange(1, 600), r.randrange(1, 600),
        r.getrandbits(12), octets, (end - r.getrandbits(14)) & 0xFFFFFFFF, end, r.getrandbits(16), 443, 0x1B, 6, 0,
        64512 + r.getrandbits(8), 4_200_000_000 + r.getrandbits(8), 24, 16, 0, 1,
    )  # fmt: skip
    totals.add(octets, *values)
    return FLOW9_RECORD.pack(*values)


def v5(octets: int, r: random.Random) -> tuple[bytes, Totals]:
    """A capture of one exporter of about so many octets."""
    out, totals, now_us, sender = Capture(), Totals(), EPOCH_MS * 1000, Exporter(0)
    while out.octets < octets:
        now_ms = now_us // 1000
        uptime = (now_ms - sender.boot_ms) & 0xFFFFFFFF
        flows = [flow5(r, uptime, totals) for _ in range(30)]
        head = HEADER5.pack(
            5, 30, uptime, now_ms // 1000, now_us % 1_000_000 * 1000, sender.flows & 0xFFFFFFFF, 1, 3, 0
        )  # fmt: skip
        out.datagram(sender.address, sender.port, sender.datagrams, head + b"".join(flows), now_us)
        sender.datagrams += 1
        sender.flows += 30
        totals.records += 30
        now_us += r.randrange(200, 1800)
    return b"".join(out.parts), totals


def flow5(r: random.Random, uptime: int, totals: Totals) -> bytes:
    octets, end = r.getrandbits(24), (uptime - r.getrandbits(12)) & 0xFFFFFFFF
    values = (
        r.getrandbits(32), r.getrandbits(32), r.getrandbits(32), r.randrange(1, 600), r.randrange(1, 600),
        r.getrandbits(12), octets, (end - r.getrandbits(14)) & 0xFFFFFFFF, end, r.getrandbits(16), 443, 0x1B, 6, 0,
        64512 + r.getrandbits(8), 65000 + r.getrandbits(8), 24, 16,
    )  # fmt: skip
    totals.add(octets, *values)
    return FLOW5_RECORD.pack(*values)
