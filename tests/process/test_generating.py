"""Synthetic traffic: the same for the same arguments, readable by everybody, and plausible."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.batch.batch import Batch
from headwater.process.generating import Traffic, generate
from headwater.process.generating_messages import Container, exports_of, write_exports
from headwater.process.writing import Writer
from headwater.sinks.pcap import Flight, PcapFile
from tests import packets


def written(container: Container = "ipfix", mtu: int | None = None, **asked: Any) -> bytes:
    traffic = Traffic(**asked)
    parts: list[bytes] = []
    write_exports(exports_of(traffic, container, mtu), container, traffic.version, parts.append)
    return b"".join(parts)


def columns(shape: str, count: int = 20_000, **asked: Any) -> dict[str, Any]:
    """The columns of a shape, over all batches."""
    batches = list(generate(count, shape=shape, **asked))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0].columns}


@pytest.mark.parametrize("shape", ["flows4", "flows6", "biflow", "dns", "nat", "options"])
def test_there_are_as_many_records_of_a_shape_as_asked_for(shape: str) -> None:
    batches = list(generate(1234, shape=shape, rate=100, domains=3))
    samplers = sum(batch.num_rows for batch in batches if "selectorAlgorithm" in batch.columns)
    assert samplers == (3 if shape == "options" else 0)
    assert sum(batch.num_rows for batch in batches) - samplers == 1234


@pytest.mark.parametrize("version", [10, 9, 5])
def test_what_is_written_can_be_read_without_faults_and_losses(version: int) -> None:
    octets = written("pcap", records=3000, version=version, domains=2, exporters=2, shape="mixed")
    reading = hw.read(octets)
    flows = sum(batch.num_rows for batch in reading if not batch.template.scope_count)
    source = reading.report.sources[0]
    assert flows == 3000
    assert source.faults == {}
    assert source.gaps == source.lost == 0
    assert len(source.ledgers) == 4


def test_a_file_has_the_values_that_generate_gives() -> None:
    made = [row for batch in generate(500, shape="flows6", seed=3) for row in batch.rows()]
    assert made == list(hw.records(written(records=500, shape="flows6", seed=3)))


def test_lists_come_back_as_they_were_made() -> None:
    made = [row for batch in generate(200, shape="dns") for row in batch.rows()]
    read = list(hw.records(written(records=200, shape="dns")))
    assert made == read
    answers = [len(row["subTemplateList"]) for row in made]
    assert answers == [len(row["basicList"]) for row in made]
    assert min(answers) == 0 < max(answers)


def test_the_same_arguments_give_the_same_octets() -> None:
    assert written(records=2000, seed=7) == written(records=2000, seed=7)
    assert written(records=2000, seed=7) != written(records=2000, seed=8)


def test_domains_and_exporters_differ_from_each_other() -> None:
    batches = list(generate(400, shape="flows4", domains=2))
    assert [batch.domain for batch in batches] == [1, 2]
    assert not np.array_equal(np.asarray(batches[0]["octetDeltaCount"]), np.asarray(batches[1]["octetDeltaCount"]))


def test_mixed_traffic_begins_with_what_exporters_say_about_themselves() -> None:
    kinds = [tuple(batch.columns) for batch in generate(100)]
    assert "interfaceName" in kinds[0]
    assert "samplingPacketSpace" in kinds[1]
    octets = written(records=3000, rate=10)
    assert len([row for row in hw.records(octets, options=True) if "interfaceName" in row]) == 8
    counts = [row for row in hw.records(octets, options=True) if "exportedFlowRecordTotalCount" in row]
    assert len(counts) >= 3
    assert 0 < counts[0]["exportedFlowRecordTotalCount"] < counts[-1]["exportedFlowRecordTotalCount"] == 3000


def test_packets_octets_flags_and_times_go_together() -> None:
    flow = columns("flows4")
    packet_count, octets = flow["packetDeltaCount"].astype(int), flow["octetDeltaCount"].astype(int)
    assert (packet_count >= 1).all()
    assert (octets >= 40 * packet_count).all()
    assert (octets <= 1500 * packet_count).all()
    is_tcp = flow["protocolIdentifier"] == 6
    assert (flow["tcpControlBits"][~is_tcp] == 0).all()
    assert (flow["tcpControlBits"][is_tcp] != 0).all()
    ended = (flow["tcpControlBits"] & 0x05) != 0
    assert (flow["flowEndReason"][ended] == 3).all()
    assert (flow["flowStartMilliseconds"] <= flow["flowEndMilliseconds"]).all()
    assert (flow["flowStartMilliseconds"] == flow["flowEndMilliseconds"])[packet_count == 1].all()


def test_a_few_flows_have_most_of_the_octets_and_a_few_hosts_most_of_the_flows() -> None:
    flow = columns("flows4")
    octets = np.sort(flow["octetDeltaCount"].astype(float))[::-1]
    assert octets[: len(octets) // 20].sum() > octets.sum() / 2
    _, flows = np.unique(flow["sourceIPv4Address"], return_counts=True)
    flows = np.sort(flows)[::-1]
    assert flows[: len(flows) // 5].sum() > flows.sum() / 2


def test_biflows_have_both_directions() -> None:
    flow = columns("biflow", 2000)
    assert (flow["reverseOctetDeltaCount"] >= 40 * flow["reversePacketDeltaCount"]).all()
    assert (flow["reversePacketDeltaCount"] > 0).any()
    assert all(batch.is_biflow for batch in generate(10, shape="biflow"))


def test_translations_are_created_before_they_are_deleted() -> None:
    event = columns("nat", 1000)
    assert event["natEvent"].tolist() == [4, 5] * 500
    for name in ("sourceIPv4Address", "postNAPTSourceTransportPort"):
        assert (event[name][::2] == event[name][1::2]).all()


def test_records_follow_the_rate() -> None:
    flow = columns("flows4", 5000, rate=100, start=1_700_000_000.0)
    span = flow["flowEndMilliseconds"].max() - flow["flowEndMilliseconds"].min()
    assert abs(span.astype(int) - 50_000) < 1000
    assert flow["flowEndMilliseconds"].min() >= np.datetime64(1_700_000_000_000, "ms")


def test_very_high_rates_come_in_parts() -> None:
    most = max(batch.num_rows for batch in generate(400_000, shape="nat", rate=1e8))
    assert most <= 1 << 17


def test_datagrams_are_no_larger_than_the_mtu() -> None:
    octets = written("pcap", 900, records=2000)
    at, sizes = 24, []
    while at < len(octets):
        length = struct.unpack_from("<8xI", octets, at)[0]
        sizes.append(length - 42)
        at += 16 + length
    assert 800 < max(sizes) <= 900


@pytest.mark.parametrize("version", [10, 9, 5])
def test_packets_of_each_exporter_come_at_the_rate_of_its_records(version: int) -> None:
    times, sources, late = packet_times(written("pcap", records=5000, version=version, exporters=2, rate=1000))
    assert (np.diff(times) >= 0).all()
    assert ((late >= 0) & (late < 1)).all()
    for source in np.unique(sources):
        own = times[sources == source]
        assert 4 < own[-1] - own[0] < 7
        per_second = np.bincount((own - own[0]).astype(int), minlength=5)[1:5]
        assert per_second.max() < 1.5 * per_second.min()
        assert np.diff(own).max() <= 1


def test_packets_of_rare_records_go_when_they_are_exported() -> None:
    times, _, late = packet_times(written("pcap", records=6, rate=0.1, domains=3, shape="flows4"))
    assert times[-1] - times[0] > 59
    assert ((late >= 0) & (late < 1)).all()


def packet_times(octets: bytes) -> tuple[Any, Any, Any]:
    """Of each packet: its time in seconds, where it comes from, and how long that is after its Export Time."""
    at, rows = 24, []
    while at < len(octets):
        seconds, us, length = struct.unpack_from("<III", octets, at)
        (source,) = struct.unpack_from("!I", octets, at + 16 + 26)
        (version,) = struct.unpack_from("!H", octets, at + 16 + 42)
        (export_time,) = struct.unpack_from("!I", octets, at + 16 + 42 + (4 if version == 10 else 8))
        rows.append((seconds + us / 1e6, source, seconds + us / 1e6 - export_time))
        at += 16 + length
    times, sources, late = zip(*rows, strict=True)
    return np.array(times), np.array(sources), np.array(late)


def test_a_batch_can_be_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.ipfix"
    with Writer(path) as writer:
        for batch in generate(300, domains=2):
            assert isinstance(batch, Batch)
            writer.write(batch)
    assert sum(batch.num_rows for batch in hw.read(path, options=False)) == 300


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"shape": "flow4"}, "no shape 'flow4'; there are mixed, flows4"),
        ({"shape": "dns", "version": 9}, "NetFlow v9 has no records of shape dns; try flows4"),
        ({"version": 7}, "version must be 10 (IPFIX), 9 or 5"),
        ({"rate": 0}, "rate must be from 0.001"),
        ({"records": -1}, "records must be from 0"),
        ({"domains": 0}, "domains must be from 1"),
        ({"seed": "x"}, "seed must be from 0"),
    ],
)
def test_what_cannot_be_generated_is_an_error(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(hw.HeadwaterError) as error:
        Traffic(**asked)
    assert words in str(error.value)


@pytest.mark.parametrize("asked", [{"version": 5}, {"exporters": 2}])
def test_what_no_ipfix_file_can_have_is_an_error(asked: dict[str, Any]) -> None:
    with pytest.raises(hw.HeadwaterError, match="write a capture"):
        exports_of(Traffic(**asked), "ipfix")


def test_a_file_without_records_has_templates() -> None:
    reading = hw.read(written(records=0, shape="flows4"))
    assert list(reading) == []
    assert len(reading.report.sources[0].templates) == 1


def test_all_templates_of_a_file_come_first() -> None:
    octets = written(records=500, domains=3)
    reading = hw.read(octets)
    assert sum(batch.num_rows for batch in reading) > 500
    assert len(reading.report.sources[0].templates) == 3 * 9
    sets = [struct.unpack_from("!H", octets, at + 16)[0] for at in _starts(octets)]
    assert sets == sorted(sets, key=lambda set_id: set_id > 3)


def _starts(octets: bytes) -> list[int]:
    """Where Messages start."""
    starts, at = [], 0
    while at < len(octets):
        starts.append(at)
        at += struct.unpack_from("!H", octets, at + 2)[0]
    return starts


def test_packets_of_a_capture_have_right_checksums() -> None:
    parts: list[bytes] = []
    traffic = Traffic(records=3, shape="flows4")
    for _, now, outgoing in exports_of(traffic, "pcap"):
        PcapFile(parts.append).write(outgoing, Flight(0x0A000001, 50000, 0x0A000002, 2055), now)
        packet = parts[-1][16 + 14 :][: 28 + len(bytes(outgoing))] if len(outgoing) == 1 else None
        if packet is not None:
            assert _sum(packet[:20]) == 0xFFFF
            pseudo = packet[12:20] + struct.pack("!HH", 17, len(packet) - 20)
            assert _sum(pseudo + packet[20:]) == 0xFFFF
            assert packet[20:28][:6] == packets.udp_datagram(packet[28:], ("", 50000, "", 2055))[:6]


def _sum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
