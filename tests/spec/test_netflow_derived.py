"""What the test vectors say of times and sampling of NetFlow."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.batch import Decoder
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.batch.times import SUSPECT
from headwater.session import DataSets, Session
from tests import build as b
from tests.spec.hostile import DATA
from tests.spec.hostile_netflow import template_set, v9
from tests.spec.vectors import VECTORS, octets

TIMES = ("flowStart", "flowEnd", "flowDuration", "timeSource")
RATES = ("samplingRate", "samplingSource", "octetDeltaCount", "scaledOctetDeltaCount")
NS = 1_000_000


def derive(names: tuple[str, ...], *packets: bytes) -> list[dict[str, Any]]:
    """Those columns of the data records, by what the options before them said."""
    session, options = Session(), OptionsTables()
    out = []
    for packet in packets:
        for event in session.receive(packet):
            if isinstance(event, DataSets) and event.template.scope_count:
                options.learn(Decoder(None, OPTIONS_FACTS).decode(event))
            elif isinstance(event, DataSets):
                out += list(Decoder(names, options=options).decode(event).rows())
    return out


@pytest.mark.parametrize("id", ["NFV9-TIME", "NFV5-2", "NFV1-1"])
def test_times_are_those_of_the_vector(id: str) -> None:
    rows = derive(TIMES, *octets(VECTORS[id]))
    wanted = [(one["start_ms"], one["end_ms"]) for one in VECTORS[id]["expect"]["derived"]]
    # the vectors have milliseconds, and headers before v9 have nanoseconds
    assert [(row["flowStart"] // NS, row["flowEnd"] // NS) for row in rows] == wanted
    assert [row["flowDuration"] for row in rows] == [row["flowEnd"] - row["flowStart"] for row in rows]
    assert {row["timeSource"] for row in rows} == {"flowStartSysUpTime+header"}


def test_h75_a_flow_that_starts_after_its_packet_is_suspect_and_not_49_days_away() -> None:
    (row,) = derive(TIMES, *map(bytes.fromhex, DATA["H75"]["hex"]))
    assert SUSPECT in row["timeSource"]
    export_ns = 0x45D48CFB * 1000 * NS
    assert row["flowStart"] is None or abs(row["flowStart"] - export_ns) < 86_400_000 * NS


def test_sampling_of_a_sampler_goes_before_that_of_an_interface_and_that_before_that_of_the_exporter() -> None:
    flows = b.template(300, (10, 4), (48, 1), (1, 4)), b.template(301, (10, 4), (1, 4))
    rows = derive(
        RATES,
        *octets(VECTORS["NFV9-SAMPLING"]),
        v9(
            template_set(*flows),
            b.data_set(300, b.uint(8) + b"\1" + b.uint(10), b.uint(7) + b"\1" + b.uint(20)),
            b.data_set(301, b.uint(7) + b.uint(30), b.uint(9) + b.uint(40)),
            count=6,
            sequence=3,
            domain=33,
        ),
    )
    assert [row["octetDeltaCount"] for row in rows] == [10, 20, 30, 40]
    assert [row["samplingRate"] for row in rows] == [1000.0, 1000.0, 1000.0, 100.0]
    assert [row["samplingSource"] for row in rows] == ["sampler", "sampler", "ingressInterface", "exporter"]
    assert [row["scaledOctetDeltaCount"] for row in rows] == [10_000, 20_000, 30_000, 4_000]


def test_sampling_of_a_v5_header_is_in_its_last_14_bits() -> None:
    rows = derive(RATES, *octets(VECTORS["NFV5-2"]))
    interval = VECTORS["NFV5-2"]["expect"]["header"]["sampling_interval"]
    assert [(row["samplingRate"], row["samplingSource"]) for row in rows] == [(float(interval), "header")] * 2
    assert [row["scaledOctetDeltaCount"] for row in rows] == [5000 * interval] * 2
