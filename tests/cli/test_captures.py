"""All verbs on captures and raw NetFlow, with the columns that are worked out."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from headwater.cli.layout import ranks
from tests import build, packets
from tests.cli.conftest import NEW, Run

START = build.EXPORT_TIME - 50
"""When the first flow of the NetFlow v5 exporter began, Unix seconds: sysUpTime is 60 s then, and it began at 10 s."""


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def tables(text: str) -> list[str]:
    """The titles of the tables."""
    return [line for line in text.splitlines() if " from " in line]


# --- cat -------------------------------------------------------------------------------------------------------------


def test_records_of_all_versions_are_shown_with_their_exporter(run: Run, capture: Path) -> None:
    result = run("cat", capture)
    assert result.exit_code == 0
    assert tables(result.stdout) == [
        "NetFlow v5 from 10.0.0.5:50000, domain 0",
        "NetFlow v9 from 10.0.0.9:50000, Template 256, domain 0",
        "IPFIX from 10.0.0.10:50000, Template 256, domain 1",
    ]
    assert result.stderr == "headwater: 1 sFlow datagram left out: sFlow is not decoded\n"


def test_a_capture_may_be_compressed_or_come_from_stdin(run: Run, capture: Path, tmp_path: Path) -> None:
    expected = run("cat", "--json", capture).stdout
    assert expected.count("\n") == 24
    (tmp_path / "capture.gz").write_bytes(gzip.compress(capture.read_bytes()))
    assert run("cat", "--json", tmp_path / "capture.gz").stdout == expected
    assert run("cat", "--json", "-", data=capture.read_bytes()).stdout == expected


def test_raw_netflow_is_read_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(2 * build.netflow5(build.netflow5_record("192.0.2.1", "192.0.2.2")))
    assert [row["octetDeltaCount"] for row in objects(run("cat", "--json", path).stdout)] == [100, 100]
    assert "NetFlow datagrams one after the other" in run("info", path).stdout


def test_times_come_first_in_the_table_and_raw_ones_last(run: Run, capture: Path) -> None:
    lines = run("cat", "-n", 1, "--resolve-time", "--port", 2055, capture, width=100).stdout.splitlines()
    assert lines[-1].split()[0] == "2023-11-14T22:12:30.000"
    assert "SysUp" not in "".join(lines[2:])
    assert max(map(len, lines)) <= 100


def test_times_are_exact_in_json(run: Run, capture: Path) -> None:
    row = objects(run("cat", "--json", "-n", 1, "--resolve-time", capture).stdout)[0]
    assert row["flowStart"] == "2023-11-14T22:12:30.000000000"
    assert row["flowDuration"] == 45_000_000_000
    assert row["flowStartSysUpTime"] == 10_000
    assert row["timeSource"] == "flowStartSysUpTime+header"


def test_columns_that_were_added_and_have_no_value_take_no_room(run: Run, capture: Path) -> None:
    old, new, _ = run("cat", "--join-options", capture).stdout.split("\n\n")
    assert "ingressInterfaceName" not in old
    assert new.splitlines()[1].split()[:4] == [
        "sourceIPv4Address", "ingressInterface", "ingressInterfaceName", "egressInterface",
    ]  # fmt: skip
    assert "uplink" in new
    assert "egressInterfaceName" not in new
    row = objects(run("cat", "--json", "-n", 1, "--join-options", capture).stdout)[0]
    assert row["ingressInterfaceName"] is None


def test_sampling_is_told_and_scaled_beside_the_raw_counts(run: Run, capture: Path) -> None:
    rows = objects(run("cat", "--json", "--scale-sampling", "-n", 3, capture).stdout)
    assert [row["samplingRate"] for row in rows] == [100.0, 100.0, None]
    assert [row["scaledOctetDeltaCount"] for row in rows] == [10_000, 20_000, None]
    assert [row["octetDeltaCount"] for row in rows] == [100, 200, 500]
    assert rows[0]["samplingSource"] == "header"


def test_columns_can_be_added_by_name_and_then_matter_most(run: Run, capture: Path) -> None:
    lines = run("cat", "-n", 1, "--add", "exporterIPv4Address,flowDuration", capture, width=60).stdout.splitlines()
    assert "10.0.0.5" in lines[-1]
    assert "45.000 s" in lines[-1]
    rows = objects(
        run("cat", "--json", "--add", "exporterIPv4Address", "--add", "exportProtocolVersion", capture).stdout
    )
    assert [(row["exporterIPv4Address"], row["exportProtocolVersion"]) for row in rows[1:4]] == [
        ("10.0.0.5", 5), ("10.0.0.9", 9), ("10.0.0.9", 9),
    ]  # fmt: skip


def test_what_is_worked_out_can_be_selected(run: Run, capture: Path) -> None:
    rows = objects(run("cat", "--json", "-n", 3, "-s", "ingressInterfaceName,flowDuration", capture).stdout)
    assert rows == [
        {"ingressInterfaceName": None, "flowDuration": 45_000_000_000},
        {"ingressInterfaceName": None, "flowDuration": 0},
        {"ingressInterfaceName": "uplink", "flowDuration": 10_000_000_000},
    ]
    rows = objects(run("cat", "--json", "-n", 1, "-s", "octetDeltaCount", "--resolve-time", capture).stdout)
    assert list(rows[0]) == ["octetDeltaCount", "flowStart", "flowEnd", "flowDuration", "timeSource"]


@pytest.mark.parametrize(
    ("condition", "octets"),
    [
        ("flowStart >= 2023-11-14T22:12:40 and exportProtocolVersion < 10", [200, 500, 500]),
        ("flowDuration > 30s and exportProtocolVersion == 5", [100]),
        ("flowDuration >= 0.01s and flowDuration <= 10000ms and exportProtocolVersion == 9", [500, 500]),
        ("samplingRate == 100", [100, 200]),
        ("samplingRate == null and exportProtocolVersion == 9", [500, 500]),
        ("ingressInterfaceName == uplink", [500, 500]),
        ("ingressInterfaceName ~ UP", [500, 500]),
        ("exporterIPv4Address == 10.0.0.5 and timeSource ~ header", [100, 200]),
    ],
)
def test_conditions_on_what_is_worked_out(run: Run, capture: Path, condition: str, octets: list[int]) -> None:
    rows = objects(run("cat", "--json", "-w", condition, capture).stdout)
    assert [row["octetDeltaCount"] for row in rows] == octets
    assert not {"flowStart", "samplingRate", "ingressInterfaceName", "exportProtocolVersion"} & set(rows[0])


def test_options_records_are_shown_without_the_octets_they_are_filled_with(run: Run, capture: Path) -> None:
    out = run("cat", "--options", capture).stdout
    assert "NetFlow v9 from 10.0.0.9:50000, Options Template 257, domain 0" in out
    assert out[out.index("Options Template") :].splitlines()[2].split() == ["3", "uplink"]


def test_just_what_is_sent_to_a_port(run: Run, capture: Path) -> None:
    assert run("cat", "--port", "2055,9995", "--json", capture).stdout.count("\n") == 24
    result = run("cat", "-p", 9995, "-p", 9996, capture)
    assert result.exit_code == 0
    assert result.stderr.startswith("headwater: none of ")
    assert result.stderr.endswith(" packets is sent to port 9995 or 9996\n")


def test_a_capture_without_flow_export_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dns.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(b"who?", ("10.0.0.1", 999, "10.0.0.2", 53)))]))
    assert run("cat", path).stderr == (
        "headwater: no flow export is among 1 packet; --port takes what is sent to a port\n"
    )
    assert "1 packet of other traffic; of UDP to port 53 (1)" in run("info", path).stdout


def test_templates_by_address_reach_data_from_another_port(run: Run, tmp_path: Path) -> None:
    template, data = (
        build.flows(2, mtu=200)[0],
        build.message(build.data_set(256, build.flow(build.flow_values(1)[0])), sequence=1),
    )
    sent = [(template, ("10.0.0.1", 1001, "10.0.0.2", 4739)), (data, ("10.0.0.1", 1002, "10.0.0.2", 4739))]
    path = tmp_path / "ports.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(payload, peer)) for payload, peer in sent]))
    counts = {}
    for rule in ("auto", "rfc", "address", "10.0.0.1=address", "10.0.0.2=address", "::ffff:10.0.0.1=address"):
        counts[rule] = run("cat", "--json", "--key-rule", rule, path).stdout.count("\n")
    few = counts["auto"]
    assert counts == {"auto": few, "rfc": few, "address": few + 1, "10.0.0.1=address": few + 1, "10.0.0.2=address": few,
                      "::ffff:10.0.0.1=address": few + 1}  # fmt: skip


def test_a_state_file_knows_templates_from_the_last_time(run: Run, capture: Path, tmp_path: Path) -> None:

    flow = build.record(*(bytes(length) for length in (4, 2, 2, 4, 4, 4, 2)))
    later = tmp_path / "later.pcap"
    packet = build.netflow9(build.any_set(256, flow), sequence=5)
    later.write_bytes(packets.pcap([packets.ethernet(packets.udp(packet, NEW))]))
    assert run("cat", "--json", later).exit_code == 1
    state = tmp_path / "state"
    assert run("info", "--state", state, capture).exit_code == 0
    result = run("cat", "--json", "--state", state, later)
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)


def test_a_damaged_state_file_is_a_warning(run: Run, capture: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{half a sta")
    result = run("cat", "--json", "--state", tmp_path / "state", capture)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 24
    assert result.stderr.count("is not used, so Templates and options are learned anew") == 1


def test_a_source_is_never_taken_for_the_state_file(run: Run, capture: Path) -> None:
    before = capture.read_bytes()
    result = run("cat", "--state", capture, capture)
    assert (result.exit_code, result.stderr) == (2, f"headwater: {capture} is one of the sources; give another name\n")
    assert capture.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--port", "20x"], "'20x' is no port; ports are numbers from 1 to 65535"),
        (["--port", "65536"], "'65536' is no port"),
        (["--key-rule", "mine"], "'mine' is no rule; there are auto, rfc, address"),
        (["--key-rule", "10.0.0=rfc"], "'10.0.0' is no address"),
        (["--add", "flowBegin"], "'flowBegin' is none of exporterIPv4Address, "),
        (["--add", ","], "no column is named"),
        (["--where", "flowDuration > 5"], "'5' is no duration; write it as 30s"),
        (["--where", "flowStart > noon"], "write it as 2026-01-31T12:00:00"),
        (["--state", "/nowhere/state"], "/nowhere/state"),
        (["--state", "-"], "a file and not -"),
        (["--strict", "--salvage"], "--strict and --salvage exclude each other"),
        (["-", "-"], "standard input (-) can be read only once"),
        ([""], "the path is empty"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(run: Run, capture: Path, args: list[str], words: str) -> None:
    result = run("cat", "--json", *args, capture)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


# --- info ------------------------------------------------------------------------------------------------------------


def test_info_tells_exporters_sampling_options_and_other_traffic(run: Run, capture: Path) -> None:
    result = run("info", "--short", capture)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in (
        "content pcap capture of 8 packets, 6 datagrams of flow export",
        "ignored 2 packets of other traffic; of UDP to port 53 (2)",
        "sFlow 1 datagram, not decoded",
        "lost 2 messages before they came here, 1 gap in the sequence numbers",
        "3 exporters",
        "10.0.0.9:50000 10.0.0.9:2055 NetFlow v9 0 3 3 2 messages",
        "10.0.0.5:50000 10.0.0.9:2055 NetFlow v5 0 1 2 0",
        "10.0.0.10:50000 10.0.0.9:2055 IPFIX 1 1 20 0",
        "10.0.0.5:50000 1 in 100 2 records by the message headers",
        "options: interfaces, 1 row",
        "3 uplink",
    ):
        assert line in lines
    assert any(line.endswith("domain 0 of 10.0.0.9:50000: 2 messages, 1 to 3") for line in lines)


def test_info_lists_the_busiest_of_many_exporters_and_each_template_once(run: Run, tmp_path: Path) -> None:
    sent = [
        packets.ethernet(packets.udp(message, (f"10.0.{host >> 8}.{host & 255}", 999, "10.9.0.1", 4739)))
        for host in range(300)
        for message in build.flows(1 + host % 7)
    ]
    path = tmp_path / "many.pcap"
    path.write_bytes(packets.pcap(sent))
    out = run("info", path).stdout
    assert "300 exporters, the busiest" in out
    assert "… 290 more, --json has all" in out
    assert "Template 256 of domain 1 from 300 exporters" in out
    assert len(out.splitlines()) < 60
    found = json.loads(run("info", "--json", path).stdout)["sources"][0]
    assert len(found["domains"]) == 300


def test_json_has_options_sampling_and_packets(run: Run, capture: Path) -> None:
    source = json.loads(run("info", "--json", capture).stdout)["sources"][0]
    (row,) = source["options"]["interfaces"]
    assert row["values"] == {"interfaceName": "uplink"}
    assert {"exporter": "10.0.0.5:50000", "rate": 100.0, "source": "header", "records": 2} in source["sampling"]
    assert source["capture"]["ignored_ports"] == {"53": 2}


def test_options_tables_show_ten_rows_or_all(run: Run, tmp_path: Path) -> None:
    rows = [build.record(build.uint(n), f"if{n}".encode().ljust(8, b"\0")) for n in range(1, 26)]
    template = build.netflow9_options_template(257, [(2, 4)], (82, 8))
    path = tmp_path / "raw"
    path.write_bytes(build.netflow9(template, build.any_set(257, b"".join(rows)), count=26))
    out = run("info", path).stdout
    assert "options: interfaces, 25 rows" in out
    assert "… 15 more, --options shows all" in out
    assert "if25" not in out
    assert "if25" in run("info", "--options", path).stdout


# --- convert ---------------------------------------------------------------------------------------------------------


def test_one_table_for_duckdb_from_all_versions(run: Run, capture: Path, tmp_path: Path) -> None:
    path = tmp_path / "flows.parquet"
    flags = ("--resolve-time", "--scale-sampling", "--join-options")
    result = run("convert", *flags, capture, path)
    assert result.exit_code == 0
    assert "flows.parquet: 24 records" in result.stderr
    found = duckdb.execute(
        "select epoch(flowStart)::bigint, flowDuration, octetDeltaCount, scaledOctetDeltaCount, ingressInterfaceName "
        f"from '{path}' order by flowStart nulls last, octetDeltaCount limit 2"
    ).fetchall()
    assert found[0] == (START, 45 * 10**9, 100, 10_000, None)
    count = duckdb.execute(f"select count(*) from '{path}' where ingressInterfaceName = 'uplink'").fetchall()
    assert count == [(2,)]
    assert "egressInterfaceName" in pq.read_schema(path).names


def test_integers_of_different_width_are_one_column(run: Run, capture: Path, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.ipfix"
    narrow.write_bytes(
        build.message(build.template_set(build.template(256, (48, 1))), build.data_set(256, build.uint(7, 1)))
    )
    run("convert", narrow, capture, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert [name for name in table.column_names if name.startswith("samplerId")] == ["samplerId"]
    assert table["samplerId"].drop_null().to_pylist() == [7, 1, 1]


def test_csv_has_the_columns_in_every_line(run: Run, capture: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("convert", "--resolve-time", "--to", "csv", capture, "-").stdout)))
    assert len(rows) == 24
    assert rows[0]["flowStart"] == "2023-11-14T22:12:30.000000000"


def test_a_state_file_that_cannot_be_used_is_told_once_by_convert_too(run: Run, capture: Path, tmp_path: Path) -> None:
    state = tmp_path / "known.state"
    state.write_text("garbage")
    result = run("convert", "--state", state, capture, tmp_path / "flows.csv")
    assert result.exit_code == 0
    assert result.stderr.count("is not used, so Templates and options are learned anew") == 1
    assert (tmp_path / "known.state.bad").read_text() == "garbage"


def test_a_long_record_tells_its_template_or_the_fixed_format_it_has(run: Run, capture: Path) -> None:
    lines = run("cat", "--long", "--options", capture).stdout.splitlines()
    titles = [line.split(", ", 1)[1] for line in lines if line.startswith("Record ")]
    assert list(dict.fromkeys(titles)) == ["NetFlow v5", "Template 256", "Options Template 257"]


def test_both_passes_over_a_capture_begin_with_the_same_state(run: Run, tmp_path: Path) -> None:
    """The Template that the records at the beginning had is another one at the end."""
    record = build.ipv4("192.0.2.1") + build.uint(7)
    sent = [
        build.netflow9(build.any_set(256, record)),  # waits for its Template
        build.netflow9(build.netflow9_template(256, (8, 4), (1, 4)), sequence=1),
        build.netflow9(build.netflow9_template(256, (1, 4), (2, 4)), sequence=2),
    ]
    path = tmp_path / "redefined.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(packet)) for packet in sent]))
    run("convert", "--state", tmp_path / "state", path, tmp_path / "flows.csv")
    assert (tmp_path / "flows.csv").read_text() == "sourceIPv4Address,octetDeltaCount\n192.0.2.1,7\n"
    assert (tmp_path / "state").exists()


def test_of_several_captures_each_has_its_own_exporters_and_options(run: Run, tmp_path: Path) -> None:
    paths = []
    for host in (1, 2):
        record = build.record(build.uint(host), f"if{host}".encode().ljust(8, b"\0"))
        packet = build.netflow9(
            build.netflow9_options_template(257, [(2, 4)], (82, 8)), build.any_set(257, record), count=2
        )
        paths.append(tmp_path / f"{host}.pcap")
        peer = (f"10.0.0.{host}", 999, "10.0.0.9", 2055)
        paths[-1].write_bytes(packets.pcap([packets.ethernet(packets.udp(packet, peer))]))
    for number, source in enumerate(json.loads(run("info", "--json", *paths).stdout)["sources"], 1):
        assert [domain["exporter"] for domain in source["domains"]] == [f"10.0.0.{number}:999"]
        assert [row["exporter"] for row in source["options"]["interfaces"]] == [f"10.0.0.{number}"]


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_all_forms_tell_why_there_is_nothing(run: Run, capture: Path, form: list[str]) -> None:
    result = run("cat", "--port", 9, *form, capture)
    assert result.stderr == "headwater: none of 8 packets is sent to port 9\n"


def test_convert_tells_why_there_is_nothing(run: Run, capture: Path, tmp_path: Path) -> None:
    args = ("convert", "--port", 9, capture, tmp_path / "flows.csv")
    assert run(*args).stderr.splitlines()[-1] == "headwater: none of 8 packets is sent to port 9"
    assert run(*args, "--force", "--quiet").stderr == ""


def test_what_flags_add_and_octets_matter_more_than_macs_and_raw_uptimes() -> None:
    names = ["flowStartSysUpTime", "sourceMacAddress", "sourceTransportPort", "octetDeltaCount", "sourceIPv4Address"]
    assert _by_rank(names) == [names[4], names[3], names[2], names[0], names[1]]
    added = ["samplingRate", "ingressInterfaceName"]
    assert _by_rank([*names, *added, "flowStart"])[:5] == [names[4], "flowStart", names[3], *added]
    assert _by_rank(["sourceMacAddress", "vlanId"]) == ["sourceMacAddress", "vlanId"]


def _by_rank(names: list[str]) -> list[str]:
    return [name for _, name in sorted(zip(ranks(names), names, strict=True), key=lambda pair: pair[0])]


def test_packets_that_were_cut_short_are_missing_records(run: Run, tmp_path: Path) -> None:
    packet = packets.ethernet(packets.udp(build.netflow5(build.netflow5_record("192.0.2.1", "192.0.2.2"))))
    (tmp_path / "cut.pcap").write_bytes(packets.pcap([packet], snap=60))
    for form in ([], ["--json"]):
        result = run("cat", *form, tmp_path / "cut.pcap")
        assert result.exit_code == 1
        assert "headwater: there are no data records\n" in result.stderr
        assert "packet_truncated 1" in result.stderr
    assert run("cat", "--strict", tmp_path / "cut.pcap").exit_code == 2
    assert "complete  no" in run("info", tmp_path / "cut.pcap").stdout


def test_a_capture_behind_a_capture_is_missed(run: Run, capture: Path, tmp_path: Path) -> None:
    (tmp_path / "two.pcap").write_bytes(2 * capture.read_bytes())
    result = run("cat", tmp_path / "two.pcap")
    assert (result.exit_code, "capture_damaged 1" in result.stderr) == (1, True)


def test_a_strict_reading_stops_at_the_end_of_a_capture_that_was_cut(run: Run, capture: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.pcap").write_bytes(capture.read_bytes()[:-10])
    result = run("cat", "--strict", tmp_path / "torn.pcap")
    assert (result.exit_code, result.stderr.count("truncated_tail")) == (2, 1)


def test_who_lacks_a_template_is_told_who_has_one(run: Run, tmp_path: Path) -> None:
    packet = build.flows(1)[0]
    data = build.message(build.data_set(256, build.flow(build.flow_values(1)[0])), sequence=1)
    sent = [(packet, ("10.0.0.1", 1001, "10.0.0.2", 4739)), (data, ("10.0.0.1", 1002, "10.0.0.2", 4739))]
    path = tmp_path / "ports.pcap"
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(payload, peer)) for payload, peer in sent]))
    assert "10.0.0.1:1001" in run("cat", path).stderr


def test_info_has_one_name_for_an_exporter_whose_ports_do_not_count(run: Run, tmp_path: Path) -> None:
    flow = (
        build.netflow9(build.netflow9_template(256, (34, 4)), build.any_set(256, build.uint(10)), count=2),
        *[build.netflow9(build.any_set(256, build.uint(10)), sequence=n) for n in (1, 2)],
    )
    sent = [packets.udp(packet, ("10.0.0.1", 999 + n, "10.0.0.9", 2055)) for n, packet in enumerate(flow)]
    (tmp_path / "nat.pcap").write_bytes(packets.pcap(map(packets.ethernet, sent)))
    out = run("info", "--key-rule", "address", tmp_path / "nat.pcap").stdout
    assert "1 exporter\n" in out
    assert [line.split() for line in out.splitlines() if "1 in 10" in line] == [
        ["1", "in", "10", "3", "records", "by", "the", "records"]
    ]
    assert "exporters" not in out
