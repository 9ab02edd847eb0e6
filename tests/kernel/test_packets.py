"""Walking capture files, and what is inside packets."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests import packets
from tests.kernel.cases import i32, peer_key

NONE = np.zeros((0, 40), np.uint8)
NO_IP, UDP, TCP, FRAGMENT, OTHER_IP, DAMAGED, CUT, FOREIGN_LINK = range(8)


def dissect(
    kernel: ModuleType, *given: bytes, link: int = 101, known: npt.NDArray[Any] = NONE
) -> tuple[npt.NDArray[Any], ...]:
    ends = np.cumsum([len(one) for one in given]).astype(np.int32)
    starts = (ends - [len(one) for one in given]).astype(np.int32)
    found: tuple[npt.NDArray[Any], ...] = kernel.dissect(
        b"".join(given), starts, ends, np.full_like(starts, link), known
    )
    return found


def kind_of(kernel: ModuleType, packet: bytes, link: int = 101) -> int:
    return int(dissect(kernel, packet, link=link)[0][0])


# --- pcap ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_records_of_a_pcap_are_found(kernel: ModuleType, order: str) -> None:
    data = packets.pcap([(5_000_007_000, b"abc"), (2**32 * 10**9 - 1000, b"defgh")], order=order)
    start, end, seconds, fraction, rest = kernel.pcap_packets(data, 24, order == ">", 16, 100)
    assert [data[a:b] for a, b in zip(start, end, strict=True)] == [b"abc", b"defgh"]
    assert (seconds.tolist(), fraction.tolist(), rest) == ([5, 2**32 - 1], [7, 999_999], len(data))


@pytest.mark.parametrize("left", range(20))
def test_the_walk_of_a_pcap_stops_at_a_record_that_is_not_whole(kernel: ModuleType, left: int) -> None:
    data = packets.pcap([b"abcd", b"efgh"])
    start, *_, rest = kernel.pcap_packets(data[: 44 + left], 24, False, 16, 100)
    assert (len(start), rest) == (1, 44)


@pytest.mark.parametrize("record", [struct.pack("<IIII", 1, 1, 101, 101), bytes(16)])
def test_the_walk_of_a_pcap_stops_at_an_impossible_record(kernel: ModuleType, record: bytes) -> None:
    start, *_, rest = kernel.pcap_packets(packets.pcap([b"abcd"]) + record + bytes(200), 24, False, 16, 100)
    assert (len(start), rest) == (1, 44)


def test_an_empty_packet_that_was_captured_of_a_longer_one_is_a_record(kernel: ModuleType) -> None:
    data = struct.pack("<IIII", 1, 1, 0, 60) * 3
    start, end, _, _, rest = kernel.pcap_packets(data, 0, False, 16, 100)
    assert (start.tolist(), end.tolist(), rest) == ([16, 32, 48], [16, 32, 48], 48)


def test_many_more_records_than_expected_are_found(kernel: ModuleType) -> None:
    data = packets.pcap([b"x"] * 5000)
    start, *_, rest = kernel.pcap_packets(data, 24, False, 16, 100)
    assert (start == 40 + 17 * np.arange(5000)).all()
    assert rest == len(data)


def test_arguments_of_a_walk_are_checked(kernel: ModuleType) -> None:
    for at in (-1, 11):
        with pytest.raises(IndexError):
            kernel.pcap_packets(bytes(10), at, False, 16, 100)
        with pytest.raises(IndexError):
            kernel.pcapng_packets(bytes(10), at, False, 0, 0, 100)
    for header, most in ((15, 100), (17, 100), (16, -1), (16, 2**31)):
        with pytest.raises(ValueError, match=r"packets|header"):
            kernel.pcap_packets(bytes(10), 0, False, header, most)
    for interfaces, snap, most in ((-1, 0, 9), (2**30, 0, 9), (0, -1, 9), (0, 2**32, 9), (0, 0, 2**31)):
        with pytest.raises(ValueError, match="interfaces"):
            kernel.pcapng_packets(bytes(10), 0, False, interfaces, snap, most)


# --- pcapng ----------------------------------------------------------------------------------------------------------


def test_blocks_of_a_pcapng_are_found_in_either_byte_order(kernel: ModuleType) -> None:
    data = b""
    for order in "<>":
        data += packets.section(order) + packets.interface(1, order, snap=3) + packets.interface(101, order)
        data += packets.enhanced(b"enhanced", order, number=1, ticks=2**32 + 5) + packets.simple(b"simple", order)
        data += packets.block(77, b"whatever", order) + packets.obsolete(b"old", order, ticks=6)
        data += packets.enhanced(b"of nobody", order, number=2)
    (start, end, interface, high, low), others, rest, state = kernel.pcapng_packets(data, 0, False, 0, 0, 1000)
    assert [data[a:b] for a, b in zip(start, end, strict=True)] == [b"enhanced", b"sim", b"old", b"of nobody"] * 2
    assert interface.tolist() == [1, 0, 0, -1, 3, 2, 2, -1]
    assert (high.tolist(), low.tolist()) == ([1, 0, 0, 0] * 2, [5, 0, 6, 0] * 2)
    assert others[0].tolist() == [0x0A0D0D0A, 1, 1] * 2
    assert others[3].tolist() == [False] * 3 + [True] * 3
    assert (rest, state) == (len(data), (True, 2, 3))


def test_a_walk_goes_on_with_the_state_of_the_one_before(kernel: ModuleType) -> None:
    head = packets.section(">") + packets.interface(1, ">", snap=3) + packets.interface(101, ">")
    state = kernel.pcapng_packets(head, 0, False, 0, 0, 1000)[-1]
    tail = packets.simple(b"simple", ">") + packets.interface(0, ">") + packets.enhanced(b"x", ">", number=2)
    (start, end, interface, *_), *_ = kernel.pcapng_packets(tail, 0, *state, 1000)
    assert ((end - start).tolist(), interface.tolist()) == ([3, 1], [0, 2])


def test_a_packet_longer_than_its_block_is_of_no_interface(kernel: ModuleType) -> None:
    body = struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)
    data = packets.section() + packets.interface() + packets.block(6, body)
    (start, end, interface, *_), *_ = kernel.pcapng_packets(data, 0, False, 0, 0, 1000)
    assert ((end - start).tolist(), interface.tolist()) == ([0], [-1])


def test_the_walk_of_a_pcapng_stops_where_a_block_is_not_whole(kernel: ModuleType) -> None:
    whole = packets.section() + packets.interface() + packets.enhanced(b"abcd")
    data = whole + packets.section(">")
    for length in range(len(whole), len(data)):
        _, _, rest, state = kernel.pcapng_packets(data[:length], 0, False, 0, 0, 1000)
        assert (rest, state) == (len(whole), (False, 1, 0))


# --- packets ---------------------------------------------------------------------------------------------------------


def test_a_datagram_has_positions_a_peer_and_a_head(kernel: ModuleType) -> None:
    kind, header, start, end, peer, head, keys = dissect(kernel, b"", packets.udp(b"abcdefg"), packets.udp(b"xy"))
    assert kind.tolist() == [CUT, UDP, UDP]
    assert (header.tolist(), start.tolist(), end.tolist()) == ([0, 20, 55], [0, 28, 63], [0, 35, 65])
    assert (peer.tolist(), head.tolist()) == ([-1, 0, 0], [0, 0x61626364, 0x78790000])
    assert keys.tobytes() == peer_key(50000)


def test_a_segment_is_of_another_peer_than_a_datagram(kernel: ModuleType) -> None:
    given = packets.tcp(b"abcd", 7, options=bytes(12)), packets.udp(b""), packets.tcp(b"", 8)
    kind, header, start, end, peer, head, keys = dissect(kernel, *given)
    assert kind.tolist() == [TCP, UDP, TCP]
    assert (start - header).tolist() == [32, 8, 20]
    assert ((end - start).tolist(), peer.tolist(), head.tolist()) == ([4, 0, 0], [0, 1, 0], [0x61626364, 0, 0])
    assert keys[:, 0].tolist() == [6, 17]


def test_peers_that_are_known_keep_their_numbers(kernel: ModuleType) -> None:
    known = np.frombuffer(peer_key(1) + peer_key(2) + peer_key(1), np.uint8).reshape(3, 40)
    given = [packets.udp(b"", (*packets.PEER[:1], port, *packets.PEER[2:])) for port in (9, 2, 1, 9, 8)]
    *_, peer, _, keys = dissect(kernel, *given, known=known)
    assert peer.tolist() == [3, 1, 0, 3, 4]
    assert keys.tobytes() == peer_key(9) + peer_key(8)


def test_the_family_tells_peers_apart(kernel: ModuleType) -> None:
    four = packets.udp(b"", ("1.2.3.4", 1, "5.6.7.8", 2))
    six = packets.udp(b"", ("102:304::", 1, "506:708::", 2))
    *_, peer, _, keys = dissect(kernel, four, six)
    assert peer.tolist() == [0, 1]
    assert keys[:, 1].tolist() == [4, 6]


@pytest.mark.parametrize("count", [500, 513, 5000])
def test_the_table_of_peers_grows(kernel: ModuleType, count: int) -> None:
    given = [packets.udp(b"", ("10.0.0.1", k, "10.0.0.2", 2055)) for k in range(count)]
    *_, peer, _, keys = dissect(kernel, *given, *given[::-1])
    assert peer.tolist() == [*range(count), *range(count - 1, -1, -1)]
    assert keys.tobytes() == b"".join(map(peer_key, range(count)))


def test_fragments_have_their_payload_but_no_peer(kernel: ModuleType) -> None:
    datagram = packets.udp_datagram(bytes(40))
    for peer in (packets.PEER, packets.PEER6):
        given = packets.fragments(datagram, 16, peer=peer)
        kind, header, start, end, number, head, _ = dissect(kernel, *given)
        assert kind.tolist() == [FRAGMENT] * 3
        assert (end - start).tolist() == [16] * 3
        assert (start - header).tolist() == [20 if peer is packets.PEER else 48] * 3
        assert (number.tolist(), head.tolist()) == ([-1] * 3, [0] * 3)


def test_a_packet_cut_anywhere_is_cut_and_nothing_else(kernel: ModuleType) -> None:
    for peer in (packets.PEER, packets.PEER6):
        for whole in (
            packets.ethernet(packets.udp(b"abcd", peer), tags=[0x88A8, 0x8100]),
            packets.mpls(packets.tcp(b"abcd", 7, peer, options=bytes(40)), 3),
            packets.pppoe(packets.fragments(bytes(40), 16, peer=peer)[0]),
        ):
            assert kind_of(kernel, whole, 1) in (UDP, TCP, FRAGMENT)
            assert {kind_of(kernel, whole[:length], 1) for length in range(len(whole))} == {CUT}


def test_a_cut_datagram_has_a_peer_once_its_ports_are_there(kernel: ModuleType) -> None:
    whole = packets.udp(b"abcdef")
    for length in range(len(whole)):
        *_, start, end, peer, head, _ = dissect(kernel, whole[:length])
        assert peer.tolist() == [0 if length >= 28 else -1]
        assert (end - start).tolist() == [max(length - 28, 0)]
        assert head.tolist() == [int.from_bytes(b"abcd"[: max(length - 28, 0)].ljust(4, b"\0"))]


@pytest.mark.parametrize("link", [2, 9, 105, 147, -1, 2**31 - 1])
def test_link_types_that_are_not_known_are_told(kernel: ModuleType, link: int) -> None:
    assert kind_of(kernel, packets.udp(b""), link) == FOREIGN_LINK


@pytest.mark.parametrize(
    "packet",
    [
        packets.ethernet(b"\x45" * 60, kind=0x0806),
        packets.ethernet(b"\x45" * 60, kind=60),
        packets.mpls(b"\x00" * 60),
        packets.ethernet(struct.pack("!BBHHH", 0x11, 0, 1, 20, 0xC021) + bytes(60), kind=0x8864),
    ],
    ids=["ARP", "802.3", "MPLS of no IP", "LCP"],
)
def test_what_is_no_ip_is_told(kernel: ModuleType, packet: bytes) -> None:
    assert kind_of(kernel, packet, 1) == NO_IP


@pytest.mark.parametrize("family", [0, 3, 9, 0x10000])
def test_a_loopback_packet_of_another_family_is_no_ip(kernel: ModuleType, family: int) -> None:
    assert kind_of(kernel, struct.pack("<I", family) + packets.udp(b""), 0) == NO_IP


def test_other_protocols_over_ip_are_told(kernel: ModuleType) -> None:
    assert kind_of(kernel, packets.ip4(132, bytes(20))) == OTHER_IP
    assert kind_of(kernel, packets.ip6(58, b"")) == OTHER_IP


@pytest.mark.parametrize(
    "packet",
    [
        packets.ip4(6, packets.tcp(b"", 1)[20:32] + b"\x40" + bytes(30)),
        packets.ip4(6, packets.tcp(b"", 1)[20:32] + b"\xf0" + bytes(7)),
        packets.ip4(6, bytes(19)),
        packets.ip4(17, bytes(7)),
        packets.ip6(6, b"", extensions=[(51, b"\xff" + bytes(10))]),
    ],
)
def test_headers_that_contradict_each_other_are_damage(kernel: ModuleType, packet: bytes) -> None:
    assert kind_of(kernel, packet) == DAMAGED


def test_a_chain_of_headers_ends_with_its_packet(kernel: ModuleType) -> None:
    """Every turn of every loop takes octets, so none of them can hang."""
    assert kind_of(kernel, packets.ethernet(packets.udp(b""), tags=[0x8100] * 50_000), 1) == UDP
    assert kind_of(kernel, packets.ethernet(bytes(400_000), kind=0x8847), 1) == CUT
    assert kind_of(kernel, packets.ip6(17, b"", extensions=[(0, bytes(7))] * 8000)) == DAMAGED


def test_packets_must_be_inside_the_buffer(kernel: ModuleType) -> None:
    for start, end in ((-1, 3), (3, 2), (0, 11)):
        with pytest.raises(IndexError):
            kernel.dissect(bytes(10), i32([start]), i32([end]), i32([1]), NONE)


def test_columns_must_be_of_one_length_and_keys_of_40_octets(kernel: ModuleType) -> None:
    with pytest.raises(ValueError, match="1 packets but 2 link types"):
        kernel.dissect(bytes(10), i32([0]), i32([9]), i32([1, 1]), NONE)
    for wrong in (np.zeros((2, 39), np.uint8), np.zeros(40, np.uint8), np.zeros((1, 80), np.uint8)[:, ::2]):
        with pytest.raises(ValueError):  # noqa: PT011  # the words are numpy's, Cython's or ours
            kernel.dissect(b"", i32([]), i32([]), i32([]), wrong)
