"""The screen of `headwater top`: looks at what a collector tells every second, and at nothing else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import DataTable, Footer, Input, Sparkline, Static

from headwater.cli.progress import size
from headwater.cli.screen import safe
from headwater.cli.status_text import ago, compact, losses, lost, span
from headwater.cli.top_once import grouped
from headwater.cli.top_rates import Rates
from headwater.errors import HeadwaterError
from headwater.process.collecting.control import watch

_ROWS: Final = 200
"""Exporters on the screen; the filter finds others."""
_HISTORY: Final = 240
_TALKERS: Final = 5
_WIDE: Final = 100
"""Columns of a terminal that has room for all talkers."""
_COLUMNS: Final = {
    "EXPORTER": 0, "OVER": 0, "REC/S": 6, "BIT/S": 6, "RECORDS": 11, "LOST": 5, "HEARD": 7, "FAULTS": 6,
}  # fmt: skip
"""Headings, and the width of columns of numbers, which stand at the right."""
_ORDERS: Final = ("lost", "rate", "records", "name")


class Told(Message):
    """What a collector told. end: it tells nothing more, and why."""

    def __init__(self, told: Mapping[str, Any], end: str = "") -> None:
        super().__init__()
        self.told = told
        self.end = end


class TopApp(App[str]):
    """Shows one collector until somebody types q. path: of its control socket; every: seconds between looks."""

    CSS: ClassVar[str] = """
    Screen { layout: vertical; }
    #head, #rate, #losses, #sinks { height: auto; max-height: 3; }
    #head { text-style: bold; }
    #losses { color: $text-error; }
    Sparkline { height: 2; margin: 0 1 0 0; }
    DataTable { height: 1fr; min-height: 4; }
    #talkers { height: auto; max-height: 7; }
    #talkers Static { width: 1fr; height: auto; margin: 0 2 0 0; text-wrap: nowrap; text-overflow: ellipsis; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    #filter.is-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("s", "sort", "Sort"),
        Binding("p", "pause", "Pause"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "unfilter", "All", show=False),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, path: str, every: float = 1.0) -> None:
        super().__init__()
        self._path = path
        self._every = every
        self._rates = Rates()
        self._history: deque[float] = deque([0.0] * 2, maxlen=_HISTORY)
        self._told: Mapping[str, Any] = {}
        self._order = 0
        self._filter = ""
        self._is_paused = False
        self._end = ""
        self._shown: list[str] = []
        self._cells: list[tuple[Text, ...]] = []

    def compose(self) -> ComposeResult:
        """The parts of the screen, from the top."""
        yield Static("asking the collector …", id="head", markup=False)
        yield Static("", id="rate", markup=False)
        yield Sparkline(self._history, summary_function=max)
        yield Static("", id="losses", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=False)
        with Horizontal(id="talkers"):
            for number in range(4):
                yield Static("", id=f"talkers{number}", markup=False)
        yield Static("", id="sinks", markup=False)
        yield Input(placeholder="part of an address; Enter keeps it, Esc shows all", id="filter", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        table = self.query_one(DataTable)
        for name, width in _COLUMNS.items():
            table.add_column(name.rjust(width), key=name)
        table.focus()
        # a thread of our own, because quitting must not wait for an answer
        threading.Thread(target=self._look, name="top", daemon=True).start()

    def _look(self) -> None:
        end = "the collector has ended"
        try:
            with closing(watch(self._path, every=self._every)) as told:
                for one in told:
                    if not self.post_message(Told(one)):
                        return
        except HeadwaterError as error:
            end = str(error)
        except RuntimeError:  # the screen is gone
            return
        with suppress(RuntimeError):
            self.post_message(Told({}, end))

    # ---------------------------------------------------------------- what is told

    def on_told(self, event: Told) -> None:
        """Show what the collector tells, unless it is paused; rates go on."""
        if event.end:
            self._end = safe(event.end)
            self.show()
            return
        told = event.told
        self._rates.take(told["report"])
        self._history.append(self._rates.records)
        if not self._is_paused:
            # exporters that send every ten seconds shall not make the talkers come and go
            top = told.get("top", {})
            self._told = told if any(top.values()) else {**told, "top": self._told.get("top", {})}
            self.show()

    def show(self) -> None:
        """Draw all of it, while there is a screen."""
        if not self.query("#head"):
            return
        report = self._told.get("report", {})
        self._show_head(report)
        self.query_one(Sparkline).data = list(self._history)
        missing = "; ".join(losses(report))
        self.query_one("#losses", Static).update(missing)
        self.query_one("#losses", Static).display = bool(missing)
        self._show_exporters(report)
        groups = grouped(self._told.get("top", {}), _TALKERS)
        if self.size.width < _WIDE:
            groups.pop("SOURCE PORT", None)
        texts = [_talkers(heading, rows) for heading, rows in groups.items()]
        for number in range(4):
            place = self.query_one(f"#talkers{number}", Static)
            place.display = number < len(texts)
            place.update(texts[number] if number < len(texts) else "")
        note = str(self._told.get("note") or "")
        self.query_one("#sinks", Static).update("\n".join([*sink_texts(report), *([safe(note)] if note else [])]))

    def _show_head(self, report: Mapping[str, Any]) -> None:
        urls = ", ".join(dict.fromkeys(safe(str(one.get("url"))) for one in report.get("listeners", ())))
        took = span(report.get("now", 0) - report.get("started", 0))
        state = "paused" if self._is_paused else str(report.get("state", ""))
        text = f"headwater {report.get('pid', '')} {state} {took}  {urls}"
        self.query_one("#head", Static).update(f"{self._end}; q ends  {text}" if self._end else text)
        totals, queue = report.get("totals", {}), report.get("queue", {})
        share = queue.get("octets", 0) / max(1, queue.get("limit", 1))
        self.query_one("#rate", Static).update(
            f"{compact(self._rates.records)} records/s  {compact(self._rates.bits)}bit/s  "
            f"{totals.get('records', 0):,} records  queue {share:.0%}  "
            f"sorted by {_ORDERS[self._order]}" + (f"  filter {safe(self._filter)}" if self._filter else "")
        )

    def _show_exporters(self, report: Mapping[str, Any]) -> None:
        rows = [one for one in report.get("exporters", ()) if self._filter in str(one.get("exporter"))]
        rows.sort(key=self._rank)
        rows = rows[:_ROWS]
        names = [f"{one.get('listener')} {one.get('exporter')} {one.get('worker', 0)}" for one in rows]
        now = float(report.get("now", 0))
        cells = [self._row(one, now) for one in rows]
        table = self.query_one(DataTable)
        if names != self._shown:
            cursor, scroll = table.cursor_row, table.scroll_y
            table.clear()
            for one in cells:
                table.add_row(*one)
            table.move_cursor(row=min(cursor, max(0, len(cells) - 1)), animate=False)
            table.scroll_to(y=scroll, animate=False)
        else:
            for i, (one, before) in enumerate(zip(cells, self._cells, strict=True)):
                for j, cell in enumerate(one):
                    if cell != before[j]:
                        table.update_cell_at((i, j), cell, update_width=True)  # type: ignore[arg-type]  # a Coordinate
        self._shown, self._cells = names, cells

    def _rank(self, one: Mapping[str, Any]) -> tuple[float | str, ...]:
        name = str(one.get("exporter"))
        match _ORDERS[self._order]:
            case "lost":
                return -lost(one), -self._rates.of(one)[0], name
            case "rate":
                return -self._rates.of(one)[0], name
            case "records":
                return -int(one.get("records", 0)), name
        return (name,)

    def _row(self, one: Mapping[str, Any], now: float) -> tuple[Text, ...]:
        records, bits = self._rates.of(one)
        missing = lost(one)
        faults = sum(one.get("faults", {}).values())
        return (
            Text(safe(str(one.get("exporter")))),
            Text(safe(str(one.get("transport", "")))),
            _number("REC/S", compact(records)),
            _number("BIT/S", compact(bits)),
            _number("RECORDS", f"{one.get('records', 0):,}"),
            _number("LOST", f"{missing:,}", "bold red" if missing else ""),
            _number("HEARD", ago(one.get("last_seen", 0), now)),
            _number("FAULTS", f"{faults:,}", "yellow" if faults else ""),
        )

    # ---------------------------------------------------------------- keys

    def action_sort(self) -> None:
        """Sort by something else."""
        self._order = (self._order + 1) % len(_ORDERS)
        self.show()

    def action_pause(self) -> None:
        """Stay with what is shown, or go on."""
        self._is_paused = not self._is_paused
        self.show()

    def action_filter(self) -> None:
        """Ask for a part of an address."""
        box = self.query_one("#filter", Input)
        box.add_class("is-open")
        box.focus()

    def action_unfilter(self) -> None:
        """Show all exporters again."""
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._filter = event.value.strip()
        self.show()

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("is-open")
        self.query_one(DataTable).focus()


def _number(column: str, text: str, style: str = "") -> Text:
    return Text(text.rjust(_COLUMNS[column]), style=style)


def _talkers(heading: str, rows: Sequence[Mapping[str, Any]]) -> Text:
    text = Text(heading, style="dim")
    for row in rows:
        text.append(f"\n{size(row['octets']):>8} ", style="cyan")
        text.append(safe(str(row["value"])))
    return text


def sink_texts(report: Mapping[str, Any]) -> list[str]:
    """A line for each sink; those of what was received know of no records."""
    lines = []
    for sink in report.get("sinks", ()):
        gone = int(sink.get("records_lost", 0)) + int(sink.get("records_refused", 0))
        text = f"{safe(str(sink.get('name')))}  {sink.get('records', 0):,} {sink.get('counts', 'records')}"
        text += f", {sink.get('segments', 0):,} files, {size(sink.get('octets', 0))}"
        text += f", {gone:,} LOST" if gone else ""
        if sink.get("is_blocked"):
            text += f"  BLOCKED: {safe(str(sink.get('last_error')))}"
        lines.append(text)
    return lines
