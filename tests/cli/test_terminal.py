"""What only a terminal gets: colours, a progress bar, JSON without control characters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import STRANGE

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")


def on_terminal(*args: object, directory: Path | None = None, **environment: str) -> str:
    """What the command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from headwater.cli import main; main(prog_name='headwater')", *map(str, args)]
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"} | environment
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=directory)
    os.close(theirs)
    shown = b""
    try:
        while octets := os.read(ours, 65536):
            shown += octets
    except OSError:  # how Linux tells that the other side is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n")


def test_headings_are_bold_unless_colours_are_unwanted(flows: Path) -> None:
    assert "\x1b[1m" in on_terminal("cat", "-n", 3, flows)
    assert "\x1b" not in on_terminal("cat", "-n", 3, flows, NO_COLOR="1")
    assert "\x1b" not in on_terminal("explain", flows, TERM="dumb")


def test_json_is_exact_and_harmless(strange: Path) -> None:
    for args in (["cat", "--json", strange], ["explain", "--json", strange], ["cat", "--csv", strange]):
        shown = on_terminal(*args)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\u202e" in shown
    assert json.loads(on_terminal("cat", "--json", strange))["interfaceName"] == STRANGE


def test_a_conversion_on_a_terminal_says_what_it_did(flows: Path, tmp_path: Path) -> None:
    assert "headwater: out.csv: 100 records in " in on_terminal("convert", flows, "out.csv", directory=tmp_path)
    assert on_terminal("convert", "--quiet", flows, "out.ndjson", directory=tmp_path) == ""
