"""One message of a capture is found by its number and by every octet of it, with what is known of its exporter."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.located import Found, missing_templates
from headwater.cli.locating import NamedWindows, locate, open_octets
from headwater.errors import FaultKind, SourceError
from headwater.process.manner import Manner
from headwater.session.key import KeyPolicy, KeyRule, SessionKey
from headwater.transport.content import Content
from headwater.transport.windows import MappedWindows
from tests import build, packets

FIRST, SECOND, THIRD, *_ = build.flows(100)
ONE, OTHER = ("10.0.0.1", 1001, "10.0.0.9", 4739), ("10.0.0.2", 1001, "10.0.0.9", 4739)
STREAM = ("10.0.0.3", 1003, "10.0.0.9", 4739)
V9_TEMPLATE = build.netflow9(build.netflow9_template(256, (8, 4)))
V9_DATA = build.netflow9(build.any_set(256, build.ipv4("192.0.2.1")), sequence=1)
SECOND_NS = 10**9


def find(capture: bytes, manner: Manner | None = None, *, window: int = 4 << 20, **wanted: Any) -> Found:
    windows = MappedWindows(memoryview(capture), window=window)
    windows.content = Content.CAPTURE
    return locate(NamedWindows("x", windows), manner or Manner(), **wanted)


def udp(*sent: tuple[bytes, packets.Endpoints]) -> bytes:
    """A capture of datagrams, a second apart."""
    return packets.pcap(
        [(k * SECOND_NS, packets.ethernet(packets.udp(payload, peer))) for k, (payload, peer) in enumerate(sent, 1)]
    )


def segments(octets: bytes, sizes: Iterable[int], peer: packets.Endpoints = STREAM) -> list[bytes]:
    """TCP packets with octets of a stream: as many in each as `sizes` says, again and again."""
    out, at = [packets.ethernet(packets.tcp(b"", 0, peer, flags=packets.SYN))], 0
    for size in itertools.cycle(sizes):
        if at >= len(octets):
            return out
        out.append(packets.ethernet(packets.tcp(octets[at : at + size], at + 1, peer)))
        at += size
    raise AssertionError


def template_ids(found: Sequence[Found]) -> list[list[int]]:
    return [sorted(one.templates) for one in found]


# --- datagrams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [3000, 4 << 20])
def test_messages_are_numbered_as_they_came_and_know_the_templates_of_their_exporter(window: int) -> None:
    capture = udp((V9_TEMPLATE, ONE), (build.netflow5(), ONE), (FIRST, OTHER), (V9_DATA, ONE), (SECOND, OTHER))
    found = [find(capture, window=window, number=number) for number in range(1, 6)]
    assert [one.octets for one in found] == [V9_TEMPLATE, build.netflow5(), FIRST, V9_DATA, SECOND]
    assert [one.number for one in found] == [1, 2, 3, 4, 5]
    assert [one.protocol for one in found] == ["NetFlow v9", "NetFlow v5", "IPFIX", "NetFlow v9", "IPFIX"]
    assert template_ids(found) == [[], [], [], [256], [256]]
    assert len(found[3].templates[256].fields) == 1
    assert len(found[4].templates[256].fields) > 1
    assert [one.key for one in found[2:4]] == [SessionKey(*OTHER), SessionKey(*ONE)]
    assert [one.received for one in found] == [k * SECOND_NS for k in range(1, 6)]
    assert not any(one.has_withdrawals for one in found)
    with pytest.raises(SourceError, match="x has 5 messages, no message 6"):
        find(capture, window=window, number=6)


@pytest.mark.parametrize("window", [3000, 4 << 20])
def test_every_octet_of_a_payload_finds_its_message(window: int) -> None:
    capture = udp((FIRST, ONE), (build.netflow5(), OTHER), (SECOND, ONE))
    for number in (1, 2, 3):
        message = find(capture, number=number)
        assert capture[message.at : message.at + len(message.octets)] == message.octets
        for offset in range(message.at, message.at + len(message.octets), 31):
            found = find(capture, window=window, offset=offset)
            assert (found.number, found.at, template_ids([found])) == (number, message.at, template_ids([message]))


def test_an_octet_of_no_payload_tells_what_is_near() -> None:
    capture = udp((FIRST, ONE), (SECOND, ONE))
    first, second = find(capture, number=1), find(capture, number=2)
    end = first.at + len(FIRST)
    with pytest.raises(SourceError, match=rf"offset 3: the next one begins at {first.at}$"):
        find(capture, offset=3)
    with pytest.raises(SourceError, match=rf"the message before it ends at {end}, the next one begins at {second.at}$"):
        find(capture, offset=end)
    with pytest.raises(SourceError, match=rf"the message before it ends at {len(capture)}$"):
        find(capture, offset=len(capture))


def test_messages_that_share_a_datagram_are_messages_of_their_own() -> None:
    capture = udp((FIRST + SECOND + b"rest", ONE), (THIRD + THIRD[:50], ONE))
    found = [find(capture, number=number) for number in (1, 2, 3, 4)]
    assert [one.octets for one in found] == [FIRST, SECOND + b"rest", THIRD, THIRD[:50]]
    assert template_ids(found) == [[], [256], [256], [256]]
    assert find(capture, offset=found[1].at).number == 2
    assert find(capture, offset=found[1].at - 1).number == 1
    assert FaultKind.TRUNCATED in [fault.kind for fault in found[3].faults]


def test_what_is_no_message_of_a_known_protocol_is_counted_too() -> None:
    sflow = b"\0\0\0\5" + bytes(60)
    capture = udp((sflow, ONE), (b"\0\x63nonsense", ONE), (FIRST, ONE))
    found = [find(capture, Manner(ports=frozenset([4739])), number=number) for number in (1, 2, 3)]
    assert [(one.octets, one.protocol) for one in found] == [
        (sflow, "sFlow"),
        (b"\0\x63nonsense", ""),
        (FIRST, "IPFIX"),
    ]


def test_without_a_number_it_is_the_first_message() -> None:
    assert find(udp((b"what?", ("10.0.0.1", 53, "10.0.0.2", 53)), (FIRST, ONE))).octets == FIRST


def test_a_rule_for_keys_decides_whose_templates_count() -> None:
    moved = (ONE[0], 2002, *ONE[2:])
    capture = udp((FIRST, ONE), (SECOND, moved))
    assert template_ids([find(capture, number=2)]) == [[]]
    by_address = Manner(policy=KeyPolicy(KeyRule.ADDRESS))
    assert template_ids([find(capture, by_address, number=2)]) == [[256]]


def test_a_restart_of_the_exporter_makes_its_templates_void() -> None:
    before = build.netflow9(build.netflow9_template(256, (8, 4)), uptime_ms=100_000_000)
    capture = udp((before, ONE), (V9_DATA, ONE))
    found = find(capture, number=2)
    assert template_ids([found]) == [[]]
    (fault,) = [fault for fault in found.faults if fault.kind is FaultKind.EXPORTER_RESTART]
    assert fault.offset == found.at + 4


def test_what_a_session_says_of_a_message_stands_at_the_field_of_its_header() -> None:
    late = build.netflow9(sequence=9)
    found = find(udp((V9_TEMPLATE, ONE), (late, ONE)), number=2)
    (gap,) = [fault for fault in found.faults if fault.kind is FaultKind.SEQUENCE_GAP]
    assert gap.offset == found.at + 12
    assert gap.detail == "9 where 1 was expected, 8 messages lost"


def test_names_that_one_exporter_teaches_are_not_those_of_another() -> None:
    taught = build.message(
        build.options_template_set(
            build.options_template(260, (346, 4), (303, 2), (339, 1), (341, build.VARIABLE), scope=2)
        ),
        build.data_set(260, build.uint(35555) + build.uint(7, 2) + build.uint(1, 1) + build.var(b"mood")),
    )
    capture = udp((taught, ONE), (build.message(sequence=1), ONE), (FIRST, OTHER))
    assert find(capture, number=2).registry.get(35555, 7).name == "mood"
    assert find(capture, number=3).registry.get(35555, 7).name != "mood"


@pytest.mark.parametrize("window", [200, 4 << 20])
def test_templates_that_come_behind_a_message_can_be_asked_for(window: int) -> None:
    other = build.message(build.template_set(build.template(256, (8, 4))))
    sent = [(SECOND, ONE), (SECOND + THIRD, ONE), (V9_DATA, OTHER), (other, OTHER), (FIRST, ONE), (V9_TEMPLATE, OTHER)]
    capture = udp(*sent)
    for number in (1, 2, 3):
        found = find(capture, window=window, number=number)
        assert missing_templates(found.dissected(found.templates)) == {256}
        later = find(capture, window=window, number=number).later({256, 999})
        assert {id: len(template.fields) for id, template in later.items()} == {256: 12}
    v9 = find(capture, window=window, offset=find(capture, number=4).at)
    assert len(v9.later([256])[256].fields) == 1
    last = find(capture, window=window, number=7)
    assert (last.octets, last.later([300])) == (V9_TEMPLATE, {})


# --- fragments -------------------------------------------------------------------------------------------------------


def test_a_datagram_in_fragments_is_found_whole() -> None:
    parts = packets.fragments(packets.udp_datagram(FIRST, ONE), 200, peer=ONE)
    later = packets.udp(SECOND, ONE)
    capture = packets.pcap(map(packets.ethernet, [*parts, later]))
    first, second = find(capture, number=1), find(capture, number=2)
    assert (first.octets, second.octets) == (FIRST, SECOND)
    assert first.at + len(FIRST) > second.at  # counted on from its last fragment, its octets seem to overlap
    assert find(capture, offset=first.at).number == 1
    for offset in range(second.at, second.at + len(SECOND), 50):
        assert find(capture, offset=offset).number == 2


# --- TCP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [400, 4 << 20])
@pytest.mark.parametrize("sizes", [[5000], [100], [1], [7, 300]])
def test_messages_of_a_stream_are_found_by_number_and_by_every_octet(window: int, sizes: list[int]) -> None:
    capture = packets.pcap(segments(FIRST + SECOND + THIRD, sizes))
    found = [find(capture, window=window, number=number) for number in (1, 2, 3)]
    assert [one.octets for one in found] == [FIRST, SECOND, THIRD]
    assert template_ids(found) == [[], [256], [256]]
    assert found[0].key == SessionKey(*STREAM)
    assert all(one.has_withdrawals for one in found)
    assert [capture[one.at : one.at + 1] for one in found] == [b"\0"] * 3
    assert [find(capture, window=window, offset=one.at).number for one in found] == [1, 2, 3]
    with pytest.raises(SourceError, match="x has 3 messages, no message 4"):
        find(capture, window=window, number=4)


def test_octets_of_a_stream_are_found_where_their_segments_are() -> None:
    octets = FIRST + SECOND
    capture = packets.pcap(segments(octets, [100]))
    assert find(capture, number=2).pieces == len(range(len(FIRST) // 100, (len(octets) - 1) // 100 + 1))
    at = capture.index(octets[(len(octets) - 1) // 100 * 100 :])
    assert find(capture, offset=at).number == 2
    with pytest.raises(SourceError, match="no message of x has the octet"):
        find(capture, offset=at - 1)  # of the header of that segment


def test_segments_out_of_order_and_sent_twice_change_nothing() -> None:
    start, *parts = segments(FIRST + SECOND + THIRD, [300])
    capture = packets.pcap([start, parts[1], parts[0], *parts[1:]])
    assert [find(capture, number=number).octets for number in (1, 2, 3)] == [FIRST, SECOND, THIRD]


def test_a_message_that_lacks_octets_is_torn_and_those_behind_it_are_found() -> None:
    parts = segments(FIRST + SECOND + THIRD, [100])
    del parts[1 + (len(FIRST) + 250) // 100]
    capture = packets.pcap(parts)
    assert find(capture, number=1).octets == FIRST
    torn, third = find(capture, number=2), find(capture, number=3)
    assert SECOND.startswith(torn.octets)
    assert len(torn.octets) > 100
    assert (third.octets, template_ids([third])) == (THIRD, [[256]])


def test_a_connection_that_ends_and_begins_again_has_no_templates_at_first() -> None:
    end = packets.ethernet(packets.tcp(b"", len(FIRST) + 1, STREAM, flags=packets.FIN))
    capture = packets.pcap([*segments(FIRST, [5000]), end, *segments(SECOND, [5000])])
    assert template_ids([find(capture, number=1), find(capture, number=2)]) == [[], []]


def test_a_torn_message_at_the_end_of_a_stream_is_a_message() -> None:
    capture = packets.pcap(segments(FIRST + SECOND[:150], [100]))
    torn = find(capture, number=2)
    assert (torn.octets, template_ids([torn])) == (SECOND[:150], [[256]])


# --- other sources ---------------------------------------------------------------------------------------------------


def test_a_dump_of_netflow_has_messages(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(V9_TEMPLATE + V9_DATA + build.netflow5(build.netflow5_record("192.0.2.1", "192.0.2.2")))
    found = []
    for number in (1, 2, 3):
        source = open_octets(str(path), None)
        found.append(locate(source, Manner(), number=number))
        source.close()
    assert [one.at for one in found] == [0, len(V9_TEMPLATE), len(V9_TEMPLATE + V9_DATA)]
    assert template_ids(found) == [[], [256], []]
    source = open_octets(str(path), None)
    assert locate(source, Manner(), offset=len(V9_TEMPLATE)).number == 2
    source.close()


def test_octets_given_are_one_datagram_unless_they_are_ipfix() -> None:
    assert locate(open_octets(None, V9_TEMPLATE + V9_DATA), Manner()).octets == V9_TEMPLATE + V9_DATA
    assert locate(open_octets(None, FIRST + SECOND), Manner(), number=2).octets == SECOND
    with pytest.raises(SourceError, match="--hex has 1 message, no message 2"):
        locate(open_octets(None, V9_TEMPLATE), Manner(), number=2)
    with pytest.raises(SourceError, match="offset 999"):
        locate(open_octets(None, V9_TEMPLATE), Manner(), offset=999)


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        (Manner(), "no flow export is among 2 packets of x; --port takes what is sent to a port"),
        (Manner(ports=frozenset([9995, 2055])), "none of 2 packets of x is sent to port 2055 or 9995"),
    ],
)
def test_a_capture_without_export_traffic_says_so(manner: Manner, words: str) -> None:
    capture = udp(*[(b"what?", ("10.0.0.1", 53, "10.0.0.2", 53))] * 2)
    for wanted in ({}, {"number": 1}, {"offset": 60}):
        with pytest.raises(SourceError, match=f"^{words}$"):
            find(capture, manner, **wanted)
