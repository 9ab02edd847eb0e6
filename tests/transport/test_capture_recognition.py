"""Which datagrams of a capture are flow export."""

from __future__ import annotations

import struct

import pytest

from headwater.errors import FaultKind
from tests import build, packets
from tests.packets import PEER, ethernet, udp
from tests.transport.capturing import run

OTHER_PORT = (*PEER[:3], 12345)
IPFIX = build.flows(3)[0]


def fixed(version: int, count: int, header: int, record: int, spare: int = 0) -> bytes:
    return (struct.pack("!HH", version, count) + bytes(header - 4)) + bytes(record * count + spare)


def v8(scheme: int, record: int, count: int = 2) -> bytes:
    return struct.pack("!HH18xB5x", 8, count, scheme) + bytes(record * count)


def v9(*sets: bytes) -> bytes:
    return struct.pack("!HHIIII", 9, 7, 0, 0, 0, 0) + b"".join(sets)


def flow_set(number: int, body: int) -> bytes:
    return struct.pack("!HH", number, 4 + body) + bytes(body)


SFLOW = struct.pack("!IIIIIII", 5, 1, 0x0A000001, 0, 1, 1, 0)
PLAUSIBLE = {
    "IPFIX": IPFIX,
    "IPFIX, three messages": IPFIX * 3,
    "v9": v9(flow_set(0, 20), flow_set(256, 9)),
    "v9 with padding": v9(flow_set(300, 20)) + bytes(3),
    "v9 options": v9(flow_set(1, 12)),
    "v1": fixed(1, 2, 16, 52),
    "v5": fixed(5, 30, 24, 48),
    "v5 with octets behind": fixed(5, 2, 24, 48, 4),
    "v7": fixed(7, 27, 24, 52),
    "v8 AS": v8(1, 28),
    "v8 full flow": v8(8, 44),
    "sFlow": SFLOW,
    "sFlow, agent of IPv6": struct.pack("!II16xIIII", 5, 2, 0, 1, 1, 0),
}
IMPLAUSIBLE = {
    "nothing": b"",
    "one octet": b"\x00",
    "a version alone": b"\x00\x0a",
    "text": b"GET / HTTP/1.1\r\n",
    "IPFIX of another length": IPFIX + b"\0",
    "IPFIX and something else": IPFIX + fixed(5, 1, 24, 48),
    "v9 without sets": v9(),
    "v9, a reserved set": v9(flow_set(17, 8)),
    "v9, a set that runs over": v9(flow_set(256, 8))[:-4],
    "v5 of no records": fixed(5, 0, 24, 48),
    "v5 of too many records": fixed(5, 31, 24, 48),
    "v5, cut short": fixed(5, 2, 24, 48)[:-1],
    "v5, a record too many": fixed(5, 2, 24, 48, 48),
    "v8 of no aggregation": v8(15, 24),
    "version 6": fixed(6, 1, 24, 48),
    "version 26": struct.pack("!HH", 26, 44) + bytes(40),
    "sFlow, agent of nothing": struct.pack("!II", 5, 3) + bytes(40),
    "sFlow, short": SFLOW[:24],
}


@pytest.mark.parametrize("name", PLAUSIBLE)
def test_a_datagram_that_is_plausible_as_a_whole_is_taken_from_any_port(name: str) -> None:
    payload = PLAUSIBLE[name]
    got = run(packets.pcap([ethernet(udp(payload, OTHER_PORT))]))
    assert got.payloads == [payload]


@pytest.mark.parametrize("name", IMPLAUSIBLE)
def test_anything_else_is_ignored_on_other_ports(name: str) -> None:
    got = run(packets.pcap([ethernet(udp(IMPLAUSIBLE[name], OTHER_PORT))]))
    assert got.counters() == {"packets": 1, "ignored": 1}
    assert got.capture.ignored_ports == {12345: 1}
    assert got.capture.keys == []


@pytest.mark.parametrize("port", [2055, 4739, 9995, 6343])
def test_on_a_well_known_port_the_version_is_enough(port: int) -> None:
    payload = IMPLAUSIBLE["IPFIX of another length"]
    assert run(packets.pcap([ethernet(udp(payload, (*PEER[:3], port)))])).payloads == [payload]
    text = IMPLAUSIBLE["text"]
    assert run(packets.pcap([ethernet(udp(text, (*PEER[:3], port)))])).payloads == []


@pytest.mark.parametrize("window", [64, 8 << 20])
def test_a_peer_is_taken_from_its_first_plausible_datagram_on(window: int) -> None:
    text = IMPLAUSIBLE["text"]
    others = [udp(text, ("10.9.9.9", 1, "10.0.0.2", 12345))] * 2
    frames = [udp(text, OTHER_PORT), *others, udp(IPFIX, OTHER_PORT), udp(text, OTHER_PORT), *others]
    got = run(packets.pcap(frames, link=packets.RAW), window=window)
    assert got.payloads == [IPFIX, text]
    assert got.counters() == {"packets": 7, "datagrams": 2, "ignored": 5}


@pytest.mark.parametrize("window", [64, 8 << 20])
def test_ports_that_are_asked_for_are_taken_whole_and_alone(window: int) -> None:
    text = IMPLAUSIBLE["text"]
    frames = [udp(text, OTHER_PORT), udp(IPFIX), udp(b"", OTHER_PORT), udp(IPFIX, (*PEER[:3], 999))]
    got = run(packets.pcap(frames, link=packets.RAW), ports=[12345, 999], window=window)
    assert got.payloads == [text, b"", IPFIX]
    assert got.capture.ignored_ports == {2055: 1}


@pytest.mark.parametrize("window", [64, 500, 8 << 20])
def test_peers_are_numbered_in_order_of_appearance_for_the_whole_capture(window: int) -> None:
    peers = [(f"10.0.{k}.1", k, "10.0.0.2", 2055) for k in (5, 1, 3, 5, 5, 1, 9, 3)]
    got = run(packets.pcap([udp(IPFIX, peer) for peer in peers], link=packets.RAW), window=window)
    assert [key.port for key in got.capture.keys if key] == [5, 1, 3, 9]
    assert [one.key.port for one in got.datagrams if one.key] == [5, 1, 3, 5, 5, 1, 9, 3]


@pytest.mark.parametrize("window", [64, 8 << 20])
def test_peers_beyond_the_limit_are_ignored_and_told(window: int) -> None:
    size = 16 + 28 + len(IPFIX)
    frames = [udp(IPFIX, (f"10.0.0.{k % 4}", 5, "10.0.0.2", 2055)) for k in range(8)]
    got = run(packets.pcap(frames, link=packets.RAW), window=window, most_peers=3)
    assert got.counters() == {"packets": 8, "datagrams": 6, "ignored": 2}
    assert len(got.capture.keys) == 3
    assert [(fault.kind, fault.offset) for fault in got.faults][:1] == [(FaultKind.SESSION_LIMIT, 24 + 3 * size + 44)]
    assert sum(fault.count for fault in got.faults) == 2


def test_many_peers_are_told_apart() -> None:
    peers = [(f"10.{k >> 8}.{k & 255}.1", 7, "10.0.0.2", 2055) for k in range(5000)]
    got = run(packets.pcap([udp(IPFIX, peer) for peer in peers * 2], link=packets.RAW), window=100_000)
    assert [one.key.address for one in got.datagrams if one.key] == [peer[0] for peer in peers] * 2
