"""`headwater info`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests import build, packets
from tests.cli.conftest import Run


def test_it_counts_and_lists_templates_with_their_elements(run: Run, mixed: Path) -> None:
    out = run("info", mixed).stdout
    lines = [line.split() for line in out.splitlines()]
    assert ["records", "200"] in lines
    assert ["options", "records", "2"] in lines
    assert ["complete", "yes"] in lines
    assert "Template 256 of domain 1, 125 records" in out
    assert "Options Template 258 of domain 1, 2 records" in out
    assert "    octetDeltaCount(1)<unsigned64>[8]" in out
    assert "    observationDomainId(149)<unsigned32>[4]{scope}" in out


def test_short_has_one_line_for_each_template(run: Run, mixed: Path) -> None:
    lines = run("info", "--short", mixed, width=80).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if "mixed.ipfix" not in line)
    assert sum(line.split()[:2] == ["1", "256"] for line in lines) == 1


def test_faults_have_offsets_and_a_way_to_see_them(run: Run, torn: Path) -> None:
    result = run("info", torn)
    offset = torn.stat().st_size - (torn.stat().st_size - 30 - sum(map(len, build.flows(100)[:-1]))) - 30
    assert result.exit_code == 1
    assert "complete  no: records are missing or damaged" in result.stdout
    assert f"truncated_tail at octet {offset}" in result.stdout
    assert f"'headwater explain {torn} --offset {offset}' shows the octets" in result.stdout
    assert run("explain", torn, "--offset", offset).exit_code == 1


def test_faults_of_captures_have_a_way_to_see_them_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pcap"
    good, bad = build.message(), build.message(build.any_set(2, b"", length=3))
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(message)) for message in (good, bad)])[:-1])
    assert "explain" not in run("info", path).stdout  # a packet that is cut short is no message
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(message)) for message in (good, bad)]))
    command = re.search(r"'headwater (explain .+ --offset \d+)' shows the octets", run("info", path).stdout)
    assert command is not None
    assert "set_length: Set length 3" in run(*command[1].split()).stdout


def test_loss_is_told_by_domain(run: Run, tmp_path: Path) -> None:
    first, *_, last = build.flows(100)
    path = tmp_path / "gap.ipfix"
    path.write_bytes(first + last)
    out = run("info", "--short", path).stdout
    assert "records before they came here, 1 gap in the sequence numbers" in out
    assert "24 to 99" in out


def test_json_has_everything(run: Run, mixed: Path, torn: Path) -> None:
    result = run("info", "--json", mixed, torn)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["records"] == 299
    assert not found["is_complete"]
    assert [source["messages"] for source in found["sources"]][1] > 1
    assert found["sources"][0]["templates"][0]["fields"][0]["name"] == "sourceIPv4Address"


def test_several_sources_have_a_sum_and_foreign_files_are_skipped(run: Run, flows: Path) -> None:
    (flows.parent / "notes.txt").write_text("nothing to see here")
    (flows.parent / "more.ipfix").write_bytes(flows.read_bytes())
    result = run("info", "--short", flows.parent)
    assert result.exit_code == 0
    assert "2 sources" in result.stdout
    assert "skipped: 1" in result.stdout
    assert "looks like text" in result.stdout


def test_session_details_are_shown_as_text(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "details.ipfix"
    path.write_bytes(
        build.message(
            build.options_template_set(build.options_template(256, (267, 1), (130, 4), (82, build.VARIABLE), scope=1)),
            build.data_set(256, build.uint(0, 1), build.ipv4("192.0.2.1"), build.var(b"\x1bname")),
        )
    )
    out = run("info", path).stdout
    assert "exporterIPv4Address  192.0.2.1" in out
    assert "\\x1bname" in out
