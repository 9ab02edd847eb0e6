"""Live truth: what real exporters send is captured, and read back as what tshark says of the same capture.

The exporters observe traffic that tests/interop/traffic.py makes, so that sums are known as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests.interop import tshark
from tests.interop.recorded import CAPTURERS, DEADLINE_S, Listener, Sent, captured, running, write_capture
from tests.interop.traffic import START_S, FlowKey, flows, write_traffic
from tests.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

SOFTFLOWD = {
    "v1": ("-v", "1"),
    "v5": ("-v", "5"),
    "v5-sampled": ("-v", "5", "-s", "2"),
    "v9": ("-v", "9"),
    "v9-sampled": ("-v", "9", "-s", "2"),
    "v9-vlan": ("-v", "9", "-T", "vlan"),
    "v9-ether": ("-v", "9", "-T", "ether"),
    "ipfix": ("-v", "10"),
    "ipfix-biflow": ("-v", "10", "-b"),
    "ipfix-biflow-seconds": ("-v", "10", "-b", "-A", "sec"),
    "ipfix-biflow-milliseconds": ("-v", "10", "-b", "-A", "milli"),
    "ipfix-microseconds-ether": ("-v", "10", "-A", "micro", "-T", "ether"),
    "ipfix-biflow-nanoseconds": ("-v", "10", "-b", "-A", "nano"),
    "ipfix-sampled": ("-v", "10", "-s", "2"),
}
"""Arguments of softflowd. Its counters have 4 octets in v9 and IPFIX: a reduced size of unsigned64 (RFC 7011 §6.2)."""
VERSIONS = {"v1": 1, "v5": 5, "v9": 9, "ipfix": 10}
NFPROBE = {"v5": 5, "v9": 9, "ipfix": 10}
KEY = (
    "sourceIPv4Address",
    "sourceIPv6Address",
    "sourceTransportPort",
    "destinationIPv4Address",
    "destinationIPv6Address",
    "destinationTransportPort",
    "protocolIdentifier",
)
DERIVED = ("flowStart", "flowEnd", "flowDuration", "timeSource")
MILLISECOND, SECOND = 1_000_000, 1_000_000_000
TIMES = {
    "v1": (("-v", "1"), MILLISECOND),
    "v5": (("-v", "5"), MILLISECOND),
    "v9": (("-v", "9"), SECOND),  # the clock in its header has no fractions of seconds
    "ipfix": (("-v", "10"), SECOND),
    "ipfix-milliseconds": (("-v", "10", "-A", "milli"), MILLISECOND),
    "ipfix-biflow-microseconds": (("-v", "10", "-b", "-A", "micro"), MILLISECOND),
}
"""Arguments of softflowd, and how exact the times are that it sends."""
ICMP = 1
UNITS = {"Seconds": 1_000_000_000, "Milliseconds": 1_000_000, "Microseconds": 1_000, "Nanoseconds": 1}


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of ordinary traffic, that exporters may read although they drop privileges."""
    folder = tmp_path_factory.mktemp("traffic")
    return write_traffic(folder / "traffic.pcap")


@pytest.fixture(scope="module")
def nfprobe(traffic: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """(capture, port) of what pmacctd sends in each version; it takes seconds, so all run at the same time."""
    folder = tmp_path_factory.mktemp("nfprobe")
    program = require_program("pmacctd")
    out = {}
    with ExitStack() as stack:
        begun = []
        for name, version in NFPROBE.items():
            listener = stack.enter_context(Listener())
            conf = folder / f"{name}.conf"
            conf.write_text(
                f"daemonize: false\npcap_savefile: {traffic}\nplugins: nfprobe\n"
                f"aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\n"
                f"nfprobe_receiver: 127.0.0.1:{listener.port}\nnfprobe_version: {version}\n"
            )
            begun.append((name, listener, stack.enter_context(running([program, "-f", str(conf)]))))
        for name, listener, process in begun:
            out[name] = write_capture(folder / f"{name}.pcap", listener.collect(process), listener.port), listener.port
    return out


@pytest.fixture(scope="module")
def nfdump_file(traffic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows of the traffic as nfdump keeps them."""
    folder = tmp_path_factory.mktemp("nfdump")
    with running([require_program("nfpcapd"), "-r", str(traffic), "-w", str(folder)]) as process:
        process.wait(DEADLINE_S)
    (file,) = folder.glob("nfcapd.2*")
    return file


@pytest.mark.parametrize("name", SOFTFLOWD)
def test_what_softflowd_sends_is_read_as_tshark_reads_it(name: str, traffic: Path, tmp_path: Path) -> None:
    with Listener() as listener:
        sent = listener.export(softflowd(traffic, tmp_path, *SOFTFLOWD[name]))
        capture = write_capture(tmp_path / "export.pcap", sent, listener.port)
    rows = assert_as_tshark(capture, listener.port)
    assert len({int.from_bytes(datagram.payload[:2], "big") for datagram in sent}) == 1
    assert int.from_bytes(sent[0].payload[:2], "big") == VERSIONS[name.split("-")[0]]
    if "sampled" not in name:
        assert_all_traffic(rows, ipv6=name not in ("v1", "v5"))


@pytest.mark.parametrize("name", NFPROBE)
def test_what_pmacctd_sends_is_read_as_tshark_reads_it(name: str, nfprobe: dict[str, tuple[Path, int]]) -> None:
    rows = assert_as_tshark(*nfprobe[name])
    assert_all_traffic(rows, ipv6=name != "v5")


@pytest.mark.parametrize("version", [5, 9])
def test_what_nfreplay_sends_is_read_as_tshark_reads_it(version: int, nfdump_file: Path, tmp_path: Path) -> None:
    rows = assert_as_tshark(*replayed(version, nfdump_file, tmp_path))
    assert_all_traffic(rows, ipv6=version == 9)


@pytest.mark.parametrize("name", ["v5", "v9", "ipfix-biflow"])
@pytest.mark.parametrize("program", CAPTURERS)
def test_what_is_captured_on_the_loopback_is_what_was_sent(
    program: str, name: str, traffic: Path, tmp_path: Path
) -> None:
    capture = tmp_path / "loopback"
    with Listener() as listener:
        with captured(program, capture, listener.port) as wait_for:
            sent = listener.export(softflowd(traffic, tmp_path, *SOFTFLOWD[name]))
            wait_for(len(sent))
        written = write_capture(tmp_path / "export.pcap", sent, listener.port)
    rows = assert_as_tshark(capture, listener.port)
    assert rows == list(hw.records(written))


@pytest.mark.parametrize("name", TIMES)
def test_flows_start_and_end_when_their_packets_were_sent(name: str, traffic: Path, tmp_path: Path) -> None:
    arguments, within_ns = TIMES[name]
    with Listener() as listener:
        sent = listener.export(softflowd(traffic, tmp_path, "-a", *arguments))  # -a: the clock of the traffic
        capture = write_capture(tmp_path / "export.pcap", sent, listener.port)
    wanted = flows()
    found = [row for row in hw.records(capture, select=[*KEY, *DERIVED], options=False) if row["protocolIdentifier"]]
    assert len(found) > len(wanted) // 2 - 10
    for row in found:
        flow = wanted[flow_key(row)]
        for name, at_us in (("flowStart", flow.start_us), ("flowEnd", flow.end_us)):
            assert abs(row[name] - (START_S * 1_000_000 + at_us) * 1_000) <= within_ns, (row, flow)
        assert row["flowDuration"] == row["flowEnd"] - row["flowStart"]


@pytest.mark.parametrize("version", [5, 9])
def test_times_out_of_nfdump_files_are_those_of_the_packets(version: int, nfdump_file: Path, tmp_path: Path) -> None:
    capture = replayed(version, nfdump_file, tmp_path)[0]
    found: dict[FlowKey, list[int]] = {}  # nfpcapd ends a flow at a FIN, and has another for what follows
    for row in hw.records(capture, select=[*KEY, *DERIVED], options=False):
        found.setdefault(flow_key(row), []).extend([row["flowStart"], row["flowEnd"]])
    for key, flow in flows().items():
        if version == 9 or ":" not in key.source:
            for ours, at_us in ((min(found[key]), flow.first_us), (max(found[key]), flow.last_us)):
                assert abs(ours - (START_S * 1_000_000 + at_us) * 1_000) <= MILLISECOND, (key, flow)


@pytest.mark.parametrize("name", [name for name in SOFTFLOWD if name.endswith("sampled")])
def test_the_sampling_rate_is_that_of_softflowd(name: str, traffic: Path, tmp_path: Path) -> None:
    with Listener() as listener:
        sent = listener.export(softflowd(traffic, tmp_path, *SOFTFLOWD[name]))
        capture = write_capture(tmp_path / "export.pcap", sent, listener.port)
    names = ["samplingRate", "packetDeltaCount", "scaledPacketDeltaCount"]
    rows = list(hw.records(capture, select=names, options=False))
    assert rows
    assert {row["samplingRate"] for row in rows} == {2.0}
    assert all(row["scaledPacketDeltaCount"] == 2 * row["packetDeltaCount"] for row in rows)


def test_many_exporters_of_many_versions_in_one_capture_are_kept_apart(traffic: Path, tmp_path: Path) -> None:
    names = ("v1", "v5", "v9", "ipfix", "ipfix-biflow")
    with Listener() as listener:
        sent: list[Sent] = []
        while len({datagram.port for datagram in sent}) < len(names):  # the kernel may give a port again
            sent = listener.export(*(softflowd(traffic, tmp_path, *SOFTFLOWD[name]) for name in names))
        sent.sort(key=lambda datagram: (datagram.payload[12:16], datagram.port))  # mixed, each in its own order
        capture = write_capture(tmp_path / "export.pcap", sent, listener.port)
    assert_as_tshark(capture, listener.port)


def replayed(version: int, nfdump_file: Path, folder: Path) -> tuple[Path, int]:
    """(capture, port) of what nfreplay sends."""
    command = [require_program("nfreplay"), "-H", "127.0.0.1", "-p", "{port}", "-v", str(version)]
    with Listener() as listener:
        sent = listener.export([*command, "-r", str(nfdump_file)])
        return write_capture(folder / "export.pcap", sent, listener.port), listener.port


def softflowd(traffic: Path, folder: Path, *arguments: str) -> list[str]:
    """A command that lets softflowd read a capture and send to "{port}"."""
    files = ["-p", str(folder / "softflowd.pid"), "-c", str(folder / "softflowd.ctl")]
    return [require_program("softflowd"), "-d", *files, "-r", str(traffic), "-n", "127.0.0.1:{port}", *arguments]


def assert_as_tshark(capture: Path, port: int) -> list[dict[str, Any]]:
    """hw.read gives as many records as tshark, with the same fields, values and Templates; returns them."""
    theirs = tshark.flows(capture, port)
    ours = list(hw.records(capture, provenance=("templateId",)))
    assert len(ours) == len(theirs) > 0
    for row, flow in zip(ours, theirs, strict=True):
        assert row.pop("templateId") == flow.template
        assert sorted(map(told, row)) == sorted(flow.values)
        for name, value in row.items():
            assert_is(name, value, flow.values[told(name)])
    return ours


def told(name: str) -> str:
    """What tests/interop/tshark.py calls an element: it has one name for times of all units."""
    unit = next((unit for unit in UNITS if name.endswith(unit)), "")
    return name.removesuffix(unit) if name.startswith("flow") else name


def assert_is(name: str, value: Any, expected: Any) -> None:
    """A value is what tshark says; of fractions of seconds it leaves the rest out, where we round."""
    unit = next((ns for unit, ns in UNITS.items() if name.endswith(unit)), 0)
    if unit:
        assert abs(value - expected // unit) <= (unit < UNITS["Milliseconds"]), name
    elif isinstance(value, str):
        assert value.rstrip("\0") == expected, name
    else:
        assert value == expected, name


def assert_all_traffic(rows: list[dict[str, Any]], *, ipv6: bool) -> None:
    """The records together are the traffic: the counters of every direction of every connection."""
    found: dict[FlowKey, tuple[int, int]] = {}
    for key, packets, octets in (flow for row in rows if "octetDeltaCount" in row for flow in directions(row)):
        before = found.get(key, (0, 0))
        found[key] = before[0] + packets, before[1] + octets
    wanted = {k: (f.packets, f.octets) for k, f in flows().items() if ipv6 or ":" not in k.source}
    assert found == wanted


def directions(row: dict[str, Any]) -> Iterator[tuple[FlowKey, int, int]]:
    """(key, packets, octets) of a flow, and of its way back if the record has that as well and anything was sent."""
    key = flow_key(row)
    yield key, row["packetDeltaCount"], row["octetDeltaCount"]
    if row.get("reversePacketDeltaCount"):
        back = FlowKey(key.destination, key.destination_port, key.source, key.source_port, key.protocol)
        yield back, row["reversePacketDeltaCount"], row["reverseOctetDeltaCount"]


def flow_key(row: dict[str, Any]) -> FlowKey:
    """What a flow is known by; of ICMP without what exporters put in the place of ports."""
    protocol = row["protocolIdentifier"]
    version = 4 if row.get("sourceIPv4Address") is not None else 6
    addresses = row[f"sourceIPv{version}Address"], row[f"destinationIPv{version}Address"]
    ports = (0, 0) if protocol == ICMP else (row["sourceTransportPort"], row["destinationTransportPort"])
    return FlowKey(addresses[0], ports[0], addresses[1], ports[1], protocol)
