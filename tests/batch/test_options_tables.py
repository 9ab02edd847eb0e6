"""What option records said: learned, kept in versions, found again for flows, bounded."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch.option_versions import VERSIONS_KEPT
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.errors import HeadwaterError
from headwater.session import DataSets, Session
from tests import build
from tests.batch.exporters import Exporters, any_exporters, interface, interfaces, on_interfaces, options
from tests.batch.source import data_sets
from tests.spec.vectors import VECTORS

NAME = "ingressInterfaceName"
T = build.EXPORT_TIME


def vector(id: str) -> Exporters:
    exporters = Exporters()
    exporters.send(*map(bytes.fromhex, VECTORS[id]["hex"]))
    return exporters


def test_option_records_become_rows_of_the_table_they_belong_to() -> None:
    exporters = Exporters()
    exporters.send(interfaces((5, "eth5"), (6, "eth6"), domain=7), address="192.0.2.1")
    assert list(exporters.tables.tables()) == ["interfaces"]
    first, second = exporters.rows("interfaces")
    assert first == {
        "exporter": "192.0.2.1",
        "port": 4739,
        "domain": 7,
        "scope": {"ingressInterface": 5},
        "values": {"interfaceName": "eth5"},
        "first_seen": T,
        "last_seen": T,
        "count": 1,
        "is_current": True,
    }
    assert second["scope"] == {"ingressInterface": 6}


@pytest.mark.parametrize(
    ("scope", "values", "table"),
    [
        (["observationDomainId"], ["exportedMessageTotalCount"], "exporter_statistics"),
        (["exportingProcessId"], ["notSentFlowTotalCount"], "exporter_statistics"),
        (["observationDomainId"], ["systemInitTimeMilliseconds"], "exporters"),
        (["exportingProcessId"], ["samplingInterval"], "exporters"),
        (["selectorId"], ["samplingPacketInterval"], "samplers"),
        (["observationDomainId"], ["samplerId", "samplerRandomInterval"], "samplers"),
        (["selectionSequenceId"], ["selectorId", "selectorId"], "selection_sequences"),
        (["ingressVRFID"], ["VRFname[8]"], "vrfs"),
        (["applicationId[4]"], ["applicationName[8]"], "applications"),
        (["observationDomainId"], ["ingressInterface", "interfaceName[8]"], "interfaces"),
        (["egressInterface"], ["samplingInterval"], "interfaces"),
        (["templateId"], ["flowKeyIndicator"], "flow_keys"),
        (["templateId"], ["dataRecordsReliability"], "templates"),
        (["lineCardId"], ["exportedMessageTotalCount"], "line_cards"),
        (["informationElementId"], ["informationElementDataType"], "types"),
        (["commonPropertiesId"], ["sourceIPv4Address"], "common_properties"),
        (["sessionScope"], ["minExportSeconds"], "session"),
        (["userName[4]"], ["applicationCategoryName[4]"], "userName"),
        (["sourceIPv4Address", "vlanId"], ["octetDeltaCount"], "sourceIPv4Address+vlanId"),
    ],
)
def test_every_option_record_has_a_table(scope: list[str], values: list[str], table: str) -> None:
    exporters = Exporters()
    exporters.send(options(scope, values, bytes(64)))
    assert list(exporters.tables.tables()) == [table]


def test_a_checksum_of_one_message_is_nothing_to_remember() -> None:
    exporters = Exporters()
    exporters.send(options(["messageScope"], ["messageMD5Checksum[16]"], bytes(17)))
    assert not exporters.tables.tables()


def test_counters_in_the_scope_tell_nothing_apart() -> None:
    """YAF has systemInitTimeMilliseconds and exportedFlowRecordTotalCount for a scope."""
    exporters = Exporters()
    scope, values = ["systemInitTimeMilliseconds", "exportedFlowRecordTotalCount"], ["packetTotalCount"]
    for count in (1, 2):
        record = build.uint(T * 1000, 8) + build.uint(count, 8) + build.uint(9, 8)
        exporters.send(options(scope, values, record, export_time=T + count))
    first, second = exporters.rows("exporter_statistics")
    assert first["scope"] == second["scope"] == {}
    assert (first["is_current"], second["is_current"]) == (False, True)
    assert second["values"]["exportedFlowRecordTotalCount"] == 2


def test_repeats_change_only_when_a_record_was_seen_last() -> None:
    exporters = Exporters()
    for later in (0, 5, 3):
        exporters.send(interfaces((5, "eth5"), export_time=T + later), address="192.0.2.1")
    (row,) = exporters.rows("interfaces")
    assert (row["first_seen"], row["last_seen"], row["count"]) == (T, T + 5, 3)
    assert exporters.tables.counters == {"records": 3, "repeats": 2}


def test_an_observation_domain_in_the_scope_counts_more_than_the_header() -> None:
    exporters = Exporters()
    record = build.uint(9) + build.uint(T * 1000, 8)
    exporters.send(options(["observationDomainId"], ["systemInitTimeMilliseconds"], record, domain=0))
    assert exporters.rows("exporters")[0]["domain"] == 9


def test_padding_of_text_is_not_kept_and_long_text_is_cut() -> None:
    exporters = Exporters()
    exporters.send(options(["ingressInterface"], ["interfaceName[2000]"], build.uint(1) + b"x" * 2000))
    exporters.send(options(["ingressInterface"], ["interfaceName[8]"], build.uint(2) + b"a\0junk\0\0"), address="::1")
    texts = [row["values"]["interfaceName"] for row in exporters.rows("interfaces")]
    assert texts == ["x" * 1024, "a"]


def test_any_type_of_value_can_be_kept() -> None:
    names = {
        "octetDeltaCount": 8, "absoluteError": 8, "dataRecordsReliability": 1, "sourceMacAddress": 6,
        "interfaceName": 4, "ipHeaderPacketSection": 4, "observationTimeSeconds": 4, "flowStartNanoseconds": 8,
        "sourceIPv4Address": 4, "sourceIPv6Address": 16, "ipv6ExtensionHeadersFull": 32,
    }  # fmt: skip
    fields = [f"{name}[{length}]" for name, length in names.items()]
    exporters = Exporters()
    rng = random.Random(5)
    for _ in range(20):
        exporters.send(options(["userName[1]"], [*fields, "basicList"], b"x" + rng.randbytes(95) + build.var(b"")))
    table = exporters.tables.tables()["userName"]
    assert len(table) <= VERSIONS_KEPT
    assert table.to_arrow().num_rows == len(table)
    assert len(list(exporters.tables.snapshot())) > 0


def test_a_batch_without_the_facts_is_refused() -> None:
    (sets,) = data_sets(interfaces((1, "a")))
    with pytest.raises(HeadwaterError, match="OPTIONS_FACTS"):
        OptionsTables().learn(Decoder().decode(sets))


def test_flow_records_teach_nothing() -> None:
    (sets,) = data_sets(on_interfaces(1))
    tables = OptionsTables()
    tables.learn(Decoder(None, provenance=OPTIONS_FACTS).decode(sets))
    assert len(tables) == 0


# ---------------------------------------------------------------- versions


def test_a_flow_gets_the_version_that_was_valid_when_it_was_exported() -> None:
    exporters = Exporters()
    exporters.send(interfaces((5, "old"), export_time=T), interfaces((5, "new"), export_time=T + 100))
    for later in (-50, 0, 99, 100, 1000):
        exporters.send(on_interfaces(5, export_time=T + later))
    assert exporters.column(NAME) == ["old", "old", "old", "new", "new"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_what_is_joined_does_not_depend_on_the_order_of_messages(order: tuple[int, ...]) -> None:
    names = ("a", "b", "a", "c")
    exporters = Exporters()
    for i in order:
        exporters.send(interfaces((5, names[i]), export_time=T + 10 * i))
    for i in range(4):
        exporters.send(on_interfaces(5, export_time=T + 10 * i), on_interfaces(5, export_time=T + 10 * i + 9))
    assert exporters.column(NAME) == ["a", "a", "b", "b", "a", "a", "c", "c"]


def test_options_behind_the_flows_of_a_message_are_joined_too() -> None:
    exporters = Exporters()
    templates = build.template_set(build.template(256, (10, 4)))
    option_templates = build.options_template_set(build.options_template(300, (10, 4), (82, 16)))
    sets = build.data_set(256, build.uint(5)), build.data_set(300, interface(5, "eth5"))
    exporters.send(build.message(templates, option_templates, *sets))
    assert exporters.column(NAME) == ["eth5"]


def test_only_the_last_versions_are_kept() -> None:
    exporters = Exporters()
    for i in range(3 * VERSIONS_KEPT):
        exporters.send(interfaces((5, f"name {i}"), export_time=T + i))
    rows = exporters.rows("interfaces")
    assert [row["values"]["interfaceName"] for row in rows] == [
        f"name {i}" for i in range(2 * VERSIONS_KEPT, 3 * VERSIONS_KEPT)
    ]
    assert [row["is_current"] for row in rows] == [False] * (VERSIONS_KEPT - 1) + [True]


# ---------------------------------------------------------------- who knows


def test_exporters_of_different_addresses_never_mix() -> None:
    exporters = Exporters()
    exporters.send(interfaces((5, "mine")), address="192.0.2.1")
    exporters.send(on_interfaces(5), address="192.0.2.2")
    assert exporters.column(NAME) == [None]


def test_the_own_session_knows_best_then_the_address_then_domain_0_then_the_only_domain_that_knows() -> None:
    exporters = Exporters()
    a = "192.0.2.1"
    exporters.send(on_interfaces(1, 2, 3, 4, 5, domain=1), address=a)
    exporters.send(interfaces((4, "elsewhere"), domain=2), port=1, address=a)
    exporters.send(interfaces((5, "there"), domain=2), interfaces((5, "and there"), domain=3), port=1, address=a)
    exporters.send(interfaces((1, "0"), (2, "0"), (3, "0"), (4, "0"), domain=0), port=2, address=a)
    exporters.send(interfaces((1, "port"), (2, "port"), domain=1), port=3, address=a)
    exporters.send(interfaces((1, "own"), domain=1), address=a)
    assert exporters.column(NAME) == ["own", "port", "0", "0", None]
    only = Exporters()
    only.send(on_interfaces(4, domain=1), address=a)
    only.send(interfaces((4, "elsewhere"), domain=2), address=a)
    assert only.column(NAME) == ["elsewhere"]


def test_an_address_mapped_into_ipv6_is_the_same_exporter() -> None:
    exporters = Exporters()
    exporters.send(interfaces((5, "eth5")), address="::ffff:192.0.2.1")
    exporters.send(on_interfaces(5), address="192.0.2.1")
    assert exporters.column(NAME) == ["eth5"]


def test_many_exporters_in_one_buffer_keep_their_own_names() -> None:
    exporters = Exporters()
    for domain in range(1, 6):
        exporters.send(interfaces((5, f"of {domain}"), domain=domain))
    session = Session(transport="file")
    messages = b"".join(on_interfaces(5, 6, domain=domain) for domain in range(1, 6))
    (sets,) = [event for event in session.receive(messages) if isinstance(event, DataSets)]
    batch = Decoder([NAME], options=exporters.tables).decode(sets)
    expected = [name for domain in range(1, 6) for name in (f"of {domain}", None)]
    assert [row[NAME] for row in batch.rows()] == expected


# ---------------------------------------------------------------- constants


def test_constants_of_an_exporter_are_told_for_each_message() -> None:
    exporters = Exporters()
    for at, boot in ((T, 1000), (T + 100, 2000)):
        record = build.uint(1) + build.uint(boot, 8)
        exporters.send(options(["observationDomainId"], ["systemInitTimeMilliseconds"], record, export_time=at))
    messages = [on_interfaces(1, export_time=T + later) for later in (0, 99, 100)]
    sets = data_sets(*messages, on_interfaces(1, domain=2))
    found = exporters.tables.constant(sets[0].messages, "systemInitTimeMilliseconds")
    assert found.dtype == np.int64
    # domain 2 has said nothing, and domain 1 is the only one that has
    assert found.tolist() == [1000, 1000, 2000, 2000 if T >= T + 100 else 1000]
    unknown = exporters.tables.constant(sets[0].messages, "flowIdleTimeout")
    assert unknown.mask.all()


def test_what_is_said_of_an_interface_is_no_constant_of_the_exporter() -> None:
    exporters = Exporters()
    exporters.send(options(["ingressInterface"], ["samplingInterval"], build.uint(1) + build.uint(9)))
    exporters.send(options(["observationDomainId"], ["interfaceName[4]"], build.uint(1) + b"text", id=301))
    (sets,) = data_sets(on_interfaces(1))
    for element in ("samplingInterval", "interfaceName"):
        assert exporters.tables.constant(sets.messages, element).mask.all()


# ---------------------------------------------------------------- bounds


def test_beyond_the_limit_what_was_not_seen_for_longest_is_forgotten() -> None:
    exporters = Exporters(rows=10)
    exporters.send(interfaces(*[(i, f"eth{i}") for i in range(10)]))
    exporters.send(interfaces((0, "eth0"), export_time=T + 1), interfaces((10, "eth10"), export_time=T + 1))
    known = [row["scope"]["ingressInterface"] for row in exporters.rows("interfaces")]
    assert sorted(known) == [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert exporters.tables.counters["forgotten"] == 1
    exporters.send(on_interfaces(1, 0))
    assert exporters.column(NAME) == [None, "eth0"]


def test_octets_are_bounded_too() -> None:
    exporters = Exporters(octets=100_000)
    for i in range(500):
        exporters.send(options(["ingressInterface"], ["interfaceName[1000]"], build.uint(i) + b"x" * 1000))
    assert 50 < len(exporters.tables) < 100
    assert exporters.tables.counters["forgotten"] == 500 - len(exporters.tables)


def test_a_record_that_is_too_large_is_refused() -> None:
    exporters = Exporters(octets=100_000)
    exporters.send(options(["ingressInterface"], ["interfaceName[1]"] * 500, bytes(504)))
    assert len(exporters.tables) == 0
    assert exporters.tables.counters == {"records": 1, "refused": 1}


def test_one_batch_cannot_keep_us_busy_for_long() -> None:
    exporters = Exporters(rows=10)
    exporters.send(interfaces(*[(i, f"eth{i}") for i in range(60)]))
    assert exporters.tables.counters == {"records": 40, "refused": 50}
    assert [row["scope"]["ingressInterface"] for row in exporters.rows("interfaces")] == list(range(20, 30))
    exporters.send(interfaces(*[(i, f"eth{i}") for i in range(20, 30)] * 3))
    assert exporters.tables.counters["repeats"] == 30


def test_forgetting_leaves_nothing_behind() -> None:
    exporters = Exporters(rows=50)
    rng = random.Random(3)
    for _ in range(400):
        record = build.uint(rng.randrange(200)) + rng.choice((b"a", b"b")).ljust(16, b"\0")
        exporters.send(options(["ingressInterface"], ["interfaceName[16]"], record, domain=rng.randrange(3)))
    tables = exporters.tables
    exporters.send(*[interfaces((1000 + i, "x"), domain=9) for i in range(50)])
    assert len(tables) == 50
    assert len(tables._found) == 50 * 2 * 3
    assert sum(map(len, tables._numbers.values())) == 50 * 2
    assert sum(map(len, tables._repeats.values())) == len(tables._repeated) == 50


@pytest.mark.parametrize("seed", range(30))
def test_any_option_records_are_taken_in(seed: int) -> None:
    exporters = any_exporters(random.Random(seed))
    for table in exporters.tables.tables().values():
        assert table.to_arrow().num_rows == len(table) == len(list(table.flat_rows()))
    exporters.batches("ingressInterfaceName", "applicationName", "samplerName", "samplingRate", "egressVRFName")
    copy = OptionsTables()
    copy.restore(exporters.tables.snapshot())
    assert list(copy.snapshot()) == list(exporters.tables.snapshot())


# ---------------------------------------------------------------- snapshots, Arrow, vectors


def test_what_was_saved_is_known_again() -> None:
    exporters = Exporters()
    exporters.send(interfaces((5, "old")), interfaces((5, "new"), export_time=T + 9), address="192.0.2.1")
    again = Exporters()
    again.tables.restore(exporters.tables.snapshot())
    again.send(on_interfaces(5), on_interfaces(5, export_time=T + 9), address="192.0.2.1")
    assert again.column(NAME) == ["old", "new"]
    again.send(interfaces((5, "new"), export_time=T + 10), address="192.0.2.1")
    assert [row["count"] for row in again.rows("interfaces")] == [1, 2]


def test_tables_are_arrow_objects() -> None:
    exporters = Exporters()
    exporters.send(
        interfaces((5, "eth5"), (6, "")), options(["ingressInterface"], ["samplingInterval"], bytes(8), id=301)
    )
    table = exporters.tables.tables()["interfaces"].to_arrow()
    assert table.schema.names == [
        "exporter", "exporterPort", "domain", "firstSeen", "lastSeen", "count", "isCurrent",
        "ingressInterface", "interfaceName", "samplingInterval",
    ]  # fmt: skip
    assert table.column("interfaceName").to_pylist() == ["eth5", "", None]
    assert table.column("samplingInterval").to_pylist() == [None, None, 0]


def test_tables_can_be_written_as_json() -> None:
    exporters = Exporters()
    exporters.send(options(["applicationId[2]"], ["applicationName[4]"], b"\1\2name"))
    (row,) = json.loads(json.dumps(exporters.tables.tables()["applications"].to_dicts()))
    assert (row["scope"], row["values"]) == ({"applicationId": "0102"}, {"applicationName": "name"})


def test_vector_rfc5476_selectors_and_sequences() -> None:
    exporters = vector("RFC5476-GHIJ")
    sequences = exporters.rows("selection_sequences")
    assert [row["scope"] for row in sequences] == [{"selectionSequenceId": 7}, {"selectionSequenceId": 9}]
    assert sequences[0]["values"] == {"ingressInterface": 5, "selectorId": 5, "selectorId#2": 10}
    assert [row["scope"]["selectorId"] for row in exporters.rows("samplers")] == [15, 16, 17]
