"""`headwater cat`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests import build
from tests.cli.conftest import STRANGE, Run


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_table_in_a_pipe_has_all_columns_and_names_for_values(run: Run, flows: Path) -> None:
    lines = run("cat", flows).stdout.splitlines()
    assert lines[0] == "Template 256, domain 1"
    assert lines[1].split() == list(build.FLOW_NAMES)
    assert lines[2].split() == [
        "192.0.2.32", "198.51.100.130", "8751", "443", "udp", "UAPR..", "189612", "138",
        "2023-11-14T22:13:20.000", "2023-11-14T22:13:44.878", "4", "2",
    ]  # fmt: skip
    assert len(lines) == 102


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_the_table_on_a_terminal_fits_and_says_what_it_hides(run: Run, flows: Path, width: int) -> None:
    lines = run("cat", "-n", 3, flows, width=width).stdout.splitlines()
    assert all(len(line) <= max(width, 24) for line in lines)
    assert "not fit" in lines[1] or width < 40


def test_headings_are_broken_where_words_meet(run: Run, flows: Path) -> None:
    lines = run("cat", "-n", 1, "-s", "destinationTransportPort,tcpControlBits", flows, width=60).stdout.splitlines()
    assert "".join(line.split()[0] for line in lines[:3]) == "destinationTransportPort"


def test_a_new_template_gets_a_new_heading(run: Run, mixed: Path) -> None:
    lines = run("cat", mixed).stdout.splitlines()
    assert [line for line in lines if line.startswith("Template")] == [
        "Template 256, domain 1",
        "Template 257, domain 1",
    ]
    assert "Options" not in "".join(lines)


def test_options_records_come_when_asked_for(run: Run, mixed: Path) -> None:
    lines = run("cat", "--options", mixed).stdout.splitlines()
    at = lines.index("Options Template 258, domain 1")
    assert lines[at + 1].split() == list(build.OPTIONS_NAMES)


def test_a_selection_is_one_table_over_all_templates(run: Run, mixed: Path) -> None:
    lines = run("cat", "-s", "IN_BYTES, sourceIPv6Address", mixed).stdout.splitlines()
    assert lines[0].split() == ["octetDeltaCount", "sourceIPv6Address"]
    assert len(lines) == 201
    assert {line.split()[1] == "-" for line in lines[1:]} == {True, False}


@pytest.mark.parametrize("count", [0, 1, 7, 60, 500])
def test_the_first_records_are_the_first_of_the_wire(run: Run, mixed: Path, count: int) -> None:
    everything = objects(run("cat", "--json", mixed).stdout)
    assert objects(run("cat", "--json", "-n", count, mixed).stdout) == everything[:count]


def test_json_is_in_the_order_of_the_wire(run: Run, mixed: Path) -> None:
    rows = objects(run("cat", "--json", "--options", mixed).stdout)
    assert len(rows) == 202
    assert rows[100] == {"observationDomainId": 1, "exportedMessageTotalCount": 4, "exportedFlowRecordTotalCount": 100}
    starts = [row["flowStartMilliseconds"] for row in rows if "flowStartMilliseconds" in row]
    assert starts == sorted(map(str, starts))
    assert list(rows[0]) == list(build.FLOW_NAMES)
    assert list(rows[5]) == list(build.FLOW6_NAMES)


def test_json_has_the_exact_values(run: Run, strange: Path) -> None:
    assert objects(run("cat", "--json", strange).stdout) == [
        {"interfaceName": STRANGE, "sourceIPv4Address": "192.0.2.1", "ipHeaderPacketSection": "0102"}
    ]


def test_csv_has_the_exact_values(run: Run, strange: Path) -> None:
    rows = list(csv.reader(io.StringIO(run("cat", "--csv", strange).stdout)))
    assert rows == [["interfaceName", "sourceIPv4Address", "ipHeaderPacketSection"], [STRANGE, "192.0.2.1", "0102"]]


@pytest.mark.parametrize("form", [[], ["--long"]])
def test_the_screen_never_gets_control_characters_from_the_wire(run: Run, strange: Path, form: list[str]) -> None:
    out = run("cat", *form, strange).stdout
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert 'eth0\\x1b[31m\\u202e"\\n' in out


def test_lists_are_json(run: Run, lists: Path) -> None:
    rows = objects(run("cat", "--json", lists).stdout)
    for row, (octets, ports, tcp, _) in zip(rows, build.list_values(40), strict=True):
        assert row["octetDeltaCount"] == octets
        assert row["basicList"] == ports
        groups = row["subTemplateMultiList"]
        assert isinstance(groups, dict)
        expected = [{"tcpSequenceNumber": number, "tcpControlBits": bits} for number, bits in tcp]
        assert groups.get("261", []) == expected


def test_one_field_per_line(run: Run, flows: Path) -> None:
    lines = run("cat", "--long", "-n", 2, flows, width=30).stdout.splitlines()
    assert lines[0] == "Record 1, Template 256"
    assert lines[5].split() == ["protocolIdentifier", "17", "(udp)"]
    assert lines[13:15] == ["", "Record 2, Template 256"]


def test_a_condition_picks_records(run: Run, mixed: Path) -> None:
    rows = objects(
        run("cat", "--json", "-w", "protocolIdentifier == tcp", "-w", "packetDeltaCount > 500", mixed).stdout
    )
    expected = [r for r in build.flow_values(200) if r[4] == 6 and r[7] > 500]
    assert [row["octetDeltaCount"] for row in rows] == [r[6] for r in expected]


def test_what_only_the_condition_needs_is_not_shown(run: Run, mixed: Path) -> None:
    condition = "protocolIdentifier == tcp and exportTime > 2023-01-01"
    rows = objects(run("cat", "--json", "-n", 1, "-s", "octetDeltaCount", "-w", condition, mixed).stdout)
    assert [list(row) for row in rows] == [["octetDeltaCount"]]
    rows = objects(run("cat", "--json", "-n", 1, "-w", condition, mixed).stdout)
    assert [list(row) for row in rows] == [list(build.FLOW_NAMES)]


def test_it_says_when_there_is_nothing(run: Run, mixed: Path, tmp_path: Path) -> None:
    assert run("cat", "-w", "octetDeltaCount < 0", mixed).stderr == (
        "headwater: no record fulfils the condition; 2 options records are there, --options shows them\n"
    )
    path = tmp_path / "none.ipfix"
    path.write_bytes(build.message())
    assert run("cat", path).stderr == "headwater: there are no data records\n"


def test_forms_exclude_each_other(run: Run, flows: Path) -> None:
    assert run("cat", "--json", "--csv", flows).exit_code == 2


def test_elements_of_the_users_own_have_their_names(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("pen,id,name,type\n32473,7,myPort,unsigned16\n")
    (tmp_path / "own.ipfix").write_bytes(
        build.message(build.template_set(build.template(256, (7, 2, 32473))), build.data_set(256, build.uint(443, 2)))
    )
    out = run("cat", "--json", "--registry", tmp_path / "own.csv", tmp_path / "own.ipfix").stdout
    assert objects(out) == [{"myPort": 443}]


def test_csv_without_any_column_is_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "templates.ipfix"
    path.write_bytes(build.message(build.template_set(build.template(256, (4, 1)))))
    assert run("cat", "--csv", path).stdout == ""
