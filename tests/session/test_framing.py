"""Where Messages begin and end, in datagrams and in streams, and what is said of octets between them."""

from __future__ import annotations

import time
from itertools import accumulate

import numpy as np
import pytest

from headwater.errors import DecodeError, FaultKind
from headwater.session import DataSets, Session
from headwater.session.events import Event
from tests import build as b
from tests.oracle import Account, listen

STREAMS = ["tcp", "tls", "file"]
FLOWS = b.template_set(b.template(256, (8, 4)))


def flow(number: int, *, domain: int = 1) -> bytes:
    """A Message of one flow, with its template."""
    return b.message(FLOWS, b.data_set(256, b.uint(number)), sequence=number, domain=domain)


def numbers(told: Account) -> list[int]:
    return [record.values[0] for record in told.records]


# --- datagrams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "dtls", "sctp"])
def test_several_messages_in_one_datagram_are_taken(transport: str) -> None:
    told = listen(flow(0) + flow(1) + flow(2), transport=transport)
    assert numbers(told) == [0, 1, 2]
    assert told.session.counters["datagrams"] == 1
    assert told.session.counters["messages"] == 3


@pytest.mark.parametrize(
    ("rest", "kinds"),
    [
        (b"\0", {FaultKind.TRAILING_OCTETS: 1}),
        (bytes(7), {FaultKind.TRAILING_OCTETS: 7}),
        (b"\0\x09" + bytes(40), {FaultKind.TRAILING_OCTETS: 42}),
        (flow(1)[:15], {FaultKind.TRAILING_OCTETS: 15}),
        (flow(1)[:-1], {FaultKind.TRUNCATED: 1}),
        (b.message(length=15), {FaultKind.BAD_LENGTH: 1}),
    ],
)
def test_what_follows_a_message_in_its_datagram_is_told(rest: bytes, kinds: dict[FaultKind, int]) -> None:
    told = listen(flow(0) + rest)
    assert numbers(told) == [0]
    assert told.kinds == kinds
    assert told.faults[0].offset == len(flow(0))


def test_many_datagrams_in_one_buffer_are_the_same_as_one_by_one() -> None:
    datagrams = [
        flow(0),
        b"",
        flow(1)[:10],
        b"\0\3" + bytes(30),
        flow(1) + b"x",
        flow(2) + flow(3),
        flow(4)[:-2],
        flow(4),
    ]
    single = listen(*datagrams)
    session = Session()
    ends = accumulate(map(len, datagrams))
    told = Account(session).add(session.receive(b"".join(datagrams), ends=ends), 0)
    assert numbers(told) == numbers(single) == [0, 1, 2, 3, 4]
    assert told.faults == single.faults
    assert told.kinds == {
        FaultKind.SHORT_HEADER: 2,
        FaultKind.VERSION: 1,
        FaultKind.TRAILING_OCTETS: 1,
        FaultKind.TRUNCATED: 1,
    }
    assert session.counters == single.session.counters
    assert session.counters["datagrams"] == 8
    assert session.counters["messages_malformed"] == 4


def test_no_datagrams_tell_nothing() -> None:
    session = Session()
    assert list(session.receive(b"", ends=[])) == []
    assert session.counters["datagrams"] == 0


@pytest.mark.parametrize("version", [0, 2, 6, 11, 65535])
def test_other_versions_are_named(version: int) -> None:
    (fault,) = listen(version.to_bytes(2, "big") + bytes(40)).faults
    assert fault.kind is FaultKind.VERSION
    assert f"version {version}, which is no export protocol known here" in fault.detail


@pytest.mark.parametrize("version", [1, 5, 7, 8, 9])
def test_netflow_in_a_stream_is_named(version: int) -> None:
    (fault,) = listen(version.to_bytes(2, "big") + bytes(40), transport="tcp").faults
    assert fault.kind is FaultKind.FRAMING_LOST
    assert f"version {version} (NetFlow v{version})" in fault.detail


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda octets: np.frombuffer(octets, np.uint8)])
def test_any_buffer_is_taken(kind: type) -> None:
    for transport in ("udp", "tcp"):
        session = Session(transport=transport)
        (sets,) = [event for event in session.receive(kind(flow(7))) if isinstance(event, DataSets)]
        assert sets.num_records == 1


def test_what_a_buffer_held_is_not_needed_once_it_is_received() -> None:
    """A collector uses its receive buffer again: what waits for a template or for more octets was copied."""
    session = Session(transport="tcp")
    buffer = bytearray(b.message(b.data_set(256, b.uint(7))) + flow(1)[:20])
    list(session.receive(buffer))
    buffer[:] = bytes(len(buffer))
    told = Account(session).feed(flow(1)[20:])
    assert numbers(told) == [7, 1]


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", STREAMS)
def test_a_message_is_told_once_its_last_octet_is_there(transport: str) -> None:
    stream = flow(0) + flow(1)
    told = listen(transport=transport)
    for i in range(len(stream)):
        told.feed(stream[i : i + 1])
        assert len(told.records) == (i + 1) // len(flow(0))
    assert told.session.offset == len(stream)
    assert told.close().faults == []


@pytest.mark.parametrize("transport", STREAMS)
def test_offsets_count_from_the_start_of_the_stream(transport: str) -> None:
    told = listen(transport=transport)
    for number in range(3):
        message = b.message(b.any_set(9, b""), b.data_set(300 + number, b"x"), sequence=0)
        told.feed(message[:11]).feed(message[11:])
    size = len(message)
    assert [(f.kind, f.offset) for f in told.faults] == [
        pair
        for number in range(3)
        for pair in ((FaultKind.RESERVED_SET, number * size + 16), (FaultKind.UNKNOWN_TEMPLATE, number * size + 20))
    ]


@pytest.mark.parametrize("transport", STREAMS)
@pytest.mark.parametrize(
    ("junk", "detail"),
    [
        (b"\x16\x03\x01\x02", "version 5635 where an IPFIX Message should begin"),
        (b"\0\x09\0\1", "version 9 (NetFlow v9) where an IPFIX Message should begin"),
        (b"\0\x0a\0\x0f", "Message length 15"),
        (b"\0\x0a\0\0", "Message length 0"),
        (b"GET / HTTP/1.1", "version 18245 where an IPFIX Message should begin"),
    ],
)
def test_framing_that_is_lost_is_told_once_and_nothing_after_it_is_read(
    transport: str, junk: bytes, detail: str
) -> None:
    for chunks in ([flow(0) + junk + flow(1)], [flow(0), junk, flow(1)], [flow(0), junk[:1], junk[1:] + flow(1)]):
        told = listen(*chunks, transport=transport).feed(flow(2)).close()
        assert numbers(told) == [0]
        assert [(f.kind, f.offset, f.detail) for f in told.faults] == [(FaultKind.FRAMING_LOST, len(flow(0)), detail)]
        assert told.session.offset == told.session.counters["octets"] == len(flow(0) + junk + flow(1) + flow(2))


@pytest.mark.parametrize("resync", [False, True])
def test_zero_octets_at_the_end_are_garbage(resync: bool) -> None:
    for size in (1, 2, 3, 15, 512):
        for chunks in ([flow(0) + bytes(size)], [flow(0), *[b"\0"] * size]):
            told = listen(*chunks, transport="file", resync=resync).close()
            assert told.kinds == {FaultKind.TRAILING_GARBAGE: size}
            assert told.faults[0].offset == len(flow(0))


def test_zero_octets_before_more_are_lost_framing_or_skipped() -> None:
    stream = flow(0) + bytes(9) + flow(1)
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        assert listen(*chunks, transport="file").close().kinds == {FaultKind.FRAMING_LOST: 1}
        told = listen(*chunks, transport="file", resync=True).close()
        assert told.kinds == {FaultKind.RESYNC: 9}
        assert numbers(told) == [0, 1]


@pytest.mark.parametrize("resync", [False, True])
def test_a_stream_that_ends_inside_a_message_says_what_is_missing(resync: bool) -> None:
    whole = flow(0)
    for size in range(1, len(whole)):
        told = listen(whole + whole[:size], transport="tcp", resync=resync).close()
        (fault,) = told.faults
        if size == 1:
            assert fault.kind is FaultKind.TRAILING_GARBAGE  # one zero octet
        else:
            assert (fault.kind, fault.offset) == (FaultKind.TRUNCATED_TAIL, len(whole))
        if size >= 4:
            assert fault.detail.endswith(f"{len(whole) - size} are missing")
        assert numbers(told) == [0]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_salvage_takes_the_whole_records_of_a_message_that_is_cut_short(transport: str) -> None:
    text = b.template_set(b.template(257, (82, b.VARIABLE)))
    names = b.data_set(257, b.var(b"a"), b.var(b"bcd"))
    whole = b.message(FLOWS, text, b.data_set(256, b.uint(1), b.uint(2)), names, sequence=1)
    for size, kept in [
        (len(whole) - 1, [1, 2]),
        (len(whole) - 10, [1, 2]),
        (len(whole) - 13, []),
        (16 + 12 + 12, []),
        (30, []),
        (16, []),
    ]:
        told = listen(flow(0) + whole[:size], transport=transport, salvage=True).close()
        assert numbers(told) == [0, *kept]
        assert told.kinds == {FaultKind.TRUNCATED if transport == "udp" else FaultKind.TRUNCATED_TAIL: 1}
        assert told.session.counters["messages"] == 2
        assert told.session.ledger[1].malformed == 1
        assert told.session.templates(1) == {} or transport == "udp"
    assert numbers(listen(flow(0) + whole[:-1], transport=transport).close()) == [0]


def test_a_length_that_was_damaged_hides_no_more_than_it_must_when_resynchronising() -> None:
    long = bytearray(flow(1))
    long[2:4] = b"\xff\xff"
    stream = flow(0) + bytes(long) + flow(2) + flow(3)
    assert listen(stream, transport="file").close().kinds == {FaultKind.TRUNCATED_TAIL: 1}
    told = listen(stream, transport="file", resync=True).close()
    assert numbers(told) == [0, 2, 3]
    assert told.faults[0].kind is FaultKind.RESYNC
    assert (told.faults[0].offset, told.faults[0].count) == (len(flow(0)), len(flow(1)))


def test_false_beginnings_are_passed_over() -> None:
    junk = b"\xde\xad" + b"\0\x0a\0\x20" + bytes(10) + b"\0\x0a\xff\xff\0\x0a"
    stream = flow(0) + junk + flow(1) + flow(2)
    for step in (1, 2, 3, 7, 64, len(stream)):
        chunks = [stream[i : i + step] for i in range(0, len(stream), step)]
        told = listen(*chunks, transport="file", resync=True).close()
        assert numbers(told) == [0, 1, 2]
        assert [(f.kind, f.offset, f.count) for f in told.faults] == [(FaultKind.RESYNC, len(flow(0)), len(junk))]


def test_resynchronising_is_linear_in_damage() -> None:
    # at the end each 00 0A claims a Message that does not lead to another one
    stream = (flow(0) + flow(1) + b"\xff\xff") * 2000 + b"\0\x0a\0\x11" * 50_000
    session = Session(transport="file", resync=True)
    start = time.process_time()
    events, consumed = session.read(stream, final=True)
    list(events)
    assert time.process_time() - start < 5.0
    assert consumed == len(stream)
    assert session.counters["messages"] == 4000


def test_thousands_of_bad_datagrams_among_good_ones_stay_linear() -> None:
    datagrams = [flow(0), b"x"] * 20_000
    session = Session()
    start = time.process_time()
    events = list(session.receive(b"".join(datagrams), ends=list(accumulate(map(len, datagrams)))))
    assert time.process_time() - start < 5.0
    assert session.counters["messages_malformed"] == 20_000
    assert sum(isinstance(event, DataSets) for event in events) >= 1


# --- reading without keeping anything back ---------------------------------------------------------------------------


def test_read_says_how_much_it_took_and_keeps_nothing_back() -> None:
    stream = flow(0) + flow(1) + flow(2)
    session = Session(transport="file")
    told, at = Account(session), 0
    for end in (10, 50, 60, len(stream)):
        events, consumed = session.read(stream[at:end], final=end == len(stream))
        told.add(events, at)
        at += consumed
        assert at <= end
        assert session.offset == at
    assert at == len(stream)
    assert numbers(told) == [0, 1, 2]
    assert told.close().faults == []


def test_data_sets_point_into_the_buffer_they_came_in() -> None:
    stream = np.frombuffer(flow(0) + flow(1), np.uint8)
    session = Session(transport="file")
    events, _ = session.read(stream, final=True)
    (sets,) = [event for event in events if isinstance(event, DataSets)]
    assert sets.buffer.base is stream or np.shares_memory(sets.buffer, stream)
    assert [stream[a:z].tobytes() for a, z in zip(sets.start, sets.end, strict=True)] == [b.uint(0), b.uint(1)]
    assert sets.order.tolist() == [1, 3]
    assert sets.messages.offset.tolist() == [0, len(flow(0))]


def test_strict_raises_at_the_first_fault_that_costs_octets_with_its_offset() -> None:
    session = Session(transport="tcp", strict=True)
    events = session.receive(flow(0) + b.message(b.any_set(256, b"", length=2)) + flow(1))
    found: list[Event] = []
    with pytest.raises(DecodeError) as caught:
        found.extend(events)
    assert (caught.value.kind, caught.value.offset) == (FaultKind.SET_LENGTH, len(flow(0)) + 16)
    assert any(isinstance(event, DataSets) for event in found)
