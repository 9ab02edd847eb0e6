"""What an exporting session sends, as tshark and libfixbuf read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headwater.model.element import InformationElement, Semantics
from headwater.model.types import DataType
from headwater.session.exporting import ExportSession, Refresh
from headwater.wire.dialect import NETFLOW5, NETFLOW9
from headwater.wire.legacy import fixed_templates
from tests import build as b
from tests import packets
from tests.interop import tshark
from tests.peers import require_program
from tests.session.exported import NOW, messages, send

pytestmark = pytest.mark.interop

PORT = 2055
FLAGS = InformationElement(b.DOCUMENTATION_PEN, 14, "initialTCPFlags", DataType.UNSIGNED8, Semantics.FLAGS)
FLOW = ["sourceIPv4Address", "sourceTransportPort", "octetDeltaCount[4]", "protocolIdentifier"]


def flow(number: int) -> bytes:
    return b.record(b.ipv4("192.0.2.1"), b.uint(number, 2), b.uint(number * 100), b.uint(6, 1))


def capture(path: Path, sent: list[bytes], source: int) -> Path:
    peer = ("192.0.2.9", source, "192.0.2.10", PORT)
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(message, peer)) for message in sent]))
    return path


def complaints(path: Path) -> str:
    """What tshark finds wrong in a capture: malformed packets, sequence errors and the like."""
    wrong = "_ws.malformed || _ws.expert.severity >= 6291456"  # warnings and errors
    command = [require_program("tshark"), "-r", str(path), "-d", f"udp.port=={PORT},cflow", "-Y", wrong]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def test_tshark_finds_nothing_wrong_in_ipfix(tmp_path: Path) -> None:
    session = ExportSession("udp", mtu=200, refresh=Refresh(messages=4), describe=True)
    template = session.template(FLOW, domain=7)
    sent = send(session, template, *map(flow, range(200)), domain=7)
    flags = session.template([FLAGS, "octetDeltaCount[3]"], domain=7)
    sent += send(session, flags, bytes(4), domain=7)
    assert complaints(capture(tmp_path / "ipfix.pcap", sent, 4739)) == ""


def test_tshark_reads_the_values_of_ipfix(tmp_path: Path) -> None:
    session = ExportSession("udp", mtu=200)
    sent = send(session, session.template(FLOW), *map(flow, range(30)))
    found = [one.values for one in tshark.flows(capture(tmp_path / "ipfix.pcap", sent, 4739), PORT)]
    assert found == [
        {
            "sourceIPv4Address": "192.0.2.1",
            "sourceTransportPort": n,
            "octetDeltaCount": n * 100,
            "protocolIdentifier": 6,
        }
        for n in range(30)
    ]


def test_tshark_would_say_what_is_wrong(tmp_path: Path) -> None:
    wrong = b.netflow9(b.any_set(0, b.template(256, (1, 4), count=5)))
    assert "Malformed" in complaints(capture(tmp_path / "wrong.pcap", [wrong], 4739))


def test_tshark_finds_nothing_wrong_in_netflow9(tmp_path: Path) -> None:
    session = ExportSession("udp", dialect=NETFLOW9, mtu=200, refresh=Refresh(messages=4))
    template = session.template(FLOW, domain=7)
    options = session.template(["ingressInterface{scope}", "samplingInterval"], domain=7)
    sent = send(session, template, *map(flow, range(100)), domain=7) + send(session, options, bytes(8), domain=7)
    path = capture(tmp_path / "netflow9.pcap", sent, 4739)
    assert complaints(path) == ""
    found = [one.values["sourceTransportPort"] for one in tshark.flows(path, PORT)[:100]]
    assert found == list(range(100))


def test_tshark_finds_nothing_wrong_in_netflow5(tmp_path: Path) -> None:
    session = ExportSession("udp", dialect=NETFLOW5, mtu=1500, booted=NOW - 60)
    template = session.template(fixed_templates(5)[5])
    flows = [b.netflow5_record("192.0.2.1", "192.0.2.2", octets=n, last_ms=59_000) for n in range(70)]
    path = capture(tmp_path / "netflow5.pcap", send(session, template, *flows), 4739)
    assert complaints(path) == ""
    found = tshark.flows(path, PORT)
    assert [one.values["octetDeltaCount"] for one in found] == list(range(70))


def test_libfixbuf_reads_a_file_and_learns_the_elements_that_it_describes(tmp_path: Path) -> None:
    session = ExportSession("file", describe=True)
    template = session.template([*FLOW, FLAGS])
    sent = send(session, template, *(flow(number) + b"\2" for number in range(5)))
    sent += messages(session.statistics(NOW))
    sent += messages(session.withdraw(template, now=NOW))
    path = tmp_path / "one.ipfix"
    path.write_bytes(b"".join(sent))
    command = [require_program("ipfixDump"), "--in", str(path), "--rfc5610"]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stderr == ""
    assert "_alien" not in found.stdout
    assert found.stdout.count("initialTCPFlags : 2") == 5
