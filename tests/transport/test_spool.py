"""Raw spools: what was received comes back as it was; what is damaged costs no more than itself."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest

from headwater.errors import Fault, FaultKind
from headwater.session.key import SessionKey, Transport
from headwater.transport import Content, Source, open_source
from headwater.transport.content import content_of
from headwater.transport.incoming.block import Block
from headwater.transport.spool import Spool, SpoolBlock
from headwater.wire.spool import BLOCK_HEADER, FILE_HEADER, FRAMED, MOST_OCTETS, MOST_ROWS, MOST_TOLD, Told
from tests.transport.spools import EXPORTER, LOCAL, MARK, OTHER, RECEIVED, block, payloads, pieces, spool


def read(octets: bytes, *, window: int = 1 << 20, stream: bool = False) -> tuple[list[SpoolBlock], list[Fault], Spool]:
    source = Source("x", given=io.BytesIO(octets)) if stream else Source("x", given=memoryview(octets))
    windows = open_source(source, window=window)
    assert windows.content is Content.SPOOL
    found = Spool(windows)
    parts = list(found)
    assert found.offset == len(octets)
    return (
        [part for part in parts if isinstance(part, SpoolBlock)],
        [part for part in parts if isinstance(part, Fault)],
        found,
    )


@pytest.mark.parametrize("stream", [False, True], ids=["memory", "stream"])
@pytest.mark.parametrize("window", [64, 100, 1 << 20])
def test_blocks_come_back_as_they_were(window: int, stream: bool) -> None:
    first = block(b"one", b"", b"three", keys=[EXPORTER, OTHER, EXPORTER])
    second = block(b"x" * 5000, keys=[None], received=0)
    octets = spool(first, second)
    blocks, faults, found = read(octets, window=window, stream=stream)
    assert faults == []
    assert found.counters == {"blocks": 2, "datagrams": 4, "ended": 0, "dropped": 0}
    assert [one.transport for one in blocks] == [Transport.UDP] * 2
    assert [one.local for one in blocks] == [LOCAL] * 2
    datagrams = blocks[0].datagrams
    assert payloads(datagrams) == [b"one", b"", b"three"]
    assert [datagrams.keys[peer] for peer in datagrams.peer] == [EXPORTER, OTHER, EXPORTER]
    assert datagrams.received.tolist() == [RECEIVED, RECEIVED + 1000, RECEIVED + 2000]
    assert datagrams.stream is None
    for one in blocks:
        for at, payload in zip(one.datagrams.offset.tolist(), payloads(one.datagrams), strict=True):
            assert octets[at : at + len(payload)] == payload
    assert payloads(blocks[1].datagrams) == [b"x" * 5000]
    assert [blocks[1].datagrams.keys[peer] for peer in blocks[1].datagrams.peer] == [None]
    assert blocks[1].datagrams.received.tolist() == [0]


def test_streams_of_sctp_and_what_became_of_sessions_come_back() -> None:
    fault = Fault(FaultKind.FRAMING_LOST, 77, None, "no Message", 2, OTHER)
    given = block(b"a", b"b", streams=[0, 3], ended=[EXPORTER, OTHER], dropped={OTHER: 9}, faults=[fault])
    (one,), faults, found = read(spool(given, lane=(Transport.SCTP, ("::", 4740))))
    assert one.transport is Transport.SCTP
    assert one.local == ("::", 4740)
    assert one.datagrams.stream is not None
    assert one.datagrams.stream.tolist() == [0, 3]
    assert one.ended == [EXPORTER, OTHER]
    assert one.dropped == {OTHER: 9}
    assert one.faults == [Fault(FaultKind.FRAMING_LOST, FILE_HEADER.size, None, "no Message", 2, OTHER)]
    assert (faults, found.counters["ended"], found.counters["dropped"]) == ([], 2, 9)


def test_a_block_without_datagrams_tells_of_sessions_that_ended() -> None:
    (one,), faults, _ = read(spool(block(ended=[EXPORTER])))
    assert (len(one.datagrams), one.ended, faults) == (0, [EXPORTER], [])


def test_datagrams_that_lie_apart_or_out_of_order_are_stored_as_they_came() -> None:
    whole = block(b"aaa", b"bbb", b"ccc").datagrams
    apart = Block(_rows(whole, [0, 2]))
    mixed = Block(_rows(whole, [2, 0, 1]))
    (first, second), faults, _ = read(spool(apart, mixed))
    assert faults == []
    assert payloads(first.datagrams) == [b"aaa", b"ccc"]
    assert payloads(second.datagrams) == [b"ccc", b"aaa", b"bbb"]


def test_a_block_that_is_too_large_becomes_several_and_sessions_end_behind_the_last() -> None:
    count = MOST_ROWS + 1
    given = block(*[b"%d" % (i % 10) for i in range(count)], ended=[EXPORTER])
    blocks, faults, found = read(spool(given))
    assert faults == []
    assert [one.ended for one in blocks] == [[], [EXPORTER]]
    assert found.counters["datagrams"] == count
    assert b"".join(one.datagrams.buffer.tobytes() for one in blocks) == given.datagrams.buffer.tobytes()


def _rows(datagrams: Any, rows: list[int]) -> Any:
    from dataclasses import replace

    return replace(
        datagrams, **{n: getattr(datagrams, n)[rows] for n in ("start", "end", "peer", "offset", "received")}
    )


@pytest.mark.parametrize("stream", [False, True], ids=["memory", "stream"])
def test_a_spool_that_is_cut_anywhere_gives_what_is_whole_and_one_fault(stream: bool) -> None:
    parts = pieces(block(b"one", b"two"), block(b"three"))
    octets = b"".join(parts)
    starts = [0, len(parts[0]), len(parts[0]) + len(parts[1]), len(octets)]
    for size in range(8, len(octets)):
        blocks, faults, _ = read(octets[:size], window=64, stream=stream)
        whole = max(sum(start <= size for start in starts) - 2, 0)
        assert len(blocks) == whole
        if size in starts:
            assert faults == []
        else:
            (fault,) = faults
            assert (fault.kind, fault.offset) == (FaultKind.TRUNCATED_TAIL, max(at for at in starts if at < size))


def test_an_octet_that_is_wrong_costs_one_block_or_the_rest_of_none() -> None:
    parts = pieces(block(b"one", b"two"), block(b"three"), block(b"four"))
    octets = b"".join(parts)
    first = len(parts[0])
    for at in range(first, first + len(parts[1])):
        damaged = bytearray(octets)
        damaged[at] ^= 0x40
        blocks, faults, found = read(bytes(damaged), window=200)
        assert [payloads(one.datagrams) for one in blocks] == [[b"three"], [b"four"]]
        (fault,) = faults
        assert (fault.kind, fault.offset) == (FaultKind.CAPTURE_DAMAGED, first)
        assert found.counters["damaged_blocks"] == 1
        in_body = at >= first + BLOCK_HEADER.size or first + 12 <= at < first + 16
        assert found.counters["damaged_datagrams"] == (2 if in_body else 0)


def test_garbage_between_blocks_is_skipped() -> None:
    head, one, two = pieces(block(b"one"), block(b"two"))
    octets = head + b"garbage" * 1000 + MARK + b"no" + one + MARK * 50 + two + bytes(300)
    for window in (64, 1 << 20):
        blocks, faults, _ = read(octets, window=window)
        assert [payloads(block.datagrams) for block in blocks] == [[b"one"], [b"two"]]
        kinds = [fault.kind for fault in faults]
        assert kinds == [FaultKind.CAPTURE_DAMAGED, FaultKind.CAPTURE_DAMAGED, FaultKind.TRUNCATED_TAIL]
        assert faults[-1].offset == len(octets) - 300


def test_a_block_within_a_datagram_of_a_damaged_one_is_no_block() -> None:
    fake = b"".join(pieces(block(b"fake"), mark=b"guessed!"))
    head, one, two = pieces(block(fake), block(b"two"))
    blocks, faults, _ = read(head + bytes(8) + one[8:] + two)
    assert [payloads(block.datagrams) for block in blocks] == [[b"two"]]
    assert [fault.kind for fault in faults] == [FaultKind.CAPTURE_DAMAGED]


@pytest.mark.parametrize(
    ("told", "rows", "octets"), [(MOST_TOLD + 1, 0, 0), (0, MOST_ROWS + 1, 0), (0, 0, MOST_OCTETS + 1)]
)
def test_lengths_beyond_the_limits_are_damage(told: int, rows: int, octets: int) -> None:
    head, two = pieces(block(b"two"))
    blocks, faults, _ = read(head + _header(0, told, rows, octets) + two)
    assert [payloads(block.datagrams) for block in blocks] == [[b"two"]]
    assert [fault.kind for fault in faults] == [FaultKind.CAPTURE_DAMAGED]


def _header(crc: int, told: int, rows: int, octets: int, flags: int = 0) -> bytes:
    header = bytearray(BLOCK_HEADER.pack(MARK, 0, crc, told, rows, octets, flags))
    header[8:12] = zlib.crc32(header[FRAMED:]).to_bytes(4, "little")
    return bytes(header)


def _made(
    told: bytes, tables: list[tuple[int, int, int, int]], buffer: bytes, streams: list[int] | None = None
) -> bytes:
    columns = list(zip(*tables, strict=True)) if tables else [()] * 4
    body = told + struct.pack(f"<{len(tables)}q", *columns[0])
    for column in columns[1:]:
        body += struct.pack(f"<{len(tables)}i", *column)
    if streams is not None:
        body += struct.pack(f"<{len(streams)}i", *streams)
    body += buffer
    return _header(zlib.crc32(body), len(told), len(tables), len(buffer), int(streams is not None)) + body


TOLD = msgspec.json.encode(Told("udp", LOCAL, [("192.0.2.1", 1, "", 0)]))


@pytest.mark.parametrize(
    "made",
    [
        _made(b"{", [], b""),
        _made(b"\xff\xfe", [], b""),
        _made(b"[" * 100_000, [], b""),
        _made(b"{}", [], b""),
        _made(TOLD.replace(b'"udp"', b'"file"'), [], b""),
        _made(TOLD.replace(b'"udp"', b'"quic"'), [], b""),
        _made(TOLD.replace(b"192.0.2.1", b"\\u001b[2J"), [], b""),
        _made(TOLD.replace(b'"192.0.2.1",1', b'"192.0.2.1",65536'), [], b""),
        _made(TOLD.replace(b'"ended":[]', b'"ended":[7]'), [], b""),
        _made(TOLD.replace(b'"ended":[]', b'"ended":[-1]'), [], b""),
        _made(TOLD.replace(b'"faults":[]', b'"faults":[["nonsense",0,"",1,null]]'), [], b""),
        _made(TOLD, [(0, -1, 1, 0)], b"abc"),
        _made(TOLD, [(0, 0, 4, 0)], b"abc"),
        _made(TOLD, [(0, 2, 1, 0)], b"abc"),
        _made(TOLD, [(0, 0, 3, 0), (0, 0, 3, 0)], b"abc"),
        _made(TOLD, [(0, 0, 3, 1)], b"abc"),
        _made(TOLD, [(0, 0, 3, -1)], b"abc"),
        _made(TOLD, [(0, 0, 3, 0)], b"abc", [-1]),
        _made(TOLD, [(0, 0, 3, 0)], b"abc", [65536]),
    ],
)
def test_a_block_that_means_nothing_is_a_fault_and_the_next_one_is_read(made: bytes) -> None:
    head, two = pieces(block(b"two"))
    blocks, faults, found = read(head + made + two)
    assert [payloads(block.datagrams) for block in blocks] == [[b"two"]]
    (fault,) = faults
    assert (fault.kind, fault.offset) == (FaultKind.CAPTURE_DAMAGED, len(head))
    assert found.counters["damaged_blocks"] == 1


def test_a_time_before_1970_is_not_known() -> None:
    (one,), faults, _ = read(pieces()[0] + _made(TOLD, [(-5, 0, 3, 0)], b"abc"))
    assert (one.datagrams.received.tolist(), faults) == ([0], [])


def test_random_octets_are_only_faults() -> None:
    generator = np.random.default_rng(5)
    octets = bytearray(spool(*(block(*[bytes([i]) * 100 for i in range(20)]) for _ in range(5))))
    for _ in range(300):
        damaged = bytearray(octets)
        for at in generator.integers(FILE_HEADER.size, len(damaged), 5).tolist():
            damaged[at] = int(generator.integers(256))
        blocks, faults, _ = read(bytes(damaged), window=512)
        assert faults or blocks
        assert len(blocks) <= 5


@pytest.mark.parametrize("at", range(8, FILE_HEADER.size))
def test_a_damaged_file_header_is_a_fault(at: int) -> None:
    damaged = bytearray(spool(block(b"one")))
    damaged[at] ^= 1
    windows = open_source(Source("x", given=memoryview(damaged)))
    (fault,) = list(Spool(windows))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.offset) == (FaultKind.CAPTURE_DAMAGED, 0)


def test_a_version_that_is_not_known_is_said() -> None:
    octets = bytearray(pieces()[0])
    octets[8] = 9
    octets[-4:] = zlib.crc32(octets[:-4]).to_bytes(4, "little")
    (fault,) = list(Spool(open_source(Source("x", given=memoryview(octets)))))
    assert isinstance(fault, Fault)
    assert "version 9" in fault.detail


def test_a_spool_is_told_by_its_first_octets() -> None:
    assert content_of(spool()[:8]) is Content.SPOOL
    assert content_of(b"\x93HWSPOOK") is None


def test_a_key_is_what_it_was() -> None:
    keys = [SessionKey("fe80::1%eth0", 1, "::", 2), SessionKey("unix", 0)]
    (one,), _, _ = read(spool(block(b"a", b"b", keys=keys)))
    assert list(one.datagrams.keys) == keys
