"""NetFlow written as IPFIX: everything that IPFIX has a word for, times that need no header, and nothing silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import headwater as hw
from headwater.process.writing import Writer
from tests.build import (
    EXPORT_TIME,
    any_set,
    netflow5,
    netflow5_record,
    netflow9,
    netflow9_options_template,
    netflow9_template,
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
    assert warning.endswith("is left out: it exists in NetFlow only")


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
