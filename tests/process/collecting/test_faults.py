"""What goes wrong day and night: floods, restarts, clocks that jump, kill -9. Collecting goes on, and counts it."""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import headwater as hw
from tests import build as b
from tests.process.collecting.sending import DEADLINE_S, PORTS, UdpSender, flow, message, port_of, until, until_received
from tests.process.collecting.test_collector import HERE, Kept
from tests.session.test_netflow import DATA, TEMPLATE, netflow9


def _decoded(collector: hw.Collector, records: int) -> Callable[[], bool]:
    return lambda: collector.decoded_records >= records


def test_a_flood_of_garbage_costs_nothing_but_counts() -> None:
    kept = Kept()
    random.seed(5)
    garbage = [random.randbytes(random.randrange(0, 200)) for _ in range(2000)]
    like_export = [b"\0\x0a" + one for one in garbage] + [b"\0\x09" + one for one in garbage]
    with hw.Collector(HERE, sinks=[kept], latency=0.01) as collector:
        good, bad = UdpSender(port_of(collector)), UdpSender(port_of(collector), "127.0.0.2")
        for position in range(0, len(like_export), 400):
            part = like_export[position : position + 400] + garbage[position : position + 400]
            bad.send_in_steps(collector, part, 200)
            good.send(message(position // 400))
            until(_decoded(collector, position // 400 + 1), "the record")
    report = collector.report()
    by_name = {one["exporter"]: one for one in report.exporters}
    assert kept.ports == list(range(10))
    assert (by_name[good.name]["lost"], by_name[good.name]["faults"]) == (0, {})
    assert sum(by_name[bad.name]["faults"].values()) >= 4000
    assert report.totals["kernel_drops"] == 0


def test_templates_without_end_are_bounded_by_limits_and_others_are_not_harmed() -> None:
    kept = Kept()
    limits = {"templates": 100, "templates_in_all": 150}
    with hw.Collector(HERE, sinks=[kept], limits=limits, latency=0.01) as collector:
        bad, good = UdpSender(port_of(collector), "127.0.0.2"), UdpSender(port_of(collector))
        good.send(message(0))
        until(lambda: collector.decoded_records == 1, "the first record")
        for start in range(256, 5256, 500):
            templates = [b.template(id, (7, 2), (id, 4)) for id in range(start, start + 500)]
            bad.send_in_steps(collector, [b.message(b.template_set(one)) for one in templates], 100)
        good.send(message(1, template=False))
    report = collector.report()
    assert kept.ports == [0, 1]
    assert report.faults["template_limit"] >= 4800


def test_domains_without_end_are_bounded_too() -> None:
    kept = Kept()
    with hw.Collector(HERE, sinks=[kept], limits={"domains": 50}, latency=0.01) as collector:
        sender = UdpSender(port_of(collector))
        sender.send_in_steps(collector, [message(0, domain=domain) for domain in range(500)], 100)
    exporter = next(one for one in collector.report().exporters if one["exporter"] == sender.name)
    assert exporter["domains"] == 50


def test_an_exporter_that_restarts_goes_on_at_once() -> None:
    kept = Kept()
    with hw.Collector(HERE, sinks=[kept], latency=0.01) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(*[message(1_000_000 + i) for i in range(3)], *[message(i) for i in range(3)])
        sender.send(netflow9(TEMPLATE, DATA, uptime=900_000))
        until(lambda: collector.decoded_records == 8, "the time before the restart")
        sender.send(netflow9(TEMPLATE, DATA, uptime=1000, seconds=1_700_000_100))
    report = collector.report()
    (exporter,) = report.exporters
    assert exporter["records"] == 10
    assert exporter["resets"] == 1
    assert exporter["faults"]["exporter_restart"] == 1
    assert (exporter["lost"], exporter["lost_messages"]) == (0, 0)


def test_a_clock_that_jumps_changes_nothing_but_the_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jump = 0.0
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + jump)
    with hw.Collector(HERE, sinks=[f"{tmp_path}/flows?rotate=1h"], latency=0.01) as collector:
        sender = UdpSender(port_of(collector))
        for sequence, jump in enumerate((0.0, 86_400.0, -86_400.0, 1e9, 0.0)):  # noqa: B007  # the lambda reads it
            sender.send(message(sequence, template=not sequence))
            until(_decoded(collector, sequence + 1), "the record")
    report = collector.report()
    files = sorted((tmp_path / "flows").glob("*.parquet"))
    assert sorted(port for file in files for port in pq.read_table(file)["sourceTransportPort"].to_pylist()) == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert report.is_clean


_COLLECT = """
import socket, sys, headwater as hw
descriptor, where, to, state = sys.argv[1:]
mine = socket.socket(fileno=int(descriptor))
collector = hw.Collector(where, sinks=[to], state=state, latency=0.01, sockets=[mine])
collector.start()
print(*collector.report().warnings, sep=chr(10), flush=True)
print("ready", flush=True)
sys.stdin.read()
collector.stop()
"""


def _started(held: socket.socket, url: str, to: str, state: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """A process that collects from a socket, and what it warns of when it begins."""
    command = [sys.executable, "-c", _COLLECT, str(held.fileno()), url, to, str(state)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[held.fileno()]
    )
    assert process.stdout is not None
    warnings: list[str] = []
    for line in process.stdout:
        if line == "ready\n":
            return process, warnings
        warnings.append(line.strip())
    raise AssertionError("the collector has ended")


@pytest.mark.slow
def test_kill_9_again_and_again_leaves_whole_segments_and_nothing_twice(tmp_path: Path) -> None:
    flows, state = tmp_path / "flows", tmp_path / "state"
    random.seed(11)
    sequence, told = 0, 0
    first: list[int] = []

    def send() -> None:
        nonlocal sequence
        for _ in range(5):
            sets = [] if sequence else [PORTS]  # what is known outlasts each kill
            sender.send(b.message(*sets, flow(octets=sequence), sequence=sequence))
            sequence += 1
        until(lambda: not select.select([held], [], [], 0)[0], "that all is read")

    def stored() -> list[int]:
        files = flows.rglob("*.parquet")
        return [octets for file in files for octets in pq.read_table(file)["octetDeltaCount"].to_pylist()]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:  # so that nobody else gets its port meanwhile
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        sender = UdpSender(port)
        for round in range(5):
            process, warnings = _started(held, f"udp://127.0.0.1:{port}", f"{flows}/?rotate=1s", state)
            told += sum("torn" in warning for warning in warnings)
            first.append(sequence)
            begun = time.monotonic()
            before = len(list(flows.rglob("*.parquet")))
            while len(list(flows.rglob("*.parquet"))) == before or not list(state.glob("*.state")):
                send()
                assert time.monotonic() < begun + DEADLINE_S, "nothing is stored"
            end = time.monotonic() + random.random()
            while time.monotonic() < end:
                send()
            if round < 4:
                process.send_signal(signal.SIGKILL)
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
            else:
                process.communicate(timeout=DEADLINE_S)
                assert process.returncode == 0
    rows = stored()
    assert len(np.unique(rows)) == len(rows)  # nothing twice
    assert set(range(first[-1], sequence)) <= set(rows)  # all of the last round is there
    for begin, end_ in itertools.pairwise(first):
        assert any(begin <= row < end_ for row in rows)  # and some of each other one
    assert not list(flows.rglob("*.part"))
    assert len(list(flows.rglob("*.torn*"))) == told


def _memory() -> int:
    """Resident octets of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_bounded_while_everybody_sends_something_else() -> None:
    """Thousands of exporters, each with Templates, options and garbage of its own."""
    seen = 0

    def count(batch: hw.Batch) -> None:
        nonlocal seen
        seen += batch.num_rows

    limits = {"sessions": 200, "domains_in_all": 500}
    before = _memory()
    with hw.Collector(f"{HERE}?max_sessions=200", sinks=[count], limits=limits, latency=0.01) as collector:
        port = port_of(collector)
        for number in range(2000):
            sender = UdpSender(port, f"127.1.{number // 250}.{number % 250 + 1}")
            sender.send(message(0, domain=number), os.urandom(100))
            if number % 50 == 49:
                until_received(collector, 2 * number + 2)
        until(lambda: collector.report().totals.get("datagrams", 0) >= 2000, "that all have come")
        after = _memory()
    report = collector.report()
    assert seen + report.faults.get("session_limit", 0) >= 2000
    assert report.totals["datagrams"] + report.totals["not_export"] == 4000
    assert after - before < 100 << 20
