"""Real exporters send to a Collector: what it stores is what tshark reads of the same traffic, or what was observed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.analysis.querying import query
from headwater.errors import FaultKind
from headwater.process.collecting.ledger import CollectorReport
from tests.interop import tshark
from tests.interop.collected import assert_complete, collect, stored
from tests.interop.recorded import DEADLINE_S, captured, running
from tests.interop.test_exporters import assert_all_traffic, assert_is, flow_key, softflowd, told
from tests.interop.traffic import write_traffic
from tests.peers import require_program
from tests.process.collecting.sending import until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

SOFTFLOWD = {
    "v1": ("-v", "1"),
    "v5": ("-v", "5"),
    "v9": ("-v", "9"),
    "ipfix": ("-v", "10"),
    "ipfix-biflow": ("-v", "10", "-b", "-A", "milli"),
}
FAULTS = {"v9": (FaultKind.COUNT_MISMATCH,), "ipfix": (FaultKind.SEQUENCE_RULE,)}
"""What softflowd does wrong: its IPFIX sequence numbers count the records of the Message that they are in, too."""
LOST = {"ipfix-biflow": 3}
"""What that looks like in two Messages; three make it clear."""
NFPROBE = {5: "v5", 9: "v9", 10: "ipfix"}


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of ordinary traffic, that exporters may read although they drop privileges."""
    return write_traffic(tmp_path_factory.mktemp("traffic") / "traffic.pcap")


@pytest.mark.parametrize("name", SOFTFLOWD)
def test_what_softflowd_sends_over_udp_is_stored_as_tshark_reads_it(name: str, traffic: Path, tmp_path: Path) -> None:
    report, capture, port = collected(tmp_path, softflowd(traffic, tmp_path, *SOFTFLOWD[name]))
    rows = stored(tmp_path / "flows")
    assert_as_tshark(rows, capture, port)
    assert_all_traffic(rows, ipv6=name not in ("v1", "v5"))
    assert_complete(report, len(rows), faults=FAULTS.get(name, ()), lost=LOST.get(name, 0))


@pytest.mark.parametrize("version", [5, 9])
def test_what_nfreplay_sends_over_udp_is_stored_as_tshark_reads_it(version: int, traffic: Path, tmp_path: Path) -> None:
    with running([require_program("nfpcapd"), "-r", str(traffic), "-w", str(tmp_path)]) as process:
        process.wait(DEADLINE_S)
    (file,) = tmp_path.glob("nfcapd.2*")
    command = [require_program("nfreplay"), "-H", "127.0.0.1", "-p", "{port}", "-v", str(version), "-r", str(file)]
    report, capture, port = collected(tmp_path, command)
    rows = stored(tmp_path / "flows")
    assert_as_tshark(rows, capture, port)
    assert_all_traffic(rows, ipv6=version == 9)
    assert_complete(report, len(rows))


def test_what_softflowd_sends_over_tcp_is_stored(traffic: Path, tmp_path: Path) -> None:
    command = softflowd(traffic, tmp_path, "-v", "10", "-P", "tcp")

    def export(port: int, collector: hw.Collector) -> None:
        run(command, port)
        until_ended(collector)

    report = collect(tmp_path / "flows", export, "tcp")
    rows = stored(tmp_path / "flows")
    assert_all_traffic(rows, ipv6=True)
    assert_complete(report, len(rows), faults=FAULTS["ipfix"])
    assert report.totals["connections"] == report.totals["connections_ended"] == 1


def test_what_pmacctd_sends_in_all_versions_is_stored(traffic: Path, tmp_path: Path) -> None:
    program = require_program("pmacctd")
    with ExitStack() as stack:
        begun = {}
        for version, name in NFPROBE.items():
            collector = stack.enter_context(hw.Collector("udp://127.0.0.1:0", sinks=[str(tmp_path / name)]))
            config = tmp_path / f"{name}.conf"
            config.write_text(
                f"daemonize: false\npcap_savefile: {traffic}\nplugins: nfprobe\n"
                f"aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\n"
                f"nfprobe_receiver: {collector.addresses[0].removeprefix('udp://')}\nnfprobe_version: {version}\n"
            )
            begun[name] = collector, stack.enter_context(running([program, "-f", str(config)]))
        for _, process in begun.values():
            process.wait(DEADLINE_S)
    for name, (collector, _) in begun.items():
        rows = stored(tmp_path / name)
        assert_all_traffic(rows, ipv6=name != "v5")
        assert_complete(collector.report(), len(rows))


def test_exporters_of_all_versions_on_one_port_are_kept_apart(traffic: Path, tmp_path: Path) -> None:
    def export(port: int, _: hw.Collector) -> None:
        with ExitStack() as stack:
            for name, arguments in SOFTFLOWD.items():
                folder = tmp_path / f"{name}-{len(begun)}"
                folder.mkdir()
                process = stack.enter_context(running(with_port(softflowd(traffic, folder, *arguments), port)))
                begun.append(process)
            for process in begun:
                process.wait(DEADLINE_S)

    begun: list[Any] = []
    for number in range(3):
        flows = tmp_path / f"flows-{number}"
        report = collect(flows, export)
        if len(report.exporters) == len(SOFTFLOWD):
            break  # or else the kernel has given a port again that one of them had before
    assert sorted(one["versions"] for one in report.exporters) == [[1], [5], [9], [10], [10]]
    counts = query("select count(*) as n, sum(packetDeltaCount)::bigint as packets from flows", flows)
    (row,) = counts.to_pylist()
    faults = [fault for of_version in FAULTS.values() for fault in of_version]
    assert_complete(report, row["n"], exporters=len(SOFTFLOWD), faults=faults, lost=sum(LOST.values()))


def collected(folder: Path, command: list[str]) -> tuple[CollectorReport, Path, int]:
    """Counts of a Collector that an exporter sent to over UDP; (capture, port) of what it sent."""
    capture = folder / "export.pcap"
    ports: list[int] = []

    waiting: list[Callable[[int], None]] = []

    with ExitStack() as stack:

        def export(port: int, _: hw.Collector) -> None:
            ports.append(port)
            waiting.append(stack.enter_context(captured("tcpdump", capture, port)))
            run(command, port)

        report = collect(folder / "flows", export)
        waiting[0](sum(one["datagrams"] for one in report.listeners))
    return report, capture, ports[0]


def run(command: list[str], port: int) -> None:
    with running(with_port(command, port)) as process:
        process.wait(DEADLINE_S)


def until_ended(collector: hw.Collector) -> None:
    """Wait until all that came over a connection is read, and its end."""
    until(lambda: collector.report().totals.get("connections_ended") == 1, "the end of the connection")


def with_port(command: list[str], port: int) -> list[str]:
    return [part.replace("{port}", str(port)) for part in command]


def assert_as_tshark(rows: list[dict[str, Any]], capture: Path, port: int) -> None:
    """The records that are stored are those that tshark reads, with the same fields and values, in any order."""
    theirs = [flow.values for flow in tshark.flows(capture, port) if "octetDeltaCount" in flow.values]
    assert len(rows) == len(theirs) > 0
    for ours, wanted in zip(sorted(rows, key=place), sorted(theirs, key=place), strict=True):
        assert sorted(map(told, ours)) == sorted(wanted)
        for name, value in ours.items():
            assert_is(name, value, wanted[told(name)])


def place(row: dict[str, Any]) -> tuple[Any, ...]:
    """By what records of one traffic are told apart."""
    return *flow_key(row), row["packetDeltaCount"], row["octetDeltaCount"], row.get("sourceTransportPort", 0)
