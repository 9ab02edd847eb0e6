"""Sampling rates: what elements say, where they are looked for, and counters scaled by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch.derived import DERIVED
from headwater.batch.sampling import RATES, rate_of, scaled
from headwater.session import DataSets, Session
from tests import build
from tests.batch.exporters import Exporters, flows, interfaces, options
from tests.batch.source import data_sets
from tests.spec.vectors import VECTORS

RATE, SOURCE = "samplingRate", "samplingSource"
T = build.EXPORT_TIME


def rates(exporters: Exporters) -> list[tuple[float | None, str | None]]:
    return [(row[RATE], row[SOURCE]) for batch in exporters.batches(RATE, SOURCE) for row in batch.rows()]


def flows9(fields: Sequence[build.FieldSpec], *records: bytes, id: int = 256, source_id: int = 0) -> bytes:
    """A NetFlow v9 packet with a Template and its records."""
    sets = build.netflow9_template(id, *fields), build.any_set(id, b"".join(records))
    return build.netflow9(*sets, count=1 + len(records), source_id=source_id)


def options9(
    scope: Sequence[build.FieldSpec],
    values: Sequence[build.FieldSpec],
    *records: bytes,
    id: int = 300,
    source_id: int = 0,
) -> bytes:
    """A NetFlow v9 packet with an Options Template and its records."""
    sets = build.netflow9_options_template(id, scope, *values), build.any_set(id, b"".join(records))
    return build.netflow9(*sets, count=1 + len(records), source_id=source_id)


SAID: list[tuple[dict[str, Any], float | None]] = [
    ({"samplingInterval": 500}, 500.0),
    ({"samplingInterval": 1}, 1.0),
    ({"samplingInterval": 0}, None),
    ({"samplerRandomInterval": 1000, "samplerMode": 2}, 1000.0),
    ({"samplingPacketInterval": 1, "samplingPacketSpace": 499}, 500.0),
    ({"samplingPacketInterval": 2, "samplingPacketSpace": 3}, 2.5),
    ({"samplingPacketInterval": 1, "samplingPacketSpace": 0}, 1.0),
    ({"samplingPacketInterval": 0, "samplingPacketSpace": 9}, None),
    ({"samplingPacketInterval": 500}, None),
    # akvorado#1189: both, and the old one counts otherwise
    ({"samplingInterval": 500, "samplingPacketInterval": 1, "samplingPacketSpace": 499}, 500.0),
    ({"samplingInterval": 7, "samplingPacketInterval": 0, "samplingPacketSpace": 499}, 7.0),
    ({"samplingTimeInterval": 100, "samplingTimeSpace": 900}, 10.0),
    ({"samplingSize": 10, "samplingPopulation": 1000}, 100.0),
    ({"samplingSize": 10, "samplingPopulation": 9}, None),
    ({"samplingSize": 0, "samplingPopulation": 9}, None),
    ({"samplingProbability": 0.125}, 8.0),
    ({"samplingProbability": 0.0}, None),
    ({"samplingProbability": 1.5}, None),
    ({"samplingProbability": math.nan}, None),
    ({"samplingProbability": math.inf}, None),
    ({"samplingProbability": 1e-300}, None),
    # IOS-XR: 305 = 1 beside what algorithm 3 really means
    ({"selectorAlgorithm": 3, "samplingPacketInterval": 1, "samplingSize": 1, "samplingPopulation": 4000}, 4000.0),
    (
        {
            "selectorAlgorithm": 3, "samplingPacketInterval": 1, "samplingPacketSpace": 1,
            "samplingSize": 1, "samplingPopulation": 4,
        },
        4.0,
    ),
    ({"selectorAlgorithm": 3, "samplingPacketInterval": 1, "samplingPacketSpace": 1}, 2.0),
    ({"selectorAlgorithm": 5}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("said", "rate"), SAID, ids=[str(said) for said, _ in SAID])
def test_a_rate_is_what_its_elements_say(said: dict[str, Any], rate: float | None) -> None:
    assert rate_of(said) == rate
    if not said:
        return
    exporters = Exporters()
    exporters.send(flows(said, b"".join(octets(name, value) for name, value in said.items())))
    assert rates(exporters) == [(rate, None if rate is None else "record")]


def octets(name: str, value: float) -> bytes:
    width = {"samplingProbability": 8, "selectorAlgorithm": 2, "samplerMode": 1}.get(name, 4)
    return build.float64(value) if name == "samplingProbability" else build.uint(int(value), width)


def test_rules_name_elements_by_their_numbers() -> None:
    known = Session().registry
    for rule in RATES:
        assert tuple(known.get(0, id).name for id in rule.ids) == rule.names


def test_samplers_are_found_by_their_id_among_several() -> None:
    """akvorado#997: two samplers on a box, and the id tells which."""
    exporters = Exporters()
    values = ["samplerId", "samplerMode", "samplerRandomInterval"]
    records = [build.uint(1) + bytes((i, 2)) + build.uint(2000 * i) for i in (1, 2)]
    exporters.send(flows(["samplerId"], b"\1", b"\2", b"\3"), options(["observationDomainId"], values, *records))
    assert rates(exporters) == [(2000.0, "sampler"), (4000.0, "sampler"), (None, None)]


def test_a_sampler_nobody_refers_to_says_nothing_of_the_exporter() -> None:
    exporters = Exporters()
    exporters.send(options(["selectorId"], ["samplingInterval"], build.uint(1, 8) + build.uint(100)))
    exporters.send(flows(["octetDeltaCount"], bytes(8)))
    assert rates(exporters) == [(None, None)]


def sampled(scope: str, number: int, rate: int, id: int) -> bytes:
    width = {"selectorId": 8, "selectionSequenceId": 8}.get(scope, 4)
    return options([scope], ["samplingInterval"], build.uint(number, width) + build.uint(rate), id=id)


def test_the_first_place_that_knows_is_asked() -> None:
    exporters = Exporters()
    exporters.send(
        sampled("selectorId", 1, 2, 300), sampled("selectionSequenceId", 1, 3, 301),
        sampled("ingressInterface", 1, 4, 302), sampled("egressInterface", 1, 5, 303),
        sampled("observationDomainId", 1, 6, 304),
    )  # fmt: skip
    fields = ["samplingInterval", "selectorId", "selectionSequenceId", "ingressInterface", "egressInterface"]
    widths = (4, 8, 8, 4, 4)
    known = [[1] * 5] + [[0] * (i + 1) + [1] * (4 - i) for i in range(5)]
    exporters.send(flows(fields, *[b"".join(map(build.uint, row, widths)) for row in known]))
    assert rates(exporters) == [
        (1.0, "record"), (2.0, "sampler"), (3.0, "selectionSequence"), (4.0, "ingressInterface"),
        (5.0, "egressInterface"), (6.0, "exporter"),
    ]  # fmt: skip


def test_an_interface_is_sampled_in_the_direction_that_was_said() -> None:
    exporters = Exporters()
    exporters.send(sampled("ingressInterface", 1, 4, 300))
    exporters.send(flows(["egressInterface"], build.uint(1)), flows(["ingressInterface"], build.uint(1), id=257))
    assert rates(exporters) == [(None, None), (4.0, "ingressInterface")]


def test_interface_0_stands_for_all_of_them() -> None:
    """So softflowd has it."""
    exporters = Exporters()
    exporters.send(sampled("ingressInterface", 0, 100, 300), flows(["ingressInterface"], build.uint(7), build.uint(0)))
    assert rates(exporters) == [(100.0, "exporter")] * 2


def test_samplers_of_interface_0_are_not_those_of_the_exporter() -> None:
    exporters = Exporters()
    values = ["samplerId", "samplerRandomInterval"]
    records = [build.uint(0) + bytes((i,)) + build.uint(100 * i) for i in (1, 2)]
    exporters.send(options(["ingressInterface"], values, *records))
    exporters.send(flows(["samplerId", "ingressInterface"], b"\1" + build.uint(0), b"\3" + build.uint(0)))
    assert rates(exporters) == [(100.0, "sampler"), (None, None)]


def test_a_name_of_an_interface_does_not_hide_its_rate() -> None:
    exporters = Exporters()
    exporters.send(sampled("ingressInterface", 1, 4, 300), interfaces((1, "eth1"), id=301))
    exporters.send(flows(["ingressInterface"], build.uint(1)))
    assert rates(exporters) == [(4.0, "ingressInterface")]
    assert exporters.column("ingressInterfaceName") == ["eth1"]


def test_a_rate_that_changes_holds_from_then_on() -> None:
    exporters = Exporters()
    for at, rate in ((0, 10), (100, 20)):
        record = build.uint(1) + build.uint(rate)
        exporters.send(options(["observationDomainId"], ["samplingInterval"], record, export_time=T + at))
        exporters.send(
            flows(["vlanId"], bytes(2), export_time=T + at), flows(["vlanId"], bytes(2), export_time=T + at + 50)
        )
    assert [rate for rate, _ in rates(exporters)] == [10.0, 10.0, 20.0, 20.0]


def chain(*selectors: int, id: int = 1, **header: Any) -> bytes:
    record = b"".join(build.uint(number, 8) for number in (id, *selectors))
    return options(["selectionSequenceId"], ["selectorId"] * len(selectors), record, id=290, **header)


def test_selectors_in_a_row_multiply() -> None:
    exporters = Exporters()
    exporters.send(chain(1, 2), chain(1, 3, id=2), chain(1, 4, id=3), chain(1, 9, id=4))
    exporters.send(sampled("selectorId", 1, 10, 300), sampled("selectorId", 2, 5, 300))
    match = [build.uint(i, 8) + build.uint(algorithm, 2) for i, algorithm in ((3, 5), (4, 6))]
    exporters.send(options(["selectorId"], ["selectorAlgorithm"], *match, id=301))
    exporters.send(flows(["selectionSequenceId"], *[build.uint(i, 8) for i in (1, 2, 3, 4, 5)]))
    known = (50.0, "selectionSequence"), (10.0, "selectionSequence")
    assert rates(exporters) == [*known, (None, None), (None, None), (None, None)]


def test_a_chain_changes_when_one_of_its_selectors_does() -> None:
    exporters = Exporters()
    exporters.send(chain(1, 2), sampled("selectorId", 1, 10, 300))
    for at, rate in ((0, 2), (100, 3)):
        record = build.uint(2, 8) + build.uint(rate)
        exporters.send(options(["selectorId"], ["samplingInterval"], record, export_time=T + at))
    for at in (0, 99, 100):
        exporters.send(flows(["selectionSequenceId"], build.uint(1, 8), export_time=T + at))
    assert [rate for rate, _ in rates(exporters)] == [20.0, 20.0, 30.0]


def test_a_chain_of_any_length_is_bounded() -> None:
    exporters = Exporters()
    exporters.send(chain(*[1] * 400), sampled("selectorId", 1, 1, 300))
    exporters.send(flows(["selectionSequenceId"], build.uint(1, 8)))
    assert rates(exporters) == [(None, None)]


@pytest.mark.parametrize(("field", "rate"), [(0x4064, 100.0), (0x8001, 1.0), (0, 1.0), (0xFFFF, 16383.0)])
def test_netflow_v5_says_it_in_its_header(field: int, rate: float) -> None:
    octets = bytearray.fromhex(VECTORS["NFV5-2"]["hex"][0])
    octets[22:24] = build.uint(field, 2)
    (sets,) = [event for event in Session().receive(bytes(octets)) if isinstance(event, DataSets)]
    batch = Decoder([RATE, SOURCE, "octetDeltaCount", "scaledOctetDeltaCount"]).decode(sets)
    assert [tuple(row.values()) for row in batch.rows()] == [(rate, "header", 5000, int(5000 * rate))] * 2


def test_what_a_process_says_is_not_said_of_other_versions_from_its_address() -> None:
    exporters = Exporters()
    system = options9([(1, 4)], [(34, 4), (35, 1)], bytes(4) + build.uint(3) + b"\2")
    flow = build.netflow5_record("192.0.2.1", "192.0.2.2")
    for order in (1, -1):
        for port, packet in [
            (1, system),
            (2, build.netflow5(flow, sampling=1 << 14 | 4)),
            (3, flows(["octetDeltaCount"], bytes(8), domain=0)),
            (4, flows(["octetDeltaCount"], bytes(8), domain=42)),
            (5, flows9([(1, 4)], bytes(4))),
        ][::order]:
            exporters.send(packet, address="192.0.2.9", port=port)
    unknown = (None, None)
    once = [(4.0, "header"), unknown, unknown, (3.0, "exporter")]
    assert rates(exporters) == [*once, *once[::-1]]


def test_cisco_samplers_in_two_octets_are_found_by_version_9_flows() -> None:
    """48 to 50 of the sampler's table (RFC 3954 §8): mode 2 is random, one packet of 1,000."""
    exporters = Exporters()
    table = [(48, 2), (49, 1), (50, 4)]
    exporters.send(options9([(1, 4)], table, bytes(4) + build.uint(7, 2) + b"\2" + build.uint(1000)))
    exporters.send(flows9([(48, 1), (1, 4)], b"\7" + build.uint(60), b"\10" + build.uint(60)))
    assert rates(exporters) == [(1000.0, "sampler"), (None, None)]
    assert exporters.column("scaledOctetDeltaCount") == [60_000, None]


RULES: list[tuple[list[str], bytes, float]] = [
    (["samplingInterval"], build.uint(500), 500.0),
    (["selectorAlgorithm[2]", "samplingPacketInterval", "samplingPacketSpace"],
     build.uint(1, 2) + build.uint(1) + build.uint(499), 500.0),
    (["selectorAlgorithm[2]", "samplingTimeInterval", "samplingTimeSpace"],
     build.uint(2, 2) + build.uint(250) + build.uint(750), 4.0),
    (["selectorAlgorithm[2]", "samplingSize", "samplingPopulation"],
     build.uint(3, 2) + build.uint(2) + build.uint(25), 12.5),
    (["selectorAlgorithm[2]", "samplingProbability"], build.uint(4, 2) + build.float64(0.01), 100.0),
    (["samplerRandomInterval"], build.uint(64), 64.0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "source"),
    [("selectorId", "sampler"), ("ingressInterface", "ingressInterface"), ("observationDomainId", "exporter")],
)
@pytest.mark.parametrize(("names", "values", "rate"), RULES, ids=[" ".join(names) for names, _, _ in RULES])
def test_each_rule_holds_for_a_selector_an_interface_and_the_exporter(
    scope: str, source: str, names: list[str], values: bytes, rate: float
) -> None:
    exporters = Exporters()
    exporters.send(options([scope], names, build.uint(1, 8 if scope == "selectorId" else 4) + values))
    exporters.send(flows(["selectorId", "ingressInterface"], build.uint(1, 8) + build.uint(1)))
    assert rates(exporters) == [(rate, source)]


def test_vector_nfv9_sampling_interface_beats_exporter() -> None:
    exporters = Exporters()
    exporters.send(bytes.fromhex(VECTORS["NFV9-SAMPLING"]["hex"][0]))
    exporters.send(
        flows9([(10, 4)], build.uint(7), build.uint(8), source_id=33),
        flows9([(48, 1)], b"\1", id=257, source_id=33),
    )
    assert rates(exporters) == [(1000.0, "ingressInterface"), (100.0, "exporter"), (1000.0, "sampler")]


def test_vector_rfc5476_selectors_have_rates() -> None:
    exporters = Exporters()
    exporters.send(bytes.fromhex(VECTORS["RFC5476-GHIJ"]["hex"][0]))
    exporters.send(
        flows(["selectorId"], *[build.uint(i, 8) for i in (15, 16, 17)]),
        flows(["selectionSequenceId"], build.uint(7, 8), id=257),
    )
    # the selectors of sequence 7 are not described
    assert rates(exporters) == [(10.0, "sampler")] * 3 + [(None, None)]


# ---------------------------------------------------------------- scaled counters


def test_scaled_counters_stand_beside_the_raw_ones() -> None:
    exporters = Exporters()
    exporters.send(sampled("ingressInterface", 1, 100, 300))
    records = [build.uint(1500, 8) + build.uint(3, 4) + build.uint(i) for i in (1, 2)]
    exporters.send(flows(["octetDeltaCount", "packetDeltaCount[4]", "ingressInterface"], *records))
    names = ["octetDeltaCount", "scaledOctetDeltaCount", "packetDeltaCount", "scaledPacketDeltaCount"]
    (batch,) = exporters.batches(*names)
    assert list(batch.tuples()) == [(1500, 150_000, 3, 300), (1500, None, 3, None)]


def test_without_a_counter_or_a_rate_nothing_is_scaled() -> None:
    (sets,) = data_sets(flows(["octetDeltaCount"], build.uint(9, 8)))
    decoder = Decoder(["scaledOctetDeltaCount", "scaledPacketDeltaCount", RATE, SOURCE])
    assert list(decoder.decode(sets).tuples()) == [(None,) * 4]


@pytest.mark.parametrize(
    ("count", "rate", "expected"),
    [
        (2**63 + 1, 1.0, 2**63 + 1),
        (2**63, 2.0, None),
        (2**62, 3.0, 3 * 2**62),
        (2**64 - 1, 1.0, 2**64 - 1),
        (3, 2.5, 8),  # 7.5: half to even
        (1, 2.5, 2),
        (5, 1.25, 6),
        (2**63, 2.5, None),
        (0, 1e15, 0),
        (7, math.nan, None),
    ],
)
def test_scaling_is_exact_or_rounded_to_even_and_never_wraps(count: int, rate: float, expected: int | None) -> None:
    for rates in ([rate], [rate, 1.5], [rate, 3.0]):
        counts = np.full(len(rates), count, np.uint64)
        assert np.ma.asarray(scaled(counts, np.array(rates))).tolist()[0] == expected


def test_the_columns_are_registered() -> None:
    assert {RATE, SOURCE, "scaledOctetDeltaCount", "scaledPacketDeltaCount"} < set(DERIVED)
