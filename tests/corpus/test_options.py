"""Option records of real exporters: which tables they fill, and what flows get from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headwater.batch.derived import DERIVED
from headwater.batch.options_tables import OptionsTables
from tests.batch.exporters import Exporters
from tests.corpus.captures import VERSIONS, pcap
from tests.pcap import read_pcap

pytestmark = pytest.mark.corpus

ROWS: dict[str, dict[str, int]] = {
    "fl_v9_sampler": {"samplers": 1},
    "gen_libfixbuf_struct_t": {"types": 8},
    "gen_sf_ipfix": {"exporters": 1},
    "gen_sf_v9": {"interfaces": 1},
    "gl_nprobe_v9": {"exporter_statistics": 2},
    "ls_ipfix_juniper_mx240_junos151r6s3_512": {"exporter_statistics": 1},
    "ls_ipfix_yaf_s": {"exporter_statistics": 1},
    "ls_netflow9_cisco_nbar_260": {"applications": 15},
    "ls_netflow9_fortigate_fortios_521": {"exporter_statistics": 1},
    "ng_106_00": {"vrfs": 1},
    "ng_400_01": {"exporters": 11, "interfaces": 5, "samplers": 1, "vrfs": 6},
    "tg_ipfix_options": {"applications": 126},
    "tg_netflow_v9_options": {"interfaces": 8},
}
"""Rows of each table (IOS-XR tells its systemInitTimeMilliseconds now a millisecond less, now more)."""


def exporters_of(corpus: Path, name: str) -> Exporters:
    exporters = Exporters()
    for datagram in read_pcap(pcap(corpus, name)):
        exporters.send(datagram.payload, address=datagram.source, port=datagram.source_port)
    return exporters


def told(exporters: Exporters, *names: str) -> Counter[tuple[Any, ...]]:
    """How often these columns have which values."""
    return Counter(row for batch in exporters.batches(*names) for row in batch.tuples())


@pytest.mark.parametrize("name", ROWS)
def test_option_records_fill_their_tables(corpus: Path, name: str) -> None:
    tables = exporters_of(corpus, name).tables.tables()
    assert {table: len(rows) for table, rows in tables.items()} == ROWS[name]


def test_cisco_ios_xr_names_interfaces_vrfs_and_samplers(corpus: Path) -> None:
    exporters = exporters_of(corpus, "ng_400_01")
    names = "ingressInterfaceName", "ingressVRFName", "samplerName", "samplingRate", "samplingSource"
    known = "TenGigE0_0_0_16.13", "A3", "NETFLOW-SAMPLER-MAP", 1.0, "sampler"
    assert told(exporters, *names) == {known: 109}
    assert {row[0] for row in told(exporters, "egressInterfaceName")} == {
        None, "TenGigE0_0_0_12", "TenGigE0_0_0_14", "TenGigE0_0_0_15"
    }  # fmt: skip


def test_softflowd_tells_the_rate_of_interface_0(corpus: Path) -> None:
    exporters = exporters_of(corpus, "gl_netflow9")
    assert set(told(exporters, "samplingRate", "samplingSource")) == {(100.0, "exporter")}


def test_applications_of_nbar_have_names(corpus: Path) -> None:
    exporters = exporters_of(corpus, "ls_netflow9_cisco_nbar_260")
    names = {row["scope"]["applicationId"]: row["values"]["applicationName"] for row in exporters.rows("applications")}
    assert names[b"\1\0\0\x08"] == "egp"


def test_a_sampler_that_tells_half_of_its_parameters_has_no_rate(corpus: Path) -> None:
    """IOS-XR: algorithm 3 (n of N) with element 305 alone."""
    exporters = exporters_of(corpus, "ng_srv6")
    assert set(told(exporters, "samplerName", "samplingRate")) == {("NETFLOW-SAMPLER-MAP", None)}


@pytest.mark.parametrize("name", VERSIONS)
def test_any_options_and_flows_give_tables_and_columns(corpus: Path, name: str) -> None:
    exporters = exporters_of(corpus, name)
    for table in exporters.tables.tables().values():
        assert table.to_arrow().num_rows == len(table)
    for batch in exporters.batches(*DERIVED):
        assert len(list(batch.rows())) == batch.num_rows
    copy = OptionsTables()
    copy.restore(exporters.tables.snapshot())
    assert list(copy.snapshot()) == list(exporters.tables.snapshot())
