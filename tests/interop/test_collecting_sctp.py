"""A Collector over SCTP; without a kernel that has it these are skipped, a guest kernel will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.collected import assert_complete, collect, stored
from tests.interop.test_collecting import FAULTS, run
from tests.interop.test_collecting_transports import assert_exported
from tests.interop.test_exporters import assert_all_traffic, softflowd
from tests.interop.traffic import write_traffic
from tests.transport.test_incoming_sctp import needs_sctp

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200), needs_sctp]


def test_what_our_exporter_sends_is_stored(tmp_path: Path) -> None:
    assert_exported("sctp", tmp_path)


def test_what_softflowd_sends_is_stored(tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path / "traffic.pcap")
    tmp_path.chmod(0o755)  # softflowd drops privileges
    command = softflowd(traffic, tmp_path, "-v", "10", "-P", "sctp")
    report = collect(tmp_path / "flows", lambda port, _: run(command, port), "sctp")
    rows = stored(tmp_path / "flows")
    assert_all_traffic(rows, ipv6=True)
    assert_complete(report, len(rows), faults=FAULTS["ipfix"])
    assert report.totals["connections"] == 1
