"""The report: per source and in total, bounded, and as JSON."""

from __future__ import annotations

import json

import headwater as hw
from headwater.errors import FaultKind
from headwater.process.report import FAULTS_KEPT, TEMPLATES_KEPT
from tests import build

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
