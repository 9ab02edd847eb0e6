"""What a new user does: a collector in one terminal, an exporter in another, and a question while both run."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from headwater.process.collecting.control import control_path
from tests.cli.conftest import Spawn, spawn
from tests.interop.recorded import DEADLINE_S, running
from tests.interop.test_collecting import with_port
from tests.interop.test_exporters import assert_all_traffic, softflowd
from tests.interop.traffic import flows, write_traffic
from tests.process.collecting.fakes import ask, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

__all__ = ["spawn"]  # a fixture


def test_a_question_is_answered_while_the_collector_runs(spawn: Spawn, tmp_path: Path) -> None:
    traffic, folder = write_traffic(tmp_path / "traffic.pcap"), tmp_path / "flows"
    collector = spawn("collect", "udp://127.0.0.1:0", "--to", folder, "--json", XDG_RUNTIME_DIR=str(tmp_path))
    try:
        assert collector.stderr is not None
        said = b""
        while not (found := re.search(rb"udp://127\.0\.0\.1:([1-9]\d*)", said)):
            line = collector.stderr.readline()
            assert line, said
            said += line
        command = with_port(softflowd(traffic, tmp_path, "-v", "9"), int(found[1]))
        with running(command) as exporter:
            exporter.wait(DEADLINE_S)
        path = control_path(str(folder))
        until(lambda: ask(path, "status")["totals"].get("decoded_records") == len(flows()))
        answer, told = spawn("query", "--json", "from flows", folder).communicate(timeout=DEADLINE_S)
        assert told == b""
        rows = [json.loads(line) for line in answer.splitlines()]
        assert_all_traffic(rows, ipv6=True)
        again, _ = spawn("query", "--csv", "select count(*) as n from flows", folder).communicate(timeout=DEADLINE_S)
        assert again.split() == [b"n", str(len(rows)).encode()]
    finally:
        collector.send_signal(signal.SIGINT)
        out, _ = collector.communicate(timeout=DEADLINE_S)
    report = json.loads(out)
    assert report["totals"]["records_written"] == len(rows)
    assert not (folder / ".headwater").exists()
