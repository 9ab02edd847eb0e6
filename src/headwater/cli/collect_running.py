"""A collector in the foreground: signals, a line of status, the service manager, and what became of it at the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from headwater.cli import PARTIAL
from headwater.cli.screen import Painter, has_colour, safe, shortened, terminal_width
from headwater.cli.status_text import Pace, exporter_lines, headline, losses, one_line, sink_lines
from headwater.errors import HeadwaterError
from headwater.process.collecting.collector import Collector
from headwater.process.collecting.logs import NAME, Logs
from headwater.process.collecting.replay_url import is_replay_url
from headwater.process.collecting.service import Service, inherited_sockets
from headwater.process.collecting.settings_checks import place_of

if TYPE_CHECKING:
    from headwater.process.collecting.settings import CollectingSettings

_LOOK_S: Final = 0.1
_LINE_S: Final = 1.0
_LOG_S: Final = 60.0
"""How often it is told how it goes, on a terminal and in a log."""
_SHARE: Final = 20
"""A report may take one part in so many of the time."""
_LOG: Final = logging.getLogger(NAME)


class _Now(BaseException):
    """The second Ctrl-C."""


class Running:
    """One run of a collector. reread: the settings as file and options have them now. report: of its end."""

    def __init__(
        self, settings: CollectingSettings, *, reread: Callable[[], CollectingSettings], is_quiet: bool = False
    ) -> None:
        self.report: dict[str, Any] = {}
        self._reread = reread
        self._is_quiet = is_quiet
        shows_records = sys.stdout.isatty() and any(place_of(sink.to) == "-" for sink in settings.sinks)
        self._has_line = not is_quiet and not settings.log.json and sys.stderr.isatty() and not shows_records
        self._is_drawn = False
        self._inherited = inherited_sockets()
        self._collector = Collector(settings=settings, sockets=self._inherited, on_reload=self._reload)
        self._service = Service(lambda: self._collector.progress)
        self._pace = Pace()
        self._asked = 0
        self._is_reloading = threading.Lock()
        self._is_to_reload = False
        self._next_line = 0.0

    def run(self, seconds: float | None = None, records: int | None = None) -> int:
        """Collect until the end; the exit code. Raises HeadwaterError if it cannot begin."""
        self._logs = Logs(self._collector.settings.log, clear=self._clear)
        if self._is_quiet:
            logging.getLogger("headwater").setLevel(logging.WARNING)
        old = {one: signal.signal(one, self._on_signal) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            return self._run(seconds, records)
        except _Now:
            self._clear()
            click.echo("headwater: ended at once; what was not stored is lost", err=True)
            raise click.Abort from None
        finally:
            self._logs.close()
            for number, handler in old.items():
                signal.signal(number, handler)

    def _run(self, seconds: float | None, records: int | None) -> int:
        settings = self._collector.settings
        self._collector.start()
        try:
            self._begin(settings)
            end = None if seconds is None else time.monotonic() + seconds
            while self._collector.is_running and not self._asked:
                left = _LOOK_S if end is None else min(_LOOK_S, end - time.monotonic())
                if left <= 0 or (records is not None and self._collector.decoded_records >= records):
                    break
                time.sleep(left)
                self._look()
        finally:
            self._service.stopping(float(self._collector.settings.drain))
            if self._collector.report().queue.get("octets"):
                _LOG.info("storing what has come; Ctrl-C ends at once", extra={"kind": "draining"})
            report = self._collector.stop()
        self._clear()
        self.report = report.to_dict()
        self._tell_end()
        return 0 if report.is_clean and self._collector.is_whole else PARTIAL

    # ---------------------------------------------------------------- beginning

    def _begin(self, settings: CollectingSettings) -> None:
        collector = self._collector
        for address in collector.addresses:
            self._say(f"{'reading' if is_replay_url(address) else 'listening on'} {address}")
        for socket in self._inherited:
            port = 0 if socket.fileno() < 0 else int(socket.getsockname()[1])
            if not any(address.endswith(f":{port}") for address in collector.addresses):
                _LOG.warning("the service manager has opened port %d, but nothing listens on it here", port)
        for name in dict.fromkeys(sink["name"] for sink in collector.report().sinks):  # each worker has its own
            self._say(f"writing to {safe(name)}")
        for warning in collector.report().warnings:
            _LOG.warning("%s", warning)
        if collector.metrics_url:
            self._say(f"metrics at {collector.metrics_url}")
        if collector.control and sys.stderr.isatty():
            self._say("look at it with 'headwater status' or 'headwater top'; Ctrl-C ends it")
        parquet = next((sink.to for sink in settings.sinks if sink.to[-1:] == "/" and ":" not in sink.to), None)
        if parquet is not None and sys.stderr.isatty():
            question = '\'headwater query "select count(*) from flows" '
            self._say(f"ask it with {question}{parquet}', also while it runs")
        self._service.ready(f"listening on {', '.join(collector.addresses)}")

    @staticmethod
    def _say(text: str) -> None:
        _LOG.info("%s", text, extra={"kind": text})

    # ---------------------------------------------------------------- meanwhile

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._is_to_reload = True
            return
        self._asked += 1
        if self._asked > 1 and number == signal.SIGINT:
            raise _Now

    def _look(self) -> None:
        if self._is_to_reload:
            self._is_to_reload = False
            with suppress(HeadwaterError):  # which was told
                self._reload()
        now = time.monotonic()
        if now < self._next_line:
            return
        self._logs.tick()
        report = self._collector.report().to_dict()
        line = one_line(report, self._pace)
        took = time.monotonic() - now
        self._service.tick(line)
        is_first = self._next_line == 0
        self._next_line = now + max(_LINE_S if self._has_line or self._service.is_on else _LOG_S, took * _SHARE)
        if self._has_line:
            text = shortened(line, (terminal_width(sys.stderr) or 80) - 1)
            colour = Painter(is_on=has_colour(sys.stderr))
            self._is_drawn = True
            sys.stderr.write(f"\r{colour('fault', text) if report['losses'] else text}\x1b[K")
            sys.stderr.flush()
        elif not self._is_quiet and not is_first and not self._service.is_on:
            _LOG.info("%s", line, extra={"kind": "progress"})

    def _clear(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _reload(self) -> list[str]:
        """Go on with the settings as they are now; also called by the thread of the control socket."""
        with self._is_reloading:
            self._service.reloading()
            try:
                settings = self._reread()
                waits = self._collector.reload(settings)
            except (HeadwaterError, click.ClickException) as error:
                text = error.format_message() if isinstance(error, click.ClickException) else str(error)
                _LOG.error("the new settings cannot be used, the old ones stay: %s", text)
                raise HeadwaterError(text) from None
            finally:
                self._service.ready()
            if not self._is_quiet:
                self._logs.change(settings.log)
            _LOG.info("settings and certificates were read again", extra={"kind": "reload"})
            for text in waits:
                _LOG.warning("%s", text, extra={"kind": text})
            return waits

    # ---------------------------------------------------------------- the end

    def _tell_end(self) -> None:
        missing = losses(self.report)
        if self._is_quiet and not missing and self._collector.is_whole:
            return
        self._logs.tick(is_end=True)
        if not sys.stderr.isatty() and (self._collector.settings.log.json or os.environ.get("INVOCATION_ID")):
            _LOG.info("%s", "; ".join([headline(self.report), *missing]), extra={"kind": "end"})
            return
        width, paint = terminal_width(sys.stderr), Painter(is_on=has_colour(sys.stderr))
        click.echo(f"headwater: {headline(self.report)}", err=True)
        for text in missing:
            click.echo(f"headwater: {paint('fault', text)}", err=True)
        if not self._collector.is_whole:
            click.echo("headwater: not all could be stored in the time that --drain allows", err=True)
        if not self._is_quiet:
            for line in ("", *exporter_lines(self.report, width, paint), "", *sink_lines(self.report, width, paint)):
                click.echo(line, err=True)
