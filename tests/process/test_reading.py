"""Reading: batches, rows and tables of any source, and the same whatever the windows."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.errors import FaultKind
from tests import build, packets

FLOWS = b"".join(build.flows(500))
MIXED = b"".join(build.mixed_flows(1000))


def contents(reading: hw.Reading) -> list[tuple[int, tuple[Any, ...]]]:
    return [(batch.template.id, row) for batch in reading for row in batch.tuples()]


def by_template(reading: hw.Reading) -> dict[int, list[tuple[Any, ...]]]:
    out: dict[int, list[tuple[Any, ...]]] = {}
    for id, row in contents(reading):
        out.setdefault(id, []).append(row)
    return out


def collect(reading: hw.Reading, rows: list[tuple[Any, ...]]) -> None:
    for batch in reading:
        rows += batch.tuples()


def windowed(data: Any, window: int, **how: Any) -> hw.Reading:
    reading = hw.read(data, **how)
    reading._sources.window = window
    return reading


def fd_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(FLOWS)
    return path


# --- what comes out --------------------------------------------------------------------------------------------------


def test_batches_hold_the_records_of_the_file(flows: Path) -> None:
    reading = hw.read(flows)
    rows = [row for batch in reading for row in batch.tuples()]
    assert rows == build.flow_values(500)
    assert reading.report.records == 500
    assert reading.report.messages == len(build.flows(500))
    assert reading.report.octets == len(FLOWS)
    assert reading.report.is_complete


def test_the_bundled_sample_is_read_whole(sample: Path) -> None:
    reading = hw.read(sample)
    assert sum(batch.num_rows for batch in reading) == 4554
    assert reading.report.messages == 740
    assert reading.report.is_complete


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_is_read_like_a_plain_one(compress: Any, tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    path.write_bytes(compress(FLOWS))
    reading = hw.read(path)
    assert [row for batch in reading for row in batch.tuples()] == build.flow_values(500)
    assert reading.report.sources[0].compression in ("gzip", "bzip2", "xz")
    assert reading.report.octets == len(FLOWS)


def test_options_come_unless_columns_are_selected() -> None:
    assert set(by_template(hw.read(MIXED))) == {256, 257, 258}
    assert set(by_template(hw.read(MIXED, options=False))) == {256, 257}
    assert set(by_template(hw.read(MIXED, select=["octetDeltaCount"]))) == {256, 257}
    assert set(by_template(hw.read(MIXED, select=["octetDeltaCount"], options=True))) == {256, 257, 258}
    reading = hw.read(MIXED, options=False)
    for _ in reading:
        pass
    assert (reading.report.records, reading.report.options_records) == (1000, 10)


def test_selected_columns_make_one_schema_over_all_templates() -> None:
    select = ["sourceIPv4Address", "sourceIPv6Address", "octetDeltaCount"]
    for batch in hw.read(MIXED, select=select, provenance=["exportTime"]):
        assert list(batch.columns) == [*select, "exportTime"]


def test_a_selected_name_that_means_nothing_is_an_error_at_once() -> None:
    with pytest.raises(hw.UnknownElement, match="octetDeltaCount"):
        hw.read("/nowhere", select=["octetDeltacount"])


def test_records_are_dicts_in_the_order_of_the_wire() -> None:
    rows = list(hw.records(MIXED))
    assert len(rows) == 1010
    flows = [row for row in rows if "octetDeltaCount" in row]
    assert [row["flowStartMilliseconds"] for row in flows] == [row[8] for row in build.flow_values(1000)]
    options = [number for number, row in enumerate(rows) if "exportedFlowRecordTotalCount" in row]
    assert options == [101 * number + 100 for number in range(10)]
    assert rows[0]["sourceIPv4Address"].count(".") == 3
    assert rows[5]["sourceIPv6Address"].startswith("2001:db8::")


def test_the_form_of_records_can_be_chosen() -> None:
    row = next(hw.records(FLOWS, addresses="raw", times="text", select=["sourceIPv4Address", "flowStartMilliseconds"]))
    assert row == {"sourceIPv4Address": build.flow_values(1)[0][0], "flowStartMilliseconds": "2023-11-14T22:13:20.000"}


def test_records_held_for_their_template_come_in_its_place() -> None:
    template = build.template_set(build.template(256, (1, 4)), build.template(257, (2, 4)))
    data = build.file(
        build.message(build.data_set(256, build.uint(1), build.uint(2))),
        build.message(template, build.data_set(257, build.uint(3)), build.data_set(256, build.uint(4)), sequence=2),
    )
    assert [next(iter(row.values())) for row in hw.records(data)] == [1, 2, 3, 4]


def test_structured_data_is_read() -> None:
    rows = list(hw.records(b"".join(build.lists(40))))
    assert [row["basicList"] for row in rows] == [values[1] for values in build.list_values(40)]


def described() -> list[bytes]:
    """A Message that describes an element, and one with a record that has it."""
    pen = build.DOCUMENTATION_PEN
    types = build.options_template(
        300, (346, 4), (303, 2), (339, 1), (344, 1), (345, 2), (341, build.VARIABLE), scope=2
    )
    about = build.record(
        build.uint(pen),
        build.uint(7, 2),
        build.uint(4, 1),
        build.uint(0, 1),
        build.uint(0, 2),
        build.var(b"queueDepth"),
    )
    return [
        build.message(build.options_template_set(types), build.data_set(300, about)),
        build.message(
            build.template_set(build.template(256, (7, 4, pen))), build.data_set(256, build.uint(9)), sequence=1
        ),
    ]


def test_type_information_in_a_file_names_the_elements_of_that_file_only() -> None:
    pen = build.DOCUMENTATION_PEN
    plain = build.message(build.template_set(build.template(256, (7, 4, pen))), build.data_set(256, build.uint(9)))
    first, second = (list(hw.records(data, options=False)) for data in (b"".join(described()), plain))
    assert first == [{"queueDepth": 9}]
    assert second == [{f"_{pen}_7": "00000009"}] or second == [{f"_{pen}_7": build.uint(9)}]
    both = list(hw.records([b"".join(described()), plain, b"".join(described())], options=False))
    assert both == first + second + first
    reading = hw.read([b"".join(described()), plain])
    for _ in reading:
        pass
    assert [source.elements_learned for source in reading.report.sources] == [1, 0]
    assert [str(f) for use in reading.report.sources[0].templates for f in use.template.fields][-1].startswith("queue")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tcp without an end"])
def test_elements_that_a_capture_describes_can_be_selected(transport: str) -> None:
    first, second = described()
    if transport == "udp":
        sent = [packets.udp(first), packets.udp(second)]
    else:
        peer = (*packets.PEER[:3], 4739)
        sent = [packets.tcp(b"", 99, peer, flags=packets.SYN), packets.tcp(first + second, 100, peer)]
        if transport == "tcp":
            sent.append(packets.tcp(b"", 100 + len(first + second), peer, flags=packets.FIN | packets.ACK))
    capture = packets.pcap(map(packets.ethernet, sent))
    assert list(hw.records(capture, select=["queueDepth"], options=False)) == [{"queueDepth": 9}]


# --- windows ---------------------------------------------------------------------------------------------------------


def damaged() -> bytes:
    octets = bytearray(MIXED)
    octets[5000:5040] = b"\xee" * 40
    octets[20_000:20_004] = b"\x00\x0b\x00\x00"
    return bytes(octets)


SHAPES = {
    "flows": FLOWS,
    "mixed": MIXED,
    "strings": b"".join(build.strings(300)),
    "lists": b"".join(build.lists(200)),
    "damaged": damaged(),
    "cut": MIXED[:-700],
    "zeros": FLOWS + bytes(5000),
    "garbage": FLOWS + bytes(100) + b"garbage" * 100,
}


@settings(max_examples=80, deadline=None)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    window=st.one_of(st.integers(1, 3000), st.integers(3000, 200_000)),
    resync=st.booleans(),
    salvage=st.booleans(),
    is_stream=st.booleans(),
)
def test_windows_of_any_size_give_the_same(
    shape: str, window: int, resync: bool, salvage: bool, is_stream: bool
) -> None:
    data = SHAPES[shape]
    whole, cut = (
        windowed(io.BytesIO(data) if is_stream else data, size, resync=resync, salvage=salvage)
        for size in (1 << 24, window)
    )
    assert by_template(cut) == by_template(whole)
    one, other = (report.sources[0] for report in (whole.report, cut.report))
    assert other.faults == one.faults
    if shape != "damaged":
        assert [(f.kind, f.offset, f.count) for f in other.fault_list] == [
            (f.kind, f.offset, f.count) for f in one.fault_list
        ]
    assert (other.messages, other.records, other.octets) == (one.messages, one.records, one.octets)
    assert [(use.domain, use.template, use.records, use.first_export) for use in other.templates] == [
        (use.domain, use.template, use.records, use.first_export) for use in one.templates
    ]


@pytest.mark.parametrize("window", [100, 5000])
def test_records_stand_in_the_same_order_whatever_the_window(window: int) -> None:
    cut = windowed(MIXED, window)
    assert list(cut.records()) == list(hw.records(MIXED))


# --- several sources -------------------------------------------------------------------------------------------------


def test_each_file_of_a_list_is_a_session_of_its_own(flows: Path) -> None:
    other = build.message(build.data_set(256, build.uint(1)))  # no Template in this file
    reading = hw.read([flows, other, FLOWS])
    assert sum(batch.num_rows for batch in reading) == 1000
    assert [source.name for source in reading.report.sources] == [str(flows), "<bytes>", "<bytes>"]
    assert reading.report.sources[1].faults == {FaultKind.UNKNOWN_TEMPLATE: 1, FaultKind.HELD_DROPPED: 1}
    assert not reading.report.is_complete


def test_a_directory_gives_its_ipfix_files_and_tells_what_it_skipped(tmp_path: Path, flows: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "more.gz").write_bytes(gzip.compress(FLOWS))
    (tmp_path / "README").write_text("hello")
    (tmp_path / "empty").touch()
    reading = hw.read(tmp_path)
    assert sum(batch.num_rows for batch in reading) == 1000
    assert [Path(source.name).name for source in reading.report.sources] == ["flows.ipfix", "more.gz"]
    assert [(skipped.name, skipped.reason, skipped.is_foreign) for skipped in reading.report.skipped] == [
        (f"{tmp_path}/README", f"{tmp_path}/README holds no flow export: it looks like text", True),
        (f"{tmp_path}/empty", f"{tmp_path}/empty is empty", True),
    ]
    assert reading.report.is_complete


def test_a_file_of_a_directory_that_cannot_be_read_makes_the_reading_incomplete(
    tmp_path: Path, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lz4.frame

    (tmp_path / "x.lz4").write_bytes(lz4.frame.compress(FLOWS))
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    reading = hw.read(tmp_path)
    assert sum(batch.num_rows for batch in reading) == 500
    assert "needs lz4" in reading.report.skipped[0].reason
    assert not reading.report.is_complete


def test_a_directory_without_ipfix_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n")
    (tmp_path / "b.csv").write_text("a,b,c\n")
    with pytest.raises(hw.SourceError) as caught:
        next(hw.read(tmp_path))
    first = f"{tmp_path}/a.csv holds no flow export: it looks like CSV"
    assert str(caught.value) == f"no flow export among 2 files of {tmp_path}: {first}; and 1 more"


def test_no_sources_at_all_are_an_error() -> None:
    with pytest.raises(hw.SourceError, match="nothing to read"):
        next(hw.read([]))


def test_a_missing_file_is_told_before_anything_is_read(flows: Path) -> None:
    reading = hw.read([flows, flows.with_name("gone")])
    with pytest.raises(hw.SourceError, match="gone does not exist"):
        next(reading)
    assert not reading.report.sources


def test_progress_counts_octets_before_decompression_to_the_total(flows: Path, tmp_path: Path) -> None:
    packed = tmp_path / "flows.gz"
    packed.write_bytes(gzip.compress(FLOWS))
    calls: list[tuple[int, int | None]] = []
    reading = windowed([flows, packed], 4000, progress=lambda done, total: calls.append((done, total)))
    for _ in reading:
        pass
    total = len(FLOWS) + packed.stat().st_size
    assert {seen for _, seen in calls} == {total}
    done = [done for done, _ in calls]
    assert done == sorted(done)
    assert done[-1] == total


def test_progress_of_a_stream_has_no_total() -> None:
    calls: list[tuple[int, int | None]] = []
    for _ in hw.read(io.BytesIO(FLOWS), progress=lambda *call: calls.append(call)):
        pass
    assert calls[-1] == (len(FLOWS), None)


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_max_octets_gives_what_is_before_and_raises(compress: Any) -> None:
    first, *_ = messages = build.flows(500)
    limit = len(first) + len(messages[1]) + 100
    for window in (1 << 22, 333):
        reading = windowed(compress(FLOWS), window, max_octets=limit)
        rows: list[tuple[Any, ...]] = []
        with pytest.raises(hw.LimitExceeded, match=rf"<bytes>: max_octets exceeds its limit of {limit}"):
            collect(reading, rows)
        assert rows == build.flow_values(500)[: len(rows)]
        assert reading.report.messages == 2


def test_max_octets_that_are_enough_change_nothing() -> None:
    assert len(list(hw.records(FLOWS, max_octets=len(FLOWS)))) == 500


# --- life of a reading -----------------------------------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_batch_is_asked_for(tmp_path: Path) -> None:
    reading = hw.read(tmp_path / "later.ipfix")
    (tmp_path / "later.ipfix").write_bytes(FLOWS)
    assert sum(batch.num_rows for batch in reading) == 500


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts file descriptors")  # noqa: PTH112
@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_files_are_closed_however_a_reading_ends(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "flows"
    path.write_bytes(FLOWS if kind == "plain" else gzip.compress(FLOWS))
    gc.collect()  # what earlier tests left open is not ours
    before = fd_count()
    for _ in hw.read(path):
        pass
    assert fd_count() == before

    with windowed(path, 5000) as reading:
        next(reading)
        assert fd_count() == before + 1
    assert fd_count() == before

    reading = windowed(path, 5000)
    next(reading)
    reading.close()
    assert fd_count() == before

    reading = windowed(path, 5000)
    next(reading)
    gone = weakref.ref(reading)
    del reading  # without a cycle: nobody has to wait for the garbage collector
    assert gone() is None
    assert fd_count() == before

    with pytest.raises(KeyError):
        fail_while_reading(path)
    gc.collect()
    assert fd_count() == before


def fail_while_reading(path: Path) -> None:
    for _ in windowed(path, 5000):
        raise KeyError


def test_batches_outlive_their_reading(flows: Path) -> None:
    with hw.read(flows) as reading:
        batch = next(reading)
    flows.unlink()
    assert list(batch.tuples()) == build.flow_values(500)


def test_a_reading_is_used_once() -> None:
    reading = hw.read(FLOWS)
    assert len(list(reading)) == 1
    assert list(reading) == []
    with pytest.raises(hw.HeadwaterError, match="used or closed; call read again"):
        reading.records()
    reading = hw.read(FLOWS)
    reading.records()
    with pytest.raises(hw.HeadwaterError, match="used or closed"):
        next(reading)
    reading = hw.read(FLOWS)
    reading.close()
    with pytest.raises(hw.HeadwaterError, match="used or closed"):
        next(reading)


def test_the_report_is_live(flows: Path) -> None:
    reading = windowed(flows, 5000)
    next(reading)
    first = reading.report.records
    assert 0 < first < 500
    next(reading)
    assert first < reading.report.records < 500
    reading.close()
    assert reading.report.records < 500


def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(FLOWS)))
    monkeypatch.setattr(sys, "stdin", stdin)
    reading = hw.read("-")
    assert sum(batch.num_rows for batch in reading) == 500
    assert reading.report.sources[0].name == "<stdin>"
    assert not stdin.closed


def test_windows_have_batches_with_the_data_sets_that_they_were_made_of() -> None:
    with hw.read(FLOWS) as reading:
        found = [pair for window in reading.windows() for pair in window]
    assert sum(batch.num_rows for _, batch in found) == 500
    assert all(int(sets.count.sum()) == batch.num_rows for sets, batch in found)
    assert {int(domain) for sets, _ in found for domain in sets.messages.domain} == {1}
    with pytest.raises(hw.HeadwaterError, match="has been used"):
        reading.windows()
