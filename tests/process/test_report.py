"""The report: per source and in total, bounded, and as JSON."""

from __future__ import annotations

import itertools
import json

import pytest

import headwater as hw
from headwater.errors import FaultKind
from headwater.process.source import SourceReading
from headwater.process.source_report import FAULTS_KEPT, TEMPLATES_KEPT
from tests import build, packets

NOW = build.EXPORT_TIME


def report_on(*data: bytes) -> hw.Report:
    reading = hw.read(list(data))
    for _ in reading:
        pass
    return reading.report


def counter(value: int, *, domain: int = 1, sequence: int = 0, export_time: int = NOW, id: int = 256) -> bytes:
    template = build.template_set(build.template(id, (1, 4)))
    data = build.data_set(id, build.uint(value))
    return build.message(template, data, domain=domain, sequence=sequence, export_time=export_time)


def test_templates_tell_their_records_and_when_they_came() -> None:
    data = build.file(
        counter(1, export_time=NOW + 5),
        counter(2, domain=2, export_time=NOW + 9),
        counter(3, sequence=1, export_time=NOW + 7),
        build.message(build.template_set(build.template(300, (2, 4))), sequence=2, export_time=NOW),
    )
    (source,) = report_on(data).sources
    assert [
        (use.domain, use.template.id, use.records, use.first_export, use.last_export) for use in source.templates
    ] == [(1, 256, 2, NOW + 5, NOW + 7), (2, 256, 1, NOW + 9, NOW + 9), (1, 300, 0, None, None)]
    assert (source.first_export, source.last_export) == (NOW + 5, NOW + 9)
    assert {ledger.domain: ledger.records for ledger in source.ledgers} == {1: 2, 2: 1}


def test_a_template_that_is_redefined_is_listed_twice() -> None:
    data = build.file(
        counter(1),
        build.message(build.template_set(build.template(256, (2, 4))), build.data_set(256, build.uint(2)), sequence=1),
    )
    (source,) = report_on(data).sources
    assert [(use.template.column_names, use.records) for use in source.templates] == [
        (("octetDeltaCount",), 1),
        (("packetDeltaCount",), 1),
    ]
    assert source.faults == {FaultKind.TEMPLATE_REPLACED: 1}
    assert source.is_complete


def test_gaps_and_losses_are_told() -> None:
    data = build.file(counter(1), counter(2, sequence=11), counter(3, sequence=12))
    report = report_on(data)
    assert (report.lost, report.gaps) == (10, 1)
    (gap,) = report.sources[0].gap_list
    assert (gap.offset, gap.expected, gap.got, gap.lost) == (len(counter(1)), 1, 11, 10)
    assert report.is_complete  # all of the file was read: the loss was before it


def test_value_faults_are_counted_with_the_others() -> None:
    template = build.template_set(build.template(256, (82, build.VARIABLE)))
    report = report_on(build.message(template, build.data_set(256, build.var(b"\xff"), build.var(b"ok"))))
    assert report.faults == {FaultKind.UTF8: 1}
    assert report.is_complete


def test_lists_of_faults_gaps_and_templates_are_bounded_and_counts_are_not() -> None:
    many = FAULTS_KEPT + 50
    gaps = build.file(*(counter(1, sequence=2 * number) for number in range(many)))
    (source,) = report_on(gaps).sources
    assert (source.gaps, len(source.gap_list)) == (many - 1, FAULTS_KEPT)
    reserved = build.file(*(build.message(build.any_set(5, b"")) for _ in range(many)))
    reading = hw.read(reserved)
    reading._sources.window = 20
    for _ in reading:
        pass
    (source,) = reading.report.sources
    assert (source.faults[FaultKind.RESERVED_SET], len(source.fault_list)) == (many, FAULTS_KEPT)
    kinds = range(1, TEMPLATES_KEPT + 100)
    templates = (build.template_set(build.template(256, (1, 4), (number, 4))) for number in kinds)
    (source,) = report_on(build.file(*(build.message(one, build.data_set(256, bytes(8))) for one in templates))).sources
    assert len(source.templates) == TEMPLATES_KEPT
    assert source.records == len(kinds)


def test_the_total_is_the_sum_of_the_sources() -> None:
    report = report_on(counter(1, export_time=NOW + 3), counter(2, export_time=NOW + 8)[:-1], counter(3) + bytes(4))
    assert [source.messages for source in report.sources] == [1, 0, 1]
    assert (report.messages, report.records, report.octets) == (2, 2, 2 * len(counter(1)) + 4)
    assert report.faults[FaultKind.TRUNCATED_TAIL] == 1
    assert report.faults[FaultKind.TRAILING_GARBAGE] == 4
    assert (report.first_export, report.last_export) == (NOW, NOW + 3)
    assert not report.is_complete


def test_one_line_tells_what_matters() -> None:
    report = report_on(b"".join(build.mixed_flows(1000)), counter(1)[:-1])
    assert str(report).startswith("1,000 records, 10 options records, ")
    assert str(report).endswith(" octets, 2 sources, truncated_tail: 1")


def test_the_report_is_json() -> None:
    described = build.options_template_set(build.options_template(300, (267, 1), (130, 4), (275, 3), (264, 4), scope=1))
    record = build.record(build.uint(0, 1), build.ipv4("192.0.2.1"), b"\xde\xad\x00", build.uint(NOW))
    data = build.file(
        counter(1),
        build.message(described, build.data_set(300, record), sequence=1),
        counter(2, sequence=20),
        counter(3, sequence=21)[:-2],
    )
    report = json.loads(json.dumps(report_on(data).to_dict()))
    (source,) = report["sources"]
    assert (report["records"], report["options_records"], report["is_complete"]) == (2, 1, False)
    assert source["details"] == {
        "sessionScope": 0,
        "exporterIPv4Address": "192.0.2.1",
        "exporterCertificate": "dead00",
        "minExportSeconds": NOW,
    }
    assert source["templates"][0] == {
        "exporter": None,
        "version": 10,
        "domain": 1,
        "id": 256,
        "scope_count": 0,
        "records": 2,
        "first_export": NOW,
        "last_export": NOW,
        "fields": [{"name": "octetDeltaCount", "pen": 0, "id": 1, "type": "unsigned64", "length": 4}],
    }
    assert source["domains"][0]["lost"] == 18
    assert source["gap_list"][0]["lost"] == 18
    assert source["fault_list"][0]["kind"] == "truncated_tail"
    assert report["skipped"] == []


def streams(count: int) -> bytes:
    """A capture of so many IPFIX exporters over TCP, each with one connection and three segments."""
    sent = []
    message = counter(1)
    for number in range(3):
        for host in range(count):
            peer = (f"10.0.{host >> 8}.{host & 255}", 40000, "10.1.0.1", 4739)
            if not number:
                sent.append(packets.tcp(b"", 99, peer, flags=packets.SYN))
            sent.append(packets.tcp(message, 100 + number * len(message), peer))
    return packets.pcap([packets.ethernet(packet) for packet in sent])


def test_what_thousands_of_streams_count_is_not_summed_up_for_each_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    sums: list[SourceReading] = []
    count = SourceReading._count

    def counting(reading: SourceReading) -> None:
        sums.append(reading)
        count(reading)

    monkeypatch.setattr(SourceReading, "_count", counting)
    reading = hw.read(streams(50))
    assert sum(batch.num_rows for batch in reading) == 150
    assert (reading.report.messages, len(reading.report.sources[0].ledgers)) == (150, 50)
    assert len(sums) <= 3


def test_the_report_tells_what_was_read_before_somebody_stopped() -> None:
    reading = hw.read(streams(5))
    for _ in range(4):
        next(reading)
    reading.close()
    assert (reading.report.messages, reading.report.records) == (12, 12)


def test_the_fault_that_a_strict_reading_stops_at_is_told_once() -> None:
    overrun = build.any_set(256, bytes(4), length=100)
    with pytest.raises(hw.DecodeError) as error:
        for _ in (reading := hw.read(build.netflow9(overrun), strict=True)):
            pass
    (fault,) = reading.report.sources[0].fault_list
    assert fault.kind is FaultKind.SET_OVERRUN
    assert str(fault).count("set_overrun") == 1
    assert fault.detail in str(error.value)


def test_options_are_tables_for_those_who_ask() -> None:
    record = build.record(build.uint(3), b"uplink\0\0")
    template = build.netflow9_options_template(257, [(2, 4)], (82, 8))
    data = build.netflow9(template, build.any_set(257, record), count=2)
    for select in (None, ["octetDeltaCount"]):
        reading = hw.read(data, select=select, option_tables=True)
        for _ in reading:
            pass
        (source,) = reading.report.sources
        (row,) = source.option_tables["interfaces"].flat_rows()
        assert (row["v9Interface"], row["interfaceName"], row["count"]) == (3, "uplink", 1)
    assert report_on(data).sources[0].option_tables == {}


def test_faults_of_streams_have_the_offset_of_their_octets_in_the_capture() -> None:
    peer = (*packets.PEER[:3], 4739)
    wrong = build.message(build.any_set(2, b"\xab\xcd\xef\x01", length=3), sequence=1)
    octets = counter(1) + wrong
    cuts = (0, 10, 40, len(octets))
    sent = [packets.tcp(b"", 99, peer, flags=packets.SYN)]
    sent += [packets.tcp(octets[a:b], 100 + a, peer) for a, b in itertools.pairwise(cuts)]
    capture = packets.pcap(map(packets.ethernet, sent))
    (source,) = report_on(capture).sources
    (fault,) = source.fault_list
    assert capture[fault.offset :].startswith(b"\0\2\0\3\xab\xcd\xef\1")
    assert {use.template.id for use in source.templates} == {256}
