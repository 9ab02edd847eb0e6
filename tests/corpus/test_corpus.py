"""Captures of real exporters: every record and value is what their truth says, and no octets raise anything.

The captures are kept beside the repository; without them these tests are skipped. `make corpus` prints them as a table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.errors import DecodeError, FaultKind
from headwater.session import Session, SessionKey
from headwater.session.datagrams import Datagrams
from headwater.session.key import KeyPolicy, KeyRule
from tests.corpus.captures import DISPUTED, GRADES, LARGE, MORE_RECORDS, NOTHING, OTHER_VALUES, TRUSTED, VERSIONS, pcap
from tests.corpus.dump import dump, dumped_records
from tests.corpus.reading import (
    AS_IT_COMES,
    MODES,
    SECONDS_A_DATAGRAM,
    compare_capture,
    compare_records,
    datagrams,
    listen_to,
    robust,
)
from tests.corpus.truth import compare, truth, values_of
from tests.oracle import Account, Record
from tests.pcap import Datagram

pytestmark = pytest.mark.corpus

MIXED = 97
"""Datagrams in one buffer."""
FILES = {
    "cc_01_odid0": "01-odid0.ipfix",
    "cc_02_odid0": "02-odid0.ipfix",
    "cc_02_odid4": "02-odid4.ipfix",
    "cc_03_odid0_a": "03-odid0-a.ipfix",
    "cc_03_odid0_b": "03-odid0-b.ipfix",
    "cc_04_odid256_512": "04-odid256,512.ipfix",
    "cc_missing_template_258": "missing-template-258.ipfix",
    "cc2_example_flows": "example_flows.ipfix",
    "gen_libfixbuf_struct_n": "fb_struct_n.ipfix",
    "gen_libfixbuf_struct_t": "fb_struct_t.ipfix",
    "gen_python_ipfix": "pyipfix.ipfix",
}
"""Captures that were IPFIX files before."""
WITH_SFLOW = [name for name, versions in VERSIONS.items() if "sflow5" in versions]


def some(*names: str) -> list[Any]:
    """Names of captures; the large ones are left out where there is no time."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in names]


def test_the_list_of_captures_is_that_of_the_catalogue(corpus: Path) -> None:
    catalogue = json.loads((corpus / "catalogue.json").read_text())
    assert {entry["name"]: entry["truth_grade"] for entry in catalogue} == GRADES
    assert {entry["name"]: set(entry["versions"]) for entry in catalogue} == {n: set(v) for n, v in VERSIONS.items()}


@pytest.mark.parametrize("name", [name for name in GRADES if name not in DISPUTED])
def test_every_record_and_value_of_a_capture_is_what_the_truth_says(corpus: Path, name: str) -> None:
    outcome = compare_capture(corpus, name)
    assert [str(difference) for difference in outcome.differences] == []
    expected = truth(corpus, name)
    more = sum(count - len(expected[frame]) for (of, frame), count in MORE_RECORDS.items() if of == name)
    assert outcome.decoded == outcome.expected + more
    # every value of the truth has been compared
    assert outcome.fields == sum(len(values_of(record)) for records in expected.values() for record in records)


def test_a_wrong_value_is_a_difference_in_both_ways_of_reading(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OTHER_VALUES, ("gen_sf_v5", 1, "octetDeltaCount"), 1)
    outcome = compare_capture(corpus, "gen_sf_v5")
    records = len(truth(corpus, "gen_sf_v5")[1])
    assert len(outcome.differences) == 2 * records
    assert "octetDeltaCount: the truth has 1, we have" in str(outcome.differences[0])


@pytest.mark.parametrize("name", some(*TRUSTED))
def test_salvage_reads_the_same_records_of_what_is_whole(corpus: Path, name: str) -> None:
    accounts, frames = listen_to(datagrams(corpus, name), salvage=True)
    assert compare_records(frames, truth(corpus, name), name) == []
    counters = [told.session.counters for told in accounts.values()]
    assert sum(c["records"] for c in counters) == sum(map(len, frames.values()))
    assert sum(c["messages_malformed"] for c in counters) == 0


def test_all_captures_mixed_in_one_session_are_kept_apart(corpus: Path) -> None:
    # turn by turn, in buffers of many datagrams; every exporter of every capture has an address of its own
    found = {name: datagrams(corpus, name) for name in TRUSTED if name not in LARGE}
    turns = [(name, d) for turn in zip_longest(*found.values()) for name, d in zip(found, turn, strict=True) if d]
    told = Account(Session(limits=AS_IT_COMES, policy=KeyPolicy(KeyRule.RFC)))
    keys: dict[SessionKey, int] = {}
    frames: dict[str, dict[int, list[Record]]] = {name: {d.frame: [] for d in found[name]} for name in found}
    rest = iter(turns)
    while part := list(islice(rest, MIXED)):
        before = len(told.items)
        told.add(told.session.receive_datagrams(mixed(part, keys)), 0)
        for item in told.items[before:]:
            if isinstance(item, Record):
                name, datagram = part[int(item.sets.messages.offset[item.message]) >> 16]
                frames[name][datagram.frame].append(item)
    assert [d for name in found for d in compare_records(frames[name], truth(corpus, name), name)] == []


def mixed(part: Sequence[tuple[str, Datagram]], keys: dict[SessionKey, int]) -> Datagrams:
    """Datagrams of captures in one buffer; each seems to begin at a multiple of 65536 of its source."""
    payloads = [datagram.payload for _, datagram in part]
    ends = np.cumsum([len(payload) for payload in payloads]).astype(np.int32)
    peers = [SessionKey(f"{name} {d.source}", d.source_port, d.destination, d.destination_port) for name, d in part]
    return Datagrams(
        np.frombuffer(b"".join(payloads), np.uint8),
        ends - np.array([len(payload) for payload in payloads], np.int32),
        ends,
        np.array([keys.setdefault(peer, len(keys)) for peer in peers], np.int32),
        list(keys),
        np.arange(len(part), dtype=np.int64) << 16,
        np.zeros(len(part), np.int64),
    )


@pytest.mark.parametrize("name", NOTHING)
def test_where_nothing_can_be_decoded_nothing_is(corpus: Path, name: str) -> None:
    accounts, frames = listen_to(datagrams(corpus, name))
    assert not any(frames.values())
    reading = hw.read(pcap(corpus, name), limits=AS_IT_COMES)
    assert list(reading) == []
    if name != "fl_v9_as2":  # a Template and nothing else: nothing is lost
        # what is lost is told: a fault for each capture, and for withdrawals over UDP too
        assert sum(len(told.faults) for told in accounts.values()) > 0
        assert reading.report.faults.total() > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GRADES)
def test_no_capture_raises_or_takes_long(corpus: Path, name: str, mode: str) -> None:
    found = datagrams(corpus, name)
    session = Session(**MODES[mode])
    start = time.process_time()
    for datagram in found:
        try:
            list(session.receive(datagram.payload))
        except DecodeError:
            assert mode == "strict"
    assert (time.process_time() - start) / len(found) < SECONDS_A_DATAGRAM


@pytest.mark.parametrize("name", DISPUTED)
def test_disputed_captures_are_read_in_every_mode_and_columns_are_what_the_oracle_reads(
    corpus: Path, name: str
) -> None:
    assert robust(corpus, name) == []


@pytest.mark.parametrize("name", WITH_SFLOW)
def test_datagrams_of_sflow_are_counted_and_named(corpus: Path, name: str) -> None:
    found = [d for d in datagrams(corpus, name) if d.payload[:4] == b"\0\0\0\5"]
    accounts, frames = listen_to(found)
    assert found
    assert not any(frames.values())
    assert sum(told.session.counters["sflow"] for told in accounts.values()) == len(found)
    assert sum(told.kinds[FaultKind.SFLOW] for told in accounts.values()) == len(found)
    reading = hw.read(pcap(corpus, name))
    records = sum(batch.num_rows for batch in reading)
    assert records == sum(map(len, truth(corpus, name).values()))
    told = [fault for fault in reading.report.sources[0].fault_list if fault.kind is FaultKind.SFLOW]
    assert sum(fault.count for fault in told) == len(found)
    assert len(told) == len({fault.key for fault in told})


@pytest.mark.parametrize("name", some(*FILES))
def test_the_file_of_a_capture_says_the_same(corpus: Path, name: str) -> None:
    octets = (corpus / "original" / name / FILES[name]).read_bytes()
    told = Account(Session(transport="file", limits=AS_IT_COMES)).feed(octets).close()
    expected = [record for records in truth(corpus, name).values() for record in records]
    assert len(told.records) == len(expected)
    for record, values in zip(told.records, expected, strict=True):
        assert compare(record, values, name) == []
    assert told.session.offset == len(octets)


@pytest.mark.parametrize("name", ["gen_libfixbuf_struct_n", "gen_libfixbuf_struct_t"])
def test_structured_data_is_what_ipfixdump_reads(corpus: Path, name: str) -> None:
    folder = corpus / "original" / name
    told = Account(Session(transport="file")).feed((folder / FILES[name]).read_bytes()).close()
    dumped = dumped_records(next(folder.glob("*.dump.txt")).read_text())
    ours = [list(dump(number, r.template, r.values)) for number, r in enumerate(told.records, 1)]
    assert ours == dumped


def test_no_exception_from_the_truth_is_left_over(corpus: Path) -> None:
    assert {name for name, *_ in [*MORE_RECORDS, *OTHER_VALUES]} <= set(TRUSTED)
    for (name, frame, key), value in OTHER_VALUES.items():
        assert [record[key] for record in truth(corpus, name)[frame]] != [value]
