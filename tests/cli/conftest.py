"""How tests run the command: in this process, or as users do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headwater.cli import main
from tests import build

Run = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]

STRANGE = 'eth0\x1b[31m\u202e"\n'
STRANGE_TEMPLATE = build.template_set(build.template(300, (82, build.VARIABLE), (8, 4), (313, build.VARIABLE)))


@pytest.fixture
def run() -> Run:
    """Runs the command in this process; `width` is that of the terminal."""

    def run(*args: object, width: int | None = None, data: bytes | None = None) -> Result:
        env = {"COLUMNS": str(width) if width else None, "NO_COLOR": None, "HEADWATER_DEBUG": None}
        result = CliRunner(env=env).invoke(main, [str(arg) for arg in args], input=data, prog_name="headwater")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def spawn() -> Spawn:
    """Starts the command as a process of its own, with pipes."""

    def spawn(*args: object, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "from headwater.cli import main; main(prog_name='headwater')"]
        return subprocess.Popen(
            [*command, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
        )

    return spawn


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A file with 100 IPv4 flows in several messages."""
    path = tmp_path / "flows.ipfix"
    path.write_bytes(build.file(*build.flows(100)))
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A file with 200 flows, IPv4 and IPv6 in turn, and two options records."""
    path = tmp_path / "mixed.ipfix"
    path.write_bytes(build.file(*build.mixed_flows(200)))
    return path


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A file with 40 records that have lists."""
    path = tmp_path / "lists.ipfix"
    path.write_bytes(build.file(*build.lists(40)))
    return path


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A file with one record whose string would take a terminal over."""
    path = tmp_path / "strange.ipfix"
    record = build.record(build.var(STRANGE.encode()), build.ipv4("192.0.2.1"), build.var(b"\x01\x02"))
    path.write_bytes(build.message(STRANGE_TEMPLATE, build.data_set(300, record)))
    return path


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A file of flows whose last message is cut short."""
    path = tmp_path / "torn.ipfix"
    path.write_bytes(build.file(*build.flows(100))[:-30])
    return path
