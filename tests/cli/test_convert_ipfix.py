"""`headwater convert` to IPFIX files: from flow export and from tables, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests import build, packets
from tests.build import EXPORT_TIME, netflow5, netflow5_record
from tests.cli.conftest import Run


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    with hw.read(path, **options) as reading:
        found = list(reading.records())
    assert reading.report.is_complete
    return sorted((dict(sorted(row.items())) for row in found), key=repr)


@pytest.mark.parametrize("name", ["out.ipfix", "out.ipfix.gz", "out.ipfix.zst"])
def test_flow_export_keeps_its_records_domains_and_options(run: Run, tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.ipfix"
    source.write_bytes(build.file(*build.mixed_flows(300), *build.flows(50, domain=9)))
    result = run("convert", source, tmp_path / name)
    assert result.exit_code == 0, result.stderr
    facts = ("observationDomainId",)
    assert rows(tmp_path / name, provenance=facts) == rows(source, provenance=facts)
    assert f"{name}: {len(rows(source))} records" in result.stderr


def test_selection_condition_and_count_apply(run: Run, flows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ipfix"
    columns = "sourceIPv4Address,octetDeltaCount"
    result = run("convert", "-s", columns, "-w", "protocolIdentifier == udp", "-n", "10", flows, out)
    assert result.exit_code == 0, result.stderr
    wanted = [row for row in hw.records(flows) if row["protocolIdentifier"] == 17][:10]
    assert list(hw.records(out)) == [{name: row[name] for name in columns.split(",")} for row in wanted]


def test_netflow_times_are_resolved_and_what_is_left_out_is_told(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "in.nf", tmp_path / "out.ipfix"
    record = netflow5_record("192.0.2.1", "192.0.2.2", first_ms=58_000, last_ms=59_500)
    source.write_bytes(netflow5(record, uptime_ms=60_000))
    assert run("convert", source, out).exit_code == 0
    (row,) = rows(out)
    assert (row["flowStartMilliseconds"], row["sourceIPv4Address"]) == (EXPORT_TIME * 1000 - 2000, "192.0.2.1")
    odd = build.netflow9(
        build.netflow9_template(256, (60000, 2), (1, 4)),
        build.any_set(256, build.uint(80, 2) + build.uint(9)),
        count=2,
    )
    source.write_bytes(odd)
    result = run("convert", "-f", source, out)
    assert "is left out: v9/60000 has no element of IPFIX" in result.stderr
    assert rows(out) == [{"octetDeltaCount": 9}]


def test_ipfix_times_stay_as_they_are(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "in.ipfix", tmp_path / "out.ipfix"
    fields = (22, 4), (21, 4), (160, 8)
    record = build.uint(1000) + build.uint(2000) + build.uint(EXPORT_TIME * 1000, 8)
    source.write_bytes(build.message(build.template_set(build.template(256, *fields)), build.data_set(256, record)))
    assert run("convert", source, out).exit_code == 0
    assert rows(out) == rows(source)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".ndjson"])
@pytest.mark.parametrize("make", [build.flows, build.mixed_flows, build.strings])
def test_tables_become_the_records_they_were_made_of(run: Run, tmp_path: Path, suffix: str, make: Any) -> None:
    source, table, out = tmp_path / "in.ipfix", tmp_path / f"table{suffix}", tmp_path / "out.ipfix"
    source.write_bytes(build.file(*make(200)))
    assert run("convert", source, table).exit_code == 0
    result = run("convert", table, out)
    assert result.exit_code == 0, result.stderr
    assert rows(out) == rows(source, options=False)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_tables_with_lists_become_lists(run: Run, lists: Path, tmp_path: Path, suffix: str) -> None:
    table, out = tmp_path / f"table{suffix}", tmp_path / "out.ipfix"
    run("convert", lists, table)
    result = run("convert", table, out)
    assert result.exit_code == 0, result.stderr
    assert [row["basicList"] for row in hw.records(out)] == [row["basicList"] for row in hw.records(lists)]


def test_several_tables_go_into_one_file_and_a_count_ends_it(run: Run, tmp_path: Path) -> None:
    for number in (0, 1):
        lines = (json.dumps({"octetDeltaCount": number * 10 + n}) for n in range(10))
        (tmp_path / f"{number}.ndjson").write_text("\n".join(lines))
    sources = tmp_path / "0.ndjson", tmp_path / "1.ndjson"
    result = run("convert", "-n", "15", *sources, tmp_path / "out.ipfix")
    assert result.exit_code == 0, result.stderr
    assert "15 records" in result.stderr
    assert [row["octetDeltaCount"] for row in hw.records(tmp_path / "out.ipfix")] == list(range(15))


def test_a_bad_value_in_a_table_leaves_no_file(run: Run, tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.ipfix"
    table.write_text("octetDeltaCount\n1\nmany\n")
    result = run("convert", table, out)
    assert result.exit_code != 0
    assert "octetDeltaCount" in result.stderr
    assert "'many'" in result.stderr
    assert f"{table}: column" in result.stderr
    table.write_text("octetDeltacount\n1\n")
    told = run("convert", table, out).stderr
    assert "did you mean 'octetDeltaCount'" in told
    assert f"{table}: no Information Element" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]


def test_tables_are_not_mixed_with_flow_export_nor_chosen_from(run: Run, flows: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.ipfix"
    table.write_text("octetDeltaCount\n1\n")
    result = run("convert", table, flows, out)
    assert result.exit_code != 0
    assert "is no table, others are" in result.stderr
    for option in (("-s", "octetDeltaCount"), ("-w", "octetDeltaCount == 1"), ("--resolve-time",)):
        result = run("convert", *option, table, out)
        assert result.exit_code != 0
        assert "of flow export" in result.stderr


def test_an_ipfix_file_can_go_to_stdout(run: Run, flows: Path) -> None:
    result = run("convert", flows, "-", "--to", "ipfix")
    assert list(hw.records(result.stdout_bytes)) == list(hw.records(flows))


def test_a_capture_becomes_a_file(run: Run, tmp_path: Path) -> None:
    capture, out = tmp_path / "in.pcap", tmp_path / "out.ipfix"
    capture.write_bytes(packets.pcap([packets.udp(octets) for octets in build.flows(60)]))
    result = run("convert", capture, out)
    assert result.exit_code == 0, result.stderr
    assert rows(out) == rows(capture)


def test_a_capture_has_the_records_as_messages_of_udp_at_their_export_times(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "in.ipfix", tmp_path / "out.pcap"
    source.write_bytes(build.file(*build.mixed_flows(3000), *build.flows(50, domain=9)))
    result = run("convert", source, out)
    assert result.exit_code == 0, result.stderr
    facts = ("observationDomainId", "exportTime")
    assert rows(out, provenance=facts) == rows(source, provenance=facts)
    captured = datagrams_of(out)
    assert max(len(octets) for _, octets in captured) <= 512
    assert [at for at, _ in captured] == sorted(int.from_bytes(octets[4:8], "big") for _, octets in captured)
    templates = sum(octets[16:18] == b"\0\x02" for _, octets in captured)
    assert templates > 5  # "MUST be periodically retransmitted" (RFC 7011 §8.4)
    assert run("convert", "-f", "--mtu", "1400", source, out).exit_code == 0
    assert 512 < max(len(octets) for _, octets in datagrams_of(out)) <= 1400


def test_tables_and_netflow_become_captures(run: Run, tmp_path: Path) -> None:
    table, source, out = tmp_path / "table.csv", tmp_path / "in.nf", tmp_path / "out.pcap"
    table.write_text("octetDeltaCount\n1\n2\n")
    assert run("convert", table, out).exit_code == 0
    assert rows(out) == [{"octetDeltaCount": 1}, {"octetDeltaCount": 2}]
    source.write_bytes(netflow5(netflow5_record("192.0.2.1", "192.0.2.2", first_ms=58_000), uptime_ms=60_000))
    assert run("convert", "-f", source, out).exit_code == 0
    assert rows(out)[0]["flowStartMilliseconds"] == EXPORT_TIME * 1000 - 2000


def test_octets_of_a_message_are_no_option_of_tables_nor_more_than_a_datagram_has(
    run: Run, flows: Path, tmp_path: Path
) -> None:
    result = run("convert", "--mtu", "1400", flows, tmp_path / "out.csv")
    assert "--mtu is about Messages of IPFIX" in result.stderr
    result = run("convert", "--mtu", "65535", flows, tmp_path / "out.pcap")
    assert "a datagram has at most 65507 octets" in result.stderr
    assert result.exit_code != 0
    assert not list(tmp_path.glob("out.*"))


def test_a_record_that_no_datagram_has_room_for_says_what_to_do(run: Run, tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.pcap"
    table.write_text(f"interfaceName\n{'x' * 600}\n")
    result = run("convert", table, out)
    assert result.exit_code != 0
    assert "--mtu gives Messages more of it" in result.stderr
    assert run("convert", "--mtu", "1400", table, out).exit_code == 0
    assert rows(out) == [{"interfaceName": "x" * 600}]


def datagrams_of(path: Path) -> list[tuple[int, bytes]]:
    """(second, what it carries) of each UDP datagram of a capture."""
    octets, at, found = path.read_bytes(), 24, []
    while at < len(octets):
        length = int.from_bytes(octets[at + 8 : at + 12], "little")
        found.append((int.from_bytes(octets[at : at + 4], "little"), octets[at + 16 + 14 + 20 + 8 : at + 16 + length]))
        at += 16 + length
    return found
