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
from tests.interop.nfcapd import Place, wait_for
from tests.interop.recorded import DEADLINE_S
from tests.process.collectors import until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

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
def collector(program: Path, transport: str, place: Place, told: Path) -> Iterator[subprocess.Popen[str]]:
    """It tells what it reads in a file: nobody has to take it, so it waits for nobody."""
    command = [str(program), transport, place.address, str(place.port), str(COUNT)]
    with (
        told.open("w") as file,
        subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, text=True) as process,
    ):
        until(lambda: told.read_text() == "ready\n")
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_libfixbuf_reads_every_value_that_was_sent(program: Path, transport: str, tmp_path: Path) -> None:
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
    place, told = Place.free(), tmp_path / "told"
    with collector(program, transport, place, told) as process:
        with Exporter(f"{transport}://{place.address}:{place.port}?mtu=1400") as exporter:
            for start in range(0, COUNT, 50):
                exporter.write(flows[start : start + 50])
                assert exporter.flush(DEADLINE_S)
                if transport == "udp" and start + 50 < COUNT:  # after the last of them it ends
                    wait_for(place)  # until it is read, so that none is lost
        _, problems = process.communicate(timeout=DEADLINE_S)
    assert not problems
    assert told.read_text().splitlines()[1:] == [
        " ".join(
            [f"{flow.octets} {int(IPv4Address(flow.source))} {flow.port} {flow.application}"]
            + [str(number) for number in flow.numbers]
            + [f"{one.name}={one.index}" for one in flow.interfaces]
        )
        for flow in flows
    ]
