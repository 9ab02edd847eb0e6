"""Names that option records give to interfaces, VRFs, applications and samplers, joined to flows."""

from __future__ import annotations

import random

import pytest

from headwater.batch import Decoder, lookup
from headwater.batch.derived import DERIVED
from headwater.batch.joins import JOINED
from tests import build
from tests.batch.exporters import Exporters, flows, interfaces, on_interfaces, options
from tests.batch.source import data_sets

T = build.EXPORT_TIME


def test_interfaces_are_named_in_both_directions() -> None:
    exporters = Exporters()
    names = ["interfaceName[8]", "interfaceDescription[12]"]
    records = [build.uint(i) + f"eth{i}".encode().ljust(8, b"\0") + b"uplink".ljust(12, b"\0") for i in (1, 2)]
    exporters.send(options(["ingressInterface"], names, *records))
    exporters.send(flows(["ingressInterface", "egressInterface"], build.uint(1) + build.uint(2), bytes(8)))
    (batch,) = exporters.batches(*JOINED[:4])
    assert list(batch.tuples()) == [("eth1", "uplink", "eth2", "uplink"), (None, None, None, None)]


@pytest.mark.parametrize("scope", [["egressInterface"], ["observationDomainId", "ingressInterface"]])
def test_an_interface_has_one_name_whichever_element_describes_it(scope: list[str]) -> None:
    exporters = Exporters()
    record = (build.uint(1) if len(scope) > 1 else b"") + build.uint(5) + b"eth5"
    exporters.send(options(scope, ["interfaceName[4]"], record), on_interfaces(5))
    assert exporters.column("ingressInterfaceName") == ["eth5"]


def test_cisco_describes_interfaces_in_records_about_the_exporter() -> None:
    exporters = Exporters()
    values = ["ingressInterface", "egressInterface", "interfaceName[4]"]
    records = [build.uint(1) + build.uint(i) * 2 + f"eth{i}".encode() for i in (5, 6)]
    exporters.send(options(["observationDomainId"], values, *records), on_interfaces(6, 5))
    assert exporters.column("ingressInterfaceName") == ["eth6", "eth5"]


def test_vrfs_are_named_in_both_directions() -> None:
    exporters = Exporters()
    records = [build.uint(0x6000_0000 + i) + f"vrf{i}".encode() for i in (1, 2)]
    exporters.send(options(["ingressVRFID"], ["VRFname[4]"], *records))
    exporters.send(flows(["ingressVRFID", "egressVRFID"], build.uint(0x6000_0001) + build.uint(0x6000_0002)))
    assert exporters.column("ingressVRFName") == ["vrf1"]
    assert exporters.column("egressVRFName") == ["vrf2"]


def applications(*pairs: tuple[bytes, str]) -> bytes:
    records = [build.var(id) + build.var(name.encode()) for id, name in pairs]
    return options(["applicationId"], ["applicationName"], *records)


def test_applications_are_named_in_any_spelling_of_their_id() -> None:
    exporters = Exporters()
    exporters.send(
        applications((b"\x0d\x00\x27\x10", "ten"), (b"\x01\x01", "icmp"), (b"\x14\0\0\x7e\xd9\x27\x10", "own"))
    )
    ids = [
        b"\x0d\x00\x27\x10",
        b"\x0d\x27\x10",
        b"\x01\x00\x01",
        b"\x14\0\0\x7e\xd9\x00\x27\x10",
        b"\x01",
        b"",
        bytes(99),
    ]
    exporters.send(flows(["applicationId"], *map(build.var, ids)))
    assert exporters.column("applicationName") == ["ten", "ten", "icmp", "own", None, None, None]
    exporters.flows.clear()
    exporters.send(flows(["applicationId[2]"], b"\x01\x01", b"\x01\x02", id=257))
    assert exporters.column("applicationName") == ["icmp", None]


def test_the_application_name_of_the_record_goes_first() -> None:
    exporters = Exporters()
    exporters.send(applications((b"\x01\x01", "icmp")))
    own = [build.var(b"\x01\x01") + build.var(name) for name in (b"mine", b"", b"\xff")]
    exporters.send(flows(["applicationId", "applicationName"], *own))
    decoder = Decoder(None, derived=["applicationName"], options=exporters.tables)
    (batch,) = [decoder.decode(sets) for sets in exporters.flows]
    assert [row["applicationName#2"] for row in batch.rows()] == ["mine", "icmp", "icmp"]
    own[1:] = []
    exporters.flows.clear()
    exporters.send(flows(["applicationId", "applicationName"], *own))
    (batch,) = [decoder.decode(sets) for sets in exporters.flows]
    assert [row["applicationName#2"] for row in batch.rows()] == ["mine"]


def test_samplers_are_named_by_either_id() -> None:
    exporters = Exporters()
    exporters.send(options(["selectorId"], ["selectorName[4]"], build.uint(1, 8) + b"new1", build.uint(2, 8) + b"new2"))
    exporters.send(options(["observationDomainId"], ["samplerId", "samplerName[4]"], build.uint(1) + b"\1old1", id=301))
    exporters.send(
        flows(["samplerId"], b"\1", b"\2"), flows(["selectorId"], build.uint(1, 8), build.uint(3, 8), id=257)
    )
    exporters.send(flows(["samplerId[4]"], build.uint(1), id=258))
    assert exporters.column("samplerName") == ["old1", "new2", "new1", None, "old1"]


def test_without_options_or_fields_names_are_null() -> None:
    (sets,) = data_sets(flows(["ingressInterface", "applicationId"], build.uint(1) + build.var(b"\1\1")))
    assert list(Decoder(JOINED).decode(sets).tuples()) == [(None,) * len(JOINED)]
    exporters = Exporters()
    exporters.send(interfaces((1, "eth1")), flows(["octetDeltaCount"], bytes(8)))
    (batch,) = exporters.batches(*JOINED)
    assert list(batch.tuples()) == [(None,) * len(JOINED)]


def test_null_fields_find_nothing() -> None:
    exporters = Exporters()
    exporters.send(interfaces((0, "zero"), (1, "one")), flows(["ingressInterface[0]", "vlanId"], bytes(2)))
    assert exporters.column("ingressInterfaceName") == [None]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_joined_is_what_a_dict_would_give(seed: int) -> None:
    """Many Messages of several domains, interfaces whose names change, and every kind of number."""
    rng = random.Random(seed)
    exporters = Exporters()
    numbers = [rng.randrange(2 ** rng.choice((4, 16, 31, 32))) or 1 for _ in range(rng.choice((3, 300, 900)))]
    said: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for at in range(0, 30, 10):
        for domain in (1, 2):
            told = [(number, f"{number % 1000} {rng.randrange(3)}") for number in dict.fromkeys(numbers)]
            for number, name in told:
                said.setdefault((domain, number), []).append((at, name))
            exporters.send(interfaces(*told, domain=domain, export_time=T + at))
    expected, messages = [], []
    for _ in range(40):
        domain, at = rng.choice((1, 2)), rng.randrange(40)
        wanted = [rng.choice(numbers) if rng.random() < 0.9 else rng.randrange(2**32) for _ in range(100)]
        for number in wanted:
            known = said.get((domain, number), [])
            expected.append(next((name for since, name in reversed(known) if since <= at), None))
        messages.append(on_interfaces(*wanted, domain=domain, export_time=T + at))
    exporters.flows = data_sets(*messages)
    assert exporters.column("ingressInterfaceName") == expected


def test_names_that_would_fill_the_memory_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_TEXT_OCTETS", 1000)
    exporters = Exporters()
    record = build.uint(1) + "é".encode() * 20
    exporters.send(options(["ingressInterface"], ["interfaceName[40]"], record), on_interfaces(*[1] * 59))
    assert exporters.column("ingressInterfaceName") == ["é" * 8] * 59


def test_the_columns_are_registered() -> None:
    assert set(JOINED) < set(DERIVED)
