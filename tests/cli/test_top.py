"""`headwater top`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests import build
from tests.cli.conftest import Run
from tests.process.collecting.fakes import SINK, FakeCollector, report_of, served
from tests.process.collectors import DEADLINE_S

pytest.importorskip("textual")

from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Sparkline, Static

from headwater.cli.top_app import TopApp
from headwater.cli.top_rates import Rates


@pytest.fixture
def collector() -> FakeCollector:
    collector = FakeCollector()
    collector.said = report_of(
        {"exporter": "192.0.2.1:1", "records": 100},
        {"exporter": "192.0.2.2:2", "records": 5, "lost": 7, "faults": {"late": 3}},
        {"exporter": "198.51.100.3:3", "records": 9000},
        losses={"lost": 7},
        sinks=[{**SINK, "is_blocked": True, "last_error": "no space left on device"}],
    )
    return collector


@pytest.fixture
def path(collector: FakeCollector, tmp_path: Path) -> Iterator[str]:
    with served(collector, tmp_path / "c.sock") as path:
        yield path


def watched(path: str, look: Callable[[TopApp, Pilot[str]], Awaitable[None]]) -> None:
    """Look at the screen of a terminal of 80 columns and 24 lines, when there is something on it."""

    async def main() -> None:
        app = TopApp(path, 0.1)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: exporters(app))
            await look(app, pilot)

    asyncio.run(main())


async def until(pilot: Pilot[str], condition: Callable[[], Any]) -> None:
    """Keys and what is told go through several queues, so that nothing is there at once."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        await pilot.pause(0.02)


async def some_looks(app: TopApp, pilot: Pilot[str]) -> None:
    """Wait until the collector has been asked again and again."""
    looks: list[object] = []
    take = app._rates.take

    def counted(report: Mapping[str, Any]) -> None:
        looks.append(report)
        take(report)

    app._rates.take = counted  # type: ignore[method-assign]
    await until(pilot, lambda: len(looks) >= 3)


def exporters(app: TopApp) -> list[str]:
    table = app.query_one(DataTable)
    return [str(table.get_row_at(i)[0]) for i in range(table.row_count)]


def text_of(app: TopApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


def test_exporters_are_shown_those_that_lose_first(path: str) -> None:
    async def look(app: TopApp, pilot: Pilot[str]) -> None:
        assert exporters(app)[0] == "192.0.2.2:2"
        row = [str(cell).strip() for cell in app.query_one(DataTable).get_row_at(0)]
        assert row[4:6] + row[7:] == ["5", "7", "3"]
        assert "7 records lost on the way" in text_of(app, "losses")
        assert "BLOCKED: no space left on device" in text_of(app, "sinks")
        assert text_of(app, "head").startswith("headwater 4242 running 0:01:00  udp://127.0.0.1:4739")

    watched(path, look)


def test_rates_are_of_the_time_between_two_looks(path: str, collector: FakeCollector) -> None:
    async def look(app: TopApp, pilot: Pilot[str]) -> None:
        more = report_of({"exporter": "192.0.2.1:1", "records": 1100, "octets": 140_000 + 125})
        collector.said = {**more, "now": collector.said["now"] + 10, "totals": {"records": 9105 + 5000}}
        await until(pilot, lambda: len(exporters(app)) == 1)
        row = [str(cell).strip() for cell in app.query_one(DataTable).get_row_at(0)]
        assert row[2:4] == ["100", "100"]
        assert "500 records/s" in text_of(app, "rate")
        data = app.query_one(Sparkline).data
        assert data is not None
        assert max(data) == 500

    watched(path, look)


def test_keys_sort_pause_and_filter(path: str, collector: FakeCollector) -> None:
    async def look(app: TopApp, pilot: Pilot[str]) -> None:
        await pilot.press("s", "s")
        await until(pilot, lambda: "sorted by records" in text_of(app, "rate"))
        assert exporters(app)[0] == "198.51.100.3:3"
        await pilot.press("slash")
        await until(pilot, lambda: app.focused is app.query_one(Input))
        await pilot.press(*"198")
        await until(pilot, lambda: app.query_one(Input).value == "198" and exporters(app) == ["198.51.100.3:3"])
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is app.query_one(DataTable))
        assert exporters(app) == ["198.51.100.3:3"]
        await pilot.press("escape")
        await until(pilot, lambda: len(exporters(app)) == 3)
        await pilot.press("p")
        await until(pilot, lambda: "paused" in text_of(app, "head"))
        collector.said = report_of({"exporter": "203.0.113.9:9"})
        await some_looks(app, pilot)
        assert len(exporters(app)) == 3
        assert "paused" in text_of(app, "head")
        await pilot.press("p")
        await until(pilot, lambda: exporters(app) == ["203.0.113.9:9"])
        await pilot.press("q")

    watched(path, look)


def test_top_talkers_are_shown(path: str, collector: FakeCollector) -> None:
    async def look(app: TopApp, pilot: Pilot[str]) -> None:
        await until(pilot, lambda: collector.taps)
        for batch in hw.read(build.file(*build.flows(100))):
            for tap in collector.taps:
                tap(batch)
        await until(pilot, lambda: "192.0.2." in text_of(app, "talkers0"))
        assert text_of(app, "talkers0").startswith("SOURCE\n")
        assert text_of(app, "talkers1").startswith("DESTINATION\n")
        await some_looks(app, pilot)  # without any records
        assert "192.0.2." in text_of(app, "talkers0")

    watched(path, look)


def test_the_end_of_the_collector_is_told(collector: FakeCollector, tmp_path: Path) -> None:
    async def main() -> None:
        with served(collector, tmp_path / "d.sock") as path:
            app = TopApp(path, 0.1)
            pilots = app.run_test(size=(80, 24))
            pilot = await pilots.__aenter__()
            await until(pilot, lambda: exporters(app))
        await until(pilot, lambda: "has ended; q ends" in text_of(app, "head"))
        await pilots.__aexit__(None, None, None)

    asyncio.run(main())


def test_what_peers_chose_is_no_markup_and_no_control(path: str, collector: FakeCollector) -> None:
    async def look(app: TopApp, pilot: Pilot[str]) -> None:
        collector.said = report_of(
            {"exporter": "[bold]\x1b[31m[/x]"}, warnings=["[/]"], sinks=[{**SINK, "name": "[/]"}]
        )
        await until(pilot, lambda: exporters(app) == ["[bold]\\x1b[31m[/x]"])
        assert text_of(app, "sinks").startswith("[/]")

    watched(path, look)


def test_rates_survive_strange_clocks_and_restarts() -> None:
    rates = Rates()
    for now, records in ((10.0, 5), (10.0, 9), (5.0, 9), (15.0, 3)):
        rates.take(report_of({"records": records}, now=now))
    assert rates.records == 0


def test_without_a_terminal_one_look_is_text(run: Run, path: str) -> None:
    for more in ((), ("--once",)):
        result = run("top", path, "--every", 0.1, *more)
        assert result.exit_code == 0
        assert "9,105 records" in result.stdout.splitlines()[0]
        assert "198.51.100.3:3" in result.stdout
        assert "\x1b" not in result.stdout


def test_a_missing_library_is_one_sentence(run: Run, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("headwater.cli.top")
    monkeypatch.delitem(sys.modules, "headwater.cli.top_app")
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.setattr(module, "_is_terminal", lambda: True)
    result = run("top", path)
    assert result.exit_code == 2
    assert "textual is not installed: pip install 'headwater[tui]', or give --once" in result.stderr
