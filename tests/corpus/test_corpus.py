"""Captures of real exporters: every record and value is what their truth says, and no octets raise anything.

The captures are kept beside the repository; without them these tests are skipped.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import DecodeError, FaultKind
from headwater.session import Limits, Session
from tests.corpus.captures import GRADES, MORE_RECORDS, OTHER_VALUES, TRUSTED, assert_is, truth
from tests.corpus.dump import dump, dumped_records
from tests.oracle import Account, Record
from tests.pcap import Datagram, read_pcap

pytestmark = pytest.mark.corpus

AS_IT_COMES = Limits(held_sets=0)
"""The truth has no records that came before their template."""
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


def datagrams(corpus: Path, name: str) -> list[Datagram]:
    return read_pcap(corpus / "data" / f"{name}.pcap")


def listen_to(
    found: list[Datagram], limits: Limits = AS_IT_COMES, **options: Any
) -> tuple[dict[tuple[str, int, str, int], Account], dict[int, list[Record]]]:
    """(account of each transport session, records of each frame)."""
    accounts: dict[tuple[str, int, str, int], Account] = {}
    frames = {}
    for datagram in found:
        told = accounts.setdefault(datagram.session, Account(Session(limits=limits, **options)))
        before = len(told.items)
        told.feed(datagram.payload)
        frames[datagram.frame] = [item for item in told.items[before:] if isinstance(item, Record)]
    return accounts, frames


def test_the_list_of_captures_is_that_of_the_catalogue(corpus: Path) -> None:
    catalogue = json.loads((corpus / "catalogue.json").read_text())
    assert {entry["name"]: entry["truth_grade"] for entry in catalogue if "10" in entry["versions"]} == GRADES


@pytest.mark.parametrize("salvage", [False, True], ids=["whole", "salvage"])
@pytest.mark.parametrize("name", TRUSTED)
def test_every_record_and_value_is_what_the_truth_says(corpus: Path, name: str, salvage: bool) -> None:
    expected = truth(corpus, name)
    accounts, frames = listen_to(datagrams(corpus, name), salvage=salvage)
    assert expected.keys() <= frames.keys()
    for frame, records in frames.items():
        wanted = expected.get(frame, [])
        assert len(records) == MORE_RECORDS.get((name, frame), len(wanted))
        for record, values in zip(records, wanted, strict=False):  # where there are more, the truth has the first
            assert_is(record, values, name)
    counters = [told.session.counters for told in accounts.values()]
    assert sum(c["records"] for c in counters) == sum(map(len, frames.values()))
    assert sum(c["messages_malformed"] for c in counters) == 0


@pytest.mark.parametrize("name", [name for name, grade in GRADES.items() if grade == "B0"])
def test_where_nothing_can_be_decoded_nothing_is(corpus: Path, name: str) -> None:
    accounts, frames = listen_to(datagrams(corpus, name))
    assert not any(frames.values())
    # what is lost is told: a fault for each capture, and for withdrawals over UDP too
    assert sum(len(told.faults) for told in accounts.values()) > 0


@pytest.mark.parametrize("options", [{}, {"salvage": True}, {"strict": True}], ids=["whole", "salvage", "strict"])
@pytest.mark.parametrize("name", GRADES)
def test_no_capture_raises_or_takes_long(corpus: Path, name: str, options: dict[str, Any]) -> None:
    found = datagrams(corpus, name)
    session = Session(**options)
    start = time.process_time()
    for datagram in found:
        try:
            list(session.receive(datagram.payload))
        except DecodeError:
            assert "strict" in options
    assert (time.process_time() - start) / len(found) < 0.05


@pytest.mark.parametrize("name", [name for name, grade in GRADES.items() if grade == "D"])
def test_disputed_captures_decode_alike_in_columns_and_one_by_one(corpus: Path, name: str) -> None:
    for salvage in (False, True):
        listen_to(datagrams(corpus, name), limits=Limits(), salvage=salvage)  # every Account compares the two


@pytest.mark.parametrize(("name", "version"), [("pn_tests", "NetFlow v9"), ("vw_ipfix", "NetFlow v9")])
def test_packets_of_other_protocols_are_version_faults(corpus: Path, name: str, version: str) -> None:
    found = [d for d in datagrams(corpus, name) if d.payload[:2] != b"\0\x0a"]
    accounts, frames = listen_to(found)
    faults = [fault for told in accounts.values() for fault in told.faults]
    assert [fault.kind for fault in faults] == [FaultKind.VERSION] * len(found)
    assert any(version in fault.detail for fault in faults)
    assert not any(frames.values())


@pytest.mark.parametrize("name", FILES)
def test_the_file_of_a_capture_says_the_same(corpus: Path, name: str) -> None:
    octets = (corpus / "original" / name / FILES[name]).read_bytes()
    told = Account(Session(transport="file", limits=AS_IT_COMES)).feed(octets).close()
    expected = [record for records in truth(corpus, name).values() for record in records]
    assert len(told.records) == len(expected)
    for record, values in zip(told.records, expected, strict=True):
        assert_is(record, values, name)
    assert told.session.offset == len(octets)


@pytest.mark.parametrize("name", ["gen_libfixbuf_struct_n", "gen_libfixbuf_struct_t"])
def test_structured_data_is_what_ipfixdump_reads(corpus: Path, name: str) -> None:
    folder = corpus / "original" / name
    told = Account(Session(transport="file")).feed((folder / FILES[name]).read_bytes()).close()
    dumped = dumped_records(next(folder.glob("*.dump.txt")).read_text())
    ours = [list(dump(number, r.template, r.values)) for number, r in enumerate(told.records, 1)]
    assert ours == dumped


def test_no_exception_from_the_truth_is_left_over() -> None:
    assert {name for name, *_ in [*MORE_RECORDS, *OTHER_VALUES]} <= set(TRUSTED)
