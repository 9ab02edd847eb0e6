"""`headwater explain` on captures, dumps of NetFlow and octets of NetFlow."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests import build, packets
from tests.cli.conftest import MODERN, Run
from tests.cli.test_explain import octets_of
from tests.cli.test_locating_captures import FIRST, SECOND, STREAM, segments

PCAP_HEADER = 24
FEW = [
    "ls_netflow5", "np_v7", "gen_sf_v1", "ng_102_00", "ls_netflow9_cisco_asa_1", "ls_ipfix_netscaler", "gen_ovs_sflow",
    "cc_bad_length_in_set", "gl_v9_1", "pn_tests",
]  # fmt: skip
"""Captures of the corpus of every version, some of them with damage."""


@pytest.mark.parametrize(
    ("number", "first", "second"),
    [
        (
            1,
            "NetFlow v5, 120 octets at 82, domain 0, exported 2023-11-14T22:13:20",
            "from 10.0.0.5:50000 to 10.0.0.9:2055",
        ),
        (3, r"NetFlow v9, \d+ octets at \d+, domain 0, exported 2023-11-14T22:13:20", "from 10.0.0.9:50000 to "),
        (5, r"sFlow, 32 octets at \d+", "from 10.0.0.7:6343 to 10.0.0.9:6343"),
        (6, r"IPFIX, \d+ octets at \d+, domain 1, exported 2023-11-14T22:13:20", "from 10.0.0.10:50000 to "),
    ],
)
def test_the_first_lines_tell_what_a_message_is_and_who_sent_it(
    run: Run, capture: Path, number: int, first: str, second: str
) -> None:
    lines = run("explain", capture, "-m", number).stdout.splitlines()
    assert re.fullmatch(f"Message {number} of {capture}: {first}", lines[0])
    assert lines[1].startswith(second)
    assert lines[2] == ""


def test_long_first_lines_are_broken_where_the_terminal_is_narrow(run: Run, capture: Path) -> None:
    lines = run("explain", capture, width=70).stdout.splitlines()
    assert lines[0] == f"Message 1 of {capture}:"
    assert lines[1].startswith("NetFlow v5, 120 octets at 82")


def test_the_arrival_is_told_where_the_capture_has_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    packet = packets.ethernet(packets.udp(FIRST, MODERN))
    path.write_bytes(packets.pcap([(1_700_000_000_123_456_000, packet)]))
    assert ", arrived 2023-11-14T22:13:20.123456\n" in run("explain", path).stdout
    path.write_bytes(packets.section() + packets.interface() + packets.simple(packet))
    assert "arrived" not in run("explain", path).stdout


def test_octets_are_those_of_the_file(run: Run, capture: Path) -> None:
    octets = capture.read_bytes()
    for number in (1, 2, 3, 4, 6):
        shown = octets_of(run("explain", capture, "-m", number, "--all").stdout)
        assert shown
        assert {at: octets[at] for at in shown} == shown


def test_records_have_names_from_the_templates_of_their_exporter(run: Run, capture: Path) -> None:
    out = run("explain", capture, "-m", 3).stdout
    assert "Data FlowSet, 1 record of Template 256" in out
    assert re.search(r"00 00 75 30 +flowStartSysUpTime +30000 \(2023-11-14T22:12:50\.000\)", out)
    assert re.search(r"sequence_gap: 3 where 1 was expected, 2 messages lost", out)


def test_a_message_is_taken_apart_with_templates_that_come_only_behind_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "late.pcap"
    octets = packets.pcap([packets.ethernet(packets.udp(message, MODERN)) for message in (SECOND, FIRST)])
    path.write_bytes(octets)
    result = run("explain", path)
    assert (result.exit_code, result.stderr) == (1, "headwater: 1 fault in this message\n")
    assert "taken apart with what comes only behind it: Template 256" in result.stdout.splitlines()
    assert "records of Template 256" in result.stdout
    assert json.loads(run("explain", "--json", path).stdout)["later_templates"] == [256]
    assert "what comes only behind it" in run("explain", "--svg", "-", path).stdout
    piped = run("explain", "-", data=octets)
    assert piped.exit_code == 1  # of a pipe the end may be far
    assert "records that cannot be told apart" in piped.stdout


def test_ports_and_key_rules_are_those_of_the_other_verbs(run: Run, tmp_path: Path) -> None:
    sent = [(FIRST, ("10.0.0.1", 1001, "10.0.0.2", 4739)), (SECOND, ("10.0.0.1", 1002, "10.0.0.2", 4740))]
    path = tmp_path / "ports.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(payload, peer)) for payload, peer in sent]))
    out = run("explain", path, "-m", 2).stdout
    assert "no Template 256 of 10.0.0.1:1002 (address and port); 10.0.0.1:1001 has one" in out
    assert "records of Template 256" in run("explain", path, "-m", 2, "--key-rule", "address").stdout
    assert run("explain", path, "-m", 1, "-p", 4740).stdout.splitlines()[1] == "from 10.0.0.1:1002 to 10.0.0.2:4740"
    result = run("explain", path, "-p", 9995)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"headwater: none of 2 packets of {path} is sent to port 9995\n"


def test_a_capture_without_flow_export_is_one_sentence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dns.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(b"who?", ("10.0.0.1", 999, "10.0.0.2", 53)))]))
    result = run("explain", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"headwater: no flow export is among 1 packet of {path}; --port takes what is sent to a port\n"
    )


def test_sflow_is_no_fault(run: Run, capture: Path) -> None:
    result = run("explain", capture, "-m", 5)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "sflow: sFlow is not decoded" in result.stdout


def test_a_message_of_a_tcp_stream_tells_in_how_many_segments_it_was(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tcp.pcap"
    path.write_bytes(packets.pcap(segments(FIRST + SECOND, [len(FIRST) - 100])))
    out = run("explain", path, "-m", 2).stdout
    key = f"from {STREAM[0]}:{STREAM[1]} to {STREAM[2]}:{STREAM[3]}"
    assert out.splitlines()[1] == f"{key}, in 2 segments: offsets count on from the first of them"
    assert "records of Template 256" in out


def test_a_capture_may_be_compressed_or_come_from_stdin(run: Run, capture: Path, tmp_path: Path) -> None:
    expected = run("explain", capture, "-m", 3).stdout.splitlines()[1:]
    (tmp_path / "capture.gz").write_bytes(gzip.compress(capture.read_bytes()))
    assert run("explain", tmp_path / "capture.gz", "-m", 3).stdout.splitlines()[1:] == expected
    assert run("explain", "-", "-m", 3, data=capture.read_bytes()).stdout.splitlines()[1:] == expected


def test_json_tells_where_the_message_comes_from(run: Run, capture: Path) -> None:
    tree = json.loads(run("explain", "--json", capture, "-m", 6).stdout)
    assert tree["source"] == str(capture)
    assert (tree["number"], tree["protocol"], tree["kind"]) == (6, "IPFIX", "message")
    assert (tree["exporter"], tree["collector"]) == ("10.0.0.10:50000", "10.0.0.9:2055")


def test_the_picture_has_colours_for_the_sets_of_netflow(run: Run, capture: Path) -> None:
    def bar(number: int) -> list[str]:
        picture = ET.fromstring(run("explain", capture, "-m", number, "--svg", "-").stdout)
        rectangles = picture.iter("{http://www.w3.org/2000/svg}rect")
        return [str(r.get("class")) for r in rectangles if "map" in str(r.get("class"))]

    assert bar(1) == ["map number", "map field"]
    assert bar(2) == ["map number", "map spec", "map field"]
    assert bar(4) == ["map number", "map spec", "map field"]


def test_a_dump_of_netflow_is_a_source(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    message = build.netflow5(build.netflow5_record("192.0.2.1", "192.0.2.2"))
    path.write_bytes(message + build.netflow5(build.netflow5_record("192.0.2.3", "192.0.2.4"), sequence=1))
    out = run("explain", path, "--offset", len(message) + 5).stdout
    assert out.startswith(
        f"Message 2 of {path}: NetFlow v5, 72 octets at 72, domain 0, exported 2023-11-14T22:13:20\n\n"
    )
    assert "192.0.2.3" in out
    assert f"{path} has 2 messages, no message 3" in run("explain", path, "-m", 3).stderr


def test_octets_of_netflow_are_explained(run: Run) -> None:
    message = build.netflow9(build.netflow9_template(256, (8, 4)), build.any_set(256, build.ipv4("192.0.2.1")), count=2)
    result = run("explain", "--hex", message.hex())
    assert result.exit_code == 0
    assert result.stdout.startswith("Message 1 of --hex: NetFlow v9, 40 octets at 0, domain 0, exported")
    assert octets_of(result.stdout) == dict(enumerate(message))
    short = run("explain", "--hex", message[:16].hex())
    assert short.exit_code == 1
    assert "short_header: 16 of 20 octets of a Packet Header" in short.stdout


@pytest.mark.parametrize("seed", range(10))
def test_damaged_captures_are_taken_apart_or_refused(run: Run, capture: Path, tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    parts = packets.fragments(packets.udp_datagram(FIRST, MODERN), 400, peer=MODERN)
    more = packets.pcap([*map(packets.ethernet, parts), *segments(FIRST + SECOND, [500])])
    octets = bytearray(capture.read_bytes() + more[PCAP_HEADER:])
    for _ in range(20):
        octets[pick.randrange(PCAP_HEADER, len(octets))] = pick.choice((0, 1, 255, pick.randrange(256)))
    path = tmp_path / "damaged.pcap"
    path.write_bytes(octets)
    for args in (["-m", pick.randrange(1, 12)], ["-o", pick.randrange(len(octets))], ["--json"], ["-p", 2055]):
        assert run("explain", path, *args).exit_code in (0, 1, 2), args


@pytest.mark.corpus
@pytest.mark.parametrize("name", FEW)
def test_every_octet_of_real_messages_is_shown(run: Run, corpus: Path, name: str) -> None:
    path = corpus / "data" / f"{name}.pcap"
    octets = path.read_bytes()
    for number in (1, 2, 3):
        result = run("explain", path, "-m", number, "--all")
        if result.exit_code == 2:
            assert f"no message {number}" in result.stderr
            break
        (start, size) = re.findall(r"(\d+) octets at (\d+)", result.stdout)[0][::-1]
        shown = octets_of(result.stdout)
        assert sorted(shown) == list(range(int(start), int(start) + int(size)))
        assert all(octets[at] == octet for at, octet in shown.items())
