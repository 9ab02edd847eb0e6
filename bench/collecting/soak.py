"""A collector for a long time at a moderate rate: its memory has to be flat, and its totals exact.

    python bench/collecting/soak.py [--minutes 30] [--rate 20000]

Starts `headwater collect` with UDP and TCP to Parquet and sends it flows of several exporters: Templates again and
again, options, connections that end, garbage now and then, and quiet seconds. Once a minute it prints what the
collector has counted and its memory. At the end all records must be in the files, each once, and the memory of the last
third of the time must be that of the second. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import build as b

TEMPLATE = b.template_set(b.template(256, (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 8), (2, 4), (152, 8), (153, 8)))
OPTIONS = b.options_template_set(b.options_template(257, (10, 4), (82, b.VARIABLE), scope=1))
ROW = struct.Struct("!IIHHBQIQQ")
PER_MESSAGE = 25
EXPORTERS = 8
GROWTH_MIB = 16
"""By how much memory may differ: what allocators and Arrow's pools keep comes and goes."""


class Exporter:
    """Sends numbered records: packetDeltaCount is the number, so that each can be found again."""

    def __init__(self, number: int, port: int, *, is_tcp: bool) -> None:
        self.number, self.port, self.is_tcp = number, port, is_tcp
        self.sent = 0
        self.connect()

    def connect(self) -> None:
        """Begin a transport session: Templates come anew, and numbers begin at 0."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self.is_tcp else socket.SOCK_DGRAM)
        self.socket.bind((f"127.0.0.{10 + self.number}", 0))
        self.socket.connect(("127.0.0.1", self.port))
        self.sequence = self.messages = 0

    def send(self) -> None:
        """One Message of records; every 20th has Templates and an option record too."""
        now = time.time_ns() // 1_000_000
        sets, extra = [], 0
        if self.messages % 20 == 0:
            sets, extra = [TEMPLATE, OPTIONS, b.data_set(257, b.uint(1) + b.var(b"eth0"))], 1
        source = 0x0A000000 + self.number
        rows = [
            ROW.pack(source, 0xC0000200 + i, 443, 50000 + i, 6, 1000 * i, self.sent + i, now - 1000, now)
            for i in range(PER_MESSAGE)
        ]
        self.socket.sendall(b.message(*sets, b.data_set(256, *rows), sequence=self.sequence, domain=self.number + 1))
        self.sent += PER_MESSAGE
        self.sequence += PER_MESSAGE + extra
        self.messages += 1


def memory_of(process: subprocess.Popen[Any]) -> float:
    """Resident memory in MiB."""
    fields = Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def status(control: Path) -> dict[str, Any]:
    """What the collector says of itself."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(control))
        connection.sendall(b'{"do":"status"}\n')
        with connection.makefile("rb") as answer:
            found: dict[str, Any] = json.loads(answer.readline())
    return found


def free_port(kind: socket.SocketKind) -> int:
    """A port that nobody has."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def feed(
    process: subprocess.Popen[Any], exporters: list[Exporter], control: Path, seconds: float, rate: int
) -> list[float]:
    """Send for so long; memory, ten times a minute."""
    memory: list[float] = []
    begin = last = next_look = next_minute = time.monotonic()
    due, turn = 0.0, 0
    while (now := time.monotonic()) < begin + seconds:
        is_quiet = (now - begin) % 60 >= 55
        due = min(due + (now - last) * rate * (not is_quiet), rate * 0.1)
        last = now
        while due >= PER_MESSAGE:
            exporters[turn % EXPORTERS].send()
            due -= PER_MESSAGE
            turn += 1
        if now >= next_look:
            next_look += 6
            memory.append(memory_of(process))
        if now >= next_minute:
            next_minute += 60
            exporters[0].socket.send(b"\0\0 no flow export")
            for one in exporters:
                if one.is_tcp:
                    one.socket.close()
                    one.connect()
            decoded = status(control)["totals"].get("decoded_records", 0)
            sent = sum(one.sent for one in exporters)
            print(
                f"{(now - begin) / 60:5.1f} min: sent {sent:,}, decoded {decoded:,}, {memory[-1]:.0f} MiB", flush=True
            )
        time.sleep(0.002)
    return memory


def judge(folder: Path, exporters: list[Exporter], memory: list[float], code: int) -> list[str]:
    """What was not as it has to be."""
    wrong = []
    found = duckdb.sql(
        "select sourceIPv4Address - 167772160 as exporter, count(*), count(distinct packetDeltaCount), "
        f"max(packetDeltaCount) from '{folder}/flows/*.parquet' group by exporter order by exporter"
    ).fetchall()
    expected = [(one.number, one.sent, one.sent, one.sent - 1) for one in exporters]
    if found != expected:
        wrong.append(f"stored (exporter, records, distinct, last): {found}, sent: {expected}")
    summary = json.loads((folder / "summary.json").read_text())
    sent = sum(one.sent for one in exporters)
    totals = summary["totals"]
    if totals["decoded_records"] != sent or totals["records_written"] != sent:
        wrong.append(f"decoded {totals['decoded_records']}, written {totals['records_written']}, sent {sent}")
    odd = {name: count for name, count in summary["losses"].items() if name != "version"}
    if odd:
        wrong.append(f"losses: {odd}")
    third = len(memory) // 3
    second, last = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
    print(f"memory: {second:.0f} MiB in the second third, {last:.0f} in the last, {max(memory):.0f} at most")
    if last > second + GROWTH_MIB:
        wrong.append(f"memory has grown from {second:.0f} to {last:.0f} MiB")
    if code not in (0, 1):
        wrong.append(f"exit code {code}")
    return wrong


def soak(folder: Path, seconds: float, rate: int) -> list[str]:
    """What was not as it has to be."""
    control, log, summary = folder / "control.sock", folder / "log", folder / "summary.json"
    ports = [free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)]
    command = [
        sys.executable, "-m", "headwater", "collect", f"udp://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}",
        "--to", f"{folder}/flows/?rotate=1m", "--state", f"{folder}/state", "--control", str(control), "--json",
    ]  # fmt: skip
    with log.open("wb") as told, summary.open("wb") as totals:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=totals, stderr=told)
        try:
            while not control.exists():
                time.sleep(0.1)
                if process.poll() is not None:
                    return [log.read_text()]
            exporters = [Exporter(i, ports[i % 2], is_tcp=bool(i % 2)) for i in range(EXPORTERS)]
            memory = feed(process, exporters, control, seconds, rate)
            for one in exporters:
                one.socket.close()
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        finally:
            process.kill()
    return judge(folder, exporters, memory, code)


def main() -> int:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=20_000, help="records a second")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = soak(Path(folder), asked.minutes * 60, asked.rate)
    for one in wrong:
        print(f"WRONG: {one}")
    print("the soak has failed" if wrong else "the soak is passed: every record is stored once, and memory is flat")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
