"""Several processes share the load: each exporter has one of them, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import headwater as hw
from headwater.errors import HeadwaterError
from tests.process.collecting.sending import UdpSender, message, port_of, until

TWO = "udp://127.0.0.1:0?workers=2"


def _rows(folder: Path) -> Counter[int]:
    files = sorted(folder.glob("*.parquet"))
    return Counter(port for file in files for port in pq.read_table(file)["sourceTransportPort"].to_pylist())


def test_each_exporter_has_one_worker_and_all_is_stored_once(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        senders = [UdpSender(port_of(collector), f"127.0.0.{number}") for number in range(1, 17)]
        for sequence in range(5):
            for number, sender in enumerate(senders):
                # Templates come once: data that reach another worker could not be decoded
                sender.send(message(sequence * 1000, template=not sequence, domain=number))
        until(lambda: collector.report().totals.get("messages") == 80, "that all is received")
    report = collector.report()
    workers = {one["worker"] for one in report.listeners if one["datagrams"]}
    assert workers == {0, 1}
    assert (report.totals["messages"], report.totals["undecodable_sets"]) == (80, 0)
    assert sum(_rows(tmp_path / "flows").values()) == 80
    assert len({file.name.split("-")[1] for file in (tmp_path / "flows").glob("*.parquet")}) == 2


def test_a_worker_that_is_killed_is_replaced_and_the_rest_goes_on(tmp_path: Path) -> None:
    with hw.Collector(TWO, sinks=[tmp_path / "flows"]) as collector:
        sender = UdpSender(port_of(collector))
        sender.send(message(0))
        until(lambda: collector.report().totals.get("messages") == 1, "the first Message")
        assert collector.flush()
        mine = next(one["pid"] for one in collector.report().workers if one["records"])
        os.kill(mine, signal.SIGKILL)
        until(lambda: any("has died" in warning for warning in collector.report().warnings), "the warning")
        until(lambda: all(one["pid"] != mine for one in collector.report().workers), "the replacement")
        sender.send(message(1))
        until(lambda: collector.report().totals.get("messages") == 2, "the second Message")
    assert _rows(tmp_path / "flows") == {0: 1, 1: 1}


def test_functions_cannot_be_given_to_several_workers() -> None:
    with pytest.raises(HeadwaterError, match="no functions"):
        hw.Collector(TWO, sinks=[print]).start()


def test_standard_output_cannot_be_shared() -> None:
    with pytest.raises(HeadwaterError, match="standard output"):
        hw.Collector(TWO, sinks=["-"]).start()


def test_what_is_wrong_in_a_worker_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HeadwaterError, match="file"):
        hw.Collector(TWO, sinks=[tmp_path / "file"]).start()
