"""Sources: found by path, pattern and directory, opened by content, presented in windows."""

from __future__ import annotations

import array
import errno
import gzip
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import SourceError
from headwater.transport import ForeignContent, Windows, find_sources, open_source
from headwater.transport.windows import MappedWindows, StreamWindows
from tests import build

DATA = b"".join(build.flows(300))


class OnlyRead:
    """A file object with nothing but read(n)."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 777))


def names(given: Any) -> list[str]:
    return [source.name for source in find_sources(given)]


def open_one(given: Any, *, window: int = 1000, trust: bool = False) -> Windows:
    (source,) = find_sources(given)
    return open_source(source, window=window, trust=trust)


def drain(windows: Windows, *, step: int | None = None) -> bytes:
    """All octets, each window consumed up to `step` octets."""
    out, consumed = bytearray(), 0
    while True:
        window, is_last = windows.next(consumed)
        assert windows.size is None or windows.done <= windows.size
        consumed = len(window) if step is None or is_last else min(step, len(window))
        out += window[:consumed]
        if is_last:
            windows.close()
            return bytes(out)


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(DATA)
    return path


# --- finding ---------------------------------------------------------------------------------------------------------


def test_a_path_is_one_source(flows: Path) -> None:
    for given in (flows, str(flows), os.fsencode(flows).decode()):
        (source,) = find_sources(given)
        assert (source.name, source.size, source.is_optional) == (str(flows), len(DATA), False)


def test_a_directory_is_all_its_files_in_order(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a", "c/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(DATA)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == [str(tmp_path / name) for name in ("a", "b/10", "b/2", "c/d/e")]
    assert all(source.is_optional for source in find_sources(tmp_path))


def test_a_pattern_is_all_files_that_match(tmp_path: Path) -> None:
    for name in ("x1.ipfix", "x2.ipfix", "y.ipfix"):
        (tmp_path / name).write_bytes(DATA)
    assert names(f"{tmp_path}/x*.ipfix") == [f"{tmp_path}/x1.ipfix", f"{tmp_path}/x2.ipfix"]
    assert names(f"{tmp_path}/**/y.ipfix") == [f"{tmp_path}/y.ipfix"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "flows[1].ipfix"
    path.write_bytes(DATA)
    assert names(path) == [str(path)]


def test_a_list_is_its_parts(flows: Path) -> None:
    assert names([flows, DATA, (io.BytesIO(DATA), [flows])]) == [str(flows), "<bytes>", "<stream>", str(flows)]


def test_minus_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DATA)))
    assert names("-") == ["<stdin>"]
    assert drain(open_one("-")) == DATA


def test_an_open_file_has_its_own_name(flows: Path) -> None:
    with flows.open("rb") as file:
        assert names(file) == [str(flows)]


def test_a_name_with_control_characters_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m"
    path.write_bytes(DATA)
    assert names(path) == [repr(str(path))]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("/nowhere/flows.ipfix", "/nowhere/flows.ipfix does not exist"),
        ("/nowhere/*.ipfix", "no file matches /nowhere/*.ipfix"),
        ("flows\0.ipfix", "'flows\\x00.ipfix' does not exist"),
    ],
)
def test_what_is_not_there_is_one_sentence(given: str, sentence: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(find_sources(given))
    assert str(caught.value) == sentence


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"^{tmp_path} has no files$"):
        list(find_sources(tmp_path))


def test_anything_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot read from int: give a path, a file object, bytes, or a list of these"):
        list(find_sources(5))


# --- opening ---------------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "only read": lambda path: OnlyRead(path.read_bytes()),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("window", [1, 16, 1000, 1 << 20])
def test_every_kind_of_source_gives_the_same_octets(
    reader: str, compress: Callable[[bytes], bytes], window: int, tmp_path: Path
) -> None:
    path = tmp_path / "flows"
    path.write_bytes(compress(DATA))
    assert drain(open_one(READERS[reader](path), window=window)) == DATA
    assert drain(open_one(READERS[reader](path), window=window), step=max(window // 3, 1)) == DATA


def test_files_are_mapped_and_streams_are_not(flows: Path) -> None:
    assert isinstance(open_one(flows), MappedWindows)
    assert isinstance(open_one(io.BytesIO(DATA)), StreamWindows)


def test_a_window_grows_while_nothing_of_it_is_consumed(flows: Path) -> None:
    for given in (flows, io.BytesIO(DATA)):
        windows = open_one(given, window=100)
        sizes = [len(windows.next(0)[0]) for _ in range(4)]
        assert sizes == [100, 200, 400, 800]
        assert len(windows.next(800)[0]) == 100
        windows.close()


def test_a_file_without_a_map_is_read_as_a_stream(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENODEV, "no maps here")

    monkeypatch.setattr("mmap.mmap", refuse)
    windows = open_one(flows)
    assert isinstance(windows, StreamWindows)
    assert drain(windows) == DATA


def test_a_file_that_shrinks_while_it_is_read_ends_there(flows: Path) -> None:
    windows = open_one(flows, window=100)
    windows.next(0)
    os.truncate(flows, 150)
    window, is_last = windows.next(100)
    assert (bytes(window), is_last) == (DATA[100:150], True)
    windows.close()


def test_pages_behind_the_reader_are_given_back_and_stay_readable(flows: Path) -> None:
    flows.write_bytes(DATA[:4] + bytes(40 << 20))
    windows = open_one(flows, window=4 << 20)
    first, _ = windows.next(0)
    for _ in range(8):
        windows.next(4 << 20)
    assert bytes(first[:4]) == DATA[:4]
    windows.close()
    assert bytes(first[:4]) == DATA[:4]


def test_a_pipe_is_read_as_octets_come() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123  # descriptors
        pipe.write(DATA[:500])
        windows = open_one(file, window=1 << 20)
        window, is_last = windows.next(0)
        assert (bytes(window), is_last) == (DATA[:500], False)
        pipe.write(DATA[500:1000])
        window, is_last = windows.next(400)
        assert (bytes(window), is_last) == (DATA[400:1000], False)
        pipe.close()
        window, is_last = windows.next(600)
        assert (bytes(window), is_last) == (b"", True)
        windows.close()
        assert not file.closed


def test_a_window_of_a_slow_pipe_grows_only_when_it_was_full() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb", buffering=0) as pipe:  # noqa: PTH123  # descriptors
        pipe.write(DATA[:8])
        windows = open_one(file, window=100)
        for size in range(8, 108, 10):
            window, _ = windows.next(0)
            assert (bytes(window), memoryview(window.obj).nbytes) == (DATA[:size], 100 if size < 100 else 200)
            pipe.write(DATA[size : size + 10])
        windows.close()


def test_a_window_that_nothing_was_taken_of_is_always_followed_by_a_longer_one() -> None:
    windows = open_one(io.BytesIO(DATA), window=100)
    while len(windows.next(0)[0]) < 1600:
        pass
    before = len(windows.next(1)[0])
    for _ in range(3):
        window, _ = windows.next(0)
        assert len(window) > before
        before = len(window)


def test_a_named_pipe_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(DATA,))
    writer.start()
    assert drain(open_one(path)) == DATA
    writer.join()


def test_a_file_object_is_read_from_where_it_stands_and_left_open(flows: Path) -> None:
    with flows.open("rb") as file:
        file.seek(len(build.flows(300)[0]))
        windows = open_one(file)
        assert drain(windows) == DATA[len(build.flows(300)[0]) :]
        assert not file.closed


def test_octets_of_any_buffer_are_read_as_they_lie_in_memory() -> None:
    words = array.array("H", [0x0A00, 0x1000])
    words = words if sys.byteorder == "little" else array.array("H", [0x000A, 0x0010])
    assert drain(open_one(words)) == b"\x00\x0a\x00\x10"


# --- refusing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "{} is empty"),
        (gzip.compress(b"", mtime=0), "{} is empty inside gzip"),
        (b'{"flows": []}', "{} holds no flow export: it looks like JSON"),
        (gzip.compress(b"a,b,c\n", mtime=0), "{} holds no flow export: it looks like CSV inside gzip"),
        (
            gzip.compress(gzip.compress(DATA, mtime=0), mtime=0),
            "{} holds no flow export: it looks like gzip data inside gzip",
        ),
        (
            gzip.compress(b"PK\x03\x04\x14\0", mtime=0),
            "{} holds no flow export: it looks like a zip archive inside gzip; unpack it first",
        ),
        (bytes(range(1, 30)), "{} holds no flow export: it begins with the octets 01 02 03 04 05 06 07 08"),
        (gzip.compress(b"\x01\x02", mtime=0), "{} holds no flow export: it begins with the octets 01 02 inside gzip"),
    ],
)
def test_foreign_content_is_one_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    for given, name in ((path, str(path)), (content, "<bytes>"), (io.BytesIO(content), "<stream>")):
        with pytest.raises(ForeignContent) as caught:
            open_one(given)
        assert str(caught.value) == sentence.format(name)
        assert caught.value.source == name


def test_unknown_content_is_read_when_the_caller_trusts_it() -> None:
    assert drain(open_one(b"\x01\x02" + DATA, trust=True)) == b"\x01\x02" + DATA
    with pytest.raises(ForeignContent):
        open_one(b'{"a": 1}', trust=True)


def test_a_file_that_may_not_be_read_is_one_sentence(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(SourceError) as caught:
        open_one(flows)
    assert str(caught.value) == f"{flows} cannot be read: permission denied"


def test_a_read_error_names_the_source() -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(SourceError, match=r"^<stream> cannot be read: Input/output error$"):
        open_one(Broken())


def test_text_mode_and_non_blocking_streams_are_refused(flows: Path) -> None:
    with flows.open(encoding="latin-1") as file, pytest.raises(SourceError, match="open in text mode"):
        open_one(file)

    class Texts:
        def read(self, size: int) -> str:
            return "text"

    class Impatient(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> None:
            return None

    with pytest.raises(SourceError, match="open in text mode"):
        open_one(Texts())
    with pytest.raises(SourceError, match="open in non-blocking mode"):
        open_one(Impatient())


def test_nothing_stays_open_when_opening_fails(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"a": 1}')
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    for _ in range(3):
        with pytest.raises(ForeignContent):
            open_one(tmp_path / "x")
    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
    assert after == before
