"""Captures: framing, link types, networks, and which datagrams are taken."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from headwater.errors import FaultKind
from headwater.session.key import SessionKey
from headwater.transport.capture import is_capture
from headwater.transport.capture.framing import PcapngFraming
from tests import build, packets
from tests.packets import PEER, PEER6, ethernet, udp
from tests.transport.capturing import KEY, run

MESSAGES = build.flows(60, mtu=300)[:6]
FRAMES = [ethernet(udp(message)) for message in MESSAGES]
T = 1_700_000_000_123_456_789


def v5(count: int = 1) -> bytes:
    return struct.pack("!HH", 5, count) + bytes(20 + 48 * count)


# --- pcap ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)])
def test_every_kind_of_pcap_gives_payloads_keys_offsets_and_times(order: str, magic: int, unit: int) -> None:
    data = packets.pcap([(T + k, frame) for k, frame in enumerate(FRAMES)], order=order, magic=magic)
    assert is_capture(data[:4])
    got = run(data)
    assert got.payloads == MESSAGES
    assert [one.key for one in got.datagrams] == [KEY] * 6
    assert [one.received for one in got.datagrams] == [(T + k) // unit * unit for k in range(6)]
    assert [data[one.offset :][: len(one.payload)] for one in got.datagrams] == MESSAGES
    assert got.counters() == {"packets": 6, "datagrams": 6}
    assert got.faults == []


def test_what_is_above_the_link_type_is_masked() -> None:
    data = packets.pcap(FRAMES, link=0x54000001)
    assert run(data).payloads == MESSAGES


def test_an_ethernet_trailer_is_no_payload() -> None:
    message = build.message()
    assert run(packets.pcap([ethernet(udp(message), trailer=bytes(18))])).payloads == [message]


@pytest.mark.parametrize("window", [64, 100, 333, 5000])
@pytest.mark.parametrize("make", [packets.pcap, lambda frames: pcapng(frames)], ids=["pcap", "pcapng"])
def test_windows_of_any_size_give_the_same(make: Callable[[list[bytes]], bytes], window: int) -> None:
    mixed = [*FRAMES, ethernet(udp(b"none of ours")), ethernet(udp(v5(), PEER6)), ethernet(b"", kind=0x0806), *FRAMES]
    data = make(mixed)
    whole, cut = run(data), run(data, window=window)
    assert whole.datagrams == cut.datagrams
    assert whole.counters() == cut.counters()


def test_a_file_cut_anywhere_gives_what_is_whole_and_tells_the_rest() -> None:
    frames = [ethernet(udp(v5(1))) for _ in range(2)]
    data = packets.pcap(frames)
    size = 16 + len(frames[0])
    for length in range(len(data)):
        got = run(data[:length])
        whole = max(length - 24, 0) // size
        assert len(got.datagrams) == whole
        if length >= 24 and (length - 24) % size == 0:
            assert got.faults == []
        else:
            (fault,) = got.faults
            assert (fault.kind, fault.offset) == (FaultKind.TRUNCATED_TAIL, 24 + whole * size if length >= 24 else 0)


@pytest.mark.parametrize("garbage", [b"\xff" * 40, bytes(40)], ids=["ones", "zeros"])
def test_garbage_in_a_pcap_ends_it_with_a_fault(garbage: bytes) -> None:
    data = packets.pcap(FRAMES[:2])
    got = run(data + garbage + packets.pcap(FRAMES)[24:])
    assert got.payloads == MESSAGES[:2]
    assert [(fault.kind, fault.offset) for fault in got.faults] == [(FaultKind.CAPTURE_DAMAGED, len(data))]


@pytest.mark.parametrize("head", [b"", b"\xa1", b"\x00\x0a", b"\x0a\x0d\x0d", b"PK\x03\x04"])
def test_other_content_is_no_capture(head: bytes) -> None:
    assert not is_capture(head)


def test_a_capture_of_no_packets_is_empty() -> None:
    got = run(packets.pcap([]))
    assert (got.datagrams, got.faults, got.counters()) == ([], [], {})


# --- pcapng ----------------------------------------------------------------------------------------------------------


def pcapng(frames: list[bytes], order: str = "<") -> bytes:
    return (
        packets.section(order)
        + packets.interface(order=order)
        + b"".join(packets.enhanced(frame, order) for frame in frames)
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_sections_of_either_byte_order_may_follow_each_other(order: str) -> None:
    data = pcapng(FRAMES[:2], order) + pcapng(FRAMES[2:4], "<") + pcapng(FRAMES[4:], ">")
    assert is_capture(data)
    for window in (64, 10_000):
        got = run(data, window=window)
        assert got.payloads == MESSAGES
        assert got.faults == []


def test_each_interface_has_its_link_type_and_clock() -> None:
    raw = udp(MESSAGES[0])
    interfaces: tuple[tuple[int, bytes, dict[str, Any], int, int], ...] = (
        (packets.ETHERNET, ethernet(raw), {}, T // 1000, T // 1000 * 1000),
        (packets.RAW, raw, {"resolution": 9}, T, T),
        (packets.COOKED, packets.cooked(raw), {"resolution": 3}, T // 10**6, T // 10**6 * 10**6),
        (packets.COOKED2, packets.cooked2(raw), {"resolution": 0x80 | 10}, 1234567 << 10 | 512, 1234567_500000000),
        (packets.NULL, packets.loopback(raw), {"resolution": 0, "offset_s": 1_700_000_000}, 7, 1_700_000_007 * 10**9),
        (packets.RAW, raw, {"resolution": 12, "offset_s": -1}, 2_000_000_001_000, 10**9 + 1),
        (packets.RAW, raw, {"resolution": 0x80 | 63}, 3 << 62, 1_500_000_000),
        (packets.RAW, raw, {"resolution": 20}, 10**19, 10**8),
        (packets.RAW, raw, {}, 2**64 - 1, 0),
        (packets.RAW, raw, {"resolution": 0, "offset_s": 2**62}, 5, 0),
    )
    data = packets.section()
    for link, _, options, _, _ in interfaces:
        data += packets.interface(link, **options)
    for number, (_, frame, _, ticks, _) in enumerate(interfaces):
        data += packets.enhanced(frame, number=number, ticks=ticks)
        data += packets.obsolete(frame, number=number, ticks=ticks)
    got = run(data)
    assert got.payloads == [MESSAGES[0]] * 20
    assert [one.received for one in got.datagrams] == [time for *_, time in interfaces for _ in range(2)]


def test_every_interface_may_have_a_clock_of_its_own() -> None:
    count, data = 3000, packets.section()
    for number in range(count):
        data += packets.interface(packets.RAW, resolution=(6, 9, 0x80 | 10)[number % 3], offset_s=number)
    frame = udp(MESSAGES[0])
    for number in reversed(range(count)):
        data += packets.enhanced(frame, number=number, ticks=1 << 20)
    units = (10**6, 10**9, 1 << 10)
    for window in (5000, 8 << 20):
        received = [one.received for one in run(data, window=window).datagrams]
        assert received == [n * 10**9 + (1 << 20) * 10**9 // units[n % 3] for n in reversed(range(count))]


def test_a_section_of_more_interfaces_than_any_system_has_ends_the_file() -> None:
    data = packets.section() + packets.interface() * 70_000
    got = run(data + packets.interface() * 1000 + packets.enhanced(FRAMES[0]), window=100_000)
    (fault,) = got.faults
    assert (fault.kind, got.datagrams) == (FaultKind.CAPTURE_DAMAGED, [])
    assert "too many interfaces" in fault.detail


def test_sections_without_end_do_not_grow_the_reader() -> None:
    one = packets.section() + packets.interface() * 3 + packets.enhanced(FRAMES[0], number=2)
    got = run(one * 2000, window=10_000)
    assert got.payloads == MESSAGES[:1] * 2000
    framing = PcapngFraming()
    octets = np.frombuffer(one * 2000, np.uint8)
    assert framing.read(octets, 0)[1] == len(octets)
    assert len(framing._interfaces) == 3


def test_the_format_is_known_once_the_header_was_read() -> None:
    assert run(packets.pcap([])).capture.format == "pcap"
    assert run(packets.section()).capture.format == "pcapng"
    assert run(packets.pcap([])[:20]).capture.format == ""


def test_simple_packets_are_of_the_first_interface_and_have_no_time() -> None:
    data = packets.section() + packets.interface(packets.RAW, resolution=9) + packets.interface()
    got = run(data + packets.simple(udp(MESSAGES[0])))
    assert (got.payloads, got.datagrams[0].received) == (MESSAGES[:1], 0)


def test_unknown_blocks_are_skipped() -> None:
    data = packets.section() + packets.block(5, bytes(40)) + packets.interface() + packets.block(0xBAD, b"x" * 9)
    assert run(data + packets.enhanced(FRAMES[0])).payloads == MESSAGES[:1]


def test_a_packet_of_an_interface_that_was_not_described_is_counted() -> None:
    got = run(pcapng([]) + packets.enhanced(FRAMES[0], number=1) + packets.enhanced(FRAMES[1]))
    assert got.payloads == MESSAGES[1:2]
    assert got.counters() == {"packets": 2, "datagrams": 1, "other": 1}
    assert got.capture.links == {-1: 1}


@pytest.mark.parametrize(
    "garbage",
    [
        struct.pack("<II", 6, 10) + bytes(40),
        struct.pack("<II", 6, 30) + bytes(40),
        struct.pack("<II", 6, 2**31) + bytes(40),
        struct.pack("<II", 6, 32) + bytes(40),
        struct.pack("<II", 0x0A0D0D0A, 28) + bytes(40),
    ],
    ids=["short", "odd", "long", "end differs", "no byte order"],
)
def test_an_impossible_block_ends_a_pcapng_with_a_fault(garbage: bytes) -> None:
    data = pcapng(FRAMES[:2])
    got = run(data + garbage)
    assert got.payloads == MESSAGES[:2]
    assert [(fault.kind, fault.offset) for fault in got.faults] == [(FaultKind.CAPTURE_DAMAGED, len(data))]


def test_a_pcapng_cut_short_is_told() -> None:
    data = pcapng(FRAMES)
    got = run(data[:-1])
    assert got.payloads == MESSAGES[:-1]
    assert got.kinds == [FaultKind.TRUNCATED_TAIL]


# --- links and networks ----------------------------------------------------------------------------------------------

LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, ethernet),
    "vlan": (1, lambda packet: ethernet(packet, tags=[0x8100])),
    "qinq": (1, lambda packet: ethernet(packet, tags=[0x88A8, 0x8100])),
    "old qinq": (1, lambda packet: ethernet(packet, tags=[0x9100, 0x8100, 0x8100])),
    "mpls": (1, packets.mpls),
    "mpls 3": (1, lambda packet: packets.mpls(packet, 3, kind=0x8848)),
    "pppoe": (1, packets.pppoe),
    "cooked": (113, packets.cooked),
    "cooked 2": (276, packets.cooked2),
    "null little": (0, packets.loopback),
    "null big": (0, lambda packet: packets.loopback(packet, ">", 24)),
    "loop": (108, lambda packet: packets.loopback(packet, ">", 28)),
    **{f"raw {link}": (link, bytes) for link in (12, 14, 101, 228, 229)},
}


@pytest.mark.parametrize("peer", [PEER, PEER6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("name", LINKS)
def test_every_link_type_leads_to_the_payload(name: str, peer: packets.Endpoints) -> None:
    link, wrap = LINKS[name]
    got = run(packets.pcap([wrap(udp(message, peer)) for message in MESSAGES], link=link))
    assert got.payloads == MESSAGES
    assert {one.key for one in got.datagrams} == {SessionKey(*peer)}


def test_a_foreign_link_type_is_counted() -> None:
    got = run(packets.pcap(FRAMES, link=105))
    assert (got.counters(), got.capture.links) == ({"packets": 6, "other": 6}, {105: 6})


def test_ip_options_and_extension_headers_are_stepped_over() -> None:
    body = packets.udp_datagram(MESSAGES[0])
    extensions = [
        (0, bytes(7)),
        (60, b"\x01" + bytes(14)),
        (43, bytes(7)),
        (51, b"\x04" + bytes(22)),
        packets.fragment_header(9, 0, more=False),
        (135, bytes(7)),
    ]
    four = packets.ip4(17, body, options=bytes(40))
    six = packets.ip6(17, packets.udp_datagram(MESSAGES[0], PEER6), extensions=extensions)
    got = run(packets.pcap([four, six], link=packets.RAW))
    assert got.payloads == [MESSAGES[0]] * 2
    assert got.counters() == {"packets": 2, "datagrams": 2}


def test_what_is_not_udp_or_tcp_is_counted() -> None:
    frames = [ethernet(bytes(28), kind=0x0806), ethernet(packets.ip(1, bytes(8))), ethernet(b"", kind=46)]
    assert run(packets.pcap(frames)).counters() == {"packets": 3, "other": 2, "ignored": 1}


@pytest.mark.parametrize(
    "packet",
    [
        udp(MESSAGES[0], length=0),
        udp(MESSAGES[0], length=7),
        udp(MESSAGES[0], length=9 + len(MESSAGES[0])),
        packets.ip4(17, packets.udp_datagram(MESSAGES[0]), length=19),
        packets.ip4(17, packets.udp_datagram(MESSAGES[0]), length=24),
        b"\x44" + udp(MESSAGES[0])[1:],
        packets.ip6(17, packets.udp_datagram(MESSAGES[0]), extensions=[(0, b"\xff" + bytes(6))]),
    ],
)
def test_lengths_that_contradict_each_other_are_damage(packet: bytes) -> None:
    data = packets.pcap([ethernet(packet), FRAMES[1]])
    got = run(data)
    assert got.payloads == MESSAGES[1:2]
    assert got.counters() == {"packets": 2, "datagrams": 1, "damaged": 1}
    assert [(fault.kind, fault.offset, fault.count) for fault in got.faults] == [(FaultKind.PACKET_DAMAGED, 40, 1)]


def test_a_datagram_cut_by_the_snap_length_is_told_and_left_out() -> None:
    frames = [*FRAMES, ethernet(udp(b"\x00\x05")), ethernet(udp(b"none of ours" * 9, (*PEER[:3], 53)))]
    got = run(packets.pcap(frames, snap=60))
    assert got.payloads == [b"\x00\x05"]
    assert got.counters() == {"packets": 8, "datagrams": 1, "truncated": 7}
    (fault,) = got.faults
    assert (fault.kind, fault.offset, fault.count, fault.key) == (FaultKind.PACKET_TRUNCATED, 40, 6, KEY)


def test_a_length_of_0_in_ip_is_the_rest_of_the_packet() -> None:
    """Packets that the sender's network card was to cut."""
    four = packets.ip4(17, packets.udp_datagram(MESSAGES[0]), length=0)
    six = packets.ip6(17, packets.udp_datagram(MESSAGES[0], PEER6), length=0)
    assert run(packets.pcap([four, six], link=packets.RAW)).payloads == [MESSAGES[0]] * 2


def test_any_octets_in_a_packet_are_only_counted() -> None:
    random = Random(3)
    frames = [bytes(random.choices(range(256), k=random.randrange(90))) for _ in range(2000)]
    frames += [frame[:12] + b"\x08\x00\x45" + frame[15:] for frame in frames if len(frame) > 15]
    for link in (0, 1, 101, 113, 276):
        data = packets.pcap([frame for frame in frames if frame], link=link)
        assert run(data, window=5000).capture.packets == sum(map(bool, frames))


def test_any_octets_in_a_file_are_only_faults() -> None:
    random = Random(4)
    for data in (packets.pcap(FRAMES), pcapng(FRAMES, ">") + pcapng(FRAMES)):
        for _ in range(300):
            broken = bytearray(data)
            for _ in range(random.randrange(1, 6)):
                broken[random.randrange(4, len(data))] = random.choice((0, 1, 255, random.randrange(256)))
            got = run(bytes(broken), window=random.choice((64, 1000, 8 << 20)))
            assert got.capture.packets <= 12
