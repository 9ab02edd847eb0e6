"""Every NetFlow message of the test vectors gives exactly what it says, in both modes."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from headwater.batch import Decoder
from headwater.errors import FaultKind
from headwater.model.element import NETFLOW_PEN
from headwater.session import Session
from tests.oracle import Account, listen
from tests.spec.vectors import VECTORS, expected_events, octets, told_events

BOTH_MODES = pytest.mark.parametrize("salvage", [False, True], ids=["whole", "salvage"])

HEADER = {
    "version": "version",
    "sys_uptime": "uptime",
    "unix_secs": "export_time",
    "unix_nsecs": "nanoseconds",
    "sequence": "sequence",
    "flow_sequence": "sequence",
    "source_id": "domain",
}
"""Header fields of the vectors → columns of Messages."""
SAMPLING_BITS = 14
ELEMENTS = {
    "srcaddr": "sourceIPv4Address",
    "dstaddr": "destinationIPv4Address",
    "nexthop": "ipNextHopIPv4Address",
    "input": "ingressInterface",
    "output": "egressInterface",
    "packets": "packetDeltaCount",
    "octets": "octetDeltaCount",
    "first": "flowStartSysUpTime",
    "last": "flowEndSysUpTime",
    "srcport": "sourceTransportPort",
    "dstport": "destinationTransportPort",
    "tcp_flags": "tcpControlBits",
    "prot": "protocolIdentifier",
    "tos": "ipClassOfService",
    "src_as": "bgpSourceAsNumber",
    "dst_as": "bgpDestinationAsNumber",
    "src_mask": "sourceIPv4PrefixLength",
    "dst_mask": "destinationIPv4PrefixLength",
}
"""Fields of the fixed records of the vectors → IANA elements."""
OWN = {"flags1": 1, "flags2": 2, "extra_packets": 3, "router_sc": 4}
"""Those that have none → our own."""
FIXED = ["NFV1-1", "NFV5-2", "NFV7-1"]
WITH_TEMPLATES = ["NFV9-RFC3954", "NFV9-SAMPLING", "NFV9-NSEL"]
COUNTS = {"packetDeltaCount": 10, "octetDeltaCount": 5000, "flowStartSysUpTime": 990000, "flowEndSysUpTime": 999000}
SUMMED = {"deltaFlowCount": 2, **COUNTS}
NETS = {"sourceIPv4Prefix": "10.0.0.0", "destinationIPv4Prefix": "10.0.1.0"}
MASKS = {"destinationIPv4PrefixLength": 24, "sourceIPv4PrefixLength": 24}
ROUTE = {"bgpSourceAsNumber": 64500, "bgpDestinationAsNumber": 64501, "ingressInterface": 3, "egressInterface": 4}
PAIR = {"destinationIPv4Address": "10.0.1.1", "sourceIPv4Address": "10.0.0.1"}
PORTS = {"destinationTransportPort": 80, "sourceTransportPort": 1234}
WAY = {"egressInterface": 4, "ingressInterface": 3, "ipClassOfService": 32}
SHORTCUT = {"postIpClassOfService": 0, "extra_packets": 0, "router_sc": "192.0.2.99"}
AGGREGATES: dict[str, dict[str, Any]] = {
    "NFV8-1": SUMMED | ROUTE,
    "NFV8-3": SUMMED
    | {"sourceIPv4Prefix": "10.0.0.0", "sourceIPv4PrefixLength": 24, "bgpSourceAsNumber": 64500, "ingressInterface": 3},
    "NFV8-5": SUMMED | NETS | MASKS | ROUTE,
    "NFV8-7": PAIR | COUNTS | WAY | SHORTCUT,
    "NFV8-8": PAIR | PORTS | COUNTS | WAY | {"protocolIdentifier": 6} | SHORTCUT,
    "NFV8-13": SUMMED | NETS | MASKS | {"ipClassOfService": 32} | ROUTE,
}
"""The record that each vector has twice, as tshark 4.0.17 reads it."""


def account(id: str, **options: Any) -> Account:
    """What a session tells of a vector."""
    return listen(*octets(VECTORS[id]), **options)


def fixed_rows(told: Account) -> list[dict[str, Any]]:
    """Records with addresses as text, by name; those of our own elements by the vectors' names."""
    own = {number: name for name, number in OWN.items()}
    out = []
    for record in told.records:
        row = {}
        for cell in record.cells:
            element, value = cell.field.element, cell.value
            name = own[element.id] if element.pen == NETFLOW_PEN else element.name
            row[name] = str(ipaddress.IPv4Address(value)) if element.type.is_address else value
        out.append(row)
    return out


@BOTH_MODES
@pytest.mark.parametrize("id", WITH_TEMPLATES)
def test_templates_records_and_sequence_are_those_of_the_vector(id: str, salvage: bool) -> None:
    told = account(id, salvage=salvage)
    expect = VECTORS[id]["expect"]
    assert told_events(told) == expected_events(expect["events"])
    assert [ledger.expected for ledger in told.session.ledger.values()] == [expect["next_sequence"]]
    assert (told.faults, told.value_faults, told.gaps) == ([], [], [])
    counters = told.session.counters
    assert counters["records"] == len(told.records)
    assert counters["octets"] == sum(map(len, octets(VECTORS[id])))
    assert (counters["messages"], counters["messages_malformed"], counters["undecodable_sets"]) == (1, 0, 0)


@BOTH_MODES
@pytest.mark.parametrize("id", FIXED)
def test_fixed_records_are_those_of_the_vector(id: str, salvage: bool) -> None:
    told = account(id, salvage=salvage)
    expect = VECTORS[id]["expect"]
    wanted = [{ELEMENTS.get(name, name): value for name, value in row.items()} for row in expect["records"]]
    assert fixed_rows(told) == wanted
    assert (told.faults, told.value_faults, told.gaps) == ([], [], [])
    if "next_sequence" in expect:
        assert [ledger.expected for ledger in told.session.ledger.values()] == [expect["next_sequence"]]
    assert told.session.counters["records"] == len(wanted)


@pytest.mark.parametrize("id", FIXED)
def test_columns_of_fixed_records_have_no_padding(id: str) -> None:
    (sets,) = account(id).sets
    batch = Decoder().decode(sets)
    assert len(batch.schema.names) == len(VECTORS[id]["expect"]["records"][0])
    assert not [name for name in batch.schema.names if "padding" in name.lower()]


@BOTH_MODES
@pytest.mark.parametrize("id", AGGREGATES)
def test_aggregated_records_have_the_length_and_the_values_of_the_vector(id: str, salvage: bool) -> None:
    told = account(id, salvage=salvage)
    expect = VECTORS[id]["expect"]
    rows = fixed_rows(told)
    assert rows == [AGGREGATES[id]] * expect["header"]["count"]
    assert [list(row) for row in rows] == [list(AGGREGATES[id])] * len(rows)
    (sets,) = told.sets
    assert sets.template.min_length == expect["record_length"]
    assert (told.faults, told.gaps) == ([], [])
    assert [ledger.expected for ledger in told.session.ledger.values()] == [expect["next_sequence"]]


@pytest.mark.parametrize("id", [*FIXED, *AGGREGATES, "NFV9-RFC3954"])
def test_header_fields_are_those_of_the_vector(id: str) -> None:
    header = VECTORS[id]["expect"]["header"]
    for sets in account(id).sets:
        facts = sets.messages
        assert len(facts) == 1
        for name, column in HEADER.items():
            if name in header:
                assert getattr(facts, column).tolist() == [header[name]], name
        if "engine_type" in header:
            assert facts.domain.tolist() == [header["engine_type"] << 8 | header["engine_id"]]
        if "sampling_mode" in header:
            raw = header["sampling_mode"] << SAMPLING_BITS | header["sampling_interval"]
            assert facts.sampling is not None
            assert facts.sampling.tolist() == [raw]


def test_messages_of_every_version_may_come_mixed_in_one_session() -> None:
    ids = [*FIXED, *AGGREGATES, *WITH_TEMPLATES, "IPFIX-A1"]
    told = Account(Session())
    for id in ids:
        told.feed(*octets(VECTORS[id]))
    alone = [record.values for id in ids for record in account(id).records]
    assert [record.values for record in told.records] == alone
    assert told.session.counters["messages_malformed"] == 0
    assert FaultKind.VERSION not in told.kinds


def test_every_vector_of_netflow_is_here() -> None:
    # NFV9-TIME: times are the derived columns'; NFV9-TO-IPFIX: conversion is not here yet
    here = {*FIXED, *AGGREGATES, *WITH_TEMPLATES, "NFV9-TIME", "NFV9-TO-IPFIX"}
    assert {id for id, vector in VECTORS.items() if vector["proto"].startswith("nfv")} == here
