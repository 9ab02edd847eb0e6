"""Compressed streams: all members, bounded memory, and everything before the damage."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Fault, FaultKind, SourceError
from headwater.transport.compression import Decompressed, codec_of
from headwater.transport.raw import RawStream
from tests import build


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def lz4_frame(data: bytes) -> bytes:
    return bytes(lz4.frame.compress(data, content_checksum=True))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "lz4": lz4_frame,
}
every_format = pytest.mark.parametrize("name", COMPRESS)
DATA = b"".join(build.flows(2000))
PADDED = "xz"  # pads between streams, in multiples of four


class Pipe(io.RawIOBase):
    """Octets that come a few at a time and cannot be sought."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer
        octets = self._data.read(min(len(buffer), 1000))
        buffer[: len(octets)] = octets
        return len(octets)


def decompress(data: bytes, *, file: io.IOBase | None = None) -> tuple[bytes, list[Fault]]:
    codec = codec_of(data, "x")
    assert codec is not None
    stream = Decompressed(codec, RawStream(file or io.BytesIO(data), "x", owned=True))
    out = bytearray()
    view = memoryview(bytearray(100_000))
    while count := stream.readinto(view):
        out += view[:count]
    return bytes(out), stream.faults


@every_format
def test_a_whole_stream_comes_back(name: str) -> None:
    assert decompress(COMPRESS[name](DATA)) == (DATA, [])


@every_format
def test_a_pipe_that_gives_a_little_at_a_time_is_enough(name: str) -> None:
    data = COMPRESS[name](DATA)
    assert decompress(data, file=Pipe(data)) == (DATA, [])


@every_format
def test_empty_content_is_no_fault(name: str) -> None:
    assert decompress(COMPRESS[name](b"")) == (b"", [])


@every_format
def test_members_that_follow_each_other_are_one_stream(name: str) -> None:
    parts = [DATA[:100], b"", DATA[100:50_000], DATA[50_000:]]
    assert decompress(b"".join(map(COMPRESS[name], parts))) == (DATA, [])


@every_format
def test_zero_octets_after_the_last_member_are_trailing_garbage(name: str) -> None:
    data, faults = decompress(COMPRESS[name](DATA) + bytes(1023))
    assert data == DATA
    assert [(f.kind, f.offset, f.count) for f in faults] == [(FaultKind.TRAILING_GARBAGE, len(DATA), 1023)]
    assert "1023 zero octets" in faults[0].detail


@every_format
def test_zero_octets_between_members_are_skipped_and_told(name: str) -> None:
    data, faults = decompress(COMPRESS[name](DATA[:999]) + bytes(5) + COMPRESS[name](DATA[999:]))
    assert data == DATA
    assert [(f.kind, f.offset, f.count) for f in faults] == [(FaultKind.TRAILING_GARBAGE, 999, 5)]


def test_the_padding_that_xz_allows_is_no_fault() -> None:
    assert decompress(lzma.compress(DATA) + bytes(8) + lzma.compress(b"x") + bytes(4)) == (DATA + b"x", [])


@every_format
@pytest.mark.parametrize("zeros", [0, 3])
def test_other_octets_after_the_last_member_are_trailing_garbage(name: str, zeros: int) -> None:
    garbage = bytes(zeros) + b"something else" * 10_000
    data, faults = decompress(COMPRESS[name](DATA) + garbage)
    assert data == DATA
    assert [(f.kind, f.offset, f.count) for f in faults] == [(FaultKind.TRAILING_GARBAGE, len(DATA), len(garbage))]


@every_format
def test_a_stream_cut_anywhere_gives_what_was_there(name: str) -> None:
    whole = DATA[:3000]
    data = COMPRESS[name](whole)
    longest = 0
    for cut in range(6, len(data)):
        out, faults = decompress(data[:cut])
        assert whole.startswith(out)
        assert [f.kind for f in faults] == [FaultKind.TRUNCATED_TAIL]
        assert faults[0].offset == len(out)
        assert len(out) >= longest
        longest = len(out)
    assert longest == len(whole) or name in ("zstd", "lz4")


@every_format
def test_a_second_member_cut_short_leaves_the_first_whole(name: str) -> None:
    second = COMPRESS[name](DATA)
    for cut in (8, len(second) // 2, len(second) - 1):
        out, faults = decompress(COMPRESS[name](DATA) + second[:cut])
        assert out.startswith(DATA)
        assert [f.kind for f in faults] == [FaultKind.TRUNCATED_TAIL]


@every_format
def test_a_wrong_checksum_at_the_end_costs_no_octets(name: str) -> None:
    data = bytearray(COMPRESS[name](DATA))
    data[{"gzip": -8, "bzip2": -2, "xz": -30, "zstd": -1, "lz4": -1}[name]] ^= 0x55
    out, faults = decompress(bytes(data))
    assert out == DATA
    assert [(f.kind, f.offset) for f in faults] == [(FaultKind.FRAMING_LOST, len(DATA))]
    assert f"the {name} data is damaged" in faults[0].detail


@every_format
def test_damage_in_the_middle_gives_what_came_before(name: str) -> None:
    first = COMPRESS[name](DATA)
    data = bytearray(first + COMPRESS[name](DATA))
    middle = len(first) + len(first) // 2
    data[middle : middle + 64] = b"\xff" * 64
    out, faults = decompress(bytes(data))
    assert out[: len(DATA)] == DATA
    assert [f.kind for f in faults] == [FaultKind.FRAMING_LOST]
    assert faults[0].offset == len(out)


@every_format
def test_damage_in_a_pipe_is_a_fault_too(name: str) -> None:
    data = bytearray(COMPRESS[name](DATA) * 2)
    data[-9:] = b"\xff" * 9
    out, faults = decompress(bytes(data), file=Pipe(bytes(data)))
    assert out.startswith(DATA)
    assert [f.kind for f in faults] in ([FaultKind.FRAMING_LOST], [FaultKind.TRUNCATED_TAIL])


@every_format
@settings(max_examples=60, deadline=None)
@given(mutation=st.data())
def test_any_damage_is_a_fault_and_never_an_exception(name: str, mutation: st.DataObject) -> None:
    data = bytearray(COMPRESS[name](DATA[:2000]) + COMPRESS[name](DATA[2000:4000]))
    at = mutation.draw(st.integers(6, len(data) - 1))
    data[at] = mutation.draw(st.integers(0, 255))
    del data[mutation.draw(st.integers(6, len(data))) :]
    out, faults = decompress(bytes(data))
    assert len(out) <= 1 << 20
    assert out == DATA[: len(out)] or faults


@every_format
def test_a_bomb_is_given_piece_by_piece(name: str) -> None:
    bomb = COMPRESS[name](bytes(16 << 20))
    codec = codec_of(bomb, "x")
    assert codec is not None
    decoder = codec.open()
    largest, total, data = 0, 0, bomb
    while not decoder.eof:
        out = decoder.decompress(data if decoder.needs_input else b"", 1 << 18)
        data = b""
        largest, total = max(largest, len(out)), total + len(out)
    assert total == 16 << 20
    assert largest <= (1 << 18) + (1 << 17)


def test_a_zstd_stream_may_begin_with_a_skippable_frame() -> None:
    skippable = b"\x5a\x2a\x4d\x18" + (100_000).to_bytes(4, "little") + bytes(100_000)
    assert decompress(skippable + zstd(DATA) + skippable + zstd(b"x")) == (DATA + b"x", [])


def test_zstd_frames_of_all_header_forms_are_read() -> None:
    for size in (10, 300, 70_000):
        for checksum in (False, True):
            for sized in (False, True):
                make = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=sized)
                assert decompress(make.compress(DATA[:size]) * 2) == (DATA[:size] * 2, [])


def test_a_header_that_asks_for_gigabytes_is_refused() -> None:
    data = lzma.compress(DATA, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}])
    out, faults = decompress(data)
    assert out == b""
    assert [f.kind for f in faults] == [FaultKind.FRAMING_LOST]


@pytest.mark.parametrize(("name", "module"), [("zstd", "zstandard"), ("lz4", "lz4.frame")])
def test_a_missing_library_is_told_with_the_extra_that_brings_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(SourceError, match=r"needs .*: pip install 'headwater\[compression\]'") as caught:
        codec_of(COMPRESS[name](DATA), "flows.bin")
    assert str(caught.value).startswith(f"flows.bin is {name} data")
    assert caught.value.source == "flows.bin"


def test_octets_that_are_not_compressed_have_no_codec() -> None:
    assert codec_of(DATA, "x") is None
    assert codec_of(b"", "x") is None
