"""`headwater status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.status_text import losses
from headwater.process.collecting import control
from headwater.process.collecting.ledger import _LOSSES
from tests.cli.conftest import Run
from tests.conftest import ROOT
from tests.process.collecting.fakes import SINK, FakeCollector, report_of, served


@pytest.fixture
def collector() -> FakeCollector:
    return FakeCollector()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which control sockets are looked for."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(control, "_SYSTEM", str(tmp_path / "system"))
    monkeypatch.setattr(control, "_own_folders", lambda: [tmp_path / "headwater"])
    (tmp_path / "headwater").mkdir(mode=0o700)
    return tmp_path / "headwater"


@pytest.fixture
def path(collector: FakeCollector, runtime: Path) -> Iterator[str]:
    with served(
        collector, runtime / "4242.sock", reload=lambda: ["workers has changed, which needs a restart"]
    ) as path:
        yield path


def test_the_collector_that_runs_is_told_of(run: Run, path: str, collector: FakeCollector) -> None:
    result = run("status")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "collector 4242 (running), 0:01:00: 2,000 records in 100 messages from 1 exporter"
    assert lines[1] == "nothing is known to be lost"
    assert "udp://127.0.0.1:4739" in result.stdout
    assert lines[-1].split() == ["parquet", "flows/", "2,000", "1,500", "500", "0", "3", "60.0", "kB", "ok"]


def test_every_cause_of_loss_has_words_here_and_in_the_documentation() -> None:
    page = (ROOT / "docs" / "collecting.md").read_text()
    for cause in _LOSSES:
        (words,) = losses({"losses": {cause: 2}})
        assert words.startswith("2 "), cause
        assert "of kind" not in words, cause
        assert f"`{cause}`" in page, cause


def test_a_sink_that_has_recovered_is_ok_again(run: Run, path: str, collector: FakeCollector) -> None:
    collector.said = report_of(sinks=[{**SINK, "last_error": "[Errno 28] No space left on device"}])
    assert run("status").stdout.splitlines()[-1].endswith("ok again, last error: No space left on device")


def test_a_sink_that_is_blocked_is_told_before_all_else(run: Run, path: str, collector: FakeCollector) -> None:
    blocked = {**SINK, "is_blocked": True, "last_error": "[Errno 28] No space left on device"}
    collector.said = report_of(sinks=[blocked, {**SINK, "name": "csv more/"}])
    result = run("status")
    assert result.stdout.splitlines()[1:3] == [
        "sink parquet flows/ is blocked: No space left on device",
        "nothing is known to be lost",
    ]
    assert "csv more/ is blocked" not in result.stdout
    assert result.exit_code == 0


def test_exporters_whose_faults_cost_the_most_come_first(run: Run, path: str, collector: FakeCollector) -> None:
    collector.said = report_of(
        {"exporter": "192.0.2.1:1", "lost": 2},
        {"exporter": "192.0.2.2:2", "faults": {"held_dropped": 3000}},
        {"exporter": "192.0.2.3:3", "records": 10**6, "faults": {"late": 10**6}},
    )
    lines = [line.split()[0] for line in run("status").stdout.splitlines() if line.startswith("192.0.2.")]
    assert lines == ["192.0.2.2:2", "192.0.2.1:1", "192.0.2.3:3"]


def test_columns_that_are_left_out_are_told(run: Run, path: str, collector: FakeCollector) -> None:
    collector.said = report_of(sinks=[{**SINK, "columns_left_out": 10_000}])
    assert run("status").stdout.splitlines()[-1].endswith("ok, 10,000 columns left out")


def test_workers_are_told_of(run: Run, path: str, collector: FakeCollector) -> None:
    workers = [
        {"worker": 0, "pid": 4243, "records": 1500, "is_stale": False},
        {"worker": 1, "pid": 4244, "records": 500, "is_stale": True},
    ]
    collector.said = report_of(workers=workers)
    rows = [line.split() for line in run("status").stdout.splitlines()]
    assert ["0", "4243", "1,500", "ok"] in rows
    assert ["1", "4244", "500", "does", "not", "answer"] in rows


def test_it_is_told_what_is_lost_and_why(run: Run, path: str, collector: FakeCollector) -> None:
    collector.said = report_of(
        {"exporter": "192.0.2.1:1", "records": 9},
        {"exporter": "192.0.2.2:2", "records": 1, "lost": 7, "faults": {"short_set": 2, "late": 3}},
        {"exporter": "192.0.2.3:3", "records": 5000},
        losses={"lost": 7, "kernel_drops": 1, "short_set": 2},
        warnings=["the receive buffer is small"],
        sinks=[{**SINK, "is_blocked": True, "last_error": "no space left on device"}],
        is_stale=True,
    )
    result = run("status", "4242")
    assert result.exit_code == 1
    assert "7 records lost on the way: gaps in sequence numbers\n" in result.stdout
    assert "1 datagram dropped by the kernel: its receive buffer was full\n" in result.stdout
    assert "2 faults of kind short_set\n" in result.stdout
    assert "warning: the receive buffer is small" in result.stdout
    assert "blocked: no space left on device" in result.stdout
    assert "these are older counts" in result.stdout
    assert "late 3, short_set 2" in result.stdout
    at = [result.stdout.index(name) for name in ("192.0.2.2:2", "192.0.2.3:3", "192.0.2.1:1")]
    assert at == sorted(at)


def test_the_whole_report_is_json(run: Run, path: str, collector: FakeCollector) -> None:
    assert json.loads(run("status", "--json", path).stdout) == collector.said


def test_many_exporters_are_bounded(run: Run, path: str, collector: FakeCollector) -> None:
    collector.said = report_of(*({"exporter": f"192.0.2.1:{i}"} for i in range(100)))
    result = run("status", "-n", 3)
    assert result.stdout.count("192.0.2.1:") == 3
    assert "and 97 more exporters; --json tells all" in result.stdout


def test_several_collectors_are_listed(run: Run, path: str, runtime: Path) -> None:
    other = FakeCollector(pid=77, losses={"lost": 7}, sinks=[{**SINK, "is_blocked": True, "last_error": "full"}])
    with served(other, runtime / "77.sock"):
        result = run("status")
        assert result.exit_code == 1
        told = sorted(line.split(",")[0] for line in result.stdout.splitlines() if line.startswith("collector"))
        assert told == ["collector 4242 (running)", "collector 77 (running)"]
        assert "  7 records lost on the way: gaps in sequence numbers\n" in result.stdout
        assert "  sink parquet flows/ is blocked: full\n" in result.stdout
        assert len(json.loads(run("status", "--json").stdout)) == 2
        assert run("status", "4242").exit_code == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ((), "no collector is running as far as this user can see; 'headwater collect' starts one"),
        (("12345678",), "no collector with process id 12345678 is running"),
        (("nothing/",), "nothing/ is no control socket, no folder of a collector and no process id"),
        (("{tmp}",), "no running collector writes to "),
    ],
)
def test_none_is_one_sentence(run: Run, runtime: Path, target: tuple[str, ...], message: str) -> None:
    result = run("status", *(one.format(tmp=runtime) for one in target))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_can_be_told_what_to_do(run: Run, path: str, collector: FakeCollector) -> None:
    assert run("status", "--do", "flush").exit_code == 0
    assert collector.flushes == 1
    assert run("status", "--do", "reload").stderr == "headwater: workers has changed, which needs a restart\n"
    run("status", "--do", "stop")
    assert collector.stopped.is_set()


def test_what_peers_chose_cannot_take_the_terminal_over(run: Run, path: str, collector: FakeCollector) -> None:
    strange: dict[str, Any] = {"exporter": "\x1b[31m\n", "faults": {"\x07": 1}, "transport": "udp"}
    collector.said = report_of(strange, warnings=["\x1b]0;x\x07"], losses={"\x1b": 1})
    for more in ((), ("--json",)):
        result = run("status", *more)
        assert not any(c in result.stdout for c in "\x1b\x07")
