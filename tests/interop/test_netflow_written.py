"""Flows written as NetFlow v5, v9 and IPFIX: nfcapd stores the same of each, and tshark finds nothing wrong."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headwater.batch import Batch, Decoder
from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of, split_nulls, template_for
from headwater.batch.incoming_columns import Incoming
from headwater.batch.to_netflow import Converted, NetflowReport, to_netflow5, to_netflow9
from headwater.session.exporting import ExportSession
from headwater.wire.dialect import IPFIX, NETFLOW5, NETFLOW9, Dialect
from tests import build
from tests.batch.source import field, message, one
from tests.interop import tshark
from tests.interop.nfcapd import stored
from tests.interop.recorded import Sent, write_capture
from tests.oracle import listen
from tests.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

NOW = build.EXPORT_TIME
BOOTED = NOW - 86_400
DIALECTS = {"v5": NETFLOW5, "v9": NETFLOW9, "ipfix": IPFIX}
PORT = 2055
ERROR = 0x80_0000
"""tshark's severity "Error"."""
TCP_FLAGS = {0x02: "......S.", 0x1B: "...AP.SF", 0x00: "........", 0x14: "...A.R.."}


def flow(number: int, **other: Any) -> dict[str, Any]:
    """A flow that differs from the others in every value."""
    start_ms = NOW * 1000 - 60_000 + 997 * number
    return {
        "sourceIPv4Address": f"192.0.2.{number}",
        "destinationIPv4Address": f"198.51.100.{number + 100}",
        "sourceTransportPort": 50_000 + number,
        "destinationTransportPort": (443, 53, 80)[number % 3],
        "protocolIdentifier": (6, 17)[number % 2],
        "packetDeltaCount": 10 + number,
        "octetDeltaCount": 4_000_000_000 + number,
        "flowStartMilliseconds": start_ms,
        "flowEndMilliseconds": start_ms + 1_234,
        "ingressInterface": number,
        "egressInterface": 300 + number,
        "bgpSourceAsNumber": 64_500 + number,
        "bgpDestinationAsNumber": 23_000 + number,
        "tcpControlBits": tuple(TCP_FLAGS)[number % 4],
        "ipClassOfService": 8 * number,
        "ipNextHopIPv4Address": f"203.0.113.{number}",
        "sourceIPv4PrefixLength": 24 + number % 8,
        "destinationIPv4PrefixLength": 8 + number % 16,
    } | other


FLOWS = [flow(number) for number in range(1, 31)]
PAIRS = {
    "sourceTransportPort": "src_port", "destinationTransportPort": "dst_port", "protocolIdentifier": "proto",
    "packetDeltaCount": "in_packets", "octetDeltaCount": "in_bytes", "ingressInterface": "input_snmp",
    "egressInterface": "output_snmp", "bgpSourceAsNumber": "src_as", "bgpDestinationAsNumber": "dst_as",
    "ipClassOfService": "src_tos", "sourceIPv4Address": "src4_addr", "destinationIPv4Address": "dst4_addr",
    "sourceIPv6Address": "src6_addr", "destinationIPv6Address": "dst6_addr", "ipNextHopIPv4Address": "ip4_next_hop",
    "sourceIPv4PrefixLength": "src_mask", "destinationIPv4PrefixLength": "dst_mask",
}  # fmt: skip
"""What nfdump calls an element."""
MASKS = {"src_mask", "dst_mask"}
"""nfcapd 1.7.1 does not store these of NetFlow v5; what tshark reads is compared."""


def as_nfdump(row: dict[str, Any]) -> dict[str, Any]:
    """A flow in nfdump's words."""
    shown = {PAIRS[name]: value for name, value in row.items() if name in PAIRS}
    shown["tcp_flags"] = TCP_FLAGS[row["tcpControlBits"]]
    for name, end in (("first", "Start"), ("last", "End")):
        at = datetime.fromtimestamp(row[f"flow{end}Milliseconds"] / 1000, UTC)
        shown[name] = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}"
    return shown


def parts_of(data: Batch | Incoming, dialect: Dialect, report: NetflowReport) -> list[Converted]:
    if dialect is NETFLOW5:
        return to_netflow5(data, booted=BOOTED, report=report)
    if dialect is NETFLOW9:
        return to_netflow9(data, booted=BOOTED, report=report)
    incoming = data if isinstance(data, Incoming) else columns_of(data)
    return [Converted(template_for(part), part.values, part.count) for _, part in split_nulls(incoming)]


def written(
    data: Batch | Incoming | list[Batch] | list[Incoming], dialect: Dialect, report: NetflowReport | None = None
) -> list[bytes]:
    """The datagrams that these records go out in."""
    session = ExportSession("udp", dialect=dialect, booted=BOOTED, mtu=1400)
    told = NetflowReport() if report is None else report
    out = []
    given = data if isinstance(data, list) else [data]
    for part in [part for batch in given for part in parts_of(batch, dialect, told)]:
        template = session.template(part.template, 1)
        encoded = Encoder().encode(template, part.columns, part.count, session.room(template, 1))
        out += [bytes(m) for outgoing in session.send(encoded, 1, now=NOW) for m in outgoing.messages()]
    return out


def assert_no_error(datagrams: list[bytes], folder: Path) -> Path:
    """Tshark finds no error in them; a capture of them."""
    sent = [Sent(NOW * 10**9, 40_000, datagram) for datagram in datagrams]
    capture = write_capture(folder / "sent.pcap", sent, PORT)
    wrong = f"_ws.malformed or _ws.expert.severity >= {ERROR}"
    command = [require_program("tshark"), "-r", str(capture), "-d", f"udp.port=={PORT},cflow", "-Y", wrong]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b""
    return capture


@pytest.mark.parametrize("name", DIALECTS)
def test_nfcapd_stores_the_same_values_of_each_protocol(name: str, tmp_path: Path) -> None:
    report = NetflowReport()
    datagrams = written(columns_of(FLOWS), DIALECTS[name], report)
    assert report.is_lossless
    wanted = [as_nfdump(row) for row in FLOWS]
    found = stored(tmp_path, datagrams)
    left_out = MASKS if name == "v5" else set()
    shown = [{key: of.get(key) for key in want} for of, want in zip(found, wanted, strict=True)]
    assert without(shown, left_out) == without(wanted, left_out)
    values = [read.values for read in tshark.flows(assert_no_error(datagrams, tmp_path), PORT)]
    names = [key for key in FLOWS[0] if not key.startswith("flow")]
    assert [{key: of[key] for key in names} for of in values] == [{key: row[key] for key in names} for row in FLOWS]


def without(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


@pytest.mark.parametrize("name", DIALECTS)
def test_flows_of_ipv6_are_stored_wherever_the_protocol_has_them(name: str, tmp_path: Path) -> None:
    report = NetflowReport()
    ends6 = {"sourceIPv6Address": "2001:db8::1", "destinationIPv6Address": "2001:db8::2"}
    six = {key: value for key, value in flow(7).items() if "IPv4" not in key} | ends6
    found = stored(tmp_path, written(columns_of([FLOWS[0], six, FLOWS[1]]), DIALECTS[name], report))
    wanted = [as_nfdump(row) for row in (FLOWS[0], FLOWS[1], six)]
    if name == "v5":
        assert report.records == {"IPv6, which NetFlow v5 does not have": 1}
        wanted = without(wanted[:2], MASKS)
    assert [{key: of.get(key) for key in want} for of, want in zip(found, wanted, strict=True)] == wanted


@pytest.mark.parametrize("name", ["v5", "v9"])
def test_the_directions_of_a_biflow_are_stored_as_two_flows(name: str, tmp_path: Path) -> None:
    fields = [
        field("sourceIPv4Address"), field("destinationIPv4Address"), field("packetDeltaCount"),
        field("octetDeltaCount"), (2, 8, build.REVERSE_PEN), (1, 8, build.REVERSE_PEN),
        field("flowStartNanoseconds"), field("flowEndNanoseconds"),
    ]  # fmt: skip
    counts = b"".join(build.uint(count, 8) for count in (3, 300, 2, 200))
    times = build.ntp(NOW - 30) + build.ntp(NOW - 20)
    batch = one(message(fields, build.ipv4("192.0.2.1") + build.ipv4("198.51.100.2") + counts + times))
    found = stored(tmp_path, written(batch, DIALECTS[name]))
    keys = ("src4_addr", "dst4_addr", "in_packets", "in_bytes", "first", "last")
    moments = ("2023-11-14T22:12:50.000", "2023-11-14T22:13:00.000")
    assert [tuple(row[key] for key in keys) for row in found] == [
        ("192.0.2.1", "198.51.100.2", 3, 300, *moments),
        ("198.51.100.2", "192.0.2.1", 2, 200, *moments),
    ]


def test_netflow5_that_is_read_goes_out_as_netflow9_with_the_same_values(tmp_path: Path) -> None:
    decoder = Decoder(derived=("flowStart", "flowEnd"))
    batches = [decoder.decode(sets) for sets in listen(*written(columns_of(FLOWS), NETFLOW5)).sets]
    assert len(batches) == 2
    found = stored(tmp_path, written(batches, NETFLOW9))
    wanted = [as_nfdump(row) for row in FLOWS]
    assert [{key: of.get(key) for key in want} for of, want in zip(found, wanted, strict=True)] == wanted


def test_tshark_finds_nothing_wrong_with_options(tmp_path: Path) -> None:
    names = ("selectorId{scope}", "selectorAlgorithm", "samplingPacketInterval", "samplingPacketSpace")
    options = columns_of([(7, 1, 1, 99)], names=names)
    flows = columns_of([FLOWS[0] | {"selectorId": 7}])
    assert_no_error(written([options, flows], NETFLOW9), tmp_path)
    interfaces = columns_of({"ingressInterface{scope}": [3, 4], "interfaceName": ["eth0", "büro"]})
    capture = assert_no_error(written(interfaces, NETFLOW9), tmp_path)
    assert [dict(read.values) for read in tshark.flows(capture, PORT)] == [
        {"v9Interface": 3, "interfaceName": "eth0"},
        {"v9Interface": 4, "interfaceName": "büro"},
    ]
