"""A collector made with libfixbuf takes what an Exporter sends, structured data included."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated

import pytest

import headwater as hw
from headwater.process.exporting import Exporter
from tests.interop.compiled import compiled
from tests.process.collectors import free_port

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

COUNT = 500


@dataclass
class Interface:
    name: Annotated[str, hw.ie("interfaceName")]
    index: Annotated[int, hw.ie("ingressInterface")]


@dataclass
class Flow:
    octets: Annotated[int, hw.ie("octetDeltaCount")]
    source: Annotated[str, hw.ie("sourceIPv4Address")]
    port: Annotated[int, hw.ie("sourceTransportPort")]
    application: Annotated[str, hw.ie("applicationName")]
    numbers: list[Annotated[int, hw.ie("sourceTransportPort")]]
    interfaces: list[Interface]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collector, compiled."""
    return compiled("libfixbuf_collector", tmp_path_factory.mktemp("libfixbuf"))


@contextmanager
def collector(program: Path, transport: str, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [str(program), transport, "127.0.0.1", str(port), str(COUNT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_libfixbuf_reads_every_value_that_was_sent(program: Path, transport: str) -> None:
    flows = [
        Flow(
            2**40 + number,
            f"192.0.{number >> 8}.{number & 255}",
            number,
            "dns" * (number % 3) + "x" * (number % 300),
            [number, 443][: number % 3],
            [Interface(f"eth{k}", 100 * number + k) for k in range(number % 4)],
        )
        for number in range(COUNT)
    ]
    with free_port() as port:
        pass  # libfixbuf wants it for itself
    with collector(program, transport, port) as process:
        with Exporter(f"{transport}://127.0.0.1:{port}?mtu=1400&rate=20000") as exporter:
            exporter.write(flows)
        out, problems = process.communicate(timeout=20)
    assert not problems
    assert out.splitlines() == [
        " ".join(
            [f"{flow.octets} {int(IPv4Address(flow.source))} {flow.port} {flow.application}"]
            + [str(number) for number in flow.numbers]
            + [f"{one.name}={one.index}" for one in flow.interfaces]
        )
        for flow in flows
    ]
