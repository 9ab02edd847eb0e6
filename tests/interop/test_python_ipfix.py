"""python-ipfix reads what we write, as far as it knows the types, and we what it writes."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import ipfix  # type: ignore[import-untyped]
import ipfix.reader  # type: ignore[import-untyped]
import ipfix.writer  # type: ignore[import-untyped]
import pytest

import headwater as hw

pytestmark = pytest.mark.interop

START = datetime(2026, 11, 21, 10, 0, 0, 250_000, UTC)
ROWS: list[dict[str, Any]] = [
    {
        "sourceIPv4Address": f"192.0.2.{number}",
        "sourceIPv6Address": f"2001:db8::{number:x}",
        "sourceMacAddress": bytes([2, 0, 0, 0, 0, number]),
        "sourceTransportPort": 50_000 + number,
        "octetDeltaCount": 2**40 + number,
        "packetDeltaCount[4]": 70_000 + number,
        "flowStartMilliseconds": START,
        "flowEndSeconds": START.replace(microsecond=0),
        "samplingProbability": number / 8,
        "dataRecordsReliability": number % 2 == 0,
        "interfaceName": "ü" * number,
        "applicationId": bytes(range(number)),
        "reverseOctetDeltaCount": number,
    }
    for number in range(200)
]


@pytest.fixture(scope="module", autouse=True)
def model() -> None:
    ipfix.ie.use_iana_default()
    ipfix.ie.use_5103_default()


def test_python_ipfix_reads_the_values_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with hw.Writer(path, mtu=1400, domain=7) as writer:
        writer.write(ROWS)
    with path.open("rb") as file:
        found = list(ipfix.reader.from_stream(file).namedict_iterator())
    assert len(found) == len(ROWS)
    for read, row in zip(found, ROWS, strict=True):
        wanted = {name.partition("[")[0]: value for name, value in row.items()}
        for name in ("sourceIPv4Address", "sourceIPv6Address"):
            wanted[name] = ip_address(wanted[name])
        for name in ("flowStartMilliseconds", "flowEndSeconds"):
            wanted[name] = wanted[name].replace(tzinfo=None)
        assert {name: read[name] for name in wanted} == wanted


def test_what_python_ipfix_writes_is_read() -> None:
    names = ("sourceIPv4Address", "octetDeltaCount", "interfaceName(82)<string>[65535]")
    elements = ipfix.ie.spec_list(names)
    out = io.BytesIO()
    writer = ipfix.writer.to_stream(out, mtu=1400)
    writer.set_domain(3)
    writer.add_template(ipfix.template.from_ielist(400, elements))
    writer.set_export_template(400)
    for number in range(300):
        row = {"sourceIPv4Address": ip_address(number), "octetDeltaCount": number, "interfaceName": "x" * number}
        writer.export_namedict(row)
    writer.flush()
    (batch,) = hw.read(out.getvalue())
    assert batch.domain == 3
    assert batch["octetDeltaCount"].tolist() == batch["sourceIPv4Address"].tolist() == list(range(300))
    assert batch["interfaceName"].tolist() == ["x" * number for number in range(300)]
