"""How tests run the command: in this process, or as users do."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headwater.cli import main
from tests import build, packets

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


OLD, NEW, MODERN = [(f"10.0.0.{host}", 50000, "10.0.0.9", 2055) for host in (5, 9, 10)]
"""Who sends NetFlow v5, NetFlow v9 and IPFIX in `capture`."""
NAMES = ((8, 4), (10, 2), (14, 2), (1, 4), (22, 4), (21, 4), (48, 2))


def _exported() -> list[bytes]:
    """Packets of three exporters, one of sFlow and two of other traffic."""
    old = build.netflow5(
        build.netflow5_record("192.0.2.1", "192.0.2.2", octets=100, first_ms=10_000, last_ms=55_000),
        build.netflow5_record("192.0.2.3", "192.0.2.4", octets=200, first_ms=20_000, last_ms=20_000),
        sampling=1 << 14 | 100,
    )
    flow = build.record(
        build.ipv4("198.51.100.1"), build.uint(3, 2), build.uint(4, 2), build.uint(500),
        build.uint(30_000), build.uint(40_000), build.uint(1, 2),
    )  # fmt: skip
    name = build.record(build.uint(3), b"uplink\0\0")
    new = [
        build.netflow9(build.netflow9_template(256, *NAMES), build.any_set(256, flow), count=2),
        build.netflow9(build.any_set(256, flow), sequence=3),  # two Messages are lost before it
        build.netflow9(
            build.netflow9_options_template(257, [(2, 4)], (82, 8)), build.any_set(257, name), count=2, sequence=4
        ),
    ]
    sflow = struct.pack("!III4sIIII", 5, 1, 1, bytes(4), 0, 1, 1000, 0)
    sent = [(old, OLD), *((packet, NEW) for packet in new), (sflow, ("10.0.0.7", 6343, "10.0.0.9", 6343))]
    sent += [(message, MODERN) for message in build.flows(20)]
    sent += [(b"what is the address of example.com?", ("10.0.0.7", 5353, "10.0.0.9", 53))] * 2
    return [packets.ethernet(packets.udp(payload, peer)) for payload, peer in sent]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A pcap file with NetFlow v5 and v9, IPFIX, sFlow and other traffic."""
    path = tmp_path / "capture.pcap"
    path.write_bytes(packets.pcap(_exported()))
    return path
