"""IPFIX segments: what they hold is what came, and each can be read by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.sinks.segment_ipfix import IpfixSegments
from headwater.sinks.targets import sink_of
from tests import build as b
from tests.transport.spools import EXPORTER, OTHER, block, spool

FACTS = ["collectionTimeMilliseconds", "exporterIPv4Address", "exporterIPv6Address", "observationDomainId"]
NOW = float(b.EXPORT_TIME + 1000)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for batch in hw.read(path) for row in batch.rows()]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ipfix"))


def test_records_come_back_with_their_domains_and_what_is_known_of_their_exporters(tmp_path: Path) -> None:
    messages = b.flows(200, domain=7)
    sink = IpfixSegments(tmp_path, now=Clock())
    assert sink.open() == []
    batches = list(hw.read(spool(block(*messages, *b.flows(50, domain=8))), provenance=FACTS))
    for batch in batches:
        assert sink.write(batch) == batch.num_rows
    sink.close()
    (path,) = files(tmp_path)
    reading = hw.read(path)
    rows = [row for batch in reading for row in batch.rows()]
    given = [
        {name: value for name, value in row.items() if value is not None} for batch in batches for row in batch.rows()
    ]
    assert sorted(map(repr, rows)) == sorted(map(repr, given))
    assert [row["exporterIPv4Address"] for row in rows] == [EXPORTER.address] * 250
    assert {ledger.domain: ledger.records for ledger in reading.report.sources[0].ledgers} == {7: 200, 8: 50}
    assert (reading.report.lost, dict(reading.report.faults)) == (0, {})
    assert reading.report.first_export == int(NOW)
    assert (sink.counters.records, sink.counters.records_written, sink.counters.records_lost) == (250, 250, 0)
    assert (sink.counters.segments, sink.counters.octets) == (1, path.stat().st_size)


def test_each_segment_can_be_read_alone(tmp_path: Path) -> None:
    clock = Clock()
    sink = IpfixSegments(tmp_path, rotate=60, now=clock)
    sink.open()
    for batch in hw.read(b.file(*b.flows(100))):
        sink.write(batch)
        clock.now += 61
        sink.write(batch, np.arange(batch.num_rows) % 2 == 0)
    sink.close()
    first, second = files(tmp_path)
    assert len(rows_of(first)) == 100
    assert rows_of(second) == rows_of(first)[::2]
    for path in (first, second):
        reading = hw.read(path)
        list(reading)
        assert dict(reading.report.faults) == {}
        assert reading.report.lost == 0


def test_options_structured_data_and_netflow_are_kept(tmp_path: Path) -> None:
    options = b.message(
        b.options_template_set(b.options_template(400, (10, 4), (82, b.VARIABLE))),
        b.data_set(400, b.uint(5) + b.var(b"eth0")),
    )
    netflow = b.netflow5(b.netflow5_record("192.0.2.3", "192.0.2.4"))
    given = spool(block(options, *b.lists(20), netflow, keys=[EXPORTER, OTHER]))
    sink = IpfixSegments(tmp_path, now=Clock())
    sink.open()
    lists = []
    for batch in hw.read(given, provenance=FACTS):
        sink.write(batch)
        lists += [row for row in batch.rows() if "interfaceName" not in row and "sourceIPv4Address" not in row]
    sink.close()
    (path,) = files(tmp_path)
    reading = hw.read(path)
    rows = [row for batch in reading for row in batch.rows()]
    assert reading.report.options_records == 1
    assert [row["interfaceName"] for row in rows if "interfaceName" in row] == ["eth0"]
    assert [row["sourceIPv4Address"] for row in rows if "sourceIPv4Address" in row] == ["192.0.2.3"]
    assert len(rows) == 22
    assert sink.counters.records_lost == 0
    assert dict(reading.report.faults) == {}


def test_columns_without_an_element_are_left_out_and_counted(tmp_path: Path) -> None:
    sink = IpfixSegments(tmp_path, now=Clock())
    sink.open()
    for batch in hw.read(b.file(*b.flows(10)), resolve_time=True, scale_sampling=True):
        sink.write(batch)
    sink.close()
    (path,) = files(tmp_path)
    assert len(rows_of(path)) == 10
    assert (sink.counters.records_written, sink.counters.records_lost) == (10, 0)


def test_selected_columns_with_nulls_get_templates_without_them(tmp_path: Path) -> None:
    sink = IpfixSegments(tmp_path, now=Clock())
    sink.open()
    select = ["sourceIPv4Address", "sourceIPv6Address", "octetDeltaCount"]
    given = b.file(*b.mixed_flows(60))
    for batch in hw.read(given, select=select):
        sink.write(batch)
    sink.close()
    (path,) = files(tmp_path)
    rows = rows_of(path)
    assert len(rows) == sum(batch.num_rows for batch in hw.read(given, select=select))
    assert {tuple(row) for row in rows} == {
        ("sourceIPv4Address", "octetDeltaCount"),
        ("sourceIPv6Address", "octetDeltaCount"),
    }


def test_records_that_cannot_be_encoded_are_lost_and_the_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = IpfixSegments(tmp_path, now=Clock())
    sink.open()
    from headwater.batch import incoming

    real = incoming.columns_of

    def columns_of(data: Any, **options: Any) -> Any:
        if 443 in np.asarray(data["sourceTransportPort"]):
            raise hw.EncodeError("port 443", row=0)
        return real(data, **options)

    monkeypatch.setattr("headwater.sinks.segment_ipfix.columns_of", columns_of)
    fields = ((7, 2), (10, 4))
    records = [b.uint(443 if i == 5 else i, 2) + b.uint(i) for i in range(20)]
    for batch in hw.read(b.message(b.template_set(b.template(256, *fields)), b.data_set(256, *records))):
        sink.write(batch)
    sink.close()
    (path,) = files(tmp_path)
    assert [row["ingressInterface"] for row in rows_of(path)] == [i for i in range(20) if i != 5]
    counters = sink.counters
    assert (counters.records, counters.records_written, counters.records_lost) == (20, 19, 1)
    assert "443" in counters.last_error


def test_the_target_makes_one(tmp_path: Path) -> None:
    sink = sink_of(f"ipfix:{tmp_path}/?rotate=1m")
    assert isinstance(sink, IpfixSegments)
    assert sink.name.startswith("ipfix:")
