"""An exporter made with libfixbuf sends records with lists in them; a Collector stores every value."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.analysis.querying import query
from tests.interop.collected import assert_complete, collect, stored
from tests.interop.compiled import compiled
from tests.interop.recorded import DEADLINE_S
from tests.interop.test_collecting import until_ended

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

COUNT = 500
INTERFACE = 0x1235
"""The Template in the lists."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exporter, compiled."""
    return compiled("libfixbuf_exporter", tmp_path_factory.mktemp("libfixbuf"))


def interfaces(number: int, count: int) -> list[dict[str, Any]]:
    return [{"interfaceName": f"eth{k}", "ingressInterface": 100 * number + k} for k in range(count)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_value_that_libfixbuf_sends_is_stored(program: Path, transport: str, tmp_path: Path) -> None:
    def export(port: int, collector: hw.Collector) -> None:
        subprocess.run([program, transport, "127.0.0.1", str(port), str(COUNT)], check=True, timeout=DEADLINE_S)
        if transport == "tcp":
            until_ended(collector)

    report = collect(tmp_path, export, transport)
    assert_complete(report, COUNT)
    assert query("select distinct observationDomainId as domain from flows", tmp_path).to_pylist() == [{"domain": 77}]
    assert stored(tmp_path) == [
        {
            "octetDeltaCount": 2**40 + number,
            "sourceIPv4Address": f"192.0.2.{number % 256}",
            "sourceTransportPort": number,
            "destinationTransportPort": 443,
            "applicationName": f"app-{number}",
            "basicList": [number + k for k in range(number % 4)],
            "subTemplateList": interfaces(number, number % 3),
            "subTemplateMultiList": {str(INTERFACE): interfaces(1000 + number, 2)},
        }
        for number in range(COUNT)
    ]
