"""Facts of Messages of several exporters and versions in one DataSets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.errors import FaultKind
from headwater.model.template import Template
from headwater.session.key import SessionKey
from tests.batch.made import Made, data_sets

TEMPLATE = Template.of(256, "protocolIdentifier")
KEYS = (
    SessionKey("192.0.2.1", 5000),
    SessionKey("2001:db8::1", 6),
    None,
    SessionKey("::ffff:192.0.2.9", 7),
    SessionKey("a file name"),
    SessionKey("192.0.2.250", 99),
)


def facts(names: list[str], *made: Made, keys: tuple[Any, ...] = (None,)) -> list[tuple[Any, ...]]:
    sets = data_sets(TEMPLATE, *made, keys=keys)
    return list(Decoder([], names).decode(sets).tuples())


def test_each_record_has_the_exporter_of_its_message() -> None:
    names = ["exporterIPv4Address", "exporterIPv6Address", "exporterTransportPort"]
    made = [Made((b"\x06",) * (1 + k % 2), peer=k) for k in (3, 1, 0, 0, 2, 4)]
    found = facts(names, *made, keys=KEYS)
    v6 = bytes.fromhex("20010db8000000000000000000000001")
    assert found == [
        (0xC0000209, None, 7), (0xC0000209, None, 7), (None, v6, 6), (None, v6, 6),
        (0xC0000201, None, 5000), (0xC0000201, None, 5000), (None, None, None), (None, None, 0),
    ]  # fmt: skip


def test_exporters_that_are_all_known_are_no_masked_column() -> None:
    sets = data_sets(TEMPLATE, Made((b"\x06",)), Made((b"\x06",), peer=5), keys=KEYS)
    column = Decoder(["exporterIPv4Address"]).decode(sets)["exporterIPv4Address"]
    assert type(column) is np.ndarray
    assert column.tolist() == [0xC0000201, 0xC00002FA]


def test_the_version_and_the_uptime_of_each_header() -> None:
    names = ["exportProtocolVersion", "sysUpTime", "exportTime"]
    nine, ten = Made((b"\x06",), 100, 5, 9), Made((b"\x06", b"\x11"), 200, 0, 10)
    assert facts(names, nine, ten) == [(9, 5, 100), (10, None, 200), (10, None, 200)]
    assert facts(names, nine, Made((b"\x01",), 300, 0, 5)) == [(9, 5, 100), (5, 0, 300)]
    assert facts(names, ten) == [(10, None, 200), (10, None, 200)]


def test_the_facts_know_their_elements() -> None:
    schema = Decoder([], ["exportProtocolVersion", "sysUpTime", "collectionTimeMilliseconds"]).schema
    assert schema is not None
    assert [column.element and column.element.id for column in schema] == [214, None, 258]


def test_the_time_of_collection_of_each_message() -> None:
    made = [Made((b"\x06",), received=ns) for ns in (1_700_000_000_123_999_999, 0, 5_000_000)]
    assert facts(["collectionTimeMilliseconds"], *made) == [(1_700_000_000_123,), (None,), (5,)]
    assert facts(["collectionTimeMilliseconds"], Made((b"\x06",))) == [(None,)]


def test_no_records_have_no_facts() -> None:
    names = ["exporterIPv4Address", "sysUpTime", "collectionTimeMilliseconds", "exportProtocolVersion"]
    assert facts(names, Made(()), Made((), peer=1), keys=KEYS) == []


def test_faults_tell_the_exporter_and_the_place_in_the_source() -> None:
    template = Template.of(256, "dataRecordsReliability")
    sets = data_sets(
        template, Made((b"\x01", b"\x02"), domain=1), Made((b"\x01", b"\x07"), domain=2, peer=1), keys=KEYS
    )
    (fault,) = Decoder().decode(sets).faults
    assert fault.kind is FaultKind.BOOLEAN
    # headers of 20 octets; the source has 1000 octets before the buffer
    assert (fault.offset, fault.domain, fault.count) == (1000 + 20 + 2 + 20 + 1, 2, 1)
    assert fault.key == KEYS[1]


@pytest.mark.parametrize("name", ["exporterIPv4Address", "sysUpTime"])
def test_a_fact_is_selected_by_name(name: str) -> None:
    sets = data_sets(TEMPLATE, Made((b"\x06",), uptime=3), keys=KEYS)
    assert next(Decoder([name]).decode(sets).tuples()) == ({"sysUpTime": 3}.get(name, 0xC0000201),)
