"""Columns equal the plain-Python reader, record by record, for any template and any octets in its records."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder
from headwater.session import DataSets, Session
from headwater.wire.records import ValueFault
from tests import oracle
from tests.batch.maker import Maker


def compare(sets: DataSets) -> None:
    faults: list[ValueFault] = []
    rows = list(oracle.records(sets, faults))
    oracle.assert_decoder_agrees(sets, rows, faults)


def check(pick: random.Random, *, salvage: bool) -> None:
    for event in Session(transport="file", salvage=salvage).receive(Maker(pick).octets()):
        if isinstance(event, DataSets):
            compare(event)


@settings(max_examples=150)
@given(st.integers(0, 2**63))
def test_a_batch_is_what_the_reader_reads(seed: int) -> None:
    check(random.Random(seed), salvage=False)


@settings(max_examples=75)
@given(st.integers(0, 2**63))
def test_a_salvaged_batch_is_what_the_reader_reads(seed: int) -> None:
    check(random.Random(seed), salvage=True)


@settings(max_examples=75)
@given(st.integers(0, 2**63))
def test_no_octets_are_too_much(seed: int) -> None:
    pick = random.Random(seed)
    octets = bytearray(Maker(pick).octets())
    for _ in range(pick.randrange(1, 8)):
        octets[pick.randrange(16, len(octets))] = pick.randrange(256)
    decoder = Decoder(provenance=["exportTime", "exporterIPv4Address"])
    for event in Session(transport="file", salvage=True, resync=True).receive(bytes(octets)):
        if isinstance(event, DataSets):
            batch = decoder.decode(event)
            assert len(list(batch.rows(lists="full", times="text"))) == len(batch)
            assert len(list(batch.tuples())) == len(batch.to_arrow())
