"""What an Exporter sends is what collectors of other projects store; and a collector that is killed loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headwater.process.exporting import Exporter
from tests.interop import nfcapd
from tests.interop.nfcapd import Place
from tests.interop.recorded import running
from tests.peers import require_program
from tests.process.collectors import DEADLINE_S, records_of, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

START_MS = 1_700_000_000_000
EARLY = "198.51.100.1"

COLLECTOR = """
import os, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    file = os.open(f"{sys.argv[3]}-{connection.getpeername()[1]}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    while octets := connection.recv(4096, socket.MSG_PEEK):
        os.write(file, octets)  # what is stored is taken from the kernel: it is killed at any moment
        connection.recv(len(octets))
"""


def flow(number: int) -> dict[str, Any]:
    return {
        "sourceIPv4Address": f"10.1.{number >> 8}.{number & 255}",
        "destinationIPv4Address": "192.0.2.9",
        "sourceTransportPort": number,
        "destinationTransportPort": 443,
        "protocolIdentifier": 6,
        "octetDeltaCount": 1000 + number,
        "packetDeltaCount": 1 + number,
        "flowStartMilliseconds": START_MS + number,
        "flowEndMilliseconds": START_MS + 1000 + number,
    }


FLOWS = [flow(number) for number in range(2000)]


def nfdump(folder: Path) -> list[list[str]]:
    """Source, destination, ports, octets, packets and times of the flows that nfcapd has stored."""
    lines = []
    for file in sorted(folder.glob("nfcapd.2*")):  # it begins a new one every five minutes
        command = ["nfdump", "-r", str(file), "-q", "-N", "-o", "fmt:%sa,%da,%sp,%dp,%byt,%pkt,%ts,%te"]
        environment = {**os.environ, "TZ": "UTC"}
        lines += subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split("\n")
    return [[value.strip() for value in line.split(",")] for line in lines if "," in line]


@contextmanager
def listening(folder: Path) -> Iterator[Place]:
    """The place of an nfcapd that stores into a folder, which is complete when the block ends."""
    require_program("nfpcapd")  # of the same package
    program = shutil.which("nfcapd")
    assert program is not None
    place = Place.free()
    with running([program, "-b", place.address, "-p", str(place.port), "-w", str(folder), "-B", str(4 << 20)]):
        nfcapd.wait_for(place, is_bound=True)
        yield place
        nfcapd.wait_for(place)


def shown(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}"


@pytest.mark.parametrize("version", [10, 9, 5])
@pytest.mark.parametrize("mtu", [512, 1400])
def test_nfcapd_stores_all_flows_with_their_values(version: int, mtu: int, tmp_path: Path) -> None:
    now, options = START_MS / 1000 + 60, f"version={version}&mtu={mtu}"
    with listening(tmp_path) as place:
        url = f"udp://{place.address}:{place.port}?{options}"
        with Exporter(url, clock=lambda: now, booted=now - 3600) as exporter:
            for start in range(0, len(FLOWS), 500):
                exporter.write(FLOWS[start : start + 500])
                assert exporter.flush(60)
                nfcapd.wait_for(place)  # until it is read, so that none is lost
        (report,) = exporter.report
    assert report.sent.records == 2000
    assert exporter.netflow.is_lossless
    wanted = []
    for row in FLOWS:
        times = [shown(row[f"flow{name}Milliseconds"]) for name in ("Start", "End")]
        values = [str(value) for name, value in row.items() if not name.startswith(("flow", "protocol"))]
        wanted.append([*values, *times])
    assert sorted(nfdump(tmp_path)) == sorted(wanted)


def test_nfacctd_counts_the_same(tmp_path: Path) -> None:
    program = require_program("pmacctd").replace("pmacctd", "nfacctd")
    place = Place.free()
    out = tmp_path / "out.json"
    config = tmp_path / "nfacctd.conf"
    config.write_text(
        f"daemonize: false\nnfacctd_ip: {place.address}\nnfacctd_port: {place.port}\nplugins: print[p]\n"
        f"aggregate[p]: src_host, dst_host, src_port, dst_port, proto\nprint_output[p]: json\n"
        f"print_output_file[p]: {out}\nprint_output_file_append[p]: true\nprint_refresh_time[p]: 1\n"
    )
    with running([program, "-f", str(config)]) as process:
        nfcapd.wait_for(place, is_bound=True)
        with Exporter(f"udp://{place.address}:{place.port}?rate=3000") as exporter:
            end = time.monotonic() + DEADLINE_S
            while not out.exists():  # its plugin drops what comes before it has begun to work
                assert time.monotonic() < end
                exporter.write([{**flow(0), "sourceIPv4Address": EARLY}])
                time.sleep(0.5)
            for start in range(0, len(FLOWS), 500):  # its plugin has a small buffer
                exporter.write(FLOWS[start : start + 500])
                assert exporter.flush(60)
                until(lambda: len(counted(out)) >= start + 500)  # noqa: B023  # called here
        process.send_signal(signal.SIGINT)
    assert counted(out) == {
        (row["sourceIPv4Address"], row["octetDeltaCount"], row["packetDeltaCount"]) for row in FLOWS
    }


def counted(file: Path) -> set[tuple[str, int, int]]:
    """What nfacctd has printed so far of each source."""
    rows = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {(row["ip_src"], row["bytes"], row["packets"]) for row in rows if row["ip_src"] != EARLY}


def test_a_tcp_collector_that_is_killed_again_and_again_has_everything_in_the_end(tmp_path: Path) -> None:
    rounds, each = 4, 50_000
    place = Place.free()
    with collecting(place, tmp_path / "stored-0"):
        exporter = Exporter(f"tcp://{place.address}:{place.port}?retry=0.1&retry_first=0.01")
        exporter.open()
        exporter.write({"octetDeltaCount": range(each)})
        until(lambda: stored(tmp_path))
    for number in range(1, rounds):
        with collecting(place, tmp_path / f"stored-{number}"):
            exporter.write({"octetDeltaCount": range(number * each, (number + 1) * each)})
            if number < rounds - 1:
                until(lambda: len({file.name[:8] for file in stored(tmp_path)}) > number)  # noqa: B023  # called here
            else:
                assert exporter.flush(60)
                until(lambda: rounds * each - 1 in numbers(tmp_path))
                exporter.close()
    assert numbers(tmp_path) == set(range(rounds * each))
    (report,) = exporter.report
    assert report.connections >= rounds
    assert report.sent.records == report.given.records == rounds * each
    assert not report.dropped


@contextmanager
def collecting(place: Place, path: Path) -> Iterator[None]:
    """A collector that is killed when the block ends; it stores each connection in a file of its own."""
    command = [sys.executable, "-c", COLLECTOR, place.address, str(place.port), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def stored(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.stat().st_size]


def numbers(folder: Path) -> set[int]:
    return {row["octetDeltaCount"] for file in stored(folder) for row in records_of(file.read_bytes())}


def test_no_datagram_is_larger_than_the_mtu() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        collector.bind(("127.0.0.1", 0))
        collector.setblocking(False)
        names = [{"interfaceName": "e" * (number % 200), "octetDeltaCount": number} for number in range(1000)]
        with Exporter(f"udp://127.0.0.1:{collector.getsockname()[1]}") as exporter:
            exporter.write(FLOWS)
            exporter.write(names)
        sizes: list[int] = []
        while len(sizes) < exporter.report[0].messages:
            sizes.append(len(collector.recv(65535)))
    assert 500 < max(sizes) <= 512
