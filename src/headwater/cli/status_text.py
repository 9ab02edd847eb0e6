"""A report of a collector in words and tables, for a terminal of any width."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from headwater.cli.outcome import counted
from headwater.cli.progress import size
from headwater.cli.screen import Painter, safe
from headwater.cli.table import aligned
from headwater.process.collecting.outflow import blocked_sinks, plain_error
from headwater.process.source_report import COSTLY

Report = Mapping[str, Any]

_CAUSES: Final = {
    "lost": "{record} lost on the way: gaps in sequence numbers",
    "lost_messages": "{message} lost on the way: gaps in sequence numbers",
    "kernel_drops": "{datagram} dropped by the kernel: its receive buffer was full",
    "dropped_datagrams": "{datagram} dropped: the queue was full",
    "records_lost": "{record} given up by a sink that could not store them",
    "records_refused": "{record} refused by a sink",
    "stage_errors": "{record} lost in a stage",
    "workers_died": "{worker} died, and what it had not stored is lost",
    "columns_left_out": "{column} left out: a segment has room for 2,000",
    "internal_errors": "{error} of the collector itself; its log has them",
    "truncated": "{datagram} cut short",
    "not_session": "{datagram} of sessions that are not known",
    "abandoned_octets": "{octet} not decoded before the end",
}
_MOST: Final = 20
_FAULTS: Final = 3


def compact(number: float) -> str:
    """A number in three digits and a decimal prefix."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.0f}{unit}" if not unit or number >= 99.95 else f"{number:.1f}{unit}"
        number /= 1000
    return f"{number:,.0f}T"


def span(seconds: float) -> str:
    """How long, as 0:12:31 or 3 d 0:12:31."""
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d " * bool(days) + f"{hours}:{minutes:02}:{seconds:02}"


def ago(at: float, now: float) -> str:
    """How long ago, in few characters; - for what has no time, such as a file."""
    if not at:
        return "-"
    seconds = max(0.0, now - at)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit} ago"
    return f"{seconds:.0f}s ago"


def losses(report: Report) -> list[str]:
    """What is missing, a sentence for each cause; the largest first."""
    found = []
    for cause, count in sorted(report.get("losses", {}).items(), key=lambda item: -item[1]):
        words = _CAUSES.get(cause)
        if words is None:
            found.append(f"{counted(count, 'fault')} of kind {safe(str(cause))}")
        else:
            what = words[1 : words.index("}")]
            found.append(words.replace(f"{{{what}}}", counted(count, what)))
    return found


def blocked(report: Report) -> list[str]:
    """A sentence for each sink that cannot put down what it has."""
    return [safe(text) for text in blocked_sinks(report)]


def lost(row: Mapping[str, Any]) -> int:
    """Records, messages and datagrams that are missing, as one number to sort and colour by."""
    names = ("lost", "lost_messages", "dropped_datagrams", "kernel_drops", "records_lost", "records_refused")
    return sum(int(row.get(name, 0)) for name in names)


def rate(row: Mapping[str, Any]) -> float:
    """Records a second on average, from the first to the last time that an exporter was heard."""
    return float(row.get("records", 0)) / max(1.0, float(row.get("last_seen", 0)) - float(row.get("first_seen", 0)))


def headline(report: Report) -> str:
    """What goes on, in one line."""
    totals = report.get("totals", {})
    exporters = len(report.get("exporters", ()))
    options = f" ({totals['options_records']:,} of options)" if totals.get("options_records") else ""
    took = span(report.get("now", 0) - report.get("started", 0))
    return (
        f"collector {report.get('pid')} ({safe(str(report.get('state')))}), {took}: "
        f"{counted(totals.get('records', 0), 'record')}{options} in {counted(totals.get('messages', 0), 'message')} "
        f"from {counted(exporters, 'exporter')}"
    )


def report_lines(report: Report, width: int | None, paint: Painter, *, most: int = _MOST) -> Iterator[str]:
    """The whole report."""
    yield headline(report)
    if report.get("is_stale"):
        yield paint("fault", "the thread that decodes does not answer: these are older counts")
    for text in blocked(report):
        yield paint("fault", text)
    for text in losses(report) or ["nothing is known to be lost"]:
        yield paint("fault", text) if report.get("losses") else text
    for text in report.get("warnings", ()):
        yield f"warning: {safe(str(text))}"
    yield ""
    yield from listener_lines(report, width, paint)
    if report.get("workers"):
        yield ""
        yield from worker_lines(report, width, paint)
    yield ""
    yield from exporter_lines(report, width, paint, most=most)
    if report.get("sinks"):
        yield ""
        yield from sink_lines(report, width, paint)


def listener_lines(report: Report, width: int | None, paint: Painter) -> Iterator[str]:
    """Where it listens, and the queue."""
    queue = report.get("queue", {})
    rows = [
        (
            safe(str(one.get("url"))) + _worker(one, report),
            f"{one.get('sessions', 0):,}",
            compact(one.get("datagrams", 0)),
            size(one.get("octets", 0)),
            f"{one.get('kernel_drops', 0):,}",
            f"{one.get('dropped_datagrams', 0):,}",
            f"{one.get('refused', 0):,}",
        )
        for one in report.get("listeners", ())
    ]
    headings = ("LISTENER", "SESSIONS", "DATAGRAMS", "OCTETS", "KERNEL DROPS", "DROPPED", "REFUSED")
    yield from aligned(rows, headings, right=range(1, 7), width=width, paint=paint)
    yield f"{size(queue.get('octets', 0))} of {size(queue.get('limit', 0))} wait to be decoded"


def _worker(row: Mapping[str, Any], report: Report) -> str:
    """Of which process a row is, where there are several."""
    return f" [{row.get('worker', 0)}]" if report.get("workers") else ""


def worker_lines(report: Report, width: int | None, paint: Painter) -> Iterator[str]:
    """A line for each process that shares the load."""
    rows = [
        (
            str(one.get("worker")),
            str(one.get("pid")),
            f"{one.get('records', 0):,}",
            "does not answer" if one.get("is_stale") else "ok",
        )
        for one in report.get("workers", ())
    ]
    yield from aligned(rows, ("WORKER", "PROCESS", "RECORDS", "STATE"), right=(0, 1, 2), width=width, paint=paint)


def ranked(exporters: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Exporters, those that lose the most first, by gaps, drops and faults that cost something; then the fastest."""

    def rank(one: Mapping[str, Any]) -> tuple[int, float]:
        return lost(one) + sum(count for kind, count in one.get("faults", {}).items() if kind in COSTLY), rate(one)

    return sorted(exporters, key=rank, reverse=True)


def exporter_lines(report: Report, width: int | None, paint: Painter, *, most: int = _MOST) -> Iterator[str]:
    """A line for each exporter, bounded."""
    exporters = ranked(report.get("exporters", ()))
    if not exporters:
        yield "no exporter was heard yet"
        return
    now = report.get("now", 0)
    rows = [
        (
            safe(str(one.get("exporter"))),
            str(one.get("transport", "")),
            ",".join(f"v{version}" for version in one.get("versions", ())),
            f"{one.get('records', 0):,}",
            compact(rate(one)),
            f"{lost(one):,}",
            ago(one.get("last_seen", 0), now),
            _faults(one),
        )
        for one in exporters[:most]
    ]
    headings = ("EXPORTER", "OVER", "VERSION", "RECORDS", "MEAN/S", "LOST", "HEARD", "FAULTS")
    yield from aligned(rows, headings, right=(3, 4, 5, 6), width=width, paint=paint)
    if len(exporters) > most:
        yield f"and {counted(len(exporters) - most, 'more exporter')}; --json tells all"


def _faults(one: Mapping[str, Any]) -> str:
    faults = sorted(one.get("faults", {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{safe(str(kind))} {count:,}" for kind, count in faults[:_FAULTS]) or "-"


def sink_lines(report: Report, width: int | None, paint: Painter) -> Iterator[str]:
    """A line for each sink."""
    rows = [
        (
            safe(str(one.get("name")))
            + (" (messages)" if one.get("counts") == "messages" else "")
            + _worker(one, report),
            f"{one.get('records', 0):,}",
            f"{one.get('records_written', 0):,}",
            f"{_waiting(one):,}",
            f"{one.get('records_lost', 0) + one.get('records_refused', 0):,}",
            f"{one.get('segments', 0):,}",
            size(one.get("octets", 0)),
            _state(one),
        )
        for one in report.get("sinks", ())
    ]
    headings = ("SINK", "RECORDS", "STORED", "WAITING", "LOST", "FILES", "SIZE", "STATE")
    yield from aligned(rows, headings, right=range(1, 7), width=width, paint=paint)


def _waiting(sink: Mapping[str, Any]) -> int:
    """Records in files that have no name yet."""
    return int(sink.get("records", 0) - sink.get("records_written", 0) - sink.get("records_lost", 0))


def _state(sink: Mapping[str, Any]) -> str:
    text = "blocked" if sink.get("is_blocked") else "ended" if sink.get("is_over") else "ok"
    if sink.get("columns_left_out"):
        return f"{text}, {counted(sink['columns_left_out'], 'column')} left out"
    error = safe(plain_error(sink))
    if not error:
        return text
    return f"ok again, last error: {error}" if text == "ok" else f"{text}: {error}"


class Pace:
    """Rates between one report and the next."""

    def __init__(self) -> None:
        self._last: tuple[float, int, int] | None = None

    def of(self, report: Report) -> tuple[float, float]:
        """Records and bits a second since the last report, or since the start."""
        totals = report.get("totals", {})
        now = float(report.get("now", time.time()))
        records, octets = int(totals.get("records", 0)), int(totals.get("octets", 0))
        then, old_records, old_octets = self._last or (float(report.get("started", now)), 0, 0)
        self._last = now, records, octets
        seconds = max(now - then, 0.05)
        return max(0, records - old_records) / seconds, max(0, octets - old_octets) * 8 / seconds


def one_line(report: Report, pace: Pace) -> str:
    """How it goes, in one line of a terminal."""
    totals, queue = report.get("totals", {}), report.get("queue", {})
    records, bits = pace.of(report)
    missing = sum(report.get("losses", {}).values())
    share = queue.get("octets", 0) / max(1, queue.get("limit", 1))
    blocked = [safe(str(one.get("name"))) for one in report.get("sinks", ()) if one.get("is_blocked")]
    parts = [
        f"{compact(records)} records/s",
        f"{compact(bits)}bit/s",
        f"{totals.get('records', 0):,} records",
        f"{missing:,} lost" if missing else "none lost",
        counted(len(report.get("exporters", ())), "exporter"),
        f"queue {share:.0%}",
        span(report.get("now", 0) - report.get("started", 0)),
    ]
    return "  ".join([*parts, *(f"BLOCKED: {name}" for name in blocked)])
