"""Captures: IPFIX over TCP, put in order."""

from __future__ import annotations

from random import Random

import pytest

from headwater.errors import FaultKind
from headwater.session.key import SessionKey
from headwater.transport.capture import streams as module
from tests import build, packets
from tests.packets import ACK, FIN, RST, SYN, tcp
from tests.transport.capturing import Result, run

PEER = ("10.0.0.1", 50000, "10.0.0.2", 4739)
ELSEWHERE = ("10.0.0.1", 50000, "10.0.0.2", 12345)
MESSAGES = build.flows(200)
STREAM = b"".join(MESSAGES)
NOW = build.EXPORT_TIME * 10**9
ISN = 2**32 - 1000  # so that sequence numbers wrap


def segments(
    data: bytes = STREAM, size: int = 700, peer: packets.Endpoints = PEER, first: int = ISN
) -> list[tuple[int, bytes]]:
    """(arrival, packet) of a whole connection."""
    out = [tcp(b"", first, peer, flags=SYN)]
    out += [tcp(data[at : at + size], first + 1 + at, peer) for at in range(0, len(data), size)]
    out.append(tcp(b"", first + 1 + len(data), peer, flags=FIN | ACK))
    return [(NOW + k, packet) for k, packet in enumerate(out)]


def capture(*given: bytes | tuple[int, bytes], window: int = 8 << 20, ports: tuple[int, ...] = ()) -> Result:
    return run(packets.pcap(given, link=packets.RAW), window=window, ports=ports)


@pytest.mark.parametrize("window", [64, 2000, 8 << 20])
@pytest.mark.parametrize("peer", [PEER, ELSEWHERE, ("2001:db8::1", 5, "2001:db8::2", 4739)])
def test_a_connection_is_one_stream_with_an_end(window: int, peer: packets.Endpoints) -> None:
    data = packets.pcap(segments(peer=peer), link=packets.RAW)
    got = run(data, window=window)
    assert got.streams == {SessionKey(*peer): STREAM}
    assert [part.is_end for part in got.parts] == [False] * (len(got.parts) - 1) + [True]
    assert not any(part.lost for part in got.parts)
    assert got.faults == []
    syn = peer == ELSEWHERE  # which on another port tells nothing yet
    assert got.counters() == {"packets": got.capture.packets, "tcp_segments": got.capture.packets - syn} | (
        {"ignored": 1} if syn else {}
    )
    for part in got.parts:
        bounds = (*part.positions, len(part.octets))
        for offset, start, end in zip(part.offsets, bounds[:-1], bounds[1:], strict=True):
            assert data[offset : offset + end - start] == part.octets[start:end]


def test_segments_in_any_order_and_repeated_are_put_in_order() -> None:
    begin, *middle, end = segments()
    for seed in range(20):
        random = Random(seed)
        shuffled = middle * 2
        random.shuffle(shuffled)
        for window in (64, 8 << 20):
            got = capture(begin, *shuffled, end, window=window)
            assert got.streams == {SessionKey(*PEER): STREAM}
            assert got.capture.stream_octets_lost == 0


def test_segments_that_overlap_are_cut() -> None:
    parts = [tcp(STREAM[at : at + 900], ISN + 1 + at, PEER) for at in range(0, len(STREAM), 300)]
    got = capture(tcp(b"", ISN, PEER, flags=SYN), *parts)
    assert got.streams == {SessionKey(*PEER): STREAM}


def test_a_capture_may_begin_within_a_connection() -> None:
    later: list[tuple[int, bytes]] = []
    sequence = 77
    for message in MESSAGES:
        later.append((NOW, tcp(message, sequence, ELSEWHERE)))
        sequence += len(message)
    got = capture(*later[3:])
    assert got.streams == {SessionKey(*ELSEWHERE): b"".join(MESSAGES[3:])}
    assert not any(part.is_end for part in got.parts)


def test_octets_that_the_capture_lacks_are_told() -> None:
    given = segments()
    del given[5]
    for window in (64, 8 << 20):
        got = capture(*given, window=window)
        assert got.streams == {SessionKey(*PEER): STREAM[: 4 * 700] + STREAM[5 * 700 :]}
        assert [part.lost for part in got.parts if part.lost] == [700]
        assert got.capture.stream_octets_lost == 700
        assert [(fault.kind, fault.key) for fault in got.faults] == [(FaultKind.STREAM_GAP, SessionKey(*PEER))]
        assert got.parts[-1].is_end


def test_a_gap_is_given_up_when_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 4000)
    given = segments()
    missing = given.pop(3)
    got = capture(*given, missing)
    assert got.streams == {SessionKey(*PEER): STREAM[: 2 * 700] + STREAM[3 * 700 :]}


def test_a_gap_is_given_up_after_a_while() -> None:
    given = [tcp(STREAM[at : at + 100], at + 1, PEER) for at in range(0, 500, 100)]
    times = [0, 1, 2, module.GAP_NS + 10**6]
    data = [(times[0], tcp(b"", 0, PEER, flags=SYN)), (times[1], given[0]), (times[2], given[2]), (times[3], given[3])]
    got = capture(*data, (times[3], given[1]))
    assert [part.lost for part in got.parts] == [0, 100]
    assert got.streams == {SessionKey(*PEER): STREAM[:100] + STREAM[200:400]}


def test_a_reset_ends_a_stream_and_a_new_connection_begins_another() -> None:
    given: list[bytes | tuple[int, bytes]] = [*segments()[:-1], tcp(b"", ISN + 1 + len(STREAM), PEER, flags=RST)]
    got = capture(*given, *segments(first=99), *segments(first=5)[:3], *segments(first=1234))
    assert [part.is_end for part in got.parts] == [True, True, True, True]
    assert [len(part.octets) for part in got.parts] == [len(STREAM), len(STREAM), 1400, len(STREAM)]


@pytest.mark.parametrize("peer", [PEER, ELSEWHERE])
def test_packets_that_a_mirror_port_shows_twice_count_once(peer: packets.Endpoints) -> None:
    begin, *middle, _ = segments(size=len(MESSAGES[0]), peer=peer)
    last = (NOW, tcp(MESSAGES[-1], ISN + 1 + len(STREAM), peer, flags=FIN | ACK))
    got = capture(*(packet for packet in (begin, *middle, last) for _ in range(2)))
    assert got.streams == {SessionKey(*peer): STREAM + MESSAGES[-1]}
    assert [part.is_end for part in got.parts] == [True]
    again = segments(peer=peer, first=ISN + 1 + 2 * len(STREAM))
    assert len(capture(begin, *middle, last, last, *again).streams[SessionKey(*peer)]) == 2 * len(STREAM) + len(
        MESSAGES[-1]
    )


def test_the_first_segment_may_come_late() -> None:
    begin, first, second, *rest = segments()
    assert capture(begin, second, first, *rest).streams == {SessionKey(*PEER): STREAM}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_beginning_in_small_pieces_is_recognised(size: int) -> None:
    got = capture(*segments(STREAM[:40], size))
    assert got.streams == {SessionKey(*PEER): STREAM[:40]}


@pytest.mark.parametrize(
    ("data", "port"), [(b"GET / HTTP/1.1\r\n" * 20, 4739), (b"\x00\x0a\x00\x01" * 20, 4739), (b"\x00\x0aXY" * 90, 80)]
)
def test_other_connections_are_ignored(data: bytes, port: int) -> None:
    got = capture(*segments(data, peer=(*PEER[:3], port)))
    assert got.parts == []
    assert got.capture.tcp_segments + got.capture.ignored == got.capture.packets


def test_ports_that_are_asked_for_are_taken_whatever_they_carry() -> None:
    data = b"\x16\x03\x01 no IPFIX at all" * 50
    got = capture(*segments(data, peer=ELSEWHERE), *segments(), ports=(12345,))
    assert got.streams == {SessionKey(*ELSEWHERE): data}
    (got_late,) = capture(*segments(data, peer=ELSEWHERE)[2:5], ports=(12345,)).parts
    assert got_late.octets == data[700:]


def test_the_answers_of_the_collector_are_ignored() -> None:
    back = (*PEER[2:], *PEER[:2])
    got = capture(*segments(), tcp(b"", 5, back), tcp(b"", 4, back, flags=SYN | ACK))
    assert got.capture.ignored == 2


def test_connections_that_may_be_ipfix_wait_within_the_bound_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING_IN_ALL", 3000)
    streams = module.Streams()
    for number in range(50):
        key = bytes((6, 4, number, 1, 18, 131, 0, 0)) + bytes(32)
        for sequence, flags, payload in ((0, SYN, b""), (100, ACK, STREAM[:700])):
            segment = module.Segment(sequence, flags, payload, 0, NOW)
            streams.receive(key, segment, is_wanted=False, is_likely=True)
        assert streams._waiting <= 3000


def test_streams_and_what_waits_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STREAMS", 4)
    monkeypatch.setattr(module, "MOST_WAITING_IN_ALL", 3000)
    peers = [(f"10.0.1.{k}", 5, "10.0.0.2", 4739) for k in range(20)]
    given: list[bytes | tuple[int, bytes]] = [packet for peer in peers for packet in segments(peer=peer)[:4]]
    del given[2::4]
    got = capture(*given)
    assert len(got.streams) == 20
    assert all(octets == STREAM[:700] + STREAM[1400:2100] for octets in got.streams.values())


def test_a_stream_beside_fragments_of_an_exporter_that_is_new_is_read() -> None:
    payload = build.flows(40)[0]
    peer = ("10.0.0.7", 1007, "10.0.0.9", 4739)
    pieces = packets.fragments(packets.udp_datagram(payload, peer), 64, peer=peer)
    got = capture(*[(NOW, piece) for piece in pieces], *segments())
    assert got.streams == {SessionKey(*PEER): STREAM}
    assert got.faults == []
    assert got.capture.datagrams == 1
