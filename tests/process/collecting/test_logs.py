"""Lines that a Collecting Process tells."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from headwater.errors import Fault, FaultKind
from headwater.process.collecting.logs import NAME, Logs, Note, log_event
from headwater.process.collecting.settings import LogSettings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logs(stream: io.StringIO, clock: Clock) -> Iterator[Logs]:
    logs = Logs(LogSettings(), stream, clock=clock)
    yield logs
    logs.close()


LOGGER = logging.getLogger(NAME)


def test_a_line_is_plain_text(logs: Logs, stream: io.StringIO) -> None:
    LOGGER.info("listening on %s", "udp://127.0.0.1:4739")
    LOGGER.warning("the sink is blocked")
    LOGGER.debug("nothing that anybody wants to know")
    assert stream.getvalue() == (
        "headwater: listening on udp://127.0.0.1:4739\nheadwater: warning: the sink is blocked\n"
    )


def test_lines_of_one_kind_and_exporter_are_bounded_and_counted(logs: Logs, stream: io.StringIO, clock: Clock) -> None:
    for number in range(1000):
        for exporter in ("192.0.2.1", "192.0.2.2"):
            LOGGER.warning(f"set {number} is short", extra={"kind": "short_set", "exporter": exporter})
    assert len(stream.getvalue().splitlines()) == 10
    logs.tick()
    assert len(stream.getvalue().splitlines()) == 10
    clock.now = 61.0
    logs.tick()
    assert stream.getvalue().splitlines()[10:] == ["headwater: warning: 995 more like: set 999 is short"] * 2
    LOGGER.warning("set 5 is short", extra={"kind": "short_set", "exporter": "192.0.2.1"})
    assert stream.getvalue().splitlines()[-1] == "headwater: warning: set 5 is short"


def test_what_was_left_out_is_told_at_the_end(stream: io.StringIO, clock: Clock) -> None:
    logs = Logs(LogSettings(), stream, clock=clock)
    for _ in range(7):
        LOGGER.warning("again")
    logs.close()
    assert stream.getvalue().splitlines()[-1] == "headwater: warning: 2 more like: again"
    LOGGER.warning("too late")
    assert "too late" not in stream.getvalue()


def test_no_flood_of_different_lines_takes_memory_or_the_terminal(
    logs: Logs, stream: io.StringIO, clock: Clock
) -> None:
    for number in range(10_000):
        LOGGER.warning(f"strange {number}")
    assert len(stream.getvalue().splitlines()) == 200
    assert len(logs.limit._windows) <= 4097
    LOGGER.critical("this one matters")
    assert stream.getvalue().splitlines()[-1] == "headwater: critical: this one matters"


def test_what_peers_send_cannot_take_the_terminal_over(logs: Logs, stream: io.StringIO) -> None:
    text = "eth0\x1b[31m\u202e\n\ud800" + "x" * 10_000
    # not through the logger: pytest keeps what it is told, and cannot hand a lone surrogate from process to process
    logs._handler.handle(logging.LogRecord(NAME, logging.WARNING, "", 0, "interface %s", (text,), None))
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("headwater: warning: interface eth0\\x1b[31m\\u202e\\n\\ud800xxx")
    assert len(line) < 2100


def test_json_is_one_object_a_line(stream: io.StringIO) -> None:
    logs = Logs(LogSettings(json=True, level="debug"), stream)
    LOGGER.debug("a \x1b line\nof two", extra={"kind": "short_set", "exporter": "192.0.2.1:5000"})
    logs.close()
    said = json.loads(stream.getvalue())
    assert said.pop("time") > 1e9
    assert said == {
        "level": "debug",
        "kind": "short_set",
        "exporter": "192.0.2.1:5000",
        "message": "a \\x1b line\\nof two",
    }


def test_settings_can_change_while_it_runs(logs: Logs, stream: io.StringIO) -> None:
    logs.change(LogSettings(level="error"))
    LOGGER.warning("hidden")
    logs.change(LogSettings(level="info", json=True))
    LOGGER.info("shown")
    assert json.loads(stream.getvalue())["message"] == "shown"


def test_a_stream_that_is_gone_is_no_reason_to_end(logs: Logs, stream: io.StringIO) -> None:
    stream.close()
    LOGGER.warning("into nothing")


def test_a_line_of_status_is_cleared_first(clock: Clock) -> None:
    stream = io.StringIO("")
    logs = Logs(LogSettings(), stream, clear=lambda: stream.write("<clear>"), clock=clock)
    LOGGER.info("one")
    logs.close()
    assert stream.getvalue() == "<clear>headwater: one\n"


def test_what_costs_no_records_is_info_and_all_else_a_warning(logs: Logs, stream: io.StringIO) -> None:
    log_event(Fault(FaultKind.FRAMING_LOST, 16, key="192.0.2.1:5000"))
    log_event(Fault(FaultKind.SEQUENCE_SUSPECT, 16, key="192.0.2.1:5000"))
    log_event("sink flows/: writes again")
    assert stream.getvalue().splitlines() == [
        "headwater: warning: 192.0.2.1:5000: framing_lost at octet 16",
        "headwater: 192.0.2.1:5000: sequence_suspect at octet 16",
        "headwater: warning: sink flows/: writes again",
    ]


def test_notes_about_connections_are_alike(logs: Logs, stream: io.StringIO) -> None:
    for port in range(1000):
        log_event(Note(f"tls://192.0.2.1:{port}: refused, certificate has expired"))
        log_event(f"sentence {port}")
    lines = stream.getvalue().splitlines()
    assert sum("refused" in line for line in lines) == 5
    assert sum("sentence" in line for line in lines) > 100
