"""Captures: datagrams in IP fragments."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from headwater.errors import FaultKind
from headwater.transport.capture import fragments as module
from tests import build, packets
from tests.packets import PEER, PEER6, udp_datagram
from tests.transport.capturing import KEY, Result, run

MESSAGE = build.flows(60)[0]
DATAGRAM = udp_datagram(MESSAGE)
PARTS = packets.fragments(DATAGRAM, 512)


def capture(*given: bytes | tuple[int, bytes], window: int = 8 << 20) -> Result:
    return run(packets.pcap(given, link=packets.RAW), window=window)


@pytest.mark.parametrize("peer", [PEER, PEER6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("window", [64, 8 << 20])
def test_fragments_in_any_order_become_a_datagram(peer: packets.Endpoints, order: tuple[int, ...], window: int) -> None:
    parts = packets.fragments(udp_datagram(MESSAGE, peer), 512, peer=peer)
    assert len(parts) == 3
    got = capture(*(parts[k] for k in order), window=window)
    assert got.payloads == [MESSAGE]
    assert got.counters() == {"packets": 3, "datagrams": 1, "fragments": 3, "reassembled": 1}
    assert got.faults == []


def test_a_datagram_of_thousands_of_fragments_is_put_together() -> None:
    longest = udp_datagram(bytes(range(256)) * 250 + build.message())
    parts = packets.fragments(longest, 8)
    Random(1).shuffle(parts)
    got = run(packets.pcap(parts, link=packets.RAW), ports=[PEER[3]])
    assert got.payloads == [longest[8:]]


def test_a_datagram_stands_where_its_last_fragment_came_and_has_its_offset_and_time() -> None:
    other = packets.udp(build.message())
    data = packets.pcap(
        [(1000, other), (2000, PARTS[0]), (3000, PARTS[2]), (4000, other), (5000, PARTS[1]), (6000, other)],
        link=packets.RAW,
    )
    for window in (64, 8 << 20):
        got = run(data, window=window)
        assert [one.received for one in got.datagrams] == [1000, 4000, 5000, 6000]
        assert got.payloads[2] == MESSAGE
        assert data[got.datagrams[2].offset :].startswith(DATAGRAM[512:1024])
        assert {one.key for one in got.datagrams} == {KEY}


def test_datagrams_are_told_apart_by_addresses_and_identification() -> None:
    others = packets.fragments(DATAGRAM, 512, identification=8)
    far = packets.fragments(DATAGRAM, 512, peer=("10.0.0.9", *PEER[1:]))
    got = capture(*(part for three in zip(PARTS, others, far, strict=True) for part in three))
    assert got.payloads == [MESSAGE] * 3
    assert len(got.capture.keys) == 2


def test_a_fragment_captured_twice_does_no_harm() -> None:
    assert capture(PARTS[0], PARTS[0], PARTS[1], PARTS[1], PARTS[2]).payloads == [MESSAGE]


def test_overlapping_fragments_are_dropped_and_told() -> None:
    overlap = packets.ip4(17, bytes(24), identification=7, offset=504, more=True)
    got = capture(PARTS[0], overlap, PARTS[1], PARTS[2])
    assert got.datagrams == []
    assert got.counters() == {"packets": 4, "fragments": 4, "fragments_dropped": 4}
    assert FaultKind.FRAGMENT_LOST in got.kinds


@pytest.mark.parametrize(
    "bad",
    [
        packets.ip4(17, bytes(5), identification=7, offset=512, more=True),
        packets.ip4(17, b"", identification=7, offset=512, more=True),
        packets.ip4(17, bytes(80), identification=7, offset=65528),
        packets.ip4(17, bytes(8), identification=7, offset=8),
    ],
    ids=["no multiple of 8", "empty", "beyond 65535", "end before others"],
)
def test_fragments_that_cannot_be_are_dropped(bad: bytes) -> None:
    got = capture(PARTS[0], bad)
    assert got.datagrams == []
    assert got.capture.fragments_dropped == 2


def test_a_missing_fragment_is_told_once_at_the_end() -> None:
    got = capture(PARTS[0], PARTS[2])
    assert [(fault.kind, fault.count) for fault in got.faults] == [(FaultKind.FRAGMENT_LOST, 1)]
    assert got.counters() == {"packets": 2, "fragments": 2, "fragments_dropped": 2}


def test_a_missing_first_fragment_is_told_only_between_hosts_that_export() -> None:
    assert capture(*PARTS[1:]).faults == []
    assert capture(packets.udp(MESSAGE), *PARTS[1:]).kinds == [FaultKind.FRAGMENT_LOST]


def test_fragments_of_other_traffic_are_only_counted() -> None:
    text = packets.fragments(udp_datagram(b"text " * 300, (*PEER[:3], 53)), 512)
    got = capture(*text, *text[1:])
    assert got.faults == []
    assert got.counters() == {"packets": 5, "fragments": 5, "reassembled": 1, "fragments_dropped": 2}
    tcp = packets.ip4(6, bytes(64), offset=64)
    assert capture(tcp).counters() == {"packets": 1, "fragments": 1}


def test_what_is_not_whole_after_a_while_is_given_up() -> None:
    late = module.TIMEOUT_NS + 10**6
    got = capture((0, PARTS[0]), (1, PARTS[1]), (late, packets.fragments(DATAGRAM, 512, 9)[0]), (late, PARTS[2]))
    assert got.datagrams == []
    assert got.capture.fragments_dropped == 4


def test_what_waits_is_bounded_in_number_and_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DATAGRAMS", 5)
    firsts = [packets.fragments(DATAGRAM, 512, number)[0] for number in range(100)]
    assert capture(*firsts, window=10_000).capture.fragments_dropped == 100
    monkeypatch.setattr(module, "MOST_OCTETS", 1000)
    rest = [part for number in (98, 99) for part in packets.fragments(DATAGRAM, 512, number)[1:]]
    got = capture(*firsts, *rest)
    assert got.capture.reassembled == 0


def test_a_reassembled_datagram_of_impossible_length_is_dropped() -> None:
    parts = packets.fragments(udp_datagram(MESSAGE, length=9000), 512)
    assert capture(*parts).datagrams == []
