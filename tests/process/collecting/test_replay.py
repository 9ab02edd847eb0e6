"""Files as sources of a Collecting Process: each is read once and whole, and what cannot be read is told."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import Fault, TransportError
from headwater.process.collecting.followed import Followed
from headwater.process.collecting.replay import FeedWork, Replay, StoreWork
from headwater.process.collecting.replay_lane import ReplayLane
from headwater.process.collecting.replay_url import ReplayUrl, is_replay_url, parse_replay_url
from headwater.process.collecting.settings import settings_of
from headwater.process.wanted import Wanted
from tests import build as b
from tests import packets
from tests.transport.spools import EXPORTER, RECEIVED, block, spool

DEADLINE_S = 60.0
TEMPLATE = b.message(b.template_set(b.template(256, (8, 4), (10, 4))))


def data(sequence: int) -> bytes:
    return b.message(b.data_set(256, b.ipv4("192.0.2.1") + b.uint(5)), sequence=sequence)


def pcap(*messages: bytes, at: int = RECEIVED) -> bytes:
    found = [(at + i * 10**9, packets.udp(message)) for i, message in enumerate(messages)]
    return packets.pcap(found, link=packets.RAW)


class Desk:
    """Takes the work of a replay as the engine does, but that nothing is stored unless `can_store`."""

    def __init__(self, url: str, *, state: Path | None = None, can_store: bool = True) -> None:
        self.replay = Replay(parse_replay_url(url), state=state)
        self.replay.open()
        self.can_store = can_store
        self.told: list[Any] = []
        self.rows: list[dict[str, Any]] = []
        self.works: list[FeedWork] = []
        settings = settings_of(["udp://127.0.0.1:0"], [])
        self.lane = ReplayLane(self.replay, settings, Wanted.of(None, (), ()), self.told.append)  # type: ignore[arg-type]

    def put(self, work: Any) -> None:
        if isinstance(work, StoreWork):
            work.finish(is_stored=self.can_store)
            return
        self.works.append(work)
        for batch in self.lane.take(work, time.time(), decode=True):
            self.rows += batch.rows()

    def wait_for_room(self, timeout: float) -> bool:
        return True

    def is_allowed(self, address: str) -> bool:
        return True

    def run(self) -> Desk:
        """All of `file:`."""
        self.replay.run(self)
        assert self.replay.is_over
        assert list(self.lane.close()) == []
        return self

    @contextmanager
    def running(self) -> Iterator[Desk]:
        thread = threading.Thread(target=self.replay.run, args=(self,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.replay.stop()
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
            self.replay.close()

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end, (self.replay.counters, self.replay.warnings)
            time.sleep(0.005)

    @property
    def files(self) -> int:
        return self.replay.counters["files"]

    @property
    def exporters(self) -> list[dict[str, Any]]:
        return self.lane.to_dicts()


@pytest.mark.parametrize(
    "octets",
    [
        TEMPLATE + data(0) + data(1),
        gzip.compress(TEMPLATE + data(0) + data(1)),
        pcap(TEMPLATE, data(0), data(1)),
        spool(block(TEMPLATE, data(0)), block(data(1))),
    ],
    ids=["ipfix", "gzip", "pcap", "spool"],
)
def test_a_file_of_any_kind_is_read_and_accounted_for(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "x").write_bytes(octets)
    desk = Desk(f"file:{tmp_path / 'x'}").run()
    assert desk.rows == [{"sourceIPv4Address": "192.0.2.1", "ingressInterface": 5}] * 2
    assert (desk.replay.counters["files"], desk.replay.counters["files_failed"]) == (1, 0)
    (exporter,) = desk.exporters
    assert (exporter["messages"], exporter["records"], exporter["lost"]) == (3, 2, 0)
    assert desk.told == []
    assert all(work.octets > 0 for work in desk.works)


def test_netflow_dumps_are_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b.netflow5(b.netflow5_record("192.0.2.3", "192.0.2.4")))
    assert [row["sourceIPv4Address"] for row in Desk(f"file:{tmp_path}/x").run().rows] == ["192.0.2.3"]


def test_what_one_file_teaches_holds_in_the_next(tmp_path: Path) -> None:
    (tmp_path / "1.pcap").write_bytes(pcap(TEMPLATE, data(0)))
    (tmp_path / "2.pcap").write_bytes(pcap(data(1), data(5)))
    (tmp_path / "3.hwspool").write_bytes(spool(block(TEMPLATE, data(0))))
    (tmp_path / "4.hwspool").write_bytes(spool(block(data(4)), block(b.message(b.data_set(300, bytes(4)), sequence=5))))
    desk = Desk(f"file:{tmp_path}").run()
    assert len(desk.rows) == 5
    assert desk.files == 4
    assert sum(exporter["records"] for exporter in desk.exporters) == 5
    assert sum(exporter["lost"] for exporter in desk.exporters) == 3 + 3
    assert [fault.kind for fault in desk.told if isinstance(fault, Fault)] == ["unknown_template", "held_dropped"]
    spooled = next(exporter for exporter in desk.exporters if exporter["exporter"] == str(EXPORTER))
    assert spooled["undecodable_sets"] == 1


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"PAR1 is no flow export")
    (tmp_path / "2").write_bytes(TEMPLATE + data(0)[:-3])
    (tmp_path / "3").write_bytes(TEMPLATE + data(0))
    desk = Desk(f"file:{tmp_path}").run()
    assert len(desk.rows) == 1
    assert (desk.files, desk.replay.counters["files_failed"]) == (2, 1)
    (failed,) = desk.replay.sessions()
    assert failed["file"].endswith("1")
    assert "Parquet" in failed["why"]
    assert [fault.kind for fault in desk.told] == ["truncated_tail"]


def test_a_source_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="does not exist"):
        Desk(f"file:{tmp_path}/nothing")
    with pytest.raises(TransportError, match="there is no folder"):
        Desk(f"follow:{tmp_path}/nothing")
    with pytest.raises(TransportError, match="there is no folder"):
        Desk(f"follow:{tmp_path}?after=move:{tmp_path}/nothing")


def test_files_that_come_are_taken_once_each(tmp_path: Path) -> None:
    follow, state = tmp_path / "in", tmp_path / "state"
    follow.mkdir()
    (follow / "1.pcap").write_bytes(pcap(TEMPLATE, data(0)))
    url = f"follow:{follow}?pattern=*.pcap&every=50ms&settle=0"
    with Desk(url, state=state).running() as desk:
        desk.until(lambda: desk.files == 1)
        (follow / ".hidden.pcap").write_bytes(pcap(TEMPLATE))
        (follow / "other.txt").write_bytes(b"text")
        (follow / "2.part").write_bytes(pcap(data(1)))
        (follow / "2.part").rename(follow / "2.pcap")
        desk.until(lambda: desk.files == 2)
    assert len(desk.rows) == 2
    (follow / "3.pcap").write_bytes(pcap(TEMPLATE, data(2)))
    with Desk(url, state=state).running() as again:
        again.until(lambda: again.files == 1)
    assert len(again.rows) == 1
    assert {path.name for path in follow.glob("*.pcap")} == {"1.pcap", "2.pcap", "3.pcap", ".hidden.pcap"}


@pytest.mark.parametrize("after", ["delete", "move"])
def test_files_go_away_when_they_are_stored(tmp_path: Path, after: str) -> None:
    follow, target = tmp_path / "in", tmp_path / "done"
    follow.mkdir()
    target.mkdir()
    (target / "x").write_bytes(b"here already")
    (follow / "x").write_bytes(TEMPLATE + data(0))
    how = "delete" if after == "delete" else f"move:{target}"
    with Desk(f"follow:{follow}?every=50ms&settle=0&after={how}").running() as desk:
        desk.until(lambda: not list(follow.iterdir()))
    assert len(desk.rows) == 1
    assert {path.name for path in target.iterdir()} == ({"x"} if after == "delete" else {"x", "x.1"})
    assert (target / "x").read_bytes() == b"here already"


def test_a_file_that_is_not_stored_stays_and_is_taken_again_by_the_next_process(tmp_path: Path) -> None:
    follow = tmp_path / "in"
    follow.mkdir()
    (follow / "x").write_bytes(TEMPLATE + data(0))
    url = f"follow:{follow}?every=50ms&settle=0&after=delete"
    with Desk(url, state=tmp_path, can_store=False).running() as desk:
        desk.until(lambda: desk.replay.warnings)
        (follow / "y").write_bytes(TEMPLATE + data(0))
        desk.until(lambda: desk.files == 2)
    assert len(desk.rows) == 2
    assert {path.name for path in follow.iterdir()} == {"x", "y"}
    with Desk(url, state=tmp_path).running() as again:
        again.until(lambda: not list(follow.iterdir()))
    assert len(again.rows) == 2


def test_a_file_that_cannot_be_read_is_not_tried_for_ever(tmp_path: Path) -> None:
    follow = tmp_path / "in"
    follow.mkdir()
    url = f"follow:{follow}?every=50ms&settle=0&after=delete"
    (follow / "1").write_bytes(b"no flow export at all, and no text\0\1")
    with Desk(url, state=tmp_path).running() as desk:
        desk.until(lambda: desk.replay.counters["files_failed"])
        (follow / "2").write_bytes(TEMPLATE + data(0))
        desk.until(lambda: desk.files == 1)
        (follow / "3").write_bytes(TEMPLATE + data(0))
        desk.until(lambda: desk.files == 2)
    assert desk.replay.counters["files_failed"] == 1
    assert len(desk.replay.warnings) == 1
    with Desk(url, state=tmp_path).running() as again:
        (follow / "4").write_bytes(TEMPLATE + data(0))
        again.until(lambda: again.files == 1)
    assert again.replay.counters["files_failed"] == 0
    assert [path.name for path in follow.iterdir()] == ["1"]


def test_a_folder_that_goes_away_is_told_and_waited_for(tmp_path: Path) -> None:
    follow = tmp_path / "in"
    follow.mkdir()
    with Desk(f"follow:{follow}?every=50ms&settle=0").running() as desk:
        follow.rmdir()
        desk.until(lambda: desk.replay.warnings)
        follow.mkdir()
        (follow / "x").write_bytes(TEMPLATE + data(0))
        desk.until(lambda: desk.files == 1)
    assert "cannot be looked through" in desk.replay.warnings[0]


def test_the_pace_is_that_of_the_arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.process.collecting.replay._PACED_WINDOW", 256)
    (tmp_path / "x.pcap").write_bytes(pcap(TEMPLATE, *map(data, range(30))))
    desk = Desk(f"file:{tmp_path}/x.pcap?pace=1000")
    waits: list[float] = []
    monkeypatch.setattr(desk.replay, "_sleep", waits.append)
    assert desk.replay._tempo is not None
    desk.replay._tempo.sleep, desk.replay._tempo.clock = waits.append, lambda: 0.0
    desk.run()
    assert len(desk.rows) == 30
    assert len(desk.works) > 5
    assert waits == sorted(waits)
    assert 0.025 < waits[-1] <= 0.031


def test_stop_ends_a_replay_between_two_windows(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap(TEMPLATE, *map(data, range(3))))
    desk = Desk(f"file:{tmp_path}/x.pcap")
    desk.replay.stop()
    desk.replay.run(desk)
    assert desk.works == []


# --- which files are complete ----------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def names(followed: Followed) -> list[str]:
    return [path.name for path, _ in followed.complete()]


def test_a_file_is_complete_when_it_has_not_changed_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    followed = Followed(tmp_path, "*", settle=2.0, monotonic=clock, clock=lambda: 0.0)
    (tmp_path / "x").write_bytes(b"")
    assert names(followed) == []
    (tmp_path / "x").write_bytes(b"a")
    assert names(followed) == []
    clock.now += 1.5
    with (tmp_path / "x").open("ab") as file:
        file.write(b"b")
    assert names(followed) == []
    clock.now += 1.9
    assert names(followed) == []
    clock.now += 0.2
    assert names(followed) == ["x"]


def test_a_file_that_was_there_long_before_is_complete_at_once(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"b")
    (tmp_path / "a").write_bytes(b"a")
    followed = Followed(tmp_path, "*", settle=2.0, clock=lambda: time.time() + 10)
    assert names(followed) == ["a", "b"]


def test_a_file_that_somebody_writes_is_not_complete(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    followed = Followed(tmp_path, "*", settle=0)
    with (tmp_path / "x").open("wb", buffering=0) as file:
        file.write(b"a")
        if names(followed):
            pytest.skip("this file system has no leases")
    assert names(followed) == ["x"]


def test_a_file_that_grows_after_it_was_taken_is_told_and_another_one_is_taken(tmp_path: Path) -> None:
    followed = Followed(tmp_path, "*", settle=0)
    path = tmp_path / "x"
    path.write_bytes(b"a")
    for found in followed.complete():
        followed.take(*found)
    assert names(followed) == []
    with path.open("ab") as file:
        file.write(b"more")
    assert names(followed) == []
    assert names(followed) == []
    assert len(followed.warnings) == 1
    (tmp_path / "y").write_bytes(b"b")
    (tmp_path / "y").rename(path)
    assert names(followed) == ["x"]


def test_what_was_taken_is_forgotten_with_the_file(tmp_path: Path) -> None:
    followed = Followed(tmp_path, "*", settle=0)
    (tmp_path / "x").write_bytes(b"a")
    for found in followed.complete():
        followed.take(*found)
    (tmp_path / "x").unlink()
    assert names(followed) == []
    (tmp_path / "x").write_bytes(b"a")
    assert names(followed) == ["x"]


@pytest.mark.parametrize(
    "octets", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1, "taken": {"x": [1]}}', b"[" * 100_000]
)
def test_a_damaged_state_is_told_and_not_used(tmp_path: Path, octets: bytes) -> None:
    follow = tmp_path / "in"
    follow.mkdir()
    (follow / "x").write_bytes(b"a")
    first = Followed(follow, "*", settle=0, state=tmp_path)
    for found in first.complete():
        first.take(*found)
    first.save()
    assert names(Followed(follow, "*", settle=0, state=tmp_path)) == []
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(octets)
    second = Followed(follow, "*", settle=0, state=tmp_path)
    assert names(second) == ["x"]
    (warning,) = second.warnings
    assert "is not used" in warning


# --- URLs ------------------------------------------------------------------------------------------------------------


def test_urls_say_what_is_to_be_read() -> None:
    assert parse_replay_url("file:flows.pcap") == ReplayUrl("file:flows.pcap", False, "flows.pcap")
    assert parse_replay_url("FILE:///var/x?pace=2").path == "/var/x"
    url = "follow:in/?pattern=*.pcap&every=250ms&settle=5&after=move:done&pace=1.0"
    assert parse_replay_url(url) == ReplayUrl(url, True, "in/", "*.pcap", 0.25, 5.0, "move", "done", 1.0)
    assert [is_replay_url(url) for url in ("file:x", "follow:x", "udp://0.0.0.0:4739")] == [True, True, False]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("udp://x", "begins with file: or follow:"),
        ("file:", "names no file"),
        ("follow:?after=keep", "names no folder"),
        ("file:x?every=1s", "has no option 'every'"),
        ("follow:x?patern=y", "did you mean pattern"),
        ("follow:x?every=soon", "every is a duration"),
        ("follow:x?every=", "every has no value"),
        ("follow:x?every=1&every=2", "two values"),
        ("follow:x?after=move", "move:FOLDER"),
        ("follow:x?after=delete:y", "move:FOLDER"),
        ("follow:x?after=burn", "keep, delete or move"),
        ("follow:x?pattern=a/b", "has no /"),
        ("file:x?pace=0", "pace is"),
        ("file:x?pace=fast", "pace is"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url: str, words: str) -> None:
    with pytest.raises(TransportError, match=words):
        parse_replay_url(url)
