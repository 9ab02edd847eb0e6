"""NetFlow written as IPFIX: everything that IPFIX has a word for, times that need no header, and nothing silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import headwater as hw
from headwater.model.element import InformationElement
from headwater.model.registry import IANA
from headwater.model.types import DataType
from headwater.process.writing import Writer
from tests.build import (
    EXPORT_TIME,
    any_set,
    data_set,
    message,
    netflow5,
    netflow5_record,
    netflow9,
    netflow9_options_template,
    netflow9_template,
    template,
    template_set,
    uint,
)


def written(path: Path, *datagrams: bytes, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """(records of the IPFIX file that the datagrams become, warnings)."""
    with Writer(path) as writer:
        writer.write(hw.read(b"".join(datagrams), **options))
    with hw.read(path) as reading:
        found = list(reading.records())
    assert not reading.report.faults
    return found, writer.warnings


def test_scopes_of_netflow_become_those_of_ipfix(tmp_path: Path) -> None:
    packet = netflow9(netflow9_options_template(300, [(2, 4)], (34, 4)), any_set(300, uint(7) + uint(100)), count=2)
    (record,), warnings = written(tmp_path / "f.ipfix", packet)
    assert record == {"ingressInterface": 7, "samplingInterval": 100}
    assert warnings == []


def test_the_system_that_options_are_about_becomes_the_observation_domain(tmp_path: Path) -> None:
    options = netflow9_options_template(300, [(1, 4)], (34, 4))
    packet = netflow9(options, any_set(300, uint(0) + uint(100)), count=2, source_id=77)
    (record,), _ = written(tmp_path / "f.ipfix", packet)
    assert record == {"observationDomainId": 77, "samplingInterval": 100}


def test_integers_that_netflow_sends_too_long_get_the_length_they_may_have(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (1, 4), (48, 4)), any_set(256, uint(9) + uint(200)), count=2)
    (record,), _ = written(tmp_path / "f.ipfix", packet)
    assert record == {"octetDeltaCount": 9, "samplerId": 200}


def test_what_vendors_took_for_themselves_is_said_in_words_of_iana_or_of_cisco(tmp_path: Path) -> None:
    fields = (40003, 2), (33002, 2), (1, 4)
    packet = netflow9(netflow9_template(256, *fields), any_set(256, uint(80, 2) + uint(5, 2) + uint(9)), count=2)
    (record,), _ = written(tmp_path / "f.ipfix", packet)
    assert record["postNAPTSourceTransportPort"] == 80
    assert record["octetDeltaCount"] == 9
    assert list(record)[1].startswith("_9_234")


def test_what_ipfix_has_no_word_for_is_left_out_and_told(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (60000, 2), (1, 4)), any_set(256, uint(80, 2) + uint(9)), count=2)
    (record,), warnings = written(tmp_path / "f.ipfix", packet)
    assert record == {"octetDeltaCount": 9}
    (warning,) = warnings
    assert "is left out: v9/60000 has no element of IPFIX" in warning


def test_facts_of_messages_that_no_element_tells_are_left_out_and_told(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (60000, 2), (1, 4)), any_set(256, uint(80, 2) + uint(9)), count=2)
    _, warnings = written(tmp_path / "f.ipfix", packet, provenance=("exportTime", "observationDomainId"))
    assert "exportTime is left out: no Information Element" in warnings


def test_times_that_nobody_knows_are_left_out(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (1, 4)), any_set(256, uint(9)), count=2)
    (record,), _ = written(tmp_path / "f.ipfix", packet, resolve_time=True)
    assert record == {"octetDeltaCount": 9}


def test_times_since_the_exporter_began_become_times_since_1970(tmp_path: Path) -> None:
    datagram = netflow5(netflow5_record("192.0.2.1", "192.0.2.2", first_ms=58_000, last_ms=59_500), uptime_ms=60_000)
    (record,), _ = written(tmp_path / "f.ipfix", datagram, resolve_time=True)
    assert record["flowStartMilliseconds"] == EXPORT_TIME * 1000 - 2000
    assert record["flowEndMilliseconds"] == EXPORT_TIME * 1000 - 500
    assert not {"flowStart", "timeSource", "flowStartSysUpTime"} & set(record)
    assert record["sourceIPv4Address"] == "192.0.2.1"


def test_times_that_only_some_records_have_go_out_with_those(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (1, 4)), any_set(256, uint(9) + uint(8)), count=2)
    (batch,) = hw.read(packet, resolve_time=True)
    times = np.ma.MaskedArray(np.array([EXPORT_TIME, 0], "M8[s]").astype("M8[ns]"), [False, True])
    columns = [times if name == "flowStart" else batch[name] for name in batch.schema.names]
    with Writer(tmp_path / "f.ipfix") as writer:
        writer.write(batch.with_columns(batch.template, batch.schema, columns))
    first, second = hw.records(tmp_path / "f.ipfix")
    assert first == {"octetDeltaCount": 9, "flowStartNanoseconds": EXPORT_TIME * 10**9}
    assert second == {"octetDeltaCount": 8}


def test_elements_that_only_the_reading_knows_keep_their_type(tmp_path: Path) -> None:
    own = InformationElement(32473, 106, "isSample", DataType.BOOLEAN)
    fields = template(256, (106, 1, 32473), (1, 8))
    octets = message(template_set(fields), data_set(256, uint(2, 1) + uint(5, 8)))
    registry = IANA.extend([own])
    with Writer(tmp_path / "f.ipfix") as writer:
        writer.write(hw.read(octets, registry=registry, resolve_time=True))
    assert list(hw.records(tmp_path / "f.ipfix", registry=registry)) == [{"isSample": False, "octetDeltaCount": 5}]


def test_values_too_large_for_ipfix_are_left_out_and_told(tmp_path: Path) -> None:
    packet = netflow9(netflow9_template(256, (48, 4), (1, 4)), any_set(256, uint(300) + uint(8)), count=2)
    (record,), (warning,) = written(tmp_path / "f.ipfix", packet)
    assert record == {"octetDeltaCount": 8}
    assert warning == "samplerId is left out: more than unsigned8 holds"
